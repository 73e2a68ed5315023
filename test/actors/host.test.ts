/**
 * The real host on a memory journal and a virtual clock, with attempts played by hand.
 *
 * Mutations of `host.ts` that were planted once, and each found: slots granted before all mail is taken; effects performed before
 * the commit; a message that failed and was to be stored forgotten with a failed commit; what is offered amid a commit forgotten
 * when it fails; a submission offered again though its commit had happened; a fourth delivery of a poison message; deliveries not
 * counted in the mail; `recovered` put before a `recovered` that failed; an ended plan kept in memory by a refused command.
 */
import { expect, test } from 'vitest'
import { planAddress } from '../../src/address.ts'
import type { RetryPolicy } from '../../src/definition.ts'
import { isTenutoError, TenutoError } from '../../src/errors.ts'
import { faultInjection } from '../../src/testing/faults.ts'
import { planOf, rowOf } from '../support/definitions.ts'
import { type Life, openLife, PLAN } from '../support/life.ts'

const policy = (more: Partial<RetryPolicy> = {}): RetryPolicy => ({
  max: 2,
  delayMs: 1000,
  factor: 2,
  maxDelayMs: 300_000,
  jitter: 0,
  on: ['exit', 'signal', 'timeout', 'stall'],
  ...more,
})
/** A policy that makes the machine throw when an attempt ends. */
const POISON = { max: 1, delayMs: 1, factor: 1, maxDelayMs: 1, jitter: 0 } as unknown as RetryPolicy

const end = async (life: Life, ...told: Parameters<Life['attempts']['end']>): Promise<void> => {
  life.attempts.end(...told)
  await life.quiet()
}
const states = async (life: Life): Promise<Record<string, string>> =>
  Object.fromEntries(
    (await life.jobs()).map(({ name, state, reason }) => [
      name,
      reason === null ? state : `${state} ${reason}`,
    ]),
  )
/** When each attempt was asked for, in ms after the beginning. */
const startsOf = async (life: Life, job: string): Promise<readonly (readonly [number, number])[]> => {
  const steps = await life.journal().steps({ after: 0, limit: 10_000, address: `job:${PLAN}/${job}` })
  const first = steps[0]?.at ?? 0
  return steps.flatMap(({ type, attempt, at }) =>
    type === 'slot.granted' ? [[attempt ?? 0, at - first] as const] : [],
  )
}
/** Lets an attempt end this way whenever there is one, until the job has ended. */
const always = async (life: Life, job: string, ...how: [Parameters<Life['attempts']['end']>[1], object?]) => {
  for (let turn = 0; turn < 20; turn += 1) {
    const { state } = await life.job(job)
    if (state === 'running') await end(life, job, ...how)
    else if (state !== 'backoff' || !(await life.clock.next())) return
    await life.quiet()
  }
}

// One plan to its end.

test('a plan runs to its end: one attempt a job, in the order of their needs, in as many commits as there were moments', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: {}, b: { needs: ['a'] }, c: { needs: ['a'] }, d: { needs: ['b', 'c'] } }))
  const before = life.host().counts().commits

  await end(life, 'a', 'succeeded')
  await end(life, 'b', 'succeeded')
  await end(life, 'c', 'succeeded')
  await end(life, 'd', 'succeeded')

  expect(life.attempts.started()).toEqual(['a#1', 'b#1', 'c#1', 'd#1'])
  expect(await life.plan()).toEqual({ state: 'succeeded', reason: null })
  expect(life.host().counts().commits - before).toBe(4)
  expect(life.host().residents.size).toBe(0)
  expect(life.attempts.orders.at(-1)).toEqual({ do: 'sweep', plan: PLAN })
  expect(await life.journal().mail()).toEqual([])
  expect(life.shown.map(({ position }) => position)).toEqual(life.shown.map((_, at) => at + 1))
})

test('outputs of the last attempt are kept, and a retry clears them', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: {}, b: { needs: ['a'] } }))

  await end(life, 'a', 'succeeded', { outputs: { made: 1 } })
  expect(await life.journal().outputs(PLAN)).toEqual(new Map([['a', '{"made":1}']]))
  await end(life, 'b', 'succeeded')
  await life.tell(null, 'retry.requested', { retry: { job: 'a', downstream: true } })
  await life.quiet()

  expect(await life.journal().outputs(PLAN)).toEqual(new Map())
})

test('a plan that is not in memory is read when somebody asks for it, and leaves again', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: {} }))
  await end(life, 'a', 'succeeded')
  expect(life.host().residents.size).toBe(0)

  const receipt = await life.tell(null, 'cancel.requested')
  await life.quiet()

  expect(receipt).toMatchObject({ taken: false, state: 'succeeded' })
  expect(life.host().residents.size).toBe(0)
  expect(await life.host().takeUp('no-such')).toBe(false)
  expect(await life.host().offer(planAddress('no-such'), { type: 'cancel.requested' })).toMatchObject({
    taken: false,
    state: null,
  })
})

