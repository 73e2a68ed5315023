/**
 * The auditor: what must be true of a journal, whoever wrote it. It reads rows and nothing else, and shares no code with the host,
 * so that no mistake can hide in both.
 */
import { type Finding, type FindingKind, finding, placeInWords, placeOf } from './finding.ts'

/** A step, as the journal has it. */
export type AuditStep = Readonly<{
  position: number
  address: string
  seq: number
  type: string
  event: string
  from: string | null
  to: string
  reason: string | null
  attempt: number | null
  /** Epoch milliseconds. */
  at: number
}>
/** The definition of a plan, as far as it is looked at. */
export type AuditDefinition = Readonly<{
  maxParallel: number
  jobs: Readonly<Record<string, Readonly<{ needs: Readonly<Record<string, string>>; optional?: boolean }>>>
}>
/** The rows of one plan beside its steps. */
export type AuditRows = Readonly<{
  jobs: readonly Readonly<{
    name: string
    place: string
    state: string
    reason: string | null
    generation: number
    attempt: number
  }>[]
  actors: readonly Readonly<{ address: string; state: string; seq: number }>[]
  mail: readonly Readonly<{ id: number; address: string; event: string }>[]
}>
/** All rows of one plan. */
export type AuditPlan = AuditRows &
  Readonly<{ id: string; definition: AuditDefinition; steps: readonly AuditStep[] }>

/** How an attempt ended, as the journal says. */
export type AuditEnd = Readonly<{
  job: string
  attempt: number
  outcome: string
  code: number | null
  signal: string | null
  position: number
  /** When the journal took it. */
  at: number
}>
/** The life of one plan, step by step. */
export type AuditFold = Readonly<{
  /** Takes the next step of the plan, in the order of positions. */
  take: (step: AuditStep) => void
  /** What was wrong so far. */
  findings: readonly Finding[]
  ends: readonly AuditEnd[]
  /** The latest attempt of each job that is on record as begun. */
  begun: ReadonlyMap<string, number>
  /** What is wrong with the rows beside the steps that were taken. */
  rows: (rows: AuditRows) => readonly Finding[]
}>

const ENDS = new Set(['succeeded', 'failed', 'cancelled', 'skipped'])
const PLAN_ENDS = new Set(['succeeded', 'failed', 'cancelled'])

type Known = {
  state: string
  reason: string | null
  generation: number
  attempt: number
  /** The generation whose end the plan has taken. */
  settled: number
}
type Event = Readonly<Record<string, unknown>>
type Last = Readonly<{ seq: number; to: string }>
type Where = Pick<AuditStep, 'position' | 'address' | 'attempt'>

const meets = (need: string, end: string): boolean =>
  need === 'any' || end === 'succeeded' || (need === 'skipped-ok' && end === 'skipped')

