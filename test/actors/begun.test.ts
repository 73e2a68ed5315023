/**
 * That an attempt has begun is put on record beside the steps, once, when it has lived for a second; whoever takes its plan up knows.
 *
 * Mutations of `host.ts` and `directory.ts` that were planted once, and each found: a note for each time it is told; a note not
 * written again after a failed commit; the note of another attempt taken for this one's; the note not read.
 */
import { expect, test } from 'vitest'
import { noteAddress } from '../../src/address.ts'
import { memoryReader } from '../../src/journal/memory-reader.ts'
import { planOf } from '../support/definitions.ts'
import { type Life, openLife, PLAN } from '../support/life.ts'

const begunOf = (life: Life, job: string) =>
  life.disk.tables.steps
    .filter(({ address, type }) => address === noteAddress(PLAN, job) && type === 'begun')
    .map(({ attempt, to, event }) => [attempt, to, (JSON.parse(event) as { pid: number }).pid])
/** What the port was asked of a job since, as whether it was known to have begun. */
const asked = (life: Life, job: string, since: number): readonly boolean[] =>
  life.attempts.orders
    .slice(since)
    .flatMap((order) => (order.do === 'ensure' && order.job === job ? [order.begun ?? false] : []))

test('an attempt that has begun is noted in one commit, however often it is told; one that ends before costs nothing', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: {}, b: {}, c: {} }))
  const before = life.host().counts()
  life.attempts.end('b', 'succeeded')
  life.attempts.end('c', 'succeeded')
  await life.quiet()
  const ended = life.host().counts()
  const steps = life.disk.tables.position

  for (const job of ['a', 'a', 'b']) life.attempts.begun(job)
  await life.quiet()
  life.attempts.begun('a')
  await life.quiet()

  expect(ended.commits).toBe(before.commits + 1)
  expect(life.host().counts().commits).toBe(ended.commits + 1)
  expect(life.disk.tables.position).toBe(steps + 1)
  expect(begunOf(life, 'a')).toEqual([[1, 'running', 42]])
  expect(begunOf(life, 'b')).toEqual([])
})

test('attempts that have begun at one moment share a commit, also that of another’s end', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: {}, b: {}, c: {}, d: {} }))
  const { commits } = life.host().counts()

  for (const job of ['a', 'b', 'c']) life.attempts.begun(job)
  life.attempts.end('d', 'succeeded')
  await life.quiet()

  expect(life.host().counts().commits).toBe(commits + 1)
  expect(['a', 'b', 'c'].map((job) => begunOf(life, job).length)).toEqual([1, 1, 1])
})

test('whoever takes the plan up knows which attempts had begun, and of the next attempt nobody says so', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: { onLost: 'retry' }, b: {} }))
  life.attempts.begun('a')
  await life.quiet()

  const since = life.attempts.orders.length
  await life.reload()
  expect([asked(life, 'a', since), asked(life, 'b', since)]).toEqual([[true], [false]])
  // It is known, and not noted again.
  life.attempts.begun('a')
  life.attempts.end('a', 'lost')
  await life.quiet()
  await life.reload()

  expect(asked(life, 'a', since)).toEqual([true, false, false])
  expect(begunOf(life, 'a')).toHaveLength(1)
  life.attempts.begun('a')
  await life.quiet()
  expect(begunOf(life, 'a').map(([attempt]) => attempt)).toEqual([1, 2])
})

test('of an attempt that is over, or was never made, it is not noted', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: { onLost: 'hold' }, b: { onLost: 'retry' } }))
  life.attempts.end('a', 'lost')
  life.attempts.end('b', 'lost')
  await life.quiet()
  const steps = life.disk.tables.position

  life.attempts.begun('a')
  life.attempts.begun('b', 1)
  life.attempts.begun('b', 3)
  await life.quiet()

  expect((await life.job('a')).state).toBe('waiting')
  expect(life.disk.tables.position).toBe(steps)
})

test('one that is being stopped is noted too', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: {} }))
  await life.tell('a', 'cancel.requested')
  life.attempts.begun('a')
  await life.quiet()

  await life.reload()

  expect(begunOf(life, 'a')).toEqual([[1, 'stopping', 42]])
})

test('what a failed commit did not write is written when the store is back, and only if it still runs', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: {}, b: {} }))
  life.failCommits(2)

  life.attempts.begun('a')
  life.attempts.begun('b')
  const idle = life.quiet()
  await new Promise((resolve) => setImmediate(resolve))
  life.attempts.end('b', 'succeeded')
  await life.clock.advance(60_000)
  await idle
  await life.quiet()
  const since = life.attempts.orders.length
  await life.reload()

  expect(begunOf(life, 'a')).toHaveLength(1)
  expect(asked(life, 'a', since)).toEqual([true])
})

test('a commit whose end was not seen leaves no attempt that had begun unknown', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: {} }))
  life.loseAcknowledgements(1)

  life.attempts.begun('a')
  const idle = life.quiet()
  await new Promise((resolve) => setImmediate(resolve))
  await life.clock.advance(60_000)
  await idle
  await life.quiet()
  const since = life.attempts.orders.length
  await life.reload()

  expect(begunOf(life, 'a').length).toBeGreaterThanOrEqual(1)
  expect(asked(life, 'a', since)).toEqual([true])
})

test('that attempts have begun is nothing that recovery found or the sweep repaired, and does not push that out', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: {}, b: {} }))
  await life.reload()
  life.attempts.begun('a')
  life.attempts.begun('b')
  await life.quiet()

  const reader = memoryReader({ ...life.disk, faults: {} })
  expect((await reader.notes(PLAN, 1)).map(({ type }) => type)).toEqual(['recovered'])
  expect(await reader.lastNote(PLAN, 'a', 'begun')).toMatchObject({ attempt: 1, reason: null })
  expect(await reader.lastNote(PLAN, 'a', 'sweep.repaired')).toBeUndefined()
})
