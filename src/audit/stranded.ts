/**
 * What nobody will take up by itself: no message about it is on its way, and no actor knows. Each commit leaves nothing stranded,
 * so that one look at committed rows is enough, whether somebody holds the home or not.
 */
import type { AuditDefinition, AuditRows } from './audit.ts'
import { type Finding, type FindingKind, finding } from './finding.ts'

/** One plan as its rows have it. */
export type StrandedPlan = Readonly<{ id: string; state: string; definition: AuditDefinition }> &
  Pick<AuditRows, 'jobs' | 'mail'>

const ENDS = new Set(['succeeded', 'failed', 'cancelled', 'skipped'])
/** The states in which a plan goes on by itself; the others have ended or wait for a person. */
const MOVING = new Set(['running', 'paused', 'cancelling'])

/** What is stranded in a plan; nothing, when all is well. */
export const auditStranded = ({ id, state, definition, jobs, mail }: StrandedPlan): readonly Finding[] => {
  if (!MOVING.has(state)) return []
  const found: Finding[] = []
  const say = (kind: FindingKind, job: string | null, what: string): void => {
    found.push(finding(kind, job === null ? { plan: id } : { plan: id, job }, what))
  }
  const messages = mail.map(({ address, event }) => ({
    address,
    event: JSON.parse(event) as Readonly<Record<string, unknown>>,
  }))
  const told = new Set(
    messages
      .filter(({ event }) => event['type'] === 'job.settled')
      .map(({ event }) => `${String(event['job'])} ${String(event['generation'])}`),
  )
  const mailed = new Set(messages.map(({ address }) => address))
  const untold = jobs.filter(
    ({ name, place, state: at, generation }) =>
      place !== 'settled' &&
      ENDS.has(at) &&
      !told.has(`${name} ${generation}`) &&
      !mailed.has(`job:${id}/${name}`),
  )
  for (const { name, state: end } of untold)
    say('end-untold', name, `it is ${end}, and no message will tell its plan`)
  // Whatever a plan still has to do on its board, it has a message to itself about it.
  if (mailed.has(`plan:${id}`)) return found

  const rows = new Map(jobs.map((row) => [row.name, row]))
  for (const { name, place } of jobs) {
    if (place !== 'held' || mailed.has(`job:${id}/${name}`)) continue
    const needs = Object.keys(definition.jobs[name]?.needs ?? {})
    if (needs.every((need) => rows.get(need)?.place === 'settled'))
      say('never-released', name, 'everything it needs has ended, and nothing will release it')
  }
  if (jobs.every(({ place }) => place === 'settled'))
    say('never-settled', null, `all its jobs have ended, and it is ${state}`)
  return found
}
