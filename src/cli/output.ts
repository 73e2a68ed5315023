/**
 * Standard output and standard error of this process. Talk that cannot be written is dropped, whatever the reason; an answer whose
 * reader has gone is no error either, and one that cannot be written for another reason is remembered until the command ends.
 */
import { writeSync } from 'node:fs'

const PATIENCE_MS = 1
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

/** Aborted once nothing that is written to stdout is taken any more; the write that fails tells. */
export const readerGone: AbortSignal = gone.signal

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
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return error as NodeJS.ErrnoException
      Atomics.wait(sleeper, 0, 0, PATIENCE_MS)
    }
  }
  return undefined
}
