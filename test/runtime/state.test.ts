/**
 * The state document: whatever section is stuck or throws, it comes at once, says so, and the others stand; what it says of jobs that
 * live is what their rows say.
 *
 * Mutations that were planted once, and each found: a view that forgets to take out who comes into another state; `degraded` left out for
 * a section that throws.
 */
import { expect, onTestFinished, test } from 'vitest'
import { createRuntime, definePlan } from '../../src/index.ts'
import type { Journal } from '../../src/journal/journal.ts'
import { memoryJournal } from '../../src/journal/memory.ts'
import { memoryDisk } from '../../src/journal/memory-disk.ts'
import { type Core, type Looks, stateDocument } from '../../src/runtime/state.ts'
import type { Runtime, RuntimeOptions } from '../../src/runtime.ts'
import { virtualClock } from '../../src/testing/virtual-clock.ts'
import { LIVE_STATES, liveOf } from '../../src/views/live.ts'
import { gates } from '../http/served.ts'

const BOOT = { bootId: 'boot', pid: 1, build: 'test', at: 0 }

const open = async (options: RuntimeOptions = {}): Promise<Runtime & { journal: Journal }> => {
  const journal = await memoryJournal(memoryDisk('home'), BOOT)
  const ports = { journal: async () => journal, ...options.ports }
  const runtime = await createRuntime({ ...options, ports })
  onTestFinished(() => runtime.stop())
  return { ...runtime, journal }
}

const NAMES = [
  'plans',
  'slots',
  'timers',
  'supervision',
  'attempts',
  'journal',
  'sweep',
  'analytics',
  'inspector',
  'http',
] as const

const coreOf = (clock: Core['clock']): Core => ({
  clock,
  build: () => ({}) as ReturnType<Core['build']>,
  holder: { boot_id: 'boot', pid: 1, started_at: '', command: 'a test' },
  mode: () => ({ mode: 'running', reason: null, since: null, by: null }),
  lag: { worst: () => 0.4 },
  live: { now: () => liveOf(7, []) },
  counts: () => ({ restarts: 1, repairs: 2, duplicates: 3 }),
  check: () => {},
})
const SOUND = Object.fromEntries(NAMES.map((name) => [name, () => ({ data: null })])) as unknown as Looks

const document = (broken: Partial<Looks>) => {
  const clock = virtualClock()
  return { clock, read: stateDocument(coreOf(clock), { ...SOUND, ...broken }) }
}

test.each(NAMES)(
  '%s stuck for ten seconds, or throwing, is told with its error and age, and the others are ok',
  async (name) => {
    let how: 'well' | 'stuck' | 'throws' = 'well'
    const look = () => {
      if (how === 'throws') throw new Error('no')
      return how === 'well' ? { data: null } : new Promise<never>(() => {})
    }
    const { clock, read } = document({ [name]: look })
    expect(await read()).toMatchObject({ degraded: false, position: 7, counts: { restarts: 1 } })

    for (how of ['throws', 'stuck'] as const) {
      const asked = read()
      await clock.advance(50)
      await asked
      await clock.advance(9_000)
      // At once: the clock does not move.
      const state = await read()
      expect(state.degraded).toBe(true)
      for (const other of NAMES)
        expect([other, state.sections[other].status]).toEqual([other, other === name ? 'unavailable' : 'ok'])
      expect(state.sections[name]).toMatchObject({
        error: { code: 'SECTION_UNAVAILABLE' },
        age_ms: expect.any(Number),
      })
      // What was stuck for so long is asked anew, and that is waited for no longer than before.
      await clock.advance(2_000)
      const anew = read()
      await clock.advance(50)
      expect((await anew).sections[name].status).toBe('unavailable')
    }
  },
)

test('attempts that cannot be looked at are counted by what runs on record, and not by what was seen once', async () => {
  let isStuck = false
  const attempts: Looks['attempts'] = () =>
    isStuck ? new Promise<never>(() => {}) : { data: { live: 2, running: 2 } }
  const { clock, read } = document({ attempts })
  expect((await read()).counts.attempts_live).toBe(2)

  isStuck = true
  const asked = read()
  await clock.advance(50)
  const state = await asked

  expect(state.sections.attempts).toMatchObject({ status: 'stale', data: { live: 2 } })
  expect(state.counts.attempts_live).toBe(0)
})

