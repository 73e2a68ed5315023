import { expect, test } from 'vitest'
import type { AttemptNews } from '../../src/actors/attempts.ts'
import type { Needs } from '../../src/actors/calls.ts'
import { resident } from '../../src/actors/directory.ts'
import type { ProcessExecutor } from '../../src/actors/executor.ts'
import { type ExecutorNews, processAttempts } from '../../src/actors/processes.ts'
import {
  type AttemptReport,
  attemptDir,
  LOG_LIMITS,
  OUTCOMES,
  type Spec,
  type StopOrder,
} from '../../src/attempt.ts'
import { graphOf, openRows } from '../../src/machines/board.ts'
import { virtualClock } from '../../src/testing/virtual-clock.ts'
import { type JobSketch, planOf, rowOf } from '../support/definitions.ts'

type Asked = Readonly<{ ensure: Spec } | { stop: StopOrder } | { sweep: string } | { close: true }>

const RECORD: AttemptReport['record'] = {
  v: 1,
  key: 'h/p-aaaaaa/a/1',
  outcome: 'exit',
  code: 3,
  signal: null,
  startedAt: 10,
  endedAt: 20,
  durationMs: 10,
  pid: 77,
  leftovers: 0,
  log: { bytes: 0 },
}

/** Process attempts over an executor that only notes what it is asked. */
const made = (
  jobs: Readonly<Record<string, JobSketch>>,
  needs: () => Promise<Needs> = async () => ({}),
  bootedSince: number | null = null,
  secrets: () => Readonly<Record<string, string>> = () => ({}),
) => {
  const clock = virtualClock()
  const definition = planOf(jobs, { env: { FROM: 'plan', BOTH: 'plan' } })
  const graph = graphOf(definition)
  const row = { ...rowOf('p-aaaaaa', 0), base: '/base', environment: '{"PATH":"/bin","BOTH":"submitter"}' }
  const of = resident(row, definition, graph, openRows('p-aaaaaa', graph, 0))
  const asked: Asked[] = []
  let watched: ReadonlySet<string> | undefined
  const told: (readonly [string, string, AttemptNews])[] = []
  let news: ExecutorNews = { report: () => {}, stopping: () => {}, found: () => {}, begun: () => {} }
  const executor = (given: ExecutorNews): ProcessExecutor => {
    news = given
    return {
      ensure: (spec) => asked.push({ ensure: spec }),
      stop: (order) => asked.push({ stop: order }),
      awaits: (key) => key.endsWith('/awaited/1'),
      awaitsPlan: () => false,
      sweepPlan: (plan) => asked.push({ sweep: plan }),
      live: async () => [],
      watched: async () => watched,
      silentSince: () => undefined,
      close: async () => {
        asked.push({ close: true })
      },
    }
  }
  const attempts = processAttempts({
    home: '/home',
    homeId: 'h',
    bootedSince,
    clock,
    executor,
    needs,
    secrets,
    tell: (plan, job, news) => told.push([plan, job, news]),
  })
  const ref = (job: string, attempt = 1) => ({ resident: of, job, attempt, generation: 1 })
  const specs = () => asked.flatMap((each) => ('ensure' in each ? [each.ensure] : []))
  const report: ExecutorNews['report'] = (end) => news.report(end)
  const stopping: ExecutorNews['stopping'] = (attempt, why) => news.stopping(attempt, why)
  const found: ExecutorNews['found'] = (attempt, how, pid) => news.found(attempt, how, pid)
  const begun: ExecutorNews['begun'] = (attempt, pid) => news.begun(attempt, pid)
  /** What the runner says that it watches; undefined when it says nothing. */
  const watch = (...keys: readonly (string | undefined)[]): void => {
    watched = keys.includes(undefined) ? undefined : new Set(keys as readonly string[])
  }
  return { clock, attempts, asked, told, ref, specs, report, stopping, found, begun, watch }
}

