import assert from 'node:assert/strict'
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, onTestFinished, test } from 'vitest'
import { isTenutoError } from '../../src/errors.ts'
import { type Driver, type OpenDriver, openNodeSqlite, storeError } from '../../src/journal/driver.ts'
import type { Journal } from '../../src/journal/journal.ts'
import { sqliteReader } from '../../src/journal/reader.ts'
import { type Durability, sqliteJournal } from '../../src/journal/sqlite.ts'
import { failsWith } from '../support/failing.ts'
import {
  BOOT,
  batch,
  everything,
  jobAddress,
  jobOf,
  mail,
  mailOf,
  moved,
  planAddress,
  planOf,
} from './batches.ts'
import { start } from './child.ts'
import { folder } from './folder.ts'
import { journalSuite, type Medium } from './journal.suite.ts'
import { pruningSuite } from './pruning.suite.ts'

const medium = (): Medium => {
  const home = mkdtempSync(join(tmpdir(), 'tenuto-journal-'))
  const file = join(home, 'journal.db')
  return {
    open: (boot) => sqliteJournal({ file, boot: { ...BOOT, ...boot }, durability: 'full' }),
    reader: () => sqliteReader(file),
    remove: () => rmSync(home, { recursive: true }),
  }
}

journalSuite('sqlite', medium)
pruningSuite('sqlite', medium)

const P = 'p-aaaaaa'
const Q = 'q-bbbbbb'
const A = jobAddress(P, 'a')
const change = batch({ plans: [planOf(P)], ...moved(0, A, 0), jobs: [jobOf(P, 'a', 0)] })

const openIn = async (home: string, open: OpenDriver = openNodeSqlite, durability: Durability = 'full') => {
  const journal = await sqliteJournal({ file: join(home, 'journal.db'), boot: BOOT, durability, open })
  onTestFinished(() => journal.close())
  return journal
}

/** A journal and the connection it writes with. */
const withConnection = async (home: string, durability: Durability = 'full') => {
  let connection: Driver | undefined
  const journal = await openIn(
    home,
    (file, access) => {
      connection = openNodeSqlite(file, access)
      return connection
    },
    durability,
  )
  assert(connection)
  return { journal, connection }
}

test.each([
  ['full', 2],
  ['normal', 1],
] as const)('durability %s is what the connection says of itself', async (durability, synchronous) => {
  const { connection } = await withConnection(folder(), durability)

  const pragma = (name: string) => connection.prepare(`PRAGMA ${name}`).get()?.[0]

  expect(pragma('journal_mode')).toBe('wal')
  expect(pragma('synchronous')).toBe(synchronous)
  expect(pragma('busy_timeout')).toBe(5_000)
  for (const name of ['fullfsync', 'checkpoint_fullfsync', 'foreign_keys', 'cell_size_check']) {
    expect([name, pragma(name)]).toEqual([name, 1])
  }
  for (const name of ['trusted_schema', 'mmap_size']) expect([name, pragma(name)]).toEqual([name, 0])
})

test.each([
  ['PRAGMA synchronous', 0],
  ['PRAGMA journal_mode', 'delete'],
  ['SELECT sqlite_version()', '3.51.2'],
])('a connection on which %s says %s is refused', async (sql, value) => {
  const lying: OpenDriver = (file, access) => {
    const driver = openNodeSqlite(file, access)
    const prepare: Driver['prepare'] = (text) => {
      const statement = driver.prepare(text)
      return text === sql ? { ...statement, get: () => [value] } : statement
    }
    return { ...driver, prepare }
  }

  await failsWith('STORE_BROKEN', openIn(folder(), lying))
})

test('kill -9 in a commit loop loses nothing that was acknowledged', async () => {
  const home = folder()
  const file = join(home, 'journal.db')
  let acknowledged = 0
  for (const commits of [1, 60, 7, 200, 23]) {
    const child = start('commit-loop.ts', [file])
    for (let i = 0; i < commits; i += 1) acknowledged = Number((await child.lines.next()).value)
    await child.kill()
    for (let line = await child.lines.next(); !line.done; line = await child.lines.next())
      acknowledged = Number(line.value)

    const reader = await sqliteReader(file)
    const steps = await reader.steps({ after: 0, limit: 100_000 })
    await reader.close()
    // The last commit may be there without its acknowledgement.
    expect([acknowledged, acknowledged + 1]).toContain(steps.length)
    expect(steps.every(({ position, seq }, i) => position === i + 1 && seq === i + 1)).toBe(true)
  }
  const journal = await openIn(home)
  expect(journal.opening).toMatchObject({ epoch: 6, clean: false })
  expect(await journal.mail()).toHaveLength(journal.opening.position)
  expect((await journal.actor(jobAddress('p-aaaaaa', 'loop')))?.seq).toBe(journal.opening.position)
})

