/**
 * Slots: permission to run one attempt. They hold no truth: a slot is held by a job in `running` or `stopping`, the queue is the
 * jobs in `queued` in the order in which they came. Told of every row that changes, they can be thrown away and told again.
 */

/** The slots of a host. */
export type Slots = Readonly<{
  /** A plan's own limit, and whether its jobs may start at all. Idempotent. */
  plan: (plan: string, limits: Readonly<{ maxParallel: number; admits: boolean }>) => void
  /** What a job is doing. Idempotent. */
  job: (plan: string, job: string, state: string) => void
  /** Grants the next slot there is; undefined when there is none. Plans take turns. */
  grant: () => Readonly<{ plan: string; job: string }> | undefined
  /** Whether `grant` would grant one. */
  couldGrant: () => boolean
  /** Forgets a plan and what its jobs hold. */
  forget: (plan: string) => void
  /** What is known of a job; undefined when it neither waits for a slot nor holds one. */
  of: (plan: string, job: string) => 'queued' | 'held' | undefined
  /** How many slots are held. */
  held: () => number
}>

type Claims = {
  maxParallel: number
  admits: boolean
  /** In order; a job that left the queue in between is skipped when its turn comes. */
  queue: string[]
  head: number
  readonly state: Map<string, 'queued' | 'held'>
  held: number
  queued: number
  listed: boolean
}

/** Slots nobody holds; `limit` bounds them across plans, and none is granted while `mayGrant` says no. */
export const slots = (limit: number, mayGrant: () => boolean = () => true): Slots => {
  const plans = new Map<string, Claims>()
  let turns: string[] = []
  let held = 0

  const claims = (plan: string): Claims => {
    const known = plans.get(plan)
    if (known) return known
    const made: Claims = {
      maxParallel: 0,
      admits: false,
      queue: [],
      head: 0,
      state: new Map(),
      held: 0,
      queued: 0,
      listed: false,
    }
    plans.set(plan, made)
    return made
  }
  const canGrant = (of: Claims): boolean => of.admits && of.queued > 0 && of.held < of.maxParallel
  /** Enters a plan into the turns when it could use one. */
  const list = (plan: string, of: Claims): void => {
    if (of.listed || !canGrant(of)) return
    of.listed = true
    turns.push(plan)
  }
  const set = (of: Claims, job: string, next: 'queued' | 'held' | null): void => {
    const before = of.state.get(job) ?? null
    if (before === next) return
    if (before === 'held') {
      of.held -= 1
      held -= 1
    } else if (before === 'queued') of.queued -= 1
    if (next === null) of.state.delete(job)
    else of.state.set(job, next)
    if (next === 'held') {
      of.held += 1
      held += 1
    } else if (next === 'queued') {
      of.queued += 1
      of.queue.push(job)
    }
  }
  const nextQueued = (of: Claims): string | undefined => {
    while (of.head < of.queue.length) {
      const job = of.queue[of.head] as string
      of.head += 1
      if (of.head > 1024 && of.head * 2 > of.queue.length) {
        of.queue = of.queue.slice(of.head)
        of.head = 0
      }
      if (of.state.get(job) === 'queued') return job
    }
    return undefined
  }

  return {
    plan: (plan, { maxParallel, admits }) => {
      const of = claims(plan)
      of.maxParallel = maxParallel
      of.admits = admits
      list(plan, of)
    },
    job: (plan, job, state) => {
      const of = claims(plan)
      set(
        of,
        job,
        state === 'queued' ? 'queued' : state === 'running' || state === 'stopping' ? 'held' : null,
      )
      list(plan, of)
    },
    grant: () => {
      while (held < limit && mayGrant() && turns.length > 0) {
        const plan = turns.shift() as string
        const of = plans.get(plan)
        if (!of) continue
        of.listed = false
        if (!canGrant(of)) continue
        const job = nextQueued(of)
        if (job === undefined) continue
        set(of, job, 'held')
        list(plan, of)
        return { plan, job }
      }
      return undefined
    },
    couldGrant: () => {
      if (held >= limit || !mayGrant()) return false
      return turns.some((plan) => {
        const of = plans.get(plan)
        return of !== undefined && canGrant(of)
      })
    },
    forget: (plan) => {
      const of = plans.get(plan)
      if (!of) return
      held -= of.held
      plans.delete(plan)
      // Told of again, it has one turn like any other.
      if (of.listed) turns = turns.filter((other) => other !== plan)
    },
    of: (plan, job) => plans.get(plan)?.state.get(job),
    held: () => held,
  }
}
