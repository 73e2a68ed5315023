/**
 * The host: it lets actors take their messages, and makes what they did durable before anybody sees it.
 *
 *   offers, mail ──▶ mailboxes ──▶ decide ──▶ posts ──▶ mailboxes …        a drain: steps until nothing is runnable
 *                                    └─────▶ effects, steps, rows
 *   one commit of everything a drain did
 *   effects are performed, sources are told, steps are shown               only now does anything leave
 *
 * A commit that fails takes everything with it: what was decided since the last one is forgotten, the plans it touched are read
 * again, and their sources offer again. A machine that throws costs its own actor one replacement and nobody else anything.
 */
import type { InspectionEvent } from 'xstate'
import { type Address, jobAddress, parseAddress, planAddress } from '../address.ts'
import type { Clock } from '../clock.ts'
import type { Definition } from '../definition.ts'
import { isTenutoError, TenutoError } from '../errors.ts'
import type { Random } from '../ids.ts'
import type { Journal, MailRow, PlanRow, StepRow } from '../journal/journal.ts'
import { type BoardRow, type Change, graphOf, openRows } from '../machines/board.ts'
import type { AttemptEnded } from '../machines/job.ts'
import { planAdmits } from '../machines/plan.ts'
import { isJobEnd, isPlanEnd } from '../states.ts'
import type { AttemptNews, Attempts } from './attempts.ts'
import {
  type Entry,
  loadPlan,
  machineOf,
  planEntry,
  type Resident,
  resident,
  restoreEntry,
} from './directory.ts'
import { type Mailboxes, type Message, mailboxes, type Receipt } from './mailbox.ts'
import { slots } from './slots.ts'
import { boardEvent, createJob, createPlan, planState, type Step, takeStep } from './step.ts'
import { type FlatSystem, flatSystem, type LiveActor } from './system.ts'
import { timers } from './timers.ts'
import {
  type Asked,
  batchOf,
  consume,
  isEmpty,
  stepRow,
  type Transaction,
  touchJob,
  transaction,
} from './transaction.ts'

/** What a host needs. */
export type HostPorts = Readonly<{
  journal: Journal
  clock: Clock
  random: Random
  /** Made with the way back to the host. */
  attempts: (tell: (plan: string, job: string, news: AttemptNews) => void) => Attempts
  /** Slots across all plans. */
  maxParallel: number
  log: Readonly<Record<'info' | 'warn' | 'error', (fields: object, message: string) => void>>
  /** A drain ends after this many steps; default 4096. */
  drainSteps?: number
  /** Shown every committed step, in order. */
  show: (steps: readonly StepRow[]) => void
  /** Told once when the host can do nothing more: it was replaced, or its store is broken. */
  fail: (error: unknown) => void
}>

/** A plan to be taken in. */
export type Submission = Readonly<{ row: PlanRow; definition: Definition }>

/** What the host has counted since it began. */
export type HostCounts = Readonly<
  Record<'steps' | 'commits' | 'failedCommits' | 'faults' | 'duplicates' | 'dead', number>
>

/** The host of all actors of a home. */
export type Host = Readonly<{
  /** Takes a plan in; resolves when it is durable. The id must be new. */
  submit: (submission: Submission) => Promise<void>
  /** Offers a message from outside; resolves after the commit that took it. */
  offer: (address: Address, event: Message['event']) => Promise<Receipt>
  /** Takes up a plan of the journal: loads it and lets its actors ask again. False when there is no such plan. */
  takeUp: (plan: string) => Promise<boolean>
  /** The plans in memory. */
  residents: ReadonlyMap<string, Resident>
  /** Shows what every live actor does, in order, after the commit it belongs to. */
  inspect: FlatSystem['inspect']
  counts: () => HostCounts
  /** Resolves when nothing is runnable and everything done is durable. */
  idle: () => Promise<void>
  /** Takes nothing more, finishes the commit in flight, lets go of attempts. Idempotent. */
  stop: () => Promise<void>
}>