test.each([
  ['the journal is removed', 'file', (file: string) => rmSync(file)],
  [
    'an older copy is put in the place of the journal',
    'file',
    (file: string) => renameSync(`${file}-old`, file),
  ],
  ['the write-ahead log is removed', 'log', (file: string) => rmSync(`${file}-wal`)],
  ['the index of the log is removed', 'log', (file: string) => rmSync(`${file}-shm`)],
] as const)(
  '%s while it is held: that is noticed, and what was committed since can be saved',
  async (_, what, displace) => {
    const home = folder()
    const [file, to] = [join(home, 'journal.db'), join(home, 'copy.db')]
    const journal = await openIn(home)
    await journal.commit(change)
    copyFileSync(file, `${file}-old`)
    const before = journal.displaced()

    displace(file)
    await journal.commit(batch({ ...moved(1, A, 1), jobs: [jobOf(P, 'a', 0)] }))
    const noticed = journal.displaced()
    const copy = journal.salvage(to)
    await journal.stop(false)

    expect([before, noticed, copy]).toEqual([null, what, what === 'file' ? to : null])
    expect(existsSync(to)).toBe(what === 'file')
    const reader = await sqliteReader(copy ?? file)
    onTestFinished(() => reader.close())
    expect(await reader.steps({ after: 0, limit: 10 })).toHaveLength(2)
  },
)

test('a commit does not fail because the length of its log cannot be looked at', async () => {
  const home = folder()
  const log = join(home, 'journal.db-wal')
  const journal = await openIn(home)
  await journal.commit(change)

  // What stands in for a folder without leave, which keeps no root from anything: a link that leads to itself.
  rmSync(log)
  symlinkSync(log, log)
  for (let n = 1; n <= 16; n += 1) await journal.commit(batch(moved(n, A, n)))

  expect(await journal.head()).toMatchObject({ position: 17 })
  expect(journal.displaced()).toBeNull()
})

test('a full disk fails the commit without a trace; when there is room, the same commit works', async () => {
  const { journal, connection } = await withConnection(folder())
  const big = batch({ ...change, outputs: [{ plan: P, name: 'a', outputs: 'x'.repeat(200_000) }] })
  const before = await everything(journal, [P])

  connection.exec('PRAGMA max_page_count = 1')
  for (let i = 0; i < 3; i += 1) await failsWith('STORE_FULL', journal.commit(big))

  expect(await everything(journal, [P])).toEqual(before)
  connection.exec('PRAGMA max_page_count = 1000000')
  await journal.commit(big)
  expect((await journal.outputs(P)).get('a')).toHaveLength(200_000)
})

test('a file that may not be written, or that another connection writes, fails the commit; afterwards it works', async () => {
  const home = folder()
  const { journal, connection } = await withConnection(home)

  connection.exec('PRAGMA query_only = 1')
  await failsWith('STORE_FULL', journal.commit(change))
  connection.exec('PRAGMA query_only = 0; PRAGMA busy_timeout = 0')
  const other = new DatabaseSync(join(home, 'journal.db'))
  other.exec('BEGIN IMMEDIATE')
  await failsWith('STORE_FULL', journal.commit(change))
  other.close()

  expect(await journal.plans()).toEqual([])
  await journal.commit(change)
  expect(await journal.actor(A)).toBeDefined()
})

test('after an I/O error nothing is tried again, and the failed commit is not there after the next boot', async () => {
  const home = folder()
  let failing = false
  const broken: OpenDriver = (file, access) => {
    const driver = openNodeSqlite(file, access)
    const exec: Driver['exec'] = (sql) => {
      if (failing && sql === 'COMMIT') throw Object.assign(new Error('disk I/O error'), { errcode: 1034 })
      driver.exec(sql)
    }
    return { ...driver, exec }
  }
  const journal = await openIn(home, broken)

  failing = true
  await failsWith('STORE_BROKEN', journal.commit(change))
  failing = false
  await failsWith('STORE_BROKEN', journal.commit(change))
  await journal.stop(true)

  const next = await openIn(home)
  expect(next.opening).toMatchObject({ position: 0, clean: false })
  await next.commit(change)
})

/** Changes one bit of every place in the file at which this text stands. */
const flip = (file: string, text: string): void => {
  const bytes = readFileSync(file)
  let places = 0
  for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at + 1), places += 1) {
    bytes[at + 2] = (bytes[at + 2] ?? 0) ^ 1
  }
  assert(places > 0, `${text} is not in the file`)
  writeFileSync(file, bytes)
}

test('a flipped bit in a row is told by the address of its actor; the rest stays readable', async () => {
  const home = folder()
  const file = join(home, 'journal.db')
  const journal = await openIn(home)
  const good = jobAddress(Q, 'b')
  const one = moved(0, A, 0, 1, { snapshot: '{"value":"actorMark"}' })
  const two = moved(1, good, 0)
  await journal.commit(
    batch({
      plans: [planOf(P), planOf(Q)],
      steps: [...one.steps.map((step) => ({ ...step, event: '{"type":"stepMark"}' })), ...two.steps],
      actors: [...one.actors, ...two.actors],
    }),
  )
  await journal.stop(true)

  flip(file, 'actorMark')
  flip(file, 'stepMark')

  const next = await openIn(home)
  const told = (error: unknown) => {
    assert(isTenutoError(error, 'STORE_CORRUPT'))
    assert.equal(error.fields['address'], A)
    assert.match(error.message, /row of job:p-aaaaaa\/a seq 1/)
    return true
  }
  await assert.rejects(next.actor(A), told)
  await assert.rejects(next.actors(P), told)
  await assert.rejects(next.steps({ after: 0, limit: 10, plan: P }), told)
  expect(await next.plans()).toHaveLength(2)
  expect(await next.actors(Q)).toHaveLength(1)
  expect(await next.steps({ after: 1, limit: 10 })).toEqual(two.steps)
  await next.commit(batch(moved(2, good, 1)))
})

