/**
 * Backup and restore of a home. Only the journal is copied: what ended since a backup stands in the attempt folders, and is taken in
 * again from there.
 */
import { accessSync, closeSync, constants, existsSync, lstatSync, openSync, rmSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { lookBeside } from './audit/home.ts'
import { backupPath, backupsIn, stamp } from './backup-place.ts'
import { readBuild } from './build.ts'
import type { Clock } from './clock.ts'
import { isTenutoError, TenutoError } from './errors.ts'
import { checkFolders, homePaths } from './home.ts'
import { standingOf, writePlace } from './home-folder.ts'
import { makeFolder } from './home-place.ts'
import { type CopyFacts, copyJournal, putInPlace, readCopy } from './journal/copy.ts'
import { removeDraft } from './journal/draft.ts'
import { storeError } from './journal/driver.ts'
import { holdHome } from './journal/lock.ts'
import { SCHEMA } from './journal/schema.ts'
import { refuseGone } from './journal/traces.ts'
import { bootId } from './process.ts'
import { keptSecrets } from './secrets.ts'

/** A backup that was made. */
export type Backup = Pick<CopyFacts, 'plans' | 'position' | 'bytes'> &
  Readonly<{
    path: string
    /** Plans whose secrets the home has: their values are not in it. */
    secrets: number
  }>

/** What a restore came to. */
export type Restored = Pick<CopyFacts, 'plans' | 'position'> &
  Readonly<{
    /** Where the journal is that was replaced; null when there was none. */
    kept: string | null
    /** Attempts of plans of the backup that it does not know of: their outcomes are taken in again when their plans go on. */
    newer: number
    /** Attempts that were under way and whose folders are not there: what became of them is not known, and they are not started again. */
    missing: number
    /** The plans, by the names of their folders, that have attempts and are not in the backup. */
    unknown: readonly string[]
    /** Processes that live and belong to none of its plans. */
    strays: number
  }>

/** So many backups are kept in the place where they go by themselves. */
const KEPT = 7
/** What was being made so long ago is made no more. */
const DRAFT_MS = 24 * 3_600_000

/**
 * Copies the journal of a home, beside whoever holds it: to a new file, or to `backups/` in the home, where the seven newest are kept.
 * @throws {TenutoError} `JOURNAL_MISSING`; `FILE_EXISTS`, `FILE_UNWRITABLE`; `STORE_FULL` naming what cannot be written; what makes a
 * journal unusable; `NOT_ALLOWED` when a folder of the home is not its own. Nothing half made is left.
 */
export const backupHome = (home: string, to: string | undefined, clock: Clock): Backup => {
  const { journal, backups } = homePaths(home)
  if (!existsSync(journal)) {
    refuseGone(journal)
    throw new TenutoError('JOURNAL_MISSING', { path: journal })
  }
  const path = to === undefined ? backupPath(home, clock.now()) : resolve(to)
  if (to === undefined) {
    checkFolders(home)
    makePlace(backups)
  }
  checkWritable(path)
  if (lstatSync(path, { throwIfNoEntry: false })) throw new TenutoError('FILE_EXISTS', { path })
  const { plans, position, bytes } = copyJournal(journal, path)
  if (to === undefined) dropOld(home, clock.now())
  return { path, plans, position, bytes, secrets: keptSecrets(home).length }
}

/** One call: where nothing can be made, what `recursive` says of it is not why. */
const makePlace = (path: string): void => {
  try {
    makeFolder(path)
  } catch (error) {
    throw unwritable(path, error)
  }
}

/** A place where nothing can be written is told from a journal that cannot be read, which says the same of itself. */
const checkWritable = (path: string): void => {
  const draft = `${path}.new`
  try {
    closeSync(openSync(draft, 'a', 0o600))
    rmSync(draft)
  } catch (error) {
    throw unwritable(path, error)
  }
}

/** A disk that is full or write-protected, or a place that was named badly. */
const unwritable = (path: string, error: unknown): TenutoError => {
  const known = storeError(path, error)
  if (isTenutoError(known)) return known
  return new TenutoError('FILE_UNWRITABLE', { path, why: (error as Error).message }, error)
}

const checkReadable = (path: string): void => {
  try {
    const found = statSync(path)
    if (found.isDirectory()) throw new TenutoError('FILE_IS_FOLDER', { path })
    if (!found.isFile()) throw new TenutoError('FILE_SPECIAL', { path, what: 'a pipe or a device' })
    accessSync(path, constants.R_OK)
  } catch (error) {
    if (isTenutoError(error)) throw error
    const { code, message: why } = error as NodeJS.ErrnoException
    const isMissing = code === 'ENOENT' || code === 'ENOTDIR'
    throw new TenutoError(isMissing ? 'FILE_MISSING' : 'FILE_UNREADABLE', { path, why }, error)
  }
}

const dropOld = (home: string, now: number): void => {
  const { whole, drafts } = backupsIn(home)
  for (const { path } of whole.slice(0, -KEPT)) rmSync(path, { force: true })
  for (const { path, at } of drafts) if (now - at > DRAFT_MS) removeDraft(path)
}

/**
 * Puts a backup in the place of the journal of a home that nobody holds, makes the home if there is none, and starts nothing. `force`
 * takes another home's.
 * @throws {TenutoError} `HOME_HELD`; `BACKUP_FOREIGN`; `FILE_MISSING`, `FILE_IS_FOLDER`, `FILE_SPECIAL`, `FILE_UNREADABLE`;
 * `BACKUP_UNUSABLE`; `STORE_CORRUPT` when it is the journal itself that is to be accepted; `SCHEMA_NEWER`: nothing was changed.
 */
export const restoreHome = async (
  home: string,
  from: string,
  force: boolean,
  clock: Clock,
): Promise<Restored> => {
  const path = resolve(from)
  checkReadable(path)
  const { journal } = homePaths(home)
  // Nothing is made or taken for a file that is no backup.
  if (path !== journal) ofBackup(path, () => readCopy(path))
  const hold = holdHome(home, {
    pid: process.pid,
    parent_pid: null,
    command: 'tenuto restore',
    started_at: new Date(clock.now()).toISOString(),
    boot_id: bootId(),
    url: null,
    sock: null,
    build: readBuild().sourceHash ?? 'unknown',
  })
  try {
    const standing = standingOf(home)
    const put = () => putInPlace(path, journal, `replaced-${stamp(clock.now())}`, force, standing)
    const { facts, replaced } = path === journal ? put() : ofBackup(path, put)
    writePlace(home, replaced.home)
    const beside = facts.schema === SCHEMA.version ? await lookAround(home) : NOTHING
    return { plans: facts.plans, position: facts.position, kept: replaced.kept, ...beside }
  } finally {
    hold.release()
  }
}

/** What is damaged is the file that was given, not the journal of the home. */
const ofBackup = <R>(path: string, act: () => R): R => {
  try {
    return act()
  } catch (error) {
    if (!isTenutoError(error, 'STORE_CORRUPT')) throw error
    throw new TenutoError('BACKUP_UNUSABLE', { path, why: error.fields['why'] }, error)
  }
}

const NOTHING = { newer: 0, missing: 0, unknown: [], strays: 0 } as const

/** What lies and lives beside the journal that was put in place. */
const lookAround = async (
  home: string,
): Promise<Pick<Restored, 'newer' | 'missing' | 'unknown' | 'strays'>> => {
  try {
    const { findings, withoutFolder } = await lookBeside(home)
    const orphans = findings.filter(({ kind }) => kind === 'orphan-folder')
    const { attempts } = homePaths(home)
    return {
      newer: findings.filter(
        ({ kind, place }) =>
          kind === 'attempt-beyond' || (kind === 'orphan-folder' && place.attempt !== undefined),
      ).length,
      missing: withoutFolder,
      unknown: orphans
        .filter(({ place }) => place.plan === undefined)
        .map(({ place }) => (place.path ?? '').slice(attempts.length + 1)),
      strays: findings.filter(({ kind }) => kind === 'stray-process').length,
    }
  } catch (error) {
    // The journal is in its place; what lies beside it is told by `doctor` as well.
    if (isTenutoError(error)) return NOTHING
    throw error
  }
}
