/**
 * Siblings never notice: twenty plans of twenty processes each, and a fault in one part of the runtime, or in one plan. Every other
 * plan takes the very steps it takes without the fault, and no process is started twice: each puts itself on record, and the system is
 * asked every 50 ms.
 */
import { mkdtempSync, readdirSync, readFileSync } from 'node:fs'
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
  await expect.poll(async () => (await section())?.pid).toBeTruthy()
  const { pid } = (await section()) ?? {}
  process.kill(pid ?? 0, 'SIGKILL')
  await expect.poll(async () => (await section())?.restarts).toBe(1)
}

/** What the system says of a process: the attempt it belongs to, whether it leads its group, and when it began. */
const seenAt = (pid: string): readonly [key: string, identity: string] | null => {
  try {
    const key = /(?:^|\0)TENUTO_ATTEMPT_KEY=([^\0]*)/.exec(readFileSync(`/proc/${pid}/environ`, 'utf8'))?.[1]
    if (key === undefined) return null
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const [state, , group, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return group === pid && state !== 'Z' ? [key, `${pid} ${fields[16]}`] : null
  } catch {
    // It is gone, or somebody else's.
    return null
  }
}
/** Looks every 50 ms at every process of the machine: which ones have led each attempt. */
const watchProcesses = () => {
  const leaders = new Map<string, Set<string>>()
  const look = (): void => {
    for (const pid of readdirSync('/proc')) {
      const seen = /^\d+$/.test(pid) ? seenAt(pid) : null
      if (!seen) continue
      const [key, identity] = seen
      leaders.set(key, (leaders.get(key) ?? new Set()).add(identity))
    }
  }
  const timer = setInterval(look, 50).unref()
  return { leaders, end: (): void => clearInterval(timer) }
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
  const run = `echo "$TENUTO_JOB $$ $TENUTO_ATTEMPT_KEY" >> ${ledger}; sleep 0.06`
  const processes = watchProcesses()
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
  // That one has lived for a second is no step, and a matter of how busy the machine is.
  for await (const { plan, job, seq, type, from, to, attempt } of runtime.events({ follow: false }))
    if (type !== 'begun') steps.get(plan)?.push(`${job ?? ''} ${seq} ${type} ${from} ${to} ${attempt}`)
  const { repairs } = runtime.counts()
  await runtime.stop()
  processes.end()
  const started = readFileSync(ledger, 'utf8').trim().split('\n')
  removeFolder(folder)
  const keys = started.map((line) => line.split(' ')[2] ?? '')
  const pids = new Map(started.map((line) => [line.split(' ')[2], line.split(' ')[1]]))
  const [home] = keys[0]?.split('/') ?? []
  const seen = [...processes.leaders].filter(([key]) => key.startsWith(`${home}/`))
  return {
    first: first as string,
    ends: new Map(plans.map(({ id }, at) => [id, ends[at]?.state])),
    steps,
    repairs,
    keys,
    /** Attempts that the system showed, each with those that led it and the one that put itself on record. */
    seen: seen.map(([key, leaders]) => [key, pids.get(key), [...leaders]] as const),
  }
}

describe('siblings never notice a failure of', () => {
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
    // The ledger knows who came as far as writing; the system, who was there at all.
    expect(life.seen.length).toBeGreaterThan(0)
    for (const [key, pid, leaders] of life.seen)
      expect(leaders, key).toEqual([expect.stringMatching(`^${pid} \\d+$`)])
    expect(life.repairs).toBe(0)
  })
})
