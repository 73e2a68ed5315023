/**
 * The numbers once more, from the rows of the journal and by another way than `src/analytics`: whole lives of jobs and plans, one after
 * the other, with every duration kept. Percentiles are exact here.
 */
import { expect } from 'vitest'
import type { Figures, Spread } from '../../src/guest.ts'
import type { StepRow } from '../../src/journal/journal.ts'

/** What is counted under a name; durations in the order of the lives. */
export type Recount = {
  ended: Record<string, number>
  attempts: Record<string, number>
  retries: number
  reopened: number
  flaky: number
  faults: number
  recovered: Record<string, number>
  waits: Record<string, { count: number; ms: number }>
  queue: number[]
  duration: number[]
  plans: { ended: Record<string, number>; restarts: number; duration: number[] }
}

const ENDS = ['succeeded', 'failed', 'cancelled', 'skipped']
const isEnd = (state: string | null): boolean => state !== null && ENDS.includes(state)
const up = (counts: Record<string, number>, key: string): void => {
  counts[key] = (counts[key] ?? 0) + 1
}

/** Counts by name: `''` for all, `plan`, and `plan/job`; and what ended in each minute and hour. */
export const recount = (rows: readonly StepRow[]) => {
  const names = new Map<string, Recount>()
  const minutes = new Map<number, Record<string, number>>()
  const at = (key: string): Recount => {
    const found = names.get(key) ?? {
      ended: {},
      attempts: {},
      retries: 0,
      reopened: 0,
      flaky: 0,
      faults: 0,
      recovered: {},
      waits: {},
      queue: [],
      duration: [],
      plans: { ended: {}, restarts: 0, duration: [] },
    }
    names.set(key, found)
    return found
  }
  const lives = Map.groupBy(rows, ({ address }) => address)
  const plans = [...new Set(rows.map(({ address }) => address.replace(/^\w+:/, '').replace(/\/.*/, '')))]
  for (const plan of plans) {
    const name = plan.slice(0, -7)
    const own = lives.get(`plan:${plan}`) ?? []
    const notes = lives.get(`note:${plan}`) ?? []
    const began = own[0]?.at ?? 0
    const ends = (job: string, state: string, reason: string | null, when: number): void => {
      for (const key of ['', name, `${name}/${job}`]) {
        up(at(key).ended, state)
        if (reason === 'fault') at(key).faults += 1
      }
      const minute = Math.floor(when / 60_000)
      const counts = minutes.get(minute) ?? {}
      minutes.set(minute, counts)
      up(counts, state)
    }
    // The plan itself.
    let opened = began
    let pausedAt: number | null = null
    const pauses: [number, number][] = []
    for (const { from, to, at: when, event } of own) {
      if (isEnd(from) && !isEnd(to)) opened = when
      if (to === 'paused' && from !== 'paused') pausedAt = when
      if (from === 'paused' && to !== 'paused' && pausedAt !== null) {
        pauses.push([pausedAt, when])
        pausedAt = null
      }
      const beside =
        (JSON.parse(event) as { ended?: { job: string; state: string; reason: string | null }[] }).ended ?? []
      for (const each of beside) ends(each.job, each.state, each.reason, when)
      if (isEnd(to) && !isEnd(from)) {
        for (const key of ['', name]) {
          up(at(key).plans.ended, to)
          at(key).plans.duration.push(when - opened)
        }
      }
    }
    if (pausedAt !== null) pauses.push([pausedAt, Number.POSITIVE_INFINITY])
    for (const note of notes)
      if (note.type === 'recovered') for (const key of ['', name]) at(key).plans.restarts += 1
    // Its jobs.
    for (const [address, steps] of lives) {
      const [place, job] = address.split('/')
      if (job === undefined) continue
      if (place === `note:${plan}`) {
        for (const { type, reason } of steps) {
          if (type !== 'recovered') continue
          for (const key of ['', name, `${name}/${job}`]) up(at(key).recovered, String(reason))
        }
      }
      if (place !== `job:${plan}`) continue
      const mine = ['', name, `${name}/${job}`].map(at)
      const wait = (reason: string, ms: number): void => {
        for (const each of mine) {
          const known = (each.waits[reason] ??= { count: 0, ms: 0 })
          known.count += 1
          known.ms += ms
        }
      }
      let hasFailed = false
      let state = ''
      let since = 0
      for (const { type, event, from, to, reason, at: when } of steps) {
        const said = JSON.parse(event) as Record<string, unknown>
        if (type === 'created') {
          const input = said['input'] as { at: number; generation: number; place: string }
          if (input.place === 'released' && input.generation === 1) wait('needs', input.at - began)
          state = to
          since = input.at
          if (isEnd(to)) throw new Error('nothing is created at its end')
          continue
        }
        if (type === 'attempt.ended') {
          const outcome = String(said['outcome'])
          for (const each of mine) {
            up(each.attempts, outcome)
            if (outcome !== 'never-started' && ['backoff', 'queued'].includes(to)) each.retries += 1
            if (typeof said['startedAt'] === 'number' && typeof said['endedAt'] === 'number')
              each.duration.push(said['endedAt'] - said['startedAt'])
          }
          if (['exit', 'signal', 'timeout'].includes(outcome)) hasFailed = true
        }
        if (type === 'reopened' || (from === 'waiting' && to === 'queued'))
          for (const each of mine) each.reopened += 1
        if (to === state) continue
        if (state === 'held') wait('needs', when - since)
        if (state === 'backoff') wait('backoff', when - since)
        if (state === 'waiting') wait('lost', when - since)
        if (state === 'queued') {
          const cut = pauses.map(([a, b]) => Math.max(0, Math.min(b, when) - Math.max(a, since)))
          for (const ms of cut) if (ms > 0) wait('paused', ms)
          const rest = when - since - cut.reduce((sum, ms) => sum + ms, 0)
          wait('slot', rest)
          if (type === 'slot.granted') for (const each of mine) each.queue.push(rest)
        }
        if (isEnd(to) && !isEnd(from)) {
          ends(job, to, reason, when)
          if (to === 'succeeded' && hasFailed) for (const each of mine) each.flaky += 1
          if (to !== 'failed') hasFailed = false
        }
        state = to
        since = when
      }
    }
  }
  return { names, minutes }
}