test('two plans that run side by side take turns for slots', async () => {
  const life = await openLife({ maxParallel: 1 })
  await life.submit(planOf({ a: {}, b: {}, c: {} }))
  await life.host().submit({ row: rowOf('q-bbbbbb', 1), definition: planOf({ x: {}, y: {} }) })
  await life.quiet()

  await end(life, 'a', 'succeeded')
  await end(life, 'b', 'succeeded')

  expect(life.attempts.started()).toEqual(['a#1', 'b#1', 'x#1'])
})

// Retry.

test('retries come after 1 s, 2 s, 4 s; the third delay is cut at the most there may be; attempts are numbered on', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: { retry: policy({ max: 4, maxDelayMs: 3_000 }) } }))

  await always(life, 'a', 'exit')

  expect(await startsOf(life, 'a')).toEqual([
    [1, 0],
    [2, 1000],
    [3, 3000],
    [4, 6000],
    [5, 9000],
  ])
  expect(await states(life)).toEqual({ a: 'failed exit' })
  expect(await life.plan()).toEqual({ state: 'failed', reason: 'exit' })
})

test('a retry does not come a millisecond early', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: { retry: policy() } }))
  await end(life, 'a', 'exit')

  await life.clock.advance(999)
  expect((await life.job('a')).state).toBe('backoff')
  await life.clock.advance(1)
  expect((await life.job('a')).state).toBe('running')
})

test('jitter is drawn from the seed: the same seed waits as long, another does not', async () => {
  const delays = async (seed: number) => {
    const life = await openLife({ seed })
    await life.submit(planOf({ a: { retry: policy({ max: 3, jitter: 0.5 }) } }))
    await always(life, 'a', 'exit')
    return (await startsOf(life, 'a')).map(([, at], n, all) => at - (all[n - 1]?.[1] ?? 0)).slice(1)
  }

  const first = await delays(1)

  expect(await delays(1)).toEqual(first)
  expect(await delays(2)).not.toEqual(first)
  for (const [n, delay] of first.entries()) {
    expect(delay).toBeGreaterThanOrEqual(1000 * 2 ** n)
    expect(delay).toBeLessThan(1500 * 2 ** n)
  }
})

test.each([
  ['exit:75 alone retries that code', { on: ['exit:75'] }, 'exit', { code: 75 }, 3],
  ['exit:75 alone retries no other code', { on: ['exit:75'] }, 'exit', { code: 74 }, 1],
  ['exit retries every code', { on: ['exit'] }, 'exit', { code: 3 }, 3],
  ['a signal is no exit', { on: ['exit'] }, 'signal', { code: null, signal: 'SIGSEGV' }, 1],
  ['what cannot be spawned is not retried by default', {}, 'spawn-error', {}, 1],
  ['a full log is not retried by default', {}, 'log-limit', {}, 1],
  ['a deadline is not retried by default', {}, 'deadline', {}, 1],
  ['a timeout is retried by default', {}, 'timeout', {}, 3],
  ['a stall is retried by default', {}, 'stall', {}, 3],
] as const)('%s', async (_, on, outcome, more, attempts) => {
  const life = await openLife()
  await life.submit(planOf({ a: { retry: policy(on) } }))

  await always(life, 'a', outcome, more)

  expect(life.attempts.started()).toHaveLength(attempts)
  expect(await states(life)).toEqual({ a: `failed ${outcome}` })
})

test('what could not be started is tried again five times, with growing pauses, and spends no retry', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: { retry: policy({ max: 1 }) } }))

  for (let n = 0; n < 3; n += 1) {
    await end(life, 'a', 'never-started')
    await life.clock.next()
  }
  await end(life, 'a', 'exit')
  await life.clock.next()
  await always(life, 'a', 'never-started')

  // Three, then one that failed and was retried, then one and five more.
  expect(life.attempts.started()).toHaveLength(3 + 1 + 6)
  expect(await states(life)).toEqual({ a: 'failed never-started' })
  const starts = (await startsOf(life, 'a')).map(([, at]) => at)
  const pauses = starts.map((at, n) => at - (starts[n - 1] ?? 0)).slice(-5)
  for (const [n, pause] of pauses.entries()) {
    expect(pause).toBeGreaterThanOrEqual(200 * 2 ** n)
    expect(pause).toBeLessThanOrEqual(240 * 2 ** n)
  }
})

