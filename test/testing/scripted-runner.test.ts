import { expect, onTestFinished, test } from 'vitest'
import { createRuntime, definePlan } from '../../src/index.ts'
import type { PlanSource } from '../../src/plans/define-plan.ts'
import { memoryDisk, memoryJournal, type Script, scriptedRunner, virtualClock } from '../../src/testing.ts'

/** A clock, a disk and a runner, and runtimes on them one after another. */
const stage = (script: Script = {}) => {
  const clock = virtualClock()
  const disk = memoryDisk('home')
  const runner = scriptedRunner(clock, script)
  const begin = async () => {
    const runtime = await createRuntime({
      home: '/nowhere/tenuto',
      ports: { clock, journal: () => memoryJournal(disk), attempts: runner.attempts },
    })
    onTestFinished(() => runtime.stop())
    return runtime
  }
  return { clock, runner, begin }
}
const planOf = (jobs: PlanSource['jobs'], more: Partial<PlanSource> = {}) =>
  definePlan({ name: 'p', jobs, ...more })
const run = (more: object = {}) => ({ run: 'true', ...more })

test('a job does attempt by attempt what its script says, in the time of the clock', async () => {
  const { clock, runner, begin } = stage({
    flaky: [{ code: 7, afterMs: 1_000 }, { signal: 'SIGSEGV' }, { outputs: { made: 1 }, afterMs: 600_000 }],
  })
  const runtime = await begin()
  const start = clock.now()
  const plan = await runtime.submit(
    planOf({
      flaky: run({ retry: { max: 2, delay: '10s', factor: 1, jitter: 0 } }),
      after: run({ needs: ['flaky'] }),
    }),
  )

  await clock.advance(1_000 + 10_000 + 10_000 + 600_000)

  expect(runner.started).toEqual(['flaky#1', 'flaky#2', 'flaky#3', 'after#1'])
  expect(runner.running()).toEqual([])
  expect(await plan.settled()).toMatchObject({
    state: 'succeeded',
    jobs: { flaky: { attempt: 3, outputs: { made: 1 } } },
  })
  const attempts = await runtime.catalog.attempts(plan.id, 'flaky')
  expect(attempts).toMatchObject([
    { n: 1, outcome: 'exit', code: 7 },
    { n: 2, outcome: 'signal', signal: 'SIGSEGV' },
    { n: 3, outcome: 'succeeded', code: 0 },
  ])
  expect(Date.parse(attempts[2]?.ended_at ?? '') - start).toBe(621_000)
})

test('an attempt that runs is ended by the test, and by nothing else', async () => {
  const { clock, runner, begin } = stage({ build: 'runs' })
  const runtime = await begin()
  const plan = await runtime.submit(planOf({ build: run(), ship: run({ needs: ['build'] }) }))
  await clock.advance(600_000)
  expect(runner.running()).toEqual(['build#1'])
  expect(() => runner.end('ship')).toThrow(`no attempt of ship runs; these do: ${plan.id}/build#1`)

  runner.end(`${plan.id}/build`, { outputs: { of: 'the test' } })

  expect(await plan.settled()).toMatchObject({ jobs: { build: { outputs: { of: 'the test' } } } })
  expect(() => runner.end('build')).toThrow('no attempt of build runs')
})

test('of two plans that run jobs of one name the test says which', async () => {
  const { clock, runner, begin } = stage({ build: 'runs' })
  const runtime = await begin()
  const one = await runtime.submit(planOf({ build: run() }))
  const two = await runtime.submit(planOf({ build: run() }))
  await clock.advance(0)
  expect(() => runner.end('build')).toThrow('more than one attempt of build runs')

  runner.end(`${two.id}/build`, { code: 2 })
  runner.end('build')

  expect((await one.settled()).state).toBe('succeeded')
  expect((await two.settled()).state).toBe('failed')
})

