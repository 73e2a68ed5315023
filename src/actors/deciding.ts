/**
 * Deciding: one message at a time, what an actor becomes by it, and what it posts and asks for. Everything lands in the open
 * transaction; nothing leaves. A machine that throws leaves no trace of its step.
 */
import { type Address, jobAddress, type Place, parseAddress, planAddress } from '../address.ts'
import type { Clock } from '../clock.ts'
import type { Asker } from '../command.ts'
import type { Definition } from '../definition.ts'
import type { Random } from '../ids.ts'
import type { PlanRow } from '../journal/journal.ts'
import { type BoardRow, type Change, graphOf, openRows } from '../machines/board.ts'
import type { AttemptEnded } from '../machines/job.ts'
import { planAdmits } from '../machines/plan.ts'
import { isJobEnd } from '../states.ts'
import { deadLetter } from './dead-letters.ts'
import { type Entry, machineOf, type Resident, resident } from './directory.ts'
import { hint, type Message, messageOf } from './mailbox.ts'
import type { Memory } from './memory.ts'
import type { Faults } from './part.ts'
import { boardEvent, createJob, createPlan, outputsOf, planState, type Step, takeStep } from './step.ts'
import type { LiveActor } from './system.ts'
import { consume, type Note, noteRow, stepRow, touchJob } from './transaction.ts'

/** What deciding needs from outside. */
export type DecidingPorts = Readonly<{
  clock: Clock
  random: Random
  log: Readonly<Record<'error', (fields: object, message: string) => void>>
  /** Makes an actor fail, for tests. */
  faults?: Faults | undefined
}>

/** A plan to be taken in. */
export type Submission = Readonly<{ row: PlanRow; definition: Definition; asked?: Asker }>

/** The deciding half of a host. */
export type Deciding = Readonly<{
  /** Makes a plan, its board and the message that begins it. */
  admit: (submission: Submission) => void
  /** Takes messages until nothing is runnable, or `most` steps or some milliseconds have passed. */
  decide: (most: number) => void
  /** Puts something on record that is no step of an actor. */
  note: (note: Note) => void
}>

/** A drain ends after so many milliseconds, so that no plan delays the commits of another. */
const DRAIN_MS = 50
/** A message that makes its actor fail this often is a dead letter. */
export const DELIVERIES_MAX = 3

/** What only an operator asks; a quarantined plan takes nothing else. */
export const OPERATOR: ReadonlySet<string> = new Set(['continue.requested', 'cancel.requested'])
const DEADLY = 'the process ended each time this message was taken'

/** Every event that a machine knows in some state, by the kind of its actor. */
const KNOWN: Readonly<Record<Entry['kind'], ReadonlySet<string>>> = {
  plan: new Set(['created', ...machineOf('plan').machine.events]),
  job: new Set(['created', ...machineOf('job').machine.events]),
}

