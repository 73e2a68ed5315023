/**
 * The supervision tree of a runtime: what fails comes back, and the rest goes on.
 */
import { mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { Definition } from '../src/definition.ts'
import { isTenutoError } from '../src/errors.ts'
import { seededRandom } from '../src/ids.ts'
import { createRuntime, type RuntimeOptions } from '../src/runtime.ts'
import { type FaultPlace, faultInjection } from '../src/testing/faults.ts'
import { virtualClock } from '../src/testing/virtual-clock.ts'
import { runtimeTree } from '../src/tree.ts'
import type { TreeShape } from '../src/views/shapes.ts'
import { removeFolder } from './support/folders.ts'
import { chain, planOf } from './support/graphs.ts'

const open = async (options: RuntimeOptions = {}) => {
  const folder = mkdtempSync(join(tmpdir(), 'tenuto-tree-'))
  const faults = faultInjection()
  const runtime = await createRuntime({
    home: join(folder, 'home'),
    // What fails must come back by itself, and not because the second net found it.
    sweepMs: 0,
    ...options,
    ports: { faults: faults.port },
  })
  onTestFinished(async () => {
    await runtime.stop()
    removeFolder(folder)
  })
  return { runtime, faults, folder }
}

const node = ({ children }: TreeShape, id: string): TreeShape => {
  const found = children.find((child) => child.id === id)
  if (!found) throw new Error(`no ${id} among ${children.map((child) => child.id).join(', ')}`)
  return found
}
/** A plan of processes, one after another, each of which puts itself on record. */
const processes = (n: number, ledger: string): Definition =>
  planOf(chain(n), (name) => ({
    kind: 'run',
    run: `echo ${name} >> ${ledger}`,
    onLost: 'hold',
    timeoutMs: 60_000,
  }))
const ledgerOf = (path: string): string[] => readFileSync(path, 'utf8').trim().split('\n')

test('the tree names every part in the order in which they stand on each other', async () => {
  const { runtime } = await open()

  const tree = runtime.tree()

  expect(tree.children.map(({ id, kind, state }) => `${id} ${kind} ${state}`)).toEqual([
    'journal worker running',
    'plans supervisor running',
    'jobs supervisor running',
    'slots worker running',
    'timers worker running',
    'executor worker running',
    'sweeper worker running',
    'retention worker running',
    'projector worker running',
    'analytics worker disabled',
  ])
})

const PLACES: readonly (readonly [string, FaultPlace])[] = [
  ['slots', { part: 'slots', call: 'grant' }],
  ['slots', { part: 'slots', call: 'job' }],
  ['slots', { part: 'slots', call: 'couldGrant' }],
  ['executor', { part: 'executor', call: 'ensure' }],
  ['projector', { part: 'projector', call: 'show' }],
  ['journal', { part: 'journal', call: 'commit' }],
]
test.each(PLACES)('%s that fails (%j) is made anew, and the plan ends as without it', async (id, place) => {
  const { runtime, faults, folder } = await open()
  const ledger = join(folder, 'ledger')
  const thrown = faults.throwAt(place)
  const plan = await runtime.submit(processes(5, ledger)).catch(async (error: unknown) => {
    // Whoever asked while the writer failed is told, and asks again.
    expect(isTenutoError(error, 'STORE_RESTARTED')).toBe(true)
    return runtime.submit(processes(5, ledger))
  })

  const { state } = await plan.settled()

  await thrown
  expect(state).toBe('succeeded')
  expect(ledgerOf(ledger)).toEqual(['j0', 'j1', 'j2', 'j3', 'j4'])
  const failed = node(runtime.tree(), id)
  expect(failed.restarts?.count).toBe(1)
  expect(failed.last_error).toMatch(/^injected: /)
  expect(runtime.counts().repairs).toBe(0)
})

test('timers that fail are made anew, and told every moment that is waited for', async () => {
  const { runtime, faults, folder } = await open()
  const ledger = join(folder, 'ledger')
  const thrown = faults.throwAt({ part: 'timers', call: 'arm' })
  const retry = { max: 1, delayMs: 50, factor: 1, maxDelayMs: 50, jitter: 0, on: ['exit'] }
  const plan = await runtime.submit(
    planOf(chain(1), (name) => ({
      kind: 'run',
      run: `echo ${name} >> ${ledger}; test $(wc -l < ${ledger}) -gt 1`,
      onLost: 'hold',
      retry,
    })),
  )

  const { state } = await plan.settled()

  await thrown
  expect(state).toBe('succeeded')
  expect(ledgerOf(ledger)).toEqual(['j0', 'j0'])
  expect(node(runtime.tree(), 'timers').restarts?.count).toBe(1)
})

test.each([
  ['jobs', { actor: 'job:*/j2', message: 'attempt.ended' }],
  ['jobs', { actor: 'job:*/j2', message: 'slot.granted' }],
  ['plans', { actor: 'plan:*', message: 'job.settled' }],
] as const)('an actor of %s that fails (%j) is replaced from its committed state', async (_, place) => {
  const { runtime, faults, folder } = await open()
  const ledger = join(folder, 'ledger')
  const thrown = faults.throwAt(place, 2)
  const plan = await runtime.submit(processes(5, ledger))

  const { state, jobs } = await plan.settled()

  await thrown
  expect(state).toBe('succeeded')
  expect(Object.values(jobs).map(({ attempt }) => attempt)).toEqual([1, 1, 1, 1, 1])
  expect(ledgerOf(ledger)).toEqual(['j0', 'j1', 'j2', 'j3', 'j4'])
  expect(runtime.counts()).toMatchObject({ faults: 2, dead: 0, repairs: 0 })
})

test('a message that its actor can never take is a dead letter after three times, and fails that job only', async () => {
  const { runtime, faults, folder } = await open()
  const other = await runtime.submit(processes(3, join(folder, 'other')))
  const plan = await runtime.submit(processes(3, join(folder, 'ledger')))
  const thrown = faults.throwAt({ actor: `job:${plan.id}/j2`, message: 'attempt.ended' }, 3)

  const [failed, others] = await Promise.all([plan.settled(), other.settled()])

  await thrown
  expect(failed.jobs['j2']).toMatchObject({ state: 'failed', reason: 'fault' })
  expect(failed.state).toBe('failed')
  expect(others.state).toBe('succeeded')
  expect(runtime.counts().dead).toBe(1)
})

test.each([
  ['continue', 'succeeded', ['j0', 'j1', 'j2']],
  ['cancel', 'cancelled', ['j0']],
] as const)(
  'a plan that could not take the end of a job hears of it again when asked to %s',
  async (order, end, ran) => {
    const { runtime, faults, folder } = await open()
    const ledger = join(folder, 'ledger')
    const thrown = faults.throwAt({ actor: 'plan:*', message: 'job.settled' }, 3)
    const plan = await runtime.submit(processes(3, ledger))
    await thrown
    for await (const { type } of runtime.events({ plan: plan.id })) if (type === 'faulted') break

    await runtime.command(plan.id, null, { do: order })

    expect((await plan.settled()).state).toBe(end)
    expect(ledgerOf(ledger)).toEqual(ran)
    expect(await runtime.catalog.deadLetters({ limit: 1 })).toEqual([])
    expect(runtime.counts()).toMatchObject({ dead: 1, repairs: 0 })
  },
)

test('a retry that its job can never take fails that job, so that its plan ends; and it can be tried again', async () => {
  let isWell = false
  const { runtime, faults } = await open({
    handlers: {
      work: () => {
        if (!isWell) throw new Error('not yet')
      },
    },
  })
  const plan = await runtime.submit(planOf(chain(2), () => ({ kind: 'call', call: 'work', onLost: 'retry' })))
  expect((await plan.settled()).state).toBe('failed')
  isWell = true
  const thrown = faults.throwAt({ actor: `job:${plan.id}/j0`, message: 'reopened' }, 3)
  await runtime.command(plan.id, null, { do: 'retry', failed: true })

  const { state, jobs } = await plan.settled()

  await thrown
  expect(state).toBe('failed')
  expect(jobs['j0']).toMatchObject({ state: 'failed', reason: 'fault', generation: 2 })
  expect(jobs['j1']).toMatchObject({ state: 'skipped', reason: 'need-failed' })
  await runtime.settleLetter(1, 'discard')
  await runtime.command(plan.id, null, { do: 'retry', failed: true })
  expect((await plan.settled()).state).toBe('succeeded')
  expect(runtime.counts().repairs).toBe(0)
})

test('an actor that fails again and again, by whatever message, is given up: its job fails by a fault', async () => {
  const { runtime, faults } = await open()
  const plan = await runtime.submit(
    planOf(chain(1), () => ({ kind: 'run', run: 'sleep 60', onLost: 'hold', graceMs: 100 })),
  )
  for await (const { type } of runtime.events({ plan: plan.id })) if (type === 'slot.granted') break
  // No message is a dead letter: each is taken when it comes again. It is the actor that is no good.
  for (let time = 0; time < 5; time += 1) {
    const thrown = faults.throwAt({ actor: `job:${plan.id}/j0` })
    await runtime.command(plan.id, null, { do: time % 2 === 0 ? 'pause' : 'continue' })
    await runtime.command(plan.id, 'j0', { do: 'skip' }).catch(() => {})
    await thrown
  }
  void faults.throwAt({ actor: `job:${plan.id}/j0` })
  await runtime.command(plan.id, 'j0', { do: 'skip' }).catch(() => {})

  const { state, jobs } = await plan.settled()

  expect(state).toBe('failed')
  expect(jobs['j0']).toMatchObject({ state: 'failed', reason: 'fault' })
  expect(runtime.counts()).toMatchObject({ faults: 6, dead: 0 })
})

test('a part without which nothing goes on ends the runtime when it fails too often, and says which', async () => {
  const { runtime, faults, folder } = await open()
  void faults.throwAt({ part: 'slots' }, 1000)

  void runtime.submit(processes(2, join(folder, 'ledger'))).catch(() => {})
  const error = await runtime.failed

  expect(isTenutoError(error, 'RUNTIME_GIVEN_UP')).toBe(true)
  expect(String(error)).toContain('slots')
})

test('a projector that fails too often ends the runtime, and whoever waits for an end is told', async () => {
  const { runtime, faults } = await open({
    handlers: {
      again: () => {
        throw new Error('not yet')
      },
    },
  })
  void faults.throwAt({ part: 'projector' }, 1000)
  // A plan that goes on: while the projector is away nothing is shown, and nothing fails.
  const retry = { max: 1000, delayMs: 5, factor: 1, maxDelayMs: 5, jitter: 0, on: ['exit'] }
  const plan = await runtime.submit(
    planOf(chain(1), () => ({ kind: 'call', call: 'again', onLost: 'retry', retry })),
  )
  const follower = plan.settled().then(
    () => 'ended',
    (error: unknown) => error,
  )

  const error = await runtime.failed

  expect(isTenutoError(error, 'RUNTIME_GIVEN_UP')).toBe(true)
  expect(String(error)).toContain('projector')
  expect(isTenutoError(await follower, 'RUNTIME_GIVEN_UP')).toBe(true)
})

test.each(['journal', 'slots', 'executor'] as const)(
  'whoever asks something of a runtime whose %s was given up is told so, before and after; nothing is waited for',
  async (part) => {
    const { runtime, faults, folder } = await open()
    void faults.throwAt({ part }, 1000)
    const early = Array.from({ length: 5 }, () => runtime.submit(processes(2, join(folder, 'ledger'))))
    const ends = Promise.allSettled(early.map((one) => one.then((plan) => plan.settled())))
    // A part fails when it is used: it is used until it is given up.
    let isOver = false
    const use = async (): Promise<void> => {
      while (!isOver) await runtime.submit(processes(1, join(folder, 'ledger'))).catch(() => {})
    }
    void use()
    const error = await runtime.failed
    isOver = true
    const plan = await runtime.catalog.plans({ limit: 1 }).then(([first]) => first?.id ?? 'none-aaaaaa')

    const late = await Promise.allSettled([
      runtime.submit(processes(1, join(folder, 'ledger'))),
      runtime.takeUp('other-aaaaaa'),
      runtime.sweep(),
      runtime.settleLetter(1, 'discard'),
      ...(plan === 'none-aaaaaa' ? [] : [runtime.command(plan, null, { do: 'cancel' })]),
    ])

    expect(error).toMatchObject({ code: 'RUNTIME_GIVEN_UP' })
    for (const asked of late) expect(asked).toMatchObject({ status: 'rejected', reason: error })
    for (const asked of await ends)
      expect(asked).toMatchObject({
        reason: { code: expect.stringMatching(/^(RUNTIME_GIVEN_UP|STORE_RESTARTED)$/) as string },
      })
    await runtime.idle()
  },
)

test('a sweeper that fails too often is given up, shown with its error, and nothing else is hurt', async () => {
  const { runtime, faults, folder } = await open({ sweepMs: 5 })
  void faults.throwAt({ part: 'sweeper' }, 1000)
  await expect.poll(() => node(runtime.tree(), 'sweeper').state).toBe('given-up')

  const plan = await runtime.submit(processes(3, join(folder, 'ledger')))

  expect((await plan.settled()).state).toBe('succeeded')
  expect(node(runtime.tree(), 'sweeper')).toMatchObject({
    state: 'given-up',
    last_error: 'injected: sweeper round',
  })
})

test('a part that can be missed and was given up is tried again after a minute, and is well again when it works', async () => {
  const clock = virtualClock()
  const nothing = { start: () => {} }
  let starts = 0
  let isBroken = true
  const tree = runtimeTree(
    {
      journal: nothing,
      slots: nothing,
      timers: nothing,
      executor: nothing,
      sweeper: {
        start: (exit) => {
          starts += 1
          if (isBroken) clock.soon(() => exit(new Error('no good')))
        },
      },
      retention: nothing,
      projector: nothing,
      analytics: nothing,
    },
    { clock, random: seededRandom(1), log: { info: () => {}, warn: () => {}, error: () => {} } },
  )
  const sweeper = () => tree.show().children.find(({ id }) => id === 'sweeper')
  await tree.start()
  await clock.advance(30_000)
  expect(sweeper()).toMatchObject({ state: 'given-up', lastError: 'no good' })
  expect(starts).toBe(6)

  isBroken = false
  await clock.advance(60_000)

  expect(sweeper()).toMatchObject({ state: 'running' })
  expect(starts).toBe(7)
  await tree.stop()
})

test('two parts that fail at once, the writer of the journal among them, keep no stop waiting', async () => {
  const { runtime, faults, folder } = await open()
  void faults.throwAt({ part: 'journal' }, 2)
  void faults.throwAt({ part: 'slots' }, 2)
  void runtime.submit(processes(3, join(folder, 'ledger'))).catch(() => {})
  await Promise.race([runtime.idle(), runtime.failed])

  await runtime.stop()

  expect(runtime.tree().state).toBe('ended')
})

test('a stop while a plan and a command wait for a writer that is to be started again keeps nobody waiting', async () => {
  const { runtime, faults } = await open()
  const sleeping = planOf(chain(1), () => ({ kind: 'run', run: 'sleep 5', onLost: 'hold', graceMs: 0 }))
  const plan = await runtime.submit(sleeping)
  await runtime.idle()
  const thrown = faults.throwAt({ part: 'journal' })
  // However slow the machine is: no writer comes back before the stop.
  void faults.throwAt({ part: 'journal' }, 1000)
  const asked = [
    runtime.submit(sleeping).catch((error: unknown) => error),
    runtime.command(plan.id, null, { do: 'cancel' }).catch((error: unknown) => error),
  ]
  await thrown
  // It is undone and offered again.
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve))

  await runtime.stop()

  for (const answer of asked)
    expect(await answer).toMatchObject({
      code: expect.stringMatching(/^(STOPPED|RUNTIME_GIVEN_UP)$/) as string,
    })
  expect(node(runtime.tree(), 'journal').last_error).toMatch(/^injected/)
})

