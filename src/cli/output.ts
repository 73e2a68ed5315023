/**
 * Standard output and standard error of this process. Talk that cannot be written is dropped, whatever the reason; an answer whose
 * reader has gone is no error either, and one that cannot be written for another reason is remembered until the command ends.
 */
import { readdirSync, readFileSync, readlinkSync, writeSync } from 'node:fs'
import { type Clock, systemClock } from '../clock.ts'
import { codeOf } from '../thrown.ts'

const PATIENCE_MS = 1
const READER_LOOK_MS = 250
const sleeper = new Int32Array(new SharedArrayBuffer(4))
const gone = new AbortController()
let refused: string | null = null

/** Writes to stderr what may as well not be read. Never throws. */
export const writeTalk = (data: string | Uint8Array): void => {
  write(2, data)
}

/** Writes part of the answer to stdout. Never throws: `unwritten` says in the end what could not be written. */
export const writeAnswer = (data: string | Uint8Array): void => {
  if (gone.signal.aborted || refused !== null) return
  const error = write(1, data)
  if (error === undefined) return
  if (GONE.has(error.code ?? '')) gone.abort()
  else refused = error.message
}

/** Why part of the answer could not be written; null when all was, or its reader went away. */
export const unwritten = (): string | null => refused

/** Aborted once nothing that is written to stdout is taken any more. The write that fails tells, or `watchReader` before. */
export const readerGone: AbortSignal = gone.signal

/**
 * Looks from now on whether the reader of stdout has gone, also while nothing is written; answers how to stop looking. Node has no
 * poll(2): on Linux the readers of a pipe are looked up among the processes of this user. Where none is seen, the next write tells.
 */
export const watchReader = (clock: Clock = systemClock): (() => void) => {
  let cancel = (): void => {}
  const pipe = read(() => readlinkSync('/proc/self/fd/1'))
  let readers = pipe?.startsWith('pipe:') ? readersOf(pipe) : []
  if (pipe === undefined || readers.length === 0) return cancel
  const look = (): void => {
    readers = readers.filter((path) => leadsTo(path, pipe))
    // A shell may have held the end for the program that it started.
    if (readers.length === 0) readers = readersOf(pipe)
    if (readers.length === 0) gone.abort()
    else cancel = clock.setTimeout(look, READER_LOOK_MS)
  }
  look()
  return () => cancel()
}

/** The descriptors of processes that read from a pipe. Costs one look at every descriptor of this user. */
const readersOf = (pipe: string): readonly string[] =>
  names('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => names(`/proc/${pid}/fd`).map((fd) => ({ pid, fd, path: `/proc/${pid}/fd/${fd}` })))
    .filter(({ pid, fd, path }) => {
      if (read(() => readlinkSync(path)) !== pipe) return false
      const flags = /^flags:\s*([0-7]+)/m.exec(
        read(() => readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8')) ?? '',
      )
      return flags !== null && (Number.parseInt(flags[1] ?? '', 8) & ACCESS_MODE) !== WRITE_ONLY
    })
    .map(({ path }) => path)

/** open(2): the lowest two bits of the flags. */
const ACCESS_MODE = 3
const WRITE_ONLY = 1

/** A process that now runs as somebody else still is there, and cannot be seen any more. */
const leadsTo = (path: string, pipe: string): boolean => {
  try {
    return readlinkSync(path) === pipe
  } catch (error) {
    return codeOf(error) !== 'ENOENT'
  }
}

const names = (folder: string): readonly string[] => read(() => readdirSync(folder)) ?? []

/** Undefined for what has gone meanwhile, or is not this user's to see. */
const read = <T>(look: () => T): T | undefined => {
  try {
    return look()
  } catch {
    return undefined
  }
}

const GONE: ReadonlySet<string> = new Set(['EPIPE', 'EIO', 'EBADF'])

/** Answers the error that ended writing. */
const write = (descriptor: 1 | 2, data: string | Uint8Array): NodeJS.ErrnoException | undefined => {
  const bytes = typeof data === 'string' ? Buffer.from(data) : data
  let at = 0
  while (at < bytes.length) {
    try {
      at += writeSync(descriptor, bytes, at)
    } catch (error) {
      // A reader that is slow, on a pipe that somebody made non-blocking.
      if (codeOf(error) !== 'EAGAIN') return error as NodeJS.ErrnoException
      Atomics.wait(sleeper, 0, 0, PATIENCE_MS)
    }
  }
  return undefined
}
