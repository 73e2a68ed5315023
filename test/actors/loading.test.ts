/**
 * Taking up what an earlier process left: what cannot be loaded is set aside and disturbs nobody, what recovery finds is on record,
 * and what ended the process is not tried for ever.
 *
 * Mutations of `loading.ts`, `deciding.ts` and `host.ts` that were planted once, and each found: an error of one plan's rows thrown
 * on; a plan that was set aside loaded again by a start; the note of an adopted attempt written again at its end; deliveries
 * counted after the message was taken; a loading counted after it.
 */
import { expect, test } from 'vitest'
import { host } from '../../src/actors/host.ts'
import { jobAddress, planAddress } from '../../src/address.ts'
import { isTenutoError, TenutoError } from '../../src/errors.ts'
import { seededRandom } from '../../src/ids.ts'
import { type Batch, EMPTY_BATCH, type StepRow } from '../../src/journal/journal.ts'
import { memoryJournal } from '../../src/journal/memory.ts'
import { memoryReader } from '../../src/journal/memory-reader.ts'
import type { JsonObject } from '../../src/json.ts'
import type { Migration } from '../../src/machines/migrations.ts'
import { planOf, rowOf } from '../support/definitions.ts'
import { type Life, openLife, PLAN } from '../support/life.ts'

const OTHER = 'q-bbbbbb'
const A = jobAddress(PLAN, 'a')

/** A plan with one job that runs and one that waits for it, and another plan beside it. */
const twoPlans = async (): Promise<Life> => {
  const life = await openLife()
  await life.submit(planOf({ a: {}, b: { needs: ['a'] } }))
  await life.host().submit({ row: rowOf(OTHER, 1), definition: planOf({ a: {} }) })
  await life.quiet()
  return life
}
const reload = async (life: Life): Promise<void> => {
  await life.reload()
  await life.host().takeUp(OTHER)
  await life.quiet()
}
/** Read past the reader, which refuses damaged rows. */
const notes = async (life: Life): Promise<readonly StepRow[]> =>
  life.disk.tables.steps.filter(({ address }) => address.startsWith('note:'))
const told = (all: readonly StepRow[]): readonly string[] =>
  all.map(({ address, type, reason }) => `${address} ${type} ${reason}`)

type Damage = Readonly<{ name: string; do: (life: Life) => void; mend: (life: Life) => void; why: RegExp }>
const actorsOf = (life: Life) => {
  const rows = life.disk.tables.actors.get(PLAN)
  if (!rows) throw new Error('no actors')
  return rows
}
const changeActor = (life: Life, more: object): void => {
  const row = actorsOf(life).get(A)
  if (row) actorsOf(life).set(A, { ...row, ...more })
}
const changeJob = (life: Life, more: object): void => {
  const row = life.disk.tables.jobs.get(PLAN)?.get('b')
  if (row) life.disk.tables.jobs.get(PLAN)?.set('b', { ...row, ...more })
}
const damages: readonly Damage[] = [
  {
    name: 'a row whose crc does not fit',
    do: (life) => {
      life.disk.faults.damaged = new Set([A])
    },
    mend: (life) => {
      life.disk.faults.damaged = undefined
    },
    why: /row of job:p-aaaaaa\/a/,
  },
  {
    name: 'a state that the machine does not have',
    do: (life) => changeActor(life, { snapshot: '{"value":"dancing","context":{}}' }),
    mend: (life) =>
      changeActor(life, { snapshot: JSON.stringify({ value: 'running', context: contextOf(life) }) }),
    why: /dancing/,
  },
  {
    name: 'a machine of another version',
    do: (life) => changeActor(life, { version: 'job/99' }),
    mend: (life) => changeActor(life, { version: 'job/1' }),
    why: /written by machine job\/99, and nothing leads from there to job\/1/,
  },
  {
    name: 'a snapshot that is no JSON',
    do: (life) => changeActor(life, { snapshot: '{"value":' }),
    mend: (life) =>
      changeActor(life, { snapshot: JSON.stringify({ value: 'running', context: contextOf(life) }) }),
    why: /JSON/,
  },
  {
    name: 'a board with an unknown state',
    do: (life) => changeJob(life, { state: 'dancing' }),
    mend: (life) => changeJob(life, { state: 'held' }),
    why: /job b is dancing, which this version does not know/,
  },
  {
    name: 'a board that lacks a row',
    do: (life) => changeJob(life, { name: 'bb' }),
    mend: (life) => changeJob(life, { name: 'b' }),
    why: /row of job bb is not in its place/,
  },
]
const contexts = new WeakMap<object, object>()
const contextOf = (life: Life): object => contexts.get(life) ?? {}

