/**
 * The schema of the journal's file, and what leads to it from every older one.
 */
import type { Driver } from './driver.ts'
import { crcOfRow } from './rows.ts'
import { countTally, TALLY_COLUMNS } from './tally.ts'

/** "TENU": says whose file this is (`PRAGMA application_id`). */
export const APPLICATION_ID = 0x54454e55

/** A schema and the way to it. */
export type Schema = Readonly<{
  version: number
  /** SQL that makes the tables in an empty file. */
  create: string
  /** What brings schema `from` to schema `from + 1`: SQL, and then what SQL cannot say. */
  migrations: readonly Readonly<{ from: number; sql: string; then?: (driver: Driver) => void }>[]
}>

/**
 * `pruned` has one row: how many plans and steps were removed, the sum of the positions of these modulo 2^32, and the highest of them.
 * `leaving`: plans whose removal has begun. `cleared`: the attempt folders of what ended up to this position were removed.
 */
const RETENTION = `
    CREATE TABLE pruned (
      id INTEGER PRIMARY KEY CHECK (id = 1),
      plans INTEGER NOT NULL, steps INTEGER NOT NULL, sum INTEGER NOT NULL, last INTEGER NOT NULL
    ) STRICT;
    INSERT INTO pruned (id, plans, steps, sum, last) VALUES (1, 0, 0, 0, 0);
    CREATE TABLE leaving (number INTEGER PRIMARY KEY, plan TEXT NOT NULL UNIQUE) STRICT;
    CREATE TABLE cleared (plan TEXT PRIMARY KEY, position INTEGER NOT NULL) STRICT;`

/** The schema this version writes. */
export const SCHEMA: Schema = {
  version: 5,
  create: `
    CREATE TABLE meta (
      id INTEGER PRIMARY KEY CHECK (id = 1),
      home TEXT NOT NULL, epoch INTEGER NOT NULL,
      position INTEGER NOT NULL, mail INTEGER NOT NULL, dead INTEGER NOT NULL, crc INTEGER NOT NULL,
      ${TALLY_COLUMNS.join(', ')}
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
      address TEXT NOT NULL, event TEXT NOT NULL, error TEXT NOT NULL, at INTEGER NOT NULL, crc INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE aside (plan TEXT PRIMARY KEY, why TEXT NOT NULL, at INTEGER NOT NULL) STRICT;
    CREATE TABLE loading (plan TEXT PRIMARY KEY, times INTEGER NOT NULL) STRICT;
    ${RETENTION}`,
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
    {
      // So have the head of the file, dead letters, and how often a message was delivered.
      from: 2,
      sql: `
        ALTER TABLE meta ADD COLUMN crc INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE dead_letter ADD COLUMN crc INTEGER NOT NULL DEFAULT 0;`,
      then: (driver) => {
        seal(driver, 'mail', 'id', 'id, address, event, posted_by, at, deliveries')
        seal(driver, 'dead_letter', 'id', 'id, address, event, error, at')
      },
    },
    // What was removed on purpose is on record, so that it can be told from what was lost.
    { from: 3, sql: RETENTION },
    {
      // So are the rows of tables that no index stands beside.
      from: 4,
      sql: TALLY_COLUMNS.map((column) => `ALTER TABLE meta ADD COLUMN ${column};`).join(' '),
      then: countTally,
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
