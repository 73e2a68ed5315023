/**
 * The second net: what messages have missed is led on from, once, on record; and where nothing is missed nothing is done.
 *
 * Mutations that were planted once, and each found: a sweep that sends what is on its way already; one that repairs without a note;
 * one that looks at a quarantined plan (`stranding.ts`); `recheck` that does not count what is open; a settled job found untold; age not looked at.
 */
import { expect, test } from 'vitest'
import { type Look, type StrandingKind, strandings } from '../../src/actors/stranding.ts'
import { jobAddress, planAddress } from '../../src/address.ts'
import { turn } from '../../src/clock.ts'
import type { MailRow } from '../../src/journal/journal.ts'
import { type BoardRow, graphOf, openRows } from '../../src/machines/board.ts'
import type { PlanContext } from '../../src/machines/plan.ts'
import { faultInjection } from '../../src/testing/faults.ts'
import { planOf, rowOf } from '../support/definitions.ts'
import { type Life, openLife, PLAN } from '../support/life.ts'

const sweep = (life: Life, minAgeMs = 0) => life.host().sweep(minAgeMs)
const kinds = async (life: Life): Promise<readonly StrandingKind[]> =>
  (await sweep(life)).repaired.map(({ kind }) => kind)
const notes = (life: Life): readonly string[] =>
  life.disk.tables.steps
    .filter(({ type }) => type === 'sweep.repaired')
    .map(({ address, reason }) => `${address} ${reason}`)
/** A host that takes one message a commit, so that the others are in the mail. */
const slowly = () => openLife({ drainSteps: 1 })
const mailOf = (life: Life): ReadonlyMap<number, MailRow> => life.disk.tables.mail
/** Lets the host go on until a message of this type is in the mail, and takes the process away. */
const killWith = async (life: Life, type: string): Promise<MailRow> => {
  let found: MailRow | undefined
  const gone = new Promise<void>((resolve) => {
    life.disk.faults.afterCommit = () => {
      found = [...mailOf(life).values()].find(({ event }) => event.includes(`"type":"${type}"`))
      if (!found) return undefined
      resolve()
      return new Promise<never>(() => {})
    }
  })
  await gone
  life.disk.faults.afterCommit = undefined
  return found as MailRow
}

test('bug-b: an end that was told while nobody listened is heard after a crash, without a sweep', async () => {
  const life = await slowly()
  await life.submit(planOf({ a: {}, b: { needs: ['a'] } }))
  life.attempts.end('a', 'succeeded')
  await killWith(life, 'job.settled')

  await life.restart()

  expect((await life.job('b')).state).toBe('running')
  expect((await sweep(life)).repaired).toEqual([])
})

test('a sweep whose repairs cannot be committed at first answers when they are', async () => {
  const life = await slowly()
  await life.submit(planOf({ a: {}, b: { needs: ['a'] } }))
  life.attempts.end('a', 'succeeded')
  const { id } = await killWith(life, 'job.settled')
  life.disk.tables.mail.delete(id)
  await life.restart()
  life.failCommits(1)

  const swept = sweep(life)
  await life.clock.advance(1_000)
  await life.quiet()

  expect((await swept).repaired).toMatchObject([{ kind: 'end-untold', job: 'a' }])
  expect(notes(life)).toEqual([`note:${PLAN}/a end-untold`])
  expect(await kinds(life)).toEqual(['end-untold'])
  await life.quiet()
  expect((await life.job('b')).state).toBe('running')
})

test('a job that was not told that its need has failed is told by the sweep', async () => {
  const life = await slowly()
  await life.submit(planOf({ a: {}, b: { needs: ['a'] } }))
  await life.tell('b', 'plan.paused')
  life.attempts.end('a', 'exit', { code: 1 })
  const { id } = await killWith(life, 'withdrawn')
  life.disk.tables.mail.delete(id)
  await life.restart()
  expect((await life.job('b')).state).toBe('held')
  await life.clock.advance(10_000)

  expect(await kinds(life)).toEqual(['board-miscounted'])
  await life.quiet()

  expect(await life.job('b')).toMatchObject({ state: 'skipped', reason: 'need-failed' })
  expect((await life.plan()).state).toBe('failed')
})

