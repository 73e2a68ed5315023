/**
 * A plan drawn: as a tree to read, as Mermaid or Graphviz to render, as JSON to compute with. Needs no more than its definition; the
 * states of its jobs are shown where they are known.
 */
import type { Definition, JobDefinition, Need } from '../definition.ts'
import type { JobState } from '../states.ts'

/** The forms a plan can be drawn in. */
export const GRAPH_FORMATS = ['tree', 'mermaid', 'dot', 'json'] as const
/** A form a plan can be drawn in. */
export type GraphFormat = (typeof GRAPH_FORMATS)[number]

/** The state of a job, and why it is in it. */
export type GraphState = Readonly<{ state: JobState; reason?: string | null }>

/** What is shown besides the definition. */
export type GraphOptions = Readonly<{
  states?: ReadonlyMap<string, GraphState>
  /** Columns of the tree; default 80. */
  width?: number
}>

/** Draws a plan; the text ends in a newline. Takes time and space linear in jobs and needs. */
export const renderGraph = (
  definition: Definition,
  format: GraphFormat,
  options: GraphOptions = {},
): string => {
  const states = options.states ?? new Map<string, GraphState>()
  switch (format) {
    case 'tree':
      return tree(definition, states, Math.max(40, options.width ?? 80))
    case 'mermaid':
      return mermaid(definition, states)
    case 'dot':
      return dot(definition, states)
    case 'json':
      return json(definition, states)
  }
}

type States = ReadonlyMap<string, GraphState>

const MARKS: Readonly<Record<JobState, string>> = {
  held: '·',
  queued: '◌',
  running: '●',
  backoff: '↻',
  waiting: '‖',
  stopping: '◼',
  succeeded: '✓',
  failed: '✗',
  cancelled: '⊘',
  skipped: '»',
}

const stateText = (found: GraphState | undefined): string => {
  if (found === undefined) return ''
  const reason = found.reason === undefined || found.reason === null ? '' : ` (${found.reason})`
  return `${MARKS[found.state]} ${found.state}${reason}`
}

/** The jobs that need each job, in the order of the plan. */
const dependantsOf = (definition: Definition): ReadonlyMap<string, string[]> => {
  const dependants = new Map<string, string[]>(Object.keys(definition.jobs).map((name) => [name, []]))
  for (const [name, job] of Object.entries(definition.jobs)) {
    for (const need of Object.keys(job.needs)) dependants.get(need)?.push(name)
  }
  return dependants
}

const cut = (text: string, width: number): string =>
  text.length > width ? `${text.slice(0, width - 1)}…` : text

// Each job has one line of its own, under the first of its needs that is drawn; under the others it is only named, after an arrow.
// A branch that would leave the right half of the screen goes on further down, at the left.
const tree = (definition: Definition, states: States, width: number): string => {
  const depthMax = Math.floor(width / 6)
  const dependants = dependantsOf(definition)
  const names = Object.keys(definition.jobs)
  const lines = [`${definition.name} (${names.length === 1 ? '1 job' : `${names.length} jobs`})`]
  const drawn = new Set<string>()
  const later: Readonly<{ name: string; own: readonly string[] }>[] = []
  const roots = names.filter((name) => Object.keys(definition.jobs[name]?.needs ?? {}).length === 0)
  type Place = Readonly<{ name: string; indent: string; last: boolean; depth: number }>
  const stack: Place[] = []
  const pushAll = (jobs: readonly string[], indent: string, depth: number): void => {
    for (const [index, name] of [...jobs.entries()].reverse()) {
      stack.push({ name, indent, last: index === jobs.length - 1, depth })
    }
  }
  for (const name of roots) drawn.add(name)
  pushAll(roots, '', 0)
  for (;;) {
    const place = stack.pop()
    if (place === undefined) {
      const next = later.shift()
      if (next === undefined) return `${lines.join('\n')}\n`
      lines.push(cut(`${next.name}  (from above)`, width))
      pushAll(next.own, '', 1)
      continue
    }
    const { name, indent, last, depth } = place
    const after = dependants.get(name) ?? []
    const own = after.filter((job) => !drawn.has(job))
    const others = after.filter((job) => drawn.has(job))
    for (const job of own) drawn.add(job)
    const tooDeep = depth >= depthMax && own.length > 0
    const head = `${indent}${last ? '└─ ' : '├─ '}`
    const asks = Object.entries(definition.jobs[name]?.needs ?? {}).filter(([, asked]) => asked !== 'success')
    const text = [
      name,
      stateText(states.get(name)),
      asks.length === 0 ? '' : `[${asks.map(([need, asked]) => `${need}: ${asked}`).join(', ')}]`,
      tooDeep ? '⋯ below' : '',
    ]
      .filter((part) => part !== '')
      .join('  ')
    lines.push(cut(`${head}${text}${arrows(others, width - head.length - text.length)}`, width))
    if (tooDeep) later.push({ name, own })
    else pushAll(own, `${indent}${last ? '   ' : '│  '}`, depth + 1)
  }
}

