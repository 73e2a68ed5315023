/**
 * What the runtime has noted about a plan, in words: what the last recovery found, what the sweep repaired, why it is quarantined.
 */
import type { EventShape, PlanShape } from '../views/shapes.ts'
import { plain } from './cells.ts'
import { counted, duration } from './words.ts'

/** What the last start found of the attempts that were in flight, and of all other jobs. */
export type RecoveryShape = Readonly<{
  at: string
  jobs: number
  in_flight: number
  unchanged: number
  found: readonly Readonly<{ job: string; attempt: number; what: string; pid?: number }>[]
}>

/** A repair of the sweep. */
export type RepairShape = Readonly<{ at: string; kind: string; job: string | null; age_ms: number }>

const REPAIRS_SHOWN = 5

const recoveryOf = (notes: readonly EventShape[]): RecoveryShape | null => {
  const last = notes.findIndex(({ type, job }) => type === 'recovered' && job === undefined)
  const start = notes[last]
  if (!start) return null
  const detail = (start.detail ?? {}) as Readonly<Record<string, number>>
  const found = notes.slice(0, last).flatMap(({ type, job, attempt = 0, detail: more }) => {
    if (type !== 'recovered' || job === undefined) return []
    const { found: what = '', pid } = (more ?? {}) as Readonly<{ found?: string; pid?: number | null }>
    return [{ job, attempt, what, ...(typeof pid === 'number' ? { pid } : {}) }]
  })
  const { jobs = 0, inFlight = 0, unchanged = 0 } = detail
  return { at: start.at, jobs, in_flight: inFlight, unchanged, found: found.toReversed() }
}

const repairsOf = (notes: readonly EventShape[]): readonly RepairShape[] =>
  notes.flatMap(({ type, at, job = null, detail }) => {
    if (type !== 'sweep.repaired') return []
    const { kind = '', ageMs = 0 } = (detail ?? {}) as Readonly<{ kind?: string; ageMs?: number }>
    return [{ at, kind, job, age_ms: ageMs }]
  })

/** The notes as a program reads them. */
export const notesShape = (
  notes: readonly EventShape[],
): Readonly<{ recovery: RecoveryShape | null; repairs: readonly RepairShape[] }> => ({
  recovery: recoveryOf(notes),
  repairs: repairsOf(notes),
})

const WHAT: Readonly<Record<string, string>> = {
  adopted: 'adopted',
  requeued: 'had not begun, started then',
  'ended-meanwhile': 'ended meanwhile',
  'never-started': 'could not be started',
  lost: 'lost',
}
const FOUND_SHOWN = 8

/** Why something happened, or, of a note, what was found, repaired or given; empty where nothing of that is said. */
export const reasonOf = ({ reason, detail }: Pick<EventShape, 'reason' | 'detail'>): string => {
  const { found, kind, names } = detail ?? {}
  const given = Array.isArray(names) ? names.join(', ') : undefined
  return reason ?? [found, kind, given].find((each) => typeof each === 'string') ?? ''
}

/** The notes as a person reads them, a line each. */
export const noteLines = (plan: PlanShape, notes: readonly EventShape[], now: number): readonly string[] => {
  const { recovery, repairs } = notesShape(notes)
  const lines: string[] = []
  if (plan.error !== null) lines.push(`it cannot be loaded: ${plain(plan.error)}`)
  if (recovery) {
    const ago = duration(now - Date.parse(recovery.at))
    const { in_flight: inFlight, unchanged } = recovery
    lines.push(
      `taken up ${ago} ago: ${counted(inFlight, 'attempt')} in flight, ${counted(unchanged, 'job')} as before`,
    )
    for (const { job, what, pid } of recovery.found.slice(0, FOUND_SHOWN))
      lines.push(`  ${plain(job)} ${WHAT[what] ?? plain(what)}${pid === undefined ? '' : ` (pid ${pid})`}`)
    const more = recovery.found.length - FOUND_SHOWN
    if (more > 0) lines.push(`  and ${more} more`)
  }
  for (const { at, kind, job, age_ms: age } of repairs.slice(0, REPAIRS_SHOWN)) {
    const of = job === null ? '' : ` of ${plain(job)}`
    lines.push(`the sweep repaired ${kind}${of} at ${at.slice(0, 19)}Z, ${duration(age)} old`)
  }
  for (const { type, at, job, detail } of notes) {
    if (type !== 'quarantined' || job === undefined || job === null) continue
    const [why = ''] = String((detail as { why?: string } | undefined)?.why ?? '').split('\n')
    lines.push(
      `${plain(job)} is left alone since ${at.slice(0, 19)}Z, its actor fails at every message: ${plain(why)}`,
    )
  }
  return lines
}
