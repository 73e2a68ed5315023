/**
 * The log: what an operator would tell a colleague, as JSON lines. Messages are constant, values stand in fields. Secrets and the
 * output of jobs never go here.
 */
import { renameSync, statSync } from 'node:fs'
import type { Logger } from 'pino'

/** A logger; `child` binds fields such as `address`, `seq`, `attempt`. */
export type Log = Logger

/** A root logger, and how its file is let go of; what is logged afterwards is dropped. Idempotent. */
export type OpenLog = Readonly<{ log: Log; close: () => Promise<void> }>

/** How much is told. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'

const SECRETS = ['token', 'authorization', 'environment', 'env'].flatMap((name) => [name, `*.${name}`])

const UNWRITTEN_MAX_CHARS = 1_000_000
/** Beyond this the file is set aside as `FILE.1`, in the place of the one before. */
const LOG_MAX_BYTES = 10_000_000

/**
 * Opens the root logger on a file, which it appends to and closes to others, or on stderr. Every line is written at once. A file that has
 * grown long is set aside, also by another who writes to it.
 */
export const openLog = async (to: Readonly<{ file?: string; level: LogLevel }>): Promise<OpenLog> => {
  const { pino } = await import('pino')
  const destination = pino.destination({
    dest: to.file ?? 2,
    append: true,
    sync: true,
    mode: 0o600,
    maxLength: UNWRITTEN_MAX_CHARS,
  })
  // A full disk is what there is most to say about: what cannot be written now is written with the next line that can.
  destination.on('error', () => {})
  const { file } = to
  let inode = file === undefined ? undefined : statSync(file, { throwIfNoEntry: false })?.ino
  const turnOver = (path: string): void => {
    try {
      const now = statSync(path, { throwIfNoEntry: false })
      if (now !== undefined && now.size > LOG_MAX_BYTES) renameSync(path, `${path}.1`)
      else if (now?.ino === inode) return
      destination.reopen(path)
      inode = statSync(path, { throwIfNoEntry: false })?.ino
    } catch {
      // A home that is gone, or a disk that is full: the line goes where the last one went.
    }
  }
  let closing: Promise<void> | undefined
  const lines = {
    write: (line: string): void => {
      if (closing) return
      if (file !== undefined) turnOver(file)
      destination.write(line)
    },
  }
  const close = (): Promise<void> => {
    closing ??= new Promise((resolve) => {
      destination.once('close', resolve)
      destination.once('error', () => resolve())
      destination.destroy()
    })
    return closing
  }
  const log = pino(
    {
      level: to.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }) },
      redact: { paths: SECRETS, censor: '[secret]' },
    },
    lines,
  )
  return { log, close }
}
