/**
 * The drawings hold every state and every way, and nothing that is not in the machines.
 *
 * Mutations that were planted once, and each found: leaving out `always`; drawing only the first way of an event; forgetting
 * guards; a target taken for the state itself.
 */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { pages } from '../../scripts/docs.ts'
import { type DrawnMachine, diagrams } from '../../src/machines/diagram.ts'
import { JOB_VERSION, jobMachine } from '../../src/machines/job.ts'
import { PLAN_VERSION, planMachine } from '../../src/machines/plan.ts'
import { JOB_STATES, PLAN_STATES } from '../../src/states.ts'

type Way = Readonly<{ target?: string; guard?: unknown }>
type Written = Readonly<{ on?: Readonly<Record<string, unknown>>; always?: unknown }>

/** The ways that one entry of a definition writes. */
const ways = (entry: unknown): readonly Way[] => {
  if (typeof entry === 'string') return [{ target: entry }]
  return Array.isArray(entry) ? entry.flatMap(ways) : [entry as Way]
}
const nameOf = (guard: unknown): string | null => {
  if (guard === undefined) return null
  if (typeof guard === 'string') return guard
  const { type, params } = guard as { type: string; params?: string }
  return params === undefined ? type : `${type}(${params})`
}
/** Every way as it is written in the definition: from, event, guard, to. */
const written = (states: Readonly<Record<string, Written>>): readonly string[] =>
  Object.entries(states).flatMap(([from, { on = {}, always }]) =>
    [...(always === undefined ? [] : [['always', always] as const]), ...Object.entries(on)].flatMap(
      ([event, entry]) =>
        ways(entry).map(({ target, guard }) => `${from} ${event} ${nameOf(guard)} ${target ?? from}`),
    ),
  )
const drawn = ({ states }: DrawnMachine): readonly string[] =>
  states.flatMap(({ name, arrows }) =>
    arrows.map(({ event, guard, to }) => `${name} ${event} ${guard} ${to}`),
  )

const machines = [
  ['plan', planMachine, PLAN_VERSION, [...PLAN_STATES, 'created', 'ending']],
  ['job', jobMachine, JOB_VERSION, [...JOB_STATES, 'created', 'deciding']],
] as const
const diagramOf = (name: string) => {
  const found = diagrams.find((diagram) => diagram.name === name)
  if (!found) throw new Error(`no drawing of ${name}`)
  return found
}

test.each(machines)(
  'the drawing of a %s has its states and all ways between them',
  (name, machine, version, states) => {
    const drawing = diagramOf(name).json()
    const config = machine.config.states as unknown as Readonly<Record<string, Written>>

    expect(drawing).toMatchObject({ name, version, initial: 'created' })
    expect(drawing.states.map((state) => state.name).sort()).toEqual([...states].sort())
    expect([...drawn(drawing)].sort()).toEqual([...written(config)].sort())
    expect(drawn(drawing).some((way) => way.includes(' always '))).toBe(true)
  },
)

test.each(machines)('the drawing of a %s is JSON, and calls every action by its name', (name) => {
  const drawing = diagramOf(name).json()
  const actions = drawing.states.flatMap(({ entry, arrows }) => [
    ...entry,
    ...arrows.flatMap((arrow) => arrow.actions),
  ])

  expect(JSON.parse(JSON.stringify(drawing))).toEqual(drawing)
  for (const action of actions) expect(action).toMatch(/^[a-zA-Z]+(\([a-z.-]+\))?$/)
})

test('what a state asks for on entry is in its drawing', () => {
  const entry = (machine: string, state: string) =>
    diagramOf(machine)
      .json()
      .states.find(({ name }) => name === state)?.entry

  expect(entry('job', 'running')).toEqual(['because', 'ensureAttempt'])
  expect(entry('job', 'stopping')).toEqual(['stopAttempt'])
  expect(entry('plan', 'paused')).toEqual(['because(paused)', 'tellJobs'])
})

test.each(machines)(
  'the Mermaid of a %s says whose it is, and is a state diagram of the same ways',
  (name, _, version) => {
    const { json, mermaid } = diagramOf(name)
    const [title, head, initial, ...lines] = mermaid().split('\n')

    expect([title, head, initial]).toEqual([`%% ${name}, ${version}`, 'stateDiagram-v2', '  [*] --> created'])
    const ways = lines.map((line) => {
      const found = /^ {2}(\w+) --> (\w+): ([a-z.]+)(?: \[([A-Za-z()-]+)\])?$/.exec(line)
      if (!found) throw new Error(`not a way: ${line}`)
      const [, from, to, event, guard] = found
      return `${from} ${event} ${guard ?? null} ${to}`
    })
    expect(ways).toEqual(drawn(json()))
  },
)

test('the manual has the drawings as they are now: npm run docs', () => {
  const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
  const page = 'docs/machines.md'

  expect(read(page), 'run `npm run docs`').toBe(pages(read).get(page))
  for (const { mermaid } of diagrams) expect(read(page)).toContain(mermaid())
})
