/**
 * The journal in memory, for tests and simulation. A disk survives the journal opened on it: a crash is to drop the journal, and
 * to open the disk again is to boot. It refuses whatever the journal on a file refuses.
 */
import { type Address, noteAddress, parseAddress } from '../address.ts'
import { TenutoError } from '../errors.ts'
import { base32, systemRandom } from '../ids.ts'
import { isPlanEnd } from '../states.ts'
import { headAfter } from './batch.ts'
import type {
  ActorRow,
  Batch,
  Boot,
  DeadLetterRow,
  JobRow,
  Journal,
  JournalReader,
  MailRow,
  PlanHead,
  PlanRow,
  Pruned,
  RevisionRow,
  StepRow,
} from './journal.ts'
import { memoryPruning } from './memory-pruning.ts'

/** What can go wrong with a memory disk. Set and cleared at will while it is in use. */
export type MemoryFaults = {
  /** Runs before a commit is looked at; a throw fails the commit with that error, and nothing is written. */
  beforeCommit?: ((batch: Batch) => void | Promise<void>) | undefined
  /** Runs when the commit is durable; a throw loses the acknowledgement only. */
  afterCommit?: ((batch: Batch) => void | Promise<void>) | undefined
  /** Addresses whose actor row and steps read as damaged. */
  damaged?: ReadonlySet<Address> | undefined
}

/** The medium a memory journal is opened on. Only journals look into `tables`. */
export type MemoryDisk = Readonly<{ faults: MemoryFaults; tables: Tables }>

type Tables = {
  readonly home: string
  epoch: number
  position: number
  mailId: number
  deadId: number
  clean: boolean
  readonly boots: Boot[]
  readonly plans: Map<string, PlanRow>
  readonly keys: Map<string, string>
  readonly revisions: Map<string, RevisionRow>
  readonly jobs: Map<string, Map<string, JobRow>>
  readonly outputs: Map<string, Map<string, string>>
  readonly actors: Map<string, Map<Address, ActorRow>>
  readonly steps: StepRow[]
  readonly stepsOfPlan: Map<string, StepRow[]>
  readonly stepsOfActor: Map<Address, StepRow[]>
  readonly mail: Map<number, MailRow>
  readonly dead: DeadLetterRow[]
  readonly aside: Map<string, Readonly<{ why: string; at: number }>>
  readonly loading: Map<string, number>
  readonly leaving: Set<string>
  readonly cleared: Map<string, number>
  pruned: Pruned
}

/** An empty disk; `home` is the random id a journal draws when it is made. */
export const memoryDisk = (home: string = base32(10, systemRandom)): MemoryDisk => ({
  faults: {},
  tables: {
    home,
    epoch: 0,
    position: 0,
    mailId: 0,
    deadId: 0,
    clean: true,
    boots: [],
    plans: new Map(),
    keys: new Map(),
    revisions: new Map(),
    jobs: new Map(),
    outputs: new Map(),
    actors: new Map(),
    steps: [],
    stepsOfPlan: new Map(),
    stepsOfActor: new Map(),
    mail: new Map(),
    dead: [],
    aside: new Map(),
    loading: new Map(),
    leaving: new Set(),
    cleared: new Map(),
    pruned: { plans: 0, steps: 0, last: 0 },
  },
})

/** Boots on a disk: the journal stands at its last commit, and every journal opened on it before is fenced. */
export const memoryJournal = async (disk: MemoryDisk, boot: Boot): Promise<Journal> => {
  const { tables, faults } = disk
  const epoch = tables.epoch + 1
  const opening = Object.freeze({
    epoch,
    position: tables.position,
    mail: tables.mailId,
    dead: tables.deadId,
    clean: tables.clean,
    home: tables.home,
    bootedSince: machineBootedSince(tables.boots, boot.bootId),
  })
  tables.epoch = epoch
  tables.clean = false
  tables.boots.push(Object.freeze({ ...boot }))
  let head = { position: opening.position, mail: opening.mail, dead: opening.dead }
  const reader = memoryReader(disk)
  let open = true

  const within = (): void => {
    if (!open) throw new TenutoError('STOPPED')
    if (tables.epoch !== epoch) throw ended(epoch)
  }
  const hasEnded = (plan: string): boolean => {
    const actor = tables.actors.get(plan)?.get(`plan:${plan}`)
    return tables.plans.has(plan) && actor !== undefined && isPlanEnd(actor.state) && !tables.aside.has(plan)
  }
  return {
    ...reader,
    opening,
    pruning: memoryPruning(tables, within, hasEnded),
    head: async () => {
      if (!open) throw new TenutoError('STOPPED')
      if (tables.epoch !== epoch) throw ended(epoch)
      return { position: tables.position, mail: tables.mailId, dead: tables.deadId }
    },
    commit: async (batch) => {
      await faults.beforeCommit?.(batch)
      if (!open) throw new TenutoError('STOPPED')
      const next = headAfter(head, batch)
      if (tables.epoch !== epoch) throw ended(epoch)
      admit(tables, batch)
      apply(tables, batch)
      tables.position = next.position
      tables.mailId = next.mail
      tables.deadId = next.dead
      head = next
      await faults.afterCommit?.(batch)
    },
    stop: async (clean) => {
      if (open && clean && tables.epoch === epoch) tables.clean = true
      open = false
      await reader.close()
    },
    close: async () => {
      open = false
      await reader.close()
    },
  }
}