test.each([
  ['shell text', { kind: 'run', run: 'echo' }, ['sh', '-eu', '-c', 'echo']],
  ['bash text', { kind: 'run', run: 'echo', shell: 'bash' }, ['bash', '-euo', 'pipefail', '-c', 'echo']],
  ['a program', { kind: 'exec', exec: ['ls', '-l'] }, ['ls', '-l']],
] as const)('%s becomes program and arguments', (_, sketch, argv) => {
  const { attempts, ref, specs } = made({ a: sketch })

  attempts.ensure(ref('a'), null, false)

  expect(specs()).toEqual([
    {
      key: 'h/p-aaaaaa/a/1',
      plan: 'p-aaaaaa',
      job: 'a',
      attempt: 1,
      generation: 1,
      dir: attemptDir('/home', 'p-aaaaaa', 'a', 1),
      ...LOG_LIMITS,
      argv,
      cwd: '/base',
      env: { PATH: '/bin', BOTH: 'plan', FROM: 'plan' },
      graceMs: 10_000,
    },
  ])
})

test('what a job says of folder, environment and limits is what its attempt gets; the deadline as what is left of it', () => {
  const { attempts, ref, specs, clock } = made({
    a: {
      kind: 'run',
      run: 'x',
      cwd: 'sub',
      env: { BOTH: 'job' },
      timeoutMs: 1,
      stallMs: 2,
      graceMs: 3,
      deadlineMs: 99,
    },
    b: { kind: 'run', run: 'x', cwd: '/elsewhere' },
  })

  attempts.ensure(ref('a'), clock.now() + 40, false)
  attempts.ensure(ref('b'), clock.now() - 40, true)

  expect(specs()[0]).toMatchObject({
    cwd: '/base/sub',
    env: { BOTH: 'job', FROM: 'plan', PATH: '/bin' },
    timeoutMs: 1,
    stallMs: 2,
    graceMs: 3,
    deadlineMs: 40,
  })
  expect(specs()[1]).toMatchObject({ cwd: '/elsewhere', deadlineMs: 0 })
})

test('an attempt gets what came before; a stop that comes while that is read waits its turn', async () => {
  let give = (_: Needs): void => {}
  const { attempts, ref, asked } = made(
    { a: {}, b: { kind: 'run', run: 'x', needs: ['a'] } },
    () =>
      new Promise((resolve) => {
        give = resolve
      }),
  )
  attempts.ensure(ref('b'), null, false)
  attempts.stop(ref('b'), 'stop-cancel', false)
  attempts.stop(ref('b', 2), 'stop-timeout', true)
  expect(asked).toEqual([
    { stop: expect.objectContaining({ attempt: 2, why: 'timeout', graceMs: 0 }) as StopOrder },
  ])

  await new Promise((resolve) => setImmediate(resolve))
  give({ a: { result: 'succeeded', outputs: { n: 1 } } })
  await new Promise((resolve) => setImmediate(resolve))

  expect(asked.slice(1)).toEqual([
    { ensure: expect.objectContaining({ needs: '{"a":{"result":"succeeded","outputs":{"n":1}}}' }) as Spec },
    { stop: expect.objectContaining({ attempt: 1, why: 'cancelled', graceMs: 10_000 }) as StopOrder },
  ])
})

test('an attempt whose needs cannot be read has not begun, and says why', async () => {
  const { attempts, ref, asked, told } = made({ a: {}, b: { kind: 'run', run: 'x', needs: ['a'] } }, () =>
    Promise.reject(new Error('the store is away')),
  )

  attempts.ensure(ref('b'), null, false)
  await new Promise((resolve) => setImmediate(resolve))

  expect(asked).toEqual([])
  expect(told).toEqual([
    [
      'p-aaaaaa',
      'b',
      expect.objectContaining({ outcome: 'never-started', error: 'the store is away' }) as AttemptNews,
    ],
  ])
})

