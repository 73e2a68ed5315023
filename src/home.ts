/**
 * The home: one folder that holds everything of one runtime, and the names of what is in it. It belongs to its user alone.
 */
import { chmodSync, existsSync, lstatSync, readdirSync, type Stats, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { allowsNetworkHome } from './config.ts'
import { TenutoError } from './errors.ts'
import { NETWORK, typeOf } from './file-system.ts'
import { makeFolder } from './home-place.ts'

/** The paths of what a home holds. */
export type HomePaths = Readonly<{
  home: string
  journal: string
  /** The lock database. Never open it as a file: closing any handle of this process on it would give the lock up. */
  lock: string
  /** `attempts/<plan>/<job>/<n>/`. */
  attempts: string
  /** `work/<plan>/`: where the jobs of a plan run that was submitted without a folder. */
  work: string
  /** The values of secrets, a file for each plan that names some. */
  secrets: string
  /** Where backups of the journal go by themselves. */
  backups: string
  /** Who holds the home, as a hint. */
  daemon: string
  /** The log of the daemon. */
  log: string
  /** Whether anything new may start, where somebody has ordered that. */
  mode: string
  /** The folder that the home was last held in. */
  place: string
  token: string
  analytics: string
}>

/** The folder of a home that holds copies of the runner's program, by their hash. */
export const PROGRAM_FOLDER = 'runner'
/** In `attempts`: folders that wait to be deleted. No plan's folder begins with a dot. */
export const GONE_FOLDER = '.gone'

/** The names in a home; touches no file. Where its sockets lie is `socketPath`'s to say. */
export const homePaths = (home: string): HomePaths => {
  const root = resolve(home)
  return Object.freeze({
    home: root,
    journal: join(root, 'journal.db'),
    lock: join(root, 'lock.db'),
    attempts: join(root, 'attempts'),
    work: join(root, 'work'),
    secrets: join(root, 'secrets'),
    backups: join(root, 'backups'),
    daemon: join(root, 'daemon.json'),
    log: join(root, 'daemon.log'),
    mode: join(root, 'mode.json'),
    place: join(root, 'place.json'),
    token: join(root, 'token'),
    analytics: join(root, 'analytics.db'),
  })
}

/** A path as a shell takes it for one word. */
export const shellWord = (word: string): string =>
  /^[\w./~@%+:,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`

/** How a journal that has lost its end is gone on from: what ended since then is taken in again from the attempt folders. */
export const goOnFrom = (journal: string): string =>
  `to go on from what it still holds: \`tenuto restore ${shellWord(journal)} --home ${shellWord(dirname(journal))}\``

/** SQLite takes paths of less than 512 bytes; the longest name of a database in a home has 12. */
export const HOME_BYTES_MAX = 480

/**
 * Refuses what can be no home, whether it is to be read or made. One that is not there yet is none of that.
 * @throws {TenutoError} `HOME_UNUSABLE` when its path is too long, or something on it is no folder.
 */
export const checkHome = (home: string): void => {
  const path = resolve(home)
  const bytes = Buffer.byteLength(path)
  if (bytes > HOME_BYTES_MAX)
    throw unusable(path, `has a path of ${bytes} bytes; it may have ${HOME_BYTES_MAX}`)
  for (const part of trail(path)) {
    const isFolder = looksLikeFolder(path, part)
    if (isFolder === undefined) return
    if (!isFolder) throw unusable(path, part === path ? 'is no folder' : `cannot be: ${part} is no folder`)
  }
}

/** A place in a home for a folder of its own where something else is. */
export type Misplaced = Readonly<{ path: string; what: 'is a link' | 'is no folder' }>

/** The first of the folders of a home that is a link or no folder: what is written and removed there would be somebody else's. */
export const misplacedFolder = (home: string): Misplaced | undefined => {
  const { home: root, attempts, work, secrets, backups } = homePaths(home)
  const gone = join(attempts, GONE_FOLDER)
  for (const path of [attempts, gone, work, secrets, backups, join(root, PROGRAM_FOLDER)]) {
    const stats = lstatSync(path, { throwIfNoEntry: false })
    if (stats !== undefined && !stats.isDirectory())
      return { path, what: stats.isSymbolicLink() ? 'is a link' : 'is no folder' }
  }
  return undefined
}

/** What to do about one. */
export const putRight = ({ path, what }: Misplaced): string =>
  what === 'is a link'
    ? `remove the link (rm ${shellWord(path)}) and move here what it leads to; for more room move the whole home`
    : `move it away: mv ${shellWord(path)} ELSEWHERE`

/**
 * Refuses a home in which something else is in the place of one of its folders. Nothing is followed and nothing is changed.
 * @throws {TenutoError} `NOT_ALLOWED`.
 */
export const checkFolders = (home: string): void => {
  const found = misplacedFolder(home)
  if (found === undefined) return
  const what = `${found.path} ${found.what}, and is to be a folder of the home`
  throw new TenutoError('NOT_ALLOWED', { what, remedy: putRight(found) })
}

/** Undefined where there is nothing, or nothing that this user may see. */
const looksLikeFolder = (home: string, path: string): boolean | undefined => {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isDirectory()
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'EACCES' || code === 'EPERM') return undefined
    throw unusable(home, `cannot be looked at: ${message}`, error)
  }
}