/** Percentiles may be off by one in a hundred, and by the half of a millisecond. */
export const expectWithin = (said: number | null | undefined, exact: number | undefined): void => {
  if (exact === undefined) expect(said).toBeNull()
  else expect(Math.abs((said ?? Number.NaN) - exact)).toBeLessThanOrEqual(exact * 0.0101 + 0.5)
}
const expectSpread = (spread: Spread, values: readonly number[]): void => {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (part: number): number | undefined => sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)]
  expect(spread.count).toBe(sorted.length)
  expect(spread.max).toBe(sorted.at(-1) ?? null)
  expectWithin(spread.p50, at(0.5))
  expectWithin(spread.p95, at(0.95))
  expectWithin(spread.p99, at(0.99))
}

/** Figures say what was counted once more: counts to the last one, percentiles as they promise. */
export const expectFigures = (figures: Figures, counted: Recount): void => {
  const { queue, duration, plans, ...counts } = counted
  const said = Object.keys(counts).map((name) => [name, figures[name as keyof Figures]])
  expect(Object.fromEntries(said)).toEqual(counts)
  expect(figures.lost).toBe(counts.attempts['lost'] ?? 0)
  expectSpread(figures.queue_ms, queue)
  expectSpread(figures.duration_ms, duration)
  if (figures.plans === null) return
  expect(figures.plans).toMatchObject({ ended: plans.ended, restarts: plans.restarts })
  expect(Object.keys(figures.plans.ended).sort()).toEqual(Object.keys(plans.ended).sort())
  expectSpread(figures.plans.duration_ms, plans.duration)
}
