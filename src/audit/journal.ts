/**
 * The whole journal, audited in one pass: every row is what was written, every plan's rows equal the fold of its steps, positions
 * run on, and nothing is stranded.
 */
import { HOME, noteAddress } from '../address.ts'
import { type Definition, definitionHash } from '../definition.ts'
import { bootId } from '../process.ts'
import { isPlanEnd } from '../states.ts'
import type { KnownJob, KnownPlan, KnownPlans } from './attempts.ts'
import { type AuditEnd, type AuditFold, type AuditRows, type AuditStep, auditFold } from './audit.ts'
import { type Finding, finding, placeOf } from './finding.ts'
import { type Cells, isWhole, type JournalFile, structureOf } from './journal-file.ts'
import { auditStranded } from './stranded.ts'

const HOME_NOTES = noteAddress(HOME, null)

/** What a pass over a journal came to. */
export type JournalAudit = Readonly<{
  findings: readonly Finding[]
  plans: KnownPlans
  /** Plans that are being removed: rows of them, and their folders, may be left. */
  leaving: ReadonlySet<string>
  /** The ends of attempts that the journal took, by plan. */
  ends: ReadonlyMap<string, readonly AuditEnd[]>
  /** By plan, the latest attempt of each job that is on record as begun. */
  begun: ReadonlyMap<string, ReadonlyMap<string, number>>
  /** How many steps were followed. */
  steps: number
  /** Since when this boot of the machine is known to the journal, in epoch milliseconds; infinite when it is not. */
  bootedAt: number
}>

/** What retention has removed, as the file has it. */
type Pruned = Readonly<{ steps: number; sum: bigint }>

/** Sums of positions are kept modulo this. */
const SUM_MODULUS = 2n ** 32n

const prunedIn = (file: JournalFile): Pruned => {
  const [row] = file.rows('SELECT steps, sum FROM pruned')
  return { steps: Number(row?.[0] ?? 0), sum: BigInt(row?.[1] ?? 0) }
}

/** The plans that are being removed: rows of them, and their folders, may be left. */
export const leavingIn = (file: JournalFile): ReadonlySet<string> =>
  new Set([...file.rows('SELECT plan FROM leaving')].map(([plan]) => String(plan)))

/** Every plan of the journal, by its rows alone. */
export const plansIn = (file: JournalFile): KnownPlans => {
  const states = new Map<string, string>()
  for (const [id, state] of file.rows(
    "SELECT p.id, coalesce(a.state, '') FROM plan p LEFT JOIN actor a ON a.address = 'plan:' || p.id ORDER BY p.number",
  ))
    states.set(String(id), String(state))
  const jobs = new Map<string, Map<string, KnownJob>>([...states.keys()].map((id) => [id, new Map()]))
  const kinds = new Map<string, Readonly<Record<string, string>>>()
  for (const [plan, definition] of file.rows('SELECT plan, definition FROM plan_revision ORDER BY revision'))
    kinds.set(String(plan), kindsOf(String(definition)))
  for (const [plan, name, attempt, state] of file.rows('SELECT plan, name, attempt, state FROM job')) {
    const job = String(name)
    jobs.get(String(plan))?.set(job, {
      name: job,
      folders: kinds.get(String(plan))?.[job] !== 'call',
      attempt: Number(attempt),
      open: state === 'running' || state === 'stopping',
    })
  }
  const planOf = ([id, state]: readonly [string, string]): readonly [string, KnownPlan] => [
    id,
    { id, ended: isPlanEnd(state), jobs: jobs.get(id) ?? new Map(), clearedTo: cleared.get(id) ?? 0 },
  ]
  const cleared = new Map(
    [...file.rows('SELECT plan, position FROM cleared')].map(([plan, to]) => [String(plan), Number(to)]),
  )
  return new Map([...states].map(planOf))
}

const kindsOf = (text: string): Readonly<Record<string, string>> => {
  const definition = jsonOf(text) as Definition | undefined
  return Object.fromEntries(
    Object.entries(definition?.jobs ?? {}).map(([name, job]) => [name, String(job?.kind)]),
  )
}

/** One plan while the pass goes on. */
type Case = Readonly<{
  id: string
  fold: AuditFold
  definition: Definition
  jobs: AuditRows['jobs'][number][]
  actors: AuditRows['actors'][number][]
  mail: AuditRows['mail'][number][]
}>