test('a lost attempt waits for a person, who can retry, skip or cancel', async () => {
  for (const [command, left] of [
    ['retry.requested', 'running'],
    ['skip.requested', 'skipped operator'],
    ['cancel.requested', 'cancelled operator'],
  ] as const) {
    const life = await openLife()
    await life.submit(planOf({ a: { retry: policy() } }))
    await end(life, 'a', 'lost')
    expect(await states(life)).toEqual({ a: 'waiting lost' })

    await life.tell('a', command)
    await life.quiet()

    expect(await states(life)).toEqual({ a: left })
    if (command === 'retry.requested') expect(life.attempts.started()).toEqual(['a#1', 'a#2'])
  }
})

test('a lost attempt is tried again three times under `retry`, at once, and not at all under `fail`', async () => {
  const again = await openLife()
  await again.submit(planOf({ a: { onLost: 'retry' } }))
  const never = await openLife()
  await never.submit(planOf({ a: { onLost: 'fail' } }))

  await always(again, 'a', 'lost')
  await always(never, 'a', 'lost')

  expect(await startsOf(again, 'a')).toEqual([
    [1, 0],
    [2, 0],
    [3, 0],
    [4, 0],
  ])
  expect(await states(again)).toEqual({ a: 'failed lost' })
  expect(never.attempts.started()).toEqual(['a#1'])
  expect(await states(never)).toEqual({ a: 'failed lost' })
})

// Deadlines.

test('a deadline counts from the release over attempts and waits, and the port is told what is left', async () => {
  const life = await openLife()
  await life.submit(
    planOf({ a: { deadlineMs: 10_000, retry: policy({ max: 9, factor: 1, delayMs: 4_000 }) } }),
  )
  const began = life.clock.now()

  await life.clock.advance(3_000)
  await end(life, 'a', 'exit')
  await life.clock.advance(4_000)
  await end(life, 'a', 'exit')
  const deadlines = life.attempts.orders.flatMap((order) => (order.do === 'ensure' ? [order.deadlineAt] : []))
  await life.clock.advance(2_999)
  expect(await states(life)).toEqual({ a: 'backoff backoff' })
  await life.clock.advance(1)

  expect(deadlines).toEqual([began + 10_000, began + 10_000])
  expect(await states(life)).toEqual({ a: 'failed deadline' })
  expect(await life.plan()).toEqual({ state: 'failed', reason: 'deadline' })
})

test('a deadline ends a job that waits for its slot', async () => {
  const life = await openLife({ maxParallel: 1 })
  await life.submit(planOf({ a: {}, b: { deadlineMs: 5_000 } }))
  expect(await states(life)).toEqual({ a: 'running', b: 'queued slot' })

  await life.clock.advance(5_000)

  expect(await states(life)).toEqual({ a: 'running', b: 'failed deadline' })
})

test('a deadline that passes while an attempt runs is the port’s to keep; the job does as it is told', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: { deadlineMs: 5_000 } }))

  await life.clock.advance(6_000)
  expect(await states(life)).toEqual({ a: 'running' })
  life.attempts.stopping('a', 'stop-deadline')
  await life.quiet()
  expect(await states(life)).toEqual({ a: 'stopping stop-deadline' })
  await end(life, 'a', 'deadline')

  expect(await states(life)).toEqual({ a: 'failed deadline' })
})

test('time in which the plan was paused and no attempt ran counts against no deadline', async () => {
  const life = await openLife({ maxParallel: 1 })
  await life.submit(planOf({ a: {}, b: { deadlineMs: 5_000 } }))

  await life.clock.advance(2_000)
  await life.tell(null, 'pause.requested')
  await life.clock.advance(60_000)
  expect((await life.job('b')).state).toBe('queued')
  await life.tell(null, 'continue.requested')
  await life.clock.advance(2_999)
  expect((await life.job('b')).state).toBe('queued')
  await life.clock.advance(1)

  expect((await life.job('b')).state).toBe('failed')
})

test('a pause counts while an attempt runs, and stops counting when it ends', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: { deadlineMs: 10_000, retry: policy({ delayMs: 1 }) } }))
  const began = life.clock.now()

  await life.tell(null, 'pause.requested')
  await life.clock.advance(3_000)
  await end(life, 'a', 'exit')
  await life.clock.advance(50_000)
  await life.tell(null, 'continue.requested')
  await life.clock.advance(0)

  expect(life.attempts.orders.findLast((order) => order.do === 'ensure')).toMatchObject({
    attempt: 2,
    deadlineAt: began + 10_000 + 50_000,
  })
})

test('a pause while a job waits for a person counts against no deadline', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: { deadlineMs: 10_000 } }))
  const began = life.clock.now()

  await end(life, 'a', 'lost')
  await life.tell(null, 'pause.requested')
  await life.clock.advance(50_000)
  await life.tell('a', 'retry.requested')
  await life.tell(null, 'continue.requested')
  await life.quiet()

  expect(life.attempts.orders.findLast((order) => order.do === 'ensure')).toMatchObject({
    attempt: 2,
    deadlineAt: began + 10_000 + 50_000,
  })
})

