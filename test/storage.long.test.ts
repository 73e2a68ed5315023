/**
 * A store that is in trouble: full, write-protected, failing. What was acknowledged is there, what was not has not happened, and where
 * the trouble passes the runtime goes on by itself.
 *
 * Mutations that were planted once, and each found: effects before the commit; a failed commit that keeps what it had decided; a stop
 * that fails because the store is full; a log whose line cannot be written ends the process.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../src/clock.ts'
import { isTenutoError } from '../src/errors.ts'
import { type Driver, type OpenDriver, openNodeSqlite } from '../src/journal/driver.ts'
import { type Batch, EMPTY_BATCH, type StepRow } from '../src/journal/journal.ts'
import { sqliteReader } from '../src/journal/reader.ts'
import { sqliteJournal } from '../src/journal/sqlite.ts'
import { definePlan, type JobSource } from '../src/plans/define-plan.ts'
import { createRuntime, type RuntimeOptions } from '../src/runtime.ts'
import { readHome } from '../src/unserved.ts'
import { smallDisk } from './support/small-disk.ts'

const openHome = (): string => {
  const folder = mkdtempSync(join(tmpdir(), 'tenuto-storage-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'home')
}

/** Trouble at the nth time that the connection does this, and so often in a row. */
type Trouble = Readonly<{ at: 'begin' | 'write' | 'commit'; nth: number; times: number; errcode: number }>

/** A driver with trouble. `count` says how often each was done. */
const troubled = (trouble: Trouble) => {
  const count = { begin: 0, write: 0, commit: 0 }
  const meet = (what: keyof typeof count): void => {
    count[what] += 1
    if (trouble.at !== what || count[what] < trouble.nth || count[what] >= trouble.nth + trouble.times) return
    throw Object.assign(new Error('the store is in trouble'), { errcode: trouble.errcode })
  }
  const open: OpenDriver = (file, access) => {
    const driver = openNodeSqlite(file, access)
    if (access === 'read' || file === ':memory:') return driver
    const exec: Driver['exec'] = (sql) => {
      if (sql === 'BEGIN IMMEDIATE') meet('begin')
      if (sql === 'COMMIT') meet('commit')
      driver.exec(sql)
    }
    const prepare: Driver['prepare'] = (sql) => {
      const statement = driver.prepare(sql)
      if (!sql.startsWith('INSERT INTO step')) return statement
      return {
        ...statement,
        run: (...values) => {
          meet('write')
          return statement.run(...values)
        },
      }
    }
    return { ...driver, exec, prepare }
  }
  return { open, count }
}

const HERE = { bootId: 'boot', pid: 1, build: 'test', at: 0 }
/** Waits are cut short: what is tried again is tried at once. */
const hasty = { ...systemClock, setTimeout: (wake: () => void) => systemClock.setTimeout(wake, 0) }

const definition = definePlan({
  name: 'p',
  maxParallel: 2,
  jobs: {
    a: { call: 'give' },
    b: { call: 'give', needs: ['a'] },
    c: { call: 'give', needs: ['a'] },
    bad: { call: 'fail', retry: { max: 1, delay: '1ms' }, optional: true },
    last: { call: 'give', needs: ['b', 'c'] },
  },
})

const lineOf = ({ position, address, type, to }: StepRow): string => `${position} ${address} ${type} ${to}`

/** What came of a life: its end, the calls that were made, and what was acknowledged. */
const live = async (home: string, open: OpenDriver) => {
  const calls: string[] = []
  const acknowledged: string[] = []
  const runtime = await createRuntime({
    home,
    // What looks in by itself would look in all the time where every wait is cut short, and meet the trouble itself.
    sweepMs: 0,
    retention: { everyMs: 0 },
    handlers: {
      give: ({ job, attempt }) => {
        calls.push(`${job}#${attempt}`)
        return { by: job }
      },
      fail: ({ job, attempt }) => {
        calls.push(`${job}#${attempt}`)
        throw new Error('it fails')
      },
    },
    ports: {
      clock: hasty,
      journal: async () => {
        const file = join(home, 'journal.db')
        const journal = await sqliteJournal({ file, boot: HERE, durability: 'normal', open })
        const commit = async (batch: Batch): Promise<void> => {
          await journal.commit(batch)
          acknowledged.push(...batch.steps.map(lineOf))
        }
        return { ...journal, commit }
      },
    },
  })
  const failed = runtime.failed.then((error) => ({ error }))
  /** As any client does that is refused. */
  const submit = (): ReturnType<typeof runtime.submit> =>
    runtime.submit(definition, { key: 'k' }).catch((error: unknown) => {
      if (!isTenutoError(error, 'STORE_FULL')) throw error
      return new Promise<void>((resolve) => void setImmediate(resolve)).then(submit)
    })
  const run = async () => (await submit()).settled()
  const end = await Promise.race([run(), failed]).catch((error: unknown) => ({ error }))
  const { failedCommits } = runtime.counts()
  await runtime.stop()
  return { end, calls: calls.toSorted(), acknowledged, failedCommits }
}

