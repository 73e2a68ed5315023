/**
 * The auditor: what must be true of a journal, whoever wrote it. It reads rows and nothing else, and shares no code with the host,
 * so that no mistake can hide in both.
 */

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
}>
/** The definition of a plan, as far as it is looked at. */
export type AuditDefinition = Readonly<{
  maxParallel: number
  jobs: Readonly<Record<string, Readonly<{ needs: Readonly<Record<string, string>>; optional?: boolean }>>>
}>
/** All rows of one plan. */
export type AuditPlan = Readonly<{
  id: string
  definition: AuditDefinition
  jobs: readonly Readonly<{
    name: string
    place: string
    state: string
    reason: string | null
    generation: number
    attempt: number
  }>[]
  actors: readonly Readonly<{ address: string; state: string; seq: number }>[]
  steps: readonly AuditStep[]
  mail: readonly Readonly<{ id: number; address: string; event: string }>[]
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

const meets = (need: string, end: string): boolean =>
  need === 'any' || end === 'succeeded' || (need === 'skipped-ok' && end === 'skipped')

/** Says in words what is wrong with a plan; nothing, when all is well. */
export const auditPlan = (plan: AuditPlan): readonly string[] => {
  const wrong: string[] = []
  const jobs = new Map<string, Known>()
  const seqs = new Map<string, AuditStep>()
  const running = new Set<string>()
  const own = `plan:${plan.id}`
  const say = (step: Pick<AuditStep, 'position' | 'address'>, what: string): void => {
    wrong.push(`position ${step.position}, ${step.address}: ${what}`)
  }
  const jobOf = (name: string): Known => {
    const known = jobs.get(name) ?? { state: 'held', reason: 'needs', generation: 1, attempt: 0, settled: 0 }
    jobs.set(name, known)
    return known
  }
  const needsOf = (name: string): readonly (readonly [string, string])[] =>
    Object.entries(plan.definition.jobs[name]?.needs ?? {})

  const startsRight = (step: AuditStep, name: string, job: Known): void => {
    if (step.from !== 'queued') say(step, `an attempt begins in ${step.from}`)
    if (step.attempt !== job.attempt + 1) say(step, `attempt ${step.attempt} follows ${job.attempt}`)
    for (const [other, need] of needsOf(name)) {
      const { state, settled, generation } = jobOf(other)
      if (settled === 0) say(step, `started before its need ${other} has settled (${state})`)
      // A need that was opened again after the release takes nothing back.
      else if (generation === 1 && !meets(need, state))
        say(step, `started although its need ${other} is ${state}`)
    }
    running.add(name)
    if (running.size > plan.definition.maxParallel)
      say(step, `${running.size} run at once, ${plan.definition.maxParallel} may`)
  }
  const skippedRight = (
    step: Pick<AuditStep, 'position' | 'address'>,
    name: string,
    reason: unknown,
  ): void => {
    if (reason !== 'need-failed') return
    const unmet = needsOf(name).some(([other, need]) => {
      const { state } = jobOf(other)
      return ENDS.has(state) && !meets(need, state)
    })
    if (!unmet) say(step, `${name} is skipped for a need, and none has failed`)
  }
  const jobStep = (step: AuditStep, name: string, event: Event): void => {
    const job = jobOf(name)
    if (
      step.type !== 'created' &&
      step.from !== null &&
      ENDS.has(step.from) &&
      step.to !== step.from &&
      step.type !== 'reopened'
    ) {
      say(step, `${step.type} leads out of the end ${step.from}`)
    }
    if (step.type === 'slot.granted') startsRight(step, name, job)
    if (step.type === 'reopened') {
      if (Number(event['generation']) !== job.generation + 1)
        say(step, `generation ${String(event['generation'])} follows ${job.generation}`)
      job.generation = Number(event['generation'])
    }
    if (step.type === 'created') job.generation = Number((event['input'] as Event)['generation'])
    if (step.to === 'skipped' && step.from !== 'skipped') skippedRight(step, name, step.reason)
    if (step.to !== 'running' && step.to !== 'stopping') running.delete(name)
    job.state = step.to
    job.reason = step.reason
    job.attempt = step.attempt ?? job.attempt
  }
  const planStep = (step: AuditStep, event: Event): void => {
    if (step.type === 'job.settled') {
      const job = jobOf(String(event['job']))
      if (job.settled === Number(event['generation']))
        say(step, `the end of ${String(event['job'])} is taken twice`)
      if (job.state !== event['state'])
        say(step, `${String(event['job'])} is said to be ${String(event['state'])} and is ${job.state}`)
      job.settled = Number(event['generation'])
    }
    const ended = (event['ended'] ?? []) as readonly Event[]
    for (const each of ended) {
      const name = String(each['job'])
      const job = jobOf(name)
      if (seqs.has(`job:${plan.id}/${name}`) && !ENDS.has(job.state))
        say(step, `${name} has an actor and is ended over its head`)
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
    const names = Object.keys(plan.definition.jobs)
    for (const name of names) {
      const { state, settled, generation } = jobOf(name)
      if (!ENDS.has(state)) say(step, `the plan is ${step.to} and ${name} is ${state}`)
      else if (settled !== generation)
        say(step, `the plan is ${step.to} and has not heard the end of ${name}`)
    }
    const failed = names.some((name) => {
      const { state } = jobOf(name)
      return !plan.definition.jobs[name]?.optional && (state === 'failed' || state === 'cancelled')
    })
    if (step.to === 'succeeded' && failed) say(step, 'the plan succeeded although a job failed')
    if (step.to === 'failed' && !failed) say(step, 'the plan failed although no job did')
  }

  for (const step of plan.steps) {
    const before = seqs.get(step.address)
    if (step.seq !== (before?.seq ?? 0) + 1) say(step, `seq ${step.seq} follows ${before?.seq ?? 0}`)
    if (step.from !== (before?.to ?? null))
      say(step, `comes from ${step.from}, and was ${before?.to ?? null}`)
    const event = JSON.parse(step.event) as Event
    if (step.address === own) planStep(step, event)
    else jobStep(step, step.address.slice(step.address.indexOf('/') + 1), event)
    seqs.set(step.address, step)
  }
  return [...wrong, ...auditRows(plan, jobs, seqs)]
}

/** Rows equal the fold of the steps, and nothing that was taken is still to be delivered. */
const auditRows = (
  plan: AuditPlan,
  jobs: ReadonlyMap<string, Known>,
  last: ReadonlyMap<string, AuditStep>,
): readonly string[] => {
  const wrong: string[] = []
  for (const { address, state, seq } of plan.actors) {
    const step = last.get(address)
    if (step?.seq !== seq || step.to !== state)
      wrong.push(`${address}: the row says ${state} at ${seq}, the steps ${step?.to} at ${step?.seq}`)
  }
  for (const row of plan.jobs) {
    const known = jobs.get(row.name)
    if (!known || (!last.has(`job:${plan.id}/${row.name}`) && !ENDS.has(known.state))) continue
    if (row.generation !== known.generation) continue
    if (row.state !== known.state || row.attempt !== known.attempt || row.reason !== known.reason) {
      wrong.push(
        `job ${row.name}: the row says ${row.state} (${row.reason}) #${row.attempt}, the steps ${known.state} (${known.reason}) #${known.attempt}`,
      )
    }
    if (row.place === 'settled' && !ENDS.has(row.state))
      wrong.push(`job ${row.name} is settled and ${row.state}`)
  }
  for (const { id, address, event } of plan.mail) {
    const message = JSON.parse(event) as Event
    const taken =
      message['type'] === 'job.settled' && jobs.get(String(message['job']))?.settled === message['generation']
    if (taken) wrong.push(`mail ${id} to ${address} was taken and is still to be delivered`)
  }
  const state = last.get(`plan:${plan.id}`)?.to
  const open = plan.jobs.filter((row) => row.place !== 'settled')
  if (state !== undefined && PLAN_ENDS.has(state) && open.length > 0)
    wrong.push(`the plan is ${state} and ${open.length} job(s) are not settled`)
  if (state !== undefined && PLAN_ENDS.has(state) && plan.mail.length > 0)
    wrong.push(`the plan is ${state} and ${plan.mail.length} message(s) wait`)
  return wrong
}

/** Positions run on without a gap. */
export const auditPositions = (steps: readonly Pick<AuditStep, 'position'>[]): readonly string[] =>
  steps
    .flatMap(({ position }, at) => (position === at + 1 ? [] : [`step ${at + 1} has position ${position}`]))
    .slice(0, 1)
