/**
 * The host: it lets actors take their messages, and makes what they did durable before anybody sees it.
 *
 *   offers, mail ──▶ mailboxes ──▶ decide ──▶ posts ──▶ mailboxes …        a drain: steps until nothing is runnable
 *                                    └─────▶ effects, steps, rows
 *   one commit of everything a drain did
 *   effects are performed, sources are told, steps are shown               only now does anything leave
 *
 * A commit that fails takes everything with it: what was decided since the last one is forgotten, and the plans it touched are read
 * again. What cannot be asked again waits for the next try; who can ask again is refused once it is an outage, and nothing of what was
 * asked happens later. A machine that throws costs its own actor one replacement and nobody else anything.
 */
import { type Address, jobAddress, parseAddress } from '../address.ts'
import { isTenutoError, TenutoError } from '../errors.ts'
import { EMPTY_BATCH, type MailRow, PROBE_BATCH } from '../journal/journal.ts'
import { isStoreAway } from '../journal/restarting.ts'
import { MIGRATIONS } from '../machines/migrations.ts'
import { acting } from './acting.ts'
import type { Host, HostPorts } from './contract.ts'
import { deadLetters } from './dead-letters.ts'
import { DELIVERIES_MAX, deciding, OPERATOR, type Submission } from './deciding.ts'
import { type Find, finding } from './finding.ts'
import { inspecting } from './inspecting.ts'
import { loading } from './loading.ts'
import { type Message, messageOf } from './mailbox.ts'
import { isWhole, memory } from './memory.ts'
import { outage } from './outage.ts'
import { type Queue, queue, type Request } from './queue.ts'
import { type Missed, type SweepReport, sweeping } from './sweeping.ts'
import { batchOf, isEmpty, type Transaction, transaction } from './transaction.ts'
import { type Attempted, undoing } from './undoing.ts'

/** A drain ends after this many steps, so that no plan delays the commits of another. */
const DRAIN_STEPS = 4096
const SILENT = { settle: () => {}, fail: () => {}, waits: true, unheard: true } as const
type Pending = Request<Submission>
/** Answers that come with the next commit, however many tries that takes. */
type Owed = Readonly<{ done: () => void; fail: (error: unknown) => void }>[]