/** Audits a journal. Where the structure of the file is damaged, nothing else is looked at. */
export const auditJournal = (file: JournalFile): JournalAudit => {
  const structure = structureOf(file).map((line) => finding('file-damaged', {}, line))
  if (structure.length > 0)
    return {
      findings: structure,
      plans: new Map(),
      leaving: new Set(),
      ends: new Map(),
      begun: new Map(),
      steps: 0,
      bootedAt: 0,
    }
  const findings: Finding[] = []
  /** Plans with a row that is not what was written: what follows from it is not reported on top. */
  const damaged = new Set<string>()
  const damage = (plan: string, place: Finding['place'], what: string): void => {
    damaged.add(plan)
    findings.push(finding('row-damaged', place, what))
  }
  findings.push(...readSeals(file), ...readTally(file))
  const { cases, unreadable } = readCases(file, findings)
  const leaving = leavingIn(file)
  const caseOf = (address: string, what: string): Case | undefined => {
    const { plan = '' } = placeOf(address)
    const found = cases.get(plan)
    if (found === undefined && !unreadable.has(plan) && !leaving.has(plan))
      findings.push(
        finding('unknown-plan', placeOf(address), `${what} of a plan that is not there: ${address}`),
      )
    return found
  }

  for (const row of file.rows(
    'SELECT address, kind, plan, state, reason, seq, snapshot, version, crc FROM actor ORDER BY address',
  )) {
    const [address, , plan, state, , seq] = row
    if (isWhole(row))
      caseOf(String(address), 'an actor')?.actors.push({
        address: String(address),
        state: String(state),
        seq: Number(seq),
      })
    else
      damage(String(plan), placeOf(String(address)), `the crc of its actor's row (seq ${seq}) does not fit`)
  }
  for (const [id, address, event] of file.rows('SELECT id, address, event FROM mail ORDER BY id')) {
    const of = caseOf(String(address), 'a message')
    if (of === undefined) continue
    if (jsonOf(String(event)) === undefined)
      damage(of.id, placeOf(String(address)), `its message ${id} cannot be read`)
    else of.mail.push({ id: Number(id), address: String(address), event: String(event) })
    if (Number(id) > file.head.mail)
      findings.push(finding('row-differs', placeOf(String(address)), `its message ${id} was never given out`))
  }

  let steps = 0
  let position = 0
  let sum = 0n
  const pruned = prunedIn(file)
  for (const row of file.rows(
    'SELECT position, address, seq, plan, type, event, came_from, went_to, reason, attempt, at, version, crc FROM step ORDER BY position',
  )) {
    const step = stepOf(row)
    // Where some were removed on purpose, their number and sum say whether any other is missing.
    if (step.position !== position + 1 && pruned.steps === 0) {
      const gap = `position ${step.position} follows ${position}`
      findings.push(finding('position-gap', { ...placeOf(step.address), position: step.position }, gap))
    }
    position = step.position
    steps += 1
    sum += BigInt(position)
    if (!isWhole(row)) {
      damage(String(row[3]), { ...placeOf(step.address), position }, 'the crc of its step does not fit')
      continue
    }
    // What was asked of the home is of no plan.
    if (step.address === HOME_NOTES) continue
    const of = caseOf(step.address, 'a step')
    if (of !== undefined && !damaged.has(of.id)) of.fold.take(step)
  }
  if (pruned.steps > 0) {
    const last = BigInt(file.head.position)
    const allThere =
      steps + pruned.steps === file.head.position &&
      (sum + pruned.sum) % SUM_MODULUS === ((last * (last + 1n)) / 2n) % SUM_MODULUS
    if (!allThere) {
      const what = `${file.head.position} positions were given out; ${steps} are there and ${pruned.steps} were removed, and these are not all`
      findings.push(finding('position-gap', {}, what))
    }
  } else if (position !== file.head.position) {
    const what = `the last step has position ${position}, and ${file.head.position} were given out`
    findings.push(finding('position-gap', { position }, what))
  }

  for (const { id, fold, definition, jobs, actors, mail } of cases.values()) {
    if (damaged.has(id)) continue
    const state = actors.find(({ address }) => address === `plan:${id}`)?.state ?? ''
    findings.push(
      ...fold.findings,
      ...fold.rows({ jobs, actors, mail }),
      ...auditStranded({ id, state, definition, jobs, mail }),
    )
  }
  const folds = [...cases].filter(([id]) => !damaged.has(id))
  const ends = new Map(folds.map(([id, { fold }]) => [id, fold.ends]))
  const begun = new Map(folds.map(([id, { fold }]) => [id, fold.begun]))
  const [booted] = file.rows('SELECT min(at) FROM boot WHERE boot_id = ?', bootId())
  const bootedAt = booted?.[0] === null ? Number.POSITIVE_INFINITY : Number(booted?.[0])
  return { findings, plans: plansIn(file), leaving, ends, begun, steps, bootedAt }
}

/** The tables whose rows carry a crc of all their columns and are not followed step by step: their columns, and what a row is. */
const SEALED: readonly Readonly<{ columns: string; table: string; what: string }>[] = [
  {
    columns: 'id, name, key, hash, inputs, environment, base, submitted_at, crc',
    table: 'plan',
    what: 'its row',
  },
  { columns: 'plan, revision, hash, definition, crc', table: 'plan_revision', what: 'its definition' },
  {
    columns:
      'plan, name, place_in_plan, place, state, reason, unmet, generation, attempt, since, embodied, crc',
    table: 'job',
    what: 'the row of a job',
  },
  { columns: 'plan, name, outputs, crc', table: 'output', what: 'the outputs of a job' },
]

