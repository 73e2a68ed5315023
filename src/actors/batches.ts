/**
 * Batches of committed steps for guests, cut down to what may be counted. Reading is bounded in steps and in characters, and a row that
 * is damaged costs itself only.
 */
import { parseAddress } from '../address.ts'
import { isTenutoError } from '../errors.ts'
import { BATCH_CHARACTERS_MAX, BATCH_STEPS_MAX, type Batch, type ToldStep } from '../guest.ts'
import type { Journal, StepRow } from '../journal/journal.ts'
import type { JsonObject } from '../json.ts'

/** What is read of a journal. */
export type BatchPorts = Readonly<{ journal: Pick<Journal, 'steps' | 'head'> }>

/**
 * The steps after a position, at most `limit`.
 * @throws {TenutoError} `STORE_BROKEN`, `STOPPED` as the journal.
 */
export const readBatch = async ({ journal }: BatchPorts, after: number, limit: number): Promise<Batch> => {
  // First the head: what stands before it is there when the steps are read.
  const head = (await journal.head()).position
  const most = Math.max(1, Math.min(limit, BATCH_STEPS_MAX))
  const read = await rowsAfter(journal, after, most)
  if (read === null) return { after, upTo: after + 1, head: Math.max(head, after + 1), steps: [] }
  const { rows, isLast } = read
  const steps: ToldStep[] = []
  let characters = 0
  for (const row of rows) {
    steps.push(toldStep(row))
    characters += row.event.length
    if (characters >= BATCH_CHARACTERS_MAX) break
  }
  const last = steps.at(-1)?.position ?? after
  const upTo = isLast && steps.length === rows.length ? Math.max(head, last) : last
  return { after, upTo, head: Math.max(head, last), steps }
}

/** Fewer where one of them is damaged; null when it is the first. */
const rowsAfter = async (
  journal: BatchPorts['journal'],
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