/** A host on its ports. It begins empty: `takeUp` what is in the journal, `submit` what is new. */
export const host = (ports: HostPorts): Host => {
  const { journal, clock, log, drainSteps = DRAIN_STEPS } = ports
  const held = memory({
    opening: journal.opening,
    clock,
    maxParallel: ports.maxParallel,
    mayStart: ports.mayStart,
    fire: (address, name, due) => tell(address, { type: 'timer.fired', name, due, at: clock.now() }),
    tell: (part) => tellAgain(part),
    // A sweep may have waited for it.
    up: () => wake(),
    faults: ports.faults,
  })
  const { system, boxes, permits, alarms, residents, aside, counts } = held
  const { admit, decide, note } = deciding(held, {
    clock,
    random: ports.random,
    log,
    faults: ports.faults,
  })
  const reading = loading(held, {
    journal,
    now: clock.now,
    log,
    note,
    migrations: ports.migrations ?? MIGRATIONS,
  })
  const { bringIn, readAbsent } = reading
  const attempts = ports.attempts((plan, job, news) => {
    if (news.type !== 'attempt.found' && news.type !== 'attempt.begun')
      return tell(jobAddress(plan, job), { ...news })
    finds.push([jobAddress(plan, job), news])
    wake()
  })

  const letters = deadLetters(held, { journal, now: clock.now, log, show: ports.show })
  const { perform, tellPart, replace, forgetEnded, live } = acting(held, {
    attempts,
    ...(ports.forgotten ? { forgotten: ports.forgotten } : {}),
  })
  const takeBack = undoing(held, {
    journal,
    clock,
    isStopped: () => stopped,
    loading: reading,
    note,
    found: (address, news) => finds.push([address, news]),
  })
  const noteFind = finding(held, note)
  const sweep = sweeping(held, { journal, now: clock.now, log, note, attempts, loading: reading })

  const submissions = queue<Submission>()
  const sweeps = queue<Readonly<{ minAgeMs: number; missed: readonly Missed[] }>, SweepReport>()
  const tellings = queue<() => void>()
  const betweens = queue<() => Promise<void>>()
  const takeUps = queue<string, boolean>()
  const queues = [submissions, sweeps, tellings, betweens, takeUps]
  /** What sweeps have to report of their repairs. */
  const reports: Owed = []
  /** That plans were taken up, which are in memory: a kill before the commit counts against them. */
  const takenUp: Owed = []
  let finds: Find[] = []
  const idlers: (() => void)[] = []
  /** Failed actors that are about to be replaced: their messages will be taken, only not at once. */
  const replacing = new Set<Address>()
  let draining: Promise<void> | null = null
  let scheduled = false
  let stopped = false
  const away = outage({
    clock,
    log,
    retry: () => wake(),
    changed: (state) => ports.stored?.(state),
  })

  // Taking messages in.

  /** Whether an address is that of a plan which takes nothing but what operators say. */
  const isQuarantined = (address: Address): boolean =>
    residents.get(parseAddress(address).plan)?.actors.get(address)?.value === 'quarantined'
  const route = (address: Address, message: Message): void => {
    const { plan } = parseAddress(address)
    const isOperators = OPERATOR.has(message.event.type)
    const quarantined = isQuarantined(address)
    if (aside.has(plan)) {
      boxes.put(address, message)
      held.absent.add(address)
    } else if (quarantined && isOperators) {
      boxes.putFirst(address, message)
      boxes.letGo(address)
    } else if (quarantined) {
      // Facts reach a plan by mail and wait there; this is somebody who asks.
      message.offer?.settle({ taken: false, position: held.head.position, state: 'quarantined' })
      return
    } else boxes.put(address, message)
    wake()
  }
  const tell = (address: Address, event: Message['event']): void => {
    if (!stopped) route(address, messageOf(event, { offer: SILENT }))
  }
  const hasWork = (): boolean =>
    queues.some((each) => !each.isEmpty() && (each !== sweeps || isWhole(held.parts))) ||
    finds.length > 0 ||
    boxes.hasNext() ||
    permits.couldGrant() ||
    !isEmpty(held.open, [])
  const wake = (): void => {
    if (scheduled || draining || stopped || (away.isWaiting() && takeUps.isEmpty() && tellings.isEmpty()))
      return
    scheduled = true
    clock.soon(() => {
      scheduled = false
      if (stopped) return
      draining = drain()
        .catch(die)
        .finally(() => {
          draining = null
          if (hasWork() || (away.isOn() && !away.isWaiting())) return wake()
          ports.occupied?.(residents.size > 0)
          if (replacing.size === 0) for (const resolve of idlers.splice(0)) resolve()
        })
    })
  }

  // The drain: decide until nothing is runnable, commit once, act.

  /** Gives every durable message that nobody took a place in the mail table. */
  const storeRest = (
    done: Transaction,
  ): Readonly<{ rows: readonly MailRow[]; messages: readonly Message[] }> => {
    const rows: MailRow[] = []
    const messages: Message[] = []
    for (const [address, message] of done.posted) {
      if (message.taken || message.id !== null) continue
      held.head.mail += 1
      message.id = held.head.mail
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
  /** A plan that cannot even be made is its submitter's affair, and nobody else's. */
  const admitThem = (): readonly Pending[] =>
    submissions.take().filter(({ of, fail }) => {
      try {
        admit(of)
        return true
      } catch (error) {
        fail(error)
        return false
      }
    })
  const drain = async (): Promise<void> => {
    // A plan can be read while nothing can be written.
    if (away.isWaiting()) {
      tellThem()
      return takeThemUp().then(tellTakenUp)
    }
    const admitted = admitThem()
    for (const find of finds) noteFind(find)
    finds = []
    if (held.careful.size > 0) {
      await countDelivery()
      decide(1)
    } else decide(drainSteps)
    const done = held.open
    const stored = storeRest(done)
    const isNothing = isEmpty(done, stored.rows)
    if (!isNothing || away.isOn()) {
      try {
        await journal.commit(isNothing ? PROBE_BATCH : batchOf(done, stored.rows))
      } catch (error) {
        const reached = { ...held.head }
        held.open = transaction()
        await undo({ done, stored: stored.messages, admitted, reached }, error)
        return
      }
      if (!isNothing) counts.commits += 1
      counts.steps += done.steps.length
      away.worked()
    }
    held.open = transaction()
    act(done)
    tellKept(stored.messages)
    for (const { done: tellSource } of admitted) tellSource()
    tellTakenUp()
    tellThem()
    await readAbsent()
    await takeThemUp()
    await sweepNow()
    for (const { of: act, done, fail } of betweens.take()) await act().then(done, fail)
  }
  /** What parts that were replaced must know. Nothing is uncommitted now: they hear what is so, and nothing that may vanish. */
  const tellThem = (): void => {
    for (const { of: act, done, fail } of tellings.take()) {
      try {
        act()
        done()
      } catch (error) {
        fail(error)
      }
    }
  }
  const tellAgain: Host['tellAgain'] = (part) => ask(tellings, () => tellPart(part), end())
  const tellKept = (messages: readonly Message[]): void => {
    for (const { offer } of messages)
      offer?.fail(new TenutoError('INTERNAL', { what: 'the actor failed; the message is kept' }))
  }
  /** Nothing is runnable, nothing is uncommitted: whatever now leads nowhere was missed. Answers come with the commit of the repairs. */
  const sweepNow = async (): Promise<void> => {
    if (boxes.hasNext() || permits.couldGrant() || !isEmpty(held.open, [])) return
    // A part that is being replaced will be told all it misses.
    if (!isWhole(held.parts)) return
    for (const { of, done, fail } of sweeps.take()) {
      try {
        const report = await sweep(of.minAgeMs, of.missed)
        if (report.repaired.length === 0) done(report)
        else reports.push({ done: () => done(report), fail })
      } catch (error) {
        fail(error)
      }
    }
  }
  /** Counts the delivery of the message that comes next, before it is taken. */
  const countDelivery = async (): Promise<void> => {
    const address = boxes.peek()
    const next = address && boxes.first(address)
    if (!next || next.id === null || !held.careful.has(next.id) || next.counted) return
    // What will not be taken is not what ends the process.
    if (isQuarantined(address) && !OPERATOR.has(next.event.type)) return
    next.deliveries += 1
    next.counted = true
    if (next.deliveries > DELIVERIES_MAX) return
    try {
      await journal.commit({ ...EMPTY_BATCH, mail: { ...EMPTY_BATCH.mail, failed: [next.id] } })
    } catch (error) {
      if (!isStoreAway(error)) throw error
      // The commit of the drain fails too, or the store is back and one delivery was not counted.
      log.warn({ error: error.message }, 'a delivery could not be counted')
    }
  }
  const takeThemUp = async (): Promise<void> => {
    for (const { of: plan, done, fail } of takeUps.take()) {
      try {
        const found = residents.has(plan) || (await bringIn(plan, true))
        if (isEmpty(held.open, [])) done(found)
        else takenUp.push({ done: () => done(found), fail })
      } catch (error) {
        fail(error)
      }
    }
  }
  const tellTakenUp = (): void => {
    for (const { done } of takenUp.splice(0)) done()
  }

  // Acting, once it is durable.

  const act = (done: Transaction): void => {
    counts.dead += done.dead.length
    counts.duplicates += done.duplicates
    for (const entry of done.actors) entry.savedSeq = entry.seq
    for (const asked of done.effects) perform(asked)
    for (const told of done.receipts) told()
    for (const { done: tellSource } of reports.splice(0)) tellSource()
    if (done.steps.length > 0) ports.show(done.steps)
    inspectors.show(done.inspected)
    for (const [address, error] of done.faulted) {
      const giveUp = (why: string): void => giveUpOn(address, why)
      replacing.add(address)
      const again = (): void => {
        replacing.delete(address)
        replace(address)
        wake()
      }
      if (ports.failed) ports.failed({ address, error, again, giveUp })
      else again()
    }
    for (const entry of new Set([...done.actors, ...done.refused])) forgetEnded(entry)
  }
  const inspectors = inspecting({
    clock,
    log,
    looking: (some) => system.inspect(some ? (event) => held.open.inspected.push(event) : undefined),
  })
  /** An inspector joins between two drains, when every actor is as its last commit left it. */
  const inspect: Host['inspect'] = (inspector, dropped = () => {}) => {
    let leave: (() => void) | undefined
    let gone = false
    const join = (): void => {
      if (gone) return
      const live = [...residents.values()].flatMap(({ actors }) => [...actors.values()])
      const first = live.map(({ actor }) => ({
        type: '@xstate.actor' as const,
        actorRef: actor,
        rootId: 'host',
      }))
      leave = inspectors.join(inspector, first, dropped)
    }
    if (draining === null && residents.size === 0) join()
    else between(async () => join()).catch(() => {})
    return () => {
      gone = true
      leave?.()
    }
  }
  /** An actor that has failed too often is brought back once more, for the message that ends it. */
  const giveUpOn = (address: Address, why: string): void => {
    const act = (): void => {
      replacing.delete(address)
      const of = residents.get(parseAddress(address).plan)
      // One that failed as it was made is not there, and what was to make it waits.
      if (!of || !(of.actors.has(address) || boxes.depth(address) > 0)) return
      replace(address)
      const faulted = messageOf(
        { type: 'faulted', at: clock.now(), error: why },
        { postedBy: held.head.position },
      )
      held.open.touched.add(of)
      held.open.posted.push([address, faulted])
      boxes.putFirst(address, faulted)
    }
    ask(tellings, act, end()).catch((worse: unknown) => {
      if (!stopped) die(worse)
    })
  }

  // Undoing: nothing of a drain whose commit failed has happened.

  const undo = async (
    { admitted, ...attempted }: Attempted & Readonly<{ admitted: readonly Pending[] }>,
    error: unknown,
  ): Promise<void> => {
    counts.failedCommits += 1
    if (isTenutoError(error, 'STORE_FULL')) away.failed(error)
    else if (!isTenutoError(error, 'STORE_RESTARTED')) {
      // What was in that commit waits in no queue any more.
      for (const { fail } of admitted) fail(error)
      for (const [, { offer }] of attempted.done.offered) offer?.fail(error)
      return die(error)
    }
    const { done, stored } = attempted
    try {
      const { happened, waiting } = await takeBack(attempted)
      if (happened) {
        for (const told of done.receipts) told()
        for (const { done: tellSource } of admitted) tellSource()
        tellKept(stored)
        if (done.steps.length > 0) ports.show(done.steps)
      } else {
        submissions.putBack(admitted)
        for (const [address, message] of done.offered) if (message.id === null) offerAgain(address, message)
      }
      for (const [address, message] of waiting)
        if (message.offer && message.id === null) offerAgain(address, message)
    } catch (worse) {
      for (const { fail } of admitted) fail(worse)
      return die(worse)
    }
    // Nobody waits for a store that is away: the plan is in memory.
    tellTakenUp()
    const no = away.refusal()
    if (no) refuseAll(no)
  }
  const offerAgain = (address: Address, message: Message): void => {
    message.taken = false
    route(address, message)
  }
  /** Whoever can ask again is told, and nothing of what they asked is kept; what nobody would send again stays. */
  const refuseAll = (error: TenutoError): void => {
    for (const address of [...boxes.addresses()]) {
      for (const message of boxes.clear(address)) {
        const { offer, id } = message
        if (offer === null || offer.waits || id !== null) boxes.put(address, message)
        else offer.fail(error)
      }
      // Nor is a plan read later for what was refused.
      if (boxes.depth(address) === 0 && held.absent.delete(address)) boxes.letGo(address)
    }
    failAskers(error)
  }
  const failAskers = (error: unknown): void => {
    for (const { refuse } of [submissions, sweeps, betweens]) refuse(error)
    for (const { fail } of reports.splice(0)) fail(error)
  }
  /** Nothing of what waits is done any more. */
  const failAll = (error: unknown): void => {
    for (const address of [...boxes.addresses()])
      for (const { offer } of boxes.clear(address)) offer?.fail(error)
    failAskers(error)
    for (const { refuse } of [takeUps, tellings]) refuse(error)
    for (const { fail } of takenUp.splice(0)) fail(error)
  }
  const die = (error: unknown): void => {
    stopped = true
    replacing.clear()
    alarms.stop()
    away.stop()
    failAll(error)
    ports.fail(error)
  }

  // Asking.

  const end = (): TenutoError | undefined => (stopped ? new TenutoError('STOPPED') : undefined)
  /** Why somebody who could ask again is not heard. */
  const refusal = (): TenutoError | undefined => end() ?? away.refusal()
  /** Lets a request wait for the next drain, unless there is an error to refuse it with. */
  const ask = <Of, Answer>(of: Queue<Of, Answer>, what: Of, no: TenutoError | undefined): Promise<Answer> => {
    if (no) return Promise.reject(no)
    const answer = of.put(what)
    wake()
    return answer
  }
  const between: Host['between'] = async <T>(act: () => Promise<T>) => {
    let found!: T
    const acted = async (): Promise<void> => {
      found = await act()
    }
    await ask(betweens, acted, refusal())
    return found
  }

  return {
    submit: (submission) => ask(submissions, submission, refusal()),
    offer: (address, event, waits = false) =>
      new Promise((settle, fail) => {
        const no = refusal()
        if (no && (stopped || !waits)) return fail(no)
        route(address, messageOf(event, { offer: { settle, fail, waits } }))
      }),
    takeUp: (plan) => ask(takeUps, plan, end()),
    sweep: async (minAgeMs, missed = []) => {
      // Asked before the sweep, which keeps every step waiting.
      await attempts.inquire()
      return ask(sweeps, { minAgeMs, missed }, refusal())
    },
    tellAgain,
    parts: held.parts,
    settleLetter: async (id, order, options) => {
      for (;;) {
        const position = await between(() => letters(id, order, options))
        if (position !== undefined) return position
      }
    },
    between,
    record: (told) => ask(tellings, () => note(told), end()),
    residents,
    isAside: (plan) => aside.has(plan),
    inspect,
    counts: () => ({ ...counts }),
    live,
    storage: away.state,
    idle: () =>
      new Promise((resolve) => {
        if (!draining && (stopped || (!scheduled && !hasWork() && replacing.size === 0))) resolve()
        else idlers.push(resolve)
      }),
    stop: async () => {
      if (!stopped) {
        stopped = true
        alarms.stop()
        away.stop()
        await draining
        failAll(new TenutoError('STOPPED'))
        for (const idle of idlers.splice(0)) idle()
      }
      await attempts.close()
    },
  }
}
