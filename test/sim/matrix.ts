/**
 * The crash matrix: one plan, killed at every point there is (before and after each commit and each effect, at each file and each process
 * of an attempt), and killed again at every point of the recovery that follows. Each end must be that of the undisturbed run.
 */
import type { Definition, JobDefinition, RetryPolicy } from '../../src/definition.ts'
import { seededRandom } from '../../src/ids.ts'
import type { StepRow } from '../../src/journal/journal.ts'
import { type Choices, type Fault, type Struck, seedOf } from './choices.ts'
import { doPart, inParts } from './parts.ts'
import type { SimPlan } from './plans.ts'
import { fixedScripts } from './premises.ts'
import { live, type Verdict } from './world.ts'

/** Which plan is killed. */
export type MatrixPlan = 'small' | 'twenty'

/** What a matrix came to. */
export type Matrix = Readonly<{
  /** Points of the undisturbed run, by what happens there. */
  points: Readonly<Record<string, number>>
  /** Lives with one kill and lives with two. */
  singles: number
  pairs: number
  /** The first lives that went wrong, by the numbers of their kills. */
  wrong: readonly Readonly<{ kills: readonly number[]; where: readonly string[]; what: readonly string[] }>[]
}>

/** The kinds of points at which something is killed. */
export const KILLS: ReadonlySet<Fault> = new Set<Fault>([
  'crash before a commit',
  'crash after a commit',
  'crash before an effect',
  'crash after an effect',
  'crash beside the runner',
  'kill the runner',
  'kill both',
])

const retry = (max: number): RetryPolicy => ({
  max,
  delayMs: 20,
  factor: 1,
  maxDelayMs: 20,
  jitter: 0,
  on: ['exit'],
})
const job = (needs: JobDefinition['needs'] = {}, more: Partial<JobDefinition> = {}): JobDefinition => ({
  kind: 'run',
  run: 'true',
  needs,
  graceMs: 50,
  // What nobody saw the end of is tried again: so each end is that of the undisturbed run.
  onLost: 'retry',
  ...more,
})
const planOf = (jobs: Readonly<Record<string, JobDefinition>>, maxParallel: number): SimPlan => {
  const definition: Definition = {
    version: 1,
    name: 'matrix',
    maxParallel,
    onFailure: 'continue',
    env: {},
    jobs,
  }
  return { id: 'matrix-aaaaaa', definition }
}

const PLANS: Readonly<Record<MatrixPlan, SimPlan>> = {
  small: planOf(
    {
      flaky: job({}, { retry: retry(2) }),
      slow: job(),
      broken: job({ flaky: 'success' }, { optional: true }),
      last: job({ broken: 'any', slow: 'success' }),
    },
    2,
  ),
  twenty: planOf(
    {
      fetch: job(),
      check: job({ fetch: 'success' }),
      ...Object.fromEntries(['a', 'b', 'c', 'd', 'e', 'f'].map((part) => [part, job({ check: 'success' })])),
      flaky: job({ a: 'success' }, { retry: retry(2) }),
      hangs: job({ b: 'success' }, { timeoutMs: 60, optional: true }),
      broken: job({ c: 'success' }, { retry: retry(1), optional: true }),
      unfound: job({ d: 'success' }, { optional: true }),
      slow: job({ e: 'success' }),
      after: job({ flaky: 'success' }),
      skipped: job({ broken: 'success' }),
      leads: job({ skipped: 'skipped-ok' }),
      whatever: job({ hangs: 'any', unfound: 'any' }),
      stubborn: job({ f: 'success' }, { timeoutMs: 60, optional: true }),
      gather: job({ after: 'success', leads: 'success', whatever: 'success', slow: 'success' }),
      tidy: job({ gather: 'any', stubborn: 'any' }),
    },
    4,
  ),
}
const scripts = fixedScripts((name, attempt) => {
  switch (name) {
    case 'flaky':
      return { code: attempt === 1 ? 3 : 0 }
    case 'broken':
      return { code: 7 }
    case 'hangs':
      return { does: 'hangs' }
    case 'stubborn':
      return { does: 'hangs', ignoresTerm: true }
    case 'unfound':
      return { does: 'is not found' }
    case 'slow':
      return { ms: 300, unmarkedMs: 60 }
    case 'gather':
      return { leavesOneBehind: true }
    default:
      return {}
  }
})

type Killed = Readonly<{
  verdict: Verdict
  /** Where it was killed. */
  where: readonly string[]
  /** How many points there were, and the first and last of the recovery after the last kill. */
  points: number
  recovery: readonly [number, number]
  kinds: Readonly<Record<string, number>>
}>

