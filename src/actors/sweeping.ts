/**
 * Sweeping: the second net, over what messages have missed. It runs between two drains, when memory and journal say the same, and
 * makes no transition itself: it sends the message that was missed, and puts each on record, because each is a defect of the first.
 */
import { type Address, jobAddress, parseAddress, planAddress } from '../address.ts'
import type { Journal, PlanHead } from '../journal/journal.ts'
import { isJobEnd, isPlanEnd } from '../states.ts'
import type { Attempts } from './attempts.ts'
import { asksOf, type Entry, planEntry, type Resident } from './directory.ts'
import type { Loading } from './loading.ts'
import { type Message, messageOf, storedMessage } from './mailbox.ts'
import { forgetPlan, isWhole, type Memory } from './memory.ts'
import { planState } from './step.ts'
import { type Repair, type StrandingKind, strandings } from './stranding.ts'
import type { Note } from './transaction.ts'

/** What sweeping needs from outside. */
export type SweepingPorts = Readonly<{
  journal: Journal
  now: () => number
  log: Readonly<Record<'warn' | 'error', (fields: object, message: string) => void>>
  note: (note: Note) => void
  attempts: Attempts
  loading: Loading
}>

/** One repair. */
export type Repaired = Readonly<{ kind: StrandingKind; plan: string; job: string | null; ageMs: number }>

/** What a sweep looked at and mended. */
export type SweepReport = Readonly<{ plans: number; repaired: readonly Repaired[] }>

/** Something to mend that only somebody outside the host can see. */
export type Missed = Readonly<{
  kind: 'not-taken-up' | 'stray-process'
  plan: string
  job: string | null
  since: number
}>

/** The sweeping part of a host. */
export type Sweeping = (minAgeMs: number, missed: readonly Missed[]) => Promise<SweepReport>

