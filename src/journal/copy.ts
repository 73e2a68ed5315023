/**
 * Copies of a journal: made from a file that somebody may be writing, looked over, and put in the place of another.
 */
import { existsSync, renameSync, rmSync, statSync } from 'node:fs'
import { homeRoot } from '../attempt.ts'
import { TenutoError } from '../errors.ts'
import type { Standing } from '../home-folder.ts'
import { bootId } from '../process.ts'
import { giveToHome, renewedHome } from './another-home.ts'
import { removeDraft, settleDraft, writeCopy } from './draft.ts'
import { type Driver, openNodeSqlite, storeError } from './driver.ts'
import { checkMark, markPath, openMark, readMark } from './mark.ts'
import { sealMeta } from './migrate.ts'
import { SCHEMA } from './schema.ts'
import { openToRead } from './still.ts'
import { checkStructure, type FileHead, inspectFile, readHead } from './structure.ts'
import { hasAttempts } from './traces.ts'

/** What a copy holds. */
export type CopyFacts = FileHead &
  Readonly<{
    schema: number
    plans: number
    bytes: number
  }>

/** What became of the journal that was replaced. */
export type Replaced = Readonly<{
  /** Where it is now; null when there was none. */
  kept: string | null
  /** Whose the journal in its place is, and the epoch that it begins after. */
  home: string
  epoch: number
}>

/** The epoch of one that cannot be read is not known, and no journal has begun so often. */
const EPOCHS_UNKNOWN = 1_000_000

/**
 * Writes a copy of the journal at `from` as it is at one moment, closed to others, to a path where nothing may be yet. A holder may go on
 * meanwhile. The copy is whole or not there.
 * @throws {TenutoError} `STORE_CORRUPT`, also when `from` stands before its mark; `STORE_FULL`; `STORE_BROKEN`; `SCHEMA_NEWER`.
 */
export const copyJournal = (from: string, to: string): CopyFacts => {
  const mark = readMark(from)
  return using(from, 'read', (driver) => {
    checkMark(from, mark, soundHead(driver, from), bootId())
    return copyThrough(driver, to)
  })
}

const copyThrough = (driver: Driver, to: string): CopyFacts =>
  writeCopy(driver, to, (draft) => using(draft, 'read', (copy) => factsOf(copy, draft)))

/**
 * What the copy at a path holds, looked over.
 * @throws {TenutoError} as `copyJournal`, but for the mark.
 */
export const readCopy = (path: string): CopyFacts => using(path, 'read', (driver) => factsOf(driver, path))

/**
 * Puts a copy of the journal at `from` in the place of the one at `file`, which is kept beside it, whatever state it is in. The epoch goes
 * on above both, so that whoever obeyed the one obeys the other. `from` may be `file` itself, which accepts it as it is. The home stays
 * who it is, if its folder is its own and it was anybody; else it gets an id of its own. The caller holds its lock.
 * @throws {TenutoError} as `copyJournal`, but for the mark; `BACKUP_FOREIGN` when it is another home's and `force` is not given. Nothing
 * was changed then.
 */
export const putInPlace = (
  from: string,
  file: string,
  name: string,
  force: boolean,
  standing: Standing,
): Readonly<{ facts: CopyFacts; replaced: Replaced }> => {
  const draft = `${file}.restored`
  removeDraft(draft)
  try {
    const facts = using(from, 'read', (driver) => {
      soundHead(driver, from)
      return copyThrough(driver, draft)
    })
    const before = identityOf(file, standing)
    if (before.home !== undefined && homeRoot(before.home) !== homeRoot(facts.home) && !force)
      throw new TenutoError('BACKUP_FOREIGN', { path: from })
    const { home: known = renewedHome(facts.home) } = before
    const home = standing.how === 'own' ? known : renewedHome(known)
    const epoch = Math.max(facts.epoch, before.epoch ?? facts.epoch + EPOCHS_UNKNOWN)
    using(draft, 'write', (driver) => {
      driver.prepare('UPDATE meta SET epoch = ? WHERE id = 1').run(epoch)
      giveToHome(driver, home)
      if (facts.schema === SCHEMA.version) sealMeta(driver, facts.schema)
    })
    const kept = setAside(file, `${file}.${name}`)
    writeMark(file, { ...facts, home, epoch })
    settleDraft(draft, file)
    return { facts, replaced: { kept, home, epoch } }
  } catch (error) {
    removeDraft(draft)
    throw storeError(file, error)
  }
}

/** Whose journal is in place, and how often it was begun, as far as anything still says so. */
const identityOf = (file: string, standing: Standing): Readonly<{ home?: string; epoch?: number }> => {
  const mark = readMark(file)
  const placed = standing.how === 'own' && standing.home !== null ? { home: standing.home } : {}
  // Attempts show that one was begun, and nothing how often.
  if (!existsSync(file)) return mark ?? { ...placed, ...(hasAttempts(file) ? {} : { epoch: 0 }) }
  try {
    const { home, epoch } = using(file, 'read', (driver) => soundHead(driver, file))
    return { home: mark?.home ?? home, epoch: Math.max(epoch, mark?.epoch ?? 0) }
  } catch {
    // It is replaced because it cannot be used.
    return mark ?? placed
  }
}

/** Until the copy is in its place there is no journal, and the mark says that there was one. */
const setAside = (file: string, kept: string): string | null => {
  rmSync(`${file}-shm`, { force: true })
  if (existsSync(`${file}-wal`)) renameSync(`${file}-wal`, `${kept}-wal`)
  if (existsSync(markPath(file))) renameSync(markPath(file), markPath(kept))
  if (!existsSync(file)) return null
  renameSync(file, kept)
  return kept
}

const writeMark = (file: string, { home, epoch, ...head }: CopyFacts): void => {
  const mark = openMark(file, { home, epoch, boot: bootId(), synced: true })
  mark.write(head)
  mark.close()
}

const factsOf = (driver: Driver, path: string): CopyFacts => {
  const head = soundHead(driver, path)
  const plans = Number(driver.prepare('SELECT count(*) FROM plan').get()?.[0])
  return { ...head, plans, bytes: statSync(path).size }
}

/** Whether the structure of a file is sound: rows that it has lost would be missing in a copy that is. */
const soundHead = (driver: Driver, path: string): FileHead & Readonly<{ schema: number }> => {
  const schema = inspectFile(driver, path, SCHEMA)
  const isPresent = schema === SCHEMA.version
  checkStructure(openNodeSqlite, driver, path, SCHEMA, isPresent, () => false)
  return { ...readHead(driver, path, isPresent, SCHEMA), schema }
}

/** The connection that is given to `use` is closed after it; one that reads may be given twice. */
const using = <R>(path: string, access: 'read' | 'write', use: (driver: Driver) => R): R => {
  const closing = (driver: Driver): R => {
    try {
      return use(driver)
    } finally {
      driver.close()
    }
  }
  if (access === 'read') return openToRead(path, openNodeSqlite, closing)
  try {
    return closing(openNodeSqlite(path, access))
  } catch (error) {
    throw storeError(path, error)
  }
}