const machineBootedSince = (before: readonly Boot[], bootId: string): number | null => {
  const other = before.findLastIndex((each) => each.bootId !== bootId)
  return other === -1 ? null : (before[other + 1]?.at ?? Number.POSITIVE_INFINITY)
}

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

const ended = (epoch: number): TenutoError => fenced(`epoch ${epoch} has ended`)

const fenced = (what: string): TenutoError => new TenutoError('FENCED', { what })

/** Refuses what the constraints of the tables forbid; nothing has been written yet. */
const admit = (tables: Tables, batch: Batch): void => {
  const ids = new Set<string>()
  const keys = new Set<string>()
  for (const { plan, revision } of batch.plans) {
    if (tables.plans.has(plan.id) || ids.has(plan.id)) throw fenced(`plan ${plan.id} exists`)
    ids.add(plan.id)
    if (revision.plan !== plan.id) throw fenced(`a revision of ${revision.plan} comes with plan ${plan.id}`)
    if (plan.key === null) continue
    if (tables.keys.has(plan.key) || keys.has(plan.key)) throw fenced(`key ${plan.key} exists`)
    keys.add(plan.key)
  }
  for (const { row, was } of batch.actors) {
    const seq = tables.actors.get(row.plan)?.get(row.address)?.seq ?? 0
    if (seq !== was) throw fenced(`${row.address} is at seq ${seq}, not ${was}`)
  }
  const added = new Set(batch.mail.added.map(({ id }) => id))
  const gone = new Set<number>()
  for (const id of batch.mail.failed) {
    if (!tables.mail.has(id) && !added.has(id)) throw fenced(`mail ${id} is not there`)
  }
  for (const id of batch.mail.taken) {
    if (gone.has(id) || !(tables.mail.has(id) || added.has(id))) throw fenced(`mail ${id} is not there`)
    gone.add(id)
  }
  for (const id of batch.raised)
    if (!tables.dead.some((letter) => letter.id === id)) throw fenced(`dead letter ${id} is not there`)
}

/** Writes an admitted batch. Cannot fail; rows are copied and frozen, so that nobody holds a piece of the disk. */
const apply = (tables: Tables, batch: Batch): void => {
  for (const { plan, revision } of batch.plans) {
    tables.plans.set(plan.id, keep(plan))
    if (plan.key !== null) tables.keys.set(plan.key, plan.id)
    tables.revisions.set(plan.id, keep(revision))
  }
  for (const row of batch.steps) {
    const step = keep(row)
    tables.steps.push(step)
    listIn(tables.stepsOfPlan, parseAddress(step.address).plan).push(step)
    listIn(tables.stepsOfActor, step.address).push(step)
  }
  for (const { row } of batch.actors) mapIn(tables.actors, row.plan).set(row.address, keep(row))
  for (const row of batch.jobs) mapIn(tables.jobs, row.plan).set(row.name, keep(row))
  for (const { plan, name, outputs } of batch.outputs) {
    if (outputs === null) tables.outputs.get(plan)?.delete(name)
    else mapIn(tables.outputs, plan).set(name, outputs)
  }
  for (const row of batch.mail.added) tables.mail.set(row.id, keep(row))
  for (const id of batch.mail.failed) {
    const row = tables.mail.get(id)
    if (row) tables.mail.set(id, keep({ ...row, deliveries: row.deliveries + 1 }))
  }
  for (const id of batch.mail.taken) tables.mail.delete(id)
  for (const row of batch.dead) tables.dead.push(keep(row))
  for (const id of batch.raised)
    tables.dead.splice(
      tables.dead.findIndex((letter) => letter.id === id),
      1,
    )
  for (const { plan, why, at } of batch.aside) {
    if (why === null) tables.aside.delete(plan)
    else tables.aside.set(plan, keep({ why, at }))
  }
  for (const { plan, times } of batch.loading) {
    if (times === 0) tables.loading.delete(plan)
    else tables.loading.set(plan, times)
  }
}

const keep = <R extends object>(row: R): R => Object.freeze({ ...row })

const listIn = <K, V>(lists: Map<K, V[]>, key: K): V[] => {
  let list = lists.get(key)
  if (!list) lists.set(key, (list = []))
  return list
}

const mapIn = <K, L, V>(maps: Map<K, Map<L, V>>, key: K): Map<L, V> => {
  let map = maps.get(key)
  if (!map) maps.set(key, (map = new Map()))
  return map
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
