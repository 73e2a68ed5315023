/**
 * Plans, jobs, attempts and events as every client sees them: in the CLI's JSON, over HTTP, in events and pages. Pure functions
 * from rows of the journal; times are ISO 8601 UTC.
 */
import { HOME, noteAddress } from '../address.ts'
import type { Build } from '../build.ts'
import type { DeadLetterRow, JobRow, PlanHead, StepRow } from '../journal/journal.ts'
import type { Json, JsonObject } from '../json.ts'
import type { Of } from '../json-schema.ts'
import type { ModeName } from '../mode.ts'
import type * as schemas from './schemas.ts'

/** Which build this is. */
export type BuildShape = Of<typeof schemas.build>

/** The shape of a build; `stale` says why it is stale, null that it is not. */
export const buildShape = (build: Build, stale: string | null): BuildShape => ({
  kind: build.kind,
  version: build.version,
  commit: build.commit,
  dirty: build.dirty,
  source_hash: build.sourceHash,
  built_at: build.builtAt,
  node: build.node,
  stale: stale !== null,
  stale_reason: stale,
})

/** A secret that a plan names. */
export type SecretShape = Of<typeof schemas.secret>

/** How many jobs are in each state; states nobody is in are left out. */
export type Counts = Of<typeof schemas.counts>

/** A plan. */
export type PlanShape = Of<typeof schemas.plan>

/** What one sweep looked at and repaired. */
export type SweepShape = Of<typeof schemas.sweep>

/** What retention removed, or would remove: plans, and attempt folders without their plans. */
export type GcShape = Of<typeof schemas.gc>

/** One part of what a holder says, which may fail alone. */
export type SectionShape<Data> = Of<typeof schemas.sectionHead> & Readonly<{ data: Data }>

/** Whether commits can be made. While not, requests are refused and what was begun goes on. */
export type StorageShape = SectionShape<Of<typeof schemas.storageData>>

/** A message that could not be delivered. */
export type DeadLetterShape = Of<typeof schemas.deadLetter>

/** A dead letter, whole: what it says, and all that is known of why it could not be delivered. */
export type WholeLetterShape = Of<typeof schemas.wholeLetter>

/** How analytics is. */
export type AnalyticsData = Of<typeof schemas.analyticsData>

/** How analytics is, and its numbers; null when it does not give them. */
export type AnalyticsShape = Of<typeof schemas.analytics>

/** A job. `needs` says of each need what is asked of it. */
export type JobShape = Of<typeof schemas.job>

/** One try of a job. `outcome` is null while it runs. */
export type AttemptShape = Of<typeof schemas.attempt>

/** One step, as the world may see it. */
export type EventShape = Of<typeof schemas.event>

/** A moment in epoch milliseconds as ISO 8601 UTC. */
export const iso = (at: number): string => new Date(at).toISOString()
const isoOrNull = (at: number | null): string | null => (at === null ? null : iso(at))

/** What a plan is called before and after `/`, in an address of it or of one of its jobs. */
const placeOf = (address: string): Readonly<{ plan: string; job?: string }> => {
  if (address === HOME_NOTES) return { plan: '' }
  const [colon, slash] = [address.indexOf(':'), address.indexOf('/')]
  return address.startsWith('plan:') || slash < 0
    ? { plan: address.slice(colon + 1) }
    : { plan: address.slice(colon + 1, slash), job: address.slice(slash + 1) }
}

/** A step as an event. */
export const eventShape = (step: StepRow): EventShape => ({
  position: step.position,
  at: iso(step.at),
  ...placeOf(step.address),
  ...(step.attempt === null || step.attempt === 0 ? {} : { attempt: step.attempt }),
  address: step.address,
  seq: step.seq,
  type: step.type,
  from: step.from,
  to: step.to,
  ...(step.reason === null || notedAs(step) !== undefined ? {} : { reason: step.reason }),
  ...(isAsked(step) ? orderOf(step.event) : {}),
  ...(step.type === 'attempt.ended' ? tookOf(step.event) : {}),
  ...(step.event.includes('"ended":[') ? endedOf(step.event) : {}),
  ...(step.address.startsWith('note:') ? detailOf(step) : {}),
})
const HOME_NOTES = noteAddress(HOME, null)
/** Whether a step may say who asked for it: what was requested or given, a plan that was submitted, what was asked of the home. */
const isAsked = ({ type, address }: StepRow): boolean =>
  type.endsWith('.requested') ||
  type === 'secrets.given' ||
  address === HOME_NOTES ||
  (type === 'created' && address.startsWith('plan:'))
