/**
 * Jobs that ask a person, on the real host.
 *
 * Mutations that were planted once, and each found: a question that takes a slot; an answer taken whatever its generation; no answer
 * taken for a yes; outputs that do not say who; a question that is asked again after a restart; `now` that is taken in any state.
 */
import { expect, test } from 'vitest'
import { seededRandom } from '../../src/ids.ts'
import type { JsonObject } from '../../src/json.ts'
import { planOf } from '../support/definitions.ts'
import { type Life, openLife, PLAN } from '../support/life.ts'

const gate = (more: Readonly<{ timeoutMs?: number; onTimeout?: 'approve' }> = {}) =>
  ({ kind: 'approve', approve: { prompt: 'Ship it?', ...more } }) as const
const answer = (life: Life, what: 'approve' | 'reject', generation = 1) =>
  life.tell('gate', `${what}.requested`, { generation, shown: 'Ship it?', by: 'ada', why: 'looks good' })
const outputs = async (life: Life): Promise<JsonObject | undefined> => {
  const text = (await life.journal().outputs(PLAN, ['gate'])).get('gate')
  return text === undefined ? undefined : (JSON.parse(text) as JsonObject)
}

test('a question waits from the moment its needs are met, without a slot, and through every restart', async () => {
  const life = await openLife({ maxParallel: 1 })
  await life.submit(planOf({ build: {}, gate: { ...gate(), needs: ['build'] }, other: {} }))
  expect(await life.job('gate')).toMatchObject({ state: 'held', reason: 'needs' })
  life.attempts.end('build', 'succeeded')
  await life.quiet()

  await life.reload()
  await life.reload()

  expect(await life.job('gate')).toMatchObject({ state: 'waiting', reason: 'approval', attempt: 0 })
  // The one slot there is has gone to who can use it.
  expect(await life.job('other')).toMatchObject({ state: 'running' })
  expect(await life.story('gate')).toEqual(['created held', 'released waiting'])
})

test('an approval is on record with who, why and what was asked, and is what comes after it is given', async () => {
  const life = await openLife()
  await life.submit(planOf({ gate: gate(), ship: { needs: ['gate'] } }))

  const receipt = await answer(life, 'approve')
  await life.quiet()
  await life.reload()

  expect(receipt.taken).toBe(true)
  expect(await life.job('gate')).toMatchObject({ state: 'succeeded', reason: null, attempt: 0 })
  expect(await outputs(life)).toEqual({
    by: 'ada',
    at: new Date(life.clock.now()).toISOString(),
    reason: 'looks good',
  })
  const step = life.shown.find(({ type }) => type === 'approve.requested')
  expect(JSON.parse(step?.event ?? '{}')).toMatchObject({ by: 'ada', why: 'looks good', shown: 'Ship it?' })
  expect(life.attempts.started()).toEqual(['ship#1'])
})

test('a rejection fails the job, and with it whoever needs its success', async () => {
  const life = await openLife()
  await life.submit(planOf({ gate: gate(), ship: { needs: ['gate'] }, tell: { needs: { gate: 'any' } } }))

  await answer(life, 'reject')
  await life.quiet()
  life.attempts.end('tell', 'succeeded')
  await life.quiet()

  expect(await life.job('gate')).toMatchObject({ state: 'failed', reason: 'approval-denied' })
  expect(await life.job('ship')).toMatchObject({ state: 'skipped', reason: 'need-failed' })
  expect(await life.plan()).toEqual({ state: 'failed', reason: 'approval-denied' })
  expect(life.attempts.started()).toEqual(['tell#1'])
})

test.each([
  ['no', {}, 'failed', 'approval-denied', undefined],
  ['yes, where the plan says so', { onTimeout: 'approve' } as const, 'succeeded', null, 'timeout'],
] as const)(
  'no answer in time means %s; the time is the same after every restart, and passes while nobody runs',
  async (_, more, state, reason, by) => {
    const life = await openLife()
    await life.submit(planOf({ gate: gate({ timeoutMs: 60_000, ...more }) }))
    await life.clock.advance(40_000)
    await life.reload()
    await life.clock.advance(19_999)
    await life.quiet()
    expect(await life.job('gate')).toMatchObject({ state: 'waiting' })
    await life.host().stop()
    await life.clock.advance(1)

    await life.restart()
    await life.clock.advance(0)
    await life.quiet()

    expect(await life.job('gate')).toMatchObject({ state, reason })
    expect((await outputs(life))?.['by']).toBe(by)
  },
)

