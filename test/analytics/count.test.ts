/**
 * Counting, against a recount that shares nothing with it but the rows of the journal.
 *
 * Mutations that were planted once, and each found: a tally kept in memory between two batches and not on disk; a pause forgotten when
 * it ends; the cursor one step too far; a retry counted for an attempt that could not be started.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { toldStep } from '../../src/actors/batches.ts'
import { BUCKETS_MAX, count, NAMES_MAX } from '../../src/analytics/count.ts'
import { addTo, emptySketch, percentiles } from '../../src/analytics/sketch.ts'
import { openStore, type Store } from '../../src/analytics/store.ts'
import { figuresOf } from '../../src/analytics/tally.ts'
import type { ToldStep } from '../../src/guest.ts'
import { type Random, seededRandom, systemRandom } from '../../src/ids.ts'
import type { StepRow } from '../../src/journal/journal.ts'
import { history } from './history.ts'
import { expectFigures, expectWithin, type Recount, recount } from './recount.ts'

const seeds = (n: number): readonly number[] => {
  const given = process.env['SEED']
  if (given !== undefined) return [Number(given)]
  return Array.from({ length: n }, () => Math.floor(systemRandom() * 2 ** 31))
}

const openFile = (): string => {
  const folder = mkdtempSync(join(tmpdir(), 'tenuto-analytics-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  return join(folder, 'analytics.db')
}
const storeAt = (file: string, home = 'home'): Store => {
  const store = openStore(file, home)
  onTestFinished(() => {
    try {
      store.close()
    } catch {
      // The test has closed it.
    }
  })
  return store
}

/** Counts steps in batches as long as `cut` says, each from where the store stands. */
const countAll = (
  store: Store,
  steps: readonly ToldStep[],
  cut: () => number,
  between: () => Store = () => store,
): Store => {
  let present = store
  for (let from = 0; from < steps.length; ) {
    const part = steps.slice(from, from + cut())
    from += part.length
    const after = present.standing().cursor
    const upTo = part.at(-1)?.position ?? after
    present.apply(after, count(present.known, { after, upTo, head: upTo, steps: part }))
    present = between()
  }
  return present
}

/** Everything a store says. */
const all = (store: Store) => ({
  standing: store.standing(),
  total: store.known.tally('', ''),
  tallies: store.tallies(null, 10_000),
  minutes: store.buckets('minute'),
  hours: store.buckets('hour'),
})

const isRecount = (store: Store, rows: readonly StepRow[]): void => {
  const { names, minutes } = recount(rows)
  const found = [{ plan: '', job: '', tally: store.known.tally('', '') }, ...store.tallies(null, 10_000)]
  expect(found.map(({ plan, job }) => (job === '' ? plan : `${plan}/${job}`)).sort()).toEqual(
    [...names.keys()].sort(),
  )
  for (const { plan, job, tally } of found) {
    const key = job === '' ? plan : `${plan}/${job}`
    if (!tally) throw new Error('nothing was counted')
    expectFigures(figuresOf(tally, plan, job === '' ? null : job), names.get(key) as Recount)
  }
  expect(
    Object.fromEntries(store.buckets('minute').map(({ start, bucket }) => [start / 60_000, bucket])),
  ).toEqual(Object.fromEntries(minutes))
}

test('whatever the batches, and however often it begins anew between them, the numbers are those of a recount', async () => {
  let steps = 0
  const kinds = new Set<string>()
  for (const seed of seeds(12)) {
    const random = seededRandom(seed)
    const rows = withoutSome(await history(random), random)
    const told = rows.map(toldStep)
    steps += rows.length
    for (const { type } of rows) kinds.add(type)

    const whole = countAll(storeAt(openFile()), told, () => told.length)
    const file = openFile()
    let present = storeAt(file)
    present = countAll(
      present,
      told,
      () => 1 + Math.floor(random() ** 3 * 60),
      () => {
        if (random() < 0.9) return present
        present.close()
        present = storeAt(file)
        return present
      },
    )

    try {
      expect(all(present)).toEqual(all(whole))
      isRecount(whole, rows)
      expect(whole.standing().missed).toBe((rows.at(-1)?.position ?? 0) - rows.length)
    } catch (error) {
      throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error })
    }
  }
  process.stdout.write(`analytics counted ${steps} steps of ${[...kinds].sort().join(', ')}\n`)
})

/** What retention leaves: nothing of some plans. */
const withoutSome = (rows: readonly StepRow[], random: Random): readonly StepRow[] => {
  const gone = new Set<string>()
  const planOf = ({ address }: StepRow): string => address.replace(/^\w+:/, '').replace(/\/.*/, '')
  for (const plan of new Set(rows.map(planOf))) if (random() < 0.2) gone.add(plan)
  return rows.filter((row) => !gone.has(planOf(row)))
}