const orderOf = (event: string): Pick<EventShape, 'by' | 'why'> => {
  const { by, why } = JSON.parse(event) as JsonObject
  return {
    ...(typeof by === 'string' ? { by } : {}),
    ...(typeof why === 'string' ? { why } : {}),
  }
}
/** Some notes have in the place of a reason what is none: what an attempt was found to be, what was repaired. */
const notedAs = ({ address, type }: StepRow): string | undefined => {
  if (!address.startsWith('note:')) return undefined
  return type === 'recovered' ? 'found' : type === 'sweep.repaired' ? 'kind' : undefined
}
const detailOf = (step: StepRow): Pick<EventShape, 'detail'> => {
  const { type: _, at: __, by, why, ...more } = JSON.parse(step.event) as JsonObject
  const asked = { ...(by === undefined ? {} : { by }), ...(why === undefined ? {} : { why }) }
  const as = notedAs(step)
  const noted = as === undefined || step.reason === null ? more : { [as]: step.reason, ...more }
  const detail = step.address === HOME_NOTES ? noted : { ...noted, ...asked }
  return Object.keys(detail).length === 0 ? {} : { detail }
}
/** Nobody may have been there when an attempt ended: when its end was taken in says nothing about how long it took. */
const tookOf = (event: string): Pick<EventShape, 'took_ms'> => {
  const { startedAt, endedAt } = JSON.parse(event) as Readonly<Record<'startedAt' | 'endedAt', unknown>>
  if (typeof startedAt !== 'number' || typeof endedAt !== 'number') return {}
  return { took_ms: Math.max(0, endedAt - startedAt) }
}
const endedOf = (event: string): Pick<EventShape, 'ended'> => {
  const { ended } = JSON.parse(event) as Pick<EventShape, 'ended'>
  return ended === undefined ? {} : { ended }
}

/** A dead letter, whole. */
export const wholeLetterShape = ({ id, address, event, error, at }: DeadLetterRow): WholeLetterShape => {
  const said = JSON.parse(event) as JsonObject
  const { plan, job = null } = placeOf(address)
  const why = error.split('\n', 1)[0] ?? ''
  return { id, at: iso(at), plan, job, address, type: String(said['type']), why, event: said, error }
}
/** A dead letter in a list. */
export const deadLetterShape = (row: DeadLetterRow): DeadLetterShape => {
  const { event: _, error: __, ...shape } = wholeLetterShape(row)
  return shape
}

const ENDS = new Set(['succeeded', 'failed', 'cancelled'])

/** A plan with what is known of its jobs. */
export const planShape = (head: PlanHead, counts: Counts, generation: number): PlanShape => ({
  id: head.id,
  name: head.name,
  state: head.state,
  reason: head.reason,
  generation,
  created_at: iso(head.submittedAt),
  started_at: isoOrNull(head.startedAt),
  ended_at: ENDS.has(head.state) ? isoOrNull(head.since) : null,
  counts,
  key: head.key,
  error: head.aside,
})

/** Why a job waits. A queued job of a plan that is not running waits for the plan, and in a home where nothing starts, for that. */
const reasonIn = (plan: Pick<PlanHead, 'state'>, row: JobRow, mode: ModeName): string | null => {
  if (row.state !== 'queued') return row.reason
  if (plan.state === 'paused') return 'paused'
  if (plan.state === 'quarantined') return 'quarantined'
  return mode === 'running' ? row.reason : mode
}

/** A job of a plan, in a home of this mode. */
export const jobShape = (
  plan: Pick<PlanHead, 'state'>,
  row: JobRow,
  definition: Readonly<{
    kind: string
    needs: Readonly<Record<string, string>>
    optional?: true
    approve?: Readonly<{ prompt: string }>
  }>,
  outputs: Json,
  wakeAt: number | null,
  mode: ModeName,
): JobShape => ({
  plan: row.plan,
  name: row.name,
  kind: definition.kind,
  state: row.state,
  reason: reasonIn(plan, row, mode),
  generation: row.generation,
  attempt: row.attempt,
  needs: definition.needs,
  since: iso(row.since),
  wake_at: isoOrNull(wakeAt),
  ...(definition.approve === undefined ? {} : { prompt: definition.approve.prompt }),
  optional: definition.optional === true,
  outputs,
})

/** The attempts that the steps of one job tell of, in order. */
export const attemptShapes = (steps: readonly StepRow[]): readonly AttemptShape[] => {
  const attempts = new Map<number, AttemptShape>()
  let generation = 1
  for (const step of steps) {
    const event = JSON.parse(step.event) as JsonObject & { input?: { generation?: number } }
    if (step.type === 'created') generation = event.input?.generation ?? generation
    if (step.type === 'reopened') generation = Number(event['generation'])
    const n = step.attempt ?? 0
    if (step.type === 'slot.granted') attempts.set(n, { ...BEGUN, n, generation, started_at: iso(step.at) })
    if (step.type === 'attempt.ended') {
      const known = attempts.get(Number(event['attempt'])) ?? {
        ...BEGUN,
        n: Number(event['attempt']),
        generation,
      }
      attempts.set(known.n, {
        ...known,
        outcome: String(event['outcome']),
        code: (event['code'] as number | null) ?? null,
        signal: (event['signal'] as string | null) ?? null,
        started_at: isoOrNull((event['startedAt'] as number | null) ?? null) ?? known.started_at,
        ended_at: iso((event['endedAt'] as number | null) ?? step.at),
        pid: (event['pid'] as number | null) ?? null,
        error: (event['error'] as string | undefined) ?? null,
        ...(typeof event['errorCode'] === 'string' ? { error_code: event['errorCode'] } : {}),
        warnings: (event['warnings'] as readonly string[] | undefined) ?? [],
        leftovers: (event['leftovers'] as number | undefined) ?? 0,
      })
    }
  }
  return [...attempts.values()].sort((a, b) => a.n - b.n)
}

const BEGUN: AttemptShape = {
  n: 0,
  generation: 1,
  outcome: null,
  code: null,
  signal: null,
  started_at: null,
  ended_at: null,
  pid: null,
  error: null,
  warnings: [],
  leftovers: 0,
}

/** One actor, looked into. */
export type InspectionShape = Of<typeof schemas.inspection>

/** One node of the supervision tree. */
export type TreeShape = schemas.TreeNode