test('what is asked of a plan that is no longer there leaves nothing on record of it', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: {} }))
  life.attempts.end('a', 'succeeded')
  await life.quiet()
  await life.restart({ takesUp: false })
  await life.journal().pruning.remove([PLAN], 1_000)
  await life.journal().pruning.forget([PLAN])

  expect(await life.tell(null, 'retry.requested')).toMatchObject({ taken: false, state: null })

  expect(await life.journal().loading(PLAN)).toBe(0)
})

test.each(damages)(
  '$name quarantines its plan and nothing else, until an operator lets it go on',
  async (damage) => {
    const life = await twoPlans()
    contexts.set(life, (JSON.parse(actorsOf(life).get(A)?.snapshot ?? '') as { context: object }).context)
    await life.host().stop()
    damage.do(life)

    await reload(life)

    const head = await life.journal().plan(PLAN)
    expect(head).toMatchObject({ state: 'quarantined', reason: 'fault' })
    expect(head?.aside).toMatch(damage.why)
    expect(told(await notes(life))).toContain(`note:${PLAN} quarantined fault`)
    expect((await life.journal().plan(OTHER))?.state).toBe('running')
    expect([...life.host().residents.keys()]).toEqual([OTHER])
    expect(life.logged).toContain('the plan cannot be loaded and is quarantined; all others go on')
    expect(life.failures).toEqual([])

    // Nobody else's question loads it, and neither does the next start.
    expect(await life.tell(null, 'pause.requested')).toMatchObject({ taken: false, state: 'quarantined' })
    await expect(life.tell(null, 'continue.requested')).rejects.toSatisfy((error: unknown) =>
      isTenutoError(error, 'PLAN_DAMAGED'),
    )
    damage.mend(life)
    await reload(life)
    expect((await life.journal().plan(PLAN))?.state).toBe('quarantined')
    const noted = (await notes(life)).filter(({ type }) => type === 'quarantined')
    expect(noted).toHaveLength(1)

    expect(await life.tell(null, 'continue.requested')).toMatchObject({ taken: true, state: 'running' })
    await life.quiet()
    expect((await life.journal().plan(PLAN))?.state).toBe('running')
    expect((await life.journal().plan(PLAN))?.aside).toBeNull()
    expect(told(await notes(life))).toContain(`note:${PLAN} restored operator`)
    life.attempts.end('a', 'succeeded')
    await life.quiet()
    life.attempts.end('b', 'succeeded')
    await life.quiet()
    expect((await life.journal().plan(PLAN))?.state).toBe('succeeded')
  },
)

test('a row that is found damaged only when somebody asks for its job quarantines the plan then', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: {}, b: {} }))
  life.attempts.end('a', 'succeeded')
  await life.quiet()
  life.disk.faults.damaged = new Set([A])

  const receipt = await life.tell('a', 'retry.requested')

  expect(receipt).toMatchObject({ taken: false, state: 'quarantined' })
  await life.quiet()
  expect((await life.plan()).state).toBe('quarantined')
  expect(life.host().residents.size).toBe(0)
})

