/**
 * Rows of the journal as columns of a table, both ways. Steps and actors carry a crc over everything they say; one that does not
 * fit is damage, and is told by its address, so that only its plan is set aside.
 */
import { crc32 } from 'node:zlib'
import type { Address } from '../address.ts'
import { TenutoError } from '../errors.ts'
import type { Row, Value } from './driver.ts'
import type {
  ActorRow,
  BoardPlace,
  DeadLetterRow,
  JobRow,
  MailRow,
  PlanHead,
  RevisionRow,
  StepRow,
} from './journal.ts'

/** The columns of `step`, in the order of `stepValues`. */
export const STEP_COLUMNS =
  'position, address, seq, plan, type, event, came_from, went_to, reason, attempt, at, version, crc'

/** The columns of `actor`, in the order of `actorValues`. */
export const ACTOR_COLUMNS = 'address, kind, plan, state, reason, seq, snapshot, version, crc'

/** The columns of `job`, in the order of `jobValues`. */
export const JOB_COLUMNS =
  'plan, name, place_in_plan, place, state, reason, unmet, generation, attempt, since, embodied'

/** The columns of a plan head; the actor of the plan is `a`, the plan `p`. */
export const HEAD_COLUMNS =
  "p.id, p.name, p.key, p.hash, p.inputs, p.environment, p.base, p.submitted_at, coalesce(a.state, 'running'), a.reason, coalesce(a.seq, 0), (SELECT at FROM step WHERE address = 'plan:' || p.id AND seq = 1), (SELECT at FROM step WHERE address = 'plan:' || p.id AND seq = a.seq)"

const crcOf = (values: readonly Value[]): number => crc32(values.join('\n'))

export const stepValues = (row: StepRow, plan: string): Value[] => {
  const { position, address, seq, type, event, from, to, reason, attempt, at, version } = row
  const values: Value[] = [position, address, seq, plan, type, event, from, to, reason, attempt, at, version]
  values.push(crcOf(values))
  return values
}

export const actorValues = (row: ActorRow): Value[] => {
  const { address, kind, plan, state, reason, seq, snapshot, version } = row
  const values: Value[] = [address, kind, plan, state, reason, seq, snapshot, version]
  values.push(crcOf(values))
  return values
}

export const jobValues = (row: JobRow): Value[] => [
  row.plan,
  row.name,
  row.index,
  row.place,
  row.state,
  row.reason,
  row.unmet,
  row.generation,
  row.attempt,
  row.since,
  row.embodied ? 1 : 0,
]

type Text = string | null

/** @throws {TenutoError} `STORE_CORRUPT` with the address when the crc does not fit. */
export const stepOf = (path: string, row: Row): StepRow => {
  const [position, address, seq, , type, event, from, to, reason, attempt, at, version] = row
  checkCrc(path, row, address, seq)
  return {
    position: position as number,
    address: address as Address,
    seq: seq as number,
    type: type as string,
    event: event as string,
    from: from as Text,
    to: to as string,
    reason: reason as Text,
    attempt: attempt as number | null,
    at: at as number,
    version: version as string,
  }
}

/** @throws {TenutoError} `STORE_CORRUPT` with the address when the crc does not fit. */
export const actorOf = (path: string, row: Row): ActorRow => {
  const [address, kind, plan, state, reason, seq, snapshot, version] = row
  checkCrc(path, row, address, seq)
  return {
    address: address as Address,
    kind: kind as ActorRow['kind'],
    plan: plan as string,
    state: state as string,
    reason: reason as Text,
    seq: seq as number,
    snapshot: snapshot as string,
    version: version as string,
  }
}

const checkCrc = (path: string, row: Row, address: Value | undefined, seq: Value | undefined): void => {
  if (crcOf(row.slice(0, -1)) === row.at(-1)) return
  throw new TenutoError('STORE_CORRUPT', { path, why: `row of ${address} seq ${seq}`, address })
}

export const jobOf = ([
  plan,
  name,
  index,
  place,
  state,
  reason,
  unmet,
  generation,
  attempt,
  since,
  embodied,
]: Row): JobRow => ({
  plan: plan as string,
  name: name as string,
  index: index as number,
  place: place as BoardPlace,
  state: state as string,
  reason: reason as Text,
  unmet: unmet as number,
  generation: generation as number,
  attempt: attempt as number,
  since: since as number,
  embodied: embodied === 1,
})

export const headOf = ([
  id,
  name,
  key,
  hash,
  inputs,
  environment,
  base,
  submittedAt,
  state,
  reason,
  seq,
  startedAt,
  since,
]: Row): PlanHead => ({
  id: id as string,
  name: name as string,
  key: key as Text,
  hash: hash as string,
  inputs: inputs as string,
  environment: environment as string,
  base: base as string,
  submittedAt: submittedAt as number,
  state: state as string,
  reason: reason as Text,
  seq: seq as number,
  startedAt: startedAt as number | null,
  since: since as number | null,
})

export const revisionOf = ([plan, revision, hash, definition]: Row): RevisionRow => ({
  plan: plan as string,
  revision: revision as number,
  hash: hash as string,
  definition: definition as string,
})

export const mailOf = ([id, address, event, postedBy, deliveries, at]: Row): MailRow => ({
  id: id as number,
  address: address as Address,
  event: event as string,
  postedBy: postedBy as number | null,
  deliveries: deliveries as number,
  at: at as number,
})

export const deadLetterOf = ([id, address, event, error, at]: Row): DeadLetterRow => ({
  id: id as number,
  address: address as Address,
  event: event as string,
  error: error as string,
  at: at as number,
})
