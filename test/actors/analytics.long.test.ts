/**
 * More ways in which analytics may go wrong, each as harmless as those of `bug-a.long.test.ts`; and how it takes up where it was.
 */
import { closeSync, fstatSync, openSync, renameSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, onTestFinished, test } from 'vitest'
import type { GuestLimits } from '../../src/actors/guest-limits.ts'
import { backupHome, restoreHome } from '../../src/backup.ts'
import { systemClock } from '../../src/clock.ts'
import { serveHome } from '../../src/http/server.ts'
import type { TreeShape } from '../../src/views/shapes.ts'
import { PROGRAMS, type Trouble } from '../analytics/guests.ts'
import {
  expectHarmless,
  expectRecount,
  failuresIn,
  HASTY,
  hold,
  isCounted,
  openHome,
  runPlan,
  sectionOf,
} from '../analytics/troubled.ts'
import { ask } from '../http/served.ts'

const TROUBLES: readonly (readonly [Trouble, RegExp, Partial<GuestLimits>])[] = [
  ['throws at import', /it exited with 1: .*analytics was built without its function/, HASTY],
  ['rejects, later', /rejected, and nobody heard it/, HASTY],
  ['never greets', /it greeted nobody within 400 ms/, { ...HASTY, greetsWithinMs: 400 }],
  [
    'eats memory outside of its heap',
    /it uses \d+ MB of memory, and may use 300/,
    { ...HASTY, pingMs: 50, residentMb: 300 },
  ],
  ['floods', /it wrote more than 300000 bytes to its log/, HASTY],
  ['talks nonsense', /it was not understood: nonsense/, HASTY],
  ['talks without an end', /it said a line without an end/, HASTY],
  ['asks without waiting', /it asked again before it had its answer/, HASTY],
  ['talks all the time', /it said more than it was asked: pong/, HASTY],
  ['speaks another protocol', /it speaks protocol 99, and this build 1/, HASTY],
]

test.each(TROUBLES)('bug-a: analytics that %s is harmless, too', (trouble, why, limits) =>
  expectHarmless(trouble, why, limits),
)

test('given up, it is tried again without a new start of the runtime, and goes on from where it was', async () => {
  const { home, program, put } = openHome('sound')
  const runtime = await hold(home, program, {
    ...HASTY,
    failures: 2,
    delayMs: 10,
    coolMs: 50,
    coolMaxMs: 100,
  })
  await runPlan(runtime)
  await isCounted(runtime)
  const before = (await sectionOf(runtime)).data
  rmSync(program)
  process.kill(before?.pid ?? 0, 'SIGKILL')
  await expect.poll(async () => (await sectionOf(runtime)).error?.message ?? '').toMatch(/Cannot find module/)
  const ends = await runPlan(runtime)

  put('sound')

  await isCounted(runtime)
  expect(ends).toMatchObject({ last: 'succeeded' })
  expect((await sectionOf(runtime)).data?.restarts).toBeGreaterThan(1)
  await expectRecount(home, runtime)
})

test('killed again and again in the middle of its counting, nothing is missing and nothing is counted twice', async () => {
  const { home, program } = openHome('is killed while it counts')
  const runtime = await hold(home, program, { failures: 1_000, delayMs: 1, delayMaxMs: 1 })
  await runPlan(runtime)
  await expect.poll(async () => (await sectionOf(runtime)).data?.behind).toBe(0)
  expect((await sectionOf(runtime)).data?.restarts).toBeGreaterThan(2)
  await runtime.stop()

  writeFileSync(program, PROGRAMS.sound)
  const again = await hold(home, program, {})
  await isCounted(again)
  await expectRecount(home, again)
})

test('a guest that was stopped by a signal is ended and takes up where it was; it is gone when the runtime has stopped', async () => {
  const { home, program } = openHome('sound')
  const runtime = await hold(home, program, { ...HASTY, heapMb: 128, pingMs: 50, answersWithinMs: 2_000 })
  await runPlan(runtime)
  await isCounted(runtime)
  const first = (await sectionOf(runtime)).data?.pid ?? 0
  process.kill(first, 'SIGSTOP')
  onTestFinished(() => {
    if (isThere(first)) process.kill(first, 'SIGKILL')
  })
  await expect.poll(async () => (await sectionOf(runtime)).error?.message ?? '').toMatch(/did not answer/)
  await isCounted(runtime)
  const second = (await sectionOf(runtime)).data?.pid ?? 0

  await runtime.stop()

  expect(second).not.toBe(first)
  expect([isThere(first), isThere(second)]).toEqual([false, false])
})

test('a guest that does not answer is seen to be silent, with since when, long before it is ended', async () => {
  const { home, program } = openHome('sound')
  const runtime = await hold(home, program, { ...HASTY, heapMb: 128 })
  const served = await serveHome(runtime)
  onTestFinished(() => served.close())
  await runPlan(runtime)
  await isCounted(runtime)
  const pid = (await sectionOf(runtime)).data?.pid ?? 0
  process.kill(pid, 'SIGSTOP')
  onTestFinished(() => {
    if (isThere(pid)) process.kill(pid, 'SIGKILL')
  })

  const { json } = await ask(served.path, 'GET /api/v1/tree')
  const asked = await runtime.analytics()
  process.kill(pid, 'SIGCONT')

  const { children } = json as TreeShape
  const shown = children.find(({ id }) => id === 'analytics')
  expect(shown).toMatchObject({ state: 'stale, silent', last_error: null })
  expect(shown?.since_ms).toBeGreaterThanOrEqual(1_000)
  expect(asked).toMatchObject({ status: 'stale', numbers: null, data: { state: 'silent', pid, restarts: 0 } })
  expect(Date.parse(asked.data?.silent_since ?? '')).toBeGreaterThan(Date.parse(asked.as_of ?? 'never') - 1)
  await isCounted(runtime)
  expect(await runtime.analytics()).toMatchObject({ status: 'ok', data: { restarts: 0, silent_since: null } })
})

