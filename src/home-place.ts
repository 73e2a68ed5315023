/**
 * Whether a home still is where it was taken. A folder that is removed or moved stays open for whoever works in it: all seems to go on,
 * and nobody finds any of it again.
 */
import { closeSync, fstatSync, mkdirSync, openSync, readlinkSync, type Stats, statSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Clock } from './clock.ts'
import { codeOf } from './thrown.ts'

/** How a home has gone. `unlocked`: it is there, and the file of the lock is not, or is another. */
export type Gone = Readonly<{ how: 'removed' | 'moved' | 'unlocked'; why: string }>

/** The place of a home that was there. */
export type HomePlace = Readonly<{
  /** How it has gone; null while it is there. What cannot be looked at is there. */
  look: () => Gone | null
  /** Lets go of the folder; nothing has gone afterwards. Idempotent. */
  close: () => void
}>

const LOOK_MS = 1_000

/** Keeps a home in sight, and with it a file in it that is its lock. Both must be there. */
export const homePlace = (home: string, lock?: string): HomePlace => {
  // Open, so that its number is given to no other folder.
  let folder: number | undefined = openSync(home, 'r')
  const first = fstatSync(folder)
  const locked = lock === undefined ? undefined : statSync(lock)
  const look = (): Gone | null => {
    if (folder === undefined) return null
    if (isStill(home, first)) {
      if (lock === undefined || locked === undefined || isStill(lock, locked)) return null
      // The folder may have gone between the two looks.
      if (isStill(home, first)) return { how: 'unlocked', why: `has lost its lock: ${lock} was removed` }
    }
    if (fstatSync(folder).nlink === 0) return { how: 'removed', why: 'has been removed' }
    return { how: 'moved', why: `has been moved${whereTo(folder)}` }
  }
  const close = (): void => {
    if (folder !== undefined) closeSync(folder)
    folder = undefined
  }
  return { look, close }
}

/**
 * Makes a folder in a home, with what leads to it there, for its user alone. The home itself is not made again: one that is not there was
 * removed or moved, at whatever moment. Idempotent.
 */
export const makeFolders = (home: string, path: string): void => {
  try {
    makeFolder(path)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT' || dirname(path) === home) throw error
    makeFolders(home, dirname(path))
    makeFolder(path)
  }
}

/** Makes a folder for its user alone, in one that is there. Idempotent. */
export const makeFolder = (path: string): void => {
  try {
    mkdirSync(path, 0o700)
  } catch (error) {
    // Somebody else may make it at the same moment.
    if (codeOf(error) !== 'EEXIST') throw error
  }
}

/** Calls `gone` once, a second or two after the home, or what else is looked for, has gone; answers how to look no more. */
export const watchHome = <G>(
  { look }: Readonly<{ look: () => G | null }>,
  clock: Clock,
  gone: (how: G) => void,
): (() => void) => {
  let cancel = (): void => {}
  const again = (): void => {
    const found = look()
    if (found !== null) return gone(found)
    cancel = clock.setTimeout(again, LOOK_MS)
  }
  cancel = clock.setTimeout(again, LOOK_MS)
  return () => cancel()
}

/** Whether the same file or folder is still at a path; what cannot be looked at is there. */
export const isStill = (path: string, was: Stats): boolean => {
  try {
    const is = statSync(path)
    return is.ino === was.ino && is.dev === was.dev
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return code !== 'ENOENT' && code !== 'ENOTDIR'
  }
}

/** Linux knows the name of what is open. */
const whereTo = (folder: number): string => {
  try {
    return ` to ${readlinkSync(`/proc/self/fd/${folder}`)}`
  } catch {
    return ''
  }
}