/** Sweeps a memory. */
export const sweeping = (memory: Memory, ports: SweepingPorts): Sweeping => {
  const { boxes, parts, permits, alarms, residents, counts } = memory
  const { journal, now, log, note, attempts, loading } = ports

  const repair = (plan: string, repaired: Repaired, state: string): Repaired => {
    counts.repairs += 1
    const { kind, job, ageMs } = repaired
    log.warn({ plan, job, kind, ageMs }, 'the sweep repaired what messages had missed')
    note({ type: 'sweep.repaired', plan, job, state, reason: kind, detail: { ageMs } })
    return repaired
  }
  const send = (of: Resident, { to, event }: Repair): void => {
    const { type } = event
    // A job without an actor that lost its place in the queue gets it back; it has nobody to ask again.
    const place = parseAddress(to)
    const row = place.kind === 'job' ? of.rows[of.graph.index.get(place.job) ?? -1] : undefined
    if (row) permits.job(of.id, row.name, row.state)
    if (type === 'recovered' && !of.actors.has(to)) return
    const message: Message = messageOf({ ...event, at: now() }, { durable: type !== 'recovered' })
    if (message.durable) memory.open.posted.push([to, message])
    boxes.put(to, message)
  }
  const entryOf = (of: Resident, job: string): Entry | undefined => of.actors.get(jobAddress(of.id, job))
  const look = (of: Resident, own: Entry, since: number, ended: ReadonlyMap<string, number>) => ({
    id: of.id,
    graph: of.graph,
    rows: of.rows,
    state: own.value,
    context: planState(own).context,
    since,
    hasMail: (address: Address) => boxes.depth(address) > 0,
    generation: ({ name, generation }: { name: string; generation: number }) => ended.get(name) ?? generation,
    asks: ({ name }: { name: string }) => {
      const entry = entryOf(of, name)
      return entry && asksOf(entry)
    },
    attempt: ({ name, attempt, generation }: { name: string; attempt: number; generation: number }) =>
      attempts.look({ resident: of, job: name, attempt, generation }),
    timer: ({ name }: { name: string }, timer: string) => alarms.armedAt(jobAddress(of.id, name), timer),
    slot: ({ name }: { name: string }) => permits.of(of.id, name),
  })
  /** Memory is what the journal says, or it is thrown away. Mail that is in no mailbox is put there. */
  const compare = async (of: Resident, head: PlanHead, minAgeMs: number): Promise<Repaired[]> => {
    const [rows, mail] = [await journal.jobs(of.id), await journal.mail(of.id)]
    const own = planEntry(of)
    const differs =
      head.seq !== (own?.savedSeq ?? 0) ||
      rows.some((row, at) => {
        const known = of.rows[at]
        return known?.state !== row.state || known.attempt !== row.attempt || known.place !== row.place
      })
    if (differs) {
      const ageMs = now() - (head.since ?? head.submittedAt)
      forgetPlan(memory, of.id)
      await loading.bringIn(of.id, false)
      return [repair(of.id, { kind: 'memory-differs', plan: of.id, job: null, ageMs }, head.state)]
    }
    return mail.flatMap((row) => {
      const { id, address } = row
      const ageMs = now() - row.at
      if (ageMs < minAgeMs || boxes.has(address, id)) return []
      const place = parseAddress(address)
      boxes.put(address, storedMessage(row))
      memory.open.touched.add(of)
      const job = place.kind === 'plan' ? null : place.job
      return [repair(of.id, { kind: 'mail-untaken', plan: of.id, job, ageMs }, head.state)]
    })
  }
  /** Of jobs that have ended and are not settled, which have no actor in memory: the generation that they have taken up. */
  const generationsOf = async (of: Resident): Promise<ReadonlyMap<string, number>> => {
    const found = new Map<string, number>()
    for (const { name, place, state } of of.rows) {
      if (place === 'settled' || !isJobEnd(state)) continue
      const row = await journal.actor(jobAddress(of.id, name))
      const { context } = JSON.parse(row?.snapshot ?? '{}') as { context?: { generation?: number } }
      if (context?.generation !== undefined) found.set(name, context.generation)
    }
    return found
  }
  /** A plan without an actor has one message: that which makes it. */
  const begin = (of: Resident, minAgeMs: number): readonly Repaired[] => {
    const to = planAddress(of.id)
    const ageMs = now() - of.row.submittedAt
    if (ageMs < minAgeMs || boxes.depth(to) > 0) return []
    memory.open.touched.add(of)
    send(of, { to, event: { type: 'created' } })
    return [repair(of.id, { kind: 'never-begun', plan: of.id, job: null, ageMs }, 'running')]
  }
  const sweepPlan = async (of: Resident, minAgeMs: number): Promise<readonly Repaired[]> => {
    const own = planEntry(of)
    if (own?.value === 'quarantined' || (own && isPlanEnd(own.value))) return []
    const head = await journal.plan(of.id)
    const compared = head && head.aside === null ? await compare(of, head, minAgeMs) : []
    if (compared.length > 0) return compared
    if (!own) return begin(of, minAgeMs)
    const since = head?.since ?? now()
    const found = strandings(look(of, own, since, await generationsOf(of))).filter(
      ({ since: from }) => now() - from >= minAgeMs,
    )
    // A part that failed while it was asked has answered nothing; the next one is told all that this one would be found to miss.
    if (!isWhole(parts)) return []
    return found.map(({ kind, job, since: from, repair: missed }) => {
      memory.open.touched.add(of)
      send(of, missed)
      return repair(of.id, { kind, plan: of.id, job, ageMs: now() - from }, own.value)
    })
  }
  const mend = async ({ kind, plan, job, since }: Missed): Promise<Repaired> => {
    if (kind === 'stray-process') attempts.sweep(plan)
    else await loading.bringIn(plan, true)
    return repair(plan, { kind, plan, job, ageMs: now() - since }, residents.get(plan) ? 'running' : 'ended')
  }

  /** It was seen a while ago, perhaps while the plan was read again after a commit that failed. */
  const isMissed = async ({ kind, plan }: Missed): Promise<boolean> => {
    if (kind !== 'not-taken-up') return true
    if (residents.has(plan) || memory.aside.has(plan)) return false
    const head = await journal.plan(plan)
    return head !== undefined && !isPlanEnd(head.state)
  }

  return async (minAgeMs, missed) => {
    const repaired: Repaired[] = []
    const plans = [...residents.values()]
    const isolated = async (plan: string, act: () => Promise<readonly Repaired[]>): Promise<void> => {
      try {
        repaired.push(...(await act()))
      } catch (error) {
        log.error({ plan, error: String(error) }, 'the sweep could not look at a plan; the others go on')
      }
    }
    for (const of of plans) await isolated(of.id, () => sweepPlan(of, minAgeMs))
    for (const each of missed) {
      await isolated(each.plan, async () => ((await isMissed(each)) ? [await mend(each)] : []))
    }
    return { plans: plans.length, repaired }
  }
}
