/**
 * A plan and its board as one would write them with no thought of cost: everything that follows from an event is worked out anew
 * from all jobs, and nothing is left for later. What the machine and the board do in portions must come to the same.
 */
import type { Definition, Need } from '../../src/definition.ts'

/** An end of a job, in the words of the contract. */
type End = 'succeeded' | 'failed' | 'cancelled' | 'skipped'

/** A job of the model. */
export type NaiveJob = {
  generation: number
  running: boolean
  end: End | null
  reason: string | null
  /** Whether the plan has heard of its end. */
  heard: boolean
  /** Whether it was ever released in this generation. */
  released: boolean
}

/** A plan of the model. */
export type NaivePlan = {
  readonly definition: Definition
  state: 'running' | 'paused' | 'cancelling' | 'succeeded' | 'failed' | 'cancelled'
  /** The state before its end. */
  live: 'running' | 'paused' | 'cancelling'
  generation: number
  failed: string | null
  readonly jobs: Map<string, NaiveJob>
  /** Jobs in the order in which they were released, each once per generation. */
  readonly releases: string[]
}

/** What may happen to it. */
export type NaiveEvent =
  | Readonly<{ do: 'start'; job: string }>
  | Readonly<{ do: 'end'; job: string; end: 'succeeded' | 'failed' }>
  | Readonly<{ do: 'hear'; job: string }>
  | Readonly<{ do: 'cancel-job' | 'skip-job'; job: string }>
  | Readonly<{ do: 'pause' | 'continue' | 'cancel' }>
  | Readonly<{ do: 'retry'; job: string | null; downstream: boolean }>

/** A plan nobody has touched. */
export const naivePlan = (definition: Definition): NaivePlan => {
  const plan: NaivePlan = {
    definition,
    state: 'running',
    live: 'running',
    generation: 1,
    failed: null,
    jobs: new Map(
      Object.keys(definition.jobs).map((name) => [
        name,
        { generation: 1, running: false, end: null, reason: 'needs', heard: false, released: false },
      ]),
    ),
    releases: [],
  }
  conclude(plan)
  return plan
}

const job = (plan: NaivePlan, name: string): NaiveJob => {
  const found = plan.jobs.get(name)
  if (!found) throw new Error(`the model has no job ${name}`)
  return found
}
const needsOf = (plan: NaivePlan, name: string): readonly (readonly [string, Need])[] =>
  Object.entries(plan.definition.jobs[name]?.needs ?? {})

const satisfied = (need: Need, end: End | null): boolean => {
  if (need === 'any') return end !== null
  if (need === 'skipped-ok') return end === 'succeeded' || end === 'skipped'
  return end === 'succeeded'
}
/** The end of a need as the plan knows it. */
const known = (plan: NaivePlan, name: string): End | null => {
  const of = job(plan, name)
  return of.heard ? of.end : null
}

/** The place of a job: what its row should say. */
export const placeOf = (plan: NaivePlan, name: string): 'held' | 'released' | 'settled' => {
  const of = job(plan, name)
  if (of.heard) return 'settled'
  return of.released ? 'released' : 'held'
}
/** How many needs are not met. */
export const unmetOf = (plan: NaivePlan, name: string): number =>
  needsOf(plan, name).filter(([of, need]) => !satisfied(need, known(plan, of))).length

/** The state of a job. */
export const stateOf = (plan: NaivePlan, name: string): string => {
  const of = job(plan, name)
  if (of.end) return of.end
  if (of.running) return 'running'
  return of.released ? 'queued' : 'held'
}

const close = (plan: NaivePlan, name: string, end: End, reason: string | null): void => {
  const of = job(plan, name)
  of.end = end
  of.reason = reason
  of.running = false
  of.heard = true
}
/** Whether a job that was not started is still to come. */
const waits = ({ end, running }: NaiveJob): boolean => end === null && !running

/** Everything that follows, until nothing more does. */
const conclude = (plan: NaivePlan): void => {
  for (let changed = true; changed; ) {
    changed = false
    for (const [name, of] of plan.jobs) {
      if (!waits(of) || of.released) continue
      const needs = needsOf(plan, name)
      if (
        needs.some(([other, need]) => known(plan, other) !== null && !satisfied(need, known(plan, other)))
      ) {
        close(plan, name, 'skipped', 'need-failed')
        changed = true
      } else if (needs.every(([other, need]) => satisfied(need, known(plan, other)))) {
        of.released = true
        of.reason = 'slot'
        plan.releases.push(`${name}#${of.generation}`)
        changed = true
      }
    }
  }
  const over = [...plan.jobs.values()].every(({ heard }) => heard)
  if (!over || (plan.state !== 'running' && plan.state !== 'paused' && plan.state !== 'cancelling')) return
  plan.live = plan.state
  plan.state = plan.state === 'cancelling' ? 'cancelled' : plan.failed === null ? 'succeeded' : 'failed'
}

/** A plan whose end is decided and not reached yet: a walk over the board is still to come to its end. */
export const notYet = (plan: NaivePlan): void => {
  if (plan.state === 'succeeded' || plan.state === 'failed' || plan.state === 'cancelled')
    plan.state = plan.live
}

