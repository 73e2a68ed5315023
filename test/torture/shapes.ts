/**
 * Plans to be tortured, drawn by chance. Every job writes its attempt key to the ledger when it starts and when it ends, in lines that
 * are appended whole, and nothing to its log but what is known beforehand.
 */
import type { Random } from '../../src/ids.ts'

/** A plan to submit, and what the log of each succeeded attempt must then hold. */
export type Shape = Readonly<{
  kind: string
  jobs: Readonly<Record<string, object>>
  logs: Readonly<Record<string, string>>
}>

/** What a job that fails on purpose ends with, after it has written its end to the ledger. */
export const FAILS_WITH = 3

const START = 'echo "$TENUTO_ATTEMPT_KEY start" >> "$LEDGER"'
const END = 'echo "$TENUTO_ATTEMPT_KEY end" >> "$LEDGER"'
const recorded = (text: string): string => `${START}; ${text}; ${END}`
const FLOOD_LINE = 'abcdefghijklmno'

/** A whole number from `low` to `high`, both included. */
export const between = (random: Random, low: number, high: number): number =>
  low + Math.floor(random() * (high - low + 1))

/** One of several. */
export const oneOf = <T>(random: Random, all: readonly T[]): T => all[Math.floor(random() * all.length)] as T

const seconds = (random: Random, low: number, high: number): string =>
  (between(random, low, high) / 1000).toFixed(3)

const named = (count: number, job: (at: number) => object): Record<string, object> =>
  Object.fromEntries(Array.from({ length: count }, (_, at) => [`j${at}`, job(at)]))

const fan = (random: Random): Shape => {
  const leaves = named(between(random, 6, 20), () => ({
    needs: ['root'],
    run: recorded(`sleep ${seconds(random, 20, 1500)}`),
  }))
  const root = { run: recorded('sleep 0.02') }
  const join = { needs: Object.keys(leaves), run: recorded(':') }
  return { kind: 'fan', jobs: { root, ...leaves, join }, logs: {} }
}

const chain = (random: Random): Shape => ({
  kind: 'chain',
  jobs: named(between(random, 4, 9), (at) => ({
    ...(at === 0 ? {} : { needs: [`j${at - 1}`] }),
    run: recorded(`sleep ${seconds(random, 20, 900)}`),
  })),
  logs: {},
})

const quick = (random: Random): Shape => ({
  kind: 'quick',
  jobs: named(between(random, 20, 40), () => ({ run: recorded('sleep 0.02') })),
  logs: {},
})

const retries = (random: Random): Shape => ({
  kind: 'retries',
  jobs: {
    ...named(between(random, 2, 5), () => ({
      run: `${START}; sleep ${seconds(random, 10, 600)}; ${END}; test "$TENUTO_ATTEMPT" -gt ${between(random, 1, 3)} || exit ${FAILS_WITH}`,
      retry: { max: 4, delay: '150ms', factor: 1 },
    })),
    after: { needs: { j0: 'any', j1: 'any' }, run: recorded(':') },
  },
  logs: {},
})

/** They do not heed TERM: only KILL ends them before their time. */
const deaf = (random: Random): Shape => ({
  kind: 'deaf',
  jobs: named(between(random, 2, 4), (at) => ({
    run: recorded(`trap '' TERM; sleep ${seconds(random, 500, 2000)}`),
    grace: '300ms',
    ...(at === 0 ? { timeout: '400ms' } : {}),
  })),
  logs: {},
})

/** They leave processes behind, in their group and out of it. */
const leavers = (random: Random): Shape => ({
  kind: 'leavers',
  jobs: named(between(random, 2, 5), (at) => ({
    run: recorded(`${at % 2 ? 'setsid ' : ''}sleep 300 & sleep ${seconds(random, 20, 1200)}`),
  })),
  logs: {},
})

const floods = (random: Random): Shape => {
  const lines = between(random, 60_000, 400_000)
  return {
    kind: 'flood',
    jobs: named(2, () => ({ run: recorded(`yes ${FLOOD_LINE} | head -n ${lines}; sleep 0.2`) })),
    logs: { j0: `${FLOOD_LINE}\n`.repeat(lines), j1: `${FLOOD_LINE}\n`.repeat(lines) },
  }
}

/** The shell text that writes the numbers from 1, one a line, with a rest after each; and what it writes. */
export const counting = (lines: number, restSeconds: string): Readonly<{ run: string; log: string }> => ({
  run: recorded(`i=0; while [ $i -lt ${lines} ]; do i=$((i+1)); echo $i; sleep ${restSeconds}; done`),
  log: Array.from({ length: lines }, (_, at) => `${at + 1}\n`).join(''),
})

const counts = (random: Random): Shape => {
  const { run, log } = counting(between(random, 10, 60), '0.03')
  return { kind: 'count', jobs: { a: { run }, b: { run } }, logs: { a: log, b: log } }
}

const SHAPES = [fan, chain, quick, retries, deaf, leavers, floods, counts]

/** Draws a plan. */
export const drawShape = (random: Random): Shape => oneOf(random, SHAPES)(random)

/** The text of a plan file; JSON is YAML. */
export const planText = (
  { jobs }: Pick<Shape, 'jobs'>,
  name: string,
  ledger: string,
  onLost: string,
): string =>
  JSON.stringify({
    plan: 'v1',
    name,
    env: { LEDGER: ledger },
    defaults: { grace: '1s', onLost },
    jobs,
  })
