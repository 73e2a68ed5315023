/**
 * Analytics in trouble: a home whose guest is a program that misbehaves, and all that must hold of it.
 */
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import type { GuestLimits } from '../../src/actors/guest-limits.ts'
import type { StepRow } from '../../src/journal/journal.ts'
import { sqliteReader } from '../../src/journal/reader.ts'
import type { Runtime } from '../../src/runtime.ts'
import { holdHome, openFolder, shellPlan } from '../audit/home.ts'
import { PROGRAMS, type Trouble } from './guests.ts'
import { expectFigures, type Recount, recount } from './recount.ts'

/** A plan of which each step, and their order, is known: one job at a time. */
const retry = { max: 2, delayMs: 1, factor: 1, maxDelayMs: 1, jitter: 0, on: ['exit'] }
const plan = {
  ...shellPlan({
    fetch: { run: 'true' },
    flaky: { needs: ['fetch'], run: 'test "$TENUTO_ATTEMPT" = 2', retry },
    broken: { needs: ['flaky'], run: 'exit 7', retry },
    after: { needs: ['broken'], run: 'true' },
    last: { needs: { broken: 'any' }, run: 'sleep 0.05' },
  }),
  name: 'nightly',
  maxParallel: 1,
}

/** Failures come soon and are given up soon; what is sound has all the time it wants. */
export const HASTY = {
  failures: 3,
  delayMs: 50,
  delayMaxMs: 1_000,
  coolMs: 600_000,
  heapMb: 32,
  outputBytes: 300_000,
} as const
/** The same, for one that is to answer soon. */
export const IMPATIENT: Partial<GuestLimits> = { ...HASTY, pingMs: 50, answersWithinMs: 300 }

/** A folder with a home and a program of analytics, which may be replaced. */
export const openHome = (trouble: Trouble | 'is missing') => {
  const folder = openFolder()
  const program = join(folder, 'guest.mjs')
  const put = (what: Trouble): void => writeFileSync(program, PROGRAMS[what])
  if (trouble !== 'is missing') put(trouble)
  return { home: join(folder, 'home'), program, put }
}

/** Holds the home, with that program as its analytics; null: without. */
export const hold = (
  home: string,
  program: string | null,
  limits: Partial<GuestLimits> = HASTY,
): Promise<Runtime> =>
  holdHome(home, {
    retention: { everyMs: 0 },
    ...(program === null ? {} : { analytics: true, ports: { analytics: { program, limits } } }),
  })

/** What the runtime says of it. */
export const sectionOf = async (runtime: Runtime) => (await runtime.state()).sections.analytics

/** Waits until everything is counted. */
export const isCounted = async (runtime: Runtime): Promise<void> => {
  await expect.poll(async () => (await sectionOf(runtime)).data).toMatchObject({ state: 'up', behind: 0 })
}

/** Runs the plan to its end; the ends of its jobs. */
export const runPlan = async (runtime: Runtime): Promise<Readonly<Record<string, string>>> => {
  const settled = await (await runtime.submit(plan)).settled()
  return Object.fromEntries(Object.entries(settled.jobs).map(([name, { state }]) => [name, state]))
}

const rowsOf = async (home: string): Promise<readonly StepRow[]> => {
  const reader = await sqliteReader(join(home, 'journal.db'))
  const rows = await reader.steps({ after: 0, limit: 100_000 })
  await reader.close()
  return rows
}
/** What happened, in order, without what differs between two runs of one plan, as that an attempt has lived for a second. */
const story = (rows: readonly StepRow[]): readonly string[] =>
  rows
    .filter(({ type }) => type !== 'begun')
    .map(({ address, type, from, to, reason, attempt }) =>
      [address.replace(/-[a-z2-7]{6}/, ''), type, from, to, reason, attempt].join(' '),
    )

/** Its numbers are those of the journal. */
export const expectRecount = async (home: string, runtime: Runtime): Promise<void> => {
  const rows = await rowsOf(home)
  const { names } = recount(rows)
  const { numbers, data } = await runtime.analytics()
  if (!numbers) throw new Error('analytics gives no numbers')
  expect(data).toMatchObject({ cursor: rows.at(-1)?.position, missed_steps: 0 })
  for (const figures of [numbers.total, ...numbers.plans, ...numbers.jobs]) {
    const key = [figures.plan ?? '', ...(figures.job === null ? [] : [figures.job])].join('/')
    expectFigures(figures, names.get(key) as Recount)
    names.delete(key)
  }
  expect([...names.keys()]).toEqual([])
}

type Told = Readonly<{ msg: string; error: string; state: string; again_in_ms: number }>
/** What was logged about a guest. */
export const failuresIn = (home: string): readonly Told[] =>
  readFileSync(join(home, 'daemon.log'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Told)
    .filter(({ msg }) => msg.startsWith('analytics failed'))

let undisturbed: ReturnType<typeof alone> | undefined
/** What the plan does without analytics. */
const withoutAnalytics = () => (undisturbed ??= alone())
const alone = async () => {
  const { home } = openHome('sound')
  const runtime = await hold(home, null)
  const ends = await runPlan(runtime)
  await runtime.stop()
  return { ends, told: story(await rowsOf(home)) }
}

/** Lets plans run beside a guest in trouble until it is given up; then mends it, and sees that nothing is missing. */
export const expectHarmless = async (
  trouble: Trouble | 'is missing',
  why: RegExp,
  limits: Partial<GuestLimits> = HASTY,
): Promise<void> => {
  const { ends, told } = await withoutAnalytics()
  const { home, program, put } = openHome(trouble)

  const runtime = await hold(home, program, limits)
  expect(await runPlan(runtime)).toEqual(ends)
  await expect.poll(async () => (await sectionOf(runtime)).data?.state).toBe('given-up')
  // It goes on without it as before.
  expect(await runPlan(runtime)).toEqual(ends)
  const section = await sectionOf(runtime)
  const asked = await runtime.analytics()
  const { degraded } = await runtime.state()
  await runtime.stop()

  expect(story(await rowsOf(home))).toEqual([...told, ...told])
  expect(section).toMatchObject({
    status: 'unavailable',
    error: { message: expect.stringMatching(why) as string },
  })
  expect(section.age_ms).toBeGreaterThan(0)
  expect(section.data).toMatchObject({ pid: null, restarts: 2 })
  const { failed_at: failedAt, next_try_at: nextTryAt } = section.data ?? {}
  expect(Date.parse(nextTryAt ?? '')).toBeGreaterThan(Date.parse(failedAt ?? 'never'))
  expect(asked).toMatchObject({ status: 'unavailable', numbers: null })
  expect(degraded).toBe(true)
  const failures = failuresIn(home)
  expect(failures.map(({ state }) => state)).toEqual(['waiting', 'waiting', 'open'])
  const [first = 0, second = 0, third = 0] = failures.map(({ again_in_ms }) => again_in_ms)
  expect(first).toBeGreaterThanOrEqual(HASTY.delayMs)
  expect(second).toBeGreaterThan(first)
  expect(third).toBe(HASTY.coolMs)
  const ownLog = join(home, 'analytics.log')
  if (existsSync(ownLog)) expect(statSync(ownLog).size).toBeLessThan(2_000_000)

  put('sound')
  const mended = await hold(home, program, {})
  await isCounted(mended)
  expect(await sectionOf(mended)).toMatchObject({ status: 'ok', error: null })
  await expectRecount(home, mended)
  await mended.stop()
}