/** Follows one plan from its first step. */
export const auditFold = (id: string, definition: AuditDefinition): AuditFold => {
  const findings: Finding[] = []
  const ends: AuditEnd[] = []
  const jobs = new Map<string, Known>()
  const last = new Map<string, Last>()
  const running = new Set<string>()
  const begun = new Map<string, number>()
  const own = `plan:${id}`
  const say = (kind: FindingKind, { position, address, attempt }: Where, what: string): void => {
    const of = attempt === null || attempt === 0 ? {} : { attempt }
    findings.push(finding(kind, { ...placeOf(address), position, ...of }, what))
  }
  const jobOf = (name: string): Known => {
    const known = jobs.get(name) ?? { state: 'held', reason: 'needs', generation: 1, attempt: 0, settled: 0 }
    jobs.set(name, known)
    return known
  }
  const needsOf = (name: string): readonly (readonly [string, string])[] =>
    Object.entries(definition.jobs[name]?.needs ?? {})

  const startsRight = (step: AuditStep, name: string, job: Known): void => {
    if (running.has(name)) say('two-attempts', step, `an attempt begins while attempt ${job.attempt} is open`)
    else if (step.from !== 'queued') say('attempt-order', step, `an attempt begins in ${step.from}`)
    if (step.attempt !== job.attempt + 1)
      say('attempt-order', step, `attempt ${step.attempt} follows ${job.attempt}`)
    for (const [other, need] of needsOf(name)) {
      const { state, settled, generation } = jobOf(other)
      if (settled === 0) say('early-start', step, `started before its need ${other} has settled (${state})`)
      // A need that was opened again after the release takes nothing back.
      else if (generation === 1 && !meets(need, state))
        say('early-start', step, `started although its need ${other} is ${state}`)
    }
    running.add(name)
    if (running.size > definition.maxParallel)
      say('too-many-attempts', step, `${running.size} run at once, ${definition.maxParallel} may`)
  }
  const skippedRight = (step: Where, name: string, reason: unknown): void => {
    if (reason !== 'need-failed') return
    const unmet = needsOf(name).some(([other, need]) => {
      const { state } = jobOf(other)
      return ENDS.has(state) && !meets(need, state)
    })
    if (!unmet) say('needless-skip', step, `${name} is skipped for a need, and none has failed`)
  }
  const jobStep = (step: AuditStep, name: string, event: Event): void => {
    const job = jobOf(name)
    // A generation that could not be opened begins with its end.
    const opens =
      step.type === 'reopened' ||
      (step.type === 'faulted' && ENDS.has(String(step.from)) && event['generation'] !== undefined)
    if (
      step.type !== 'created' &&
      step.from !== null &&
      ENDS.has(step.from) &&
      step.to !== step.from &&
      !opens
    ) {
      say('end-left', step, `${step.type} leads out of the end ${step.from}`)
    }
    if (step.type === 'slot.granted') startsRight(step, name, job)
    if (opens) {
      if (Number(event['generation']) !== job.generation + 1)
        say('generation-gap', step, `generation ${String(event['generation'])} follows ${job.generation}`)
      job.generation = Number(event['generation'])
    }
    if (step.type === 'created') job.generation = Number((event['input'] as Event)['generation'])
    if (step.type === 'attempt.ended') {
      noteEnd(step, name, event)
      if (event['outcome'] === 'never-started' && begun.get(name) === event['attempt'])
        say('begun-differs', step, 'it is said never to have started, and was noted to have begun')
    }
    if (step.to === 'skipped' && step.from !== 'skipped') skippedRight(step, name, step.reason)
    if (step.to !== 'running' && step.to !== 'stopping') running.delete(name)
    job.state = step.to
    job.reason = step.reason
    job.attempt = step.attempt ?? job.attempt
  }
  const noteEnd = ({ position, at }: AuditStep, job: string, event: Event): void => {
    const { attempt, outcome, code, signal } = event as Omit<AuditEnd, 'job' | 'position' | 'at'>
    ends.push({ job, attempt, outcome, code, signal, position, at })
  }
  const noteBegun = (step: AuditStep, name: string): void => {
    const { state, attempt } = jobOf(name)
    if ((state !== 'running' && state !== 'stopping') || attempt !== step.attempt)
      say('begun-differs', step, `it is noted to have begun, and ${name} is ${state} at attempt ${attempt}`)
    begun.set(name, step.attempt ?? 0)
  }
  const planStep = (step: AuditStep, event: Event): void => {
    if (step.type === 'job.settled') {
      const job = jobOf(String(event['job']))
      if (job.settled === Number(event['generation']))
        say('end-told-twice', step, `the end of ${String(event['job'])} is taken twice`)
      if (job.state !== event['state'])
        say(
          'end-told-wrong',
          step,
          `${String(event['job'])} is said to be ${String(event['state'])} and is ${job.state}`,
        )
      job.settled = Number(event['generation'])
    }
    const ended = (event['ended'] ?? []) as readonly Event[]
    for (const each of ended) {
      const name = String(each['job'])
      const job = jobOf(name)
      if (last.has(`job:${id}/${name}`) && !ENDS.has(job.state))
        say('ended-over-actor', step, `${name} has an actor and is ended over its head`)
      job.state = String(each['state'])
      job.reason = each['reason'] as string | null
      job.settled = job.generation
    }
    // One may be skipped because of another of them, in whatever order they stand.
    for (const each of ended)
      if (each['state'] === 'skipped') skippedRight(step, String(each['job']), each['reason'])
    if (PLAN_ENDS.has(step.to) && step.from !== step.to) planEnds(step)
  }
  const planEnds = (step: AuditStep): void => {
    const names = Object.keys(definition.jobs)
    for (const name of names) {
      const { state, settled, generation } = jobOf(name)
      if (!ENDS.has(state)) say('plan-ended-early', step, `the plan is ${step.to} and ${name} is ${state}`)
      else if (settled !== generation)
        say('plan-ended-early', step, `the plan is ${step.to} and has not heard the end of ${name}`)
    }
    const failed = names.some((name) => {
      const { state } = jobOf(name)
      return !definition.jobs[name]?.optional && (state === 'failed' || state === 'cancelled')
    })
    if (step.to === 'succeeded' && failed)
      say('plan-end-wrong', step, 'the plan succeeded although a job failed')
    if (step.to === 'failed' && !failed) say('plan-end-wrong', step, 'the plan failed although no job did')
  }

  const take = (step: AuditStep): void => {
    // What the runtime noted beside the steps is nobody's step.
    if (step.address.startsWith('note:')) {
      if (step.type === 'begun') noteBegun(step, step.address.slice(step.address.indexOf('/') + 1))
      return
    }
    const before = last.get(step.address)
    if (step.seq !== (before?.seq ?? 0) + 1)
      say('seq-gap', step, `seq ${step.seq} follows ${before?.seq ?? 0}`)
    if (step.from !== (before?.to ?? null))
      say('seq-gap', step, `comes from ${step.from}, and was ${before?.to ?? null}`)
    const event = JSON.parse(step.event) as Event
    if (step.address === own) planStep(step, event)
    else jobStep(step, step.address.slice(step.address.indexOf('/') + 1), event)
    last.set(step.address, { seq: step.seq, to: step.to })
  }
  return { take, findings, ends, begun, rows: (rows) => auditRows(id, rows, jobs, last) }
}