test('that a plan was set aside survives a commit that fails', async () => {
  const life = await twoPlans()
  await life.host().stop()
  life.disk.faults.damaged = new Set([A])
  life.failCommits(0)
  let failed = 0
  life.disk.faults.beforeCommit = (batch: Batch) => {
    if (batch.aside.length === 0 || failed > 0) return
    failed += 1
    throw new TenutoError('STORE_FULL', { path: 'memory', why: 'the test says so' })
  }

  const reloaded = reload(life)
  await new Promise((resolve) => setImmediate(resolve))
  await life.clock.advance(60_000)
  await reloaded
  await life.clock.advance(60_000)
  await life.quiet()

  expect(failed).toBe(1)
  expect((await life.plan()).state).toBe('quarantined')
  expect(told(await notes(life))).toContain(`note:${PLAN} quarantined fault`)
})

test('what recovery finds of each attempt in flight is on record once, with what was left as it was', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: {}, b: {}, c: {}, d: { onLost: 'hold' }, e: {}, f: { needs: ['e'] }, g: {} }))
  life.attempts.end('g', 'succeeded')
  await life.quiet()

  await life.reload()
  life.attempts.found('a', 'adopted')
  life.attempts.found('e', 'requeued')
  life.attempts.end('b', 'exit')
  life.attempts.end('c', 'never-started')
  life.attempts.end('d', 'lost')
  await life.quiet()
  life.attempts.end('a', 'succeeded')
  await life.quiet()

  const all = await notes(life)
  expect(told(all).toSorted()).toEqual([
    `note:${PLAN} recovered unchanged`,
    `note:${PLAN}/a recovered adopted`,
    `note:${PLAN}/b recovered ended-meanwhile`,
    `note:${PLAN}/c recovered never-started`,
    `note:${PLAN}/d recovered lost`,
    `note:${PLAN}/e recovered requeued`,
  ])
  expect(JSON.parse(all[0]?.event ?? '')).toMatchObject({ jobs: 7, inFlight: 5, unchanged: 2 })
  expect(JSON.parse(all.find(({ reason }) => reason === 'adopted')?.event ?? '')).toMatchObject({ pid: 42 })
})

test('a failed commit is no recovery: nothing is noted for it', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: {}, b: { needs: ['a'] } }))
  life.failCommits(2)

  life.attempts.end('a', 'succeeded')
  const idle = life.quiet()
  await new Promise((resolve) => setImmediate(resolve))
  await life.clock.advance(60_000)
  await idle
  await life.quiet()

  expect(await notes(life)).toEqual([])
})

/** Starts a host on the life's disk as a new process would, after one that was killed. */
const startAfterKill = async (life: Life) => {
  const journal = await memoryJournal(life.disk, { bootId: 'boot', pid: 1, build: 'test', at: 0 })
  const [errors, failures]: [string[], unknown[]] = [[], []]
  const made = host({
    journal,
    clock: life.clock,
    random: seededRandom(1),
    attempts: life.attempts.port,
    maxParallel: 1000,
    log: { info: () => {}, warn: () => {}, error: (_, message) => errors.push(message) },
    show: () => {},
    fail: (error) => failures.push(error),
  })
  return { made, journal, errors, failures }
}
const dies = (): Promise<never> => new Promise(() => {})
/** Puts a cancel of the job into the mail, as a host would that ended before it was taken; answers its id. */
const mailCancel = async (life: Life): Promise<number> => {
  await life.host().stop()
  const id = life.disk.tables.mailId + 1
  const event = JSON.stringify({ type: 'cancel.requested', at: 1 })
  await life.journal().commit({
    ...EMPTY_BATCH,
    mail: { added: [{ id, address: A, event, postedBy: null, deliveries: 0, at: 1 }], taken: [], failed: [] },
  })
  return id
}
const settling = async (): Promise<void> => {
  for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

test('a message that ends the process each time it is taken is a dead letter after three deliveries', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: {}, b: {} }))
  const id = await mailCancel(life)
  const taking: number[] = []
  life.disk.faults.beforeCommit = (batch: Batch) => {
    if (!batch.mail.taken.includes(id) || batch.dead.length > 0) return
    taking.push(life.disk.tables.mail.get(id)?.deliveries ?? -1)
    return dies()
  }

  for (let boot = 1; boot <= 3; boot += 1) {
    const { made } = await startAfterKill(life)
    void made.takeUp(PLAN)
    await settling()
    expect(taking).toHaveLength(boot)
  }
  // Each delivery was durable before the message was taken.
  expect(taking).toEqual([1, 2, 3])
  const { made, journal } = await startAfterKill(life)
  await made.takeUp(PLAN)
  await settling()
  await made.idle()

  const [letter] = await journal.deadLetters(1)
  expect(letter).toMatchObject({ address: A, error: 'the process ended each time this message was taken' })
  expect(taking).toHaveLength(3)
  // It had an attempt, which is stopped first.
  expect((await journal.job(PLAN, 'a'))?.state).toBe('stopping')
  expect((await journal.job(PLAN, 'b'))?.state).toBe('running')
  expect((await memoryReader(life.disk).mail()).map((row) => row.id)).not.toContain(id)
})

