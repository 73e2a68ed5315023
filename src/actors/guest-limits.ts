/**
 * What is asked of a guest, what it may use, and how often it may fail.
 */
import type { GuestPolicy } from './guest.ts'

/** What is asked of a guest, and what it may use. */
export type GuestLimits = GuestPolicy &
  Readonly<{
    /** It says hello within this, */
    greetsWithinMs: number
    /** is asked so often whether it is there, */
    pingMs: number
    /** and answers within this. */
    answersWithinMs: number
    heapMb: number
    /** All of its memory; looked at with each ping, where the system says it. */
    residentMb: number
    /** What it may write to its log in one life. */
    outputBytes: number
  }>

/** A guest that fails five times within ten minutes is given up for five, then ten, up to sixty. */
export const GUEST_LIMITS: GuestLimits = {
  failures: 5,
  withinMs: 600_000,
  delayMs: 500,
  delayMaxMs: 60_000,
  coolMs: 300_000,
  coolMaxMs: 3_600_000,
  wellAfterMs: 60_000,
  greetsWithinMs: 30_000,
  pingMs: 5_000,
  answersWithinMs: 20_000,
  heapMb: 128,
  residentMb: 512,
  outputBytes: 1_000_000,
}
