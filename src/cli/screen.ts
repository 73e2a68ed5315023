/**
 * Where a command speaks: the answer to stdout, talk to stderr. A reader that has gone away is not an error.
 */
import { writeSync } from 'node:fs'
import picocolors from 'picocolors'
import { surroundings } from '../config.ts'

/** The flags every command has. */
export type Globals = Readonly<{
  json?: boolean
  quiet?: boolean
  verbose?: boolean
  color?: boolean
  input?: boolean
  home?: string
  allowStaleBuild?: boolean
}>

/** What a command writes to. */
export type Screen = Readonly<{
  json: boolean
  quiet: boolean
  /** Whether a live table may be drawn on stderr. */
  live: boolean
  /** Whether a person can be asked. */
  asks: boolean
  width: number
  height: number
  paint: ReturnType<typeof picocolors.createColors>
  marks: Marks
  /** One line, or a JSON document, to stdout. */
  answer: (text: string) => void
  /** Bytes to stdout, as they are. */
  bytes: (bytes: Uint8Array) => void
  /** One line to stderr; nothing with `-q`. */
  talk: (text: string) => void
}>

/** The marks of states; each also has its word beside it. */
export type Marks = Readonly<
  Record<'succeeded' | 'failed' | 'running' | 'waiting' | 'skipped' | 'retry', string>
>

const UNICODE: Marks = { succeeded: '✓', failed: '✗', running: '●', waiting: '◌', skipped: '⊘', retry: '↻' }
const ASCII: Marks = { succeeded: '+', failed: 'x', running: '*', waiting: '.', skipped: '-', retry: '~' }

const write = (descriptor: 1 | 2, data: string | Uint8Array): void => {
  const bytes = typeof data === 'string' ? Buffer.from(data) : data
  let at = 0
  while (at < bytes.length) {
    try {
      at += writeSync(descriptor, bytes, at)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EAGAIN') continue
      if (code === 'EPIPE' || code === 'EIO' || code === 'EBADF') return
      throw error
    }
  }
}

/** The screen of this process. */
export const screen = (globals: Globals): Screen => {
  const around = surroundings()
  const colored = globals.color !== false
  const quiet = globals.quiet === true
  const json = globals.json === true
  return {
    json,
    quiet,
    live: around.live && !quiet && !json,
    asks: around.asks && globals.input !== false,
    width: Math.max(20, process.stderr.columns ?? 80),
    height: Math.max(5, process.stderr.rows ?? 24),
    paint: picocolors.createColors(colored && around.color.stdout),
    marks: around.unicode ? UNICODE : ASCII,
    answer: (text) => write(1, `${text}\n`),
    bytes: (bytes) => write(1, bytes),
    talk: (text) => {
      if (!quiet) write(2, `${text}\n`)
    },
  }
}

/** Writes an error, whatever the flags. */
export const complain = (text: string): void => write(2, `${text}\n`)