test('an actor whose row is gone is not taken for a new one, and its plan is told of as damaged', async () => {
  const home = folder()
  const { journal, connection } = await withConnection(home)
  const plan = planAddress(P)
  const [one, two] = [moved(0, plan, 0), moved(1, A, 0)]
  await journal.commit(
    batch({
      plans: [planOf(P)],
      steps: [...one.steps, ...two.steps],
      actors: [...one.actors, ...two.actors],
    }),
  )
  connection.exec('DELETE FROM actor')

  await failsWith('STORE_CORRUPT', journal.actor(A))

  expect(await journal.actor(jobAddress(P, 'never'))).toBeUndefined()
  expect(await journal.plan(P)).toMatchObject({ state: 'quarantined', damaged: true })
})

test('a state that nobody has written is found among the plans that wait for somebody', async () => {
  const { journal, connection } = await withConnection(folder())
  await journal.commit(batch({ plans: [planOf(P)], ...moved(0, planAddress(P), 0) }))
  connection.exec("UPDATE actor SET state = 'rtnning'")

  expect(await journal.plans({ states: ['running'] })).toEqual([])
  expect(await journal.plans({ states: ['quarantined'] })).toMatchObject([{ id: P, damaged: true }])
})

test('a damaged message is its own plan’s, or the whole journal’s where nobody can tell whose it is', async () => {
  const { journal, connection } = await withConnection(folder())
  await journal.commit(
    batch({ plans: [planOf(P), planOf(Q)], ...mail({ added: [mailOf(1, A), mailOf(2, planAddress(Q))] }) }),
  )
  connection.exec("UPDATE mail SET event = '{}' WHERE id = 1")

  expect(await journal.addressed()).toEqual([A, planAddress(Q)])
  await failsWith('STORE_CORRUPT', journal.mail(P))
  expect(await journal.mail(Q)).toHaveLength(1)

  connection.exec("UPDATE mail SET address = 'job:p-aaabaa/a' WHERE id = 1")
  await failsWith('STORE_CORRUPT', journal.addressed())
})

test('a file that itself says it may not be written is damaged, and not waited for', async () => {
  const home = folder()
  const file = join(home, 'journal.db')
  await (await openIn(home)).stop(true)
  const bytes = readFileSync(file)
  bytes[18] = 3
  writeFileSync(file, bytes)

  await failsWith('STORE_CORRUPT', openIn(home))

  expect(readFileSync(file).equals(bytes)).toBe(true)
})

test('a broken structure is found at the boot after a crash, and the file is left as it is', async () => {
  const home = folder()
  const file = join(home, 'journal.db')
  const journal: Journal = await openIn(home)
  const names = Array.from({ length: 200 }, (_, i) => `j${i}`)
  await journal.commit(batch({ plans: [planOf(P)], jobs: names.map((name, i) => jobOf(P, name, i)) }))
  await journal.close()
  const bytes = readFileSync(file)
  const page = Math.floor(bytes.indexOf('j100') / 4_096)
  bytes.fill(0xaa, page * 4_096, page * 4_096 + 512)
  writeFileSync(file, bytes)

  await failsWith('STORE_CORRUPT', openIn(home))

  expect(readFileSync(file).equals(bytes)).toBe(true)
})

test('a reader works beside a holder, sees what was committed, and never keeps the log from being folded back', async () => {
  const home = folder()
  const { journal, connection } = await withConnection(home)
  const reader = await sqliteReader(join(home, 'journal.db'))
  const plan = planAddress(P)
  await journal.commit(batch({ plans: [planOf(P)] }))

  for (let i = 0; i < 50; i += 1) {
    await journal.commit(batch(moved(i, plan, i)))
    expect((await reader.plan(P))?.seq).toBe(i + 1)
  }

  expect(connection.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get()).toEqual([0, 0, 0])
  expect(await reader.steps({ after: 0, limit: 100 })).toHaveLength(50)
  await reader.close()
  await reader.close()
  await failsWith('STOPPED', reader.plans())
})

test.each([
  ['SELECT * FROM plan_rgvision', 'STORE_CORRUPT'],
  ['SELECT rgvision FROM plan_revision', 'STORE_CORRUPT'],
  ['COMMIT', 'STORE_BROKEN'],
])('what a statement meets that the schema does not fit is damage to it: %s', async (statement, code) => {
  const { connection } = await withConnection(folder())
  const met = (): unknown => {
    try {
      return connection.exec(statement)
    } catch (error) {
      return storeError('journal.db', error)
    }
  }

  expect(met()).toMatchObject({ code })
})
