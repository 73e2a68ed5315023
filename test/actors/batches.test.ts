import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, test } from 'vitest'
import { batches } from '../../src/actors/batches.ts'
import { BATCH_CHARACTERS_MAX, type ToldStep } from '../../src/guest.ts'
import { seededRandom, systemRandom } from '../../src/ids.ts'
import type { Journal, StepRow } from '../../src/journal/journal.ts'
import { sqliteReader } from '../../src/journal/reader.ts'
import { holdHome, openFolder, shellPlan } from '../audit/home.ts'

const rowAt = (position: number, event: string): StepRow => ({
  position,
  address: 'job:p-aaaaaa/a',
  seq: position,
  type: 'attempt.ended',
  event,
  from: 'running',
  to: 'succeeded',
  reason: null,
  attempt: 1,
  at: position,
  version: 'job/1',
})
const journalOf = (rows: readonly StepRow[], head: number): Pick<Journal, 'steps' | 'head'> => ({
  steps: async ({ after, limit }) => rows.filter(({ position }) => position > after).slice(0, limit),
  head: async () => ({ position: head, mail: 0, dead: 0 }),
})

test('a batch says up to where it goes, so that what is not there is known to be missing', async () => {
  const rows = [3, 4, 8].map((position) => rowAt(position, '{"outcome":"exit","startedAt":5,"endedAt":9}'))
  const from = batches(journalOf(rows, 10))

  expect(await from.after(0, 2)).toMatchObject({ after: 0, upTo: 4, head: 10 })
  expect(await from.after(4, 2)).toMatchObject({
    after: 4,
    upTo: 10,
    steps: [{ position: 8, ranMs: 4, outcome: 'exit' }],
  })
  expect(await from.after(10, 2)).toEqual({ after: 10, upTo: 10, head: 10, steps: [] })
  expect(await from.after(12, 2)).toEqual({ after: 12, upTo: 12, head: 10, steps: [] })
})

test('what jobs wrote is not told, and a batch of large events is short', async () => {
  const event = JSON.stringify({
    outcome: 'succeeded',
    outputs: { secret: 'x'.repeat(BATCH_CHARACTERS_MAX / 2) },
  })
  const rows = [1, 2, 3, 4, 5].map((position) => rowAt(position, event))
  const from = batches(journalOf(rows, 5))

  const batch = await from.after(0, 500)

  expect(batch).toMatchObject({ upTo: 2, head: 5 })
  expect(batch.steps.length).toBe(2)
  expect(JSON.stringify(batch)).not.toContain('secret')
})

test('what was just committed is told without being read, in the same batches; whoever is late, or a gap, reads', async () => {
  const seed = Math.floor(systemRandom() * 2 ** 31)
  const random = seededRandom(seed)
  let reads = 0
  for (let round = 0; round < 200; round += 1) {
    const size = 1 + Math.floor(random() * 60)
    const rows = Array.from({ length: size }, (_, at) => rowAt(at + 1, JSON.stringify({ n: at })))
    const shown: StepRow[] = []
    const real = {
      steps: async (query: Readonly<{ after: number; limit: number }>) => {
        reads += 1
        return journalOf(shown, 0).steps(query)
      },
      head: async () => ({ position: shown.length, mail: 0, dead: 0 }),
    }
    const source = batches(real)
    const told: number[] = []
    let after = 0
    while (shown.length < size || after < size) {
      const next = rows.slice(shown.length, shown.length + Math.floor(random() * 8))
      shown.push(...next)
      // Now and then nobody is told of a commit.
      if (next.length > 0 && random() < 0.9) source.heard(next)
      if (random() < 0.05) source.forget()
      const batch = await source.after(after, 1 + Math.floor(random() * 6))
      const positions = batch.steps.map(({ position }) => position)
      expect(positions, `seed ${seed}`).toEqual(positions.map((_, at) => after + 1 + at))
      expect(batch.upTo, `seed ${seed}`).toBe(positions.at(-1) ?? after)
      told.push(...positions)
      after = batch.upTo
    }
    expect(told.length, `seed ${seed}`).toBe(size)
  }
  const source = batches({
    steps: async () => Promise.reject(new Error('it was read')),
    head: async () => ({ position: 0, mail: 0, dead: 0 }),
  })
  source.heard([rowAt(7, '{}'), rowAt(8, '{}')])
  expect(await source.after(6, 10)).toMatchObject({
    upTo: 8,
    head: 8,
    steps: [{ position: 7 }, { position: 8 }],
  })
  await expect(source.after(5, 10)).rejects.toThrow('it was read')
  expect(reads).toBeGreaterThan(0)
})

test('a burst is told without being read while it is no larger than what is kept', async () => {
  const rows = Array.from({ length: 20_000 }, (_, at) => rowAt(at + 1, '{}'))
  const source = batches({
    steps: async () => Promise.reject(new Error('it was read')),
    head: async () => ({ position: rows.length, mail: 0, dead: 0 }),
  })

  for (let at = 0; at < 10_000; at += 1_000) source.heard(rows.slice(at, at + 1_000))
  for (let after = 0; after < 10_000; after += 250)
    expect((await source.after(after, 250)).upTo).toBe(after + 250)

  for (let at = 10_000; at < rows.length; at += 1_000) source.heard(rows.slice(at, at + 1_000))
  expect((await source.after(10_000, 250)).upTo).toBe(10_250)
  source.forget()
  source.heard(rows)
  await expect(source.after(0, 250)).rejects.toThrow('it was read')
})

test('a damaged row costs itself only, and is missed', async () => {
  const home = join(openFolder(), 'home')
  const runtime = await holdHome(home)
  await (await runtime.submit(shellPlan({ a: { run: 'true' }, b: { run: 'true' } }))).settled()
  await runtime.stop()
  const file = new DatabaseSync(join(home, 'journal.db'))
  const count = Number((file.prepare('SELECT count(*) AS n FROM step').get() as { n: number }).n)
  file.exec("UPDATE step SET reason = 'bent' WHERE position = 4")
  file.close()
  const reader = await sqliteReader(join(home, 'journal.db'))
  const journal = { ...reader, head: async () => ({ position: count, mail: 0, dead: 0 }) }

  const told: ToldStep[] = []
  for (let after = 0; after < count; ) {
    const { steps, upTo } = await batches(journal).after(after, 500)
    expect(upTo).toBeGreaterThan(after)
    told.push(...steps)
    after = upTo
  }
  await reader.close()

  const all = Array.from({ length: count }, (_, at) => at + 1)
  expect(told.map(({ position }) => position)).toEqual(all.filter((position) => position !== 4))
})
