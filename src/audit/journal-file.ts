/**
 * The journal's file as the auditor reads it: with the driver alone, read-only, everything of one look from one moment, also while
 * a holder writes. No code of the journal is used, so that no mistake of it is repeated here.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import { crc32 } from 'node:zlib'
import { homeRoot } from '../attempt.ts'
import { TenutoError } from '../errors.ts'
import { goOnFrom } from '../home.ts'
import { bootId } from '../process.ts'
import { wordsOf } from '../thrown.ts'

/** A value of a column. */
export type Cell = null | number | string

/** One row: the values in the order of the columns asked for. */
export type Cells = readonly Cell[]

/** What the file says of itself. */
export type JournalHead = Readonly<{
  /** The random id that marks the processes of this home. */
  homeId: string
  epoch: number
  /** The last position given. */
  position: number
  mail: number
  dead: number
}>

/** The file at one moment. */
export type JournalFile = Readonly<{
  head: JournalHead
  /** Rows one after another, so that a long history never lies in memory as a whole. */
  rows: (sql: string, ...values: Cell[]) => Iterable<Cells>
}>

/** The schema this auditor reads. */
export const AUDITED_SCHEMA = 5
/** "TENU" (`PRAGMA application_id`). */
const APPLICATION_ID = 0x54454e55
/** Result codes of SQLite that say the file is not what it was (https://www.sqlite.org/rescode.html). */
const DAMAGED = new Set([11, 26])
/** A holder that folds its log back keeps a reader waiting for moments only. */
const PATIENCE_MS = 5_000

/**
 * Reads the journal at `path`, in one transaction; undefined when there is none. Nothing is written: where no holder has left a
 * log, the file is read as it stands.
 * @throws {TenutoError} `STORE_CORRUPT`; `STORE_GONE`; `SCHEMA_NEWER`; `STORE_BROKEN`, also for an older schema.
 */
export const readJournalFile = <T>(path: string, use: (file: JournalFile) => T): T | undefined => {
  // Before the journal, which is never behind it.
  const mark = readMark(path)
  if (!existsSync(path)) {
    if (existsSync(`${path}-wal`)) throw corrupt(path, 'it is gone, but its write-ahead log is there')
    if (existsSync(`${path}-mark`)) throw corrupt(path, 'it is gone')
    const attempts = join(dirname(path), 'attempts')
    const isLeft = existsSync(attempts) && readdirSync(attempts).some((name) => !name.startsWith('.'))
    if (isLeft) throw new TenutoError('STORE_GONE', { path, attempts })
    return undefined
  }
  if (logBytes(path) > 0) return readVia(path, path, use, mark)
  // Opening a file whose log is gone would make the log anew. What is read like this counts only if nobody has begun to write.
  const before = stampOf(path)
  try {
    const read = readVia(path, new URL(`${pathToFileURL(path).href}?immutable=1`), use, mark)
    if (isStill(path, before)) return read
  } catch (error) {
    if (isStill(path, before)) throw error
  }
  return readVia(path, path, use, mark)
}

const readVia = <T>(
  path: string,
  at: string | URL,
  use: (file: JournalFile) => T,
  mark: Mark | undefined,
): T => {
  let database: DatabaseSync | undefined
  try {
    if (statSync(path).size === 0) throw corrupt(path, 'it is empty')
    database = new DatabaseSync(at, { readOnly: true, timeout: PATIENCE_MS })
    database.exec('PRAGMA trusted_schema = 0; PRAGMA cell_size_check = 1; BEGIN')
    const file = fileOf(database, path)
    checkMark(path, file.head, mark)
    return use(file)
  } catch (error) {
    throw meaningOf(path, error)
  } finally {
    database?.close()
  }
}

/** What the mark beside a journal says: it was acknowledged, so the journal cannot stand before it. */
type Mark = JournalHead & Readonly<{ synced: boolean; boot: string }>

const readMark = (path: string): Mark | undefined => {
  try {
    const [, sum, text = ''] = /^(\d+) (.*)$/.exec(readFileSync(`${path}-mark`, 'utf8').trim()) ?? []
    if (Number(sum) !== crc32(text)) return undefined
    const { home, ...mark } = JSON.parse(text) as Omit<Mark, 'homeId'> & Readonly<{ home: string }>
    return { ...mark, homeId: home }
  } catch {
    // Without a mark there is nothing to compare with.
    return undefined
  }
}

const checkMark = (path: string, head: JournalHead, mark: Mark | undefined): void => {
  if (mark === undefined) return
  if (homeRoot(mark.homeId) !== homeRoot(head.homeId))
    throw corrupt(path, 'it is the journal of another home')
  // Commits that are not synced may go with the power.
  if (!mark.synced && mark.boot !== bootId()) return
  const behind = COUNTED.filter((what) => head[what] < mark[what])
  if (behind.length === 0) return
  const why = `it stands at step ${head.position} of epoch ${head.epoch}, and its mark at step ${mark.position} of epoch ${mark.epoch}: its write-ahead log is gone or cut short, or an older copy was put in its place (${goOnFrom(path)})`
  throw corrupt(path, why)
}
const COUNTED = ['epoch', 'position', 'mail', 'dead'] as const