/** One life, killed at the points of these numbers, counted from 1. */
const liveKilled = async (plan: MatrixPlan, kills: readonly number[]): Promise<Killed> => {
  const struck: Struck[] = []
  const where: string[] = []
  const kinds: Record<string, number> = {}
  /** Attempts in flight, and those of them that were when the last kill came. */
  const inFlight = new Set<string>()
  let unsettled: Set<string> | undefined
  let points = 0
  let recoveredAt = 0
  const choices: Choices = {
    random: (name) => seededRandom(seedOf(1, name)),
    strike: (fault, at) => {
      if (!KILLS.has(fault)) return undefined
      points += 1
      kinds[fault] = (kinds[fault] ?? 0) + 1
      if (!kills.includes(points)) return undefined
      struck.push(`${fault} #${points}`)
      where.push(`${fault}: ${at}`)
      unsettled = new Set(inFlight)
      return 0.5
    },
    calm: () => {},
    struck,
  }
  /** The recovery is over when all that was in flight has ended. */
  const shown = (steps: readonly StepRow[]): void => {
    for (const { address, type, attempt } of steps) {
      const key = `${address} ${attempt}`
      if (type === 'slot.granted') inFlight.add(key)
      if (type === 'attempt.ended') inFlight.delete(key)
    }
    if (unsettled === undefined || recoveredAt > 0 || struck.length < kills.length) return
    if ([...unsettled].every((key) => !inFlight.has(key))) recoveredAt = points
  }
  const verdict = await live({
    plans: [PLANS[plan]],
    scripts,
    choices,
    sweepMs: 0,
    drainSteps: 4096,
    faultyTurns: 0,
    shown,
  })
  const last = kills.at(-1) ?? 0
  return { verdict, where, points, recovery: [last + 1, recoveredAt || points], kinds }
}

type Part = Readonly<{ plan: MatrixPlan; every: number; part: number; again: number }>
type PartFound = Readonly<{ singles: number; pairs: number; wrong: Matrix['wrong'] }>

const WRONG_MAX = 5

const livePart = async ({ plan, every, part, again }: Part): Promise<PartFound> => {
  const undisturbed = await liveKilled(plan, [])
  const wrong: Matrix['wrong'][number][] = []
  const look = ({ verdict, where }: Killed, kills: readonly number[]): void => {
    const what = [...verdict.wrong]
    for (const [name, end] of Object.entries(undisturbed.verdict.ends))
      if (verdict.ends[name] !== end) what.push(`${name} is ${verdict.ends[name]}, undisturbed it is ${end}`)
    if (where.length !== kills.length) what.push(`killed ${where.length} times of ${kills.length}`)
    if (what.length > 0) wrong.push({ kills, where, what })
  }
  look(undisturbed, [])
  let [singles, pairs] = [0, 0]
  for (let first = 1 + part; first <= undisturbed.points && wrong.length < WRONG_MAX; first += every) {
    const once = await liveKilled(plan, [first])
    look(once, [first])
    singles += 1
    const [from, to] = once.recovery
    // Not the same ones after each first kill, where not all are tried.
    for (let second = from + (first % Math.max(1, again)); again > 0 && second <= to; second += again) {
      if (wrong.length >= WRONG_MAX) break
      look(await liveKilled(plan, [first, second]), [first, second])
      pairs += 1
    }
  }
  return { singles, pairs, wrong }
}

/** Kills a plan everywhere, and again at every `again`th point of what follows (0: at none). */
export const crashMatrix = async (plan: MatrixPlan, again: number, workers: number): Promise<Matrix> => {
  const parts = Array.from({ length: workers }, (_, part): Part => ({ plan, every: workers, part, again }))
  const found =
    workers === 1
      ? await Promise.all(parts.map(livePart))
      : await inParts<Part, PartFound>(import.meta.url, parts)
  return {
    points: (await liveKilled(plan, [])).kinds,
    singles: found.reduce((sum, { singles }) => sum + singles, 0),
    pairs: found.reduce((sum, { pairs }) => sum + pairs, 0),
    wrong: found.flatMap(({ wrong }) => wrong),
  }
}

/** The story of one life of the matrix. */
export const matrixStory = async (plan: MatrixPlan, kills: readonly number[]): Promise<readonly string[]> =>
  (await liveKilled(plan, kills)).verdict.story

await doPart(import.meta.url, livePart)
