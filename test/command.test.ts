/**
 * Whatever is refused names a command that leads on, and that command is taken as things stand: every state of a plan and of its
 * jobs, every command, on the real runtime with attempts played by hand.
 *
 * Mutations that were planted once, and each found: `retry --failed` suggested for a plan that has succeeded, and for what an order
 * has skipped; the nearest need suggested instead of the one that can be tried again; no word of a plan that is quarantined.
 */
import { expect, onTestFinished, test } from 'vitest'
import type { AttemptNews } from '../src/actors/attempts.ts'
import type { Command } from '../src/command.ts'
import { isTenutoError } from '../src/errors.ts'
import { createRuntime, definePlan } from '../src/index.ts'
import { memoryJournal } from '../src/journal/memory.ts'
import { memoryDisk } from '../src/journal/memory-disk.ts'
import type { PlanSource } from '../src/plans/define-plan.ts'
import { isJobEnd } from '../src/states.ts'
import { faultInjection } from '../src/testing/faults.ts'
import { virtualClock } from '../src/testing/virtual-clock.ts'
import { playedAttempts } from './support/attempts.ts'

const run = (needs: readonly string[] = [], more: object = {}) => ({ run: 'true', needs, ...more })

/** A plan on a runtime of its own. */
const openPlan = async (source: object) => {
  const disk = memoryDisk('home')
  const clock = virtualClock()
  const faults = faultInjection()
  const played = playedAttempts('')
  let plan = ''
  const runtime = await createRuntime({
    home: '/nowhere/tenuto',
    sweepMs: 0,
    ports: {
      clock,
      journal: () => memoryJournal(disk, { bootId: 'boot', pid: 1, build: 'test', at: 0 }),
      attempts: (tell) => played.port((_, job: string, news: AttemptNews) => tell(plan, job, news)),
      faults: faults.port,
    },
  })
  onTestFinished(() => runtime.stop())
  plan = (await runtime.submit(definePlan({ name: 'p', ...source } as PlanSource))).id
  await runtime.idle()
  const end: typeof played.end = (job, ...how) => played.end(job, ...how)
  const order = (job: string | null, asked: Command) => runtime.command(plan, job, asked)
  return { runtime, plan, end, order, faults, clock }
}
type Opened = Awaited<ReturnType<typeof openPlan>>

/** A live plan with a job in every state; `settles` ends what is open, in this order. */
const everyState = {
  maxParallel: 7,
  jobs: {
    running: run(),
    stopping: run(),
    backoff: run([], { retry: { max: 1, delay: '1h' } }),
    waiting: run(),
    succeeded: run(),
    failed: run(),
    cancelled: run(),
    ...Object.fromEntries(Array.from({ length: 5 }, (_, at) => [`filler${at}`, run()])),
    held: run(['running']),
    queued: run(),
    ordered: run(['running']),
    after: run(['ordered']),
    'after-that': run(['after']),
    skipped: run(['failed']),
    asks: { approve: { prompt: 'Ship it?' } },
  },
}
const lively = async (): Promise<Opened> => {
  const opened = await openPlan(everyState)
  const { end, order, runtime } = opened
  await order('stopping', { do: 'cancel' })
  await order('cancelled', { do: 'cancel' })
  await order('ordered', { do: 'skip' })
  end('backoff', 'exit', { code: 1 })
  end('failed', 'exit', { code: 1 })
  end('waiting', 'lost')
  end('succeeded', 'succeeded')
  end('cancelled', 'cancelled')
  await runtime.idle()
  return opened
}
const small = { jobs: { a: run(), b: run(['a']), c: run() } }