/** A drain ends after this many steps or milliseconds, so that no plan delays the commits of another. */
const DRAIN_STEPS = 4096
const DRAIN_MS = 50
/** A message that makes its actor fail this often is a dead letter. */
const DELIVERIES_MAX = 3
const COMMIT_RETRY_MS = { least: 50, most: 5_000 } as const

const SILENT = { settle: () => {}, fail: () => {} }
const OPERATOR = new Set(['continue.requested', 'cancel.requested'])
const ECHOES = new Set(['attempt.ended', 'attempt.stopping', 'job.settled'])

type Pending = Submission & Readonly<{ done: () => void; fail: (error: unknown) => void }>

const messageOf = (event: Message['event'], more: Partial<Message>): Message => ({
  event,
  from: null,
  postedBy: null,
  id: null,
  deliveries: 0,
  offer: null,
  durable: true,
  taken: false,
  ...more,
})
const hint = (type: string): Message => messageOf({ type }, { durable: false })

/** A host on its ports. It begins empty: `takeUp` what is in the journal, `submit` what is new. */
export const host = (ports: HostPorts): Host => {
  const { journal, clock, log, drainSteps = DRAIN_STEPS } = ports
  const system = flatSystem()
  const boxes: Mailboxes = mailboxes()
  const permits = slots(ports.maxParallel)
  const residents = new Map<string, Resident>()
  const alarms = timers(clock, (address, name, due) =>
    tell(address, { type: 'timer.fired', name, due, at: clock.now() }),
  )
  const attempts = ports.attempts((plan, job, news) => tell(jobAddress(plan, job), { ...news }))
  const counts = { steps: 0, commits: 0, failedCommits: 0, faults: 0, duplicates: 0, dead: 0 }

  let head = { position: journal.opening.position, mail: journal.opening.mail, dead: journal.opening.dead }
  let open: Transaction = transaction()
  let submissions: Pending[] = []
  const takeUps: { plan: string; done: (found: boolean) => void; fail: (error: unknown) => void }[] = []
  const idlers: (() => void)[] = []
  /** Addresses that wait for something to be read from the journal. */
  const absent = new Set<Address>()
  let inspector: Parameters<FlatSystem['inspect']>[0]
  let draining: Promise<void> | null = null
  let scheduled = false
  let stopped = false
  let retryMs: number = COMMIT_RETRY_MS.least

  // Taking messages in.

  const offerMessage = (address: Address, event: Message['event'], offer: Message['offer']): void => {
    const message = messageOf(event, { offer })
    const of = residents.get(parseAddress(address).plan)
    const quarantined =
      of !== undefined && planEntry(of)?.value === 'quarantined' && address === planAddress(of.id)
    if (quarantined && OPERATOR.has(event.type)) {
      boxes.putFirst(address, message)
      boxes.letGo(address)
    } else if (quarantined) {
      // Facts reach a plan by mail and wait there; this is somebody who asks.
      offer?.settle({ taken: false, position: head.position, state: 'quarantined' })
      return
    } else boxes.put(address, message)
    wake()
  }
  const tell = (address: Address, event: Message['event']): void => {
    if (!stopped) offerMessage(address, event, SILENT)
  }
  const wake = (): void => {
    if (scheduled || draining || stopped) return
    scheduled = true
    clock.soon(() => {
      scheduled = false
      if (stopped) return
      draining = drain()
        .catch(die)
        .finally(() => {
          draining = null
          if (submissions.length > 0 || takeUps.length > 0 || boxes.hasNext() || permits.couldGrant()) wake()
          else for (const resolve of idlers.splice(0)) resolve()
        })
    })
  }

  // Deciding.

  const post = (to: Address, event: Message['event'], from: Address): void => {
    const message = messageOf(event, { from, postedBy: head.position })
    open.posted.push([to, message])
    boxes.put(to, message)
  }
  const record = (entry: Entry, step: Step, from: string | null): void => {
    entry.seq += 1
    head.position += 1
    open.steps.push(stepRow(entry, step, from, head.position))
    open.actors.add(entry)
    open.touched.add(entry.resident)
  }
  const setRow = (of: Resident, row: BoardRow): void => {
    const before = of.rows[row.index] as BoardRow
    of.rows[row.index] = row
    touchJob(open, of, row.index)
    if (row.state !== before.state) permits.job(of.id, row.name, row.state)
    if (row.embodied && !before.embodied) of.fresh.add(jobAddress(of.id, row.name))
    if (row.generation !== before.generation)
      open.outputs.push({ plan: of.id, name: row.name, outputs: null })
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
    for (const effect of step.effects) open.effects.push({ entry, effect, recovered })
    const ended = event as unknown as AttemptEnded
    if (event.type === 'attempt.ended' && decision.value === 'succeeded' && ended.outputs) {
      const { name } = entry.resident.rows[entry.index] as BoardRow
      open.outputs.push({ plan: entry.resident.id, name, outputs: JSON.stringify(ended.outputs) })
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
  /** The message was not for anybody: its source is told, and nothing else happens. */
  const refuse = (address: Address, message: Message, state: string | null): void => {
    if (ECHOES.has(message.event.type)) counts.duplicates += 1
    consume(open, address, message, { taken: false, position: head.position, state })
  }
  const bury = (address: Address, message: Message, error: string): void => {
    counts.dead += 1
    head.dead += 1
    open.dead.push({ id: head.dead, address, event: JSON.stringify(message.event), error, at: clock.now() })
    refuse(address, message, null)
  }

  /** The actor that an address names, made from its row if need be; null when the message can go to nobody now. */
  const actorFor = (of: Resident, address: Address, job: string | null, now: number): Entry | null => {
    const known = of.actors.get(address)
    if (known) return known
    if (job === null) return enter(of, address, -1, createPlan(system, of, now))
    const index = of.graph.index.get(job)
    const row = index === undefined ? undefined : of.rows[index]
    if (!row || index === undefined) return null
    if (row.embodied && !of.fresh.has(address)) {
      absent.add(address)
      boxes.hold(address)
      return null
    }
    if (isJobEnd(row.state)) return null
    return enter(of, address, index, createJob(system, of, row, address, now))
  }

  const takeOne = (address: Address, now: number): void => {
    const place = parseAddress(address)
    const of = residents.get(place.plan)
    if (!of) {
      absent.add(address)
      boxes.hold(address)
      return
    }
    const message = boxes.take(address)
    if (!message) return
    // Even a message that changes nothing may have asked for effects, or have left the mail: a failed commit undoes that too.
    open.touched.add(of)
    try {
      const entry = actorFor(of, address, place.kind === 'job' ? place.job : null, now)
      if (!entry) {
        if (absent.has(address)) boxes.putFirst(address, message)
        else if (message.offer || !message.durable) refuse(address, message, null)
        else bury(address, message, `there is no live actor at ${address}`)
        return
      }
      if (
        entry.value === 'quarantined' &&
        !OPERATOR.has(message.event.type) &&
        message.event.type !== 'recovered'
      ) {
        if (message.offer) {
          refuse(address, message, entry.value)
          return
        }
        boxes.putFirst(address, message)
        boxes.hold(address)
        return
      }
      if (message.event.type === 'created') {
        consume(open, address, message, { taken: true, position: head.position, state: entry.value })
        return
      }
      const from = message.from === null ? undefined : of.actors.get(message.from)
      const step = takeStep(system, entry, message, from?.actor ?? null, now, ports.random)
      if (!step || (!step.decision.changed && step.decision.actions.length === 0)) {
        open.refused.add(entry)
        refuse(address, message, entry.value)
        return
      }
      apply(entry, step, message.event.type === 'recovered')
      consume(open, address, message, { taken: true, position: head.position, state: entry.value })
    } catch (error) {
      fault(of, address, message, error)
    }
  }

  /** A machine threw. Its step has left no trace; the message waits in the mail for the actor's replacement, or is a dead letter. */
  const fault = (of: Resident, address: Address, message: Message, error: unknown): void => {
    counts.faults += 1
    message.deliveries += 1
    const why = error instanceof Error ? (error.stack ?? error.message) : String(error)
    log.error(
      { address, type: message.event.type, deliveries: message.deliveries, error: why },
      'actor failed',
    )
    open.touched.add(of)
    open.faulted.add(address)
    boxes.hold(address)
    if (message.deliveries < DELIVERIES_MAX) {
      if (message.id !== null) open.failed.push(message.id)
      else if (message.durable) open.posted.push([address, message])
      boxes.putFirst(address, message)
      return
    }
    bury(address, message, why)
    if (message.event.type === 'faulted') {
      // It cannot even be ended: it is set aside, and its messages wait, until it is loaded again.
      open.faulted.delete(address)
      return
    }
    const faulted = messageOf({ type: 'faulted', at: clock.now(), error: why }, { postedBy: head.position })
    open.posted.push([address, faulted])
    boxes.putFirst(address, faulted)
  }

  // The drain: decide until nothing is runnable, commit once, act.

  const admitSubmissions = (): void => {
    for (const { row, definition } of submissions) {
      const graph = graphOf(definition)
      const of = resident(row, definition, graph, openRows(row.id, graph, row.submittedAt))
      residents.set(row.id, of)
      const revision = {
        plan: row.id,
        revision: 1,
        hash: row.hash,
        definition: JSON.stringify(definition),
      }
      open.plans.push({ plan: row, revision })
      for (const { index } of of.rows) touchJob(open, of, index)
      post(planAddress(row.id), { type: 'created', at: row.submittedAt }, planAddress(row.id))
    }
  }
  /** Grants what can be granted; the first address that got something to take. */
  const grantSlots = (): Address | undefined => {
    for (let granted = permits.grant(); granted; granted = permits.grant())
      boxes.put(jobAddress(granted.plan, granted.job), hint('slot.granted'))
    return boxes.next()
  }
  const decide = (): void => {
    const now = clock.now()
    const began = clock.monotonic()
    for (let steps = 0; steps < drainSteps; steps += 1) {
      // Slots are granted when all mail is taken: a failure that stops or pauses a plan is heard before its slot is given on.
      const address = boxes.next() ?? grantSlots()
      if (!address) break
      takeOne(address, now)
      if (steps % 64 === 63 && clock.monotonic() - began > DRAIN_MS) break
    }
  }
  /** Gives every durable message that nobody took a place in the mail table. */
  const storeRest = (
    done: Transaction,
  ): Readonly<{ rows: readonly MailRow[]; messages: readonly Message[] }> => {
    const rows: MailRow[] = []
    const messages: Message[] = []
    for (const [address, message] of done.posted) {
      if (message.taken || message.id !== null) continue
      head.mail += 1
      message.id = head.mail
      const { id, postedBy, deliveries } = message
      rows.push({
        id,
        address,
        event: JSON.stringify(message.event),
        postedBy,
        deliveries,
        at: message.event.at ?? clock.now(),
      })
      messages.push(message)
    }
    return { rows, messages }
  }
  const drain = async (): Promise<void> => {
    const admitted = submissions
    admitSubmissions()
    submissions = []
    decide()
    const done = open
    const stored = storeRest(done)
    if (!isEmpty(done, stored.rows)) {
      try {
        await journal.commit(batchOf(done, stored.rows))
      } catch (error) {
        for (const message of stored.messages) message.id = null
        open = transaction()
        await undo(done, admitted, error)
        return
      }
      counts.commits += 1
      counts.steps += done.steps.length
      retryMs = COMMIT_RETRY_MS.least
    }
    open = transaction()
    act(done)
    for (const { offer } of stored.messages)
      offer?.fail(new TenutoError('INTERNAL', { what: 'the actor failed; the message is kept' }))
    for (const { done: tellSource } of admitted) tellSource()
    await readAbsent()
  }

  // Acting, once it is durable.

  const perform = ({ entry, effect, recovered }: Asked): void => {
    const { resident: of, address, index } = entry
    const job = of.rows[index]?.name ?? ''
    switch (effect.type) {
      case 'armTimers':
        for (const { name, at } of effect.timers) alarms.arm(address, name, at)
        return
      case 'ensureAttempt':
        attempts.ensure(
          { resident: of, job, attempt: effect.attempt, generation: effect.generation },
          effect.deadlineAt,
          recovered,
        )
        return
      case 'stopAttempt':
        attempts.stop(
          { resident: of, job, attempt: effect.attempt, generation: effect.generation },
          effect.why,
          effect.now,
        )
        return
      case 'sweepProcesses':
        attempts.sweep(of.id)
        return
    }
  }
  const act = (done: Transaction): void => {
    for (const entry of done.actors) entry.savedSeq = entry.seq
    for (const asked of done.effects) perform(asked)
    for (const told of done.receipts) told()
    if (done.steps.length > 0) ports.show(done.steps)
    for (const event of done.inspected) inspected(event)
    for (const address of done.faulted) replace(address)
    for (const entry of new Set([...done.actors, ...done.refused])) forgetEnded(entry)
  }
  /** What an inspector throws is dropped, and the inspector with it: it may look and never hurt. */
  const inspected = (event: InspectionEvent): void => {
    try {
      inspector?.(event)
    } catch (error) {
      log.warn({ error: String(error) }, 'the inspector threw and was dropped')
      inspect(undefined)
    }
  }
  const inspect: FlatSystem['inspect'] = (observer) => {
    inspector = observer
    system.inspect(observer && ((event) => open.inspected.push(event)))
  }
  /** A failed actor comes back from what is now both its last good and its last committed state. */
  const replace = (address: Address): void => {
    const entry = residents.get(parseAddress(address).plan)?.actors.get(address)
    if (entry) {
      const { machine } = machineOf(entry.kind)
      entry.actor = system.restore(machine, address, { value: entry.value, context: entry.context })
      // Where `recovered` itself failed it is first already, with its failures counted; then comes what ends the actor.
      const first = boxes.take(address)
      if (first) boxes.putFirst(address, first)
      if (first?.event.type !== 'recovered' && first?.event.type !== 'faulted')
        boxes.putFirst(address, hint('recovered'))
    }
    boxes.letGo(address)
  }
  const isWaitedFor = (plan: string): boolean =>
    [...boxes.addresses()].some((address) => parseAddress(address).plan === plan)
  /** An ended job is a row again, and a plan whose jobs have all ended leaves the memory. */
  const forgetEnded = (entry: Entry): void => {
    const { resident: of, address } = entry
    if (entry.kind === 'job' && isJobEnd(entry.value) && boxes.depth(address) === 0) {
      of.actors.delete(address)
      alarms.forget(address)
    }
    const plan = planEntry(of)
    if (plan && isPlanEnd(plan.value) && of.actors.size === 1 && !isWaitedFor(of.id)) {
      residents.delete(of.id)
      permits.forget(of.id)
    }
  }

  // Reading: plans and actors that are not in memory.

  const waitingFor = (plan: string): Map<Address, readonly Message[]> => {
    const waiting = [...boxes.addresses()].filter((address) => parseAddress(address).plan === plan)
    return new Map(waiting.map((address) => [address, boxes.clear(address)]))
  }
  const bringIn = async (plan: string): Promise<boolean> => {
    const loaded = await loadPlan(journal, system, plan)
    if (!loaded) return false
    const { resident: of, mail } = loaded
    const waiting = waitingFor(plan)
    residents.set(plan, of)
    for (const row of of.rows)
      if (!isJobEnd(row.state) && row.state !== 'held') permits.job(plan, row.name, row.state)
    const own = planEntry(of)
    if (own)
      permits.plan(plan, { maxParallel: of.definition.maxParallel, admits: planAdmits(planState(own)) })
    for (const address of of.actors.keys()) boxes.put(address, hint('recovered'))
    for (const { id, address, event, postedBy, deliveries } of mail) {
      boxes.put(address, messageOf(JSON.parse(event) as Message['event'], { id, postedBy, deliveries }))
    }
    // What is in the mail was just read from there.
    for (const [address, messages] of waiting) {
      for (const message of messages) if (message.id === null) boxes.put(address, message)
    }
    return true
  }
  const readActor = async (address: Address, of: Resident): Promise<void> => {
    const row = await journal.actor(address)
    if (row) of.actors.set(address, restoreEntry(system, of, row))
    else of.fresh.add(address)
  }
  const readAbsent = async (): Promise<void> => {
    for (const address of [...absent]) {
      absent.delete(address)
      const { plan } = parseAddress(address)
      try {
        const of = residents.get(plan)
        if (of) await readActor(address, of)
        else if (!(await bringIn(plan))) {
          for (const { offer } of boxes.clear(address))
            offer?.settle({ taken: false, position: head.position, state: null })
        }
        boxes.letGo(address)
      } catch (error) {
        log.error({ address, error: String(error) }, 'actor cannot be read; its messages wait')
        for (const { offer } of boxes.clear(address)) offer?.fail(error)
      }
    }
    for (const { plan, done, fail } of takeUps.splice(0)) {
      try {
        done(residents.has(plan) || (await bringIn(plan)))
      } catch (error) {
        fail(error)
      }
    }
  }

  // Undoing: nothing of a drain whose commit failed has happened.

  const pause = (): Promise<void> =>
    new Promise((resolve) => {
      clock.setTimeout(resolve, retryMs)
      retryMs = Math.min(COMMIT_RETRY_MS.most, retryMs * 2)
    })
  /** Reads what must be read, however long the store is away. */
  const insist = async <T>(read: () => Promise<T>): Promise<T> => {
    for (;;) {
      try {
        return await read()
      } catch (error) {
        if (stopped || !isTenutoError(error, 'STORE_FULL')) throw error
        await pause()
      }
    }
  }
  const undo = async (done: Transaction, admitted: readonly Pending[], error: unknown): Promise<void> => {
    counts.failedCommits += 1
    if (!isTenutoError(error, 'STORE_FULL')) return die(error)
    log.warn({ error: error.message, retryMs }, 'commit failed; nothing of it has happened')
    const again: [Address, Message][] = done.offered.filter(([, message]) => message.id === null)
    for (const of of done.touched) {
      for (const [address, messages] of waitingFor(of.id)) {
        for (const message of messages)
          if (message.offer && message.id === null) again.push([address, message])
        boxes.letGo(address)
      }
      for (const address of of.actors.keys()) alarms.forget(address)
      permits.forget(of.id)
      residents.delete(of.id)
    }
    try {
      await pause()
      head = await insist(() => journal.head())
      for (const { id } of done.touched) await insist(() => bringIn(id))
    } catch (worse) {
      return die(worse)
    }
    // A commit whose end was not seen may have happened after all.
    for (const pending of admitted) {
      if (residents.has(pending.row.id)) pending.done()
      else submissions.push(pending)
    }
    for (const [address, message] of again) {
      message.taken = false
      boxes.put(address, message)
    }
  }
  const die = (error: unknown): void => {
    stopped = true
    alarms.stop()
    for (const address of [...boxes.addresses()])
      for (const { offer } of boxes.clear(address)) offer?.fail(error)
    for (const { fail } of submissions) fail(error)
    ports.fail(error)
  }

  return {
    submit: (submission) =>
      new Promise((done, fail) => {
        if (stopped) return fail(new TenutoError('STOPPED'))
        submissions.push({ ...submission, done, fail })
        wake()
      }),
    offer: (address, event) =>
      new Promise((settle, fail) => {
        if (stopped) return fail(new TenutoError('STOPPED'))
        offerMessage(address, event, { settle, fail })
      }),
    takeUp: (plan) =>
      new Promise((done, fail) => {
        if (stopped) return fail(new TenutoError('STOPPED'))
        takeUps.push({ plan, done, fail })
        wake()
      }),
    residents,
    inspect,
    counts: () => ({ ...counts }),
    idle: () =>
      new Promise((resolve) => {
        if (!scheduled && !draining) resolve()
        else idlers.push(resolve)
      }),
    stop: async () => {
      if (!stopped) {
        stopped = true
        alarms.stop()
        await draining
        const error = new TenutoError('STOPPED')
        for (const address of [...boxes.addresses()])
          for (const { offer } of boxes.clear(address)) offer?.fail(error)
        for (const { fail } of submissions.splice(0)) fail(error)
      }
      await attempts.close()
    },
  }
}
