/**
 * The plan machine with its board, in lock step with a model that works everything out from scratch.
 *
 * Mutations that were planted once, and each found by it. In `board.ts`: `spread` releasing at two unmet needs; `reopen` that does
 * not count a need up again for a dependant that still waits; `reopen` that does not bring the pending work to its end; a walk
 * that forgets `from`; `settle` that changes a row more than a portion. In `plan.ts`: `paused` without `stops`; a walk without its
 * `more`; a withdrawal that drops what an end means for others.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Definition, Need } from '../../src/definition.ts'
import { planAdmits } from '../../src/machines/plan.ts'
import { planOf } from '../support/definitions.ts'
import { type Table, tableOf } from './board-table.ts'
import {
  happen,
  type NaiveEvent,
  type NaivePlan,
  naivePlan,
  notYet,
  placeOf,
  stateOf,
  unmetOf,
} from './naive-plan.ts'

const SEED = Number(process.env['TENUTO_SEED'] ?? 20_261_121)
const RUNS = 1_500

const needs: fc.Arbitrary<Need> = fc.constantFrom('success', 'success', 'any', 'skipped-ok')

/** A plan whose jobs need some of those before them. */
const definitions: fc.Arbitrary<Definition> = fc
  .record({
    jobs: fc.array(
      fc.record({
        picks: fc.array(fc.record({ pick: fc.nat(), need: needs }), { maxLength: 3 }),
        optional: fc.boolean(),
        deadline: fc.boolean(),
      }),
      { minLength: 1, maxLength: 9 },
    ),
    onFailure: fc.constantFrom('continue' as const, 'stop' as const, 'pause' as const),
  })
  .map(({ jobs, onFailure }) =>
    planOf(
      Object.fromEntries(
        jobs.map(({ picks, optional, deadline }, at) => [
          `j${at}`,
          {
            needs: at === 0 ? {} : Object.fromEntries(picks.map(({ pick, need }) => [`j${pick % at}`, need])),
            ...(optional ? { optional: true as const } : {}),
            ...(deadline ? { deadlineMs: 60_000 } : {}),
          },
        ]),
      ),
      { onFailure },
    ),
  )

/** What may happen at once: things that jobs do, and commands, none of which knows what the others come to. */
const happenings = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('start' as const), pick: fc.nat() }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('end' as const),
      pick: fc.nat(),
      end: fc.constantFrom('succeeded' as const, 'succeeded' as const, 'failed' as const),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constantFrom('cancel-job' as const, 'skip-job' as const),
      pick: fc.nat(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('pause' as const, 'cancel' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('continue' as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('retry' as const),
      pick: fc.option(fc.nat()),
      downstream: fc.boolean(),
    }),
  },
)
type Happening = typeof happenings extends fc.Arbitrary<infer H> ? H : never

const nth = (names: readonly string[], pick: number): string | undefined => names[pick % names.length]

/** Picks what the happening is about, among the jobs it can be about. */
const eventOf = (model: NaivePlan, happening: Happening): NaiveEvent | undefined => {
  const names = [...model.jobs.keys()]
  const those = (...states: string[]): string[] =>
    names.filter((name) => states.includes(stateOf(model, name)))
  const about = (pick: number, ...states: string[]) => nth(those(...states), pick)
  switch (happening.do) {
    case 'start': {
      const job = model.state === 'running' ? about(happening.pick, 'queued') : undefined
      return job === undefined ? undefined : { do: 'start', job }
    }
    case 'end': {
      const job = about(happening.pick, 'running')
      return job === undefined ? undefined : { do: 'end', job, end: happening.end }
    }
    case 'cancel-job': {
      const job = about(happening.pick, 'held', 'queued', 'running')
      return job === undefined ? undefined : { do: 'cancel-job', job }
    }
    case 'skip-job': {
      const job = about(happening.pick, 'held', 'queued')
      return job === undefined ? undefined : { do: 'skip-job', job }
    }
    case 'retry': {
      const job = happening.pick === null ? null : (nth(names, happening.pick) ?? null)
      return { do: 'retry', job, downstream: happening.downstream }
    }
    default:
      return { do: happening.do }
  }
}