test('a writer that fails twice in a row is started twice, and the plan ends as without it', async () => {
  const { runtime, faults, folder } = await open()
  const ledger = join(folder, 'ledger')
  const plan = await runtime.submit(processes(5, ledger))
  const thrown = faults.throwAt({ part: 'journal' }, 2)

  const { state } = await plan.settled()

  await thrown
  expect(state).toBe('succeeded')
  expect(ledgerOf(ledger)).toEqual(['j0', 'j1', 'j2', 'j3', 'j4'])
  expect(node(runtime.tree(), 'journal').restarts?.count).toBe(2)
})

test('an actor that cannot even be ended is left alone, on record, and nobody else notices', async () => {
  const { runtime, faults, folder } = await open()
  const plan = await runtime.submit(processes(3, join(folder, 'ledger')))
  const other = await runtime.submit(processes(3, join(folder, 'other')))
  void faults.throwAt({ actor: `job:${plan.id}/j1` }, 1000)

  expect((await other.settled()).state).toBe('succeeded')
  for await (const { type, job } of runtime.events({ plan: plan.id }))
    if (type === 'quarantined' && job === 'j1') break
  await runtime.idle()

  expect((await runtime.catalog.plan(plan.id)).state).toBe('running')
  // It is not replaced once more: it would only fail again.
  const told = await runtime.catalog.events({ plan: plan.id, after: 0, limit: 1_000 })
  expect(told.filter(({ type }) => type === 'quarantined')).toHaveLength(1)
})
