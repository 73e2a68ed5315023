import { expect, test } from 'vitest'
import { projector } from '../src/actors/projector.ts'
import { jobAddress, planAddress } from '../src/address.ts'
import { feed } from '../src/feed.ts'
import type { StepRow } from '../src/journal/journal.ts'
import { stepOf } from './journal/batches.ts'

const stepAt = (position: number, address = planAddress('p-aaaaaa')): StepRow =>
  stepOf(position, address, position, { type: 'more' })
const range = (from: number, to: number): StepRow[] =>
  Array.from({ length: to - from + 1 }, (_, at) => stepAt(from + at))

/** A journal of steps, the projector that shows them, and how often it was read. */
const world = (committed: StepRow[]) => {
  const shown = projector((error) => {
    throw error
  })
  let reads = 0
  let duringRead: (() => void) | undefined
  const steps = feed(
    {
      steps: async ({ after, limit }) => {
        reads += 1
        const page = committed.filter(({ position }) => position > after).slice(0, limit)
        duringRead?.()
        duringRead = undefined
        return page
      },
    },
    shown,
  )
  const commit = (rows: readonly StepRow[]): void => {
    committed.push(...rows)
    shown.show(rows)
  }
  const onRead = (act: () => void): void => {
    duringRead = act
  }
  return { steps, shown, commit, onRead, reads: () => reads }
}

const positionsOf = async (
  pages: AsyncGenerator<readonly StepRow[]>,
  upTo: number,
): Promise<readonly number[]> => {
  const found: number[] = []
  for await (const page of pages) {
    found.push(...page.map(({ position }) => position))
    if ((found.at(-1) ?? 0) >= upTo) break
  }
  return found
}
const numbers = (to: number): number[] => Array.from({ length: to }, (_, at) => at + 1)

test('following what is shown reads nothing from the journal', async () => {
  const { steps, commit, reads } = world(range(1, 3))
  const pages = steps.pages({ after: 0, follow: true })
  expect((await pages.next()).value).toHaveLength(3)
  for (let position = 4; position < 50; position += 1) {
    const next = pages.next()
    await Promise.resolve()
    commit([stepAt(position)])
    expect((await next).value).toEqual([stepAt(position)])
  }
  expect(reads()).toBe(1)
  await pages.return(undefined)
})

test('a step committed while the last page is read comes once', async () => {
  const { steps, commit, onRead } = world(range(1, 3))
  onRead(() => commit(range(4, 6)))
  expect(await positionsOf(steps.pages({ after: 0, follow: true }), 6)).toEqual(numbers(6))
})

test('a step that is read and shown comes once', async () => {
  const { steps, shown, commit, onRead } = world(range(1, 2))
  const pages = steps.pages({ after: 0, follow: true })
  onRead(() => shown.show(range(1, 2)))
  expect((await pages.next()).value).toHaveLength(2)
  const next = pages.next()
  commit([stepAt(3)])
  expect((await next).value).toEqual([stepAt(3)])
  await pages.return(undefined)
})

test('who falls behind reads again and misses nothing', async () => {
  const { steps, commit, reads } = world(range(1, 1))
  const pages = steps.pages({ after: 0, follow: true })
  await pages.next()
  for (let from = 2; from <= 20_000; from += 1_000) commit(range(from, Math.min(20_000, from + 999)))
  expect(await positionsOf(pages, 20_000)).toEqual(numbers(20_000).slice(1))
  expect(reads()).toBeGreaterThan(1)
})

test('only the steps of the plan that is asked for are handed on', async () => {
  const { steps, commit } = world([])
  const pages = steps.pages({ after: 0, plan: 'p-aaaaaa', follow: true })
  const next = pages.next()
  await new Promise(setImmediate)
  commit([stepAt(1, planAddress('p-aaaaab')), stepAt(2, jobAddress('p-aaaaaa', 'x')), stepAt(3)])
  expect((await next).value?.map(({ position }: StepRow) => position)).toEqual([2, 3])
  await pages.return(undefined)
})

test('without following, pages end where the journal ends', async () => {
  const { steps } = world(range(1, 1_200))
  const found: number[] = []
  for await (const page of steps.pages({ after: 0, follow: false })) found.push(page.length)
  expect(found).toEqual([500, 500, 200])
})

test('closing the feed, or the signal, ends those who wait and lets go of the projector', async () => {
  const { steps, shown } = world([])
  const stop = new AbortController()
  const one = steps.pages({ after: 0, follow: true, signal: stop.signal }).next()
  const other = steps.pages({ after: 0, follow: true }).next()
  const until = steps.until(
    () => true,
    async () => undefined,
  )
  await new Promise(setImmediate)
  expect(shown.listeners()).toBe(3)
  stop.abort()
  expect((await one).done).toBe(true)
  steps.close()
  expect((await other).done).toBe(true)
  expect(await until).toBeUndefined()
  expect(shown.listeners()).toBe(0)
})

test('until looks again only after what matters', async () => {
  const { steps, commit } = world([])
  let looks = 0
  let there = false
  const found = steps.until(
    ({ type, position }) => type === 'more' && position >= 3,
    async () => {
      looks += 1
      return there ? 'found' : undefined
    },
  )
  await new Promise(setImmediate)
  commit(range(1, 2))
  await new Promise(setImmediate)
  expect(looks).toBe(1)
  there = true
  commit([stepAt(3)])
  expect(await found).toBe('found')
  expect(looks).toBe(2)
})

test('whoever reads a long history lets everybody else have their turn', async () => {
  const { steps } = world(range(1, 5_000))
  let turns = 0
  const count = (): void => {
    turns += 1
    again = setImmediate(count)
  }
  let again = setImmediate(count)
  let pages = 0
  for await (const _ of steps.pages({ after: 0, follow: false })) pages += 1
  clearImmediate(again)

  expect(pages).toBeGreaterThan(5)
  expect(turns).toBeGreaterThanOrEqual(pages - 1)
})
