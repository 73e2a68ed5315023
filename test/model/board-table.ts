/**
 * The plan machine and its board on a table: the real step, real mail in order, and jobs played by hand. No journal, no time: what
 * is tried here is what the plan decides, in portions, while more comes in.
 */
import type { Entry, Resident } from '../../src/actors/directory.ts'
import { resident } from '../../src/actors/directory.ts'
import { type Message, messageOf } from '../../src/actors/mailbox.ts'
import { createPlan, type Step, takeStep } from '../../src/actors/step.ts'
import { flatSystem } from '../../src/actors/system.ts'
import { planAddress } from '../../src/address.ts'
import type { Definition } from '../../src/definition.ts'
import { type BoardRow, graphOf, openRows } from '../../src/machines/board.ts'
import type { PlanContext } from '../../src/machines/plan.ts'
import { isJobEnd, type JobEnd } from '../../src/states.ts'
import { rowOf } from '../support/definitions.ts'

const AT = 1_000

/** Asked when the turn of a message has come; false drops it. */
export type Taking = () => boolean
const always: Taking = () => true

/** A plan on the table. */
export type Table = Readonly<{
  resident: Resident
  rows: readonly BoardRow[]
  state: () => string
  context: () => PlanContext
  /** Each release, as `name#generation`. */
  releases: readonly string[]
  /** The most rows that one step other than a retry has changed. */
  widest: () => number
  /** Puts a message last in the plan's mailbox; `taking` is called when its turn has come, and may drop it. */
  put: (event: Message['event'], taking: Taking) => void
  start: (job: string) => void
  /** Ends a job by itself; `taking` is called when the plan is about to hear of it. */
  end: (job: string, end: JobEnd, reason: string | null, taking: Taking) => void
  /** Takes messages until there are none. Throws when a plan talks to itself for ever. */
  pump: () => void
}>

/** A new plan with every message taken. */
export const tableOf = (definition: Definition, portion: number): Table => {
  const system = flatSystem()
  const graph = graphOf(definition, portion)
  const of = resident(rowOf('p-aaaaaa', AT), definition, graph, openRows('p-aaaaaa', graph, AT))
  const box: { event: Message['event']; taking: Taking }[] = []
  const releases: string[] = []
  let widest = 0
  const made = createPlan(system, of, AT)
  const address = planAddress(of.id)
  const entry: Entry = {
    address,
    kind: 'plan',
    resident: of,
    index: -1,
    actor: made.actor,
    value: '',
    context: {},
    seq: 0,
    savedSeq: 0,
  }
  of.actors.set(address, entry)

  const row = (name: string): BoardRow => {
    const found = of.rows[graph.index.get(name) ?? -1]
    if (!found) throw new Error(`no row ${name}`)
    return found
  }
  const setRow = (next: BoardRow): void => {
    const before = of.rows[next.index] as BoardRow
    const ended = isJobEnd(before.state) && before.generation === next.generation
    if (
      next.place === 'released' &&
      !ended &&
      (before.place !== 'released' || before.generation !== next.generation)
    )
      releases.push(`${next.name}#${next.generation}`)
    of.rows[next.index] = next
  }
  /** What a job's actor does with its row. */
  const become = (name: string, state: string, reason: string | null, taking: Taking = always): void => {
    const of = row(name)
    setRow({ ...of, state, reason, embodied: true })
    if (!isJobEnd(state)) return
    const { generation, attempt } = of
    box.push({ event: { type: 'job.settled', job: name, generation, attempt, state, reason }, taking })
  }
  const hear = (name: string, event: Step['event'] | { type: string }): void => {
    const { state } = row(name)
    const told = event as { type: string; reason?: string; place?: string }
    if (told.type === 'released' && state === 'held') become(name, 'queued', 'slot')
    else if (told.type === 'cancel.requested' && !isJobEnd(state)) become(name, 'cancelled', 'operator')
    else if (told.type === 'withdrawn' && (state === 'held' || state === 'queued'))
      become(name, 'skipped', told.reason ?? null)
    else if (told.type === 'reopened') {
      const held = told.place === 'held'
      become(name, held ? 'held' : 'queued', held ? 'needs' : 'slot')
    }
  }
  const apply = (step: Step): void => {
    entry.value = step.decision.value
    entry.context = step.decision.context
    if (step.change && step.event.type !== 'retry.requested')
      widest = Math.max(widest, step.change.rows.length)
    for (const next of step.change?.rows ?? []) setRow(next)
    for (const { job, event } of step.change?.posts ?? []) hear(job, event)
    for (const { event } of step.posts) box.push({ event: { ...event }, taking: always })
  }
  apply(made.step)

  return {
    resident: of,
    rows: of.rows,
    state: () => entry.value,
    context: () => entry.context as unknown as PlanContext,
    releases,
    widest: () => widest,
    put: (event, taking) => {
      box.push({ event, taking })
    },
    start: (job) => become(job, 'running', null),
    end: become,
    pump: () => {
      for (let taken = 0; box.length > 0; taken += 1) {
        if (taken > 10_000) throw new Error('the plan does not come to rest')
        const { event, taking } = box.shift() as (typeof box)[number]
        if (!taking()) continue
        const step = takeStep(system, entry, messageOf(event, {}), null, AT, () => 0)
        if (step && (step.decision.changed || step.decision.actions.length > 0)) apply(step)
      }
    },
  }
}
