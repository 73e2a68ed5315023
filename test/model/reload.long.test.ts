/**
 * A plan that is dropped from memory and loaded again after every event ends as one that never was.
 *
 * The stories are the shortest paths to every condition of a small plan, found by `xstate/graph` over the naive model. Mutations
 * that were planted once, and each made dozens of stories fail: `actorRow` writing a context that is not the latest; `consume`
 * leaving a taken message in the mail; `bringIn` giving no actor `recovered`; a row that does not follow its job.
 */

import { expect, test } from 'vitest'
import { fromTransition } from 'xstate'
import { getShortestPaths } from 'xstate/graph'
import type { Definition } from '../../src/definition.ts'
import { planOf } from '../support/definitions.ts'
import { type Life, openLife } from '../support/life.ts'
import { happen, type NaivePlan, naivePlan, stateOf } from './naive-plan.ts'

type StoryEvent = Readonly<
  | { type: 'succeed' | 'fail' | 'cancel-job' | 'skip-job'; job: string }
  | { type: 'pause' | 'continue' | 'cancel' | 'retry' }
>

/** Starts whatever may start: slots are free. */
const start = (model: NaivePlan): NaivePlan => {
  for (const [job] of model.jobs) happen(model, { do: 'start', job })
  return model
}
const told = (model: NaivePlan, event: StoryEvent): NaivePlan => {
  const next = structuredClone(model)
  switch (event.type) {
    case 'succeed':
    case 'fail':
      happen(next, { do: 'end', job: event.job, end: event.type === 'fail' ? 'failed' : 'succeeded' })
      happen(next, { do: 'hear', job: event.job })
      break
    case 'cancel-job':
    case 'skip-job':
      happen(next, { do: event.type, job: event.job })
      happen(next, { do: 'hear', job: event.job })
      break
    case 'retry':
      happen(next, { do: 'retry', job: null, downstream: false })
      break
    default:
      happen(next, { do: event.type })
  }
  return start(next)
}

const STORY_MAX = 8
const isEnd = ({ state }: NaivePlan): boolean => ['succeeded', 'failed', 'cancelled'].includes(state)
const isRetried = ({ jobs }: NaivePlan): boolean =>
  [...jobs.values()].some(({ generation }) => generation > 1)

/** The condition of a model, as far as it matters for what may come. */
const condition = (model: NaivePlan): string =>
  JSON.stringify([
    model.state,
    model.generation,
    model.failed,
    ...[...model.jobs].map(([name, job]) => [stateOf(model, name), job.reason, job.generation]),
  ])

const stories = (definition: Definition): readonly (readonly StoryEvent[])[] => {
  const jobs = Object.keys(definition.jobs)
  const events: StoryEvent[] = [
    ...jobs.flatMap((job) => (['succeed', 'fail'] as const).map((type) => ({ type, job }))),
    { type: 'cancel-job', job: 'a' },
    { type: 'skip-job', job: 'c' },
    ...(['pause', 'continue', 'cancel', 'retry'] as const).map((type) => ({ type })),
  ]
  const logic = fromTransition(
    (model: NaivePlan, event: StoryEvent) => told(model, event),
    start(naivePlan(definition)),
  )
  const paths = getShortestPaths(logic, {
    events,
    limit: 20_000,
    serializeState: ({ context }) => condition(context),
    filterEvents: ({ context }, event) =>
      (event.type !== 'retry' || !isRetried(context)) &&
      condition(told(context, event)) !== condition(context),
    // One retry: what follows a second is what followed the first.
    stopWhen: ({ context }) => isRetried(context) && isEnd(context),
  })
  // A story that another one begins with is told by that one.
  const all = paths.map(({ steps }) =>
    steps.flatMap(({ event }) => ((event as { type: string }).type === 'xstate.init' ? [] : [event])),
  )
  const starts = new Set(all.flatMap((story) => story.map((_, at) => JSON.stringify(story.slice(0, at)))))
  return all.filter((story) => story.length <= STORY_MAX && !starts.has(JSON.stringify(story)))
}

