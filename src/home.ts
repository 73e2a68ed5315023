/**
 * The home: one folder that holds everything of one runtime, and the names of what is in it. It belongs to its user alone.
 */
import { chmodSync, lstatSync, mkdirSync, readdirSync, type Stats } from 'node:fs'
import { join, resolve } from 'node:path'
import { TenutoError } from './errors.ts'

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
  /** Where backups of the journal go by themselves. */
  backups: string
  /** Who holds the home, as a hint. */
  daemon: string
  /** The log of the daemon. */
  log: string
  token: string
  analytics: string
}>

/** The names in a home; touches no file. Where its sockets lie is `socketPath`'s to say. */
export const homePaths = (home: string): HomePaths => {
  const root = resolve(home)
  return Object.freeze({
    home: root,
    journal: join(root, 'journal.db'),
    lock: join(root, 'lock.db'),
    attempts: join(root, 'attempts'),
    work: join(root, 'work'),
    backups: join(root, 'backups'),
    daemon: join(root, 'daemon.json'),
    log: join(root, 'daemon.log'),
    token: join(root, 'token'),
    analytics: join(root, 'analytics.db'),
  })
}

/**
 * Makes the home with mode 0700, or closes the one that is there to everybody else. Idempotent.
 * @throws {TenutoError} `NOT_ALLOWED` when it is a link, no folder, somebody else's, or open to others and full of other things.
 */
export const makeHome = (home: string): HomePaths => {
  const paths = homePaths(home)
  try {
    mkdirSync(paths.home, { recursive: true, mode: 0o700 })
    own(paths, lstatSync(paths.home))
  } catch (error) {
    if (error instanceof TenutoError) throw error
    throw refused(paths.home, `cannot be made: ${(error as Error).message}`, error)
  }
  return paths
}

const own = ({ home, lock }: HomePaths, stats: Stats): void => {
  if (stats.isSymbolicLink()) throw refused(home, 'is a link')
  if (!stats.isDirectory()) throw refused(home, 'is no folder')
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

const refused = (home: string, why: string, cause?: unknown): TenutoError =>
  new TenutoError(
    'NOT_ALLOWED',
    {
      what: `the home ${home} ${why}`,
      remedy: 'name an own folder with `--home DIR`; it is made if it is not there',
    },
    cause,
  )
