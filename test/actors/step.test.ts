import { expect, test } from 'vitest'
import { type Entry, type Resident, resident } from '../../src/actors/directory.ts'
import { type Message, messageOf } from '../../src/actors/mailbox.ts'
import { createJob, createPlan, type Step, takeStep } from '../../src/actors/step.ts'
import { flatSystem, type LiveActor } from '../../src/actors/system.ts'
import { type Address, jobAddress, planAddress } from '../../src/address.ts'
import type { BoardRow } from '../../src/machines/board.ts'
import { graphOf, openRows } from '../../src/machines/board.ts'
import { planOf, rowOf } from '../support/definitions.ts'

const AT = 7_000
const system = flatSystem()
const definition = planOf({ a: { deadlineMs: 500 }, b: { needs: ['a'] }, c: { optional: true } })

const opened = (): Resident => {
  const graph = graphOf(definition)
  return resident(rowOf('p-aaaaaa', AT), definition, graph, openRows('p-aaaaaa', graph, AT))
}
const entryOf = (
  of: Resident,
  address: Address,
  index: number,
  { actor, step }: Readonly<{ actor: LiveActor; step: Step }>,
): Entry => {
  const { value, context } = step.decision
  const kind = index < 0 ? 'plan' : 'job'
  const entry = { address, kind, resident: of, index, actor, value, context, seq: 1, savedSeq: 1 } as const
  of.actors.set(address, { ...entry })
  return { ...entry }
}
const take = (entry: Entry, event: Message['event'], random = () => 0): Step | undefined => {
  const step = takeStep(system, entry, messageOf(event, {}), null, AT, random)
  if (step) Object.assign(entry, { value: step.decision.value, context: step.decision.context })
  return step
}
const planOn = (of: Resident): Entry => entryOf(of, planAddress(of.id), -1, createPlan(system, of, AT))
const jobOn = (of: Resident, name: string, more: Partial<BoardRow> = {}): Entry => {
  const index = of.graph.index.get(name) ?? -1
  const address = jobAddress(of.id, name)
  const row = { ...(of.rows[index] as BoardRow), ...more }
  return entryOf(of, address, index, createJob(system, of, row, address, AT))
}

test('the first step of a plan tells itself to walk, and knows its jobs', () => {
  const of = opened()
  const { step } = createPlan(system, of, AT)

  expect(step.event).toEqual({
    type: 'created',
    at: AT,
    input: { jobs: 3, onFailure: 'continue', deadlines: true },
  })
  expect(step.posts).toEqual([{ to: 'plan:p-aaaaaa', event: { type: 'more' } }])
  expect(step.decision).toMatchObject({ value: 'running', context: { open: 3 } })
})

test('the first step of a job is from its row: held, or queued since its release', () => {
  const of = opened()
  const held = createJob(system, of, of.rows[0] as BoardRow, 'job:p-aaaaaa/a', AT + 9)
  const queued = createJob(
    system,
    of,
    { ...(of.rows[0] as BoardRow), state: 'queued', since: AT, attempt: 4, generation: 2 },
    'job:p-aaaaaa/a',
    AT + 9,
  )

  expect(held.step.decision).toMatchObject({ value: 'held', context: { deadlineAt: null } })
  expect(queued.step.decision).toMatchObject({
    value: 'queued',
    context: { deadlineAt: AT + 500, attempt: 4, generation: 2 },
  })
  expect(queued.step.effects).toEqual([{ type: 'armTimers', timers: [{ name: 'deadline', at: AT + 500 }] }])
})

test('a job that is made while its plan is paused knows it', () => {
  const of = opened()
  const plan = planOn(of)
  take(plan, { type: 'pause.requested', at: AT })
  of.actors.set(plan.address, plan)

  expect(jobOn(of, 'a', { state: 'queued' }).context).toMatchObject({ paused: true, pausedAt: AT })
})

test('a message to a plan comes with what its board makes of it, and the change comes with the step', () => {
  const of = opened()
  const plan = planOn(of)

  const step = take(plan, { type: 'more', at: AT })

  expect(step?.event['verdict']).toEqual({ known: true, settled: 0, work: [] })
  expect(step?.change?.rows.map(({ name, place }) => `${name} ${place}`)).toEqual([
    'a released',
    'c released',
  ])
})

test('an end that the board does not know is refused, and changes nothing', () => {
  const of = opened()
  const plan = planOn(of)
  take(plan, { type: 'more', at: AT })

  const settled = {
    type: 'job.settled',
    job: 'x',
    generation: 1,
    attempt: 1,
    state: 'failed',
    reason: 'exit',
  }
  const step = take(plan, settled)

  expect(step?.decision).toMatchObject({ changed: false, actions: [] })
  expect(step?.change).toBeNull()
})

test('the end of an optional job says that it is optional', () => {
  const of = opened()
  const plan = planOn(of)
  take(plan, { type: 'more', at: AT })
  of.rows[2] = { ...(of.rows[2] as BoardRow), place: 'released' }

  const settled = {
    type: 'job.settled',
    job: 'c',
    generation: 1,
    attempt: 1,
    state: 'failed',
    reason: 'exit',
  }
  const step = take(plan, settled)

  expect(step?.event['optional']).toBe(true)
  expect(step?.decision.context['failed']).toBeNull()
})

test('a retry that opens nothing is refused before the machine hears of it', () => {
  const plan = planOn(opened())

  expect(take(plan, { type: 'retry.requested', retry: { job: null, downstream: false } })).toBeUndefined()
})

test('the draw for jitter comes with the end of an attempt, and is kept with the event', () => {
  const of = opened()
  const job = jobOn(of, 'a', { state: 'queued' })
  take(job, { type: 'slot.granted', at: AT })

  const ended = { type: 'attempt.ended', attempt: 1, generation: 1, outcome: 'never-started', code: null }
  const step = take(job, ended, () => 0.5)

  expect(step?.event).toMatchObject({ draw: 0.5, at: AT })
  expect(step?.decision.context['wakeAt']).toBe(AT + 220)
})

test('a settled job posts to its plan and asks for nothing', () => {
  const of = opened()
  const job = jobOn(of, 'b')

  const step = take(job, { type: 'cancel.requested', at: AT })

  expect(step?.effects).toEqual([])
  expect(step?.posts).toEqual([
    {
      to: 'plan:p-aaaaaa',
      event: {
        type: 'job.settled',
        job: 'b',
        generation: 1,
        attempt: 0,
        state: 'cancelled',
        reason: 'operator',
      },
    },
  ])
})

test('a message that cannot be judged throws before anything is decided', () => {
  const plan = planOn(opened())
  const before = plan.actor.getSnapshot() as unknown

  expect(() => take(plan, { type: 'retry.requested', retry: null })).toThrow(TypeError)

  expect(plan.actor.getSnapshot()).toBe(before)
})
