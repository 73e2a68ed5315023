/** What every journal promises. A journal passes by calling `journalSuite` with a medium it can be opened on again and again. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { noteAddress } from '../../src/address.ts'
import type { Batch, Boot, Journal, JournalReader } from '../../src/journal/journal.ts'
import { PLAN_STATES } from '../../src/states.ts'
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

/** What survives a journal. */
export type Medium = Readonly<{
  /** Boots; journals opened before stay as they are. */
  open: (boot?: Partial<Boot>) => Promise<Journal>
  reader: () => Promise<JournalReader>
  remove: () => void
}>

const P = 'deploy-aaaaaa'
const PLAN = planAddress(P)
const JOB = jobAddress(P, 'ship')

/** A plan with two jobs, an actor for each of itself and `ship`, one message, one letter. */
const first: Batch = batch({
  plans: [planOf(P, { key: 'k1' })],
  steps: [...moved(0, PLAN, 0, 2).steps, ...moved(2, JOB, 0).steps],
  actors: [...moved(0, PLAN, 0, 2).actors, ...moved(2, JOB, 0).actors],
  jobs: [jobOf(P, 'ship', 1), jobOf(P, 'build', 0)],
  outputs: [{ plan: P, name: 'build', outputs: '{"a":1}' }],
  ...mail({ added: [mailOf(1, JOB, { postedBy: 2 }), mailOf(2, PLAN)] }),
  dead: [deadOf(1, JOB)],
})