test('a job whose release or cancel is gone from the store is told by the sweep', async () => {
  const life = await slowly()
  void life.submit(planOf({ a: { deadlineMs: 60_000 } }))
  const released = await killWith(life, 'released')
  life.disk.tables.mail.delete(released.id)
  await life.restart()
  await life.clock.advance(10_000)

  expect(await kinds(life)).toEqual(['release-untold'])
  await life.quiet()
  expect((await life.job('a')).state).toBe('running')

  void life.tell(null, 'cancel.requested')
  const cancelled = await killWith(life, 'cancel.requested')
  life.disk.tables.mail.delete(cancelled.id)
  await life.restart()
  await life.clock.advance(10_000)
  expect(await kinds(life)).toEqual(['cancel-untold'])
  await life.quiet()
  expect((await life.job('a')).state).toBe('stopping')
  expect((await sweep(life)).repaired).toEqual([])
})

test('a plan whose first message is gone from the store begins all the same', async () => {
  const life = await slowly()
  await life.submit(planOf({ a: {}, b: { needs: ['a'] } }))
  // As it was when the plan had been taken in.
  const { tables } = life.disk
  tables.actors.delete(PLAN)
  tables.mail.clear()
  for (const [name, row] of tables.jobs.get(PLAN) ?? [])
    tables.jobs.get(PLAN)?.set(name, { ...row, place: 'held', state: 'held', attempt: 0, embodied: false })
  await life.restart()
  await life.clock.advance(10_000)

  expect(await kinds(life)).toEqual(['never-begun'])
  await life.quiet()
  expect((await life.job('a')).state).toBe('running')
})

test('a retry whose message to the job is gone from the store opens the job all the same', async () => {
  const life = await slowly()
  await life.submit(planOf({ a: {} }))
  life.attempts.end('a', 'exit', { code: 1 })
  await life.quiet()
  void life.host().offer(planAddress(PLAN), {
    type: 'retry.requested',
    at: life.clock.now(),
    retry: { job: 'a', downstream: false },
  })
  const { id } = await killWith(life, 'reopened')
  life.disk.tables.mail.delete(id)
  await life.restart()
  await life.clock.advance(10_000)

  expect(await kinds(life)).toEqual(['reopening-untold'])
  await life.quiet()

  expect(await life.job('a')).toMatchObject({ state: 'running', generation: 2, attempt: 2 })
  life.attempts.end('a', 'succeeded')
  await life.quiet()
  expect((await life.plan()).state).toBe('succeeded')
})

test('bug-b: an end whose message is gone from the store is told by the sweep: logged, counted, on record, once', async () => {
  const life = await slowly()
  await life.submit(planOf({ a: {}, b: { needs: ['a'] } }))
  life.attempts.end('a', 'succeeded')
  const { id } = await killWith(life, 'job.settled')
  life.disk.tables.mail.delete(id)
  await life.restart()
  expect((await life.job('b')).state).toBe('held')

  // Too young to be called missed; then old enough.
  expect((await sweep(life, 10_000)).repaired).toEqual([])
  await life.clock.advance(10_000)
  const { repaired } = await sweep(life, 10_000)
  await life.quiet()

  expect(repaired).toEqual([{ kind: 'end-untold', plan: PLAN, job: 'a', ageMs: expect.any(Number) }])
  expect(repaired[0]?.ageMs).toBeGreaterThanOrEqual(10_000)
  expect((await life.job('b')).state).toBe('running')
  expect(life.logged).toContain('the sweep repaired what messages had missed')
  expect(life.host().counts().repairs).toBe(1)
  expect(notes(life)).toEqual([`note:${PLAN}/a end-untold`])
  expect((await sweep(life)).repaired).toEqual([])
  life.attempts.end('b', 'succeeded')
  await life.quiet()
  expect((await life.plan()).state).toBe('succeeded')
})

test.each([
  ['slots', 'of'],
  ['timers', 'armedAt'],
] as const)('a sweep that asks %s that fail under the question finds nothing missed', async (name, call) => {
  const faults = faultInjection()
  const life = await openLife({ faults: faults.port })
  const retry = { max: 1, delayMs: 60_000, factor: 1, maxDelayMs: 60_000, jitter: 0, on: ['exit'] }
  await life.submit(planOf({ a: { retry }, b: {} }))
  life.attempts.end('a', 'exit', { code: 1 })
  await life.quiet()
  const thrown = faults.throwAt({ part: name, call })

  const swept = await sweep(life)
  await thrown

  expect(swept).toEqual({ plans: 1, repaired: [] })
  // The next one waits until there is somebody to ask again, and keeps nobody busy meanwhile.
  const next = sweep(life)
  await turn()
  await life.quiet()
  await life.host().parts[name].start(() => {})
  expect(await next).toEqual({ plans: 1, repaired: [] })
  expect(notes(life)).toEqual([])
})

