/**
 * Many seeds, by several processes: each lives through every so-manieth.
 */
import { doPart, inParts } from './parts.ts'
import { liveCase } from './seed.ts'

/** Which seeds to live through. */
export type Many = Readonly<{
  from: number
  seeds: number
  /** Each seed once for each of these. */
  sweeps: readonly boolean[]
  workers: number
}>

/** What a number of seeds came to. `wrong` is the lowest seed that any process found. */
export type Found = Readonly<{
  wrong: Readonly<{ seed: number; sweep: boolean }> | undefined
  totals: Readonly<Record<(typeof COUNTED)[number], number>>
}>

/** The part of one process. */
type Part = Many & Readonly<{ part: number }>

const COUNTED = ['steps', 'executions', 'crashes', 'failedCommits', 'refused', 'repairs', 'removed'] as const

/** Lives through many seeds; each process stops at the first that goes wrong. */
export const liveMany = async (many: Many): Promise<Found> => {
  if (many.workers <= 1) return livePart({ ...many, part: 0 })
  const parts = await inParts<Part, Found>(
    import.meta.url,
    Array.from({ length: many.workers }, (_, part) => ({ ...many, part })),
  )
  const wrong = parts.flatMap((each) => each.wrong ?? []).sort((a, b) => a.seed - b.seed)[0]
  const totals = Object.fromEntries(
    COUNTED.map((what) => [what, parts.reduce((sum, { totals: of }) => sum + of[what], 0)]),
  )
  return { wrong, totals: totals as Found['totals'] }
}

const livePart = async ({ from, seeds, sweeps, workers, part }: Part): Promise<Found> => {
  const totals = { steps: 0, executions: 0, crashes: 0, failedCommits: 0, refused: 0, repairs: 0, removed: 0 }
  for (let seed = from + part; seed < from + seeds; seed += Math.max(1, workers)) {
    for (const sweep of sweeps) {
      const life = await liveCase({ seed, sweep })
      for (const what of COUNTED) totals[what] += life[what]
      if (life.wrong.length > 0) return { wrong: { seed, sweep }, totals }
    }
  }
  return { wrong: undefined, totals }
}

await doPart(import.meta.url, livePart)
