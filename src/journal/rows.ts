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
  PlanRow,
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
  'plan, name, place_in_plan, place, state, reason, unmet, generation, attempt, since, embodied, crc'

/** The columns of `plan` but its number, in the order of `planValues`. */
export const PLAN_COLUMNS = 'id, name, key, hash, inputs, environment, base, submitted_at, crc'

/** The columns of `plan_revision`, in the order of `revisionValues`. */
export const REVISION_COLUMNS = 'plan, revision, hash, definition, crc'

/** The columns of `output`, in the order of `outputValues`. */
export const OUTPUT_COLUMNS = 'plan, name, outputs, crc'

/** The columns of `mail`, in the order of `mailValues`. */
export const MAIL_COLUMNS = 'id, address, event, posted_by, at, deliveries, crc'

/** The columns of `dead_letter`, in the order of `deadLetterValues`. */
export const DEAD_LETTER_COLUMNS = 'id, address, event, error, at, crc'

/** The columns of a plan head; the actor of the plan is `a`, the plan `p`, its place among those set aside `s`. */
export const HEAD_COLUMNS = `${PLAN_COLUMNS.replace(/\w+/g, 'p.$&')}, s.why, coalesce(a.state, 'running'), a.reason, coalesce(a.seq, 0),
  (SELECT at FROM step WHERE address = 'plan:' || p.id AND seq = 1), (SELECT at FROM step WHERE address = 'plan:' || p.id AND seq = a.seq),
  ${ACTOR_COLUMNS.replace(/\w+/g, 'a.$&')}`

/** Each value on a line of its own, null as an empty one. Cheaper than `join`; every row that is written pays it. */
const crcOf = (values: readonly Value[]): number => {
  let text = ''
  for (const [at, value] of values.entries()) text += `${at === 0 ? '' : '\n'}${value ?? ''}`
  return crc32(text)
}
const sealed = (values: Value[]): Value[] => {
  values.push(crcOf(values))
  return values
}
/** Reads rows, for a migration, and gives the crc of each. */
export const crcOfRow = (row: Row): number => crcOf(row)

/** The crc of home, epoch, position, mail and dead, under the number of the schema that they are written in. */
export const metaCrc = (values: readonly Value[], schema: number): number => crcOf([...values, schema])

export const stepValues = (row: StepRow, plan: string): Value[] => {
  const { position, address, seq, type, event, from, to, reason, attempt, at, version } = row
  return sealed([position, address, seq, plan, type, event, from, to, reason, attempt, at, version])
}

export const actorValues = (row: ActorRow): Value[] => {
  const { address, kind, plan, state, reason, seq, snapshot, version } = row
  return sealed([address, kind, plan, state, reason, seq, snapshot, version])
}

export const jobValues = (row: JobRow): Value[] =>
  sealed([
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
  ])

export const planValues = (row: PlanRow): Value[] => {
  const { id, name, key, hash, inputs, environment, base, submittedAt } = row
  return sealed([id, name, key, hash, inputs, environment, base, submittedAt])
}

export const revisionValues = ({ plan, revision, hash, definition }: RevisionRow): Value[] =>
  sealed([plan, revision, hash, definition])

export const outputValues = (plan: string, name: string, outputs: string): Value[] =>
  sealed([plan, name, outputs])

export const mailValues = ({ id, address, event, postedBy, at, deliveries }: MailRow): Value[] =>
  sealed([id, address, event, postedBy, at, deliveries])

export const deadLetterValues = ({ id, address, event, error, at }: DeadLetterRow): Value[] =>
  sealed([id, address, event, error, at])

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

const fits = (row: Row): boolean => crcOf(row.slice(0, -1)) === row.at(-1)
const checkCrc = (path: string, row: Row, address: Value | undefined, seq: Value | undefined): void => {
  if (fits(row)) return
  throw new TenutoError('STORE_CORRUPT', { path, why: `row of ${address} seq ${seq}`, address })
}
const checkRow = (path: string, row: Row, plan: Value | undefined, what: string): void => {
  if (fits(row)) return
  throw new TenutoError('STORE_CORRUPT', { path, why: `${what} of plan ${plan}`, address: `plan:${plan}` })
}

