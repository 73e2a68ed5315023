/**
 * Plans and jobs in rows, as `ls` and `show` print them: never wider than the terminal, whole where there is none.
 */
import type { AttemptShape, JobShape, PlanShape } from '../views/shapes.ts'
import { columns, cut, plain, widthOf, wrapped } from './cells.ts'
import { brokenAtBlanks } from './paragraph.ts'
import { type Screen, spelled } from './screen.ts'
import {
  type Around,
  counted,
  duration,
  mark,
  outcomeInWords,
  painted,
  planReasonInWords,
  reasonInWords,
} from './words.ts'

/** What rows are written on. */
export type Paper = Pick<Screen, 'width' | 'paint' | 'marks'>

/** Narrower than this, a row leaves out what the others say, too. */
const WIDE = 60
const ENDS = new Set(['succeeded', 'failed', 'cancelled', 'skipped'])

/** A line for each plan. */
export const planLines = (plans: readonly PlanShape[], on: Paper, now: number): readonly string[] => {
  const rows = plans.map((plan) => {
    const counts = Object.entries(plan.counts)
    const total = counts.reduce((sum, [, count]) => sum + count, 0)
    const done = counts.reduce((sum, [state, count]) => sum + (ENDS.has(state) ? count : 0), 0)
    const end = plan.ended_at === null ? now : Date.parse(plan.ended_at)
    const took = plan.started_at === null ? '' : duration(end - Date.parse(plan.started_at))
    const created = `${plan.created_at.slice(0, 16)}Z`
    return [
      `${mark(plan.state, on.marks)} ${plain(plan.id)}`,
      plan.state,
      `${done}/${total}`,
      took,
      ...(on.width < WIDE ? [] : [created]),
      planReasonInWords(plan),
    ]
  })
  return inColumns(rows, plans, on, { whole: true })
}

/** What is known beside the jobs. */
export type Beside = Readonly<{
  /** Names each job with its plan. */
  withPlan?: boolean
  /** The latest attempts, by job. */
  attempts?: ReadonlyMap<string, AttemptShape>
  /** Jobs whose questions nobody answered in time. */
  unanswered?: ReadonlySet<string>
  /** The states of the plans, by their ids. */
  plans?: ReadonlyMap<string, string>
}>

/** A line for each job: its state, its attempt, how long that took or the state has lasted, and why. */
export const jobLines = (
  jobs: readonly JobShape[],
  on: Paper,
  now: number,
  { withPlan = false, attempts = new Map(), unanswered = new Set(), plans = new Map() }: Beside = {},
): readonly string[] => {
  const states = new Map(jobs.map((job) => [`${job.plan}/${job.name}`, job.state]))
  const rows = jobs.map((job) => {
    const latest = attempts.get(job.name)
    const around = {
      stateOf: (name: string) => states.get(`${job.plan}/${name}`),
      last: latest,
      now,
      unanswered: unanswered.has(job.name),
      plan: plans.get(job.plan),
    }
    const attempt = job.attempt > 0 ? `#${job.attempt}` : ''
    const time = ENDS.has(job.state) ? took(latest, now) : duration(now - Date.parse(job.since))
    const why = reasonInWords(job, around)
    const first = `${mark(job.state, on.marks)} ${plain(withPlan ? `${job.plan}/${job.name}` : job.name)}`
    return on.width < WIDE
      ? [first, job.state, [attempt, why, time].filter(Boolean).join(' ')]
      : [first, job.state, attempt, time, why]
  })
  return inColumns(rows, jobs, on, { whole: withPlan, indent: withPlan || on.width < WIDE ? '' : '  ' })
}

const took = (attempt: AttemptShape | undefined, now: number): string => {
  if (!attempt || attempt.started_at === null) return ''
  return duration(
    (attempt.ended_at === null ? now : Date.parse(attempt.ended_at)) - Date.parse(attempt.started_at),
  )
}

const inColumns = (
  rows: readonly (readonly string[])[],
  of: readonly Readonly<{ state: string }>[],
  on: Paper,
  { whole, indent = '' }: Readonly<{ whole: boolean; indent?: string }>,
): readonly string[] =>
  columns(rows, {
    whole,
    width: on.width - indent.length,
    sign: on.marks.cut,
    paint: (cell, column, row) => colored(cell, column, of[row]?.state ?? '', on),
  }).map((line) => indent + line)

