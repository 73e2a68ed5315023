import { expect, test } from 'vitest'
import type { AttemptNews } from '../../src/actors/attempts.ts'
import { type Call, callAttempts, type Handler } from '../../src/actors/calls.ts'
import { resident } from '../../src/actors/directory.ts'
import { TenutoError } from '../../src/errors.ts'
import { graphOf, openRows } from '../../src/machines/board.ts'
import type { SecretValues } from '../../src/secrets.ts'
import { virtualClock } from '../../src/testing/virtual-clock.ts'
import { type JobSketch, planOf, rowOf } from '../support/definitions.ts'

/** One call job with its handler, and what is told about it. */
const made = (
  handler: Handler,
  sketch: JobSketch = {},
  needs = async () => ({}),
  secrets = (): SecretValues => ({}),
) => {
  const clock = virtualClock()
  const definition = planOf({ a: { call: 'work', ...sketch } })
  const graph = graphOf(definition)
  const of = resident(rowOf('p-aaaaaa', 0), definition, graph, openRows('p-aaaaaa', graph, 0))
  const told: AttemptNews[] = []
  const warned: string[] = []
  const attempts = callAttempts({
    handlers: { work: handler },
    clock,
    keyOf: (plan, job, attempt) => `home/${plan}/${job}/${attempt}`,
    needs,
    secrets,
    tell: (_, __, news) => told.push(news),
    warn: (_, message) => warned.push(message),
  })
  const ref = { resident: of, job: 'a', attempt: 1, generation: 1 }
  return { clock, attempts, ref, told, warned, began: clock.now() }
}
/** A handler that never ends, whatever it is told. */
const deaf = (): Promise<never> => new Promise(() => {})
const outcomes = (told: readonly AttemptNews[]) =>
  told.map((news) =>
    news.type === 'attempt.ended'
      ? news.outcome
      : news.type === 'attempt.stopping'
        ? `${news.type} ${news.why}`
        : news.type,
  )

test('a handler gets its input, its names, its key and what came before', async () => {
  const calls: Call[] = []
  const needs = async () => ({ before: { result: 'succeeded', outputs: { n: 1 } } })
  const { attempts, ref, clock } = made((call) => calls.push(call), { with: { id: 7 } }, needs)

  attempts.ensure(ref, null, false)
  await clock.advance(0)

  const [call] = calls
  expect(call).toMatchObject({
    input: { id: 7 },
    plan: 'p-aaaaaa',
    job: 'a',
    attempt: 1,
    key: 'home/p-aaaaaa/a/1',
  })
  expect(await call?.needs()).toEqual({ before: { result: 'succeeded', outputs: { n: 1 } } })
  expect(call?.signal.aborted).toBe(false)
})

test.each([
  ['an object is its outputs', { a: 1 }, { a: 1 }],
  ['a number is a value', 3, { value: 3 }],
  ['a list is a value', [1, 2], { value: [1, 2] }],
  ['a text is a value', 'x', { value: 'x' }],
  ['a date is what JSON makes of it', new Date(0), { value: '1970-01-01T00:00:00.000Z' }],
  ['nothing is none', undefined, undefined],
  ['null is none', null, undefined],
])('the result of a handler: %s', async (_, result, outputs) => {
  const { attempts, ref, told, clock, began } = made(() => Promise.resolve(result))

  attempts.ensure(ref, null, false)
  await clock.advance(0)

  expect(told).toEqual([
    {
      type: 'attempt.ended',
      attempt: 1,
      generation: 1,
      outcome: 'succeeded',
      code: 0,
      signal: null,
      startedAt: began,
      endedAt: began,
      pid: null,
      ...(outputs === undefined ? {} : { outputs }),
    },
  ])
})

test.each([
  [
    'a handler that throws',
    () => {
      throw new Error('out of cheese')
    },
    'out of cheese',
  ],
  ['a handler that rejects', () => Promise.reject(new Error('no')), 'no'],
  ['a handler that throws a text', () => Promise.reject('just text' as unknown as Error), 'just text'],
  ['a result with a BigInt', () => ({ n: 1n }), 'BigInt'],
  ['a result that is a function', () => () => 1, 'must be JSON'],
  [
    'a result with a cycle',
    () => {
      const loop: { self?: unknown } = {}
      loop.self = loop
      return loop
    },
    'circular',
  ],
] as const)('%s fails its attempt with the text of the error', async (_, handler, text) => {
  const { attempts, ref, told, clock } = made(handler)

  attempts.ensure(ref, null, false)
  await clock.advance(0)

  expect(told).toEqual([
    expect.objectContaining({ outcome: 'exit', code: 1, error: expect.stringContaining(text) as string }),
  ])
})

test('an attempt that is asked for again runs once', async () => {
  let runs = 0
  const { attempts, ref, told, clock } = made(async () => {
    runs += 1
    await new Promise((resolve) => setImmediate(resolve))
  })

  attempts.ensure(ref, null, false)
  attempts.ensure(ref, null, false)
  attempts.ensure(ref, null, true)
  await clock.advance(0)

  expect(runs).toBe(1)
  expect(outcomes(told)).toEqual(['succeeded'])
})

