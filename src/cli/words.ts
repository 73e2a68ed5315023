/**
 * States, reasons and times in words, the same in every command.
 */
import stringWidth from 'string-width'
import type { AttemptShape, JobShape } from '../views/shapes.ts'
import type { Marks, Screen } from './screen.ts'

/** A duration as a person reads it: `8ms`, `0.4s`, `12s`, `4m 11s`, `2h 05m`. */
export const duration = (ms: number): string => {
  if (ms < 100) return `${Math.max(0, Math.round(ms))}ms`
  const seconds = Math.max(0, ms) / 1000
  if (seconds < 10) return `${seconds.toFixed(1)}s`
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole}s`
  const minutes = Math.floor(whole / 60)
  if (minutes < 60) return `${minutes}m ${String(whole % 60).padStart(2, '0')}s`
  return `${Math.floor(minutes / 60)}h ${String(minutes % 60).padStart(2, '0')}m`
}

/** The mark of a state. */
export const mark = (state: string, marks: Marks): string => {
  switch (state) {
    case 'succeeded':
      return marks.succeeded
    case 'failed':
    case 'cancelled':
      return marks.failed
    case 'skipped':
      return marks.skipped
    case 'running':
    case 'stopping':
    case 'cancelling':
      return marks.running
    case 'backoff':
      return marks.retry
    default:
      return marks.waiting
  }
}

/** A text in the colour of a state. */
export const painted = (text: string, state: string, { paint }: Pick<Screen, 'paint'>): string => {
  switch (state) {
    case 'succeeded':
      return paint.green(text)
    case 'failed':
      return paint.red(text)
    case 'cancelled':
    case 'stopping':
    case 'cancelling':
    case 'backoff':
    case 'waiting':
    case 'paused':
    case 'quarantined':
      return paint.yellow(text)
    case 'running':
      return paint.cyan(text)
    default:
      return paint.dim(text)
  }
}

const REASONS: Readonly<Record<string, string>> = {
  slot: 'waits for a slot',
  paused: 'its plan is paused',
  quarantined: 'its plan is quarantined',
  lost: 'its end was not seen; retry, skip or cancel it',
  'never-started': 'could not be started',
  'stop-cancel': 'is being cancelled',
  'stop-timeout': 'its time is up; it is being stopped',
  'stop-stall': 'fell silent; it is being stopped',
  'stop-deadline': 'its deadline has passed; it is being stopped',
  timeout: 'its time was up',
  stall: 'fell silent',
  deadline: 'its deadline passed',
  'spawn-error': 'could not be started',
  'log-limit': 'wrote more than its log may hold',
  'need-failed': 'a job it needs did not succeed',
  'on-failure-stop': 'another job failed',
  operator: 'by order',
  fault: 'its actor failed',
  cancelled: 'cancelled',
}

/** Why a job is where it is, in words; empty where nothing needs saying. `open` names the needs that are not met. */
export const reasonInWords = (
  job: Pick<JobShape, 'state' | 'reason' | 'wake_at'>,
  open: readonly string[] = [],
  last?: Pick<AttemptShape, 'outcome' | 'code' | 'signal'>,
  now?: number,
): string => {
  const ended = last ? outcomeInWords(last) : ''
  if (job.reason === null) return ''
  if (job.reason === 'needs') return open.length === 0 ? 'waits for its needs' : `needs ${listed(open)}`
  if (job.reason === 'backoff') {
    const when =
      job.wake_at === null || now === undefined ? '' : ` in ${duration(Date.parse(job.wake_at) - now)}`
    return `retries${when}${ended ? ` (${ended})` : ''}`
  }
  if (job.state === 'failed' && (job.reason === 'exit' || job.reason === 'signal') && ended) return ended
  return REASONS[job.reason] ?? job.reason
}

/** How an attempt ended, in words. */
export const outcomeInWords = ({
  outcome,
  code,
  signal,
}: Pick<AttemptShape, 'outcome' | 'code' | 'signal'>): string => {
  if (outcome === 'exit') return `exit ${code}`
  if (outcome === 'signal') return `signal ${signal}`
  return outcome ?? 'running'
}

const listed = (names: readonly string[]): string =>
  names.length > 3 ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} more` : names.join(', ')

/** A text cut or filled to a width of columns. */
export const fit = (text: string, width: number): string => {
  const have = stringWidth(text)
  if (have <= width) return text + ' '.repeat(width - have)
  return width <= 1 ? text.slice(0, width) : `${cut(text, width - 1)}…`
}

/** A text without what does not fit. */
export const cut = (text: string, width: number): string => {
  if (stringWidth(text) <= width) return text
  let kept = ''
  for (const character of text) {
    if (stringWidth(kept + character) > width) break
    kept += character
  }
  return kept
}

/** Rows of columns, each as wide as its widest cell; the last is cut at the width of the screen. */
export const columns = (rows: readonly (readonly string[])[], width: number): readonly string[] => {
  const widths = (rows[0] ?? []).map((_, at) => Math.max(...rows.map((row) => stringWidth(row[at] ?? ''))))
  return rows.map((row) => {
    const cells = row.map((cell, at) => (at === row.length - 1 ? cell : fit(cell, widths[at] ?? 0)))
    return cut(cells.join('  ').trimEnd(), width)
  })
}
