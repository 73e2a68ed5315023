/**
 * The database driver as the journal needs it: a few methods over one connection. Another driver is another `OpenDriver`.
 */
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import { TenutoError } from '../errors.ts'
import { hasNoRoom } from '../thrown.ts'

/** A value of a column or of a parameter. */
export type Value = null | number | string

/** A row as the driver gives it: the values in the order of the columns. */
export type Row = readonly Value[]

/** A prepared statement; reused for the life of its connection. */
export type Statement = Readonly<{
  /** Runs it to its end and answers how many rows it changed. */
  run: (...values: Value[]) => number
  get: (...values: Value[]) => Row | undefined
  all: (...values: Value[]) => readonly Row[]
}>

/** One connection. Everything on it is synchronous. */
export type Driver = Readonly<{
  exec: (sql: string) => void
  prepare: (sql: string) => Statement
  inTransaction: () => boolean
  close: () => void
}>

/** Opens a connection to a file; read-only ones need the file to be there. `still`: read-only, and nobody may write meanwhile. */
export type OpenDriver = (file: string, access: 'write' | 'read' | 'still') => Driver

const BUSY_TIMEOUT_MS = 5_000

/** The driver that comes with Node. */
export const openNodeSqlite: OpenDriver = (file, access) => {
  const at = access === 'still' ? new URL(`${pathToFileURL(file).href}?immutable=1`) : file
  const database = new DatabaseSync(at, { readOnly: access !== 'write', timeout: BUSY_TIMEOUT_MS })
  return {
    exec: (sql) => database.exec(sql),
    prepare: (sql) => statementOf(database.prepare(sql)),
    inTransaction: () => database.isTransaction,
    close: () => database.close(),
  }
}

const statementOf = (statement: StatementSync): Statement => {
  statement.setReturnArrays(true)
  return {
    run: (...values) => Number(statement.run(...values).changes),
    get: (...values) => statement.get(...values) as unknown as Row | undefined,
    all: (...values) => statement.all(...values) as unknown as readonly Row[],
  }
}

/** SQLite's result codes that the journal tells apart (https://www.sqlite.org/rescode.html). */
const CODES = {
  error: 1,
  busy: 5,
  locked: 6,
  readonly: 8,
  ioerr: 10,
  corrupt: 11,
  full: 13,
  cantopen: 14,
  constraint: 19,
  notadb: 26,
} as const
const READONLY_MOVED = 1032
/** The index of a write-ahead log could not be made or grown. */
const INDEX: readonly number[] = [4618, 4874, 5386]
/** A primary key, a unique index, a rowid: the row is there already. */
const TAKEN: readonly number[] = [1555, 2067, 2579]

/** The extended result code of an error of the driver; undefined for any other error. */
export const resultCode = (error: unknown): number | undefined =>
  error instanceof Error && 'errcode' in error && typeof error.errcode === 'number'
    ? error.errcode
    : undefined

/**
 * Whether a file could not be opened because there is no room for the index of its write-ahead log. (What it means later
 * is another matter: the log may hold a commit then that the index does not know.)
 */
export const lacksIndex = (error: unknown): boolean => INDEX.includes(resultCode(error) ?? 0)

/** What SQLite says when the schema is not what a statement was written for. */
const UNLIKE =
  /^(?:no such (?:table|column|index)|table \S+ has |foreign key mismatch|near ".*": syntax error)/

/**
 * What an error of the driver means to whoever uses the journal at `path`. Any other error is given back as it is: it is a bug.
 */
export const storeError = (path: string, error: unknown): unknown => {
  const code = resultCode(error)
  if (code === undefined) return fileError(path, error)
  const why = (error as Error).message
  if (TAKEN.includes(code)) return new TenutoError('FENCED', { what: why }, error)
  if (code === READONLY_MOVED) return new TenutoError('STORE_BROKEN', { path, why }, error)
  switch (code & 0xff) {
    case CODES.full:
    case CODES.readonly:
    case CODES.busy:
    case CODES.locked:
      return new TenutoError('STORE_FULL', { path, why }, error)
    case CODES.corrupt:
    case CODES.notadb:
      return new TenutoError('STORE_CORRUPT', { path, why }, error)
    case CODES.constraint:
      return error
    case CODES.error:
      // Statements are ours and fit the schema that we made: one that names what is not there has met another.
      return new TenutoError(UNLIKE.test(why) ? 'STORE_CORRUPT' : 'STORE_BROKEN', { path, why }, error)
    default:
      return new TenutoError('STORE_BROKEN', { path, why }, error)
  }
}

/** Of the file system (`errno(3)`), for the files beside the journal. */
const fileError = (path: string, error: unknown): unknown => {
  if (!(error instanceof Error) || !('code' in error)) return error
  const why = error.message
  if (hasNoRoom(error)) return new TenutoError('STORE_FULL', { path, why }, error)
  return error.code === 'EIO' ? new TenutoError('STORE_BROKEN', { path, why }, error) : error
}
