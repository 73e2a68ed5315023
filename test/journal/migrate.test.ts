import assert from 'node:assert/strict'
import {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, test } from 'vitest'
import { isTenutoError } from '../../src/errors.ts'
import { type Driver, type OpenDriver, openNodeSqlite } from '../../src/journal/driver.ts'
import type { Journal } from '../../src/journal/journal.ts'
import { emptyReader, sqliteReader } from '../../src/journal/reader.ts'
import { SCHEMA, type Schema } from '../../src/journal/schema.ts'
import { sqliteJournal } from '../../src/journal/sqlite.ts'
import { failsWith } from '../support/failing.ts'
import { BOOT, batch, everything, jobAddress, moved, planOf } from './batches.ts'
import { folder } from './folder.ts'

const P = 'p-aaaaaa'

const open = (file: string, schema: Schema = SCHEMA) =>
  sqliteJournal({ file, boot: BOOT, durability: 'full', schema })

/** A journal with one plan, closed in order. */
const written = async (): Promise<string> => {
  const file = join(folder(), 'journal.db')
  const journal = await open(file)
  await journal.commit(batch({ plans: [planOf(P)], ...moved(0, jobAddress(P, 'a'), 0) }))
  await journal.stop(true)
  return file
}

const userVersion = (file: string): unknown => {
  const database = new DatabaseSync(file)
  const row = database.prepare('PRAGMA user_version').get()
  database.close()
  return row?.['user_version']
}

test('a new file has its schema and is closed to others; no draft is left', async () => {
  const file = await written()

  expect(userVersion(file)).toBe(SCHEMA.version)
  expect(statSync(file).mode & 0o777).toBe(0o600)
  expect(readdirSync(join(file, '..')).filter((name) => name.includes('new'))).toEqual([])
})

test('a draft that a dead process left behind is no obstacle', async () => {
  const file = join(folder(), 'journal.db')
  writeFileSync(`${file}.new`, 'half a file')

  await (await open(file)).stop(true)

  expect(userVersion(file)).toBe(SCHEMA.version)
})

test('an older schema is brought up step by step, after a copy of the file as it was', async () => {
  const file = await written()
  const before = await sqliteReader(file).then((reader) => everything(reader, [P]))
  const newer: Schema = {
    version: SCHEMA.version + 2,
    create: '',
    migrations: [
      { from: SCHEMA.version, sql: 'CREATE TABLE extra (a TEXT) STRICT' },
      { from: SCHEMA.version + 1, sql: "INSERT INTO extra VALUES ('second')" },
    ],
  }

  const journal = await open(file, newer)

  expect(await everything(journal, [P])).toEqual(before)
  await journal.stop(true)
  expect(userVersion(file)).toBe(newer.version)
  const copy = await sqliteReader(`${file}.schema-${SCHEMA.version}`)
  expect(await everything(copy, [P])).toEqual(before)
  await copy.close()
  expect(statSync(`${file}.schema-${SCHEMA.version}`).mode & 0o777).toBe(0o600)
  await (await open(file, newer)).stop(true)
})

test('a migration that fails changes nothing; the older version still opens the file', async () => {
  const file = await written()
  const bad = (sql: string): Schema => ({
    version: SCHEMA.version + 2,
    create: '',
    migrations: [
      { from: SCHEMA.version, sql: 'CREATE TABLE extra (a TEXT) STRICT; DROP TABLE mail' },
      { from: SCHEMA.version + 1, sql },
    ],
  })

  await failsWith('STORE_BROKEN', open(file, bad('INSERT INTO extra VALUES (abs(-9223372036854775808))')))
  await failsWith('STORE_BROKEN', open(file, { ...bad(''), version: SCHEMA.version + 3 }))

  expect(userVersion(file)).toBe(SCHEMA.version)
  const journal = await open(file)
  expect(await journal.mail()).toEqual([])
  await journal.stop(true)
})

/** A driver whose nth change, counted over all connections, fails so. */
const failingAt = (nth: number, errcode: number) => {
  let count = 0
  const change = (): void => {
    count += 1
    if (count === nth) throw Object.assign(new Error('the store is in trouble'), { errcode })
  }
  const open: OpenDriver = (file, access) => {
    const driver = openNodeSqlite(file, access)
    if (access === 'read' || file === ':memory:') return driver
    const prepare: Driver['prepare'] = (sql) => {
      const statement = driver.prepare(sql)
      if (!/^(?:UPDATE|INSERT|DELETE|VACUUM)/.test(sql.trim())) return statement
      const run: typeof statement.run = (...values) => {
        change()
        return statement.run(...values)
      }
      return { ...statement, run }
    }
    const exec: Driver['exec'] = (sql) => {
      if (sql !== 'ROLLBACK') change()
      driver.exec(sql)
    }
    return { ...driver, exec, prepare }
  }
  return { open, reached: () => count >= nth }
}