// What an end means for others.

test('`any` and `skipped-ok` take ends that `success` does not; the rest is skipped, all the way down', async () => {
  const life = await openLife()
  await life.submit(
    planOf({
      a: {},
      b: { needs: ['a'] },
      c: { needs: ['b'] },
      d: { needs: { b: 'skipped-ok' } },
      e: { needs: { a: 'any' } },
      f: { needs: { a: 'skipped-ok' } },
      g: { needs: ['f', 'e'] },
    }),
  )

  await end(life, 'a', 'exit')

  expect(await states(life)).toEqual({
    a: 'failed exit',
    b: 'skipped need-failed',
    c: 'skipped need-failed',
    d: 'running',
    e: 'running',
    f: 'skipped need-failed',
    g: 'skipped need-failed',
  })
  await end(life, 'd', 'succeeded')
  await end(life, 'e', 'succeeded')
  expect(await life.plan()).toEqual({ state: 'failed', reason: 'exit' })
})

test('an optional failure fails nothing and triggers nothing', async () => {
  for (const onFailure of ['stop', 'pause', 'continue'] as const) {
    const life = await openLife({ maxParallel: 1 })
    await life.submit(planOf({ a: { optional: true }, b: {} }, { onFailure }))

    await end(life, 'a', 'exit')
    await end(life, 'b', 'succeeded')

    expect(await life.plan()).toEqual({ state: 'succeeded', reason: null })
  }
})

test('`stop`: what was not started is skipped, what runs goes on, the plan fails', async () => {
  const life = await openLife({ maxParallel: 2 })
  await life.submit(
    planOf({ a: {}, b: {}, c: { deadlineMs: 60_000 }, d: { needs: ['b'] } }, { onFailure: 'stop' }),
  )

  await end(life, 'a', 'exit')
  expect(await states(life)).toEqual({
    a: 'failed exit',
    b: 'running',
    c: 'skipped on-failure-stop',
    d: 'skipped on-failure-stop',
  })
  await end(life, 'b', 'succeeded')

  expect(await life.plan()).toEqual({ state: 'failed', reason: 'exit' })
  expect(life.attempts.started()).toEqual(['a#1', 'b#1'])
})

test('`stop` holds in a paused plan too', async () => {
  const life = await openLife({ maxParallel: 1 })
  await life.submit(planOf({ a: {}, b: {} }, { onFailure: 'stop' }))
  await life.tell(null, 'pause.requested')

  await end(life, 'a', 'exit')
  await life.tell(null, 'continue.requested')
  await life.quiet()

  expect(await states(life)).toEqual({ a: 'failed exit', b: 'skipped on-failure-stop' })
})

test('`pause`: nothing starts until somebody goes on; the failure is not forgotten', async () => {
  const life = await openLife({ maxParallel: 1 })
  await life.submit(planOf({ a: {}, b: {} }, { onFailure: 'pause' }))

  await end(life, 'a', 'exit')
  expect(await life.plan()).toEqual({ state: 'paused', reason: 'paused' })
  expect(await states(life)).toEqual({ a: 'failed exit', b: 'queued slot' })
  await life.tell(null, 'continue.requested')
  await life.quiet()
  await end(life, 'b', 'succeeded')

  expect(await life.plan()).toEqual({ state: 'failed', reason: 'exit' })
})

// Commands.

test.each([
  ['held', 'b', async () => {}],
  ['queued', 'c', async () => {}],
  ['backoff', 'a', async (life: Life) => end(life, 'a', 'exit')],
  ['waiting', 'a', async (life: Life) => end(life, 'a', 'lost')],
] as const)('a job that is %s is cancelled at once', async (state, job, prepare) => {
  const life = await openLife({ maxParallel: 1 })
  await life.submit(planOf({ a: { retry: policy() }, b: { needs: ['a'] }, c: {} }))
  await prepare(life)
  expect((await life.job(job)).state).toBe(state)

  const receipt = await life.tell(job, 'cancel.requested')
  await life.quiet()

  expect(receipt).toMatchObject({ taken: true, state: 'cancelled' })
  expect((await states(life))[job]).toBe('cancelled operator')
  expect(await life.tell(job, 'cancel.requested')).toMatchObject({ taken: false })
})