test('a thousand sweeps of live work repair nothing and take no step', async () => {
  const life = await openLife({ maxParallel: 3 })
  const retry = { max: 2, delayMs: 1000, factor: 2, maxDelayMs: 9000, jitter: 0, on: ['exit'] }
  await life.submit(
    planOf({
      a: { retry },
      b: { needs: ['a'], deadlineMs: 3_600_000 },
      c: { onLost: 'hold' },
      d: { needs: { c: 'any' }, optional: true },
      e: { needs: ['b', 'd'] },
      f: {},
      g: { needs: { f: 'skipped-ok' } },
    }),
  )
  const sweeps = async (): Promise<void> => {
    const position = life.disk.tables.position
    for (let times = 0; times < 100; times += 1) expect(await kinds(life)).toEqual([])
    expect(life.disk.tables.position).toBe(position)
  }
  await sweeps()
  life.attempts.end('a', 'exit')
  await life.quiet()
  await sweeps()
  life.attempts.end('c', 'lost')
  await life.quiet()
  await sweeps()
  await life.tell(null, 'pause.requested')
  await sweeps()
  await life.tell('c', 'skip.requested')
  await life.clock.advance(60_000)
  await life.quiet()
  await sweeps()
  await life.tell(null, 'continue.requested')
  await life.quiet()
  await sweeps()
  life.attempts.stopping('f', 'stop-timeout')
  await life.quiet()
  await sweeps()
  await life.reload()
  await sweeps()
  life.attempts.end('f', 'timeout')
  life.attempts.end('a', 'succeeded')
  await life.quiet()
  await sweeps()
  await life.tell(null, 'cancel.requested')
  await life.quiet()
  await sweeps()

  expect(life.host().counts().repairs).toBe(0)
  expect(notes(life)).toEqual([])
})

const snapshotOf = (life: Life): { value: string; context: PlanContext } =>
  JSON.parse(life.disk.tables.actors.get(PLAN)?.get(planAddress(PLAN))?.snapshot ?? '') as {
    value: string
    context: PlanContext
  }
const changePlan = (life: Life, change: Partial<PlanContext>): void => {
  const row = life.disk.tables.actors.get(PLAN)?.get(planAddress(PLAN))
  const { value, context } = snapshotOf(life)
  if (!row) throw new Error('no plan actor')
  life.disk.tables.actors
    .get(PLAN)
    ?.set(row.address, { ...row, snapshot: JSON.stringify({ value, context: { ...context, ...change } }) })
}
const changeRow = (life: Life, name: string, change: Partial<BoardRow>): void => {
  const rows = life.disk.tables.jobs.get(PLAN)
  const row = rows?.get(name)
  if (row) rows?.set(name, { ...row, ...change })
}
/** What is done to a store whose process is gone, and what the next one's sweep calls it. */
const stores: Readonly<Record<string, Readonly<{ kind: StrandingKind; do: (life: Life) => void }>>> = {
  'a job whose needs are met and counted wrong': {
    kind: 'board-miscounted',
    do: (life) => changeRow(life, 'b', { unmet: 2 }),
  },
  'a job whose needs are met and that was never released': {
    kind: 'board-miscounted',
    do: (life) =>
      changeRow(life, 'b', { place: 'held', state: 'held', reason: 'needs', unmet: 0, embodied: false }),
  },
  'a plan that has counted its open jobs wrong': {
    kind: 'board-miscounted',
    do: (life) => changePlan(life, { open: 7 }),
  },
  'a walk that nobody goes on with': {
    kind: 'walk-stalled',
    do: (life) => changePlan(life, { work: [{ do: 'release', from: 0 }] }),
  },
}

