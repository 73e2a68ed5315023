import assert from 'node:assert/strict'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Address } from '../../src/address.ts'
import { isTenutoError } from '../../src/errors.ts'
import type { Batch, Journal } from '../../src/journal/journal.ts'
import { memoryJournal } from '../../src/journal/memory.ts'
import { memoryDisk } from '../../src/journal/memory-disk.ts'
import { sqliteJournal } from '../../src/journal/sqlite.ts'
import {
  BOOT,
  batch,
  deadOf,
  everything,
  jobAddress,
  jobOf,
  mail,
  mailOf,
  moved,
  planAddress,
  planOf,
} from './batches.ts'
import { folder } from './folder.ts'

const PLANS = ['a-1', 'a-2', 'b-1', 'ab-1']
const NAMES = ['x', 'y', 'z.1']
const ADDRESSES: readonly Address[] = PLANS.flatMap((plan) => [
  planAddress(plan),
  ...NAMES.map((name) => jobAddress(plan, name)),
])
const STATES = ['running', 'failed', 'cancelled']

const among = <T>(values: readonly T[]) => fc.constantFrom(...values)
/** Usually 0; otherwise the batch is wrong by so much. */
const wrong = fc.oneof({ weight: 12, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: among([-1, 1]) })

/** One batch, said so that it makes sense wherever the journal stands, but for a mistake now and then. */
const intents = fc.array(
  fc.record({
    plans: fc.array(
      fc.record({ id: among(PLANS), key: fc.option(among(['k1', 'k2', 'k3', 'k4']), { freq: 2 }) }),
      { maxLength: 1 },
    ),
    moves: fc.uniqueArray(
      fc.record({ address: among(ADDRESSES), steps: fc.nat(3), state: among(STATES), wrong }),
      { maxLength: 4, selector: ({ address }) => address },
    ),
    jobs: fc.array(
      fc.record({ plan: among(PLANS), name: among(NAMES), attempt: fc.nat(9), embodied: fc.boolean() }),
    ),
    outputs: fc.array(fc.record({ plan: among(PLANS), name: among(NAMES), outputs: fc.option(fc.string()) })),
    added: fc.array(among(ADDRESSES), { maxLength: 3 }),
    /** The first new message has the id of the last one (0: a bug), the next, or one further on. */
    skipped: fc.oneof({ weight: 12, arbitrary: among([1, 2]) }, { weight: 1, arbitrary: fc.constant(0) }),
    /** Indices into the mail that is there, and now and then beyond. */
    taken: fc.uniqueArray(fc.nat(20), { maxLength: 2 }),
    failed: fc.array(fc.nat(20), { maxLength: 2 }),
    noSuchMail: wrong,
    dead: fc.array(among(ADDRESSES), { maxLength: 1 }),
    positionWrong: wrong,
    reboot: fc.boolean(),
  }),
  { maxLength: 12 },
)

test('random lives, mistakes and boots included, leave memory and sqlite the same', async () => {
  const root = folder()
  let run = 0
  let commits = 0
  let refusals = 0
  await fc.assert(
    fc.asyncProperty(intents, async (lives) => {
      const disk = memoryDisk('samehome22')
      const file = join(root, `${run++}.db`)
      const boot = () =>
        Promise.all([memoryJournal(disk, BOOT), sqliteJournal({ file, boot: BOOT, durability: 'normal' })])
      let [memory, sqlite] = await boot()
      for (const intent of lives) {
        const next = await batchOf(memory, intent)
        const [a, b] = [await outcome(memory, next), await outcome(sqlite, next)]
        assert.deepEqual(b, a)
        if (a === 'committed') commits += 1
        else refusals += 1
        if (intent.reboot) {
          await Promise.all([memory.stop(true), sqlite.stop(true)])
          ;[memory, sqlite] = await boot()
          assert.deepEqual({ ...sqlite.opening, home: '' }, { ...memory.opening, home: '' })
        }
        assert.deepEqual(await said(sqlite), await said(memory))
      }
      await sqlite.stop(true)
    }),
    { numRuns: 30 },
  )
  // A property that never commits, or is never refused, says nothing.
  expect(commits).toBeGreaterThan(25)
  expect(refusals).toBeGreaterThan(5)
})

type Intent = typeof intents extends fc.Arbitrary<(infer I)[]> ? I : never

const batchOf = async (journal: Journal, intent: Intent): Promise<Batch> => {
  const head = await journal.head()
  let position = Math.max(0, head.position + intent.positionWrong)
  const all: Pick<Batch, 'steps' | 'actors'>[] = []
  for (const { address, steps: count, state, wrong: off } of intent.moves) {
    const seq = (await journal.actor(address))?.seq ?? 0
    all.push(moved(position, address, Math.max(0, seq + off), count || (seq === 0 ? 1 : 0), { state }))
    position += count || (seq === 0 ? 1 : 0)
  }
  const ids = (await journal.mail()).map(({ id }) => id)
  const existing = (indices: readonly number[]) => [
    ...new Set(indices.flatMap((i) => (ids.length === 0 ? [] : [ids[i % ids.length] ?? 0]))),
  ]
  return batch({
    plans: intent.plans.map(({ id, key }) => planOf(id, { key })),
    steps: all.flatMap((one) => one.steps),
    actors: all.flatMap((one) => one.actors),
    jobs: intent.jobs.map(({ plan, name, ...more }) => jobOf(plan, name, NAMES.indexOf(name), more)),
    outputs: intent.outputs,
    ...mail({
      added: intent.added.map((address, i) => mailOf(head.mail + intent.skipped + i, address)),
      taken: [...existing(intent.taken), ...(intent.noSuchMail === 1 ? [999] : [])],
      failed: [...existing(intent.failed), ...(intent.noSuchMail === -1 ? [999] : [])],
    }),
    dead: intent.dead.map((address, i) => deadOf(head.dead + 1 + i, address)),
  })
}

const outcome = async (journal: Journal, next: Batch): Promise<string> => {
  try {
    await journal.commit(next)
    return 'committed'
  } catch (error) {
    if (isTenutoError(error, 'FENCED')) return 'fenced'
    assert(error instanceof assert.AssertionError, error as Error)
    return 'bug'
  }
}

const said = async (journal: Journal): Promise<unknown> => [
  await everything(journal, PLANS),
  ...(await Promise.all([
    journal.plans({ name: 'a', states: ['running'] }),
    journal.plans({ states: ['failed', 'cancelled'], limit: 2 }),
    journal.plans({ before: 'b-1' }),
    journal.plansByPrefix('a', 2),
    journal.planByKey('k1'),
    journal.steps({ after: 3, limit: 2 }),
    journal.steps({ after: 2, limit: 2, plan: 'a-1' }),
    journal.steps({ after: 1, limit: 2, address: jobAddress('a-1', 'x') }),
    journal.outputs('a-1', ['z.1', 'x', 'none']).then((outputs) => [...outputs]),
    journal.job('a-2', 'y'),
  ])),
]
