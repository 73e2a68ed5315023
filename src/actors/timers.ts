/**
 * Timers: `timer.fired` at a moment. They hold no truth: due times are in the actors' rows, and an actor asks again whenever it
 * is loaded. A late timer fires at once; one that nobody wants any more is refused by a guard.
 */
import type { Address } from '../address.ts'
import type { Clock } from '../clock.ts'

/** The longest sleep: a wall clock that was set forward is noticed within it. */
const LONGEST_SLEEP_MS = 30_000

/** The timers of a host. */
export type Timers = Readonly<{
  /** Arms or moves the timer of that name. The same moment again changes nothing. */
  arm: (address: Address, name: string, at: number) => void
  /** For which moment a timer is armed; undefined when it is not. */
  armedAt: (address: Address, name: string) => number | undefined
  /** Drops all timers of an address. */
  forget: (address: Address) => void
  /** Drops every timer and wakes no more. */
  stop: () => void
  armed: () => number
}>

type Entry = Readonly<{ address: Address; name: string; at: number }>

/** No timers; `fire` is called for each that is due, in the order of their moments. */
export const timers = (clock: Clock, fire: (address: Address, name: string, due: number) => void): Timers => {
  const armed = new Map<Address, Map<string, number>>()
  const heap: Entry[] = []
  let wakeAt = Number.POSITIVE_INFINITY
  let cancel = (): void => {}

  const isCurrent = ({ address, name, at }: Entry): boolean => armed.get(address)?.get(name) === at
  const swap = (a: number, b: number): void => {
    const kept = heap[a] as Entry
    heap[a] = heap[b] as Entry
    heap[b] = kept
  }
  const at = (index: number): number => heap[index]?.at ?? Number.POSITIVE_INFINITY
  const push = (entry: Entry): void => {
    let child = heap.push(entry) - 1
    while (child > 0) {
      const parent = (child - 1) >> 1
      if (at(parent) <= at(child)) break
      swap(parent, child)
      child = parent
    }
  }
  const pop = (): Entry | undefined => {
    const first = heap[0]
    const last = heap.pop()
    if (first === undefined || last === undefined || heap.length === 0) return first
    heap[0] = last
    for (let parent = 0; ; ) {
      const left = parent * 2 + 1
      const least = at(left) <= at(left + 1) ? left : left + 1
      if (at(least) >= at(parent)) break
      swap(parent, least)
      parent = least
    }
    return first
  }

  const sleep = (): void => {
    while (heap[0] && !isCurrent(heap[0])) pop()
    const due = at(0)
    if (due >= wakeAt) return
    cancel()
    wakeAt = due
    cancel =
      due === Number.POSITIVE_INFINITY
        ? () => {}
        : clock.setTimeout(wake, Math.min(LONGEST_SLEEP_MS, Math.ceil(due - clock.now())))
  }
  const wake = (): void => {
    wakeAt = Number.POSITIVE_INFINITY
    const now = clock.now()
    while (heap[0] && heap[0].at <= now) {
      const entry = pop() as Entry
      if (!isCurrent(entry)) continue
      drop(entry.address, entry.name)
      fire(entry.address, entry.name, entry.at)
    }
    sleep()
  }
  const drop = (address: Address, name: string): void => {
    const names = armed.get(address)
    names?.delete(name)
    if (names?.size === 0) armed.delete(address)
  }

  return {
    arm: (address, name, due) => {
      const names = armed.get(address) ?? new Map<string, number>()
      if (names.get(name) === due) return
      names.set(name, due)
      armed.set(address, names)
      push({ address, name, at: due })
      sleep()
    },
    forget: (address) => {
      armed.delete(address)
    },
    stop: () => {
      armed.clear()
      heap.length = 0
      cancel()
      wakeAt = Number.POSITIVE_INFINITY
    },
    armedAt: (address, name) => armed.get(address)?.get(name),
    armed: () => armed.size,
  }
}