test('a journal whose reads never answer costs its section, and neither the document nor the work', async () => {
  const gate = gates()
  const journal = await memoryJournal(memoryDisk('home'), BOOT)
  let isStuck = false
  const totals: Journal['totals'] = () => (isStuck ? new Promise(() => {}) : journal.totals())
  const runtime = await open({
    handlers: { wait: gate.handler },
    ports: { journal: async () => ({ ...journal, totals }) },
  })
  const plan = await runtime.submit(definePlan({ name: 'p', jobs: { a: { call: 'wait' } } }))
  await gate.begun('a')
  await runtime.state()

  isStuck = true
  await runtime.state()
  const state = await runtime.state()

  expect(state.sections.plans).toMatchObject({
    status: expect.not.stringMatching('ok'),
    data: { in_memory: 1 },
  })
  expect(state.running).toMatchObject([{ plan: plan.id, job: 'a', attempt: 1, reason: null }])
  gate.open('a')
  expect((await plan.settled()).state).toBe('succeeded')
})

test('a runtime that can do nothing more has no state', async () => {
  const runtime = await open({
    ports: {
      faults: (at) => {
        if ('part' in at && at.part === 'slots') throw new Error('always')
      },
    },
    handlers: { give: () => ({}) },
  })
  await runtime.submit(definePlan({ name: 'p', jobs: { a: { call: 'give' } } }))
  await runtime.failed

  await expect(runtime.state()).rejects.toMatchObject({ code: 'CORE_GONE', http: 503 })
})

test('what lives by the steps that were shown is what the rows say, also after whoever shows them was replaced', async () => {
  let calls = 0
  const runtime = await open({
    maxParallel: 5,
    handlers: {
      flaky: ({ attempt, job }) => {
        if (job === 'never' || attempt < 3) throw new Error('again')
        return {}
      },
    },
    ports: {
      faults: (at) => {
        if ('part' in at && at.part === 'projector' && at.call === 'show' && [10, 30].includes(++calls))
          throw new Error('no')
      },
    },
  })
  const retry = { max: 3, delay: '20ms', jitter: 0 } as const
  const jobs = Object.fromEntries(
    Array.from({ length: 30 }, (_, n) => [
      `j${n}`,
      { call: 'flaky', retry, needs: n < 10 ? [] : [`j${n - 10}`] },
    ]),
  )
  const gate = { approve: { prompt: 'Go on?' } }
  const never = { call: 'flaky', retry: { max: 1, delay: '1h' } } as const
  await Promise.all(
    ['a', 'b', 'c'].map((name) => runtime.submit(definePlan({ name, jobs: { ...jobs, gate, never } }))),
  )
  let succeeded = 0
  for await (const { to, job = '' } of runtime.events({ after: 0 })) {
    if (job.startsWith('j') && to === 'succeeded') succeeded += 1
    if (succeeded === 90) break
  }
  await runtime.idle()

  const state = await runtime.state()
  const rows = await runtime.journal.jobsIn({ states: LIVE_STATES })
  const shapes = [...state.running, ...state.retrying, ...state.waiting]
  const shown = shapes.map(({ plan, job, attempt, since, reason }) =>
    [plan, job, attempt, since, reason].join(' '),
  )
  const kept = rows.map(({ plan, name, attempt, since, reason }) =>
    [plan, name, attempt, new Date(since).toISOString(), reason].join(' '),
  )
  expect(new Set(shown)).toEqual(new Set(kept))
  expect(state.waiting.map(({ job }) => job)).toEqual(['gate', 'gate', 'gate'])
  expect(calls).toBeGreaterThan(30)
  expect(state.counts.restarts).toBeGreaterThan(0)
  expect(state.retrying.length).toBeGreaterThanOrEqual(3)
})

test('of each kind the hundred that have been so for the longest are shown, and the others are counted', async () => {
  const live = liveOf(
    1,
    Array.from({ length: 250 }, (_, n) => ({
      plan: 'p-aaaaaa',
      name: `j${n}`,
      index: n,
      place: 'released' as const,
      state: n < 150 ? 'running' : 'backoff',
      reason: n < 150 ? null : 'backoff',
      unmet: 0,
      generation: 1,
      attempt: 1,
      since: 1_000 - n,
      embodied: true,
    })),
  )
  const core = { ...coreOf(virtualClock()), live: { now: () => live } }

  const state = await stateDocument(core, SOUND)()

  expect(state.more).toEqual({ running: 50, retrying: 0, waiting: 0 })
  expect(state.running.slice(0, 2).map(({ job }) => job)).toEqual(['j149', 'j148'])
  expect(state.retrying).toHaveLength(100)
})
