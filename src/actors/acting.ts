/**
 * Acting, once a drain is durable: what its actors asked for is done, what failed is replaced, and what has ended leaves the memory.
 */
import { type Address, parseAddress, planAddress } from '../address.ts'
import type { Asks, Effect } from '../machines/effect.ts'
import { isJobEnd, isPlanEnd } from '../states.ts'
import type { Attempts } from './attempts.ts'
import { asksOf, type Entry, machineOf, planEntry } from './directory.ts'
import { tellSlots } from './loading.ts'
import { hint } from './mailbox.ts'
import type { Memory } from './memory.ts'
import type { Asked } from './transaction.ts'

/** What acting needs from outside. */
export type ActingPorts = Readonly<{
  attempts: Attempts
  /** Nobody needs this actor any more. */
  forgotten?: (address: Address) => void
}>

/** A live actor, and what waits for it. */
export type ActorLook = Readonly<{
  address: Address
  state: string
  /** When its row on the board last changed, in epoch ms; null for a plan. */
  since: number | null
  depth: number
  /** The moment of the message that comes next; null when there is none, or it has none. */
  oldestAt: number | null
}>

/** The acting part of a host. Nothing of it may be called while something is uncommitted that it speaks of. */
export type Acting = Readonly<{
  /** Does what an actor asked for. */
  perform: (asked: Asked) => void
  /** Tells a part that was replaced what is so: from rows, and from what live actors ask. */
  tellPart: (part: 'slots' | 'timers' | 'executor') => void
  /** Brings a failed actor back from what is now both its last good and its last committed state. */
  replace: (address: Address) => void
  /** An ended job is a row again, and a plan whose jobs have all ended leaves the memory. */
  forgetEnded: (entry: Entry) => void
  /** The actors in memory, at most `most` of a kind, and how many there are. */
  live: (kind: Entry['kind'], most: number) => Readonly<{ actors: readonly ActorLook[]; all: number }>
}>

/** Acts on a memory. */
export const acting = (memory: Memory, { attempts, forgotten }: ActingPorts): Acting => {
  const { system, boxes, permits, alarms, residents } = memory

  const perform = ({ entry, effect, recovered }: Asked): void => {
    const { resident: of, address, index } = entry
    const job = of.rows[index]?.name ?? ''
    switch (effect.type) {
      case 'armTimers':
        for (const { name, at } of effect.timers) alarms.arm(address, name, at)
        return
      case 'ensureAttempt':
        // Its end has come in the same drain. Once its plan is removed, a runner that is asked for it finds nothing and starts it anew.
        if (isJobEnd(entry.value)) return
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
  const TELLING = {
    slots: (): void => {
      for (const of of residents.values()) tellSlots(memory, of)
    },
    timers: (): void => askAgain(({ timers }) => ({ type: 'armTimers', timers })),
    executor: (): void => askAgain(({ attempt }) => attempt),
  } as const
  /** Asks again for what the live actors want. */
  const askAgain = (wanted: (asks: Asks) => Effect | null): void => {
    for (const of of residents.values()) {
      for (const entry of of.actors.values()) {
        const effect = wanted(asksOf(entry))
        if (effect) perform({ entry, effect, recovered: true })
      }
    }
  }
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
  const looked = ({ address, value, resident: of, index }: Entry): ActorLook => ({
    address,
    state: value,
    since: of.rows[index]?.since ?? null,
    depth: boxes.depth(address),
    oldestAt: boxes.first(address)?.event.at ?? null,
  })
  const isWaitedFor = (plan: string): boolean =>
    [...boxes.addresses()].some((address) => parseAddress(address).plan === plan)
  const forgetEnded = (entry: Entry): void => {
    const { resident: of, address } = entry
    if (entry.kind === 'job' && isJobEnd(entry.value) && boxes.depth(address) === 0) {
      of.actors.delete(address)
      alarms.forget(address)
      forgotten?.(address)
    }
    const plan = planEntry(of)
    if (plan && isPlanEnd(plan.value) && of.actors.size === 1 && !isWaitedFor(of.id)) {
      residents.delete(of.id)
      permits.forget(of.id)
      forgotten?.(planAddress(of.id))
    }
  }

  return {
    perform,
    tellPart: (part) => TELLING[part](),
    replace,
    forgetEnded,
    live: (kind, most) => {
      const actors: ActorLook[] = []
      let all = 0
      for (const of of residents.values()) {
        for (const entry of of.actors.values()) {
          if (entry.kind !== kind) continue
          all += 1
          if (actors.length < most) actors.push(looked(entry))
        }
      }
      return { actors, all }
    },
  }
}
