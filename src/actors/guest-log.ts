/**
 * What a guest writes: its file is bounded in bytes, and the end of it is kept, for whoever asks why it ended.
 */
import { appendBounded } from '../bounded-file.ts'

/** The log of one life of a guest. */
export type GuestLog = Readonly<{
  /** Takes what it wrote; answers how much that is by now. A file that cannot be written is done without. */
  wrote: (bytes: Buffer) => number
  /** The line that says what was wrong; empty when it wrote nothing. */
  why: () => string
}>

const KEPT_CHARACTERS = 2_000
const WHY_CHARACTERS_MAX = 300

/** Opens the log of a life, which goes on in the file of the lives before. */
export const guestLog = (file: string): GuestLog => {
  let end = ''
  let written = 0
  return {
    wrote: (bytes) => {
      written += bytes.length
      end = (end + bytes.toString('utf8')).slice(-KEPT_CHARACTERS)
      appendBounded(file, bytes)
      return written
    },
    why: () => {
      const lines = end.split('\n').map((line) => line.trim())
      const named = lines.findLast((line) => /^(?:\w*Error\b|FATAL ERROR\b).*:/.test(line))
      return (named ?? lines.findLast((line) => line !== '') ?? '').slice(0, WHY_CHARACTERS_MAX)
    },
  }
}