test('a report becomes the end of the attempt, with what is worth telling and nothing else', () => {
  const { report, told } = made({ a: {} })
  const record = RECORD
  const base = { key: record.key, plan: 'p-aaaaaa', job: 'a', attempt: 1, generation: 1, dir: '/x' }

  report({ ...base, record, outputs: undefined, warnings: [] })
  report({
    ...base,
    record: { ...record, outcome: 'succeeded', leftovers: 2, error: 'odd' },
    outputs: { a: 1 },
    warnings: ['a line was left out'],
  })

  const plain = {
    type: 'attempt.ended',
    attempt: 1,
    generation: 1,
    outcome: 'exit',
    code: 3,
    signal: null,
    startedAt: 10,
    endedAt: 20,
    pid: 77,
  }
  expect(told).toEqual([
    ['p-aaaaaa', 'a', plain],
    [
      'p-aaaaaa',
      'a',
      {
        ...plain,
        outcome: 'succeeded',
        leftovers: 2,
        error: 'odd',
        outputs: { a: 1 },
        warnings: ['a line was left out'],
      },
    ],
  ])
})

test('of an attempt that did not succeed no outputs are told, only what was wrong with them', () => {
  const { report, told } = made({ a: {} })
  const base = { key: RECORD.key, plan: 'p-aaaaaa', job: 'a', attempt: 1, generation: 1, dir: '/x' }
  const outcomes = OUTCOMES.filter((outcome) => outcome !== 'succeeded')

  for (const outcome of outcomes)
    report({ ...base, record: { ...RECORD, outcome }, outputs: { a: 1 }, warnings: ['a line was left out'] })

  expect(told.map(([, , news]) => news)).toEqual(
    outcomes.map(
      (outcome) => expect.objectContaining({ outcome, warnings: ['a line was left out'] }) as unknown,
    ),
  )
  for (const [, , news] of told) expect(news).not.toHaveProperty('outputs')
})

test('an attempt that was asked for before the machine was booted says so, and no other', () => {
  // The rows of these plans are of the moment 0.
  const rebooted = (bootedSince: number | null, ...asked: readonly boolean[]) => {
    const { attempts, ref, specs, report } = made({ a: {} }, undefined, bootedSince)
    for (const recovered of asked) attempts.ensure(ref('a'), null, recovered)
    const { key } = specs()[0] as Spec
    report({
      ...ref('a'),
      key,
      plan: 'p-aaaaaa',
      dir: '/x',
      record: RECORD,
      outputs: undefined,
      warnings: [],
    })
    attempts.ensure(ref('a'), null, true)
    return specs().map((spec) => spec.rebooted ?? false)
  }

  expect(rebooted(null, true)).toEqual([false, false])
  expect(rebooted(0, true)).toEqual([false, false])
  expect(rebooted(1, true)).toEqual([true, true])
  expect(rebooted(Number.POSITIVE_INFINITY, true, true)).toEqual([true, true, true])
  // What this process began it asks for again after a failed commit, and the machine was not booted in between.
  expect(rebooted(Number.POSITIVE_INFINITY, false, true)).toEqual([false, false, true])
})

test.each([
  ['timeout', 'stop-timeout'],
  ['stall', 'stop-stall'],
  ['deadline', 'stop-deadline'],
  ['log-limit', 'stop-log-limit'],
] as const)('an attempt that the runner stops for its %s makes its job say so', (limit, why) => {
  const { stopping, told } = made({ a: {} })

  stopping({ key: 'h/p-aaaaaa/a/2', plan: 'p-aaaaaa', job: 'a', attempt: 2, generation: 3, dir: '/x' }, limit)

  expect(told).toEqual([['p-aaaaaa', 'a', { type: 'attempt.stopping', attempt: 2, generation: 3, why }]])
})

test('what another process began is asked for as recovered until it is found; what it is goes to its job', () => {
  const { attempts, ref, specs, asked, found, told } = made({ a: {}, b: {} })
  const a = { key: 'h/p-aaaaaa/a/1', plan: 'p-aaaaaa', job: 'a', attempt: 1, generation: 1, dir: '/x' }

  attempts.ensure(ref('a'), null, true)
  attempts.stop(ref('a'), 'stop-cancel', false)
  found(a, 'adopted', 7)
  attempts.ensure(ref('a'), null, true)
  attempts.stop(ref('a'), 'stop-cancel', true)
  attempts.ensure(ref('b'), null, false)
  attempts.ensure(ref('b'), null, true)

  const isRecovered = asked.map((each) => {
    const order = 'stop' in each ? each.stop : 'ensure' in each ? each.ensure : undefined
    return order?.recovered ?? false
  })
  expect(isRecovered).toEqual([true, true, false, false, false, false])
  expect(specs()).toHaveLength(4)
  expect(told).toEqual([
    ['p-aaaaaa', 'a', { type: 'attempt.found', attempt: 1, generation: 1, how: 'adopted', pid: 7 }],
  ])
})