test('a running job is stopped first; a second cancel changes nothing, an urgent one cuts the grace', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: {} }))

  const first = await life.tell('a', 'cancel.requested')
  const second = await life.tell('a', 'cancel.requested')
  const urgent = await life.tell('a', 'cancel.requested', { now: true })
  await life.quiet()

  expect([first.taken, second.taken, urgent.taken]).toEqual([true, false, true])
  expect(await states(life)).toEqual({ a: 'stopping stop-cancel' })
  expect(life.attempts.orders.filter((order) => order.do === 'stop')).toEqual([
    { do: 'stop', job: 'a', attempt: 1, why: 'stop-cancel', now: false },
    { do: 'stop', job: 'a', attempt: 1, why: 'stop-cancel', now: true },
  ])
  await end(life, 'a', 'signal', { signal: 'SIGKILL' })
  expect(await states(life)).toEqual({ a: 'cancelled operator' })
  expect(await life.plan()).toEqual({ state: 'failed', reason: 'operator' })
})

test('an attempt that timed out while it was being cancelled is cancelled; one that made it has succeeded', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: { retry: policy() }, b: {} }))

  life.attempts.stopping('a', 'stop-timeout')
  await life.quiet()
  await life.tell('a', 'cancel.requested')
  await life.tell('b', 'cancel.requested')
  await end(life, 'a', 'timeout')
  await end(life, 'b', 'succeeded')

  expect(await states(life)).toEqual({ a: 'cancelled operator', b: 'succeeded' })
})

test('a cancelled plan starts nothing, ends what runs, and ends when that has', async () => {
  const life = await openLife({ maxParallel: 2 })
  await life.submit(planOf({ a: {}, b: { retry: policy() }, c: {}, d: { needs: ['a'] } }))

  await life.tell(null, 'cancel.requested')
  await life.quiet()
  expect(await life.plan()).toEqual({ state: 'cancelling', reason: 'stop-cancel' })
  await life.tell(null, 'cancel.requested', { now: true })
  await end(life, 'a', 'exit')
  await end(life, 'b', 'cancelled')

  expect(life.attempts.orders.filter((order) => order.do === 'stop').map((order) => order.now)).toEqual([
    false,
    false,
    true,
    true,
  ])
  expect(await states(life)).toEqual({
    a: 'cancelled operator',
    b: 'cancelled operator',
    c: 'cancelled operator',
    d: 'cancelled operator',
  })
  expect(await life.plan()).toEqual({ state: 'cancelled', reason: 'operator' })
  expect(life.attempts.started()).toEqual(['a#1', 'b#1'])
})

test('a skipped job counts as one that was skipped, and cannot be skipped while it runs', async () => {
  const life = await openLife({ maxParallel: 1 })
  await life.submit(planOf({ a: {}, b: {}, c: { needs: { b: 'skipped-ok' } }, d: { needs: ['b'] } }))

  expect(await life.tell('a', 'skip.requested')).toMatchObject({ taken: false, state: 'running' })
  await life.tell('b', 'skip.requested')
  await end(life, 'a', 'succeeded')
  await end(life, 'c', 'succeeded')

  expect(await states(life)).toEqual({
    a: 'succeeded',
    b: 'skipped operator',
    c: 'succeeded',
    d: 'skipped need-failed',
  })
  expect(await life.plan()).toEqual({ state: 'succeeded', reason: null })
})

test('a retry of an ended job is a new generation with a new budget; attempt numbers run on, and what is old is refused', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: { retry: policy({ max: 1 }) }, b: { needs: ['a'] }, c: {} }))
  await end(life, 'c', 'succeeded')
  await always(life, 'a', 'exit')
  expect(await life.plan()).toMatchObject({ state: 'failed' })

  await life.tell(null, 'retry.requested', { retry: { job: null, downstream: false } })
  await life.quiet()
  expect(await life.plan()).toEqual({ state: 'running', reason: null })
  expect(await life.job('a')).toMatchObject({ state: 'running', generation: 2, attempt: 3 })
  expect(await life.job('b')).toMatchObject({ state: 'held', generation: 2, unmet: 1 })
  expect(await life.job('c')).toMatchObject({ state: 'succeeded', generation: 1 })
  const before = life.host().counts().duplicates
  await end(life, 'a', 'succeeded', { generation: 1 })
  await end(life, 'a', 'succeeded', { attempt: 2 })
  expect(life.host().counts().duplicates - before).toBe(2)
  expect((await life.job('a')).state).toBe('running')
  await always(life, 'a', 'exit')

  expect(life.attempts.started()).toEqual(['a#1', 'c#1', 'a#2', 'a#3', 'a#4'])
  expect(await states(life)).toEqual({ a: 'failed exit', b: 'skipped need-failed', c: 'succeeded' })
  expect(life.host().counts().dead).toBe(0)
})

test('an end that is told twice counts once', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: {}, b: {} }))

  life.attempts.end('a', 'succeeded')
  life.attempts.end('a', 'exit')
  await life.quiet()
  await end(life, 'a', 'exit')

  expect(await life.job('a')).toMatchObject({ state: 'succeeded', attempt: 1 })
  expect(life.host().counts()).toMatchObject({ duplicates: 2, dead: 0, faults: 0 })
})