const committed = async (home: string): Promise<readonly string[]> => {
  const reader = await sqliteReader(join(home, 'journal.db'))
  const steps = await reader.steps({ after: 0, limit: 1_000 })
  await reader.close()
  return steps.map(lineOf)
}

const endOf = (life: Awaited<ReturnType<typeof live>>): unknown =>
  'state' in life.end
    ? [
        life.end.state,
        ...Object.values(life.end.jobs).map(({ name, state, outputs }) => [name, state, outputs]),
      ]
    : life.end.error

const homeFor = (): string => {
  const home = openHome()
  mkdirSync(home, { mode: 0o700 })
  return home
}

/** The first transaction opens the journal; without it nobody was told anything. */
const FIRST = { begin: 2, write: 1, commit: 2 } as const
/** How many commits a life has depends on what ends together, but not so much. */
const MOMENTS_LEAST = 4

const [FULL, READ_ONLY, IO_WRITE, IO_SYNC] = [13, 8, 778, 1034]

test.each([
  ['full', FULL, ['write', 'commit']],
  ['write-protected', READ_ONLY, ['begin']],
] as const)(
  'a store that is %s at any moment loses nothing; what runs waits for it, and what is refused can be asked again',
  async (_, errcode, places) => {
    const undisturbed = await live(homeFor(), openNodeSqlite)

    for (const at of places) {
      for (let nth = FIRST[at]; ; nth += 1) {
        const home = homeFor()
        const faulty = troubled({ at, nth, times: 1 + (nth % 3), errcode })
        const life = await live(home, faulty.open)
        const where = `${at} ${nth}`
        if (faulty.count[at] < nth) {
          expect(nth, where).toBeGreaterThan(MOMENTS_LEAST)
          break
        }

        expect(endOf(life), where).toEqual(endOf(undisturbed))
        expect(life.calls, where).toEqual(undisturbed.calls)
        expect(life.acknowledged, where).toEqual(await committed(home))
        expect(life.failedCommits, where).toBeGreaterThan(0)
      }
    }
  },
)

test('an I/O error at any moment ends the runtime; the next start goes on from the last commit that was reported', async () => {
  for (const at of ['begin', 'write', 'commit'] as const) {
    for (let nth = FIRST[at]; ; nth += 1) {
      const home = homeFor()
      const faulty = troubled({ at, nth, times: 1, errcode: IO_WRITE })
      const broken = await live(home, faulty.open)
      const where = `${at} ${nth}`
      if (faulty.count[at] < nth) {
        expect(nth, where).toBeGreaterThan(MOMENTS_LEAST)
        break
      }
      expect('error' in broken.end && isTenutoError(broken.end.error, 'STORE_BROKEN'), where).toBe(true)
      expect(await committed(home), where).toEqual(broken.acknowledged)

      const next = await live(home, openNodeSqlite)

      expect(endOf(next), where).toMatchObject(['succeeded', ['a', 'succeeded', { by: 'a' }], {}, {}, {}, {}])
      // A call ends with its process: what was in flight is announced as lost and made again, and nothing else.
      const again = next.calls.map((call) => call.split('#')[0])
      const ended = broken.acknowledged.filter(
        (step) => step.endsWith(' succeeded') && step.includes(' job:'),
      )
      for (const step of ended) expect(again, where).not.toContain(/\/(\w+)/.exec(step)?.[1])
    }
  }
})

test('a store that is full at the very start refuses the start, and the next one finds all as it was', async () => {
  const home = homeFor()

  const opening = live(home, troubled({ at: 'begin', nth: 1, times: 1, errcode: FULL }).open)
  await expect(opening).rejects.toMatchObject({ code: 'STORE_FULL' })

  expect(endOf(await live(home, openNodeSqlite))).toMatchObject(['succeeded', {}, {}, {}, {}, {}])
})

test('an I/O error while the log is folded back ends the runtime at its next commit', async () => {
  const home = homeFor()
  let connection: Driver | undefined
  const open: OpenDriver = (file, access) => {
    const driver = openNodeSqlite(file, access)
    const exec: Driver['exec'] = (sql) => {
      if (sql.startsWith('PRAGMA wal_checkpoint'))
        throw Object.assign(new Error('the store is in trouble'), { errcode: IO_SYNC })
      driver.exec(sql)
    }
    return (connection = { ...driver, exec })
  }
  const journal = await sqliteJournal({
    file: join(home, 'journal.db'),
    boot: HERE,
    durability: 'full',
    open,
  })
  for (let i = 0; i < 128; i += 1)
    await journal.commit({ ...EMPTY_BATCH, loading: [{ plan: 'p', times: i + 1 }] })

  await expect(journal.commit(EMPTY_BATCH)).rejects.toMatchObject({ code: 'STORE_BROKEN' })

  expect(connection?.inTransaction()).toBe(false)
  await journal.stop(true)
  const reader = await sqliteReader(join(home, 'journal.db'))
  expect(await reader.loading('p')).toBe(128)
  await reader.close()
})