test.each([
  ['removed', (path: string) => rmSync(path)],
  [
    'replaced',
    (path: string) => {
      writeFileSync(`${path}.other`, 'no database'.repeat(1_000))
      renameSync(`${path}.other`, path)
    },
  ],
] as const)('numbers whose file was %s while they were counted are counted anew', async (_, hurt) => {
  const { home, program } = openHome('sound')
  const runtime = await hold(home, program, { ...HASTY, heapMb: 128 })
  await runPlan(runtime)
  await isCounted(runtime)

  hurt(join(home, 'analytics.db'))
  await runPlan(runtime)

  await expect.poll(async () => (await sectionOf(runtime)).data?.restarts).toBe(1)
  await isCounted(runtime)
  expect(failuresIn(home)[0]?.error).toMatch(/analytics.db was removed or replaced/)
  await expectRecount(home, runtime)
})

test.each([
  ['a row that somebody else has bent', "UPDATE tally SET tally = '{bent'"],
  ['a table that somebody else has dropped', 'DROP TABLE open_job'],
] as const)('numbers with %s while they were counted are counted anew', async (_, sql) => {
  const { home, program } = openHome('sound')
  const runtime = await hold(home, program, { ...HASTY, heapMb: 128 })
  await runPlan(runtime)
  await isCounted(runtime)
  const file = new DatabaseSync(join(home, 'analytics.db'), { timeout: 5_000 })
  file.exec(sql)
  file.close()

  await runPlan(runtime)

  await isCounted(runtime)
  await expectRecount(home, runtime)
})

test('numbers whose file is damaged while they are counted are right, also in the next life, which begins anew', async () => {
  const { home, program } = openHome('sound')
  const runtime = await hold(home, program, { ...HASTY, heapMb: 128 })
  await runPlan(runtime)
  await isCounted(runtime)
  const path = join(home, 'analytics.db')
  for (const each of [path, `${path}-wal`]) {
    const file = openSync(each, 'r+')
    writeSync(file, Buffer.alloc(fstatSync(file).size, 'damage '), 0)
    closeSync(file)
  }
  await runPlan(runtime)
  await isCounted(runtime)
  await expectRecount(home, runtime)
  const { pid, restarts = 0 } = (await sectionOf(runtime)).data ?? {}

  process.kill(pid ?? 0, 'SIGKILL')

  await expect.poll(async () => (await sectionOf(runtime)).data?.restarts).toBe(restarts + 1)
  await isCounted(runtime)
  await expectRecount(home, runtime)
})

test('what a life has counted is not said of the next, which begins anew', async () => {
  const { home, program, put } = openHome('sound')
  const runtime = await hold(home, program)
  await runPlan(runtime)
  await isCounted(runtime)
  const { pid } = (await sectionOf(runtime)).data ?? {}
  put('greets, and counts nothing')

  process.kill(pid ?? Number.NaN, 'SIGKILL')

  const begun = { restarts: 1, state: 'catching-up', cursor: null, behind: null, total: null }
  await expect.poll(async () => (await sectionOf(runtime)).data).toMatchObject(begun)
})

test('what retention has removed before it was counted is named as missed; the rest is counted', async () => {
  const { home, program } = openHome('sound')
  const without = await hold(home, null)
  await runPlan(without)
  await without.gc({ keep: 0 })
  await runPlan(without)
  await without.stop()

  const runtime = await hold(home, program, {})
  await isCounted(runtime)

  const { numbers, data } = await runtime.analytics()
  expect(data?.missed_steps).toBe((await runtime.prunedTo()) || 'nothing')
  expect(numbers?.total.plans).toMatchObject({ ended: { failed: 1 } })
})

test('a home that went back to a backup is counted anew', async () => {
  const { home, program } = openHome('sound')
  const first = await hold(home, program, {})
  await runPlan(first)
  await isCounted(first)
  await first.stop()
  const { path } = backupHome(home, undefined, systemClock)
  const second = await hold(home, program, {})
  await runPlan(second)
  await isCounted(second)
  await second.stop()

  await restoreHome(home, path, false, systemClock)

  const back = await hold(home, program, {})
  await isCounted(back)
  await expectRecount(home, back)
  expect((await back.analytics()).numbers?.total.plans?.ended).toEqual({ failed: 1 })
})

const isThere = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

test.each([
  ['a row that is no JSON', "UPDATE tally SET tally = '{bent'"],
  ['a table that is gone', 'DROP TABLE open_job'],
  ['a file that is no database', null],
] as const)('numbers with %s are counted anew', async (_, sql) => {
  const { home, program } = openHome('sound')
  const first = await hold(home, program, {})
  await runPlan(first)
  await isCounted(first)
  await first.stop()
  const path = join(home, 'analytics.db')
  if (sql === null) {
    rmSync(`${path}-wal`, { force: true })
    writeFileSync(path, 'no database'.repeat(1_000))
  } else {
    const file = new DatabaseSync(path)
    file.exec(sql)
    file.close()
  }

  const again = await hold(home, program, {})
  await runPlan(again)
  await isCounted(again)

  await expectRecount(home, again)
})
