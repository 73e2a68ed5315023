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
import { type Address, jobAddress, parseAddress, planAddress } from '../address.ts'
import type { Clock } from '../clock.ts'
import type { CommandOptions, LetterOrder } from '../command.ts'
import { isTenutoError, TenutoError } from '../errors.ts'
import type { Random } from '../ids.ts'
import { EMPTY_BATCH, type Journal, type MailRow, type StepRow } from '../journal/journal.ts'
import { MIGRATIONS, type Migration } from '../machines/migrations.ts'
import { isJobEnd, isPlanEnd } from '../states.ts'
import type { AttemptFound, AttemptNews, Attempts } from './attempts.ts'
import { deadLetters } from './dead-letters.ts'
import { DELIVERIES_MAX, deciding, OPERATOR, type Submission } from './deciding.ts'
import { type Entry, machineOf, planEntry, type Resident } from './directory.ts'
import { type Inspector, inspecting } from './inspecting.ts'
import { loading } from './loading.ts'
import { hint, type Message, messageOf, type Receipt } from './mailbox.ts'
import { forgetPlan, type HostCounts, memory } from './memory.ts'
import { type Missed, type SweepReport, sweeping } from './sweeping.ts'
import { type Asked, batchOf, isEmpty, type Note, type Transaction, transaction } from './transaction.ts'

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
  /** What leads on from rows of older machines; default all there are. */
  migrations?: readonly Migration[]
  /** A drain ends after this many steps; default 4096. */
  drainSteps?: number
  /** Shown every committed step, in order. */
  show: (steps: readonly StepRow[]) => void
  /** Told whether any plan is in memory, whenever there is nothing to do for the moment. */
  occupied?: (some: boolean) => void
  /** Told once when the host can do nothing more: it was replaced, or its store is broken. */
  fail: (error: unknown) => void
}>

/** The host of all actors of a home. */
export type Host = Readonly<{
  /** Takes a plan in; resolves when it is durable. The id must be new. */
  submit: (submission: Submission) => Promise<void>
  /** Offers a message from outside; resolves after the commit that took it. */
  offer: (address: Address, event: Message['event']) => Promise<Receipt>
  /** Takes up a plan of the journal: loads it and lets its actors ask again. False when there is no such plan. */
  takeUp: (plan: string) => Promise<boolean>
  /**
   * Looks for what messages have missed, at least `minAgeMs` old, and leads on from it; resolves after the commit of the repairs.
   * `missed` is what only the caller can see.
   */
  sweep: (minAgeMs: number, missed?: readonly Missed[]) => Promise<SweepReport>
  /**
   * Lets a dead letter be delivered again, or go; resolves after the commit, with its position.
   * @throws {TenutoError} `LETTER_NOT_FOUND`, `WRONG_STATE`.
   */
  settleLetter: (id: number, order: LetterOrder, options: CommandOptions) => Promise<number>
  /** Does something between two drains, when nobody reads or changes a plan. */
  between: <T>(act: () => Promise<T>) => Promise<T>
  /** The plans in memory. */
  residents: ReadonlyMap<string, Resident>
  /**
   * Shows what every live actor does, in order, after the commit it belongs to; those that live already come first, as they are then.
   * `dropped` hears why an inspector that throws or is too slow is shown nothing more. The answer ends it.
   */
  inspect: (inspector: Inspector, dropped?: (why: string) => void) => () => void
  counts: () => HostCounts
  /** Resolves when nothing is runnable and everything done is durable. */
  idle: () => Promise<void>
  /** Takes nothing more, finishes the commit in flight, lets go of attempts. Idempotent. */
  stop: () => Promise<void>
}>

/** A drain ends after this many steps, so that no plan delays the commits of another. */
const DRAIN_STEPS = 4096
const COMMIT_RETRY_MS = { least: 50, most: 5_000 } as const

const SILENT = { settle: () => {}, fail: () => {}, unheard: true } as const
type Sweep = Readonly<{
  minAgeMs: number
  missed: readonly Missed[]
  done: (report: SweepReport) => void
  fail: (error: unknown) => void
}>
type Between = Readonly<{ act: () => Promise<void>; fail: (error: unknown) => void }>
type Pending = Submission & Readonly<{ done: () => void; fail: (error: unknown) => void }>