/** A journal on a network is damaged sooner or later, and who has seen that still has what was bought with it. */
const checkDisk = (home: string, typeOfFolder: typeof typeOf): void => {
  const folder = trail(home).findLast((part) => existsSync(part)) ?? '/'
  const network = NETWORK[typeOfFolder(folder)]
  if (network === undefined || allowsNetworkHome()) return
  const remedy = 'a home on a local disk keeps its locks; TENUTO_NETWORK_HOME=1 takes this one all the same'
  throw unusable(
    home,
    `is on ${network}, a file system of a network, and a journal is damaged there sooner or later: ${remedy}`,
  )
}

/**
 * Makes the home with mode 0700, or closes the one that is there to everybody else. Idempotent.
 * @throws {TenutoError} `HOME_UNUSABLE` when it cannot be one, or is on a network; `NOT_ALLOWED` when it is a link, somebody else's, or
 * open to others and full of other things, or when something else is in the place of one of its folders.
 */
export const makeHome = (home: string, typeOfFolder = typeOf): HomePaths => {
  const paths = homePaths(home)
  try {
    checkHome(paths.home)
    checkDisk(paths.home, typeOfFolder)
    // One by one: where nothing can be made, as in /proc, Node's own recursion does not end.
    for (const part of trail(paths.home)) if (!existsSync(part)) makeFolder(part)
    own(paths, lstatSync(paths.home))
    checkFolders(paths.home)
  } catch (error) {
    if (error instanceof TenutoError) throw error
    const { code, message } = error as NodeJS.ErrnoException
    const why = `cannot be made: ${message}`
    throw code === 'EACCES' || code === 'EPERM'
      ? refused(paths.home, why, error)
      : unusable(paths.home, why, error)
  }
  return paths
}

/** The folders that lead to a path, outermost first, and the path. */
const trail = (path: string): readonly string[] => {
  const parts = [path]
  for (let at = path; dirname(at) !== at; at = dirname(at)) parts.unshift(dirname(at))
  return parts
}

const own = ({ home, lock }: HomePaths, stats: Stats): void => {
  if (stats.isSymbolicLink()) throw refused(home, 'is a link')
  const user = process.getuid?.()
  if (user === undefined) return
  if (stats.uid !== user) throw refused(home, 'belongs to another user')
  if ((stats.mode & 0o077) === 0) return
  // Somebody's project folder, named by mistake, must not become unreadable to others.
  const names = readdirSync(home)
  if (names.length > 0 && !names.some((name) => join(home, name) === lock)) {
    throw refused(home, 'is open to other users and holds other things')
  }
  chmodSync(home, 0o700)
}

const unusable = (home: string, why: string, cause?: unknown): TenutoError =>
  new TenutoError('HOME_UNUSABLE', { home, why }, cause)

const refused = (home: string, why: string, cause?: unknown): TenutoError =>
  new TenutoError(
    'NOT_ALLOWED',
    {
      what: `the home ${home} ${why}`,
      remedy: 'name an own folder with `--home DIR`; it is made if it is not there',
    },
    cause,
  )