test('after an unclean stop each message that was found is taken in a commit of its own; then drains are whole again', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: {}, b: {}, c: { needs: ['a', 'b'] } }))
  await life.host().stop()
  const first = life.disk.tables.mailId + 1
  const event = JSON.stringify({ type: 'cancel.requested', at: 1 })
  await life.journal().commit({
    ...EMPTY_BATCH,
    mail: {
      added: ['a', 'b'].map((job, at) => ({
        id: first + at,
        address: jobAddress(PLAN, job),
        event,
        postedBy: null,
        deliveries: 0,
        at: 1,
      })),
      taken: [],
      failed: [],
    },
  })
  const batches: Batch[] = []
  life.disk.faults.afterCommit = (batch) => {
    batches.push(batch)
  }

  const { made } = await startAfterKill(life)
  await made.takeUp(PLAN)
  await made.idle()

  const story = batches.flatMap(({ mail, loading }) => [
    ...mail.failed.map((id) => `counted ${id - first}`),
    ...mail.taken.map((id) => `taken ${id - first}`),
    ...loading.map(({ times }) => `loading ${times}`),
  ])
  expect(story.filter((each) => !each.startsWith('loading'))).toEqual([
    'counted 0',
    'taken 0',
    'counted 1',
    'taken 1',
  ])
  expect(story.filter((each) => each.startsWith('loading'))).toEqual(['loading 1', 'loading 0'])
  expect(batches.every(({ mail }) => mail.taken.length <= 1)).toBe(true)
})

test('what waits for a plan that is quarantined is not charged with the ends of processes that never took it', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: {}, b: { needs: ['a'] } }))
  await life.tell(null, 'faulted', { error: 'the test says so' })
  await life.quiet()
  life.attempts.end('a', 'succeeded')
  await life.quiet()
  const deliveries = () => [...life.disk.tables.mail.values()].map((row) => row.deliveries)
  expect([(await life.plan()).state, deliveries()]).toEqual(['quarantined', [0]])

  for (let boot = 1; boot <= 5; boot += 1) {
    const { made } = await startAfterKill(life)
    await made.takeUp(PLAN)
    await made.idle()
  }
  const { made, journal } = await startAfterKill(life)
  await made.takeUp(PLAN)
  await made.offer(planAddress(PLAN), { type: 'continue.requested', at: 1 })
  await made.idle()

  expect(await journal.deadLetters(1)).toEqual([])
  expect((await journal.job(PLAN, 'b'))?.state).toBe('running')
})

const writerFails = (): never => {
  throw new TenutoError('STORE_RESTARTED', { why: 'the test says so' })
}

