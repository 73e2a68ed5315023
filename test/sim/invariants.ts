/**
 * What must be true of a world, whatever has happened in it: of its journal by the auditor, and of its attempts by their directories.
 */
import { attemptKey } from '../../src/attempt.ts'
import { auditPlan, auditPositions } from '../../src/audit/audit.ts'
import { auditStranded } from '../../src/audit/stranded.ts'
import type { JournalReader, StepRow } from '../../src/journal/journal.ts'
import type { Ledger } from './ledger.ts'
import type { SimPlan } from './plans.ts'
import type { Premises } from './premises.ts'

/**
 * What is wrong with the journal. `complete`: no message was taken out of it. `last`: all is over. `ever`: all steps
 * there have been.
 */
export const journalWrong = async (
  reader: JournalReader,
  plans: readonly SimPlan[],
  { complete, last, ever }: Readonly<{ complete: boolean; last: boolean; ever: readonly StepRow[] }>,
): Promise<readonly string[]> => {
  const all = await reader.steps({ after: 0, limit: Number.MAX_SAFE_INTEGER })
  const found = [...auditPositions(ever)]
  for (const { id, definition } of plans) {
    const [jobs, actors, mail] = [await reader.jobs(id), await reader.actors(id), await reader.mail(id)]
    const [own, ...others] = [`plan:${id}`, `job:${id}/`, `note:${id}/`]
    const steps = all.filter(
      ({ address }) => address === own || others.some((prefix) => address.startsWith(prefix)),
    )
    found.push(...auditPlan({ id, definition, jobs, actors, steps, mail }).map((each) => `${id}: ${each}`))
    const state = actors.find(({ address }) => address === `plan:${id}`)?.state ?? 'none'
    if (last && mail.length > 0) found.push(`${id}: ${mail.length} message(s) wait when all is over`)
    if (!complete) continue
    for (const { what, place } of auditStranded({ id, state, definition, jobs, mail }))
      found.push(`${JSON.stringify(place)}: ${what}`)
  }
  return found
}

type Ended = Readonly<{ attempt: number; outcome: string; pid: number | null }>

/** What is wrong with the attempts when all is over. */
export const attemptsWrong = (
  plans: readonly SimPlan[],
  premises: Premises,
  { steps, removed }: Pick<Ledger, 'steps' | 'removed'>,
  dirOf: (plan: string, job: string, attempt: number) => string,
): readonly string[] => {
  const found: string[] = []
  for (const { key } of premises.living()) found.push(`a process of ${key} lives when all is over`)
  for (const { id } of plans) {
    const prefix = `job:${id}/`
    for (const { address, type, event } of steps) {
      if (type !== 'attempt.ended' || !address.startsWith(prefix)) continue
      const job = address.slice(prefix.length)
      const { attempt, outcome, pid } = JSON.parse(event) as Ended
      const where = `${id}/${job} #${attempt}`
      const key = attemptKey('simulated', id, job, attempt)
      const { exit } = premises.directory(dirOf(id, job, attempt))
      // An end that was told and could not be recorded is gone with its runner; whoever asks again hears what is known then.
      // A stop that was on its way makes a folder anew where the plan is removed; it goes as one that nobody knows.
      if (exit && exit.outcome !== outcome && !premises.unrecorded.has(key) && !removed.has(id))
        found.push(`${where} ended as ${outcome}, and its exit record says ${exit.outcome}`)
      const executed = premises.executions.has(key)
      if (executed && (outcome === 'never-started' || (outcome === 'cancelled' && pid === null)))
        found.push(`${where} ended as ${outcome}, never started, and was executed`)
    }
  }
  return found
}