const step = (position: number, more: Partial<ToldStep> = {}): ToldStep => ({
  position,
  at: 1_700_000_000_000 + position,
  of: 'job',
  plan: 'p-aaaaaa',
  job: 'a',
  seq: position,
  type: 'attempt.ended',
  from: 'running',
  to: 'succeeded',
  reason: null,
  outcome: 'succeeded',
  ranMs: position,
  ...more,
})

test('positions at which no step is left are counted as missed, and nothing else changes', () => {
  const store = storeAt(openFile())
  const batch = {
    after: 0,
    upTo: 12,
    head: 12,
    steps: [step(5), step(6, { job: 'b' }), step(9, { job: 'c' })],
  }

  store.apply(0, count(store.known, batch))

  expect(store.standing()).toMatchObject({ cursor: 12, missed: 9, last: { position: 9 } })
  expect(store.known.tally('', '')?.ended).toEqual({ succeeded: 3 })
})

test('two that count into one file do not count twice', () => {
  const file = openFile()
  const [one, other] = [storeAt(file), storeAt(file)]
  const batch = { after: 0, upTo: 1, head: 1, steps: [step(1)] }
  const both = [one, other].map(({ known }) => count(known, batch))

  one.apply(0, both[0] as NonNullable<(typeof both)[0]>)

  expect(() => other.apply(0, both[1] as NonNullable<(typeof both)[1]>)).toThrow(
    'somebody else counts them, too',
  )
  expect(other.known.tally('', '')?.ended).toEqual({ succeeded: 1 })
})

test('numbers that are damaged, of another home or of another schema are made anew', () => {
  const file = openFile()
  const counted = (): Store => {
    const store = openStore(file, 'home')
    const { cursor } = store.standing()
    if (cursor === 0) store.apply(0, count(store.known, { after: 0, upTo: 1, head: 1, steps: [step(1)] }))
    return store
  }
  counted().close()

  const kept = storeAt(file)
  expect(kept.standing().cursor).toBe(1)
  kept.close()
  const other = openStore(file, 'another home')
  expect(other.standing()).toEqual({ cursor: 0, missed: 0, last: null })
  other.close()
  counted().close()
  writeFileSync(file, 'this is no database, and long enough to be looked at for one'.repeat(100))
  const remade = openStore(file, 'home')
  expect(remade.standing().cursor).toBe(0)
  remade.close()
})

test('names and times have a bound: what is beyond it is counted with the others, and the oldest hours go', () => {
  const file = openFile()
  const random = seededRandom(7)
  const many = Array.from({ length: NAMES_MAX + 50 }, (_, n) => step(n + 1, { job: `j${n}` }))
  const more = Array.from({ length: NAMES_MAX + 50 }, (_, n) =>
    step(many.length + n + 1, { plan: `p${n}-aaaaaa`, at: 1_700_000_000_000 + n * 3_600_000 }),
  )
  const store = countAll(storeAt(file), [...many, ...more], () => 1 + Math.floor(random() * 400))
  const whole = countAll(storeAt(openFile()), [...many, ...more], () => 10_000)

  expect(all(store)).toEqual(all(whole))
  expect(store.known.jobs('p')).toBe(NAMES_MAX)
  expect(store.known.plans()).toBe(NAMES_MAX)
  expect(store.known.tally('p', '(others)')?.ended).toEqual({ succeeded: 50 })
  expect(store.known.tally('(others)', '')?.ended).toEqual({ succeeded: 51 })
  expect(store.known.tally('(others)', '(others)')?.ended).toEqual({ succeeded: 51 })
  expect(store.known.tally('', '')?.ended).toEqual({ succeeded: 2 * NAMES_MAX + 100 })
  expect(store.buckets('hour').length).toBe(BUCKETS_MAX.hour)
  expect(store.buckets('hour').at(-1)?.start).toBe(Math.floor((more.at(-1)?.at ?? 0) / 3_600_000) * 3_600_000)
})

test('a percentile is within one in a hundred of a value that was put in, in any order and however large', () => {
  for (const seed of seeds(20)) {
    const random = seededRandom(seed)
    const values = Array.from({ length: 1 + Math.floor(random() * 3_000) }, () =>
      Math.floor(random() ** 6 * 10 ** (random() * 12)),
    )
    const sketch = emptySketch()
    for (const value of values) addTo(sketch, value)

    const said = percentiles(sketch, [0, 0.5, 0.95, 0.99, 1])

    const sorted = values.toSorted((a, b) => a - b)
    for (const [index, part] of [0, 0.5, 0.95, 0.99, 1].entries()) {
      try {
        expectWithin(said[index], sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)])
      } catch (error) {
        throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error })
      }
    }
  }
})
