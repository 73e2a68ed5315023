/**
 * Dead letters on the real host: a memory journal, a virtual clock, attempts played by hand.
 *
 * Mutations that were planted once, and each found: an unknown event refused in silence; what is counted added before the commit; a
 * letter discarded whatever it says; a letter raised without its message; a letter lost when the end of its commit was not seen.
 */
import { expect, test } from 'vitest'
import { type Address, jobAddress, planAddress } from '../../src/address.ts'
import type { RetryPolicy } from '../../src/definition.ts'
import { TenutoError } from '../../src/errors.ts'
import { EMPTY_BATCH, type StepRow } from '../../src/journal/journal.ts'
import { mailOf } from '../journal/batches.ts'
import { journalWrong } from '../sim/invariants.ts'
import { planOf } from '../support/definitions.ts'
import { type Life, openLife, PLAN } from '../support/life.ts'

/** A policy that makes the machine throw when an attempt ends. */
const POISON = { max: 1, delayMs: 1, factor: 1, maxDelayMs: 1, jitter: 0 } as unknown as RetryPolicy

/** Puts messages into the mail of a life behind its host's back, and begins again. */
const mailed = async (life: Life, ...messages: readonly (readonly [Address, object])[]): Promise<void> => {
  await life.host().stop()
  const { mail } = await life.journal().head()
  const added = messages.map(([address, event], at) =>
    mailOf(mail + at + 1, address, { event: JSON.stringify(event) }),
  )
  await life.journal().commit({ ...EMPTY_BATCH, mail: { ...EMPTY_BATCH.mail, added } })
  await life.reload()
}
const letters = async (life: Life): Promise<readonly string[]> =>
  (await life.journal().deadLetters(100)).map(
    ({ id, address, event, error }) =>
      `${id} ${address} ${(JSON.parse(event) as { type: string }).type}: ${error.split('\n')[0]}`,
  )
const noted = ({ type, address, event }: StepRow): string =>
  `${type} ${address} ${(JSON.parse(event) as { letter?: number }).letter ?? ''}`
const failure = (of: Promise<unknown>): Promise<unknown> =>
  of.then(
    () => 'settled',
    (error: unknown) => (error as { code: string }).code,
  )

test('a message nobody can take is kept with the reason: an unknown event, an unknown job, a plan that is not there', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: {} }))

  await mailed(
    life,
    [jobAddress(PLAN, 'a'), { type: 'weather.changed', at: 1 }],
    [jobAddress(PLAN, 'z'), { type: 'released', at: 1 }],
    [planAddress(PLAN), { type: 'weather.changed', at: 1 }],
    [planAddress('gone-aaaaaa'), { type: 'job.settled', at: 1 }],
  )
  await life.host().takeUp('gone-aaaaaa')
  await life.quiet()

  expect((await letters(life)).map((letter) => letter.slice(2)).toSorted()).toEqual([
    `job:${PLAN}/a weather.changed: no state of a job takes weather.changed; it is running`,
    `job:${PLAN}/z released: there is no actor at job:${PLAN}/z`,
    'plan:gone-aaaaaa job.settled: there is no such plan',
    `plan:${PLAN} weather.changed: no state of a plan takes weather.changed; it is running`,
  ])
  expect(life.host().counts()).toMatchObject({ dead: 4, duplicates: 0, faults: 0 })
  expect(await life.journal().mail()).toEqual([])
  life.attempts.end('a', 'succeeded')
  await life.quiet()
  expect(await life.plan()).toMatchObject({ state: 'succeeded' })
})

test('what a job that ended before it began would refuse as any ended one is no dead letter', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: {}, b: { needs: ['a'] } }))
  life.attempts.end('a', 'exit')
  await life.quiet()
  expect(await life.job('b')).toMatchObject({ state: 'skipped', embodied: false })

  await mailed(life, [jobAddress(PLAN, 'b'), { type: 'cancel.requested', at: 1 }])
  await life.host().takeUp(PLAN)
  await life.quiet()

  expect(await letters(life)).toEqual([])
  expect(await life.journal().mail()).toEqual([])
  expect(life.host().counts()).toMatchObject({ dead: 0, duplicates: 1 })
})