test('a writer that fails while a loading or a delivery is counted harms neither plan nor host', async () => {
  const life = await twoPlans()
  await mailCancel(life)
  const struck = new Set<string>()
  life.disk.faults.beforeCommit = ({ loading, mail }: Batch) => {
    const what = loading.some(({ times }) => times > 0) ? 'loading' : mail.failed.length > 0 ? 'delivery' : ''
    if (what === '' || struck.has(what)) return
    struck.add(what)
    writerFails()
  }

  const { made, journal, errors, failures } = await startAfterKill(life)
  await made.takeUp(PLAN)
  await made.idle()

  expect([...struck]).toEqual(['loading', 'delivery'])
  expect([errors, failures]).toEqual([[], []])
  expect(await journal.plan(PLAN)).toMatchObject({ state: 'running', aside: null })
  expect((await journal.job(PLAN, 'a'))?.state).toBe('stopping')
  expect(await journal.mail(PLAN)).toEqual([])
})

test('a plan with which the process ends three times while it is taken up is set aside, and the others are served', async () => {
  const life = await twoPlans()
  await life.host().stop()
  life.disk.faults.afterCommit = ({ loading }) => {
    return loading.some(({ plan, times }) => plan === PLAN && times > 0) ? dies() : undefined
  }
  for (let boot = 1; boot <= 3; boot += 1) {
    const { made } = await startAfterKill(life)
    void made.takeUp(PLAN)
    await settling()
  }

  const { made, journal, errors } = await startAfterKill(life)
  await made.takeUp(PLAN)
  await made.takeUp(OTHER)
  await made.idle()

  expect((await journal.plan(PLAN))?.aside).toMatch(/the process ended 3 times while it took this plan up/)
  expect(errors).toHaveLength(1)
  expect((await journal.plan(OTHER))?.state).toBe('running')
  // An operator's word begins the count anew.
  life.disk.faults.afterCommit = undefined
  const receipt = await made.offer(planAddress(PLAN), { type: 'continue.requested', at: 1 })
  expect(receipt).toMatchObject({ taken: true, state: 'running' })
})

test('a plan that was taken up has nothing against it: a kill from then on is not its fault', async () => {
  const life = await twoPlans()
  await life.host().stop()

  for (let boot = 1; boot <= 4; boot += 1) {
    const { made, journal } = await startAfterKill(life)
    await made.takeUp(PLAN)
    expect(await journal.loading(PLAN)).toBe(0)
  }
})

test('a plan that is taken up after a clean stop has nothing against it either', async () => {
  const life = await twoPlans()
  await life.host().stop()
  life.disk.faults.afterCommit = ({ loading }) => {
    return loading.some(({ plan, times }) => plan === PLAN && times > 0) ? dies() : undefined
  }
  for (let boot = 1; boot <= 2; boot += 1) {
    const { made } = await startAfterKill(life)
    void made.takeUp(PLAN)
    await settling()
  }
  const idle = await startAfterKill(life)
  expect(await idle.journal.loading(PLAN)).toBe(2)
  await idle.made.stop()
  await idle.journal.stop(true)

  const { made, journal } = await startAfterKill(life)
  expect(journal.opening.clean).toBe(true)
  await made.takeUp(PLAN)

  expect(await journal.loading(PLAN)).toBe(0)
})

// Machines of other versions.

const OLDER: readonly Migration[] = [
  { from: 'job/-1', to: 'job/0', migrate: ({ tries = 0, ...rest }) => ({ ...rest, attempts: tries }) },
  { from: 'job/0', to: 'job/1', migrate: ({ attempts = 0, ...rest }) => ({ ...rest, attempt: attempts }) },
]
/** Makes the row of job a what an older machine would have written. */
const makeOlder = (life: Life): void => {
  const row = actorsOf(life).get(A)
  const { value, context } = JSON.parse(row?.snapshot ?? '') as {
    value: string
    context: { attempt: number }
  }
  const { attempt, ...rest } = context
  changeActor(life, {
    version: 'job/-1',
    snapshot: JSON.stringify({ value, context: { ...rest, tries: attempt } }),
  })
}