/** @throws {TenutoError} `STORE_CORRUPT` with the plan's address when the crc does not fit. */
export const jobOf = (path: string, row: Row): JobRow => {
  const [plan, name, index, place, state, reason, unmet, generation, attempt, since, embodied] = row
  checkRow(path, row, plan, `the row of job ${name}`)
  return {
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
  }
}

/** A plan's head is never refused: one whose row is damaged is told as such, so that all others can be listed. */
export const headOf = (row: Row): PlanHead => {
  const [
    id,
    name,
    key,
    hash,
    inputs,
    environment,
    base,
    submittedAt,
    ,
    why,
    state,
    reason,
    seq,
    startedAt,
    since,
    ...actor
  ] = row
  const gone = actor[0] === null && startedAt !== null
  const damaged = gone || !fits(row.slice(0, 9)) || (actor[0] !== null && !fits(actor))
  const aside = damaged ? 'its row in the journal is damaged' : (why as Text)
  return {
    id: id as string,
    name: name as string,
    key: key as Text,
    hash: hash as string,
    inputs: inputs as string,
    environment: environment as string,
    base: base as string,
    submittedAt: submittedAt as number,
    state: aside === null ? (state as string) : 'quarantined',
    reason: aside === null ? (reason as Text) : 'fault',
    seq: seq as number,
    startedAt: startedAt as number | null,
    since: since as number | null,
    aside,
    damaged,
  }
}

/** @throws {TenutoError} `STORE_CORRUPT` with the plan's address when the crc does not fit. */
export const revisionOf = (path: string, row: Row): RevisionRow => {
  const [plan, revision, hash, definition] = row
  checkRow(path, row, plan, `revision ${revision}`)
  return {
    plan: plan as string,
    revision: revision as number,
    hash: hash as string,
    definition: definition as string,
  }
}

/** Name and outputs. @throws {TenutoError} `STORE_CORRUPT` with the plan's address when the crc does not fit. */
export const outputOf = (path: string, row: Row): readonly [string, string] => {
  const [plan, name, outputs] = row
  checkRow(path, row, plan, `the outputs of job ${name}`)
  return [name as string, outputs as string]
}

/** @throws {TenutoError} `STORE_CORRUPT` with the address when the crc does not fit. */
export const mailOf = (path: string, row: Row): MailRow => {
  const [id, address, event, postedBy, at, deliveries] = row
  if (!fits(row))
    throw new TenutoError('STORE_CORRUPT', { path, why: `message ${id} to ${address}`, address })
  return {
    id: id as number,
    address: address as Address,
    event: event as string,
    postedBy: postedBy as number | null,
    deliveries: deliveries as number,
    at: at as number,
  }
}

/**
 * Where a message goes, also a damaged one, as long as that names a plan: then it is only that plan's.
 * @throws {TenutoError} `STORE_CORRUPT` when nobody can tell whose it is.
 */
export const addressOfMail = (path: string, row: Row, isPlan: (id: string) => boolean): Address => {
  const [id, address] = row
  const plan = /^(?:plan:|job:)([^/]+)/.exec(String(address))?.[1]
  if (!fits(row) && (plan === undefined || !isPlan(plan)))
    throw new TenutoError('STORE_CORRUPT', { path, why: `message ${id} to ${address}` })
  return address as Address
}

/** @throws {TenutoError} `STORE_CORRUPT` with the address when the crc does not fit. */
export const deadLetterOf = (path: string, row: Row): DeadLetterRow => {
  const [id, address, event, error, at] = row
  if (!fits(row))
    throw new TenutoError('STORE_CORRUPT', { path, why: `dead letter ${id} of ${address}`, address })
  return {
    id: id as number,
    address: address as Address,
    event: event as string,
    error: error as string,
    at: at as number,
  }
}