/** One burst on both: what jobs do, they do at once; what the plan is told, it takes in its turn, perhaps amid a walk. */
const burst = (table: Table, model: NaivePlan, happenings: readonly Happening[]): void => {
  /** Jobs that the plan has withdrawn and that have not said so yet; the model knows no such moment. */
  const isBetween = (): boolean =>
    table.rows.some(
      ({ name, index, place, embodied }) =>
        (embodied || table.resident.graph.hasDeadline[index]) &&
        place !== 'settled' &&
        placeOf(model, name) === 'settled',
    )
  const taking = (event: NaiveEvent) => (): boolean => {
    if (event.do === 'retry' && isBetween()) return false
    const ended = ['succeeded', 'failed', 'cancelled'].includes(table.state())
    if (!ended && table.context().work.length > 0) notYet(model)
    happen(model, event)
    return true
  }
  for (const happening of happenings) {
    const event = eventOf(model, happening)
    if (!event) continue
    switch (event.do) {
      case 'start':
        table.start(event.job)
        happen(model, event)
        break
      case 'end':
      case 'cancel-job':
      case 'skip-job': {
        const end = { 'cancel-job': 'cancelled', 'skip-job': 'skipped', end: 'failed' } as const
        const how = event.do === 'end' ? event.end : end[event.do]
        const reason = event.do !== 'end' ? 'operator' : event.end === 'failed' ? 'exit' : null
        table.end(event.job, how, reason, taking({ do: 'hear', job: event.job }))
        happen(model, event)
        break
      }
      case 'retry': {
        const { job, downstream } = event
        table.put({ type: 'retry.requested', retry: { job, downstream } }, taking(event))
        break
      }
      case 'hear':
        break
      default:
        table.put({ type: `${event.do}.requested` }, taking(event))
    }
  }
  table.pump()
}

const seen = (table: Table) => ({
  state: table.state(),
  generation: table.context().generation,
  open: table.context().open,
  work: table.context().work.length,
  jobs: table.rows.map(({ name, place, state, reason, generation, unmet }) => ({
    name,
    place,
    state,
    reason,
    generation,
    unmet: place === 'held' ? unmet : 0,
  })),
  admits: planAdmits({ value: table.state() as 'running', context: table.context() }),
})
const expected = (model: NaivePlan) => ({
  state: model.state,
  generation: model.generation,
  open: [...model.jobs.values()].filter(({ heard }) => !heard).length,
  work: 0,
  jobs: [...model.jobs].map(([name, { reason, generation }]) => ({
    name,
    place: placeOf(model, name),
    state: stateOf(model, name),
    reason,
    generation,
    unmet: placeOf(model, name) === 'held' ? unmetOf(model, name) : 0,
  })),
  admits: model.state === 'running',
})

test.each([1, 2, 3, 1000])(
  'a plan does in portions of %i what a plan without cost does at once',
  (portion) => {
    fc.assert(
      fc.property(
        definitions,
        fc.array(fc.array(happenings, { minLength: 1, maxLength: 4 }), { maxLength: 14 }),
        (definition, bursts) => {
          const table = tableOf(definition, portion)
          const model = naivePlan(definition)
          table.pump()
          expect(seen(table)).toEqual(expected(model))
          for (const each of bursts) {
            burst(table, model, each)
            expect(seen(table)).toEqual(expected(model))
            const cancelled = model.state === 'cancelled' || model.state === 'cancelling'
            if (!cancelled && portion > 100) expect(table.context().failed).toBe(model.failed)
          }
          // What is withdrawn before its turn came is not released on the way.
          const releases = [...table.releases].sort()
          expect(releases).toEqual([...new Set(releases)])
          expect(model.releases).toEqual(expect.arrayContaining(releases))
          if (portion > 100) expect(releases).toEqual([...model.releases].sort())
          expect(table.widest()).toBeLessThanOrEqual(portion)
        },
      ),
      { seed: SEED, numRuns: RUNS / 2, verbose: 0 },
    )
    process.stdout.write(`plan and board in portions of ${portion}: seed ${SEED}, ${RUNS / 2} runs\n`)
  },
)