/** The mark and the state in its colour, what only waits or never ran dim, the name plain, the rest dim. */
export const colored = (cell: string, column: number, state: string, on: Pick<Paper, 'paint'>): string => {
  if (state === 'held' || state === 'queued' || state === 'skipped' || column > 1) return on.paint.dim(cell)
  if (column === 1) return painted(cell, state, on)
  const [sign = '', ...name] = cell.split(' ')
  return [painted(sign, state, on), ...name].join(' ')
}

/** What is known beside the rows of one job. */
export type AroundOne = Readonly<{
  /** Nobody holds its home: what was running may have ended. */
  unwatched?: boolean
  /** The time of its question was up without an answer. */
  unanswered?: boolean
  /** The state of its plan. */
  plan?: string
}>

/** Everything about one job; `others` are the jobs of its plan, where they say why it waits. */
export const oneJobLines = (
  job: JobShape,
  attempts: readonly AttemptShape[],
  others: readonly JobShape[],
  on: Paper,
  now: number,
  { unwatched = false, unanswered = false, plan }: AroundOne = {},
): readonly string[] => {
  const states = new Map(others.map(({ name, state }) => [name, state]))
  const around: Around = { stateOf: (name) => states.get(name), last: attempts.at(-1), now, unanswered, plan }
  const needs = Object.entries(job.needs).map(([name, need]) =>
    need === 'success' ? plain(name) : `${plain(name)} (${need})`,
  )
  const since = `${job.since.slice(0, 19)}Z (${duration(now - Date.parse(job.since))} ago)`
  const facts = [
    ['kind', plain(job.kind)],
    ['since', since],
    ...(job.prompt === undefined ? [] : [['asks', plain(job.prompt)]]),
    ...(job.prompt === undefined || job.wake_at === null
      ? []
      : [
          ['until', `${job.wake_at.slice(0, 19)}Z${Date.parse(job.wake_at) <= now ? ', which is over' : ''}`],
        ]),
    ...(job.optional ? [['optional', 'its failure does not fail the plan']] : []),
    ...(needs.length > 0 ? [['needs', needs.join(', ')]] : []),
    ...(job.outputs === null ? [] : [['outputs', spelled(JSON.stringify(job.outputs))]]),
  ]
  const tries = attempts.map((attempt) => [
    `#${attempt.n}`,
    unwatched && attempt.outcome === null ? 'was running' : outcomeInWords(attempt),
    took(attempt, now),
    attempt.started_at === null ? '' : `${attempt.started_at.slice(0, 19)}Z`,
    attempt.pid === null ? '' : `pid ${attempt.pid}`,
    attempt.leftovers > 0
      ? `${counted(attempt.leftovers, 'process', 'processes')} left behind ${attempt.leftovers === 1 ? 'was' : 'were'} ended`
      : '',
  ])
  const open = attempts.find(({ outcome }) => outcome === null)
  const last =
    unwatched && open !== undefined
      ? [
          `#${open.n} ran when it was last seen, and nobody watches it now; \`tenuto resume ${job.plan}\` finds out whether it still runs`,
        ]
      : []
  const said = attempts.flatMap(({ n, error, warnings }) => [
    ...(error === null ? [] : [`#${n} error: ${plain(error)}`]),
    ...warnings.map((warning) => `#${n} warning: ${plain(warning)}`),
  ])
  const head = [
    `${mark(job.state, on.marks)} ${plain(`${job.plan}/${job.name}`)}`,
    job.state,
    reasonInWords(job, around),
  ]
  const layout = { width: on.width - 2, sign: on.marks.cut }
  return [
    ...inColumns([head], [job], on, { whole: true }),
    ...facts.map(([name = '', value = '']) => cut(`  ${name.padEnd(10)}${value}`, on.width, on.marks.cut)),
    ...columns(tries, layout).map((line) => `  ${line}`),
    ...[...said, ...last].flatMap((text) => sentence(text, layout.width).map((line) => `  ${line}`)),
  ]
}

/** A command stays whole, to be copied; any other word that is wider than the terminal is broken. */
const sentence = (text: string, width: number): readonly string[] =>
  brokenAtBlanks(text, width).flatMap((line) =>
    widthOf(line) <= width || line.includes('`') ? [line] : wrapped(line, width),
  )