/** The plan hears that a job has ended. */
const hear = (plan: NaivePlan, name: string): void => {
  const of = job(plan, name)
  if (of.end === null || of.heard) {
    conclude(plan)
    return
  }
  of.heard = true
  const fails =
    plan.definition.jobs[name]?.optional !== true && (of.end === 'failed' || of.end === 'cancelled')
  if (plan.state === 'cancelling') {
    if (fails) plan.failed ??= of.reason
    conclude(plan)
    return
  }
  if (fails) plan.failed ??= of.reason
  const { onFailure } = plan.definition
  if (fails && onFailure === 'pause' && plan.state === 'running') plan.state = 'paused'
  const before = plan.state
  if (fails && onFailure === 'stop') {
    // Those that can no longer be are skipped for that; whatever else was not started is withdrawn.
    plan.state = 'running'
    const open = [...plan.jobs].filter(([, each]) => waits(each))
    conclude(plan)
    for (const [other] of open) {
      if (waits(job(plan, other))) close(plan, other, 'skipped', 'on-failure-stop')
    }
    plan.state = before
  }
  conclude(plan)
}

const withdrawAll = (plan: NaivePlan): void => {
  for (const [name, of] of plan.jobs) if (of.end === null) close(plan, name, 'cancelled', 'operator')
}

const dependants = (plan: NaivePlan, name: string): readonly string[] =>
  [...plan.jobs.keys()].filter((other) => needsOf(plan, other).some(([of]) => of === name))

/** What a retry opens again, by going over all jobs until nothing changes. */
const chosen = (plan: NaivePlan, only: string | null, downstream: boolean): Set<string> => {
  const neverRan = (of: NaiveJob): boolean =>
    of.end === 'skipped' && (of.reason === 'need-failed' || of.reason === 'on-failure-stop')
  const set = new Set<string>()
  for (const [name, of] of plan.jobs) {
    if (!of.heard) continue
    if (only === null ? of.end === 'failed' || of.end === 'cancelled' || neverRan(of) : name === only)
      set.add(name)
  }
  for (let size = -1; size !== set.size; ) {
    size = set.size
    for (const name of [...set]) {
      for (const other of dependants(plan, name)) {
        const of = job(plan, other)
        if (of.heard && (downstream || (of.end === 'skipped' && of.reason === 'need-failed'))) set.add(other)
      }
    }
  }
  for (let size = -1; size !== set.size; ) {
    size = set.size
    for (const name of [...set]) {
      const doomed = needsOf(plan, name).some(
        ([of, need]) => !set.has(of) && known(plan, of) !== null && !satisfied(need, known(plan, of)),
      )
      if (doomed) set.delete(name)
    }
  }
  return set
}

const retry = (plan: NaivePlan, only: string | null, downstream: boolean): void => {
  const set = plan.state === 'cancelling' ? new Set<string>() : chosen(plan, only, downstream)
  if (set.size === 0) {
    conclude(plan)
    return
  }
  if (plan.state !== 'running' && plan.state !== 'paused') {
    plan.state = 'running'
    plan.generation += 1
  }
  for (const name of set) {
    const of = job(plan, name)
    Object.assign(of, { end: null, heard: false, running: false, released: false, reason: 'needs' })
    of.generation += 1
  }
  const failure = [...plan.jobs].find(
    ([name, of]) =>
      of.heard &&
      plan.definition.jobs[name]?.optional !== true &&
      (of.end === 'failed' || of.end === 'cancelled'),
  )
  plan.failed = failure?.[1].reason ?? null
  conclude(plan)
}

/** Lets one thing happen. What cannot happen now changes nothing. */
export const happen = (plan: NaivePlan, event: NaiveEvent): void => {
  switch (event.do) {
    case 'start': {
      const of = job(plan, event.job)
      if (plan.state !== 'running' || stateOf(plan, event.job) !== 'queued') return
      of.running = true
      of.reason = null
      return
    }
    case 'end': {
      const of = job(plan, event.job)
      if (!of.running) return
      Object.assign(of, { end: event.end, running: false, reason: event.end === 'failed' ? 'exit' : null })
      return
    }
    case 'hear':
      hear(plan, event.job)
      return
    case 'cancel-job':
    case 'skip-job': {
      const of = job(plan, event.job)
      if (of.end !== null || (event.do === 'skip-job' && of.running)) return
      const end = event.do === 'skip-job' ? 'skipped' : 'cancelled'
      Object.assign(of, { end, running: false, reason: 'operator' })
      return
    }
    case 'pause':
      if (plan.state === 'running') plan.state = 'paused'
      conclude(plan)
      return
    case 'continue':
      if (plan.state === 'paused') plan.state = 'running'
      conclude(plan)
      return
    case 'cancel':
      if (plan.state !== 'running' && plan.state !== 'paused') {
        conclude(plan)
        return
      }
      plan.state = 'cancelling'
      withdrawAll(plan)
      conclude(plan)
      return
    case 'retry':
      retry(plan, event.job, event.downstream)
  }
}