test('a retry in a live plan asks a dependant that still waits to wait for it again', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: {}, b: {}, c: { needs: ['a', 'b'] } }))
  await end(life, 'a', 'succeeded')

  await life.tell(null, 'retry.requested', { retry: { job: 'a', downstream: false } })
  await life.quiet()
  await end(life, 'a', 'succeeded')
  expect((await life.job('c')).state).toBe('held')
  await end(life, 'b', 'succeeded')

  expect((await life.job('c')).state).toBe('running')
})

// Faults.

test('a message that makes its actor fail three times is a dead letter; the job fails, its siblings never notice', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: { retry: POISON }, b: {}, c: { needs: ['b'] }, d: { needs: ['a'] } }))

  await end(life, 'a', 'exit')
  expect(life.host().counts()).toMatchObject({ faults: 3, dead: 1 })
  expect(await states(life)).toMatchObject({ a: 'stopping stop-cancel', b: 'running' })
  expect(await life.journal().deadLetters(10)).toEqual([
    expect.objectContaining({
      address: `job:${PLAN}/a`,
      error: expect.stringContaining('canRetry') as string,
    }),
  ])
  await end(life, 'a', 'cancelled')
  await end(life, 'b', 'succeeded')
  await end(life, 'c', 'succeeded')

  expect(await states(life)).toEqual({
    a: 'failed fault',
    b: 'succeeded',
    c: 'succeeded',
    d: 'skipped need-failed',
  })
  expect(await life.plan()).toEqual({ state: 'failed', reason: 'fault' })
  expect(life.attempts.started()).toEqual(['a#1', 'b#1', 'c#1'])
  expect(await life.journal().mail()).toEqual([])
})

test('a plan that fails as it is made and is given up is quarantined, and somebody can lead it on', async () => {
  const faults = faultInjection()
  const life = await openLife({ faults: faults.port, failed: ({ giveUp }) => giveUp('the test says so') })
  const thrown = faults.throwAt({ actor: planAddress(PLAN), message: 'created' })

  await life.submit(planOf({ a: {} }))
  await thrown
  expect(await life.plan()).toEqual({ state: 'quarantined', reason: 'fault' })
  await life.tell(null, 'continue.requested')
  await life.quiet()
  expect(await states(life)).toEqual({ a: 'running' })
  await end(life, 'a', 'succeeded')
  expect((await life.plan()).state).toBe('succeeded')
  expect(await life.journal().mail()).toEqual([])
})

test('a failing message is counted in the mail, and the count outlives the host', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: { retry: POISON }, b: {} }))
  life.failCommits(0)
  let commits = 0
  life.disk.faults.afterCommit = () => {
    commits += 1
    // The second failure is written; then the process is gone.
    if (commits === 2) void life.host().stop()
  }

  life.attempts.end('a', 'exit')
  while (commits < 2) await new Promise((resolve) => setImmediate(resolve))
  life.disk.faults.afterCommit = undefined
  const left = await life.journal().mail()
  await life.reload()

  expect(left).toEqual([expect.objectContaining({ address: `job:${PLAN}/a`, deliveries: 2 })])
  expect(life.host().counts()).toMatchObject({ faults: 1, dead: 1 })
})

const poisonPlan = async (life: Life): Promise<unknown> => {
  const poisoned = life.tell(null, 'retry.requested', { retry: null }).catch((error: unknown) => error)
  await life.quiet()
  return poisoned
}

test('a plan that fails so is quarantined: what runs ends, nothing starts, and somebody can lead it on', async () => {
  const life = await openLife({ maxParallel: 1 })
  await life.submit(planOf({ a: {}, b: {}, c: { needs: ['a'] } }))

  const error = await poisonPlan(life)
  expect(isTenutoError(error)).toBe(true)
  expect(await life.plan()).toEqual({ state: 'quarantined', reason: 'fault' })
  await end(life, 'a', 'succeeded')
  expect(await states(life)).toEqual({ a: 'succeeded', b: 'queued slot', c: 'held needs' })
  expect((await life.journal().mail()).map(({ address }) => address)).toEqual([planAddress(PLAN)])
  await life.reload()
  expect(await states(life)).toEqual({ a: 'succeeded', b: 'queued slot', c: 'held needs' })
  await life.tell(null, 'continue.requested')
  await life.quiet()
  await end(life, 'b', 'succeeded')
  await end(life, 'c', 'succeeded')

  expect(await life.plan()).toEqual({ state: 'succeeded', reason: null })
  expect(await life.journal().mail()).toEqual([])
})