test.each([
  ['pause.requested', 'a clean stop', true],
  ['pause.requested', 'a crash', false],
  ['faulted', 'a crash', false],
])(
  'what asks an ended plan, or ends its actor, and is in its mail (%s) is no finding, and is taken after %s',
  async (type, _, isClean) => {
    const life = await openLife()
    const definition = planOf({ a: {} })
    await life.submit(definition)
    life.attempts.end('a', 'exit')
    await life.quiet()
    const { mail } = await life.journal().head()
    const asked = mailOf(mail + 1, planAddress(PLAN), {
      event: JSON.stringify({ type, at: 1 }),
      deliveries: 1,
    })
    await life.host().stop()
    await life.journal().commit({ ...EMPTY_BATCH, mail: { ...EMPTY_BATCH.mail, added: [asked] } })

    const wrong = await journalWrong(life.journal(), [{ id: PLAN, definition }], {
      complete: true,
      last: false,
      ever: await life.journal().steps({ after: 0, limit: 100 }),
    })
    expect(wrong).toEqual([])

    await (isClean ? life.reload() : life.restart())

    expect(await life.journal().mail()).toEqual([])
    expect(await letters(life)).toEqual([])
  },
)

test('what is said twice, or too late, is counted as a duplicate and is no dead letter', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: {}, b: {} }))
  life.attempts.end('a', 'succeeded')
  await life.quiet()
  const settled = (await life.journal().steps({ after: 0, limit: 100, address: planAddress(PLAN) })).find(
    ({ type }) => type === 'job.settled',
  )

  await mailed(
    life,
    [planAddress(PLAN), JSON.parse(settled?.event ?? '{}') as object],
    [jobAddress(PLAN, 'a'), { type: 'released', at: 1 }],
  )
  life.attempts.end('b', 'exit', { attempt: 9 })
  await life.quiet()

  expect(life.host().counts()).toMatchObject({ duplicates: 3, dead: 0 })
  expect(await letters(life)).toEqual([])
})

test('what asks and is refused is told so, and is neither a dead letter nor a duplicate', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: {} }))

  expect(await life.tell('a', 'weather.changed')).toMatchObject({ taken: false, state: 'running' })
  expect(await life.tell('z', 'cancel.requested')).toMatchObject({ taken: false, state: null })

  expect(life.host().counts()).toMatchObject({ duplicates: 0, dead: 0 })
})

test('dead letters and duplicates are counted once, whatever their commit went through', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: { retry: POISON }, b: {} }))
  life.failCommits(3)

  life.attempts.end('a', 'exit')
  life.attempts.end('b', 'exit', { attempt: 9 })
  await life.clock.advance(60_000)
  await life.quiet()

  expect(life.host().counts()).toMatchObject({ failedCommits: 3, dead: 1, duplicates: 1 })
  expect(await letters(life)).toHaveLength(1)
})

const LOST_WORK = '"work":[{"do":"spread","job":99,"from":0}]'
/** A plan that is quarantined by the end of one of its jobs; its dead letter is a fact. */
const quarantinedByAFact = async (): Promise<Life> => {
  const life = await openLife()
  await life.submit(planOf({ a: {}, b: { needs: ['a'] } }))
  await life.host().stop()
  // What the plan has left to do names a job that is not there: the next end that it hears of makes it throw.
  const actors = life.disk.tables.actors.get(PLAN)
  const row = actors?.get(planAddress(PLAN))
  if (!actors || !row) throw new Error('no plan actor')
  actors.set(row.address, { ...row, snapshot: row.snapshot.replace('"work":[]', LOST_WORK) })
  await life.reload()
  life.attempts.end('a', 'succeeded')
  await life.quiet()
  const broken = actors.get(row.address)
  if (!broken) throw new Error('no plan actor')
  await life.host().stop()
  actors.set(row.address, { ...broken, snapshot: broken.snapshot.replace(LOST_WORK, '"work":[]') })
  await life.reload()
  return life
}

test('a fact is never discarded: it is delivered again, waits while its plan is quarantined, and the plan goes on with it', async () => {
  const life = await quarantinedByAFact()
  const [letter] = await life.journal().deadLetters(1)
  expect([await life.plan(), letter?.address, await life.job('a')]).toMatchObject([
    { state: 'quarantined', reason: 'fault' },
    planAddress(PLAN),
    { state: 'succeeded', place: 'released' },
  ])

  expect(await failure(life.host().settleLetter(1, 'discard', {}))).toBe('WRONG_STATE')
  await life.host().settleLetter(1, 'redeliver', { why: 'mended' })
  await life.quiet()
  expect([await letters(life), (await life.plan()).state]).toEqual([[], 'quarantined'])
  expect((await life.journal().mail()).map(({ address }) => address)).toEqual([planAddress(PLAN)])
  await life.reload()
  await life.tell(null, 'continue.requested')
  await life.quiet()
  life.attempts.end('b', 'succeeded')
  await life.quiet()

  expect(await life.plan()).toEqual({ state: 'succeeded', reason: null })
  expect(life.attempts.started()).toEqual(['a#1', 'b#1'])
  expect((await life.story(null)).filter((step) => step.startsWith('job.settled'))).toHaveLength(2)
})