/** Rows that are not as they were written. */
const readSeals = (file: JournalFile): readonly Finding[] =>
  SEALED.flatMap(({ columns, table, what }) =>
    [...file.rows(`SELECT ${columns} FROM ${table}`)].flatMap((row) => {
      if (isWhole(row)) return []
      const job = table === 'job' || table === 'output' ? { job: String(row[1]) } : {}
      return [finding('row-damaged', { plan: String(row[0]), ...job }, `the crc of ${what} does not fit`)]
    }),
  )

/** What the file says of its tables that nothing else tells of: their rows, and the sum of these numbers. */
const TALLIED: readonly Readonly<{ table: string; rows: string; sum?: string; key?: string }>[] = [
  { table: 'boot', rows: 'boot_rows', sum: 'boot_sum', key: 'epoch' },
  { table: 'mail', rows: 'mail_rows', sum: 'mail_sum', key: 'id' },
  { table: 'dead_letter', rows: 'dead_rows', sum: 'dead_sum', key: 'id' },
  { table: 'actor', rows: 'actor_rows' },
  { table: 'job', rows: 'job_rows' },
]

/** Tables that have lost rows: what is left of a table may be sound, and say nothing of what was there beside it. */
const readTally = (file: JournalFile): readonly Finding[] => {
  const missing = TALLIED.flatMap(({ table, rows, sum, key }) => {
    const [[told, toldSum] = []] = [...file.rows(`SELECT ${rows}, ${sum ?? 'NULL'} FROM meta`)]
    let count = 0
    let numbers = 0n
    for (const [number] of file.rows(`SELECT ${key ?? 'NULL'} FROM ${table}`)) {
      count += 1
      numbers += BigInt(number ?? 0)
    }
    if (count !== told) return [finding('rows-missing', {}, `${table} has ${count} of its ${told} rows`)]
    const isSame = key === undefined || numbers % SUM_MODULUS === BigInt(toldSum ?? 0)
    return isSame ? [] : [finding('rows-missing', {}, `${table} has other rows than were written`)]
  })
  const [pruned] = file.rows('SELECT count(*) FROM pruned')
  if (pruned?.[0] === 1) return missing
  return [...missing, finding('rows-missing', {}, 'what was removed on purpose is not on record')]
}

/** The plans with their definitions and boards. */
const readCases = (
  file: JournalFile,
  findings: Finding[],
): Readonly<{ cases: ReadonlyMap<string, Case>; unreadable: ReadonlySet<string> }> => {
  const cases = new Map<string, Case>()
  const unreadable = new Set<string>()
  const revisions = file.rows(
    `SELECT p.id, r.hash, r.definition FROM plan p LEFT JOIN plan_revision r
      ON r.plan = p.id AND r.revision = (SELECT max(revision) FROM plan_revision WHERE plan = p.id) ORDER BY p.number`,
  )
  for (const [plan, hash, text] of revisions) {
    const id = String(plan)
    const definition = jsonOf(String(text)) as Definition | undefined
    if (definition?.jobs === undefined) {
      unreadable.add(id)
      findings.push(finding('row-damaged', { plan: id }, 'its definition cannot be read'))
      continue
    }
    if (definitionHash(definition) !== hash) {
      unreadable.add(id)
      findings.push(
        finding('definition-differs', { plan: id }, 'its definition is not the one it was hashed with'),
      )
      continue
    }
    cases.set(id, { id, definition, fold: auditFold(id, definition), jobs: [], actors: [], mail: [] })
  }
  for (const [plan, name, place, state, reason, generation, attempt] of file.rows(
    'SELECT plan, name, place, state, reason, generation, attempt FROM job ORDER BY plan, place_in_plan',
  )) {
    cases.get(String(plan))?.jobs.push({
      name: String(name),
      place: String(place),
      state: String(state),
      reason: reason === null || reason === undefined ? null : String(reason),
      generation: Number(generation),
      attempt: Number(attempt),
    })
  }
  for (const { id, definition, jobs } of cases.values()) {
    const there = new Set(jobs.map(({ name }) => name))
    for (const job of Object.keys(definition.jobs))
      if (!there.delete(job))
        findings.push(finding('row-differs', { plan: id, job }, 'it has no row on the board'))
    for (const job of there)
      findings.push(finding('row-differs', { plan: id, job }, 'it has a row, and its plan has no such job'))
  }
  return { cases, unreadable }
}

const stepOf = ([
  position,
  address,
  seq,
  ,
  type,
  event,
  from,
  to,
  reason,
  attempt,
  at,
]: Cells): AuditStep => ({
  position: Number(position),
  address: String(address),
  seq: Number(seq),
  type: String(type),
  event: String(event),
  from: from === undefined ? null : (from as string | null),
  to: String(to),
  reason: reason === undefined ? null : (reason as string | null),
  attempt: attempt === undefined ? null : (attempt as number | null),
  at: Number(at),
})

const jsonOf = (text: string): unknown => {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? value : undefined
  } catch {
    return undefined
  }
}
