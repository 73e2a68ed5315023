/**
 * The numbers on disk, in a file of their own, each batch with its cursor in one transaction. Nothing in it is the truth: a file that is
 * broken, of another schema, or of another home is made anew and counted again from the journal. It may lose the last moments in a
 * power cut, numbers and cursor together.
 */
import { chmodSync, rmSync, statSync } from 'node:fs'
import { homeRoot } from '../attempt.ts'
import { type Driver, openNodeSqlite, resultCode } from '../journal/driver.ts'
import {
  BUCKETS_MAX,
  type Bucket,
  type BucketSize,
  type Counted,
  type Known,
  MEMORY_STEPS,
  type OpenJob,
  type OpenPlan,
} from './count.ts'
import type { Tally } from './tally.ts'

/** Raised when the tables, or what is counted into them, change their meaning: all is counted anew then. */
export const SCHEMA_VERSION = 1

/** Where counting stands. */
export type Standing = Readonly<{
  cursor: number
  missed: number
  /** The last step that was counted; null before the first. */
  last: Readonly<{ position: number; mark: string }> | null
}>

/** The numbers of a home. Everything throws what the driver throws; `isBroken` says whether to make them anew. */
export type Store = Readonly<{
  known: Known
  standing: () => Standing
  /**
   * Writes what a batch has changed.
   * @throws {Error} when somebody else has counted meanwhile.
   */
  apply: (from: number, counted: Counted) => void
  /** Names with a tally, of plans and then of jobs, at most `limit` of each, those that ended most often first; plans have an empty job. */
  tallies: (
    plan: string | null,
    limit: number,
  ) => readonly Readonly<{ plan: string; job: string; tally: Tally }>[]
  buckets: (size: BucketSize) => readonly Readonly<{ start: number; bucket: Bucket }>[]
  /** Whether the file still is the one that was opened: another may lie in its place, or none. */
  isInPlace: () => boolean
  close: () => void
}>

const TABLES = `
  CREATE TABLE meta (
    id INTEGER PRIMARY KEY CHECK (id = 1), home TEXT NOT NULL, cursor INTEGER NOT NULL, missed INTEGER NOT NULL,
    last INTEGER, mark TEXT
  ) STRICT;
  CREATE TABLE tally (
    plan TEXT NOT NULL, job TEXT NOT NULL, ended INTEGER NOT NULL, tally TEXT NOT NULL, PRIMARY KEY (plan, job)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE bucket (
    size TEXT NOT NULL, start INTEGER NOT NULL, bucket TEXT NOT NULL, PRIMARY KEY (size, start)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE open_job (
    plan TEXT NOT NULL, job TEXT NOT NULL, position INTEGER NOT NULL, now TEXT NOT NULL, PRIMARY KEY (plan, job)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX open_job_position ON open_job (position);
  CREATE TABLE open_plan (plan TEXT PRIMARY KEY, position INTEGER NOT NULL, now TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE INDEX open_plan_position ON open_plan (position);`

/** SQLite's codes for a table that is not there, a file that is damaged, or one that is no database. */
const BROKEN: readonly number[] = [1, 11, 26]

/** Whether an error says that the numbers cannot be read, and have to be counted anew. */
export const isBroken = (error: unknown): boolean =>
  error instanceof SyntaxError || BROKEN.includes((resultCode(error) ?? 0) & 0xff)

/** Opens the numbers of a home, or begins them anew where there are none that can be used. */
export const openStore = (file: string, home: string): Store => {
  let driver: Driver | undefined
  try {
    driver = openNodeSqlite(file, 'write')
    closeToOthers(file)
    if (isOurs(driver, home)) return storeOn(driver, file)
    driver.close()
  } catch (error) {
    driver?.close()
    if (!isBroken(error)) throw error
  }
  return newStore(file, home)
}

/** Begins the numbers of a home anew, in the place of those that are there. */
export const newStore = (file: string, home: string): Store => {
  for (const path of [file, `${file}-wal`, `${file}-shm`]) rmSync(path, { force: true })
  const driver = openNodeSqlite(file, 'write')
  try {
    closeToOthers(file)
    driver.exec(
      `PRAGMA journal_mode = WAL; BEGIN IMMEDIATE; ${TABLES} PRAGMA user_version = ${SCHEMA_VERSION}`,
    )
    driver.prepare('INSERT INTO meta (id, home, cursor, missed) VALUES (1, ?, 0, 0)').run(home)
    driver.exec('COMMIT')
    return storeOn(driver, file)
  } catch (error) {
    driver.close()
    throw error
  }
}

/** Before anything is written: what SQLite makes beside a file takes its mode from it. */
const closeToOthers = (file: string): void => chmodSync(file, 0o600)

const isOurs = (driver: Driver, home: string): boolean => {
  const [version] = driver.prepare('PRAGMA user_version').get() ?? []
  if (version !== SCHEMA_VERSION) return false
  const [sound] = driver.prepare('PRAGMA quick_check(1)').get() ?? []
  if (sound !== 'ok') return false
  const [counted] = driver.prepare('SELECT home FROM meta').get() ?? []
  return homeRoot(String(counted)) === homeRoot(home)
}

const identityOf = (file: string): string | null => {
  const stat = statSync(file, { bigint: true, throwIfNoEntry: false })
  return stat === undefined ? null : `${stat.dev} ${stat.ino}`
}

