/**
 * Siblings never notice: twenty plans of twenty processes each, and a fault in one part of the runtime, or in one plan. Every other
 * plan takes the very steps it takes without the fault, and no process is started twice.
 */
import { mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { seededRandom } from '../src/ids.ts'
import { createRuntime, type Runtime } from '../src/runtime.ts'
import { type FaultInjection, type FaultPlace, faultInjection } from '../src/testing/faults.ts'
import { removeFolder } from './support/folders.ts'
import { chain, planOf } from './support/graphs.ts'

const PLANS = 20
const JOBS = 20

type Fault = (life: Readonly<{ first: string; faults: FaultInjection; runtime: Runtime }>) => Promise<unknown>
const throwing =
  (place: (first: string) => FaultPlace): Fault =>
  ({ first, faults }) =>
    faults.throwAt(place(first))
/** Analytics is a process of its own: it fails as processes do, and another takes its place. */
const killAnalytics: Fault = async ({ runtime }) => {
  const section = async () => (await runtime.analytics()).data
  await expect.poll(async () => (await section())?.pid, { timeout: 30_000 }).toBeTruthy()
  const { pid } = (await section()) ?? {}
  process.kill(pid ?? 0, 'SIGKILL')
  await expect.poll(async () => (await section())?.restarts, { timeout: 30_000 }).toBe(1)
}

/** Runs the plans with a fault, if any, once half of the jobs of the first have begun; answers what each plan did. */
const lifeOf = async (fault: Fault | null) => {
  const folder = mkdtempSync(join(tmpdir(), 'tenuto-siblings-'))
  const ledger = join(folder, 'ledger')
  const faults = faultInjection()
  const runtime = await createRuntime({
    home: join(folder, 'home'),
    // The same chance in each life: the same ids.
    ports: { faults: faults.port, random: seededRandom(7) },
    sweepMs: 100,
    analytics: true,
  })
  const run = `echo "$TENUTO_JOB $$ $TENUTO_ATTEMPT_KEY" >> ${ledger}; sleep 0.01`
  const definition = planOf(chain(JOBS), () => ({ kind: 'run', run, onLost: 'hold' }))
  const plans = await Promise.all(Array.from({ length: PLANS }, () => runtime.submit(definition)))
  const [first] = plans.map(({ id }) => id)
  let thrown: Promise<unknown> = Promise.resolve()
  for await (const { type, job } of runtime.events({ plan: first as string })) {
    if (job !== `j${JOBS / 2}` || type !== 'slot.granted') continue
    if (fault) thrown = fault({ first: first as string, faults, runtime })
    break
  }
  const ends = await Promise.all(plans.map((plan) => plan.settled()))
  await thrown
  const steps = new Map<string, string[]>(plans.map(({ id }) => [id, []]))
  for await (const { plan, job, seq, type, from, to, attempt } of runtime.events({ follow: false }))
    steps.get(plan)?.push(`${job ?? ''} ${seq} ${type} ${from} ${to} ${attempt}`)
  const { repairs } = runtime.counts()
  await runtime.stop()
  const started = readFileSync(ledger, 'utf8').trim().split('\n')
  removeFolder(folder)
  return {
    first: first as string,
    ends: new Map(plans.map(({ id }, at) => [id, ends[at]?.state])),
    steps,
    repairs,
    keys: started.map((line) => line.split(' ')[2]),
  }
}

describe('siblings never notice a failure of', { timeout: 300_000 }, () => {
  let without: Awaited<ReturnType<typeof lifeOf>>
  beforeAll(async () => {
    without = await lifeOf(null)
  }, 120_000)

  test.each<readonly [string, Fault]>([
    ['a plan actor', throwing((first) => ({ actor: `plan:${first}` }))],
    ['a job actor', throwing((first) => ({ actor: `job:${first}/*` }))],
    ['the slots', throwing(() => ({ part: 'slots' }))],
    ['the timers', throwing(() => ({ part: 'timers' }))],
    ['the executor', throwing(() => ({ part: 'executor', call: 'ensure' }))],
    ['the sweeper', throwing(() => ({ part: 'sweeper' }))],
    ['the projector', throwing(() => ({ part: 'projector', call: 'show' }))],
    ['the writer of the journal', throwing(() => ({ part: 'journal' }))],
    ['analytics', killAnalytics],
  ])('%s', async (_, fault) => {
    const life = await lifeOf(fault)

    expect([...life.ends.values()]).toEqual(Array.from({ length: PLANS }, () => 'succeeded'))
    for (const [plan, steps] of life.steps) {
      if (plan !== life.first) expect(steps, plan).toEqual(without.steps.get(plan))
    }
    expect(life.keys).toHaveLength(PLANS * JOBS)
    expect(new Set(life.keys).size).toBe(PLANS * JOBS)
    expect(life.repairs).toBe(0)
  })
})