/** The jobs that stand elsewhere, as many as there is room for. */
const arrows = (jobs: readonly string[], room: number): string => {
  const [first] = jobs
  if (first === undefined) return ''
  let text = ` → ${first}`
  let shown = 1
  for (const job of jobs.slice(1)) {
    if (text.length + job.length + 12 > room) break
    text += `, ${job}`
    shown += 1
  }
  return shown === jobs.length ? text : `${text}, +${jobs.length - shown}`
}

const quote = (text: string): string => `"${text.replace(/["\\]/g, '\\$&')}"`

const edges = function* (
  definition: Definition,
): Generator<Readonly<{ from: string; to: string; asks: Need }>> {
  for (const [to, job] of Object.entries(definition.jobs)) {
    for (const [from, asks] of Object.entries(job.needs)) yield { from, to, asks }
  }
}

const mermaid = (definition: Definition, states: States): string => {
  const ids = new Map(Object.keys(definition.jobs).map((name, index) => [name, `n${index}`]))
  const lines = ['flowchart TD']
  const used = new Set<JobState>()
  for (const [name, id] of ids) {
    const found = states.get(name)
    const label = [name, stateText(found)].filter((part) => part !== '').join('<br/>')
    if (found !== undefined) used.add(found.state)
    lines.push(`  ${id}["${label.replace(/"/g, '#quot;')}"]${found === undefined ? '' : `:::${found.state}`}`)
  }
  for (const { from, to, asks } of edges(definition)) {
    const arrow = asks === 'success' ? '-->' : `-. ${asks} .->`
    lines.push(`  ${ids.get(from)} ${arrow} ${ids.get(to)}`)
  }
  for (const state of used) lines.push(`  classDef ${state} fill:${COLOURS[state]},color:#111`)
  return `${lines.join('\n')}\n`
}

const COLOURS: Readonly<Record<JobState, string>> = {
  held: '#e5e7eb',
  queued: '#dbeafe',
  running: '#93c5fd',
  backoff: '#fde68a',
  waiting: '#fdba74',
  stopping: '#fca5a5',
  succeeded: '#86efac',
  failed: '#f87171',
  cancelled: '#d1d5db',
  skipped: '#f3f4f6',
}

const dot = (definition: Definition, states: States): string => {
  const lines = [
    `digraph ${quote(definition.name)} {`,
    '  rankdir=TB',
    '  node [shape=box, style="rounded,filled", fillcolor=white]',
  ]
  for (const name of Object.keys(definition.jobs)) {
    const found = states.get(name)
    const look =
      found === undefined
        ? ''
        : ` [label=${quote(name).slice(0, -1)}\\n${stateText(found)}", fillcolor="${COLOURS[found.state]}"]`
    lines.push(`  ${quote(name)}${look}`)
  }
  for (const { from, to, asks } of edges(definition)) {
    lines.push(
      `  ${quote(from)} -> ${quote(to)}${asks === 'success' ? '' : ` [style=dashed, label="${asks}"]`}`,
    )
  }
  return `${lines.join('\n')}\n}\n`
}

const json = (definition: Definition, states: States): string => {
  const jobs = Object.entries<JobDefinition>(definition.jobs).map(([name, job]) => {
    const found = states.get(name)
    const shown = found === undefined ? {} : { state: found.state, reason: found.reason ?? null }
    return {
      name,
      kind: job.kind,
      needs: job.needs,
      ...(job.optional === true ? { optional: true } : {}),
      ...shown,
    }
  })
  return `${JSON.stringify({ name: definition.name, jobs }, null, 2)}\n`
}