test('an attempt that a process before this one began is lost, and said to be', async () => {
  let runs = 0
  const { attempts, ref, told, warned } = made(() => {
    runs += 1
  })

  attempts.ensure(ref, null, true)

  expect(outcomes(told)).toEqual(['lost'])
  expect([runs, warned.length]).toEqual([0, 1])
})

test('a timeout aborts the signal; a handler that listens ends within its grace', async () => {
  const { attempts, ref, told, clock } = made(
    ({ signal }) =>
      new Promise((_, fail) => signal.addEventListener('abort', () => fail(new Error('aborted')))),
    { timeoutMs: 1000 },
  )
  attempts.ensure(ref, null, false)

  await clock.advance(999)
  expect(told).toEqual([])
  await clock.advance(1)

  expect(outcomes(told)).toEqual(['attempt.stopping stop-timeout', 'timeout'])
  expect(clock.pending()).toBe(0)
})

test('a handler that ignores its signal is given up after its grace, and what it says later is ignored', async () => {
  let finish = (_: unknown): void => {}
  const { attempts, ref, told, clock } = made(
    () =>
      new Promise((resolve) => {
        finish = resolve
      }),
    { timeoutMs: 1000, graceMs: 500 },
  )
  attempts.ensure(ref, null, false)

  await clock.advance(1499)
  expect(outcomes(told)).toEqual(['attempt.stopping stop-timeout'])
  await clock.advance(1)
  finish({ late: true })
  await clock.advance(0)

  expect(outcomes(told)).toEqual(['attempt.stopping stop-timeout', 'timeout'])
})

test('a deadline stops what is running when it passes, and at once what begins after it', async () => {
  const late = made(deaf, { graceMs: 0 })
  late.attempts.ensure(late.ref, late.began - 5, false)
  await late.clock.advance(0)
  expect(outcomes(late.told)).toEqual(['attempt.stopping stop-deadline', 'deadline'])

  const { attempts, ref, told, clock, began } = made(deaf, { graceMs: 0 })
  attempts.ensure(ref, began + 2000, false)
  await clock.advance(1999)
  expect(told).toEqual([])
  await clock.advance(1)
  expect(outcomes(told)).toEqual(['attempt.stopping stop-deadline', 'deadline'])
})

test('a cancel aborts, waits for its grace, and is cut short by an urgent one; the attempt ends once', async () => {
  const { attempts, ref, told, clock } = made(deaf, { graceMs: 10_000 })
  attempts.ensure(ref, null, false)

  attempts.stop(ref, 'stop-cancel', false)
  await clock.advance(9_000)
  expect(told).toEqual([])
  attempts.stop(ref, 'stop-cancel', true)
  attempts.stop(ref, 'stop-cancel', true)
  await clock.advance(10_000)

  expect(outcomes(told).slice(0, 1)).toEqual(['cancelled'])
  // The second urgent stop met no attempt any more; that it has ended is told again, and refused by the job.
  expect(outcomes(told)).toEqual(['cancelled', 'cancelled'])
})

test('a result that comes within the grace does not undo the cancel', async () => {
  let finish = (_: unknown): void => {}
  const { attempts, ref, told, clock } = made(
    () =>
      new Promise((resolve) => {
        finish = resolve
      }),
  )
  attempts.ensure(ref, null, false)
  attempts.stop(ref, 'stop-cancel', false)

  finish({ done: true })
  await clock.advance(0)

  expect(outcomes(told)).toEqual(['cancelled'])
})

test('stopping what is not there tells its end: nothing of it runs', async () => {
  const { attempts, ref, told } = made(deaf)

  attempts.stop(ref, 'stop-timeout', false)

  expect(outcomes(told)).toEqual(['timeout'])
})

test('closing aborts every handler and tells nothing more', async () => {
  const aborted: boolean[] = []
  const { attempts, ref, told, clock } = made(
    ({ signal }) => {
      signal.addEventListener('abort', () => aborted.push(true))
      return deaf()
    },
    { timeoutMs: 1000, graceMs: 0 },
  )
  attempts.ensure(ref, null, false)

  await attempts.close()
  await clock.advance(10_000)

  expect(aborted).toEqual([true])
  expect(told).toEqual([])
  expect(clock.pending()).toBe(0)
})

test('an attempt whose secrets are gone never starts, and says so by its code', async () => {
  const calls: Call[] = []
  const gone = (): never => {
    throw new TenutoError('SECRETS_GONE', { plan: 'p-aaaaaa', names: 'KEY' })
  }
  const { attempts, ref, told } = made(
    (call) => calls.push(call),
    {},
    async () => ({}),
    gone,
  )

  attempts.ensure(ref, null, false)

  expect(calls).toEqual([])
  expect(told).toEqual([
    expect.objectContaining({ outcome: 'never-started', errorCode: 'SECRETS_GONE', startedAt: null }),
  ])
})

test('a job whose handler nobody registered fails with its name', async () => {
  const { attempts, ref, told, clock } = made(deaf, { call: 'other' })

  attempts.ensure(ref, null, false)
  await clock.advance(0)

  expect(told).toEqual([
    expect.objectContaining({ outcome: 'exit', error: expect.stringContaining('other') as string }),
  ])
})
