import { expect, test } from 'vitest'
import { type AnyStateMachine, initialTransition, transition } from 'xstate'
import type { Asks } from '../../src/machines/effect.ts'
import {
  type JobEvent,
  type JobInput,
  type JobSnapshot,
  jobAsks,
  jobMachine,
} from '../../src/machines/job.ts'

const input: JobInput = {
  job: 'a',
  generation: 1,
  attempt: 0,
  place: 'released',
  at: 1000,
  paused: false,
  policy: {
    deadlineMs: 60_000,
    retry: { max: 1, delayMs: 10, factor: 2, maxDelayMs: 100, jitter: 0, on: ['exit'] },
  },
}
const ended = (outcome: 'exit' | 'lost'): JobEvent => ({
  type: 'attempt.ended',
  at: 2000,
  generation: 1,
  attempt: 1,
  outcome,
  code: 1,
  signal: null,
  startedAt: null,
  endedAt: null,
  pid: null,
  draw: 0,
})
const granted: JobEvent = { type: 'slot.granted', at: 1500 }

/** What the actions of one step ask for, in the words of `asks`. */
const asked = (actions: readonly { type: string; params?: unknown }[]): Omit<Asks, 'slot'> => {
  const found = actions.map(({ type, params }) => ({ ...(params as object), type }))
  const attempt = found.find(({ type }) => type === 'ensureAttempt' || type === 'stopAttempt')
  const timers = found.flatMap((each) => (each.type === 'armTimers' ? (each as unknown as Asks).timers : []))
  return { attempt: (attempt as Asks['attempt']) ?? null, timers }
}

const lives: Readonly<Record<string, readonly JobEvent[]>> = {
  queued: [],
  running: [granted],
  stopping: [granted, { type: 'cancel.requested', at: 1600 }],
  backoff: [granted, ended('exit')],
  waiting: [granted, ended('lost')],
}

// Fails when `recovered` in `backoff` forgets its timers, and when `jobAsks` of `stopping` says `ensureAttempt`.
test.each(Object.entries(lives))('entering %s, recovered in it, and asks say the same', (state, events) => {
  let [snapshot, actions] = initialTransition(jobMachine, input)
  for (const event of events) [snapshot, actions] = transition(jobMachine, snapshot, event)
  const [again, recovered] = transition(jobMachine as AnyStateMachine, snapshot, {
    type: 'recovered',
    at: 3000,
  })

  expect(snapshot.value).toBe(state)
  const { attempt, timers } = jobAsks(snapshot as JobSnapshot)
  expect(asked(actions)).toEqual({ attempt, timers })
  expect(asked(recovered)).toEqual({ attempt, timers })
  expect(again.value).toBe(state)
  expect(again.context).toBe(snapshot.context)
})

test('a slot is wanted in queued, held in running and stopping, and nowhere else', () => {
  const slots = Object.values(lives).map((events) => {
    let [snapshot] = initialTransition(jobMachine, input)
    for (const event of events) [snapshot] = transition(jobMachine, snapshot, event)
    return [snapshot.value, jobAsks(snapshot).slot]
  })

  expect(Object.fromEntries(slots)).toEqual({
    queued: 'wanted',
    running: 'held',
    stopping: 'held',
    backoff: 'none',
    waiting: 'none',
  })
})