test.each(Object.entries(stores))(
  '%s is repaired, once, and the plan comes to its end',
  async (_, stranded) => {
    const life = await openLife()
    await life.submit(planOf({ x: {}, a: {}, b: { needs: ['a'] } }))
    // `b` is left held with its need met: its own release is what the stores below have lost.
    life.attempts.end('a', 'succeeded')
    await life.quiet()
    await life.host().stop()
    life.disk.tables.actors.get(PLAN)?.delete(jobAddress(PLAN, 'b'))
    changeRow(life, 'b', {
      place: 'held',
      state: 'held',
      reason: 'needs',
      unmet: 0,
      embodied: false,
      attempt: 1,
    })
    if (stranded.kind === 'board-miscounted') changeRow(life, 'b', { unmet: 1 })
    stranded.do(life)

    await life.reload()
    const found = await kinds(life)
    await life.quiet()

    expect(found).toEqual([stranded.kind])
    expect(await kinds(life)).toEqual([])
    for (const job of ['x', 'b']) {
      life.attempts.end(job, 'succeeded')
      await life.quiet()
    }
    expect((await life.plan()).state).toBe('succeeded')
    expect(notes(life)).toEqual([`note:${PLAN} ${stranded.kind}`])
  },
)

test('a plan with nothing left to do that is not settled is settled', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: {}, b: {} }))
  life.attempts.end('a', 'succeeded')
  await life.quiet()
  await life.host().stop()
  const actor = life.disk.tables.actors.get(PLAN)?.get(jobAddress(PLAN, 'b'))
  if (!actor) throw new Error('no job actor')
  const { context } = JSON.parse(actor.snapshot) as { context: object }
  const snapshot = JSON.stringify({ value: 'succeeded', context })
  life.disk.tables.actors.get(PLAN)?.set(actor.address, { ...actor, state: 'succeeded', snapshot })
  changeRow(life, 'b', { place: 'settled', state: 'succeeded', reason: null })

  await life.reload()

  expect(await kinds(life)).toEqual(['never-settled'])
  await life.quiet()
  expect((await life.plan()).state).toBe('succeeded')
})

test('an attempt that nobody asks for any more is asked for again', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: {} }))
  life.attempts.forget()

  expect(await kinds(life)).toEqual(['attempt-unasked'])
  await life.quiet()
  expect(await kinds(life)).toEqual([])
  expect(life.attempts.orders.at(-1)).toMatchObject({ do: 'ensure', job: 'a', attempt: 1, recovered: true })
})

test('mail that nobody has taken is taken', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: {}, b: {} }))
  const id = life.disk.tables.mailId + 100
  const event = JSON.stringify({ type: 'cancel.requested', at: life.clock.now() })
  life.disk.tables.mail.set(id, {
    id,
    address: jobAddress(PLAN, 'a'),
    event,
    postedBy: null,
    deliveries: 0,
    at: life.clock.now(),
  })

  expect(await kinds(life)).toEqual(['mail-untaken'])
  await life.quiet()
  expect((await life.job('a')).state).toBe('stopping')
  expect(mailOf(life).size).toBe(0)
})

test('memory that is not what the journal says is thrown away', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: {}, b: {} }))
  changeRow(life, 'a', { attempt: 5 })

  expect(await kinds(life)).toEqual(['memory-differs'])
  await life.quiet()
  expect(life.host().residents.get(PLAN)?.rows[0]?.attempt).toBe(5)
})

test('a quarantined plan is not looked at, and a plan that cannot be looked at keeps nobody from the others', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: {} }))
  await life.host().submit({ row: rowOf('q-bbbbbb', 1), definition: planOf({ a: {} }) })
  await life.quiet()
  life.attempts.forget()
  life.disk.tables.mail.set(99, {
    id: 99,
    address: planAddress(PLAN),
    event: 'no json',
    postedBy: null,
    deliveries: 0,
    at: 0,
  })

  const { plans, repaired } = await sweep(life)

  expect(plans).toBe(2)
  expect(repaired.map(({ plan, kind }) => [plan, kind])).toEqual([['q-bbbbbb', 'attempt-unasked']])
  expect(life.logged).toContain('the sweep could not look at a plan; the others go on')
})

// The pure look, where a port has to forget something.

