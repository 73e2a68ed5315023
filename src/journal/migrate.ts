/**
 * The schema of the journal's file, and how a file comes to have it: made whole beside its place and renamed, or brought up from
 * an older schema in one transaction after a backup copy. A newer schema is refused, and the file is not touched.
 */
import { chmodSync, closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { TenutoError } from '../errors.ts'
import type { Driver, OpenDriver } from './driver.ts'
import { crcOfRow } from './rows.ts'

/** A schema and the way to it. */
export type Schema = Readonly<{
  version: number
  /** SQL that makes the tables in an empty file. */
  create: string
  /** What brings schema `from` to schema `from + 1`: SQL, and then what SQL cannot say. */
  migrations: readonly Readonly<{ from: number; sql: string; then?: (driver: Driver) => void }>[]
}>

/** "TENU": says whose file this is (`PRAGMA application_id`). */
const APPLICATION_ID = 0x54454e55

/** The schema this version writes. */
export const SCHEMA: Schema = {
  version: 2,
  create: `
    CREATE TABLE meta (
      id INTEGER PRIMARY KEY CHECK (id = 1),
      home TEXT NOT NULL, epoch INTEGER NOT NULL,
      position INTEGER NOT NULL, mail INTEGER NOT NULL, dead INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE boot (
      epoch INTEGER PRIMARY KEY,
      boot_id TEXT NOT NULL, pid INTEGER NOT NULL, build TEXT NOT NULL, at INTEGER NOT NULL, clean INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE plan (
      number INTEGER PRIMARY KEY,
      id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, key TEXT UNIQUE, hash TEXT NOT NULL, inputs TEXT NOT NULL,
      environment TEXT NOT NULL, base TEXT NOT NULL, submitted_at INTEGER NOT NULL, crc INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX plan_name ON plan (name);
    CREATE TABLE plan_revision (
      plan TEXT NOT NULL, revision INTEGER NOT NULL, hash TEXT NOT NULL, definition TEXT NOT NULL,
      crc INTEGER NOT NULL,
      PRIMARY KEY (plan, revision)
    ) STRICT;
    CREATE TABLE step (
      position INTEGER PRIMARY KEY,
      address TEXT NOT NULL, seq INTEGER NOT NULL, plan TEXT NOT NULL, type TEXT NOT NULL, event TEXT NOT NULL,
      came_from TEXT, went_to TEXT NOT NULL, reason TEXT, attempt INTEGER, at INTEGER NOT NULL, version TEXT NOT NULL,
      crc INTEGER NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX step_fence ON step (address, seq);
    CREATE TABLE actor (
      address TEXT PRIMARY KEY,
      kind TEXT NOT NULL, plan TEXT NOT NULL, state TEXT NOT NULL, reason TEXT, seq INTEGER NOT NULL,
      snapshot TEXT NOT NULL, version TEXT NOT NULL, crc INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE job (
      plan TEXT NOT NULL, name TEXT NOT NULL, place_in_plan INTEGER NOT NULL, place TEXT NOT NULL, state TEXT NOT NULL,
      reason TEXT, unmet INTEGER NOT NULL, generation INTEGER NOT NULL, attempt INTEGER NOT NULL, since INTEGER NOT NULL,
      embodied INTEGER NOT NULL, crc INTEGER NOT NULL,
      PRIMARY KEY (plan, name)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE output (
      plan TEXT NOT NULL, name TEXT NOT NULL, outputs TEXT NOT NULL, crc INTEGER NOT NULL,
      PRIMARY KEY (plan, name)
    ) STRICT;
    CREATE TABLE mail (
      id INTEGER PRIMARY KEY,
      address TEXT NOT NULL, event TEXT NOT NULL, posted_by INTEGER, deliveries INTEGER NOT NULL, at INTEGER NOT NULL,
      crc INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE dead_letter (
      id INTEGER PRIMARY KEY,
      address TEXT NOT NULL, event TEXT NOT NULL, error TEXT NOT NULL, at INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE aside (plan TEXT PRIMARY KEY, why TEXT NOT NULL, at INTEGER NOT NULL) STRICT;
    CREATE TABLE loading (plan TEXT PRIMARY KEY, times INTEGER NOT NULL) STRICT;`,
  migrations: [
    {
      // Every row that recovery reads has a crc, and plans that cannot be loaded are remembered.
      from: 1,
      sql: `
        ALTER TABLE plan ADD COLUMN crc INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE plan_revision ADD COLUMN crc INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE job ADD COLUMN crc INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE output ADD COLUMN crc INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE mail ADD COLUMN crc INTEGER NOT NULL DEFAULT 0;
        CREATE TABLE aside (plan TEXT PRIMARY KEY, why TEXT NOT NULL, at INTEGER NOT NULL) STRICT;
        CREATE TABLE loading (plan TEXT PRIMARY KEY, times INTEGER NOT NULL) STRICT;`,
      then: (driver) => {
        seal(driver, 'plan', 'id', 'id, name, key, hash, inputs, environment, base, submitted_at')
        seal(driver, 'plan_revision', 'plan, revision', 'plan, revision, hash, definition')
        seal(
          driver,
          'job',
          'plan, name',
          'plan, name, place_in_plan, place, state, reason, unmet, generation, attempt, since, embodied',
        )
        seal(driver, 'output', 'plan, name', 'plan, name, outputs')
        seal(driver, 'mail', 'id', 'id, address, event, posted_by, at')
      },
    },
  ],
}

/** Gives every row of a table the crc of its columns. The columns are those of the migration and stay as they are here. */
const seal = (driver: Driver, table: string, key: string, columns: string): void => {
  const keys = key.split(', ')
  const set = driver.prepare(
    `UPDATE ${table} SET crc = ? WHERE ${keys.map((one) => `${one} = ?`).join(' AND ')}`,
  )
  for (const row of driver.prepare(`SELECT ${columns} FROM ${table}`).all())
    set.run(crcOfRow(row), ...row.slice(0, keys.length))
}

/**
 * Makes the file with its schema if there is none. It is made beside its place and renamed, so that a file in its place was once
 * whole, and an empty one is damage.
 * @throws {TenutoError} `STORE_CORRUPT` when there is none, but the write-ahead log of one.
 */
export const makeFile = (open: OpenDriver, file: string, home: string, schema: Schema): void => {
  if (existsSync(file)) return
  if (existsSync(`${file}-wal`)) throw corrupt(file, 'it is gone, but its write-ahead log is there')
  const draft = `${file}.new`
  for (const end of ['', '-wal', '-shm', '-journal']) rmSync(draft + end, { force: true })
  const driver = open(draft, 'write')
  try {
    chmodSync(draft, 0o600)
    driver.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA journal_mode = WAL; BEGIN IMMEDIATE`)
    driver.exec(schema.create)
    driver.prepare('INSERT INTO meta VALUES (1, ?, 0, 0, 0, 0)').run(home)
    driver.exec(`PRAGMA user_version = ${schema.version}; COMMIT`)
  } finally {
    driver.close()
  }
  syncPath(draft)
  renameSync(draft, file)
  syncPath(dirname(file))
}

/**
 * The schema version of a file, read without changing a byte of it.
 * @throws {TenutoError} `STORE_CORRUPT` when it is no journal; `SCHEMA_NEWER`.
 */
export const inspectFile = (driver: Driver, file: string, schema: Schema): number => {
  if (statSync(file).size === 0) throw corrupt(file, 'it is empty')
  const id = driver.prepare('PRAGMA application_id').get()?.[0]
  if (id !== APPLICATION_ID) throw corrupt(file, 'it is a database, but not a journal of tenuto')
  const found = Number(driver.prepare('PRAGMA user_version').get()?.[0])
  if (found > schema.version)
    throw new TenutoError('SCHEMA_NEWER', { path: file, found, known: schema.version })
  return found
}

/** Brings an older file to the schema, all in one transaction, after a copy to `FILE.schema-N`. Idempotent. */
export const migrate = (driver: Driver, file: string, found: number, schema: Schema): void => {
  if (found === schema.version) return
  const backup = `${file}.schema-${found}`
  rmSync(`${backup}.new`, { force: true })
  driver.prepare('VACUUM INTO ?').run(`${backup}.new`)
  chmodSync(`${backup}.new`, 0o600)
  syncPath(`${backup}.new`)
  renameSync(`${backup}.new`, backup)
  syncPath(dirname(file))
  driver.exec('BEGIN IMMEDIATE')
  try {
    for (let from = found; from < schema.version; from += 1) {
      const migration = schema.migrations.find((one) => one.from === from)
      if (!migration)
        throw new TenutoError('STORE_BROKEN', { path: file, why: `nothing leads on from schema ${from}` })
      driver.exec(migration.sql)
      migration.then?.(driver)
    }
    driver.exec(`PRAGMA user_version = ${schema.version}; COMMIT`)
  } catch (error) {
    if (driver.inTransaction()) driver.exec('ROLLBACK')
    throw error
  }
}

const corrupt = (path: string, why: string): TenutoError => new TenutoError('STORE_CORRUPT', { path, why })

const syncPath = (path: string): void => {
  const handle = openSync(path, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}