/** A host on its ports. It begins empty: `takeUp` what is in the journal, `submit` what is new. */
export const host = (ports: HostPorts): Host => {
  const { journal, clock, log, drainSteps = DRAIN_STEPS } = ports
  const held = memory(journal.opening, clock, ports.maxParallel, (address, name, due) =>
    tell(address, { type: 'timer.fired', name, due, at: clock.now() }),
  )
  const { system, boxes, permits, alarms, residents, aside, counts } = held
  const { admit, decide, note } = deciding(held, { clock, random: ports.random, log })
  const reading = loading(held, {
    journal,
    now: clock.now,
    log,
    note,
    migrations: ports.migrations ?? MIGRATIONS,
  })
  const { waitingFor, bringIn, readAbsent } = reading
  const attempts = ports.attempts((plan, job, news) => {
    if (news.type !== 'attempt.found') return tell(jobAddress(plan, job), { ...news })
    finds.push([jobAddress(plan, job), news])
    wake()
  })

  const letters = deadLetters(held, { journal, now: clock.now, log, show: ports.show })
  const sweep = sweeping(held, { journal, now: clock.now, log, note, attempts, loading: reading })

  let submissions: Pending[] = []
  let sweeps: Sweep[] = []
  const betweens: Between[] = []
  /** What sweeps have to report once their repairs are durable, however many commits that takes. */
  const reports: (() => void)[] = []
  let finds: [Address, AttemptFound][] = []
  const takeUps: { plan: string; done: (found: boolean) => void; fail: (error: unknown) => void }[] = []
  /** Taken up in memory, and to be told with the commit of it: a kill before that counts against the plan. */
  const takenUp: { done: () => void; fail: (error: unknown) => void }[] = []
  const idlers: (() => void)[] = []
  let draining: Promise<void> | null = null
  let scheduled = false
  let stopped = false
  let retryMs: number = COMMIT_RETRY_MS.least

  // Taking messages in.

  const route = (address: Address, message: Message): void => {
    const { plan } = parseAddress(address)
    const of = residents.get(plan)
    const isOperators = OPERATOR.has(message.event.type)
    const quarantined =
      of !== undefined && address === planAddress(plan) && planEntry(of)?.value === 'quarantined'
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
    submissions.length > 0 ||
    takeUps.length > 0 ||
    finds.length > 0 ||
    sweeps.length > 0 ||
    betweens.length > 0 ||
    boxes.hasNext() ||
    permits.couldGrant() ||
    !isEmpty(held.open, [])
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
          if (hasWork()) return wake()
          ports.occupied?.(residents.size > 0)
          for (const resolve of idlers.splice(0)) resolve()
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
    submissions.filter((submission) => {
      try {
        admit(submission)
        return true
      } catch (error) {
        submission.fail(error)
        return false
      }
    })
  const drain = async (): Promise<void> => {
    const admitted = admitThem()
    submissions = []
    for (const [address, found] of finds) noteFound(address, found)
    finds = []
    if (held.careful.size > 0) {
      await countDelivery()
      decide(1)
    } else decide(drainSteps)
    const done = held.open
    const stored = storeRest(done)
    if (!isEmpty(done, stored.rows)) {
      try {
        await journal.commit(batchOf(done, stored.rows))
      } catch (error) {
        for (const message of stored.messages) message.id = null
        held.open = transaction()
        await undo(done, admitted, error)
        return
      }
      counts.commits += 1
      counts.steps += done.steps.length
      if (retryMs > COMMIT_RETRY_MS.least) log.info({}, 'commits work again')
      retryMs = COMMIT_RETRY_MS.least
    }
    held.open = transaction()
    act(done)
    for (const { offer } of stored.messages)
      offer?.fail(new TenutoError('INTERNAL', { what: 'the actor failed; the message is kept' }))
    for (const { done: tellSource } of admitted) tellSource()
    tellTakenUp()
    await readAbsent()
    await takeThemUp()
    await sweepNow()
    for (const { act, fail } of betweens.splice(0)) await act().catch(fail)
  }
  /** Nothing is runnable, nothing is uncommitted: whatever now leads nowhere was missed. Answers come with the commit of the repairs. */
  const sweepNow = async (): Promise<void> => {
    if (boxes.hasNext() || permits.couldGrant() || !isEmpty(held.open, [])) return
    const asked = sweeps
    sweeps = []
    for (const { minAgeMs, missed, done, fail } of asked) {
      try {
        const report = await sweep(minAgeMs, missed)
        if (report.repaired.length === 0) done(report)
        else reports.push(() => done(report))
      } catch (error) {
        fail(error)
      }
    }
  }
  /** Counts the delivery of the message that comes next, before it is taken. */
  const countDelivery = async (): Promise<void> => {
    const next = boxes.peek()
    if (!next || next.id === null || !held.careful.has(next.id) || next.counted) return
    next.deliveries += 1
    next.counted = true
    if (next.deliveries > DELIVERIES_MAX) return
    try {
      await journal.commit({ ...EMPTY_BATCH, mail: { ...EMPTY_BATCH.mail, failed: [next.id] } })
    } catch (error) {
      if (!isTenutoError(error, 'STORE_FULL')) throw error
      // The commit of the drain fails too, or the store is back and one delivery was not counted.
      log.warn({ error: error.message }, 'a delivery could not be counted')
    }
  }
  const noteFound = (address: Address, { attempt, how, pid }: AttemptFound): void => {
    const place = parseAddress(address)
    if (held.recovering.get(address) !== attempt || place.kind !== 'job') return
    held.recovering.delete(address)
    note({
      type: 'recovered',
      plan: place.plan,
      job: place.job,
      attempt,
      state: 'running',
      reason: how,
      detail: { pid },
    })
  }
  const takeThemUp = async (): Promise<void> => {
    for (const { plan, done, fail } of takeUps.splice(0)) {
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
    counts.dead += done.dead.length
    counts.duplicates += done.duplicates
    for (const entry of done.actors) entry.savedSeq = entry.seq
    for (const asked of done.effects) perform(asked)
    for (const told of [...done.receipts, ...reports.splice(0)]) told()
    if (done.steps.length > 0) ports.show(done.steps)
    inspectors.show(done.inspected)
    for (const address of done.faulted) replace(address)
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
      forgetPlan(held, of.id)
    }
    try {
      await pause()
      held.head = { ...(await insist(() => journal.head())) }
      for (const { id } of done.touched) await insist(() => bringIn(id, false))
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
      route(address, message)
    }
    noteAgain(done)
    // Nobody waits for a store that is away: the plan is in memory.
    tellTakenUp()
  }
  /** What was noted of recovery is found out only once; the notes go with the next commit. */
  const noteAgain = (done: Transaction): void => {
    for (const row of done.aside) {
      if (row.why === null) continue
      held.open.aside.push(row)
      aside.set(row.plan, row.why)
    }
    for (const { address, type, to, reason, attempt, event } of done.steps) {
      const place = parseAddress(address)
      if (place.kind !== 'note') continue
      const { type: _, at: __, ...detail } = JSON.parse(event) as { type: string; at: number }
      if (place.job !== null && attempt !== null && type === 'recovered' && to !== 'running')
        held.recovering.set(jobAddress(place.plan, place.job), attempt)
      else
        note({
          type: type as Note['type'],
          plan: place.plan,
          job: place.job,
          state: to,
          reason: reason ?? '',
          ...(attempt === null ? {} : { attempt }),
          detail,
        })
    }
  }
  const die = (error: unknown): void => {
    stopped = true
    alarms.stop()
    for (const address of [...boxes.addresses()])
      for (const { offer } of boxes.clear(address)) offer?.fail(error)
    for (const { fail } of [...submissions, ...sweeps, ...betweens, ...takenUp]) fail(error)
    ports.fail(error)
  }

  const between: Host['between'] = (act) =>
    new Promise((done, fail) => {
      if (stopped) return fail(new TenutoError('STOPPED'))
      betweens.push({ act: async () => done(await act()), fail })
      wake()
    })

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
        route(address, messageOf(event, { offer: { settle, fail } }))
      }),
    takeUp: (plan) =>
      new Promise((done, fail) => {
        if (stopped) return fail(new TenutoError('STOPPED'))
        takeUps.push({ plan, done, fail })
        wake()
      }),
    sweep: (minAgeMs, missed = []) =>
      new Promise((done, fail) => {
        if (stopped) return fail(new TenutoError('STOPPED'))
        sweeps.push({ minAgeMs, missed, done, fail })
        wake()
      }),
    settleLetter: async (id, order, options) => {
      for (;;) {
        const position = await between(() => letters(id, order, options))
        if (position !== undefined) return position
      }
    },
    between,
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
        for (const { fail } of [...submissions.splice(0), ...sweeps.splice(0), ...betweens.splice(0)])
          fail(error)
        for (const { fail } of takenUp.splice(0)) fail(error)
      }
      await attempts.close()
    },
  }
}
