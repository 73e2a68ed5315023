/** What every journal promises of removing what is kept no longer. A journal passes by calling `pruningSuite`, as `journalSuite`. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { HOME, noteAddress } from '../../src/address.ts'
import type { Batch, Journal } from '../../src/journal/journal.ts'
import { failsWith } from '../support/failing.ts'
import {
  actorOf,
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
  stepOf,
} from './batches.ts'
import type { Medium } from './journal.suite.ts'

const P = 'deploy-aaaaaa'
const PLAN = planAddress(P)
const JOB = jobAddress(P, 'ship')

/** Runs the suite against one kind of journal. */
export const pruningSuite = (name: string, makeMedium: () => Medium): void => {
  describe(`${name}, pruned`, () => {
    let medium: Medium
    const opened: Journal[] = []

    beforeEach(() => {
      medium = makeMedium()
    })
    afterEach(async () => {
      for (const journal of opened.splice(0)) await journal.close()
      medium.remove()
    })
    const open = async (): Promise<Journal> => {
      const journal = await medium.open()
      opened.push(journal)
      return journal
    }
    const other = planAddress('q-bbbbbb')
    /** An ended plan of ten steps whose positions have those of another plan between them. */
    const lived = async (more: Partial<Batch> = {}): Promise<Journal> => {
      const journal = await open()
      const own = moved(0, PLAN, 0, 2)
      const theirs = moved(2, other, 0, 1)
      const jobs = moved(3, JOB, 0, 6)
      const end = moved(9, PLAN, 2, 2, { state: 'succeeded' })
      await journal.commit(
        batch({
          plans: [planOf(P, { key: 'k1' }), planOf('q-bbbbbb')],
          steps: [...own.steps, ...theirs.steps, ...jobs.steps, ...end.steps],
          actors: [{ row: end.actors[0]?.row ?? actorOf(PLAN, 4), was: 0 }, ...theirs.actors, ...jobs.actors],
          jobs: [jobOf(P, 'ship', 1), jobOf(P, 'build', 0), jobOf('q-bbbbbb', 'only', 0)],
          outputs: [{ plan: P, name: 'build', outputs: '{"a":1}' }],
          dead: [deadOf(1, JOB), deadOf(2, other)],
          ...more,
        }),
      )
      return journal
    }
    const removeAll = async (journal: Journal, rows: number): Promise<number> => {
      for (let calls = 1; ; calls += 1) {
        const { done } = await journal.pruning.remove([P], rows)
        if (done.includes(P)) return calls
      }
    }

    test('an ended plan goes with everything of it, its key is free, and nothing else is touched', async () => {
      const journal = await lived()

      expect(await journal.pruning.remove([P], 1_000)).toEqual({ begun: [P], done: [P], kept: [] })
      await journal.pruning.forget([P])

      for (const reader of [journal, await medium.reader()]) {
        expect(await reader.plan(P)).toBeUndefined()
        expect(await reader.planByKey('k1')).toBeUndefined()
        expect(await reader.revision(P)).toBeUndefined()
        expect(await reader.jobs(P)).toEqual([])
        expect(await reader.outputs(P)).toEqual(new Map())
        expect(await reader.actors(P)).toEqual([])
        expect(await reader.actor(PLAN)).toBeUndefined()
        expect(await reader.steps({ after: 0, limit: 100, address: JOB })).toEqual([])
        expect((await reader.steps({ after: 0, limit: 100 })).map(({ position }) => position)).toEqual([3])
        expect((await reader.deadLetters(10)).map(({ id }) => id)).toEqual([2])
        expect((await reader.plans()).map(({ id }) => id)).toEqual(['q-bbbbbb'])
        expect(await reader.jobs('q-bbbbbb')).toHaveLength(1)
        expect(await reader.pruned()).toEqual({ plans: 1, steps: 10, last: 11 })
        if (reader !== journal) await reader.close()
      }
      expect(await journal.pruning.leaving()).toEqual([])
      // Positions and ids go on as if nothing had gone.
      await journal.commit(
        batch({ plans: [planOf('r-cccccc', { key: 'k1' })], ...moved(11, planAddress('r-cccccc'), 0) }),
      )
      expect((await journal.head()).position).toBe(12)
      await journal.stop(true)
      expect((await open()).opening.position).toBe(12)
    })

    test('a removal goes in portions, is one for everybody from the first, and goes on after a crash', async () => {
      const journal = await lived()

      expect(await journal.pruning.remove([P], 4)).toEqual({ begun: [P], done: [], kept: [] })
      expect(await journal.plan(P)).toBeUndefined()
      expect(await journal.planByKey('k1')).toBeUndefined()
      // Killed here: nobody closed it.
      const next = await open()
      expect(await next.pruning.leaving()).toEqual([P])
      await next.pruning.forget([P])
      expect(await next.pruning.leaving()).toEqual([P])
      expect(await removeAll(next, 4)).toBeGreaterThan(2)
      expect(await next.pruning.leaving()).toEqual([P])
      expect(await next.pruning.remove([P], 4)).toEqual({ begun: [], done: [P], kept: [] })
      await next.pruning.forget([P])

      expect(await next.pruning.leaving()).toEqual([])
      expect(await next.pruned()).toEqual({ plans: 1, steps: 10, last: 11 })
      await failsWith('FENCED', journal.pruning.remove([P], 4))
    })

    test('several go in one portion as far as it reaches', async () => {
      const journal = await lived()
      const ids = ['a-aaaaaa', 'b-bbbbbb', 'c-cccccc']
      for (const [at, id] of ids.entries())
        await journal.commit(
          batch({ plans: [planOf(id)], ...moved(11 + at, planAddress(id), 0, 1, { state: 'failed' }) }),
        )

      expect(await journal.pruning.remove(ids, 8)).toEqual({
        begun: ids.slice(0, 2),
        done: ['a-aaaaaa'],
        kept: [],
      })
      expect(await journal.pruning.leaving()).toEqual(ids.slice(0, 2))
      expect((await journal.plans()).map(({ id }) => id)).toEqual(['c-cccccc', 'q-bbbbbb', P])
    })

    test('what has not ended, has mail, or is set aside stays, whoever asks', async () => {
      const journal = await lived({ ...mail({ added: [mailOf(1, JOB)] }) })

      expect(await journal.pruning.remove([P, 'q-bbbbbb', 'no-such'], 100)).toEqual({
        begun: [],
        done: [],
        kept: [P, 'q-bbbbbb', 'no-such'],
      })
      expect(await journal.pruning.clear(P)).toBe(false)
      await journal.commit(batch({ ...mail({ taken: [1] }), aside: [{ plan: P, why: 'damaged', at: 5 }] }))
      expect(await journal.pruning.remove([P], 100)).toEqual({ begun: [], done: [], kept: [P] })
      await journal.commit(batch({ aside: [{ plan: P, why: null, at: 6 }] }))
      expect(await journal.pruning.clear(P)).toBe(true)
      expect(await journal.pruning.clear('q-bbbbbb')).toBe(false)
      expect((await journal.pruning.remove([P], 100)).begun).toEqual([P])
    })

    test('of dead letters the newest stay, and none from before a moment; how many there ever were stays known', async () => {
      const journal = await lived()
      const { pruning } = journal
      const never = Number.NEGATIVE_INFINITY

      expect(await pruning.dropDeadLetters(2, never)).toBe(0)
      expect(await pruning.dropDeadLetters(Number.POSITIVE_INFINITY, 1_000)).toBe(0)
      expect([await pruning.oldDeadLetters(1, never), await pruning.oldDeadLetters(9, 1_001)]).toEqual([1, 2])
      expect(await pruning.dropDeadLetters(1, never)).toBe(1)
      expect((await journal.deadLetters(10)).map(({ id }) => id)).toEqual([2])
      expect(await pruning.dropDeadLetters(9, 1_001)).toBe(1)
      expect(await journal.totals()).toMatchObject({ deadLetters: 0, deadLettersEver: 2 })
      await journal.commit(batch({ dead: [deadOf(3, JOB)] }))
    })

    test('what was asked of the home goes when there is much that is newer, and nothing else with it', async () => {
      const journal = await lived()
      const { position } = await journal.head()
      const notes = Array.from({ length: 250 }, (_, at) =>
        stepOf(position + at + 1, noteAddress(HOME, null), position + at + 1, { type: 'mode.changed' }),
      )
      await journal.commit(batch({ steps: notes }))
      const others = async () => ({
        ...((await everything(journal, [P, 'q-bbbbbb'])) as object),
        steps: null,
      })
      const said = await others()
      const { pruning } = journal

      expect(await pruning.dropHomeNotes(250)).toBe(0)
      expect([await pruning.dropHomeNotes(10), await pruning.dropHomeNotes(10)]).toEqual([200, 40])
      expect(await pruning.dropHomeNotes(10)).toBe(0)

      const left = await journal.steps({ after: position, limit: 1_000 })
      expect(left).toHaveLength(10)
      expect(await journal.lastNote(HOME, null, 'mode.changed')).toEqual(notes.at(-1))
      expect(await journal.pruned()).toMatchObject({ plans: 0, steps: 240 })
      expect(await others()).toEqual(said)
    })

    test('giving room back changes nothing that is read', async () => {
      const journal = await lived()
      await journal.pruning.remove([P], 1_000)
      const said = await everything(journal, [P, 'q-bbbbbb'])

      await journal.pruning.shrink()

      expect((await journal.pruning.room()).free).toBe(0)
      expect(await everything(journal, [P, 'q-bbbbbb'])).toEqual(said)
      await journal.commit(batch(moved(11, other, 1)))
    })
  })
}
