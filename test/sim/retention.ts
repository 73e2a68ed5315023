/**
 * What a world keeps of what has ended: passes at any moment and by any limits, one after the other.
 */
import { type Pass, RETENTION, type Retaining } from '../../src/actors/retaining.ts'
import { seededRandom } from '../../src/ids.ts'
import { pick } from './choices.ts'

/** A pass that is asked for or goes on. */
export type RetentionPass = Pass &
  Readonly<{
    /** Whether the clock on the wall was set since. */
    jumped: () => boolean
  }>

const KEEPS_ALL = Number.POSITIVE_INFINITY

/** A pass that a number in [0, 1) says. */
export const passOf = (how: number): Pass => {
  const random = seededRandom(Math.floor(how * 2 ** 32))
  return {
    limits: {
      plansMs: pick(random(), [0, 0, 500, 5_000, KEEPS_ALL, KEEPS_ALL]),
      plans: pick(random(), [0, 1, 2, KEEPS_ALL]),
      attemptsMs: pick(random(), [0, 500, 5_000, KEEPS_ALL]),
      attemptBytes: pick(random(), [0, 3_000, KEEPS_ALL]),
      deadLetters: pick(random(), [0, 1, RETENTION.deadLetters]),
      deadLettersMs: pick(random(), [0, 2_000, RETENTION.deadLettersMs]),
    },
    spareMs: pick(random(), [0, 0, 1_000]),
    dryRun: random() < 0.1,
    isAsked: random() < 0.5,
  }
}

/** The pass that removes nothing but what was begun, and what nobody knows any more. */
export const LAST_PASS: Pass = {
  limits: {
    plansMs: KEEPS_ALL,
    plans: KEEPS_ALL,
    attemptsMs: 1,
    attemptBytes: KEEPS_ALL,
    deadLetters: KEEPS_ALL,
    deadLettersMs: KEEPS_ALL,
  },
  spareMs: 0,
  dryRun: false,
  isAsked: true,
}

/** The passes of one life, in turn. */
export type Passes = Readonly<{
  /** The one that goes on. */
  now: () => RetentionPass | undefined
  /** Makes one when those before are over; resolves when it is. */
  make: (retain: Retaining, pass: RetentionPass) => Promise<void>
}>

/** None so far. `failed` hears why one did not come to its end. */
export const passes = (failed: (error: unknown) => void): Passes => {
  let current: RetentionPass | undefined
  let turn: Promise<void> = Promise.resolve()
  return {
    now: () => current,
    make: (retain, pass) => {
      turn = turn.then(async () => {
        current = pass
        await retain.pass(pass).catch(failed)
        current = undefined
      })
      return turn
    },
  }
}