test('what an operator asks of a quarantined plan that is not in memory is heard before the facts that wait for it', async () => {
  const life = await openLife({ maxParallel: 1 })
  await life.submit(planOf({ a: {}, b: {} }))
  await poisonPlan(life)
  await end(life, 'a', 'succeeded')
  expect(await life.journal().mail()).toHaveLength(1)
  // A host that has not taken the plan up: it is loaded for what is asked, with what waits for it.
  await life.restart({ takesUp: false })

  expect(await life.tell(null, 'continue.requested')).toMatchObject({ taken: true, state: 'running' })
  await life.quiet()
  await end(life, 'b', 'succeeded')

  expect(await life.plan()).toEqual({ state: 'succeeded', reason: null })
})

test('a quarantined plan says no to what it does not take', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: {} }))
  await poisonPlan(life)

  expect(await life.tell(null, 'pause.requested')).toMatchObject({ taken: false, state: 'quarantined' })
  expect(await life.tell(null, 'cancel.requested')).toMatchObject({ taken: true, state: 'cancelling' })
})

test('a plan whose own walk failed goes on with it when it is led on, or is cancelled whole', async () => {
  for (const command of ['continue.requested', 'cancel.requested']) {
    const life = await openLife()
    await life.submit(planOf({ a: {}, b: {} }))
    await end(life, 'a', 'succeeded')
    // A snapshot with a piece of work that nothing can walk, and the message that would.
    const row = await life.journal().actor(planAddress(PLAN))
    if (!row) throw new Error('no plan actor')
    const snapshot = JSON.parse(row.snapshot) as { context: object }
    const walking = (work: unknown) => ({
      ...row,
      snapshot: JSON.stringify({ ...snapshot, context: { ...snapshot.context, work } }),
    })
    const tables = life.disk.tables
    tables.actors.get(PLAN)?.set(row.address, walking([{ do: 'spread', job: 99, from: 0 }]))
    tables.mailId += 1
    tables.mail.set(tables.mailId, {
      id: tables.mailId,
      address: row.address,
      event: '{"type":"more","at":1}',
      postedBy: null,
      deliveries: 0,
      at: 1,
    })
    await life.reload()
    expect((await life.plan()).state).toBe('quarantined')
    const poisoned = await life.journal().actor(planAddress(PLAN))
    const state = JSON.parse(poisoned?.snapshot ?? '') as { context: object }
    await life.host().stop()
    tables.actors.get(PLAN)?.set(row.address, {
      ...(poisoned as typeof row),
      snapshot: JSON.stringify({
        ...state,
        context: { ...state.context, work: [{ do: 'release', from: 0 }] },
      }),
    })
    await life.reload()

    await life.tell(null, command)
    await life.quiet()
    await end(life, 'b', command === 'cancel.requested' ? 'cancelled' : 'succeeded')

    expect((await life.plan()).state).toBe(command === 'cancel.requested' ? 'cancelled' : 'succeeded')
  }
})

test('an actor that fails at `recovered` is not restarted for ever', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: {}, b: {} }))
  await life.host().stop()
  const address = `job:${PLAN}/a` as const
  const row = life.disk.tables.actors.get(PLAN)?.get(address)
  if (!row) throw new Error('no job actor')
  life.disk.tables.actors.get(PLAN)?.set(address, { ...row, snapshot: '{"value":"running","context":null}' })

  await life.reload()

  expect(life.host().counts().faults).toBeLessThan(20)
  await end(life, 'b', 'succeeded')
  expect((await life.job('b')).state).toBe('succeeded')
})

// Commits that fail.

test('a failed commit leaves no trace: no effect, no step; what was offered is taken once, after it', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: {}, b: { needs: ['a'] } }))
  const shown = life.shown.length
  life.failCommits(3)

  life.attempts.end('a', 'succeeded')
  const idle = life.quiet()
  await new Promise((resolve) => setImmediate(resolve))
  expect(life.shown).toHaveLength(shown)
  expect(life.attempts.started()).toEqual(['a#1'])
  await life.clock.advance(60_000)
  await idle
  await life.quiet()

  expect(life.host().counts().failedCommits).toBe(3)
  expect(life.attempts.started()).toEqual(['a#1', 'b#1'])
  expect((await life.story('a')).filter((step) => step.startsWith('attempt.ended'))).toEqual([
    'attempt.ended succeeded',
  ])
  expect(await life.story(null)).toEqual(['created running', 'more running', 'job.settled running'])
  await end(life, 'b', 'succeeded')
  expect(await life.plan()).toMatchObject({ state: 'succeeded' })
  expect(life.failures).toEqual([])
})