test.each([
  ['full', 13, 'STORE_FULL'],
  ['broken', 778, 'STORE_BROKEN'],
] as const)(
  'a store that is %s at any moment of a migration leaves the file as it was',
  async (_, errcode, code) => {
    const home = folder()
    const file = join(home, 'journal.db')
    const content = (): string => {
      const database = new DatabaseSync(file, { readOnly: true })
      const tables = database
        .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'table' ORDER BY name")
        .all()
      const rows = tables.map(({ name }) => database.prepare(`SELECT * FROM ${String(name)}`).all())
      const version = database.prepare('PRAGMA user_version').get()
      database.close()
      return JSON.stringify([version, tables, rows])
    }
    copyFileSync(join(import.meta.dirname, 'fixtures/schema-1.db'), file)
    const before = content()

    for (let nth = 1; ; nth += 1) {
      const { open, reached } = failingAt(nth, errcode)
      const opening = sqliteJournal({ file, boot: BOOT, durability: 'full', open })
      const opened = await opening.then(
        (journal) => journal,
        (error: unknown) => error,
      )
      if (userVersion(file) === SCHEMA.version || !reached()) {
        // What fails now comes after the migration, which stands.
        expect(nth).toBeGreaterThan(20)
        if (!isTenutoError(opened)) await (opened as Journal).stop(true)
        break
      }
      expect(isTenutoError(opened, code), `${nth}: ${String(opened)}`).toBe(true)
      expect(content(), String(nth)).toBe(before)
      expect(
        readdirSync(home).filter((name) => name.endsWith('.new')),
        String(nth),
      ).toEqual([])
    }
    const journal = await open(file)
    expect(await journal.plans()).toHaveLength(2)
    await journal.stop(true)
  },
)

test('an older file that is damaged is not rewritten', async () => {
  const home = folder()
  const file = join(home, 'journal.db')
  copyFileSync(join(import.meta.dirname, 'fixtures/schema-2.db'), file)
  const database = new DatabaseSync(file, { defensive: false })
  database.exec(
    "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'plan_name') WHERE name = 'step_fence'",
  )
  database.close()
  const before = readFileSync(file, 'base64')

  await failsWith('STORE_CORRUPT', open(file))

  expect(readFileSync(file, 'base64')).toBe(before)
  expect(readdirSync(home).filter((name) => name.includes('.schema-'))).toEqual([])
})

test('a newer schema is refused and not a byte is touched, also where its write-ahead log was not folded back', async () => {
  const file = await written()
  const writer = new DatabaseSync(file)
  // A newer version seals what the file says of itself under its own number.
  writer.exec('PRAGMA user_version = 7; UPDATE meta SET crc = crc + 1')
  const crashed = join(folder(), 'journal.db')
  for (const end of ['', '-wal']) copyFileSync(file + end, crashed + end)
  writer.close()

  for (const one of [file, crashed]) {
    const bytes = () => ['', '-wal'].map((end) => existsSync(one + end) && readFileSync(one + end, 'base64'))
    const before = bytes()

    for (const opening of [open(one), sqliteReader(one)]) {
      await assert.rejects(opening, (error) => {
        assert(isTenutoError(error, 'SCHEMA_NEWER'))
        assert.deepEqual([error.fields['found'], error.fields['known']], [7, SCHEMA.version])
        return true
      })
    }

    const after = bytes()
    expect(after[0]).toEqual(before[0])
    expect(after[1] || '').toEqual(before[1] || '')
  }
})

test('what is no journal is refused, never made anew', async () => {
  const file = await written()
  const noise = Buffer.alloc(20_000, 'noise')
  const damages: readonly (() => void)[] = [
    () => truncateSync(file),
    () => writeFileSync(file, noise),
    () => {
      truncateSync(file)
      const other = new DatabaseSync(file)
      other.exec('CREATE TABLE theirs (a)')
      other.close()
    },
  ]
  for (const damage of damages) {
    damage()
    const before = readFileSync(file, 'base64')

    await failsWith('STORE_CORRUPT', open(file))
    await failsWith('STORE_CORRUPT', sqliteReader(file))

    expect(readFileSync(file, 'base64')).toBe(before)
  }
})

test('a journal that is gone while its write-ahead log is there is damage', async () => {
  const file = join(folder(), 'journal.db')
  writeFileSync(`${file}-wal`, 'the last commits')

  await failsWith('STORE_CORRUPT', open(file))

  expect(existsSync(file)).toBe(false)
})

test('a missing file reads as empty, and reading makes nothing', async () => {
  const home = folder()

  const reader = await sqliteReader(join(home, 'none', 'journal.db'))

  expect(reader).toBe(emptyReader)
  expect(await everything(reader, [P])).toEqual({
    plans: [],
    steps: [],
    mail: [],
    dead: [],
    each: [{ jobs: [], outputs: [], actors: [], steps: [], mail: [] }].map((each) => ({
      plan: undefined,
      revision: undefined,
      actor: undefined,
      ...each,
    })),
  })
  await reader.close()
  expect(readdirSync(home)).toEqual([])
})