/** Decides on a memory. */
export const deciding = (memory: Memory, { clock, random, log, faults }: DecidingPorts): Deciding => {
  const { system, boxes, permits, residents, absent, counts } = memory

  const note = (told: Note): void => {
    memory.head.position += 1
    memory.open.steps.push(noteRow(told, memory.head.position, clock.now()))
  }
  const post = (to: Address, event: Message['event'], from: Address): void => {
    const message = messageOf(event, { from, postedBy: memory.head.position })
    memory.open.posted.push([to, message])
    boxes.put(to, message)
  }
  const record = (entry: Entry, { event }: Step, from: string | null): void => {
    entry.seq += 1
    memory.head.position += 1
    memory.open.steps.push(stepRow(entry, event, from, memory.head.position))
    memory.open.actors.add(entry)
    memory.open.touched.add(entry.resident)
  }
  const setRow = (of: Resident, row: BoardRow): void => {
    const before = of.rows[row.index] as BoardRow
    of.rows[row.index] = row
    touchJob(memory.open, of, row.index)
    if (row.state !== before.state) permits.job(of.id, row.name, row.state)
    if (row.embodied && !before.embodied) of.fresh.add(jobAddress(of.id, row.name))
    if (row.generation !== before.generation)
      memory.open.outputs.push({ plan: of.id, name: row.name, outputs: null })
  }
  const applyToBoard = (entry: Entry, change: Change, at: number): void => {
    for (const row of change.rows) setRow(entry.resident, row)
    for (const told of change.posts) {
      const event = boardEvent(told, at)
      // A job that had ended was not told of pauses; its new life begins with what is so now.
      const now = event.type === 'reopened' ? { ...event, paused: entry.value === 'paused' } : event
      post(jobAddress(entry.resident.id, told.job), now, entry.address)
    }
  }
  const applyToRow = (entry: Entry, at: number): void => {
    const row = entry.resident.rows[entry.index] as BoardRow
    const { reason, generation, attempt } = entry.context as Readonly<{
      reason: string | null
      generation: number
      attempt: number
    }>
    const since = row.state === entry.value ? row.since : at
    setRow(entry.resident, { ...row, state: entry.value, reason, generation, attempt, since, embodied: true })
  }
  const apply = (entry: Entry, step: Step, recovered: boolean): void => {
    const { decision, event } = step
    const from = entry.seq === 0 ? null : entry.value
    entry.value = decision.value
    entry.context = decision.context
    if (decision.changed || step.posts.length > 0) {
      record(entry, step, from)
      if (entry.kind === 'job') applyToRow(entry, event.at)
    }
    if (step.change) applyToBoard(entry, step.change, event.at)
    if (entry.kind === 'plan') {
      permits.plan(entry.resident.id, {
        maxParallel: entry.resident.definition.maxParallel,
        admits: planAdmits(planState(entry)),
      })
    }
    for (const { to, event: told } of step.posts) post(to, { ...told, at: event.at }, entry.address)
    for (const effect of step.effects) memory.open.effects.push({ entry, effect, recovered })
    const outputs = entry.kind === 'job' && decision.value === 'succeeded' ? outputsOf(event) : undefined
    if (outputs) {
      const { name } = entry.resident.rows[entry.index] as BoardRow
      memory.open.outputs.push({ plan: entry.resident.id, name, outputs: JSON.stringify(outputs) })
    }
  }
  const enter = (
    of: Resident,
    address: Address,
    index: number,
    made: Readonly<{ actor: LiveActor; step: Step }>,
  ): Entry => {
    const { value, context } = made.step.decision
    const kind = index < 0 ? 'plan' : 'job'
    const entry: Entry = {
      address,
      kind,
      resident: of,
      index,
      actor: made.actor,
      value,
      context,
      seq: 0,
      savedSeq: 0,
    }
    of.actors.set(address, entry)
    of.fresh.delete(address)
    apply(entry, made.step, false)
    // Its row was embodied by that very step.
    of.fresh.delete(address)
    return entry
  }
  /** Whether nobody would hear that a message was not taken: it is a fact, and was on its way by itself. */
  const isUnheard = ({ offer, durable }: Message): boolean => durable && (offer?.unheard ?? offer === null)
  const decline = (address: Address, message: Message, state: string | null): void =>
    consume(memory.open, address, message, { taken: false, position: memory.head.position, state })
  /** The message was not taken: who asked is told so, and of a fact there was no more to say. */
  const refuse = (address: Address, message: Message, state: string | null): void => {
    if (isUnheard(message)) memory.open.duplicates += 1
    decline(address, message, state)
  }
  const bury = (address: Address, message: Message, error: string): void => {
    memory.head.dead += 1
    memory.open.dead.push(deadLetter(memory.head.dead, address, message.event, error, clock.now()))
    decline(address, message, null)
  }

  /** The actor that an address names, made from its row if need be; null when the message can go to nobody now. */
  const actorFor = (
    of: Resident,
    address: Address,
    job: string | null,
    now: number,
    { event }: Message,
  ): Entry | null => {
    const known = of.actors.get(address)
    if (known) return known
    if (job === null) {
      faults?.({ actor: address, message: event.type })
      return enter(
        of,
        address,
        -1,
        createPlan(system, of, now, event.type === 'created' ? (event as Asker) : {}),
      )
    }
    const index = of.graph.index.get(job)
    const row = index === undefined ? undefined : of.rows[index]
    if (!row || index === undefined) return null
    if (row.embodied && !of.fresh.has(address)) {
      absent.add(address)
      boxes.hold(address)
      return null
    }
    if (isJobEnd(row.state)) return null
    faults?.({ actor: address, message: event.type })
    return enter(of, address, index, createJob(system, of, row, address, now))
  }

  /** Whether it went to a job that ended before it had an actor: that refuses what one that had an actor would. */
  const isKnownTo = (of: Resident, place: Place, type: string): boolean => {
    const index = place.kind === 'job' ? of.graph.index.get(place.job) : undefined
    const row = index === undefined ? undefined : of.rows[index]
    return row !== undefined && isJobEnd(row.state) && KNOWN.job.has(type)
  }

  /** Its messages wait until what they need has been read. */
  const waitForReading = (address: Address): void => {
    absent.add(address)
    boxes.hold(address)
  }
  const takeOne = (address: Address, now: number): void => {
    const place = parseAddress(address)
    const of = residents.get(place.plan)
    if (!of) return waitForReading(address)
    const message = boxes.take(address)
    if (!message) return
    // Even a message that changes nothing may have asked for effects, or have left the mail: a failed commit undoes that too.
    memory.open.touched.add(of)
    if (message.id !== null && memory.careful.delete(message.id) && message.deliveries > DELIVERIES_MAX)
      return poison(of, address, message, DEADLY)
    try {
      const entry = actorFor(of, address, place.kind === 'job' ? place.job : null, now, message)
      if (entry) take(entry, message, now)
      else if (absent.has(address)) boxes.putFirst(address, message)
      else if (isUnheard(message) && !isKnownTo(of, place, message.event.type))
        bury(address, message, `there is no actor at ${address}`)
      else refuse(address, message, null)
    } catch (error) {
      fault(of, address, message, error)
    }
  }
  const take = (entry: Entry, message: Message, now: number): void => {
    const { address, resident: of } = entry
    const { type } = message.event
    if (entry.value === 'quarantined' && !OPERATOR.has(type) && type !== 'recovered') {
      if (message.offer) return refuse(address, message, entry.value)
      boxes.putFirst(address, message)
      // What an operator asks may have come behind what waits for it.
      if (!boxes.prefer(address, ({ event }) => OPERATOR.has(event.type))) boxes.hold(address)
      if (message.id !== null) memory.careful.delete(message.id)
      return
    }
    if (type !== 'created') {
      faults?.({ actor: address, message: type })
      const from = message.from === null ? undefined : of.actors.get(message.from)
      const step = takeStep(system, entry, message, from?.actor ?? null, now, random)
      if (!step || (!step.decision.changed && step.decision.actions.length === 0)) {
        memory.open.refused.add(entry)
        if (!isUnheard(message) || KNOWN[entry.kind].has(type)) return refuse(address, message, entry.value)
        return bury(address, message, `no state of a ${entry.kind} takes ${type}; it is ${entry.value}`)
      }
      apply(entry, step, type === 'recovered')
      if (type === 'attempt.ended') noteEnd(entry, step.event as unknown as AttemptEnded)
    }
    consume(memory.open, address, message, {
      taken: true,
      position: memory.head.position,
      state: entry.value,
    })
  }
  /** The end of an attempt that was in flight when this process began is what recovery found. */
  const noteEnd = ({ address, resident: of, index }: Entry, { attempt, outcome }: AttemptEnded): void => {
    if (memory.recovering.get(address) !== attempt) return
    memory.recovering.delete(address)
    const job = of.rows[index]?.name ?? null
    const found = outcome === 'lost' || outcome === 'never-started' ? outcome : 'ended-meanwhile'
    note({ type: 'recovered', plan: of.id, job, attempt, state: outcome, reason: found })
  }

  /** A machine threw. Its step has left no trace; the message waits in the mail for the actor's replacement, or is a dead letter. */
  const fault = (of: Resident, address: Address, message: Message, error: unknown): void => {
    counts.faults += 1
    const { counted } = message
    if (!counted) message.deliveries += 1
    message.counted = false
    const why = error instanceof Error ? (error.stack ?? error.message) : String(error)
    log.error(
      { address, type: message.event.type, deliveries: message.deliveries, error: why },
      'actor failed',
    )
    memory.open.touched.add(of)
    if (message.deliveries >= DELIVERIES_MAX) return poison(of, address, message, why)
    memory.open.faulted.set(address, error)
    boxes.hold(address)
    if (message.id !== null && !counted) memory.open.failed.push(message.id)
    else if (message.id === null && message.durable) memory.open.posted.push([address, message])
    boxes.putFirst(address, message)
  }
  /** A message that cannot be taken is a dead letter, and its actor ends as failed, or is quarantined. */
  const poison = (of: Resident, address: Address, message: Message, why: string): void => {
    memory.open.touched.add(of)
    memory.open.faulted.set(address, why)
    boxes.hold(address)
    bury(address, message, why)
    if (message.event.type === 'faulted') {
      // It cannot even be ended: it is left alone, on record, and its messages wait until it is loaded again. All others go on.
      memory.open.faulted.delete(address)
      const place = parseAddress(address)
      const job = place.kind === 'job' ? place.job : null
      note({ type: 'quarantined', plan: of.id, job, state: 'quarantined', reason: 'fault', detail: { why } })
      return
    }
    const { type, generation } = message.event as Readonly<{ type: string; generation?: number }>
    const opened = type === 'reopened' && generation !== undefined ? { generation } : {}
    const faulted = messageOf(
      { type: 'faulted', at: clock.now(), error: why, ...opened },
      { postedBy: memory.head.position },
    )
    memory.open.posted.push([address, faulted])
    boxes.putFirst(address, faulted)
  }

  const admit = ({ row, definition, asked }: Submission): void => {
    const graph = graphOf(definition)
    const of = resident(row, definition, graph, openRows(row.id, graph, row.submittedAt))
    residents.set(row.id, of)
    const revision = {
      plan: row.id,
      revision: 1,
      hash: row.hash,
      definition: JSON.stringify(definition),
    }
    memory.open.plans.push({ plan: row, revision })
    for (const { index } of of.rows) touchJob(memory.open, of, index)
    post(planAddress(row.id), { type: 'created', at: row.submittedAt, ...asked }, planAddress(row.id))
  }

  /** Grants what can be granted; the first address that got something to take. */
  const grantSlots = (): Address | undefined => {
    for (let granted = permits.grant(); granted; granted = permits.grant())
      boxes.put(jobAddress(granted.plan, granted.job), hint('slot.granted'))
    return boxes.next()
  }
  const decide = (most: number): void => {
    const now = clock.now()
    const began = clock.monotonic()
    for (let steps = 0; steps < most; steps += 1) {
      // Slots are granted when all mail is taken: a failure that stops or pauses a plan is heard before its slot is given on.
      const address = boxes.next() ?? grantSlots()
      if (!address) break
      takeOne(address, now)
      if (steps % 64 === 63 && clock.monotonic() - began > DRAIN_MS) break
    }
  }

  return { admit, decide, note }
}
