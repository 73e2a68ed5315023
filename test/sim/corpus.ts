/**
 * Seeds that went wrong once, and why. They are lived through before all others. A seed means what it meant only while what is drawn
 * from it stays the same; what it has found stays here as a reason to look there again.
 */

/** One seed that went wrong. */
export type Past = Readonly<{ seed: number; sweep: boolean; why: string }>

/** Every seed that went wrong, the oldest first. */
export const corpus: readonly Past[] = [
  {
    seed: 47,
    sweep: false,
    why: 'no room for a claim was recorded as never-started, and the attempt was started when it was asked for again',
  },
  { seed: 220, sweep: false, why: 'the same, by way of two crashes' },
  { seed: 28, sweep: true, why: 'the same, and the runner was killed while the attempt ran' },
]
