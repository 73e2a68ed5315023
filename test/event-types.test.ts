import { expect, expectTypeOf, test } from 'vitest'
import type { Note } from '../src/actors/transaction.ts'
import { EVENT_TYPES, JOB_EVENTS, NOTES, PLAN_EVENTS } from '../src/event-types.ts'
import { type JobEvent, jobMachine } from '../src/machines/job.ts'
import { type PlanEvent, planMachine } from '../src/machines/plan.ts'

/** What any state of a machine answers, also where that is to stay as it is. */
const answered = ({
  config,
}: Readonly<{ config: Readonly<{ states?: object | undefined }> }>): readonly string[] => {
  const states = Object.values(config.states ?? {}) as readonly Readonly<{ on?: object }>[]
  return [...new Set(states.flatMap(({ on = {} }) => Object.keys(on)))].toSorted()
}

test('the events of plans and jobs are those that their machines know, and those that they may be told', () => {
  expect(JOB_EVENTS.toSorted()).toEqual(answered(jobMachine))
  expect(PLAN_EVENTS.toSorted()).toEqual(answered(planMachine))
  expectTypeOf<JobEvent['type']>().toEqualTypeOf<(typeof JOB_EVENTS)[number]>()
  expectTypeOf<PlanEvent['type']>().toEqualTypeOf<(typeof PLAN_EVENTS)[number]>()
  expectTypeOf<Note['type']>().toEqualTypeOf<(typeof NOTES)[number]>()
})

test('each type of event is named once', () => {
  expect(new Set(EVENT_TYPES).size).toBe(EVENT_TYPES.length)
  for (const type of [...JOB_EVENTS, ...PLAN_EVENTS, ...NOTES, 'created', 'migrated'])
    expect(EVENT_TYPES).toContain(type)
})
