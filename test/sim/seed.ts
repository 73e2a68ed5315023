/**
 * A life by its seed, with or without the sweep.
 */
import { choicesOf, pick, type Struck } from './choices.ts'
import { plansOf, type SimPlan } from './plans.ts'
import { randomScripts } from './premises.ts'
import { live, type Verdict } from './world.ts'

/** One life: a seed, and what of it is left out. */
export type Case = Readonly<{
  seed: number
  sweep: boolean
  /** Only these faults happen; absent: all that the seed strikes. */
  only?: readonly Struck[]
  /** These plans in place of those the seed makes. */
  plans?: readonly SimPlan[]
}>

const SWEEP_MS = 5_000

/** What a case came to, and which faults struck. */
export type Lived = Verdict & Readonly<{ struck: readonly Struck[]; plans: readonly SimPlan[] }>

/** Lives through a case. The same case is the same life. */
export const liveCase = async ({ seed, sweep, only, plans: given }: Case): Promise<Lived> => {
  const choices = choicesOf(seed, sweep, only && new Set(only))
  const drawn = plansOf(choices.random('plans'))
  const plans = given ?? drawn
  const verdict = await live({
    plans,
    scripts: randomScripts(seed),
    choices,
    sweepMs: sweep ? SWEEP_MS : 0,
    drainSteps: pick(choices.random('drain')(), [1, 2, 3, 5, 4096]),
    faultyTurns: 200 + Math.floor(choices.random('length')() * 800),
  })
  return { ...verdict, struck: choices.struck, plans }
}