test('on a disk that is really full a plan waits, says so, and goes on when there is room', async ({
  skip,
}) => {
  const folder = openHome()
  const disk = smallDisk(folder, 1)
  if (disk === null) return skip('this user may not mount a file system')
  const home = join(folder, 'home')
  let go = (): void => {}
  const full = new Promise<void>((resolve) => {
    go = resolve
  })
  const calls: string[] = []
  const options: RuntimeOptions = {
    home,
    handlers: {
      give: async ({ job }) => {
        calls.push(job)
        await full
        return { text: job.repeat(500) }
      },
    },
  }
  const jobs: Record<string, JobSource> = Object.fromEntries(
    Array.from({ length: 30 }, (_, i) => [
      `job-${i}`,
      { call: 'give', needs: i < 5 ? [] : [`job-${i - 5}`] },
    ]),
  )
  const runtime = await createRuntime(options)
  const plan = await runtime.submit(definePlan({ name: 'p', jobs }))
  disk.fill()
  go()

  await expect.poll(() => runtime.counts().failedCommits).toBeGreaterThan(2)
  const during = await runtime.catalog.plan(plan.id)
  await expect(runtime.command(plan.id, null, { do: 'cancel' })).rejects.toMatchObject({ code: 'STORE_FULL' })
  await expect(runtime.submit(definePlan({ name: 'q', jobs }))).rejects.toMatchObject({ code: 'STORE_FULL' })
  disk.makeRoom()
  const end = await plan.settled()
  await runtime.stop()

  expect(during.state).toBe('running')
  expect(end.state).toBe('succeeded')
  expect(calls).toHaveLength(30)
  expect(runtime.storage().status).toBe('ok')
  const again = await createRuntime(options)
  expect((await again.catalog.job(plan.id, 'job-29')).outputs).toEqual({ text: 'job-29'.repeat(500) })
  const log = readFileSync(join(home, 'daemon.log'), 'utf8')
  expect(log.split('the store cannot be written')).toHaveLength(2)
  expect(log.split('the store can be written again')).toHaveLength(2)

  // Nor does a full disk keep anybody from stopping.
  disk.fill()
  await again.stop()
  disk.fill()
  await expect(createRuntime(options)).rejects.toMatchObject({ code: 'STORE_FULL' })
  disk.makeRoom()
  await (await createRuntime(options)).stop()
})

test('a full disk keeps nobody from reading a home that was left in order, nor from trying a write when nothing is pending', async ({
  skip,
}) => {
  const folder = openHome()
  const disk = smallDisk(folder, 1)
  if (disk === null) return skip('this user may not mount a file system')
  const home = join(folder, 'home')
  const runtime = await createRuntime({ home, handlers: { give: () => ({}), fail: () => ({}) } })
  const plan = await runtime.submit(definition)
  await plan.settled()
  disk.fill()
  for (let refused = false; !refused; )
    refused = await runtime.submit(definition).then(
      () => false,
      (error: unknown) => isTenutoError(error, 'STORE_FULL'),
    )
  await runtime.idle()
  expect((await runtime.state()).degraded).toBe(true)
  // What is tried while nothing waits really writes: it fails as long as there is no room.
  await expect.poll(() => runtime.storage().data.tries).toBeGreaterThan(5)
  disk.makeRoom()
  await expect.poll(() => runtime.storage().status).toBe('ok')
  const before = (await runtime.catalog.plans()).map(({ id, state }) => [id, state])
  await runtime.stop()

  rmSync(join(home, 'journal.db-shm'), { force: true })
  disk.fill()
  const reading = await readHome(home)
  expect((await reading.plans()).map(({ id, state }) => [id, state])).toEqual(before)
  expect((await reading.jobs(plan.id)).map(({ state }) => state)).toEqual(
    Array.from({ length: 5 }, () => 'succeeded'),
  )
  // Once somebody writes, nothing that is read as if it stood still counts any more.
  disk.makeRoom()
  const next = await createRuntime({ home, handlers: { give: () => ({}), fail: () => ({}) } })
  await (await next.submit(definition)).settled()
  await expect(reading.plans()).rejects.toMatchObject({ code: 'STORE_BROKEN' })
  await reading.close()
  await next.stop()
})