/** How a plan comes to stand where it stands. */
const plans: Readonly<Record<string, () => Promise<Opened>>> = {
  running: lively,
  paused: async () => {
    const opened = await lively()
    await opened.order(null, { do: 'pause' })
    return opened
  },
  'paused with nothing failed': async () => {
    const opened = await openPlan(small)
    await opened.order(null, { do: 'pause' })
    return opened
  },
  cancelling: async () => {
    const opened = await lively()
    await opened.order(null, { do: 'cancel' })
    return opened
  },
  quarantined: async () => {
    const opened = await lively()
    const thrown = opened.faults.throwAt({ actor: 'plan:*', message: 'job.settled' }, 3)
    opened.end('filler0', 'succeeded')
    // Between two failures of an actor there is a pause.
    await opened.clock.advance(60_000)
    await thrown
    await opened.runtime.idle()
    return opened
  },
  succeeded: async () => {
    const opened = await openPlan(small)
    for (const job of ['a', 'b', 'c']) {
      opened.end(job, 'succeeded')
      await opened.runtime.idle()
    }
    return opened
  },
  'succeeded, with what an order skipped': async () => {
    const opened = await openPlan(small)
    await opened.order('b', { do: 'skip' })
    for (const job of ['a', 'c']) opened.end(job, 'succeeded')
    await opened.runtime.idle()
    return opened
  },
  failed: async () => {
    const opened = await openPlan(small)
    opened.end('a', 'exit', { code: 1 })
    opened.end('c', 'succeeded')
    await opened.runtime.idle()
    return opened
  },
  'failed, each job cancelled by order': async () => {
    const opened = await openPlan(small)
    for (const job of ['a', 'c']) {
      await opened.order(job, { do: 'cancel' })
      opened.end(job, 'cancelled')
    }
    await opened.runtime.idle()
    return opened
  },
  cancelled: async () => {
    const opened = await openPlan(small)
    await opened.order(null, { do: 'cancel' })
    for (const job of ['a', 'c']) opened.end(job, 'cancelled')
    await opened.runtime.idle()
    return opened
  },
}

const ofPlans: readonly Command[] = [
  { do: 'cancel' },
  { do: 'pause' },
  { do: 'continue' },
  { do: 'retry' },
  { do: 'retry', failed: true },
  { do: 'retry', downstream: true },
]
const ofJobs: readonly Command[] = [
  { do: 'cancel' },
  { do: 'skip' },
  { do: 'retry' },
  { do: 'retry', downstream: true },
]