test('an answer after its time is none, also where nobody was there when the time passed', async () => {
  const life = await openLife()
  await life.submit(planOf({ gate: gate({ timeoutMs: 60_000 }), ship: { needs: ['gate'] } }))
  await life.host().stop()
  await life.clock.advance(60_000)
  await life.restart({ takesUp: false })

  expect((await answer(life, 'approve')).taken).toBe(false)
  await life.clock.advance(0)
  await life.quiet()

  expect(await life.job('gate')).toMatchObject({ state: 'failed', reason: 'approval-denied' })
  expect(life.attempts.started()).toEqual([])
})

test('an answer is to the question of its generation: after a retry it is asked again, and an old answer counts for nothing', async () => {
  const life = await openLife()
  await life.submit(planOf({ gate: gate(), ship: { needs: ['gate'] } }))
  await answer(life, 'reject')
  await life.quiet()
  await life.tell(null, 'retry.requested', { retry: { job: null, downstream: false } })
  await life.quiet()
  expect(await life.job('gate')).toMatchObject({ state: 'waiting', reason: 'approval', generation: 2 })

  const late = await answer(life, 'approve', 1)
  expect(late.taken).toBe(false)
  expect(await life.job('gate')).toMatchObject({ state: 'waiting' })
  await answer(life, 'approve', 2)
  await life.quiet()
  life.attempts.end('ship', 'succeeded')
  await life.quiet()

  expect(await life.plan()).toEqual({ state: 'succeeded', reason: null })
})

test('a question can be skipped and cancelled, and is no attempt to be tried again', async () => {
  const life = await openLife()
  await life.submit(planOf({ gate: gate(), other: gate() }))

  expect((await life.tell('gate', 'retry.requested')).taken).toBe(false)
  expect((await life.tell('gate', 'skip.requested')).taken).toBe(true)
  expect((await life.tell('other', 'cancel.requested')).taken).toBe(true)
  await life.quiet()

  expect((await life.jobs()).map(({ state }) => state)).toEqual(['skipped', 'cancelled'])
})

test('approve raced with cancel a thousand times: approved and then cancelled, or refused; nothing starts after the cancel', async () => {
  const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31))
  const random = seededRandom(seed)
  const ends = new Map<string, number>()
  for (let round = 0; round < 1000; round += 1) {
    const life = await openLife({ seed: round, drainSteps: 1 + Math.floor(random() * 3) })
    await life.submit(planOf({ gate: gate(), ship: { needs: ['gate'] } }))
    const cancel = () => life.tell(random() < 0.5 ? null : 'gate', 'cancel.requested', { now: true })
    const first = random() < 0.5
    const said = [first ? cancel() : answer(life, 'approve')]
    if (random() < 0.3) await life.quiet()
    said.push(first ? answer(life, 'approve') : cancel())
    const [one, two] = await Promise.all(said)
    await life.quiet()
    const [approved, cancelled] = first ? [two, one] : [one, two]
    const { state } = await life.job('gate')
    const story = `seed ${seed}, round ${round}`
    if (approved?.taken) expect(state, story).toBe('succeeded')
    else expect(state, story).toBe('cancelled')
    const afterwards = (await life.jobs()).find(({ name }) => name === 'ship')?.state ?? ''
    if (!approved?.taken) expect(life.attempts.started(), story).toEqual([])
    else if (cancelled?.taken) expect(['cancelled', 'stopping'], story).toContain(afterwards)
    else expect(afterwards, story).toBe('running')
    ends.set(afterwards, (ends.get(afterwards) ?? 0) + 1)
    await life.host().stop()
  }
  // Each way it can go was gone.
  expect([...ends.keys()].sort(), `seed ${seed}`).toEqual(['cancelled', 'running', 'skipped', 'stopping'])
})

test('`now` starts the next attempt of a job that waits for it, spends no retry of its own, and is refused elsewhere', async () => {
  const retry = { max: 1, delayMs: 3_600_000, factor: 1, maxDelayMs: 3_600_000, jitter: 0, on: ['exit'] }
  const life = await openLife()
  await life.submit(planOf({ a: { retry } }))
  expect((await life.tell('a', 'now.requested')).taken).toBe(false)
  life.attempts.end('a', 'exit')
  await life.quiet()
  expect(await life.job('a')).toMatchObject({ state: 'backoff' })

  expect((await life.tell('a', 'now.requested')).taken).toBe(true)
  await life.quiet()

  expect(life.attempts.started()).toEqual(['a#1', 'a#2'])
  life.attempts.end('a', 'exit')
  await life.quiet()
  expect(await life.job('a')).toMatchObject({ state: 'failed', reason: 'exit' })
})
