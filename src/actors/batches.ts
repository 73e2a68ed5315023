/**
 * Batches of committed steps for guests, cut down to what may be counted. Reading is bounded in steps and in characters, and a row that
 * is damaged costs itself only.
 */
import { parseAddress } from '../address.ts'
import { isTenutoError } from '../errors.ts'
import { BATCH_CHARACTERS_MAX, BATCH_STEPS_MAX, type Batch, type ToldStep } from '../guest.ts'
import type { Journal, StepRow } from '../journal/journal.ts'
import type { JsonObject } from '../json.ts'

/** Where batches come from: what was just committed, and the journal. */
export type Batches = Readonly<{
  /** Keeps committed steps, which come in order, for who follows closely: they are not read again. */
  heard: (steps: readonly StepRow[]) => void
  /**
   * The steps after a position, at most `limit`.
   * @throws {TenutoError} `STORE_BROKEN`, `STOPPED` as the journal.
   */
  after: (position: number, limit: number) => Promise<Batch>
  /** Keeps nothing. */
  forget: () => void
}>

/**
 * Of what was just committed, about as much as a holder can do in a second: a guest is served a part of the time, and follows a burst
 * when it is over. Beyond it who comes late reads the journal, which costs several times as much.
 */
const KEPT_STEPS_MAX = 16_000
const KEPT_CHARACTERS_MAX = 4_000_000

/** Batches of a journal. */
export const batches = (journal: Pick<Journal, 'steps' | 'head'>): Batches => {
  let kept: StepRow[] = []
  let characters = 0

  const forget = (): void => {
    kept = []
    characters = 0
  }
  const heard = (steps: readonly StepRow[]): void => {
    const last = kept.at(-1)
    // After a commit whose end was not seen there is a gap.
    if (last && steps[0]?.position !== last.position + 1) forget()
    for (const step of steps) {
      kept.push(step)
      characters += step.event.length
    }
    if (kept.length > KEPT_STEPS_MAX || characters > KEPT_CHARACTERS_MAX) forget()
  }
  /** The steps after a position, when all of them have just been heard; those before it are wanted no more. */
  const fresh = (after: number): readonly StepRow[] | null => {
    const [first] = kept
    const last = kept.at(-1)
    if (!first || !last || first.position > after + 1 || last.position <= after) return null
    for (const step of kept.splice(0, after + 1 - first.position)) characters -= step.event.length
    return kept
  }

  return {
    heard,
    forget,
    after: async (position, limit) => {
      const most = Math.max(1, Math.min(limit, BATCH_STEPS_MAX))
      const steps = fresh(position)
      if (steps) {
        const isLast = steps.length <= most
        return batchOf(position, steps.slice(0, most), isLast, steps.at(-1)?.position ?? position)
      }
      // First the head: what stands before it is there when the steps are read.
      const head = (await journal.head()).position
      const read = await rowsAfter(journal, position, most)
      if (read) return batchOf(position, read.rows, read.isLast, head)
      return { after: position, upTo: position + 1, head: Math.max(head, position + 1), steps: [] }
    },
  }
}

const batchOf = (after: number, rows: readonly StepRow[], isLast: boolean, head: number): Batch => {
  const steps: ToldStep[] = []
  let characters = 0
  for (const row of rows) {
    steps.push(toldStep(row))
    characters += row.event.length
    if (characters >= BATCH_CHARACTERS_MAX) break
  }
  const last = steps.at(-1)?.position ?? after
  const upTo = isLast && steps.length === rows.length ? Math.max(head, last) : last
  // After a return to a backup the journal may end before what is asked for.
  return { after, upTo, head: steps.length > 0 ? Math.max(head, last) : head, steps }
}

/** Fewer where one of them is damaged; null when it is the first. */
const rowsAfter = async (
  journal: Pick<Journal, 'steps'>,
  after: number,
  limit: number,
): Promise<Readonly<{ rows: readonly StepRow[]; isLast: boolean }> | null> => {
  try {
    const rows = await journal.steps({ after, limit })
    return { rows, isLast: rows.length < limit }
  } catch (error) {
    if (!isTenutoError(error, 'STORE_CORRUPT')) throw error
    return limit === 1 ? null : rowsAfter(journal, after, Math.floor(limit / 8) || 1)
  }
}

/** What may be counted of a step. */
export const toldStep = (row: StepRow): ToldStep => {
  const { position, at, seq, type, from, to, reason } = row
  const place = parseAddress(row.address)
  const { plan, kind } = place
  const job = place.kind === 'plan' ? null : place.job
  return { position, at, of: kind, plan, job, seq, type, from, to, reason, ...detailOf(row, kind) }
}

type Detail = Pick<ToldStep, 'generation' | 'since' | 'outcome' | 'ranMs' | 'ended'>
const detailOf = ({ type, event }: StepRow, kind: ToldStep['of']): Detail => {
  if (kind === 'plan') return event.includes('"ended":[') ? endedOf(JSON.parse(event) as JsonObject) : {}
  if (kind === 'note') return {}
  if (type === 'created') {
    const { input } = JSON.parse(event) as { input?: { generation?: number; at?: number } }
    return {
      ...(input?.generation === undefined ? {} : { generation: input.generation }),
      ...(input?.at === undefined ? {} : { since: input.at }),
    }
  }
  if (type !== 'attempt.ended') return {}
  const { outcome, startedAt, endedAt } = JSON.parse(event) as JsonObject
  const seen = typeof startedAt === 'number' && typeof endedAt === 'number' && endedAt >= startedAt
  return {
    ...(typeof outcome === 'string' ? { outcome } : {}),
    ...(seen ? { ranMs: endedAt - startedAt } : {}),
  }
}

const endedOf = (event: JsonObject): Detail => {
  const rows = event['ended'] as
    | readonly Readonly<{ job: string; state: string; reason: string | null }>[]
    | undefined
  return rows ? { ended: rows.map(({ job, state, reason }) => [job, state, reason] as const) } : {}
}
