/**
 * Plans of many shapes, by a seed.
 */
import type { Definition, JobDefinition, Need } from '../../src/definition.ts'
import type { Random } from '../../src/ids.ts'
import { pick } from './choices.ts'

/** A plan with its id. */
export type SimPlan = Readonly<{ id: string; definition: Definition }>

/** Which of the jobs before it a job needs. */
type Shape = (at: number, random: Random) => readonly number[]

const upTo = (count: number): readonly number[] => Array.from({ length: count }, (_, at) => at)

const shapes: Readonly<Record<string, (random: Random, count: number) => Shape>> = {
  random: (random) => {
    const density = random() * 0.6
    return (at, draw) => upTo(at).filter(() => draw() < density)
  },
  chain: () => (at) => (at === 0 ? [] : [at - 1]),
  fan: () => (at) => (at === 0 ? [] : [0]),
  join: (_, count) => (at) => (at === count - 1 ? upTo(at) : []),
  diamonds: () => (at) => {
    if (at === 0) return []
    const corner = at - ((at - 1) % 3) - 1
    return at % 3 === 0 ? [at - 2, at - 1] : [corner]
  },
  layers: (random) => {
    const width = 2 + Math.floor(random() * 4)
    return (at) => {
      const first = Math.floor(at / width) * width
      return upTo(first).slice(-width)
    }
  },
  loose: () => () => [],
}

const needsOf = (of: readonly number[], random: Random): Record<string, Need> =>
  Object.fromEntries(of.map((at) => [`j${at}`, pick(random(), ['success', 'success', 'any', 'skipped-ok'])]))

const jobOf = (needs: Record<string, Need>, random: Random, gates: number): JobDefinition => {
  const maybe = (odds: number): boolean => random() < odds
  if (maybe(gates))
    return {
      kind: 'approve',
      needs,
      approve: {
        prompt: 'Ship it?',
        ...(maybe(0.5) ? { timeoutMs: 200 + Math.floor(random() * 2000) } : {}),
        ...(maybe(0.3) ? { onTimeout: 'approve' as const } : {}),
      },
      graceMs: 0,
      onLost: 'hold',
      ...(maybe(0.2) ? { optional: true as const } : {}),
    }
  return {
    kind: 'run',
    run: 'true',
    needs,
    graceMs: pick(random(), [0, 100, 400]),
    onLost: pick(random(), ['hold', 'retry', 'fail']),
    ...(maybe(0.3)
      ? {
          retry: {
            max: 1 + Math.floor(random() * 2),
            delayMs: 50,
            factor: 2,
            maxDelayMs: 500,
            jitter: 0.2,
            on: pick(random(), [['exit', 'signal'], ['exit', 'timeout'], ['exit:1']]),
          },
        }
      : {}),
    ...(maybe(0.2) ? { optional: true as const } : {}),
    ...(maybe(0.15) ? { deadlineMs: 200 + Math.floor(random() * 2000) } : {}),
    ...(maybe(0.2) ? { timeoutMs: 100 + Math.floor(random() * 600) } : {}),
    ...(maybe(0.1) ? { stallMs: 300 + Math.floor(random() * 600) } : {}),
  }
}

const planOf = (random: Random, name: string, most: number): SimPlan => {
  const count = 1 + Math.floor(random() * (random() < 0.2 ? most : Math.min(most, 12)))
  const shape = shapes[pick(random(), ['random', ...Object.keys(shapes)])]?.(random, count) as Shape
  // Most plans ask nobody: a question takes the place of attempts, in which more goes wrong.
  const gates = random() < 0.3 ? 0.25 : 0
  const jobs = upTo(count).map(
    (at) => [`j${at}`, jobOf(needsOf(shape(at, random), random), random, gates)] as const,
  )
  return {
    id: `${name}-aaaaaa`,
    definition: {
      version: 1,
      name,
      maxParallel: 1 + Math.floor(random() * 5),
      onFailure: pick(random(), ['continue', 'continue', 'stop', 'pause']),
      env: {},
      jobs: Object.fromEntries(jobs),
    },
  }
}

/** The plans of a seed: one to three, together at most some sixty jobs. */
export const plansOf = (random: Random): readonly SimPlan[] =>
  upTo(1 + Math.floor(random() * 3)).map((at) => planOf(random, `p${at}`, at === 0 ? 40 : 12))

/** The plan without one of its jobs, which nothing needs any more. */
export const withoutJob = ({ id, definition }: SimPlan, name: string): SimPlan => {
  const jobs = Object.entries(definition.jobs)
    .filter(([job]) => job !== name)
    .map(([job, of]) => {
      const needs = Object.fromEntries(Object.entries(of.needs).filter(([need]) => need !== name))
      return [job, { ...of, needs }] as const
    })
  return { id, definition: { ...definition, jobs: Object.fromEntries(jobs) } }
}