/** Says in words what is wrong with a plan; nothing, when all is well. */
export const auditPlan = ({ id, definition, steps, ...rows }: AuditPlan): readonly string[] => {
  const fold = auditFold(id, definition)
  for (const step of steps) fold.take(step)
  return [...fold.findings, ...fold.rows(rows)].map(({ place, what }) => `${placeInWords(place)}: ${what}`)
}

/** Rows equal the fold of the steps, and nothing that was taken is still to be delivered. */
const auditRows = (
  id: string,
  { actors, jobs, mail }: AuditRows,
  known: ReadonlyMap<string, Known>,
  last: ReadonlyMap<string, Last>,
): readonly Finding[] => {
  const wrong: Finding[] = []
  const say = (kind: FindingKind, job: string | null, what: string): void => {
    wrong.push(finding(kind, job === null ? { plan: id } : { plan: id, job }, what))
  }
  const rows = new Set<string>()
  for (const { address, state, seq } of actors) {
    rows.add(address)
    const step = last.get(address)
    if (step?.seq !== seq || step.to !== state) {
      const what = `the actor's row says ${state} at ${seq}, the steps ${step?.to} at ${step?.seq}`
      wrong.push(finding('row-differs', placeOf(address), what))
    }
  }
  for (const address of last.keys())
    if (!rows.has(address))
      wrong.push(finding('row-differs', placeOf(address), 'it took steps, and its actor has no row'))
  for (const row of jobs) {
    const job = known.get(row.name)
    if (!job || (!last.has(`job:${id}/${row.name}`) && !ENDS.has(job.state))) continue
    if (row.generation !== job.generation) continue
    if (row.state !== job.state || row.attempt !== job.attempt || row.reason !== job.reason) {
      const says = `the row says ${row.state} (${row.reason}) #${row.attempt}`
      say('row-differs', row.name, `${says}, the steps ${job.state} (${job.reason}) #${job.attempt}`)
    }
    if (row.place === 'settled' && !ENDS.has(row.state))
      say('row-differs', row.name, `it is settled and ${row.state}`)
  }
  for (const { id: number, address, event } of mail) {
    const message = JSON.parse(event) as Event
    const job = String(message['job'])
    const taken = message['type'] === 'job.settled' && known.get(job)?.settled === message['generation']
    if (taken) say('mail-taken', job, `mail ${number} to ${address} was taken and is still to be delivered`)
  }
  const state = last.get(`plan:${id}`)?.to
  const open = jobs.filter((row) => row.place !== 'settled')
  if (state !== undefined && PLAN_ENDS.has(state) && open.length > 0)
    say(
      'rows-left',
      null,
      `the plan is ${state} and ${open.length} of its jobs ${open.length === 1 ? 'is' : 'are'} not settled`,
    )
  // What it told itself to go on, and what it told its jobs, may be overtaken by its end; what an operator asks waits there when it met
  // a fault, and so does word that its actor is given up. Whoever holds the home next takes them.
  const told = mail.filter(
    ({ address, event }) =>
      address === `plan:${id}` &&
      !/^(?:more|faulted|.*\.requested)$/.test(String((JSON.parse(event) as Event)['type'])),
  )
  if (state !== undefined && PLAN_ENDS.has(state) && told.length > 0)
    say(
      'rows-left',
      null,
      `the plan is ${state} and ${told.length} of its messages ${told.length === 1 ? 'waits' : 'wait'}`,
    )
  return wrong
}

/** Positions run on without a gap. */
export const auditPositions = (steps: readonly Pick<AuditStep, 'position'>[]): readonly string[] =>
  steps
    .flatMap(({ position }, at) => (position === at + 1 ? [] : [`step ${at + 1} has position ${position}`]))
    .slice(0, 1)
