/**
 * The folder that a home was last held in, as `place.json` in it says. A folder that is moved stays the same folder, wherever it is
 * called; a copy is another, and what the files in it say of processes is said of those of the first.
 */
import { existsSync, realpathSync, renameSync, type Stats, statSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { numbersFolders } from './file-system.ts'
import { homePaths } from './home.ts'
import { isNumber, isObject, isString, readObject } from './json.ts'
import { bootId } from './process.ts'
import { readWhole } from './whole-file.ts'

/** What tells a folder from every other of one boot of a machine. */
export type FolderNumber = Readonly<{ dev: number; ino: number }>

type Place = FolderNumber & Readonly<{ home: string; path: string }>

/**
 * How a home stands to the folder it was last held in. `own`: it is that one, and was `home`; null where nobody has said. `copy`: that one
 * is still where it was, in `first`. `elsewhere`: that one is not found; this may be a copy of it, or what became of it.
 */
export type Standing = Readonly<
  { how: 'own'; home: string | null } | { how: 'copy'; first: string } | { how: 'elsewhere' }
>

/** What tells the folder at a path from every other. */
export const folderNumber = (path: string): FolderNumber => {
  const { dev, ino } = statSync(path)
  return { dev, ino }
}

/** Looks how a home stands to the folder it was last held in. What cannot be looked at is not there. */
export const standingOf = (home: string): Standing => {
  const paths = homePaths(home)
  const place = readPlace(paths.place)
  const stats = statSync(paths.home, { throwIfNoEntry: false })
  if (place === undefined || stats === undefined) return { how: 'own', home: null }
  const isSamePath = realpathSync(paths.home) === place.path
  if (isFolder(stats, place) || (isSamePath && isPlausible(paths.home, stats, place)))
    return { how: 'own', home: place.home }
  if (isSamePath || !existsSync(homePaths(place.path).journal)) return { how: 'elsewhere' }
  const there = statSync(place.path, { throwIfNoEntry: false })
  const isThere = there !== undefined && isPlausible(place.path, there, place)
  return isThere ? { how: 'copy', first: place.path } : { how: 'elsewhere' }
}

/** Says that the home of an id is held where it is. Written beside and renamed. */
export const writePlace = (home: string, id: string): void => {
  const paths = homePaths(home)
  const path = realpathSync(paths.home)
  const place: Place = { home: id, path, ...folderNumber(paths.home) }
  const text = `${JSON.stringify({ v: 1, ...place })}\n`
  if (textOf(paths.place) === text) return
  writeFileSync(`${paths.place}.new`, text, { mode: 0o600 })
  renameSync(`${paths.place}.new`, paths.place)
}

/** Whether what a file of a home says of processes was said by a holder in this very folder; true of one that names no folder. */
export const isOfFolder = (file: string, folder: unknown, boot: unknown): boolean => {
  if (!isNumbered(folder)) return true
  const stats = statSync(dirname(file), { throwIfNoEntry: false })
  if (stats === undefined || isFolder(stats, folder)) return true
  return boot === bootId() ? !numbersFolders(dirname(file)) : isPlausible(dirname(file), stats, folder)
}

const isFolder = ({ dev, ino }: Stats, was: FolderNumber): boolean => ino === was.ino && dev === was.dev

/**
 * Whether a folder may be the one that was at its path. Disks are numbered anew when they come back, and folders on them are not, but by file
 * systems that keep no numbers of their own.
 */
const isPlausible = (path: string, { ino }: Stats, was: FolderNumber): boolean =>
  ino === was.ino || !numbersFolders(path)

const isNumbered = (value: unknown): value is FolderNumber =>
  isObject(value) && isNumber(value['dev']) && isNumber(value['ino'])

const readPlace = (file: string): Place | undefined =>
  readObject(textOf(file) ?? '', (place) => {
    const { home, path } = place
    return isNumbered(place) && isString(home) && isString(path)
      ? { dev: place.dev, ino: place.ino, home, path }
      : undefined
  })

const textOf = (path: string): string | undefined => {
  try {
    return readWhole(path)
  } catch {
    // Without it nothing is known of another folder.
    return undefined
  }
}
