/**
 * Everything that is left to chance in a world, by one seed. Each kind of fault has a stream of its own, so that leaving one fault out
 * moves no other: that is what makes a failing seed shrink.
 */
import { type Random, seededRandom } from '../../src/ids.ts'

/** The kinds of fault, and how likely each is at most where it can happen. */
export const FAULTS = {
  'crash before a commit': 0.04,
  'crash after a commit': 0.04,
  'crash before an effect': 0.04,
  'crash after an effect': 0.04,
  'crash beside the runner': 0.01,
  'fail a commit': 0.1,
  'lose the end of a commit': 0.05,
  'slow a commit': 0.1,
  'restart the writer': 0.05,
  'take the store away': 0.08,
  'kill the runner': 0.015,
  'kill both': 0.01,
  'lose the lock': 0.01,
  'fill the disk': 0.03,
  'blind the runner': 0.01,
  'cut the line': 0.05,
  'delay a report': 0.3,
  'double a report': 0.3,
  'jump the clock': 0.03,
  'give a command': 0.06,
  'hold the home': 0.02,
  'damage a row': 0.05,
  'remove a folder': 0.5,
  'fail a part': 0.004,
  'fail an actor': 0.03,
  'make a pass': 0.04,
  'crash at a removal': 0.08,
  'fail a removal': 0.1,
  'slow a removal': 0.3,
  'crash beside a folder': 0.1,
  'fail a folder': 0.1,
  'submit again': 0.02,
  // What messages alone cannot survive; only with the sweep on.
  'delete a message': 0.4,
  'swallow a report': 0.05,
  'forget an attempt': 0.05,
} as const

/** A kind of fault. */
export type Fault = keyof typeof FAULTS

/** What only the second net repairs. */
export const LOSSES: readonly Fault[] = ['delete a message', 'swallow a report', 'forget an attempt']

/** One fault that happened: its kind, and the how manieth chance of it that was. */
export type Struck = `${Fault} #${number}`

/** What a world asks of chance. */
export type Choices = Readonly<{
  /** A stream of its own for each name. */
  random: (name: string) => Random
  /** Whether a fault happens here and now: a number in [0, 1) that says how, or undefined. `where` is for the story. */
  strike: (fault: Fault, where: string) => number | undefined
  /** No fault from here on. */
  calm: () => void
  /** What has struck so far, in order. */
  struck: readonly Struck[]
}>

/** A number for each text under a seed. */
export const seedOf = (seed: number, text: string): number => {
  let sum = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b)
  for (let at = 0; at < text.length; at += 1) sum = Math.imul(sum ^ text.charCodeAt(at), 0x01000193)
  return sum >>> 0
}

/** The element a number in [0, 1) falls on. */
export const pick = <T>(draw: number, of: readonly T[]): T => of[Math.floor(draw * of.length)] as T

/** How likely each fault is under a seed: about half of them are off. */
const mixOf = (seed: number, sweep: boolean): ReadonlyMap<Fault, number> =>
  new Map(
    (Object.entries(FAULTS) as [Fault, number][]).map(([fault, most]) => {
      const random = seededRandom(seedOf(seed, `mix ${fault}`))
      const off = random() < 0.5 || (!sweep && LOSSES.includes(fault))
      return [fault, off ? 0 : random() * most]
    }),
  )

/** The choices of a seed. `only`: these strike, whatever the mix, and nothing else. */
export const choicesOf = (seed: number, sweep: boolean, only?: ReadonlySet<Struck>): Choices => {
  const mix = mixOf(seed, sweep)
  const streams = new Map<string, Random>()
  const random = (name: string): Random => {
    const known = streams.get(name) ?? seededRandom(seedOf(seed, name))
    streams.set(name, known)
    return known
  }
  const chances = new Map<Fault, number>()
  const struck: Struck[] = []
  let calm = false
  return {
    random,
    strike: (fault) => {
      const odds = mix.get(fault) ?? 0
      if (calm || (odds === 0 && !only)) return undefined
      const draw = random(`strike ${fault}`)
      const [chance, how] = [draw(), draw()]
      const nth = (chances.get(fault) ?? 0) + 1
      chances.set(fault, nth)
      const name: Struck = `${fault} #${nth}`
      if (only ? !only.has(name) : chance >= odds) return undefined
      struck.push(name)
      return how
    },
    calm: () => {
      calm = true
    },
    struck,
  }
}
