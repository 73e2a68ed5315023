/**
 * Explaining from what is on record: the evidence is read from the journal, and the rest is what the holder of the home says.
 */
import { jobAddress, planAddress } from './address.ts'
import type { Catalog } from './catalog.ts'
import type { Clock } from './clock.ts'
import type { Definition } from './definition.ts'
import { TenutoError } from './errors.ts'
import type { JournalReader, StepRow } from './journal/journal.ts'
import type { JsonObject } from './json.ts'
import { secretsOf } from './secrets.ts'
import type { Holding } from './views/evidence.ts'
import { type ExplainShape, explain } from './views/explain.ts'
import { type AttemptShape, type EventShape, eventShape, type JobShape } from './views/shapes.ts'

/** Explains a plan, or a job of it. @throws {TenutoError} `REF_NOT_FOUND`. */
export type Explaining = (plan: string, job: string | null, holding: Holding) => Promise<ExplainShape>

/** Steps read at once. */
const PAGE = 5_000

/**
 * Explains on a reader of the journal. It reads what one plan has on record: its board, its own steps, and those of the jobs that its
 * chain names, which shows when it is made without them.
 */
export const explaining =
  (reader: JournalReader, catalog: Catalog, clock: Pick<Clock, 'now'>): Explaining =>
  async (plan, job, holding) => {
    const shape = await catalog.plan(plan)
    const jobs = new Map((await jobsOf(catalog, plan, shape.error)).map((each) => [each.name, each]))
    const about = job === null ? null : jobs.get(job)
    if (about === undefined) throw new TenutoError('REF_NOT_FOUND', { ref: `${plan}/${job}` })
    const definition = await catalog.definition(plan).catch((error: unknown) => {
      if (shape.error === null) throw error
      return undefined
    })
    const attempts = new Map<string, readonly AttemptShape[]>()
    const told = new Map<string | null, readonly StepRow[]>([[null, await stepsOf(reader, plan, null)]])
    const notes = await catalog.notes(plan)
    const gone = definition === undefined ? [] : await goneOf(catalog, plan)
    const now = clock.now()
    for (;;) {
      const unread = new Set<string>()
      const attemptsOf = (name: string): readonly AttemptShape[] => {
        const known = jobs.get(name)?.attempt === 0 ? [] : attempts.get(name)
        if (known === undefined) unread.add(name)
        return known ?? []
      }
      const toldOf = (name: string | null): readonly StepRow[] => {
        const known = told.get(name)
        if (known === undefined && name !== null) unread.add(name)
        return known ?? []
      }
      const evidence = {
        now,
        plan: shape,
        maxParallel: definition?.maxParallel ?? Number.POSITIVE_INFINITY,
        jobs,
        retry: (name: string) => definition?.jobs[name]?.retry,
        onLost: (name: string) => definition?.jobs[name]?.onLost,
        foundLost: (name: string, attempt: number) => foundAt(notes, name, attempt),
        lacking: (name: string) => {
          const given = definition?.jobs[name]
          return given === undefined
            ? []
            : secretsOf(definition as Definition, given).filter((each) => gone.includes(each))
        },
        attempts: attemptsOf,
        orders: (name: string | null) => toldOf(name).map(eventShape),
        leftAlone: (name: string) => whyAside(notes, [], name),
        setAside: (name: string | null) => whyAside(notes, toldOf(name), name),
        holding,
      }
      const made = explain(evidence, about)
      if (unread.size === 0) return made
      for (const name of unread) {
        attempts.set(name, (jobs.get(name)?.attempt ?? 0) > 0 ? await catalog.attempts(plan, name) : [])
        told.set(name, await stepsOf(reader, plan, name))
      }
    }
  }

/** The secrets of a plan that the home has no values of. */
const goneOf = async (catalog: Catalog, plan: string): Promise<readonly string[]> =>
  (await catalog.secrets(plan)).filter(({ kept }) => !kept).map(({ name }) => name)

/** A plan that cannot be loaded may have jobs that cannot be read; why is said with the plan. */
const jobsOf = async (catalog: Catalog, plan: string, error: string | null): Promise<readonly JobShape[]> => {
  try {
    return await catalog.jobs(plan)
  } catch (wrong) {
    if (error === null) throw wrong
    return []
  }
}

/** What was ordered of an actor, and where its state changed; the newest first. */
const stepsOf = async (
  reader: JournalReader,
  plan: string,
  job: string | null,
): Promise<readonly StepRow[]> => {
  const address = job === null ? planAddress(plan) : jobAddress(plan, job)
  const found: StepRow[] = []
  for (let after = 0; ; ) {
    const page = await reader.steps({ after, limit: PAGE, address })
    found.push(...page.filter(({ type, from, to }) => type.endsWith('.requested') || from !== to))
    const last = page.at(-1)
    if (last === undefined || page.length < PAGE) return found.toReversed()
    after = last.position
  }
}

/** When a start found an attempt lost. */
const foundAt = (notes: readonly EventShape[], job: string, attempt: number): string | undefined =>
  notes.find(
    (each) =>
      each.type === 'recovered' &&
      each.job === job &&
      each.attempt === attempt &&
      each.detail?.['found'] === 'lost',
  )?.at

const WHY_CHARACTERS_MAX = 300
/** What an error says before its stack. */
const headOf = (error: string): string => {
  const lines = error.split('\n')
  const stack = lines.findIndex((line) => /^\s+at /.test(line))
  const said = (stack < 1 ? lines.slice(0, 1) : lines.slice(0, stack)).join(' ')
  return said.length > WHY_CHARACTERS_MAX ? `${said.slice(0, WHY_CHARACTERS_MAX - 1)}…` : said
}

/** Why the runtime has set an actor aside: what it failed with. */
const whyAside = (
  notes: readonly EventShape[],
  steps: readonly StepRow[],
  job: string | null,
): string | undefined => {
  const note = notes.find((each) => each.type === 'quarantined' && (each.job ?? null) === job)
  const fault = steps.find(({ type }) => type === 'faulted')
  const why = note?.detail?.['why'] ?? (fault && (JSON.parse(fault.event) as JsonObject)['error'])
  return typeof why === 'string' ? headOf(why) : undefined
}
