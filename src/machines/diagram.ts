/**
 * The machines as drawings: Mermaid for people, JSON for programs. Made from the definitions themselves, so that they cannot differ.
 */
import type { AnyStateMachine, AnyTransitionDefinition } from 'xstate'
import { JOB_VERSION, jobMachine } from './job.ts'
import { PLAN_VERSION, planMachine } from './plan.ts'

/** One way out of a state. */
export type Arrow = Readonly<{ event: string; to: string; guard: string | null; actions: readonly string[] }>
/** A state: what it asks for on entry, and the ways out of it. */
export type DrawnState = Readonly<{ name: string; entry: readonly string[]; arrows: readonly Arrow[] }>
/** A machine without its functions. */
export type DrawnMachine = Readonly<{
  name: string
  version: string
  initial: string
  states: readonly DrawnState[]
}>
/** A machine that can be drawn. */
export type Diagram = Readonly<{ name: string; json: () => DrawnMachine; mermaid: () => string }>

/** What an action, a guard or a bare name is called; a function that has no name of its own is `…`. */
const nameOf = (thing: unknown): string => {
  if (typeof thing === 'string') return thing
  // Actions of several parts are functions that XState wraps; the name is that of what is wrapped.
  const { type, collect } = thing as Readonly<{ type?: unknown; collect?: Readonly<{ name: string }> }>
  if (collect) return collect.name || '…'
  return typeof type === 'string' ? type : '…'
}
const described = (thing: unknown): string => {
  const { params } = thing as Readonly<{ params?: unknown }>
  return typeof params === 'string' ? `${nameOf(thing)}(${params})` : nameOf(thing)
}

const arrow = (from: string, transition: AnyTransitionDefinition): Arrow => ({
  event: transition.eventType === '' ? 'always' : transition.eventType,
  to: transition.target?.[0]?.key ?? from,
  guard: transition.guard === undefined ? null : described(transition.guard),
  actions: transition.actions.map(described),
})

const drawn = (machine: AnyStateMachine, version: string): DrawnMachine => ({
  name: machine.id,
  version,
  initial: machine.root.initial.target[0]?.key ?? '',
  states: Object.values(machine.root.states).map((state) => ({
    name: state.key,
    entry: state.entry.map(described),
    arrows: [...(state.always ?? []), ...[...state.transitions.values()].flat()].map((each) =>
      arrow(state.key, each),
    ),
  })),
})

const mermaid = ({ name: machine, version, initial, states }: DrawnMachine): string => {
  const lines = states.flatMap(({ name, arrows }) =>
    arrows.map(
      ({ event, to, guard }) => `  ${name} --> ${to}: ${event}${guard === null ? '' : ` [${guard}]`}`,
    ),
  )
  // As a comment: several are printed one after another, and each is drawn by itself.
  return [`%% ${machine}, ${version}`, 'stateDiagram-v2', `  [*] --> ${initial}`, ...lines].join('\n')
}

const diagram = (machine: AnyStateMachine, version: string): Diagram => ({
  name: machine.id,
  json: () => drawn(machine, version),
  mermaid: () => mermaid(drawn(machine, version)),
})

/** The machines of plans and jobs. */
export const diagrams: readonly Diagram[] = [
  diagram(planMachine, PLAN_VERSION),
  diagram(jobMachine, JOB_VERSION),
]