/** What a hint names, as it would be typed. */
const commandsIn = (hint: string): readonly string[] =>
  [...hint.matchAll(/`tenuto ([^`]+)`/g)].map(([, text = '']) => text)

const SHOWS: ReadonlySet<string> = new Set(['show', 'logs', 'ls', 'dead'])
const VERBS = ['retry', 'cancel', 'continue', 'skip', 'now', 'approve', 'reject'] as const
const isVerb = (verb: string): verb is (typeof VERBS)[number] => VERBS.some((each) => each === verb)

/** Does what a hint suggests; rejects when it is refused. */
const follow = async ({ runtime, order, plan }: Opened, text: string): Promise<void> => {
  const [verb = '', named = '', ...flags] = text.split(' ')
  const succeeded = (await runtime.catalog.jobs(plan)).find(({ state }) => state === 'succeeded')
  const { job } = await runtime.catalog.resolve(named.replace('/JOB', `/${succeeded?.name}`))
  if (SHOWS.has(verb)) return
  if (!isVerb(verb)) throw new Error(`what is tenuto ${verb}?`)
  const failed = flags.includes('--failed')
  await order(job, verb === 'retry' ? { do: 'retry', ...(failed ? { failed } : {}) } : { do: verb })
}

test.each(Object.keys(plans))('what is refused of a plan that is %s names what is taken', async (name) => {
  const open = plans[name] as () => Promise<Opened>
  const { runtime, plan } = await open()
  const state = name.split(/[ ,]/)[0]
  expect((await runtime.catalog.plan(plan)).state).toBe(state)
  const jobs = (await runtime.catalog.jobs(plan)).filter(({ name: job }) => !job.startsWith('filler'))
  const targets = [null, ...jobs.map((job) => job.name)]
  let refused = 0

  for (const job of targets) {
    for (const asked of job === null ? ofPlans : ofJobs) {
      const opened = await open()
      const error: unknown = await opened.order(job, asked).then(
        () => undefined,
        (reason: unknown) => reason,
      )
      if (error === undefined) continue
      refused += 1
      if (!isTenutoError(error, 'WRONG_STATE')) throw error
      const what = `${JSON.stringify(asked)} of ${job ?? 'the plan'}: ${error.message}; ${error.hint}`
      expect(commandsIn(error.hint), what).not.toEqual([])
      for (const text of commandsIn(error.hint))
        await expect(follow(opened, text), `${what}: ${text}`).resolves.toBeUndefined()
    }
  }

  if (jobs.some((job) => isJobEnd(job.state))) expect(refused).toBeGreaterThan(0)
})

test.each(Object.keys(plans))('what explains a plan that is %s names what is taken', async (name) => {
  const open = plans[name] as () => Promise<Opened>
  const { runtime, plan } = await open()
  const jobs = (await runtime.catalog.jobs(plan)).filter(({ name: job }) => !job.startsWith('filler'))

  for (const job of [null, ...jobs.map((each) => each.name)]) {
    const { state, chain } = await runtime.explain(plan, job)
    const commands = chain.flatMap(({ command }) => command ?? [])
    // Until its plan has been cancelled nothing of it is tried again.
    if (state !== 'succeeded' && name !== 'cancelling') expect(commands, job ?? plan).not.toEqual([])
    if (state !== 'succeeded')
      expect(
        chain.some(({ change }) => change !== null),
        job ?? plan,
      ).toBe(true)
    for (const command of new Set(commands)) {
      const opened = await open()
      const text = command.replace(/^tenuto /, '').replace(plan, opened.plan)
      await expect(follow(opened, text), `${job ?? 'the plan'}: ${text}`).resolves.toBeUndefined()
    }
  }
})

test('a question names both answers, with its plan and by itself', async () => {
  const { runtime, plan } = await openPlan({ jobs: { asks: { approve: { prompt: 'Ship it?' } } } })

  for (const job of [null, 'asks'] as const) {
    const commands = (await runtime.explain(plan, job)).chain.map(({ command }) => command)
    for (const answer of ['approve', 'reject']) expect(commands).toContain(`tenuto ${answer} ${plan}/asks`)
  }
})

test('the live plan of these tests has a job in every state', async () => {
  const { runtime, plan } = await lively()

  const jobs = await runtime.catalog.jobs(plan)

  const named = ['held', 'queued', 'running', 'backoff', 'waiting', 'stopping']
  for (const name of [...named, 'succeeded', 'failed', 'cancelled', 'skipped'])
    expect([name, jobs.find((job) => job.name === name)?.state]).toEqual([name, name])
})

test('a job that waits for one that an order skipped is told to try that one again', async () => {
  const { order } = await lively()

  await expect(order('after-that', { do: 'retry' })).rejects.toMatchObject({
    hint: expect.stringMatching(/^`tenuto retry p-\w{6}\/ordered` tries that again$/) as string,
  })
})

test('what a held job is asked and cannot do leaves nothing on record', async () => {
  const { runtime, plan, order } = await openPlan({ jobs: { first: run(), held: run(['first']) } })
  const before = await runtime.state()

  for (const verb of ['now', 'approve', 'reject'] as const)
    await expect(order('held', { do: verb })).rejects.toMatchObject({ code: 'WRONG_STATE' })
  await runtime.idle()

  expect((await runtime.state()).position).toBe(before.position)
  expect(await order('held', { do: 'skip' })).toMatchObject({ changed: true })
  expect(await runtime.catalog.job(plan, 'held')).toMatchObject({ state: 'skipped' })
})

test('an answer to a question whose time was up while nobody was there is refused with that', async () => {
  const disk = memoryDisk('home')
  const clock = virtualClock()
  const open = (resume: boolean) =>
    createRuntime({
      home: '/nowhere/tenuto',
      sweepMs: 0,
      resume,
      ports: { clock, journal: () => memoryJournal(disk, { bootId: 'boot', pid: 1, build: 'test', at: 0 }) },
    })
  const first = await open(true)
  const { id } = await first.submit(
    definePlan({ name: 'p', jobs: { gate: { approve: { prompt: 'Ship it?', timeout: '1m' } } } }),
  )
  await first.idle()
  await first.stop()
  await clock.advance(60_000)
  const second = await open(false)
  onTestFinished(() => second.stop())

  for (const asked of ['approve', 'reject'] as const)
    await expect(second.command(id, 'gate', { do: asked })).rejects.toMatchObject({
      code: 'WRONG_STATE',
      message: expect.stringContaining('the time of its question was up at') as string,
      hint: expect.stringContaining(`tenuto resume ${id}`) as string,
    })
})
