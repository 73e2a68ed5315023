/**
 * What a host has in memory: the plans, their mailboxes, and the ports that hold no truth. All of it can be thrown away and read
 * again from the journal; `open` is what has happened since the last commit.
 */
import type { Address } from '../address.ts'
import type { Clock } from '../clock.ts'
import type { Opening } from '../journal/journal.ts'
import type { Resident } from './directory.ts'
import { type Mailboxes, mailboxes } from './mailbox.ts'
import { type Faults, type Part, part } from './part.ts'
import { type Slots, slots } from './slots.ts'
import { type FlatSystem, flatSystem } from './system.ts'
import { type Timers, timers } from './timers.ts'
import { type Transaction, transaction } from './transaction.ts'

/** What a host has counted since it began. */
export type HostCounts = Readonly<
  Record<'steps' | 'commits' | 'failedCommits' | 'faults' | 'duplicates' | 'dead' | 'repairs', number>
>

/** A host's memory. Deciding and loading change it; the host throws parts of it away. */
export type Memory = {
  readonly system: FlatSystem
  readonly boxes: Mailboxes
  /** Parts that are replaced when they fail, and the ports through which all others speak to them. */
  readonly parts: Readonly<{ slots: Part<Slots>; timers: Part<Timers> }>
  readonly permits: Slots
  readonly alarms: Timers
  readonly residents: Map<string, Resident>
  /** Addresses that wait for something to be read from the journal. */
  readonly absent: Set<Address>
  /** Plans that could not be loaded, and why. Nothing of them is in memory but this. */
  readonly aside: Map<string, string>
  /** Attempts that were in flight when their plan was loaded, until it is known what became of them; by the job's address. */
  readonly recovering: Map<Address, number>
  /**
   * After a process that ended uncleanly: the messages it left, by id, until they are dealt with. One of them may be what ended it,
   * so that each is taken in a commit of its own, and its delivery is counted before.
   */
  readonly careful: Set<number>
  readonly counts: { -readonly [K in keyof HostCounts]: HostCounts[K] }
  /** What the next commit continues. */
  head: { position: number; mail: number; dead: number }
  open: Transaction
}

/** What a memory is made with. */
export type MemoryOptions = Readonly<{
  opening: Opening
  clock: Clock
  maxParallel: number
  /** Whether anything new may start now; always, without it. */
  mayStart?: (() => boolean) | undefined
  /** Told of each timer that is due. */
  fire: (address: Address, name: string, due: number) => void
  /** Tells new slots, or new timers, what is so. */
  tell: (part: 'slots' | 'timers') => Promise<void>
  /** Told when new slots, or new timers, have heard it. */
  up: () => void
  faults?: Faults | undefined
}>

/** An empty memory, from where the journal stands. */
export const memory = ({
  opening,
  clock,
  maxParallel,
  mayStart,
  fire,
  tell,
  up,
  faults,
}: MemoryOptions): Memory => {
  const parts = {
    slots: part({
      name: 'slots',
      make: () => slots(maxParallel, mayStart),
      idle: NO_SLOTS,
      tell: () => tell('slots'),
      up,
      faults,
    }),
    timers: part({
      name: 'timers',
      make: () => timers(clock, fire),
      idle: NO_TIMERS,
      tell: () => tell('timers'),
      up,
      drop: (failed) => failed.stop(),
      faults,
    }),
  }
  return {
    system: flatSystem(),
    boxes: mailboxes(),
    parts,
    permits: parts.slots.port,
    alarms: parts.timers.port,
    residents: new Map(),
    absent: new Set(),
    aside: new Map(),
    recovering: new Map(),
    careful: new Set(),
    counts: { steps: 0, commits: 0, failedCommits: 0, faults: 0, duplicates: 0, dead: 0, repairs: 0 },
    head: { position: opening.position, mail: opening.mail, dead: opening.dead },
    open: transaction(),
  }
}

/** Nothing is granted while there are no slots. */
const NO_SLOTS: Slots = {
  plan: () => {},
  job: () => {},
  grant: () => undefined,
  couldGrant: () => false,
  forget: () => {},
  of: () => undefined,
  held: () => 0,
  queued: () => 0,
}
/** Nobody is woken while there are no timers. */
const NO_TIMERS: Timers = {
  arm: () => {},
  armedAt: () => undefined,
  forget: () => {},
  stop: () => {},
  armed: () => 0,
}

/** Whether what the parts say can be relied on: none has failed, or has yet to be told what is so. */
export const isWhole = (parts: Memory['parts']): boolean => Object.values(parts).every((one) => one.isUp())

/** Throws away all that is in memory of a plan but its messages: timers, slots, actors. What is in the journal can be read again. */
export const forgetPlan = ({ residents, alarms, permits }: Memory, plan: string): void => {
  for (const address of residents.get(plan)?.actors.keys() ?? []) alarms.forget(address)
  permits.forget(plan)
  residents.delete(plan)
}