test('timeout and deadline are kept, and what lingers is ended with its grace', async () => {
  const { clock, runner, begin } = stage({
    slow: 'runs',
    late: [{ code: 1, afterMs: 30_000 }, 'runs'],
    deaf: { afterMs: 86_400_000, lingersMs: 86_400_000 },
  })
  const runtime = await begin()
  const start = clock.now()
  const plan = await runtime.submit(
    planOf({
      slow: run({ timeout: '10m' }),
      late: run({ deadline: '1m', retry: { max: 1, delay: '1s', jitter: 0 } }),
      deaf: run({ timeout: '1m', grace: '20s' }),
    }),
  )
  await clock.advance(61_000)
  expect(await runtime.catalog.job(plan.id, 'deaf')).toMatchObject({
    state: 'stopping',
    reason: 'stop-timeout',
  })
  await clock.advance(600_000)

  const { jobs } = await plan.settled()

  const ends = Object.values(jobs).map(({ name, reason, since }) => [name, reason, Date.parse(since) - start])
  expect(ends).toEqual([
    ['slow', 'timeout', 600_000],
    ['late', 'deadline', 60_000],
    ['deaf', 'timeout', 80_000],
  ])
  expect(runner.stopped).toEqual([
    { attempt: 'deaf#1', why: 'stop-timeout' },
    { attempt: 'late#2', why: 'stop-deadline' },
    { attempt: 'slow#1', why: 'stop-timeout' },
  ])
})

test('a cancel is heard, and an urgent one cuts the rest of the grace', async () => {
  const { clock, runner, begin } = stage({ deaf: { afterMs: 86_400_000, lingersMs: 86_400_000 } })
  const runtime = await begin()
  const plan = await runtime.submit(planOf({ deaf: run({ grace: '1h' }) }))
  await clock.advance(0)

  await plan.cancel()
  await clock.advance(60_000)
  expect(runner.running()).toEqual(['deaf#1'])
  await runtime.command(plan.id, null, { do: 'cancel', now: true })
  await clock.advance(0)

  expect((await plan.settled()).state).toBe('cancelled')
  expect(runner.stopped).toEqual([{ attempt: 'deaf#1', why: 'stop-cancel' }])
})

test('what cannot be started, and what is lost, is as with the real one', async () => {
  const { clock, runner, begin } = stage({
    nowhere: { outcome: 'spawn-error', error: 'no such program' },
    busy: [{ outcome: 'never-started' }, {}],
    gone: [{ outcome: 'lost' }, {}],
  })
  const runtime = await begin()
  const plan = await runtime.submit(planOf({ nowhere: run(), busy: run(), gone: run() }))
  await clock.advance(60_000)
  expect(await runtime.catalog.job(plan.id, 'gone')).toMatchObject({ state: 'waiting', reason: 'lost' })
  await runtime.command(plan.id, 'gone', { do: 'retry' })
  await clock.advance(0)

  const { jobs, reason } = await plan.settled()

  expect(reason).toBe('spawn-error')
  expect(Object.values(jobs).map(({ state, attempt }) => [state, attempt])).toEqual([
    ['failed', 1],
    ['succeeded', 2],
    ['succeeded', 2],
  ])
  expect(await runtime.catalog.attempts(plan.id, 'nowhere')).toMatchObject([{ error: 'no such program' }])
  expect(runner.started).toHaveLength(5)
})

test('attempts outlive their runtime: the next one adopts what runs and reads what has ended, and starts neither again', async () => {
  const { clock, runner, begin } = stage({ long: 'runs', short: { afterMs: 60_000, outputs: { n: 1 } } })
  const first = await begin()
  const { id } = await first.submit(planOf({ long: run(), short: run(), after: run({ needs: ['short'] }) }))
  await clock.advance(0)
  await first.stop()
  await clock.advance(120_000)

  const second = await begin()
  await clock.advance(0)
  expect(runner.running()).toEqual(['long#1'])
  runner.end('long')

  expect(await (await second.plan(id)).settled()).toMatchObject({
    state: 'succeeded',
    jobs: { short: { outputs: { n: 1 }, attempt: 1 }, long: { attempt: 1 } },
  })
  expect(runner.started).toEqual(['long#1', 'short#1', 'after#1'])
  const found = (await second.catalog.notes(id)).map(
    ({ job, detail }) => `${job} ${String(detail?.['found'])}`,
  )
  expect(found.toReversed().slice(1).toSorted()).toEqual(['long adopted', 'short ended-meanwhile'])
})
