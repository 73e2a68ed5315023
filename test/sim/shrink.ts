/**
 * Makes a failing case short: leaves out faults, plans and jobs, and lets faults happen earlier, as long as it still fails. A life is replayed for each try, so that the
 * number of tries is bounded.
 */
import type { Struck } from './choices.ts'
import { withoutJob } from './plans.ts'
import { type Case, type Lived, liveCase } from './seed.ts'

/** What a failing case was made to: as short as was found, and how it goes. */
export type Shrunk = Readonly<{ of: Case; lived: Lived; tries: number }>

const TRIES_MAX = 300

/** Shrinks a case. `lives` says how it goes; the case must fail by it. */
export const shrink = async (
  given: Case,
  lives: (of: Case) => Promise<Lived> = liveCase,
  triesMax = TRIES_MAX,
): Promise<Shrunk> => {
  const first = await lives(given)
  let best: Shrunk = { of: { ...given, only: first.struck, plans: first.plans }, lived: first, tries: 1 }
  let tries = 1
  /** Whether this too fails; then it is the shorter one. */
  const fails = async (of: Case): Promise<boolean> => {
    if (tries >= triesMax) return false
    tries += 1
    const lived = await lives(of)
    if (lived.wrong.length === 0) return false
    // What does not strike any more is not needed.
    best = { of: { ...of, only: lived.struck }, lived, tries }
    return true
  }
  const faults = async (): Promise<void> => {
    for (
      let size = Math.ceil((best.of.only?.length ?? 0) / 2);
      size >= 1;
      size = size === 1 ? 0 : Math.ceil(size / 2)
    ) {
      for (let at = 0; at < (best.of.only?.length ?? 0); ) {
        const only: readonly Struck[] = best.of.only ?? []
        if (!(await fails({ ...best.of, only: only.toSpliced(at, size) }))) at += size
      }
    }
  }
  const plans = async (): Promise<void> => {
    for (const { id } of best.of.plans ?? []) {
      const left = (best.of.plans ?? []).filter((plan) => plan.id !== id)
      if (left.length > 0) await fails({ ...best.of, plans: left })
    }
  }
  const jobs = async (): Promise<void> => {
    for (const { id, definition } of best.of.plans ?? []) {
      for (const name of Object.keys(definition.jobs).reverse()) {
        const now = best.of.plans ?? []
        const isLast = now.some((plan) => plan.id === id && Object.keys(plan.definition.jobs).length === 1)
        if (isLast) continue
        await fails({
          ...best.of,
          plans: now.map((plan) => (plan.id === id ? withoutJob(plan, name) : plan)),
        })
      }
    }
  }
  /** The same fault at an earlier chance, so that less has to happen before it. */
  const earlier = async (): Promise<void> => {
    for (const name of best.of.only ?? []) {
      const [fault, nth] = [
        name.slice(0, name.lastIndexOf('#')),
        Number(name.slice(name.lastIndexOf('#') + 1)),
      ]
      for (const at of [1, 2, 3, Math.floor(nth / 4), Math.floor(nth / 2), nth - 1]) {
        const now = `${fault}#${at}` as Struck
        const only = best.of.only ?? []
        if (at < 1 || at >= nth || only.includes(now)) continue
        if (await fails({ ...best.of, only: only.map((each) => (each === name ? now : each)) })) break
      }
    }
  }
  for (let before = 0; before !== tries && tries < triesMax; ) {
    const was = best
    await plans()
    await faults()
    await jobs()
    await earlier()
    before = best === was ? tries : before
  }
  return { ...best, tries }
}

/** A case as a story: its plans, its faults, what happened, and what is wrong about it. */
export const storyOf = ({ of, lived, tries }: Shrunk): string => {
  const plans = lived.plans.flatMap(({ id, definition }) => [
    `  ${id}: at most ${definition.maxParallel} at once, on failure ${definition.onFailure}`,
    ...Object.entries(definition.jobs).map(([name, { needs, run: _, kind: __, ...more }]) => {
      const needed = Object.entries(needs).map(([need, how]) => `${need} (${how})`)
      return `    ${name}${needed.length > 0 ? ` needs ${needed.join(', ')}` : ''} ${JSON.stringify(more)}`
    }),
  ])
  return [
    `seed ${of.seed} is wrong, with the sweep ${of.sweep ? 'on' : 'off'}; made short by ${tries} lives:`,
    ...plans,
    `  faults: ${lived.struck.join(', ') || 'none'}`,
    ...lived.story.map((line) => `  ${line}`),
    ...lived.wrong.slice(0, 8).map((what) => `  WRONG: ${what}`),
  ].join('\n')
}
