/**
 * A file that is there whole or not at all, also after a power cut: written beside its place and put there when it is on the medium.
 */
import {
  closeSync,
  constants,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { TenutoError } from './errors.ts'
import { hasNoRoom, wordsOf } from './thrown.ts'

/** Puts a file that nobody else may read in its place, also where one is. */
export const writeWhole = (path: string, text: string): void => {
  const beside = `${path}.new`
  rmSync(beside, { force: true })
  writeFileSync(beside, text, { flag: 'wx', mode: 0o600, flush: true })
  renameSync(beside, path)
  syncPath(dirname(path))
}

/** Windows knows no such flag, and no such pipes. */
const AT_ONCE = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)

/** Reads a file of text. A pipe that somebody put in its place reads as empty: a loop that waited for a writer would stand for ever. */
export const readWhole = (path: string): string => readFileSync(path, { encoding: 'utf8', flag: AT_ONCE })

/** Forces onto the medium what is at a path: of a folder, which names are in it. */
export const syncPath = (path: string): void => {
  const handle = openSync(path, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}

/** Why a file could not be written: `STORE_FULL`, `FILE_UNWRITABLE`. */
export const unwritten = (path: string, error: unknown): TenutoError =>
  new TenutoError(hasNoRoom(error) ? 'STORE_FULL' : 'FILE_UNWRITABLE', { path, why: wordsOf(error) }, error)