const NOW = 1_000
const looking = (more: Partial<Look> & Readonly<{ row?: Partial<BoardRow> }>): Look => {
  const definition = planOf({ a: {} })
  const graph = graphOf(definition)
  const [row] = openRows(PLAN, graph, 0)
  return {
    id: PLAN,
    graph,
    rows: [{ ...(row as BoardRow), place: 'released', embodied: true, ...more.row }],
    state: 'running',
    context: { open: 1, work: [] } as unknown as PlanContext,
    since: 0,
    hasMail: () => false,
    generation: ({ generation }) => generation,
    asks: () => undefined,
    attempt: () => 'awaited',
    timer: () => undefined,
    slot: () => undefined,
    ...more,
  }
}
const attempt = { type: 'ensureAttempt', attempt: 1, generation: 1, deadlineAt: null } as const
const found = (look: Look): readonly StrandingKind[] => strandings(look).map(({ kind }) => kind)

test.each<readonly [string, readonly StrandingKind[], Parameters<typeof looking>[0]]>([
  [
    'a timer that is not armed',
    ['timer-lost'],
    {
      row: { state: 'backoff' },
      asks: () => ({ slot: 'none', attempt: null, timers: [{ name: 'backoff', at: NOW }] }),
    },
  ],
  [
    'a timer that is armed for another moment',
    ['timer-lost'],
    {
      row: { state: 'backoff' },
      asks: () => ({ slot: 'none', attempt: null, timers: [{ name: 'backoff', at: NOW }] }),
      timer: () => NOW + 1,
    },
  ],
  [
    'a timer that is armed',
    [],
    {
      row: { state: 'backoff' },
      asks: () => ({ slot: 'none', attempt: null, timers: [{ name: 'backoff', at: NOW }] }),
      timer: () => NOW,
    },
  ],
  [
    'a place in the queue that is gone, of a row',
    ['slot-lost'],
    { row: { state: 'queued', embodied: false } },
  ],
  [
    'a place in the queue that is gone, of an actor',
    ['slot-lost'],
    { row: { state: 'queued' }, asks: () => ({ slot: 'wanted', attempt: null, timers: [] }) },
  ],
  [
    'a slot that is about to be taken',
    [],
    {
      row: { state: 'queued' },
      asks: () => ({ slot: 'wanted', attempt: null, timers: [] }),
      slot: () => 'held',
    },
  ],
  [
    'an attempt of which its runner knows nothing any more',
    ['attempt-unwatched'],
    {
      row: { state: 'running' },
      asks: () => ({ slot: 'held', attempt, timers: [] }),
      attempt: () => 'unwatched',
      slot: () => 'held',
    },
  ],
  [
    'an attempt that is awaited',
    [],
    {
      row: { state: 'running' },
      asks: () => ({ slot: 'held', attempt, timers: [] }),
      slot: () => 'held',
    },
  ],
  [
    'an end that is on record and was not told',
    ['end-unread'],
    {
      row: { state: 'running' },
      asks: () => ({ slot: 'held', attempt, timers: [] }),
      slot: () => 'held',
      attempt: () => ({ endedForMs: 2_001 }),
    },
  ],
  [
    'an end that has just come to be on record',
    [],
    {
      row: { state: 'running' },
      asks: () => ({ slot: 'held', attempt, timers: [] }),
      slot: () => 'held',
      attempt: () => ({ endedForMs: 1_999 }),
    },
  ],
  ['an ended job that the plan has not heard of', ['end-untold'], { row: { state: 'failed' } }],
  [
    'an ended job that was opened again and has not heard of it',
    ['reopening-untold'],
    { row: { state: 'failed', generation: 2 }, generation: () => 1 },
  ],
  [
    'a job that was released and has not heard of it',
    ['release-untold'],
    { row: { state: 'held', place: 'released' } },
  ],
  [
    'a job that waits in a plan that is being cancelled',
    ['cancel-untold'],
    { row: { state: 'backoff' }, state: 'cancelling' },
  ],
  [
    'a job that is being stopped in such a plan',
    [],
    {
      row: { state: 'stopping' },
      state: 'cancelling',
      asks: () => ({ slot: 'held', attempt, timers: [] }),
      slot: () => 'held',
    },
  ],
  [
    'an ended job whose message waits',
    [],
    { row: { state: 'failed' }, hasMail: (address) => address === planAddress(PLAN) },
  ],
  ['a plan that is quarantined', [], { row: { state: 'failed' }, state: 'quarantined' }],
  ['a plan that has ended', [], { row: { state: 'failed' }, state: 'succeeded' }],
])('%s: %j', (_, expected, more) => {
  expect(found(looking(more))).toEqual(expected)
})
