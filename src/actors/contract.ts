/**
 * What a host needs, and what it promises.
 */
import type { Address } from '../address.ts'
import type { Clock } from '../clock.ts'
import type { CommandOptions, LetterOrder } from '../command.ts'
import type { Random } from '../ids.ts'
import type { Journal, StepRow } from '../journal/journal.ts'
import type { Migration } from '../machines/migrations.ts'
import type { ActorLook } from './acting.ts'
import type { AttemptNews, Attempts } from './attempts.ts'
import type { Submission } from './deciding.ts'
import type { Entry, Resident } from './directory.ts'
import type { Inspector } from './inspecting.ts'
import type { Message, Receipt } from './mailbox.ts'
import type { HostCounts, Memory } from './memory.ts'
import type { StorageState } from './outage.ts'
import type { Faults } from './part.ts'
import type { Missed, SweepReport } from './sweeping.ts'
import type { Note } from './transaction.ts'

/** An actor that has failed, and what can be done about it. */
export type FailedActor = Readonly<{
  address: Address
  error: unknown
  /** Replaces it from its committed state. */
  again: () => void
  /** Ends it: a job fails with reason `fault`, a plan is quarantined. */
  giveUp: (why: string) => void
}>

/** What a host needs. */
export type HostPorts = Readonly<{
  journal: Journal
  clock: Clock
  random: Random
  /** Made with the way back to the host. */
  attempts: (tell: (plan: string, job: string, news: AttemptNews) => void) => Attempts
  /** Slots across all plans. */
  maxParallel: number
  /** Whether anything new may start now; always, without it. Who changes that comes between two drains with it. */
  mayStart?: (() => boolean) | undefined
  log: Readonly<Record<'info' | 'warn' | 'error', (fields: object, message: string) => void>>
  /** What leads on from rows of older machines; default all there are. */
  migrations?: readonly Migration[]
  /** A drain ends after this many steps; default 4096. */
  drainSteps?: number
  /** Shown every committed step, in order. */
  show: (steps: readonly StepRow[]) => void
  /** Told whether any plan is in memory, whenever there is nothing to do for the moment. */
  occupied?: (some: boolean) => void
  /** Told when commits can be made no more, and when they can be made again. */
  stored?: (state: StorageState) => void
  /** An actor has failed. Without it, it is replaced at once. */
  failed?: (actor: FailedActor) => void
  /** Nobody needs this actor any more. */
  forgotten?: (address: Address) => void
  /** Told once when the host can do nothing more: it was replaced, or its store is broken. */
  fail: (error: unknown) => void
  /** Makes an actor or a part fail, for tests. */
  faults?: Faults | undefined
}>

/**
 * The host of all actors of a home. While its store is away, `submit`, `offer`, `sweep` and `between` reject at once with `STORE_FULL`,
 * and nothing of them happens later.
 */
export type Host = Readonly<{
  /** Takes a plan in; resolves when it is durable. The id must be new. */
  submit: (submission: Submission) => Promise<void>
  /** Offers a message from outside; resolves after the commit that took it. One that `waits` is not refused in an outage. */
  offer: (address: Address, event: Message['event'], waits?: boolean) => Promise<Receipt>
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
  /**
   * Puts something on record that is no step of an actor; resolves when it will be in the commit of the next drain, however often that
   * has to be tried.
   */
  record: (note: Note) => Promise<void>
  /** Does something between two drains, when nobody reads or changes a plan. */
  between: <T>(act: () => Promise<T>) => Promise<T>
  /** Tells a part that was replaced what is so. */
  tellAgain: (part: 'slots' | 'timers' | 'executor') => Promise<void>
  /** The parts of its memory that can be replaced. */
  parts: Memory['parts']
  /** The plans in memory. */
  residents: ReadonlyMap<string, Resident>
  /** Whether a plan is set aside, also where that is yet to be committed. */
  isAside: (plan: string) => boolean
  /**
   * Shows what every live actor does, in order, after the commit it belongs to; those that live already come first, as they are then.
   * `dropped` hears why an inspector that throws or is too slow is shown nothing more. The answer ends it.
   */
  inspect: (inspector: Inspector, dropped?: (why: string) => void) => () => void
  counts: () => HostCounts
  /** The actors in memory, at most `most` of a kind, and how many there are. */
  live: (kind: Entry['kind'], most: number) => Readonly<{ actors: readonly ActorLook[]; all: number }>
  /** Whether commits can be made, and since when not. */
  storage: () => StorageState
  /** Resolves when nothing is runnable and everything done is durable. */
  idle: () => Promise<void>
  /** Takes nothing more, finishes the commit in flight, lets go of attempts. Idempotent. */
  stop: () => Promise<void>
}>
