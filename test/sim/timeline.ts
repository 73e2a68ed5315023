/**
 * Virtual time, and what is to happen in it. What belongs to a life does not happen when that life is over.
 */
import type { Clock } from '../../src/clock.ts'

/** What can die: a daemon, a runner. The world's own life does not end. */
export type Life = { alive: boolean }

type Task = Readonly<{ at: number; order: number; life: Life; run: () => void }>

/** Virtual time. */
export type Timeline = Readonly<{
  /** Milliseconds since the world began; never goes back. */
  monotonic: () => number
  /** Epoch milliseconds, as the clock on the wall has it. */
  wall: () => number
  /** Sets the clock on the wall. */
  jump: (ms: number) => void
  /** Lets something happen later; returns how to call it off. */
  at: (ms: number, life: Life, run: () => void) => () => void
  /** The clock of a life. */
  clock: (life: Life) => Clock
  /** Lets the next thing happen, and everything that follows at once. False: there is nothing. */
  next: () => Promise<boolean>
}>

const START = 1_700_000_000_000

const isBefore = (a: Task, b: Task): boolean => a.at < b.at || (a.at === b.at && a.order < b.order)

/** Time from its beginning. */
export const timeline = (): Timeline => {
  const tasks = new Set<Task>()
  let [now, jumped, order] = [0, 0, 0]
  const at = (ms: number, life: Life, run: () => void): (() => void) => {
    if (!life.alive) return () => {}
    order += 1
    const task = { at: now + Math.max(0, ms), order, life, run }
    tasks.add(task)
    return () => {
      tasks.delete(task)
    }
  }
  const wall = (): number => START + jumped + Math.floor(now)
  const first = (): Task | undefined => {
    let found: Task | undefined
    for (const task of tasks) {
      if (!task.life.alive) tasks.delete(task)
      else if (!found || isBefore(task, found)) found = task
    }
    return found
  }
  return {
    monotonic: () => now,
    wall,
    jump: (ms) => {
      jumped += Math.round(ms)
    },
    at,
    clock: (life) => ({
      now: wall,
      monotonic: () => now,
      setTimeout: (wake, ms) => at(ms, life, wake),
      soon: (run) => {
        at(0, life, run)
      },
    }),
    next: async () => {
      const task = first()
      if (!task) return false
      tasks.delete(task)
      now = Math.max(now, task.at)
      task.run()
      await new Promise((resolve) => setImmediate(resolve))
      return true
    },
  }
}