const fileOf = (database: DatabaseSync, path: string): JournalFile => {
  const rows = (sql: string, ...values: Cell[]): Iterable<Cells> => {
    const statement = database.prepare(sql)
    statement.setReturnArrays(true)
    return statement.iterate(...values) as unknown as Iterable<Cells>
  }
  const one = (sql: string): Cells | undefined => [...rows(sql)][0]
  if (one('PRAGMA application_id')?.[0] !== APPLICATION_ID)
    throw corrupt(path, 'it is a database, but not a journal of tenuto')
  const found = Number(one('PRAGMA user_version')?.[0])
  if (found > AUDITED_SCHEMA) throw new TenutoError('SCHEMA_NEWER', { path, found, known: AUDITED_SCHEMA })
  if (found < AUDITED_SCHEMA) {
    if (isSealed(one)) throw corrupt(path, `its schema is not ${found}, as it says`)
    const why = `its schema ${found} is older than ${AUDITED_SCHEMA}; the next command that changes something migrates it`
    throw new TenutoError('STORE_BROKEN', { path, why })
  }
  const meta = one('SELECT home, epoch, position, mail, dead FROM meta WHERE id = 1')
  if (meta === undefined) throw corrupt(path, 'it does not say whose it is')
  if (!isSealed(one)) throw corrupt(path, 'its own row is not what was written')
  const [homeId, epoch, position, mail, dead] = meta as [string, number, number, number, number]
  return { head: { homeId, epoch, position, mail, dead }, rows }
}

/** Whether what the file says of itself is sealed under the present schema; one of an older has no seal, or another. */
const isSealed = (one: (sql: string) => Cells | undefined): boolean => {
  const hasSeal = one(`SELECT 1 FROM pragma_table_info('meta') WHERE name = 'crc'`) !== undefined
  const row = hasSeal
    ? one('SELECT home, epoch, position, mail, dead, crc FROM meta WHERE id = 1')
    : undefined
  return row !== undefined && isWhole([...row.slice(0, -1), AUDITED_SCHEMA, row.at(-1) ?? null])
}

/** What SQLite's own look at the structure says: nothing, or what is damaged. Reads the whole file. */
export const structureOf = (file: JournalFile): readonly string[] => [
  ...brokenDefinitions(file),
  ...[...file.rows('PRAGMA integrity_check(20)')]
    .map(([line]) => String(line))
    .filter((line) => line !== 'ok'),
  ...strangePages(file),
]

/** What an empty table or index lies on may be a page of another kind, which the look at the structure does not see. */
const strangePages = (file: JournalFile): readonly string[] =>
  [...file.rows("SELECT name, tbl_name, type FROM sqlite_schema WHERE type IN ('table', 'index')")].flatMap(
    ([name, table, type]) => {
      const by = type === 'index' ? `INDEXED BY ${name}` : 'NOT INDEXED'
      try {
        for (const _ of file.rows(`SELECT NULL FROM ${table} ${by} LIMIT 1`)) break
        return []
      } catch (error) {
        return [`${name}: ${wordsOf(error)}`]
      }
    },
  )

/** A reader takes definitions of tables that a writer refuses; made anew in memory, each must be good. */
const brokenDefinitions = (file: JournalFile): readonly string[] => {
  const memory = new DatabaseSync(':memory:')
  try {
    return [
      ...file.rows('SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type DESC'),
    ].flatMap(([name, sql]) => {
      try {
        memory.exec(String(sql))
        return []
      } catch (error) {
        return [`the definition of ${name}: ${wordsOf(error)}`]
      }
    })
  } finally {
    memory.close()
  }
}

/** Whether the crc at the end of a row fits what stands before it. */
export const isWhole = (row: Cells): boolean => crc32(row.slice(0, -1).join('\n')) === row.at(-1)

/** How many bytes the write-ahead log of a journal has. */
export const logBytes = (path: string): number =>
  statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0

const stampOf = (path: string): string => {
  const { ino, size, mtimeMs } = statSync(path)
  return `${ino} ${size} ${mtimeMs}`
}

const isStill = (path: string, before: string): boolean =>
  existsSync(path) && logBytes(path) === 0 && stampOf(path) === before

const corrupt = (path: string, why: string): TenutoError => new TenutoError('STORE_CORRUPT', { path, why })

const meaningOf = (path: string, error: unknown): unknown => {
  if (error instanceof TenutoError || !(error instanceof Error)) return error
  const code = 'errcode' in error ? Number(error.errcode) & 0xff : undefined
  if (code === undefined) return error
  // A table or column that is not there: this is no file that a journal has written.
  const damaged = DAMAGED.has(code) || code === 1
  return new TenutoError(damaged ? 'STORE_CORRUPT' : 'STORE_BROKEN', { path, why: error.message }, error)
}

/** What a look at the file alone says. */
export type JournalFacts = Readonly<{
  schema: number
  bytes: number
  walBytes: number
  plans: number
  steps: number
  /** What is wrong with its structure; null when nothing is. */
  damage: string | null
  /** When the last step was taken, in epoch milliseconds; null before the first. */
  lastAt: number | null
  /** The boot of the machine in which the last holder began; null before the first. */
  boot: string | null
}>

/**
 * Reads what the file says of itself; undefined when there is none.
 * @throws {TenutoError} as `readJournalFile`.
 */
export const readJournalFacts = (path: string): JournalFacts | undefined =>
  readJournalFile(path, ({ rows }) => {
    const one = (sql: string): Cell => [...rows(sql)][0]?.[0] ?? null
    const structure = String(one('PRAGMA quick_check(1)'))
    return {
      schema: Number(one('PRAGMA user_version')),
      bytes: statSync(path).size,
      walBytes: logBytes(path),
      plans: Number(one('SELECT count(*) FROM plan')),
      steps: Number(one('SELECT count(*) FROM step')),
      damage: structure === 'ok' ? null : structure,
      lastAt: one('SELECT at FROM step ORDER BY position DESC LIMIT 1') as number | null,
      boot: one('SELECT boot_id FROM boot ORDER BY epoch DESC LIMIT 1') as string | null,
    }
  })