test('what is on record as begun is asked for as begun, also to be stopped; another attempt of its job is not', () => {
  const { attempts, ref, asked, begun, told } = made({ a: {} })

  attempts.ensure(ref('a'), null, true)
  begun({ key: 'h/p-aaaaaa/a/1', plan: 'p-aaaaaa', job: 'a', attempt: 1, generation: 1, dir: '/x' }, 7)
  ref('a').resident.begun.set('a', 1)
  attempts.ensure(ref('a'), null, true)
  attempts.stop(ref('a'), 'stop-cancel', false)
  attempts.ensure(ref('a', 2), null, false)

  const hasBegun = asked.map((each) => {
    const order = 'stop' in each ? each.stop : 'ensure' in each ? each.ensure : undefined
    return order?.begun ?? false
  })
  expect(hasBegun).toEqual([false, true, true, false])
  expect(told).toEqual([['p-aaaaaa', 'a', { type: 'attempt.begun', attempt: 1, pid: 7 }]])
})

test('sweeping and closing are passed on', async () => {
  const { attempts, asked } = made({ a: {} })

  attempts.sweep('p-aaaaaa')
  await attempts.close()

  expect(asked).toEqual([{ sweep: 'p-aaaaaa' }, { close: true }])
})

const AWAITED = 'h/p-aaaaaa/awaited/1'
const looked = async (
  { attempts, ref, clock }: ReturnType<typeof made>,
  times: number,
  everyMs = 6_000,
): Promise<readonly unknown[]> => {
  const looks: unknown[] = []
  for (let at = 0; at < times; at += 1) {
    await clock.advance(everyMs)
    await attempts.inquire()
    looks.push(attempts.look(ref('awaited')))
  }
  return looks
}

test('an attempt that the runner has forgotten is unwatched when two inquiries after the first have not found it', async () => {
  const of = made({ awaited: {} })
  of.watch()
  of.attempts.ensure(of.ref('awaited'), null, false)

  expect(await looked(of, 4)).toEqual(['awaited', 'awaited', 'unwatched', 'unwatched'])
  // Asked for again it has as long as at first.
  of.attempts.ensure(of.ref('awaited'), null, true)
  expect(await looked(of, 3)).toEqual(['awaited', 'awaited', 'unwatched'])
  of.attempts.stop(of.ref('awaited'), 'stop-cancel', false)
  expect(await looked(of, 3)).toEqual(['awaited', 'awaited', 'unwatched'])
})

test('a runner that is asked often has as long to come to an attempt as one that is asked seldom', async () => {
  const of = made({ awaited: {} })
  of.watch()
  of.attempts.ensure(of.ref('awaited'), null, false)

  expect(new Set(await looked(of, 99, 100))).toEqual(new Set(['awaited']))
  expect(await looked(of, 1, 100)).toEqual(['unwatched'])
})

test('a runner that knows an attempt, is gone or says nothing has not forgotten it', async () => {
  const of = made({ awaited: {} })
  of.attempts.ensure(of.ref('awaited'), null, false)

  of.watch(AWAITED)
  expect(new Set(await looked(of, 10))).toEqual(new Set(['awaited']))
  of.watch(undefined)
  expect(new Set(await looked(of, 10))).toEqual(new Set(['awaited']))
  for (const seen of [AWAITED, undefined]) {
    of.watch()
    expect(await looked(of, 1)).toEqual(['awaited'])
    of.watch(seen)
    expect(await looked(of, 1)).toEqual(['awaited'])
  }
})