test('what is decided of a letter is on record in the commit that decides it, shown in order, and decided once', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: {} }))
  const odd = { type: 'weather.changed', at: 1 }
  await mailed(life, [jobAddress(PLAN, 'a'), odd], [jobAddress(PLAN, 'a'), odd])

  const first = life.host().settleLetter(1, 'discard', { by: 'ann', why: 'no use' })
  const again = failure(life.host().settleLetter(1, 'redeliver', {}))
  const second = life.host().settleLetter(2, 'redeliver', {})
  const position = await first
  await life.quiet()

  expect([await again, (await second) > position]).toEqual(['LETTER_NOT_FOUND', true])
  const notes = (await life.journal().notes(PLAN, 100)).filter(({ type }) => type.startsWith('letter.'))
  expect(notes.toReversed().map(noted)).toEqual([
    `letter.discarded note:${PLAN}/a 1`,
    `letter.redelivered note:${PLAN}/a 2`,
  ])
  expect(JSON.parse(notes[1]?.event ?? '')).toMatchObject({ by: 'ann', why: 'no use', event: odd.type })
  // Delivered again it is as undeliverable as before.
  expect((await letters(life)).map((letter) => letter[0])).toEqual(['3'])
  const shown = life.shown.map((step) => step.position)
  expect(shown).toEqual(shown.toSorted((a, b) => a - b))
  expect(life.shown.filter(({ type }) => type.startsWith('letter.'))).toHaveLength(2)
})

test.each([
  new TenutoError('STORE_FULL', { path: 'memory', why: 'the test says so' }),
  new TenutoError('STORE_RESTARTED', { why: 'the test says so' }),
])(
  'a letter whose commit fails ($code) is still there, and one whose commit was not seen to end is not delivered twice',
  async (error) => {
    const life = await openLife()
    await life.submit(planOf({ a: {}, b: {} }))
    const odd = { type: 'weather.changed', at: 1 }
    await mailed(life, [jobAddress(PLAN, 'a'), odd])
    const { faults } = life.disk
    faults.beforeCommit = () => {
      faults.beforeCommit = undefined
      throw error
    }

    expect(await failure(life.host().settleLetter(1, 'redeliver', {}))).toBe(error.code)
    expect((await letters(life)).map((letter) => letter[0])).toEqual(['1'])
    faults.afterCommit = () => {
      faults.afterCommit = undefined
      throw error
    }
    await life.host().settleLetter(1, 'redeliver', {})
    await life.quiet()
    await life.reload()

    expect((await letters(life)).map((letter) => letter[0])).toEqual(['2'])
    expect(await life.journal().mail()).toEqual([])
    life.attempts.end('a', 'succeeded')
    life.attempts.end('b', 'succeeded')
    await life.quiet()
    expect(await life.plan()).toMatchObject({ state: 'succeeded' })
    expect(life.failures).toEqual([])
  },
)

test('a letter to a plan that is not there can only be discarded', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: {} }))
  await mailed(life, [planAddress('gone-aaaaaa'), { type: 'job.settled', at: 1 }])
  await life.host().takeUp('gone-aaaaaa')
  await life.quiet()

  expect(await failure(life.host().settleLetter(1, 'redeliver', {}))).toBe('WRONG_STATE')
  await life.host().settleLetter(1, 'discard', {})

  expect(await letters(life)).toEqual([])
  expect(await failure(life.host().settleLetter(1, 'discard', {}))).toBe('LETTER_NOT_FOUND')
})

test('the end of a job is not told to a plan that has ended: nothing would come of it', async () => {
  const life = await quarantinedByAFact()
  await life.tell(null, 'cancel.requested')
  await life.clock.advance(60_000)
  await life.host().sweep(0)
  await life.quiet()
  expect((await life.plan()).state).toBe('cancelled')

  expect(await failure(life.host().settleLetter(1, 'redeliver', {}))).toBe('WRONG_STATE')
  await life.host().settleLetter(1, 'discard', {})

  expect(await letters(life)).toEqual([])
})