/** Runs the suite against one kind of journal. */
export const journalSuite = (name: string, makeMedium: () => Medium): void => {
  describe(name, () => {
    let medium: Medium
    const opened: Journal[] = []

    beforeEach(() => {
      medium = makeMedium()
    })
    afterEach(async () => {
      for (const journal of opened.splice(0)) await journal.close()
      medium.remove()
    })
    const open = async (boot: Partial<Boot> = {}): Promise<Journal> => {
      const journal = await medium.open(boot)
      opened.push(journal)
      return journal
    }

    test('a new journal is empty, clean and in its first epoch', async () => {
      const { opening, ...journal } = await open()

      expect(opening).toEqual({
        epoch: 1,
        position: 0,
        mail: 0,
        dead: 0,
        clean: true,
        bootedSince: null,
        home: opening.home,
      })
      expect(opening.home).toMatch(/^[a-z2-7]{10}$/)
      expect(await journal.plans()).toEqual([])
      expect(await journal.plan(P)).toBeUndefined()
      expect(await journal.revision(P)).toBeUndefined()
      expect(await journal.actor(PLAN)).toBeUndefined()
      expect(await journal.job(P, 'ship')).toBeUndefined()
    })

    test('what was committed is what is read, by the journal, by a reader, and after the next boot', async () => {
      const journal = await open()
      await journal.commit(first)

      const said = await everything(journal, [P])
      const reader = await medium.reader()
      expect(await everything(reader, [P])).toEqual(said)
      await reader.close()
      const next = await open()
      expect(await everything(next, [P])).toEqual(said)
      expect(next.opening).toEqual({
        epoch: 2,
        position: 3,
        mail: 2,
        dead: 1,
        clean: false,
        bootedSince: null,
        home: journal.opening.home,
      })
      expect(await journal.plan(P)).toEqual({
        ...planOf(P, { key: 'k1' }).plan,
        state: 'running',
        reason: null,
        seq: 2,
        startedAt: first.steps.find(({ address, seq }) => address === PLAN && seq === 1)?.at ?? null,
        since: first.steps.find(({ address, seq }) => address === PLAN && seq === 2)?.at ?? null,
        aside: null,
        damaged: false,
      })
      expect(await journal.counts(P)).toEqual({ [first.jobs[0]?.state ?? '']: first.jobs.length })
      expect(await journal.revision(P)).toEqual(planOf(P).revision)
      expect(await journal.actor(JOB)).toEqual(actorOf(JOB, 1))
      expect(await journal.actors(P)).toEqual([actorOf(JOB, 1), actorOf(PLAN, 2)])
      expect(await journal.steps({ after: 0, limit: 10 })).toEqual(first.steps)
      expect(await journal.mail()).toEqual(first.mail.added)
      expect(await journal.deadLetters(10)).toEqual(first.dead)
    })

    test('only an orderly stop is remembered as one', async () => {
      await (await open()).stop(true)

      const second = await open()
      expect(second.opening.clean).toBe(true)
      await second.stop(false)
      const third = await open()
      expect(third.opening.clean).toBe(false)
      await third.stop(true)
      await third.stop(true)
      expect((await open()).opening).toMatchObject({ clean: true, epoch: 4 })
    })

    test('since when the machine is up is told from the boots of the machine, not of the journal', async () => {
      const since = async (bootId: string, at: number) => (await open({ bootId, at })).opening.bootedSince

      expect([await since('one', 10), await since('one', 20)]).toEqual([null, null])
      expect([await since('two', 15), await since('two', 40), await since('two', 50)]).toEqual([
        Number.POSITIVE_INFINITY,
        15,
        15,
      ])
      expect([await since('three', 60), await since('three', 70)]).toEqual([Number.POSITIVE_INFINITY, 60])
    })

    test('a journal that has stopped writes and reads nothing more', async () => {
      const journal = await open()

      await journal.stop(true)

      await failsWith('STOPPED', journal.commit(first))
      await failsWith('STOPPED', journal.plans())
      await failsWith('STOPPED', journal.head())
      expect(await (await open()).plans()).toEqual([])
    })

    test('a replaced journal is fenced and writes nothing, not even an empty batch', async () => {
      const old = await open()
      await old.commit(first)
      const young = await open()
      const before = await everything(young, [P])

      await failsWith('FENCED', old.commit(batch({})))
      await failsWith('FENCED', old.commit(batch(moved(3, JOB, 1))))
      await failsWith('FENCED', old.head())
      await old.stop(true)

      expect(await everything(young, [P])).toEqual(before)
      await young.commit(batch(moved(3, JOB, 1)))
      expect((await open()).opening).toMatchObject({ epoch: 3, position: 4, clean: false })
    })

    const refused: readonly (readonly [string, Batch])[] = [
      ['an actor that has moved on', batch(moved(3, JOB, 0))],
      ['an actor that has not come so far', batch(moved(3, JOB, 7))],
      ['an actor that does not exist', batch(moved(3, jobAddress(P, 'none'), 1))],
      ['a plan whose id exists', batch({ plans: [planOf(P)] })],
      ['a plan whose key exists', batch({ plans: [planOf('other-bbbbbb', { key: 'k1' })] })],
      ['two plans of one id', batch({ plans: [planOf('two-cccccc'), planOf('two-cccccc')] })],
      [
        'two plans of one key',
        batch({ plans: ['a-cccccc', 'b-cccccc'].map((id) => planOf(id, { key: 'k2' })) }),
      ],
      ['a message taken that is not there', batch(mail({ taken: [9] }))],
      ['a message taken twice', batch(mail({ taken: [1, 1] }))],
      ['a dead letter raised that is not there', batch({ raised: [9] })],
      ['a failed message that is not there', batch(mail({ failed: [9] }))],
    ]
    test.each(refused)(
      'a batch with %s is fenced, leaves no trace, and the next one works',
      async (_, bad) => {
        const journal = await open()
        await journal.commit(first)
        const before = await everything(journal, [P])
        const good = moved(3, PLAN, 2)

        await failsWith(
          'FENCED',
          journal.commit({
            ...bad,
            steps: [...good.steps, ...bad.steps.map((step) => ({ ...step, position: step.position + 1 }))],
            actors: [...good.actors, ...bad.actors],
            jobs: [jobOf(P, 'build', 0, { state: 'running' })],
            outputs: [{ plan: P, name: 'build', outputs: null }],
            dead: [deadOf(2, PLAN)],
          }),
        )

        expect(await everything(journal, [P])).toEqual(before)
        await journal.commit(batch({ ...good, ...mail({ taken: [1] }), dead: [deadOf(2, PLAN)] }))
        expect((await journal.mail()).map(({ id }) => id)).toEqual([2])
        expect(await journal.actor(PLAN)).toEqual(actorOf(PLAN, 3))
      },
    )

    const senseless: readonly (readonly [string, Batch])[] = [
      ['a gap in the positions', batch(moved(4, JOB, 1))],
      ['a position that was given', batch(moved(2, JOB, 1))],
      [
        'a gap in the seqs',
        batch({ steps: [stepOf(4, JOB, 3)], actors: [{ row: actorOf(JOB, 3), was: 1 }] }),
      ],
      ['a step without its actor', batch({ steps: [stepOf(4, JOB, 2)] })],
      [
        'an actor further on than its steps',
        batch({ ...moved(3, JOB, 1), actors: [{ row: actorOf(JOB, 3), was: 1 }] }),
      ],
      ['one actor twice', batch({ actors: [1, 1].map((was) => ({ row: actorOf(JOB, was), was })) })],
      ['a mail id that was given', batch(mail({ added: [mailOf(2, JOB)] }))],
      ['mail ids that fall', batch(mail({ added: [mailOf(5, JOB), mailOf(4, JOB)] }))],
      ['a dead letter id that was given', batch({ dead: [deadOf(1, JOB)] })],
    ]
    test.each(senseless)(
      'a batch with %s is refused as a bug, before anything is written',
      async (_, bad) => {
        const journal = await open()
        await journal.commit(first)
        const before = await everything(journal, [P])

        await assert.rejects(journal.commit({ ...bad, plans: [planOf('new-dddddd')] }), assert.AssertionError)

        expect(await everything(journal, [P])).toEqual(before)
        await journal.commit(batch(moved(3, JOB, 1)))
      },
    )

    test('an actor moves by compare-and-set, one batch after the other', async () => {
      const journal = await open()
      await journal.commit(first)

      await journal.commit(batch(moved(3, JOB, 1, 3, { state: 'backoff', reason: 'backoff' })))
      await journal.commit(batch(moved(6, JOB, 4, 1, { state: 'queued' })))
      await journal.commit(batch({ actors: [{ row: actorOf(JOB, 5, { version: 'v2' }), was: 5 }] }))

      expect(await journal.actor(JOB)).toEqual(actorOf(JOB, 5, { version: 'v2' }))
      const steps = await journal.steps({ after: 0, limit: 100, address: JOB })
      expect(steps.map(({ seq, position }) => [seq, position])).toEqual([
        [1, 3],
        [2, 4],
        [3, 5],
        [4, 6],
        [5, 7],
      ])
    })

    test('the head is where the next commit continues, also after one that failed', async () => {
      const journal = await open()
      expect(await journal.head()).toEqual({ position: 0, mail: 0, dead: 0 })
      await journal.commit(first)

      await failsWith('FENCED', journal.commit(batch({ ...moved(3, JOB, 7), dead: [deadOf(2, JOB)] })))

      expect(await journal.head()).toEqual({ position: 3, mail: 2, dead: 1 })
      await journal.commit(batch({ ...moved(3, JOB, 1), dead: [deadOf(4, JOB)] }))
      expect(await journal.head()).toEqual({ position: 4, mail: 2, dead: 4 })
    })

    test('steps are given after a position, in order, at most so many, of all, of a plan, of an actor', async () => {
      const journal = await open()
      const other = planAddress('deploy-aaaaab')
      await journal.commit(first)
      await journal.commit(batch({ plans: [planOf('deploy-aaaaab')], ...moved(3, other, 0, 2) }))
      await journal.commit(batch(moved(5, JOB, 1, 2)))

      const positions = async (query: Parameters<JournalReader['steps']>[0]) =>
        (await journal.steps(query)).map(({ position }) => position)
      expect(await positions({ after: 0, limit: 100 })).toEqual([1, 2, 3, 4, 5, 6, 7])
      expect(await positions({ after: 2, limit: 3 })).toEqual([3, 4, 5])
      expect(await positions({ after: 0, limit: 100, plan: P })).toEqual([1, 2, 3, 6, 7])
      expect(await positions({ after: 2, limit: 2, plan: P })).toEqual([3, 6])
      expect(await positions({ after: 0, limit: 100, plan: 'deploy-aaaaa' })).toEqual([])
      expect(await positions({ after: 3, limit: 1, address: JOB })).toEqual([6])
      expect(await positions({ after: 7, limit: 100 })).toEqual([])
      expect(await positions({ after: 0, limit: 0 })).toEqual([])
    })

    test('plans are found newest first, by name, state, key, prefix, and before a plan', async () => {
      const journal = await open()
      const ids = ['a-1', 'b-1', 'a-2', 'ab-1', 'a-3']
      await journal.commit(
        batch({ plans: ids.map((id) => planOf(id, { submittedAt: 5, key: `key of ${id}` })) }),
      )
      await journal.commit(batch(moved(0, planAddress('a-2'), 0, 1, { state: 'failed', reason: 'exit' })))

      const found = async (plans: ReturnType<JournalReader['plans']>) => (await plans).map(({ id }) => id)
      expect(await found(journal.plans())).toEqual(['a-3', 'ab-1', 'a-2', 'b-1', 'a-1'])
      expect(await found(journal.plans({ name: 'a' }))).toEqual(['a-3', 'a-2', 'a-1'])
      expect(await found(journal.plans({ limit: 2 }))).toEqual(['a-3', 'ab-1'])
      expect(await found(journal.plans({ before: 'a-2' }))).toEqual(['b-1', 'a-1'])
      expect(await found(journal.plans({ before: 'a-2', name: 'a', limit: 5 }))).toEqual(['a-1'])
      expect(await found(journal.plans({ before: 'none' }))).toEqual([])
      expect(await found(journal.plans({ states: ['failed', 'cancelled'] }))).toEqual(['a-2'])
      expect(await found(journal.plans({ states: ['running'], limit: 3 }))).toEqual(['a-3', 'ab-1', 'b-1'])
      expect(await found(journal.plans({ states: [] }))).toEqual([])
      expect(await found(journal.plansByPrefix('a', 10))).toEqual(['a-3', 'ab-1', 'a-2', 'a-1'])
      expect(await found(journal.plansByPrefix('a-', 2))).toEqual(['a-3', 'a-2'])
      expect(await found(journal.plansByPrefix('a-%', 2))).toEqual([])
      expect(await found(journal.plansByPrefix('', 10))).toHaveLength(5)
      expect(await journal.planByKey('key of b-1')).toMatchObject({ id: 'b-1', state: 'running', seq: 0 })
      expect(await journal.planByKey('none')).toBeUndefined()
      expect(await journal.plan('a-2')).toMatchObject({ state: 'failed', reason: 'exit', seq: 1 })
    })

    test('plans in any choice of states are those of all plans that are in one of them', async () => {
      const journal = await open()
      const states = [...PLAN_STATES, 'begun by nobody', 'aside']
      const plans = [...states, ...states].map((state, at) => ({ id: `p-${at}`, state }))
      await journal.commit(batch({ plans: plans.map(({ id }) => planOf(id)) }))
      let position = 0
      for (const { id, state } of plans) {
        if (state === 'begun by nobody') continue
        const row = state === 'aside' ? 'succeeded' : state
        await journal.commit(batch(moved(position, planAddress(id), 0, 1, { state: row })))
        position += 1
        if (state === 'aside') await journal.commit(batch({ aside: [{ plan: id, why: 'why', at: 1 }] }))
      }
      const all = await journal.plans()
      expect(all.map(({ state }) => state).toSorted()).toEqual(
        [...PLAN_STATES, ...PLAN_STATES, 'running', 'running', 'quarantined', 'quarantined'].toSorted(),
      )

      for (let choice = 0; choice < 2 ** PLAN_STATES.length; choice += 1) {
        const chosen = PLAN_STATES.filter((_, at) => (choice >> at) % 2 === 1)
        const wanted = all.filter(({ state }) => chosen.some((each) => each === state))
        expect([chosen, await journal.plans({ states: chosen })]).toEqual([chosen, wanted])
        const query = { states: chosen, limit: 2, before: 'p-15' }
        const before = wanted.filter(({ id }) => Number(id.slice(2)) < 15).slice(0, 2)
        expect([chosen, await journal.plans(query)]).toEqual([chosen, before])
      }
    })

    test('a job is written over in its place; jobs come in the order of the definition', async () => {
      const journal = await open()
      await journal.commit(first)

      const ship = jobOf(P, 'ship', 1, {
        place: 'released',
        state: 'running',
        reason: null,
        unmet: 0,
        generation: 2,
        attempt: 3,
        since: 2_000,
        embodied: true,
      })
      await journal.commit(batch({ jobs: [jobOf(P, 'ship', 1, { state: 'queued' }), ship] }))

      expect(await journal.jobs(P)).toEqual([jobOf(P, 'build', 0), ship])
      expect(await journal.job(P, 'ship')).toEqual(ship)
      expect(await journal.jobs('none')).toEqual([])
    })

    test('jobs in some states are those of the newest plans first, in the order of their definition', async () => {
      const journal = await open()
      await journal.commit(first)
      const other = 'test-bbbbbb'
      const running = { state: 'running' }
      const names = ['z', 'a', 'm']
      await journal.commit(
        batch({
          plans: [planOf(other)],
          jobs: [
            ...names.map((name, i) => jobOf(other, name, i, running)),
            jobOf(other, 'held', 3),
            jobOf(P, 'ship', 1, running),
          ],
        }),
      )
      const found = async (query: Parameters<typeof journal.jobsIn>[0]) =>
        (await journal.jobsIn(query)).map((row) => `${row.plan}/${row.name}`)

      const all = [`${other}/z`, `${other}/a`, `${other}/m`, `${P}/ship`]
      expect(await found({ states: ['running'] })).toEqual(all)
      expect(await found({ states: ['running'], limit: 2 })).toEqual(all.slice(0, 2))
      expect(await found({ states: ['running', 'held'], name: 'deploy' })).toEqual([
        `${P}/build`,
        `${P}/ship`,
      ])
      expect(await found({ states: [] })).toEqual([])
      expect((await journal.jobsIn({ states: ['running'], limit: 1 }))[0]).toEqual(
        jobOf(other, 'z', 0, running),
      )
    })

    test('outputs are replaced and cleared, and given by name', async () => {
      const journal = await open()
      await journal.commit(first)

      await journal.commit(
        batch({
          outputs: [
            { plan: P, name: 'c', outputs: '3' },
            { plan: P, name: 'b', outputs: '2' },
            { plan: P, name: 'build', outputs: '{}' },
          ],
        }),
      )
      await journal.commit(
        batch({ outputs: ['c', 'none'].map((name) => ({ plan: P, name, outputs: null })) }),
      )

      expect([...(await journal.outputs(P))]).toEqual([
        ['b', '2'],
        ['build', '{}'],
      ])
      expect([...(await journal.outputs(P, ['none', 'build']))]).toEqual([['build', '{}']])
      expect([...(await journal.outputs(P, []))]).toEqual([])
    })

    test('mail keeps its order, counts failed deliveries, and is gone when taken; its ids are never given again', async () => {
      const journal = await open()
      await journal.commit(first)
      const other = planAddress('deploy-aaaaab')

      await journal.commit(
        batch(
          mail({
            added: [mailOf(5, other), mailOf(6, JOB), mailOf(9, JOB, { deliveries: 1 })],
            failed: [1, 9],
          }),
        ),
      )
      await journal.commit(batch(mail({ failed: [1], taken: [2, 9] })))

      expect((await journal.mail()).map(({ id, deliveries }) => [id, deliveries])).toEqual([
        [1, 2],
        [5, 0],
        [6, 0],
      ])
      expect((await journal.mail(P)).map(({ id }) => id)).toEqual([1, 6])
      expect((await open()).opening.mail).toBe(9)
    })

    test('notes come newest first without those that attempts have begun, of which the latest of a job is found', async () => {
      const journal = await open()
      const other = 'deploy-aaaaab'
      const note = (position: number, job: string | null, type: string, plan = P) =>
        stepOf(position, noteAddress(plan, job), position, { type, from: null, attempt: position })
      await journal.commit(
        batch({
          plans: [planOf(P), planOf(other)],
          steps: [
            note(1, 'ship', 'begun'),
            note(2, 'ship', 'begun'),
            note(3, 'ship', 'recovered'),
            note(4, null, 'recovered'),
            note(5, 'ship.it', 'begun'),
            note(6, 'ship', 'begun', other),
          ],
        }),
      )

      expect((await journal.notes(P, 9)).map(({ position }) => position)).toEqual([4, 3])
      expect((await journal.lastNote(P, 'ship', 'begun'))?.position).toBe(2)
      expect((await journal.lastNote(P, 'ship', 'recovered'))?.position).toBe(3)
      expect(await journal.lastNote(P, 'none', 'begun')).toBeUndefined()
      expect(await (await medium.reader()).lastNote(other, 'ship', 'begun')).toMatchObject({ attempt: 6 })
    })

    test('dead letters come newest first', async () => {
      const journal = await open()

      await journal.commit(batch({ dead: [1, 2, 3].map((id) => deadOf(id, JOB)) }))

      expect((await journal.deadLetters(2)).map(({ id }) => id)).toEqual([3, 2])
      expect((await journal.deadLetters(2, 3)).map(({ id }) => id)).toEqual([2, 1])
      expect((await open()).opening.dead).toBe(3)
    })

    test('of one actor the latest steps are given, newest first, and the mail that waits, at most so many', async () => {
      const journal = await open()
      await journal.commit(first)
      await journal.commit(batch(moved(3, JOB, 1, 3)))
      await journal.commit(batch(mail({ added: [mailOf(3, JOB), mailOf(4, PLAN), mailOf(5, JOB)] })))

      for (const reader of [journal, await medium.reader()]) {
        const latest = async (limit: number) =>
          (await reader.latest(JOB, limit)).map(({ address, seq }) => [address, seq])
        expect(await latest(2)).toEqual([
          [JOB, 4],
          [JOB, 3],
        ])
        expect(await latest(9)).toHaveLength(4)
        expect(await latest(0)).toEqual([])
        expect((await reader.mailOf(JOB, 2)).map(({ id }) => id)).toEqual([1, 3])
        expect((await reader.mailOf(JOB, 9)).map(({ id }) => id)).toEqual([1, 3, 5])
        expect(await reader.mailOf(jobAddress(P, 'none'), 9)).toEqual([])
      }
    })

    test('a dead letter that is raised is gone, and there has been one all the same', async () => {
      const journal = await open()
      await journal.commit(batch({ dead: [1, 2, 3].map((id) => deadOf(id, JOB)) }))

      await journal.commit(batch({ raised: [2], ...mail({ added: [mailOf(1, JOB)] }) }))

      expect((await journal.deadLetters(9)).map(({ id }) => id)).toEqual([3, 1])
      expect(await journal.totals()).toMatchObject({ deadLetters: 2, deadLettersEver: 3 })
      await failsWith('FENCED', journal.commit(batch({ raised: [2] })))
      await journal.commit(batch({ dead: [deadOf(4, JOB)] }))
    })

    test('a batch of 10 000 rows is one commit', async () => {
      const journal = await open()
      const names = Array.from({ length: 2_500 }, (_, i) => `j${i}`)
      const lives = names.map((name, i) => moved(i * 2, jobAddress(P, name), 0, 2))

      await journal.commit(
        batch({
          plans: [planOf(P)],
          steps: lives.flatMap(({ steps }) => steps),
          actors: lives.flatMap(({ actors }) => actors),
          jobs: names.map((name, i) => jobOf(P, name, i)),
        }),
      )

      expect((await journal.jobs(P)).map(({ name }) => name)).toEqual(names)
      expect(await journal.steps({ after: 0, limit: 10_000, plan: P })).toHaveLength(5_000)
      expect(await journal.actors(P)).toHaveLength(2_500)
    })

    test('nobody holds a piece of the medium: what was given and what was got may be changed without harm', async () => {
      const journal = await open()
      const mine = structuredClone(first)
      await journal.commit(mine)
      const before = structuredClone(await everything(journal, [P]))

      for (const row of [...mine.steps, ...mine.jobs, ...mine.mail.added])
        Object.assign(row, { state: 'x', event: 'x' })
      Object.assign(mine.plans[0]?.plan ?? {}, { name: 'x' })
      Object.assign(mine.actors[0]?.row ?? {}, { snapshot: 'x' })
      const steps = (await journal.steps({ after: 0, limit: 10 })) as unknown[]
      steps.length = 0
      const outputs = (await journal.outputs(P)) as Map<string, string>
      outputs.clear()

      expect(await everything(journal, [P])).toEqual(before)
    })
  })
}