const storeOn = (driver: Driver, file: string): Store => {
  // It stays open, so that no other file gets its number.
  const identity = identityOf(file)
  driver.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL')
  const read = <T>(sql: string): ((...values: (string | number)[]) => T | undefined) => {
    const statement = driver.prepare(sql)
    return (...values) => {
      const [text] = statement.get(...values) ?? []
      return text === undefined ? undefined : (JSON.parse(String(text)) as T)
    }
  }
  const number = (sql: string): ((...values: string[]) => number) => {
    const statement = driver.prepare(sql)
    return (...values) => Number(statement.get(...values)?.[0] ?? 0)
  }
  const standing = driver.prepare('SELECT cursor, missed, last, mark FROM meta')
  const stand = driver.prepare(
    'UPDATE meta SET cursor = ?, missed = missed + ?, last = coalesce(?, last), mark = coalesce(?, mark) WHERE cursor = ?',
  )
  const putTally = driver.prepare(
    'INSERT OR REPLACE INTO tally (plan, job, ended, tally) VALUES (?, ?, ?, ?)',
  )
  const putBucket = driver.prepare('INSERT OR REPLACE INTO bucket (size, start, bucket) VALUES (?, ?, ?)')
  const putJob = driver.prepare(
    'INSERT OR REPLACE INTO open_job (plan, job, position, now) VALUES (?, ?, ?, ?)',
  )
  const dropJob = driver.prepare('DELETE FROM open_job WHERE plan = ? AND job = ?')
  const putPlan = driver.prepare('INSERT OR REPLACE INTO open_plan (plan, position, now) VALUES (?, ?, ?)')
  const dropPlan = driver.prepare('DELETE FROM open_plan WHERE plan = ?')
  const forgetJobs = driver.prepare('DELETE FROM open_job WHERE position < ?')
  const forgetPlans = driver.prepare('DELETE FROM open_plan WHERE position < ?')
  const namesOfPlans = driver.prepare(
    `SELECT plan, job, tally FROM tally WHERE job = '' AND plan <> '' AND (?1 IS NULL OR plan = ?1)
     ORDER BY ended DESC, plan LIMIT ?2`,
  )
  const namesOfJobs = driver.prepare(
    `SELECT plan, job, tally FROM tally WHERE job <> '' AND (?1 IS NULL OR plan = ?1)
     ORDER BY ended DESC, plan, job LIMIT ?2`,
  )
  const dropBuckets = driver.prepare(
    'DELETE FROM bucket WHERE size = ?1 AND start <= (SELECT start FROM bucket WHERE size = ?1 ORDER BY start DESC LIMIT 1 OFFSET ?2)',
  )

  const put = (from: number, { cursor, missed, last, ...changed }: Counted): void => {
    if (stand.run(cursor, missed, last?.position ?? null, last?.mark ?? null, from) !== 1)
      throw new Error(`these numbers do not stand at ${from}: somebody else counts them, too`)
    for (const { plan, job, now } of changed.tallies) {
      const ended = Object.values(now.ended).reduce((sum, n) => sum + n, 0)
      putTally.run(plan, job, ended, JSON.stringify(now))
    }
    for (const { size, start, now } of changed.buckets) putBucket.run(size, start, JSON.stringify(now))
    for (const { plan, job, now } of changed.jobs) {
      if (now) putJob.run(plan, job, now.position, JSON.stringify(now))
      else dropJob.run(plan, job)
    }
    for (const { plan, now } of changed.plans) {
      if (now) putPlan.run(plan, now.position, JSON.stringify(now))
      else dropPlan.run(plan)
    }
    forgetJobs.run(cursor - MEMORY_STEPS)
    forgetPlans.run(cursor - MEMORY_STEPS)
    for (const size of ['minute', 'hour'] as const) dropBuckets.run(size, BUCKETS_MAX[size])
  }

  return {
    known: {
      job: read<OpenJob>('SELECT now FROM open_job WHERE plan = ? AND job = ?'),
      plan: read<OpenPlan>('SELECT now FROM open_plan WHERE plan = ?'),
      tally: read<Tally>('SELECT tally FROM tally WHERE plan = ? AND job = ?'),
      bucket: read<Bucket>('SELECT bucket FROM bucket WHERE size = ? AND start = ?'),
      plans: number("SELECT count(*) FROM tally WHERE job = '' AND plan NOT IN ('', '(others)')"),
      jobs: number("SELECT count(*) FROM tally WHERE plan = ? AND job NOT IN ('', '(others)')"),
    },
    standing: () => {
      const [cursor, missed, last, mark] = standing.get() ?? []
      const known = typeof last === 'number' && typeof mark === 'string'
      return { cursor: Number(cursor), missed: Number(missed), last: known ? { position: last, mark } : null }
    },
    apply: (from, counted) => {
      driver.exec('BEGIN IMMEDIATE')
      try {
        put(from, counted)
        driver.exec('COMMIT')
      } catch (error) {
        if (driver.inTransaction()) driver.exec('ROLLBACK')
        throw error
      }
    },
    tallies: (plan, limit) => {
      const rows = [...namesOfPlans.all(plan, limit), ...namesOfJobs.all(plan, limit)]
      return rows.map(([name, job, tally]) => ({
        plan: String(name),
        job: String(job),
        tally: JSON.parse(String(tally)) as Tally,
      }))
    },
    buckets: (size) =>
      driver
        .prepare('SELECT start, bucket FROM bucket WHERE size = ? ORDER BY start')
        .all(size)
        .map(([start, bucket]) => ({ start: Number(start), bucket: JSON.parse(String(bucket)) as Bucket })),
    isInPlace: () => identity !== null && identityOf(file) === identity,
    close: () => driver.close(),
  }
}