const tell = async (life: Life, event: StoryEvent): Promise<void> => {
  switch (event.type) {
    case 'succeed':
    case 'fail':
      life.attempts.end(event.job, event.type === 'fail' ? 'exit' : 'succeeded')
      break
    case 'cancel-job':
    case 'skip-job': {
      const running = (await life.job(event.job)).state === 'running'
      await life.tell(event.job, event.type === 'skip-job' ? 'skip.requested' : 'cancel.requested')
      if (running && event.type === 'cancel-job') life.attempts.end(event.job, 'cancelled')
      break
    }
    case 'retry':
      await life.tell(null, 'retry.requested', { retry: { job: null, downstream: false } })
      break
    default:
      await life.tell(null, `${event.type}.requested`)
  }
  await life.quiet()
  // What was stopped ends at once.
  for (const { name, state } of await life.jobs()) {
    if (state === 'stopping') life.attempts.end(name, 'cancelled')
  }
  await life.quiet()
}

/** Lives a story; answers what is left of it. */
const live = async (definition: Definition, story: readonly StoryEvent[], interrupted: boolean) => {
  const life = await openLife()
  await life.submit(definition)
  for (const event of story) {
    await tell(life, event)
    if (interrupted) await life.reload()
  }
  const journal = life.journal()
  const actors = (await journal.actors('p-aaaaaa')).map(({ address, state, reason, seq, snapshot }) => ({
    address,
    state,
    reason,
    seq,
    ...(JSON.parse(snapshot) as object),
  }))
  const left = {
    plan: await life.plan(),
    jobs: await life.jobs(),
    actors,
    mail: await journal.mail(),
    // Each actor's life in its order. Two jobs that are queued at the same moment may get their slots in either.
    started: [...life.attempts.started()].sort(),
    // What recovery noted is there only where there was something to recover from.
    steps: (await journal.steps({ after: 0, limit: 10_000 }))
      .filter(({ address }) => !address.startsWith('note:'))
      .toSorted((a, b) => a.address.localeCompare(b.address) || a.seq - b.seq)
      .map(({ address, seq, type, to }) => `${address} ${seq} ${type} ${to}`),
    dead: await journal.deadLetters(10),
    failures: life.failures,
  }
  await life.host().stop()
  return left
}

const plans: Readonly<Record<string, Definition>> = {
  'that goes on after a failure': planOf({
    a: {},
    b: { needs: ['a'] },
    c: { needs: { a: 'any', b: 'skipped-ok' } },
  }),
  'that stops at a failure': planOf(
    { a: {}, b: { deadlineMs: 60_000 }, c: { needs: ['a', 'b'] } },
    { onFailure: 'stop' },
  ),
  'that pauses at a failure': planOf(
    { a: { deadlineMs: 60_000 }, b: { needs: { a: 'any' } }, c: { optional: true } },
    { onFailure: 'pause' },
  ),
}

test.each(Object.entries(plans))(
  'a plan %s is the same, interrupted after every event or never',
  async (_, definition) => {
    const all = stories(definition)
    expect(all.length).toBeGreaterThan(100)

    for (const story of all) {
      const whole = await live(definition, story, false)
      const broken = await live(definition, story, true)
      const model = story.reduce(told, start(naivePlan(definition)))

      expect(broken, JSON.stringify(story)).toEqual(whole)
      expect(broken.plan.state, JSON.stringify(story)).toBe(model.state)
      expect(
        Object.fromEntries(broken.jobs.map(({ name, state, reason }) => [name, [state, reason]])),
      ).toEqual(
        Object.fromEntries(
          [...model.jobs].map(([name, { reason }]) => [name, [stateOf(model, name), reason]]),
        ),
      )
      expect(broken.mail).toEqual([])
      expect(broken.failures).toEqual([])
    }
  },
)
