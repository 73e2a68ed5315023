/**
 * `tenuto inspect`: one actor, looked into: its machine and what it remembers, what waits for it and when it wakes, what it did last, and
 * where it stands.
 */

import { systemClock } from '../clock.ts'
import type { Json, JsonObject } from '../json.ts'
import type { InspectionShape } from '../views/shapes.ts'
import { cut, fill, plain } from './cells.ts'
import { byHolder, homeOf, inspectHome, readIn } from './home.ts'
import { reasonOf } from './notes.ts'
import { targetOf } from './refs.ts'
import { type Globals, type Screen, screen } from './screen.ts'
import { counted, duration, outcomeInWords } from './words.ts'

/** Looks into what a ref names; answers the exit code. */
export const inspect = async (ref: string, flags: Globals): Promise<number> => {
  const on = screen(flags)
  const told = await inspection(homeOf(flags), ref)
  if (on.json) on.answer(JSON.stringify(told, null, 2))
  else for (const line of inspectionLines(told, systemClock.now(), on)) on.answer(line)
  return 0
}

const inspection = (home: string, ref: string): Promise<InspectionShape> =>
  byHolder(
    home,
    async (holder) => {
      const { plan, job } = await targetOf(holder.catalog, ref)
      return holder.inspection(plan, job)
    },
    async () => {
      const { plan, job } = await readIn(home, (catalog) => targetOf(catalog, ref))
      return inspectHome(home, job === null ? plan : `${plan}/${job}`)
    },
  )

const LABEL = 11
const STEPS_SHOWN = 8

/** An inspection as a person reads it, no line wider than the page. `now` in epoch ms. */
export const inspectionLines = (
  told: InspectionShape,
  now: number,
  { width, marks }: Pick<Screen, 'width' | 'marks'>,
): readonly string[] => {
  const { ref, state, reason, machine, seq, timers, mailbox, steps, path, live, wrong } = told
  const ago = (at: string): string => duration(Math.max(0, now - Date.parse(at)))
  const row = (label: string, lines: readonly string[]): readonly string[] =>
    lines.map((line, at) => `  ${fill(at === 0 ? label : '', LABEL)} ${line}`)
  const lines = [
    `${plain(ref)} is ${state}${reason === null || reason === state ? '' : ` (${reason})`}, generation ${told.generation}`,
    ...row('machine', [
      machine === null ? 'none yet: it is a row on the board of its plan' : `${plain(machine)}, step ${seq}`,
    ]),
    ...row('attempt', attemptLine(told)),
    ...row('board', boardLine(told, ago)),
    ...row('mailbox', [
      ...(mailbox.items.length === 0 ? ['nothing waits'] : []),
      ...mailbox.items.map(({ id, type, since, deliveries }) => {
        const tried = deliveries === 0 ? '' : `, failed ${counted(deliveries, 'time')}`
        return `#${id} ${plain(type)}, for ${ago(since)}${tried}`
      }),
      ...(mailbox.more ? [`${marks.cut} and more`] : []),
    ]),
    ...row(
      'timers',
      timers.length === 0
        ? ['none']
        : timers.map(({ name, due }) => `${name} at ${due.slice(0, 19)}Z${left(due, now)}`),
    ),
    ...row('path', [path.map(plain).join(' > ')]),
    ...row('live', [live === null ? 'not in memory' : liveLine(live)]),
    ...row('context', contextLines(told.context)),
    ...row(
      'steps',
      steps.slice(0, STEPS_SHOWN).map((step) => {
        const move =
          step.from === step.to || step.from === null ? step.to : `${step.from} ${marks.arrow} ${step.to}`
        return `${step.position}  ${step.at.slice(0, 19)}Z  ${step.type}  ${move}  ${plain(reasonOf(step))}`.trimEnd()
      }),
    ),
    ...row('unreadable', wrong.map(plain)),
  ]
  return lines.map((line) => cut(line, width, marks.cut))
}

const attemptLine = ({ kind, attempt }: InspectionShape): readonly string[] => {
  if (kind === 'plan') return []
  if (attempt === null) return ['none yet']
  const process = attempt.pid === null ? '' : `, pid ${attempt.pid}`
  return [`${attempt.n}, ${outcomeInWords(attempt)}${process}`]
}

const boardLine = ({ board }: InspectionShape, ago: (at: string) => string): readonly string[] => {
  if (board === null) return []
  const { index, place, state, unmet, since } = board
  return [`job ${index}, ${place}, ${state} for ${ago(since)}, ${counted(unmet, 'need')} unmet`]
}

const liveLine = ({
  state,
  since_ms,
  mailbox,
  restarts,
  last_error,
}: NonNullable<InspectionShape['live']>): string =>
  [
    `${state}${since_ms === null ? '' : ` for ${duration(since_ms)}`}`,
    counted(mailbox?.depth ?? 0, 'message'),
    ...(restarts === null ? [] : [`${counted(restarts.count, 'restart')} of ${restarts.intensity}`]),
    ...(last_error === null ? [] : [plain(last_error)]),
  ].join(', ')

/** One line a key, the values as JSON. */
const contextLines = (context: JsonObject | null): readonly string[] =>
  context === null
    ? ['none']
    : Object.entries(context).map(([key, value]) => `${plain(key)}: ${plain(JSON.stringify(value as Json))}`)

const left = (due: string, now: number): string => {
  const ms = Date.parse(due) - now
  return ms > 0 ? ` (in ${duration(ms)})` : ', past'
}