test('an attempt whose end is taken as it would be asked for again is not asked for: its folder may be gone by then', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: {} }))
  life.failCommits(1)

  life.attempts.end('a', 'succeeded')
  const idle = life.quiet()
  await life.clock.advance(60_000)
  await idle

  expect(await life.plan()).toMatchObject({ state: 'succeeded' })
  expect(life.attempts.orders.map((order) => order.do)).toEqual(['ensure', 'sweep'])
})

test('whoever comes between two drains is told of a plan that is set aside before that is committed', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: {} }))
  life.attempts.end('a', 'succeeded')
  await life.quiet()
  life.disk.faults.damaged = new Set([planAddress(PLAN)])

  const taken = life.host().takeUp(PLAN)
  const found = await life
    .host()
    .between(async () => [
      life.host().residents.has(PLAN),
      life.host().isAside(PLAN),
      await life.journal().aside(PLAN),
    ])
  await taken

  expect(found).toEqual([false, true, undefined])
  expect(await life.journal().aside(PLAN)).toBeDefined()
})

test('a message that made its actor fail is not lost with the commit that was to keep it', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: { retry: POISON }, b: {} }))
  life.failCommits(2)

  life.attempts.end('a', 'exit')
  await life.clock.advance(60_000)
  await life.quiet()

  expect((await life.journal().deadLetters(10)).map(({ address }) => address)).toEqual([`job:${PLAN}/a`])
  expect((await life.job('a')).state).toBe('stopping')
  expect(life.failures).toEqual([])
})

test('what is offered while a commit is in flight is not lost when it fails', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: {}, b: {} }))
  let asked: Promise<unknown> = Promise.resolve()
  life.disk.faults.beforeCommit = () => {
    life.disk.faults.beforeCommit = undefined
    asked = life.tell('b', 'cancel.requested')
    throw new TenutoError('STORE_FULL', { path: 'memory', why: 'the test says so' })
  }

  life.attempts.end('a', 'succeeded')
  await life.clock.advance(60_000)
  await life.quiet()

  expect(await asked).toMatchObject({ taken: true, state: 'stopping' })
  expect(await states(life)).toEqual({ a: 'succeeded', b: 'stopping stop-cancel' })
})

test('a plan whose first commit fails is submitted once, when the commit is made again', async () => {
  const life = await openLife()
  life.failCommits(1)

  const submitted = life.submit(planOf({ a: {} }))
  await life.clock.advance(60_000)
  await submitted

  expect(await life.story(null)).toEqual(['created running', 'more running'])
  expect(life.attempts.started()).toEqual(['a#1'])
})

test('a commit whose acknowledgement is lost has happened: nothing is done twice', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: {}, b: { needs: ['a'] } }))
  life.loseAcknowledgements(1)

  life.attempts.end('a', 'succeeded')
  const asked = life.tell('b', 'skip.requested')
  await life.clock.advance(60_000)
  await asked
  await life.quiet()

  expect(await life.story('a')).toHaveLength(3)
  expect((await life.story('b')).filter((step) => step.startsWith('skip'))).toHaveLength(1)
  expect(await life.plan()).toMatchObject({ state: 'succeeded' })
  expect(life.failures).toEqual([])
})

test('a submit whose acknowledgement is lost is one plan', async () => {
  const life = await openLife()
  life.loseAcknowledgements(1)

  const submitted = life.submit(planOf({ a: {} }))
  await life.clock.advance(60_000)
  await submitted
  await life.quiet()
  await end(life, 'a', 'succeeded')

  expect(await life.plan()).toMatchObject({ state: 'succeeded' })
  expect((await life.journal().plans()).length).toBe(1)
})

test('a host that was replaced says so, and takes nothing more', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: {} }))
  const before = life.host()
  life.disk.tables.epoch += 1

  life.attempts.end('a', 'succeeded')
  await before.idle()

  expect(life.failures).toEqual([expect.objectContaining({ code: 'FENCED' })])
  await expect(before.offer(planAddress(PLAN), { type: 'cancel.requested' })).rejects.toThrow()
  await before.stop()
})

// Observers.

test('an inspector sees every live actor and the arrows between them after the commit; one that throws hurts nobody', async () => {
  const life = await openLife()
  const seen: string[] = []
  let committed = 0
  life.disk.faults.afterCommit = () => {
    committed = seen.length
  }
  life.host().inspect((event) => {
    seen.push(event.type)
    if (event.type === '@xstate.microstep') throw new Error('the inspector is broken')
  })

  await life.submit(planOf({ a: {}, b: { needs: ['a'] } }))
  expect(committed).toBe(0)
  await end(life, 'a', 'succeeded')
  await end(life, 'b', 'succeeded')

  expect(seen).toContain('@xstate.actor')
  expect(await life.plan()).toMatchObject({ state: 'succeeded' })
  expect(life.host().counts().faults).toBe(0)
})
