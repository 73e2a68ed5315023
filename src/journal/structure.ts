/**
 * Whether a journal's file is sound: its head, its tables, and its structure. Rows carry checksums of their own; this finds what
 * they cannot tell: rows that are gone, that stand where nobody looks for them, or that an index no longer knows.
 */
import { accessSync, constants, existsSync, statSync } from 'node:fs'
import { TenutoError } from '../errors.ts'
import type { Head } from './batch.ts'
import { type Driver, lacksIndex, type OpenDriver, resultCode } from './driver.ts'
import { metaCrc } from './rows.ts'
import { APPLICATION_ID, type Schema } from './schema.ts'
import { lostRows } from './tally.ts'

/**
 * A file up to this size is looked over whole at every opening, some 3 ms for each MB. Of a larger one so is what recovery reads,
 * and the rest only after an unclean stop: the history, which is most of it.
 */
const WHOLE_MAX_BYTES = 32 * 2 ** 20
const RECOVERED = [
  'meta',
  'boot',
  'plan',
  'plan_revision',
  'actor',
  'job',
  'output',
  'mail',
  'aside',
  'loading',
  'pruned',
  'leaving',
  'cleared',
]

const corrupt = (path: string, why: string): TenutoError => new TenutoError('STORE_CORRUPT', { path, why })

/** SQLite opens a file that may not be written, for whatever cause, and says so when it is to write. */
const READ_ONLY = 8

/**
 * What an error at the opening of a file means. Where there is no room for the index of its log, to wait helps; where the file itself
 * says that it may not be written, and nothing else does, it does not. The file is not opened to find out: closing any handle on it
 * would give up the locks that this process has on it.
 */
export const openingError = (file: string, error: unknown): unknown => {
  if (lacksIndex(error) && existsSync(file)) {
    const why = `${(error as Error).message}: the index of its write-ahead log, without which it cannot be read either, has no room`
    return new TenutoError('STORE_FULL', { path: file, why }, error)
  }
  if (resultCode(error) !== READ_ONLY) return error
  try {
    accessSync(file, constants.W_OK)
  } catch {
    return error
  }
  return corrupt(file, 'its header says that it may not be written')
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
  if (found === schema.version) return found
  // The number alone counts, as for whoever knows less of the file.
  if (found > schema.version)
    throw new TenutoError('SCHEMA_NEWER', { path: file, found, known: schema.version })
  // What the file says of itself is sealed under the number of its schema.
  if (sealedUnder(driver, schema.version)) throw corrupt(file, `its schema is not ${found}, as it says`)
  return found
}

/** What a file says of itself, and what that is sealed with. */
export type FileHead = Head & Readonly<{ home: string; epoch: number }>

/**
 * Reads the one row that says whose the file is and how far it has come.
 * @throws {TenutoError} `STORE_CORRUPT` when it is gone or, in a file of the present schema, not what was written.
 */
export const readHead = (driver: Driver, file: string, isPresent: boolean, schema: Schema): FileHead => {
  // In one look: a holder may commit between two.
  const columns = `home, epoch, position, mail, dead${isPresent ? ', crc' : ''}`
  const row = driver.prepare(`SELECT ${columns} FROM meta WHERE id = 1`).get()
  if (row === undefined) throw corrupt(file, 'it does not say whose it is')
  if (isPresent && row[5] !== metaCrc(row.slice(0, 5), schema.version))
    throw corrupt(file, 'its own row is not what was written')
  const [home, epoch, position, mail, dead] = row as readonly [string, number, number, number, number]
  return { home, epoch, position, mail, dead }
}

const sealedUnder = (driver: Driver, version: number): boolean => {
  if (!columnsOf(driver).some((column) => column.startsWith('meta.crc '))) return false
  const meta = driver.prepare('SELECT home, epoch, position, mail, dead, crc FROM meta WHERE id = 1').get()
  return meta !== undefined && metaCrc(meta.slice(0, -1), version) === meta[5]
}

/** Every column of every table as one line, so that what migrations have added comes out as what was made whole. */
const columnsOf = (driver: Driver): readonly string[] =>
  driver
    .prepare(
      `SELECT m.type, m.name, m.tbl_name, c.name, c.type, c."notnull", c.pk FROM sqlite_schema m
       LEFT JOIN pragma_table_xinfo(m.name) c ON m.type = 'table' WHERE m.name NOT LIKE 'sqlite!_%' ESCAPE '!'`,
    )
    .all()
    .map(([type, name, of, ...column]) =>
      type === 'table' ? `${name}.${column.join(' ')}` : `${type} ${name} on ${of}`,
    )
    .toSorted()

/**
 * Looks over the structure of a file, compares its tables with those of the present schema, and their rows with the tally; a file of an
 * older schema is looked over whole, since it is about to be rewritten.
 * @throws {TenutoError} `STORE_CORRUPT` with the first thing that is wrong.
 */
export const checkStructure = (
  open: OpenDriver,
  driver: Driver,
  file: string,
  schema: Schema,
  isPresent: boolean,
  wasClean: () => boolean,
): void => {
  // First: what looks further asks for tables by name.
  const missing = isPresent ? missingColumn(open, driver, schema) : undefined
  if (missing !== undefined) throw corrupt(file, `it has no ${missing}`)
  const pages = Number(driver.prepare('PRAGMA page_count').get()?.[0])
  const bytes = pages * Number(driver.prepare('PRAGMA page_size').get()?.[0])
  const looks =
    bytes <= WHOLE_MAX_BYTES || !isPresent
      ? ['integrity_check(1)']
      : [...(wasClean() ? [] : ['quick_check(1)']), ...RECOVERED.map((table) => `integrity_check(${table})`)]
  for (const look of looks) {
    const why = driver.prepare(`PRAGMA ${look}`).get()?.[0]
    if (why !== 'ok') throw corrupt(file, String(why))
  }
  touchTrees(driver)
  const lost = isPresent ? lostRows(driver) : undefined
  if (lost !== undefined) throw corrupt(file, lost)
}

/**
 * Reads at each table and each index: where one has no row, the look at the structure does not see that its page is of another kind, and
 * whoever uses it later fails.
 */
const touchTrees = (driver: Driver): void => {
  const trees = driver
    .prepare("SELECT type, name, tbl_name FROM sqlite_schema WHERE type IN ('table', 'index')")
    .all()
  for (const [type, name, of] of trees)
    driver
      .prepare(`SELECT 1 FROM ${of} ${type === 'table' ? 'NOT INDEXED' : `INDEXED BY ${name}`} LIMIT 1`)
      .get()
}

/** The first column that the schema has and the file has not; undefined when there is none. */
const missingColumn = (open: OpenDriver, driver: Driver, schema: Schema): string | undefined => {
  const model = open(':memory:', 'write')
  try {
    model.exec(schema.create)
    const has = new Set(columnsOf(driver))
    return columnsOf(model).find((column) => !has.has(column))
  } finally {
    model.close()
  }
}
