/**
 * The reader of a journal in memory.
 */
import { type Address, noteAddress, parseAddress } from '../address.ts'
import { TenutoError } from '../errors.ts'
import { isPlanEnd } from '../states.ts'
import type { JobRow, JournalReader, PlanHead, PlanRow, StepRow } from './journal.ts'
import type { MemoryDisk } from './memory-disk.ts'

/** Reads a disk without opening it: no epoch is raised. */
export const memoryReader = ({ tables, faults }: MemoryDisk): JournalReader => {
  let open = true
  const check = (): void => {
    if (!open) throw new TenutoError('STOPPED')
  }
  const sound = <R extends { address: Address; seq: number }>(row: R): R => {
    if (!faults.damaged?.has(row.address)) return row
    const why = `row of ${row.address} seq ${row.seq}`
    throw new TenutoError('STORE_CORRUPT', { path: 'memory', why, address: row.address })
  }
  const headOf = (plan: PlanRow): PlanHead => {
    const actor = tables.actors.get(plan.id)?.get(`plan:${plan.id}`)
    const steps = tables.stepsOfActor.get(`plan:${plan.id}`) ?? []
    const aside = tables.aside.get(plan.id)
    return {
      ...plan,
      state: aside ? 'quarantined' : (actor?.state ?? 'running'),
      reason: aside ? 'fault' : (actor?.reason ?? null),
      seq: actor?.seq ?? 0,
      startedAt: steps.find(({ seq }) => seq === 1)?.at ?? null,
      since: steps.findLast(({ seq }) => seq === actor?.seq)?.at ?? null,
      aside: aside?.why ?? null,
      damaged: false,
    }
  }
  /** The positions between which the steps of a plan lie: its own first and, once it has ended, its own last. */
  const span = (plan: string): readonly [number, number] => {
    const steps = tables.stepsOfActor.get(`plan:${plan}`) ?? []
    const actor = tables.actors.get(plan)?.get(`plan:${plan}`)
    const ended = actor !== undefined && isPlanEnd(actor.state)
    const last = ended ? steps.findLast(({ seq }) => seq === actor.seq)?.position : undefined
    return [steps.find(({ seq }) => seq === 1)?.position ?? 1, last ?? Infinity]
  }
  const newest = (wanted: (plan: PlanHead) => boolean, limit: number): PlanHead[] => {
    const found: PlanHead[] = []
    for (const plan of [...tables.plans.values()].reverse()) {
      if (found.length >= limit) break
      const head = headOf(plan)
      if (wanted(head)) found.push(head)
    }
    return found
  }
  return {
    plans: async ({ name, states, limit = Infinity, before } = {}) => {
      check()
      let older = before === undefined
      return newest((plan) => {
        const wanted =
          older && (name === undefined || plan.name === name) && (states?.includes(plan.state) ?? true)
        if (plan.id === before) older = true
        return wanted
      }, limit)
    },
    plan: async (id) => {
      check()
      const plan = tables.plans.get(id)
      return plan && headOf(plan)
    },
    planByKey: async (key) => {
      check()
      const id = tables.keys.get(key)
      const plan = id === undefined ? undefined : tables.plans.get(id)
      return plan && headOf(plan)
    },
    plansByPrefix: async (prefix, limit) => {
      check()
      return newest((plan) => plan.id.startsWith(prefix), limit)
    },
    revision: async (plan) => {
      check()
      return tables.revisions.get(plan)
    },
    jobs: async (plan) => {
      check()
      return [...(tables.jobs.get(plan)?.values() ?? [])].sort(
        (a, b) => a.index - b.index || compare(a.name, b.name),
      )
    },
    job: async (plan, name) => {
      check()
      return tables.jobs.get(plan)?.get(name)
    },
    jobsIn: async ({ states, name, limit = Infinity }) => {
      check()
      const found: JobRow[] = []
      for (const plan of [...tables.plans.values()].reverse()) {
        if (name !== undefined && plan.name !== name) continue
        const rows = [...(tables.jobs.get(plan.id)?.values() ?? [])].filter(({ state }) =>
          states.includes(state),
        )
        found.push(...rows.sort((a, b) => a.index - b.index || compare(a.name, b.name)))
        if (found.length >= limit) break
      }
      return found.slice(0, limit)
    },
    counts: async (plan) => {
      check()
      const counts: Record<string, number> = {}
      for (const { state } of tables.jobs.get(plan)?.values() ?? []) counts[state] = (counts[state] ?? 0) + 1
      return counts
    },
    totals: async () => {
      check()
      const plans: Record<string, number> = {}
      const jobs: Record<string, number> = {}
      for (const plan of tables.plans.values()) {
        const { state } = headOf(plan)
        plans[state] = (plans[state] ?? 0) + 1
      }
      for (const rows of tables.jobs.values())
        for (const { state } of rows.values()) jobs[state] = (jobs[state] ?? 0) + 1
      return { plans, jobs, deadLetters: tables.dead.length, deadLettersEver: tables.deadId }
    },
    outputs: async (plan, names) => {
      check()
      const all = tables.outputs.get(plan) ?? new Map<string, string>()
      const found = new Map<string, string>()
      for (const name of [...(names ?? all.keys())].sort(compare)) {
        const outputs = all.get(name)
        if (outputs !== undefined) found.set(name, outputs)
      }
      return found
    },
    actor: async (address) => {
      check()
      const row = tables.actors.get(parseAddress(address).plan)?.get(address)
      return row && sound(row)
    },
    actors: async (plan) => {
      check()
      return [...(tables.actors.get(plan)?.values() ?? [])]
        .sort((a, b) => compare(a.address, b.address))
        .map(sound)
    },
    steps: async ({ after, limit, plan, address }) => {
      check()
      const all =
        address !== undefined
          ? (tables.stepsOfActor.get(address) ?? [])
          : plan !== undefined
            ? (tables.stepsOfPlan.get(plan) ?? [])
            : tables.steps
      const [first, last] = address === undefined && plan !== undefined ? span(plan) : [1, Infinity]
      const from = firstAfter(all, Math.max(after, first - 1))
      return all
        .slice(from, from + limit)
        .filter(({ position }) => position <= last)
        .map(sound)
    },
    notes: async (plan, limit) => {
      check()
      return (tables.stepsOfPlan.get(plan) ?? [])
        .filter(({ address, type }) => address.startsWith('note:') && type !== 'begun')
        .toReversed()
        .slice(0, limit)
        .map(sound)
    },
    lastNote: async (plan, job, type) => {
      check()
      const address = noteAddress(plan, job)
      const found = (tables.stepsOfPlan.get(plan) ?? []).findLast(
        (step) => step.address === address && step.type === type,
      )
      return found && sound(found)
    },
    latest: async (address, limit) => {
      check()
      return (tables.stepsOfActor.get(address) ?? []).toReversed().slice(0, limit).map(sound)
    },
    mailOf: async (address, limit) => {
      check()
      return [...tables.mail.values()].filter((row) => row.address === address).slice(0, limit)
    },
    mail: async (plan) => {
      check()
      const all = [...tables.mail.values()]
      return plan === undefined ? all : all.filter(({ address }) => parseAddress(address).plan === plan)
    },
    addressed: async () => {
      check()
      return [...new Set([...tables.mail.values()].map(({ address }) => address))]
    },
    aside: async (plan) => {
      check()
      return tables.aside.get(plan)
    },
    loading: async (plan) => {
      check()
      return tables.loading.get(plan) ?? 0
    },
    deadLetters: async (limit, before = Number.POSITIVE_INFINITY) => {
      check()
      return tables.dead
        .filter(({ id }) => id < before)
        .toReversed()
        .slice(0, limit)
    },
    pruned: async () => {
      check()
      return tables.pruned
    },
    close: async () => {
      open = false
    },
  }
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** The index of the first step whose position is greater; steps are in order of position. */
const firstAfter = (steps: readonly StepRow[], after: number): number => {
  let low = 0
  let high = steps.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((steps[middle] as StepRow).position > after) high = middle
    else low = middle + 1
  }
  return low
}