test('a row of an older machine is migrated as a step of its actor, once, and its life goes on', async () => {
  const life = await openLife({ migrations: OLDER })
  await life.submit(planOf({ a: {}, b: { needs: ['a'] } }))
  await life.host().stop()
  makeOlder(life)

  await life.reload()
  await life.reload()

  expect(await life.story('a')).toEqual(['created queued', 'slot.granted running', 'migrated running'])
  const steps = await life.journal().steps({ after: 0, limit: 100, address: A })
  expect(JSON.parse(steps.at(-1)?.event ?? '')).toMatchObject({ from: 'job/-1', to: 'job/1' })
  expect(await life.journal().actor(A)).toMatchObject({ version: 'job/1', seq: 3 })
  life.attempts.end('a', 'succeeded')
  await life.quiet()
  expect((await life.job('b')).state).toBe('running')
})

test.each<readonly [string, Migration['migrate']]>([
  [
    'throws',
    () => {
      throw new Error('it cannot')
    },
  ],
  ['makes nothing of it', () => null as unknown as JsonObject],
])('a migration that %s quarantines the plan, and the row stays as it was', async (_, migrate) => {
  const life = await openLife({ migrations: [{ from: 'job/-1', to: 'job/1', migrate }] })
  await life.submit(planOf({ a: {}, b: { needs: ['a'] } }))
  await life.host().stop()
  makeOlder(life)
  const before = actorsOf(life).get(A)

  await life.reload()

  expect((await life.plan()).state).toBe('quarantined')
  expect(actorsOf(life).get(A)).toEqual(before)
})

test('migrations that lead round in a circle quarantine the plan', async () => {
  const migrate: Migration['migrate'] = (context) => context
  const life = await openLife({
    migrations: [
      { from: 'job/-1', to: 'job/0', migrate },
      { from: 'job/0', to: 'job/-1', migrate },
    ],
  })
  await life.submit(planOf({ a: {} }))
  await life.host().stop()
  makeOlder(life)

  await life.reload()

  expect((await life.plan()).state).toBe('quarantined')
})

test('due time, attempt number and generation are the same after any number of restarts, and lost time costs no budget', async () => {
  const retry = { max: 2, delayMs: 60_000, factor: 2, maxDelayMs: 600_000, jitter: 0, on: ['exit'] }
  const life = await openLife()
  await life.submit(planOf({ a: { retry, onLost: 'retry' } }))
  const began = life.clock.now()
  life.attempts.end('a', 'exit')
  await life.quiet()
  for (let restarts = 0; restarts < 10; restarts += 1) {
    await life.clock.advance(5_000)
    await life.reload()
  }
  expect(await life.job('a')).toMatchObject({ state: 'backoff', attempt: 1, generation: 1 })
  await life.clock.advance(began + 60_000 - life.clock.now() - 1)
  await life.quiet()
  expect((await life.job('a')).state).toBe('backoff')
  await life.clock.advance(1)
  await life.quiet()
  expect(await life.job('a')).toMatchObject({ state: 'running', attempt: 2 })

  // Attempts that were lost or never began are bounded, and spend no retry.
  for (let losses = 0; losses < 3; losses += 1) {
    await life.reload()
    life.attempts.end('a', 'lost')
    await life.quiet()
  }
  expect(await life.job('a')).toMatchObject({ state: 'running', attempt: 5 })
  const context = JSON.parse((await life.journal().actor(A))?.snapshot ?? '') as { context: object }
  expect(context.context).toMatchObject({ failures: 1, losses: 3 })
  // A time that passed while nobody was there has passed.
  life.attempts.end('a', 'exit')
  await life.quiet()
  expect((await life.job('a')).state).toBe('backoff')
  await life.host().stop()
  await life.clock.advance(600_000)
  await life.reload()
  await life.clock.advance(1)
  await life.quiet()
  expect(await life.job('a')).toMatchObject({ state: 'running', attempt: 6 })
  life.attempts.end('a', 'lost')
  await life.quiet()
  expect(await life.job('a')).toMatchObject({ state: 'failed', reason: 'lost' })
})
