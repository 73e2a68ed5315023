/**
 * The catalog: what anybody may read of a home, in the shapes of the outside contract. It works on the journal alone, whether this
 * process holds the home or only looks at it, and never touches an actor.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type Address, jobAddress, planAddress } from './address.ts'
import { attemptDir, FILES } from './attempt.ts'
import type { Definition, JobDefinition } from './definition.ts'
import { TenutoError } from './errors.ts'
import type { JobRow, JournalReader, PlanHead, StepRow } from './journal/journal.ts'
import type { Json } from './json.ts'
import type { Of } from './json-schema.ts'
import { type LogChunk, readLog } from './log-file.ts'
import type { ModeName } from './mode.ts'
import { processAt } from './record-file.ts'
import { secretPlaces, vault } from './secrets.ts'
import { JOB_STATES } from './states.ts'
import type { target } from './views/schemas.ts'
import {
  type AttemptShape,
  attemptShapes,
  type Counts,
  type DeadLetterShape,
  deadLetterShape,
  type EventShape,
  eventShape,
  type JobShape,
  jobShape,
  type PlanShape,
  planShape,
  type SecretShape,
  type WholeLetterShape,
  wholeLetterShape,
} from './views/shapes.ts'

/** What a ref names: a plan, a job of it, or an attempt of that. */
export type Target = Of<typeof target>

/** Which events to read. */
export type EventQuery = Readonly<{ after: number; limit: number; plan?: string; job?: string }>

/** Reads a home. All answers are as of the last commit. */
export type Catalog = Readonly<{
  /**
   * What a user's `plan`, `plan/job` or `plan/job#2` names. A plan: exact id, then exact name (newest), then unique prefix of an id.
   * @throws {TenutoError} `REF_NOT_FOUND`, `REF_AMBIGUOUS` with the candidates; `USAGE` when it is empty.
   */
  resolve: (ref: string) => Promise<Target>
  /** Newest first; at most `limit` (50); `before` is the id of the last plan of the page before. */
  plans: (
    query?: Readonly<{ name?: string; states?: readonly string[]; limit?: number; before?: string }>,
  ) => Promise<readonly PlanShape[]>
  /** @throws {TenutoError} `REF_NOT_FOUND`. */
  plan: (id: string) => Promise<PlanShape>
  definition: (plan: string) => Promise<Definition>
  /** In the order of the definition. */
  jobs: (plan: string) => Promise<readonly JobShape[]>
  /** Of all plans, those of the newest first; at most `limit` (50), in these states, of plans of this name. */
  jobsIn: (
    query?: Readonly<{ states?: readonly string[]; name?: string; limit?: number }>,
  ) => Promise<readonly JobShape[]>
  /** @throws {TenutoError} `REF_NOT_FOUND`. */
  job: (plan: string, job: string) => Promise<JobShape>
  attempts: (plan: string, job: string) => Promise<readonly AttemptShape[]>
  events: (query: EventQuery) => Promise<readonly EventShape[]>
  /** What the runtime has noted about a plan and its jobs (recovery, repairs, quarantine), newest first; at most 1000. */
  notes: (plan: string) => Promise<readonly EventShape[]>
  /** Dead letters, newest first; at most `limit` (50), those with a smaller id than `before`. */
  deadLetters: (query?: Readonly<{ limit?: number; before?: number }>) => Promise<readonly DeadLetterShape[]>
  /** @throws {TenutoError} `LETTER_NOT_FOUND`. */
  deadLetter: (id: number) => Promise<WholeLetterShape>
  /** The secrets that a plan names, in the order in which it names them. */
  secrets: (plan: string) => Promise<readonly SecretShape[]>
  /**
   * Part of an attempt's log, the secrets of its plan masked. An attempt without a log reads as empty.
   * @throws {TenutoError} `SECRETS_GONE` when they cannot be masked, because their values are not kept; `LOG_WITHHELD` when the
   * attempt may have had others, which are lost.
   */
  log: (plan: string, job: string, attempt: number, offset: number, limit: number) => Promise<LogChunk>
  close: () => Promise<void>
}>

const CANDIDATES_MAX = 10
const PLANS_PAGE = 50
const JOBS_PAGE = 50
const NOTES_MAX = 1000
const LETTERS_PAGE = 50

const missing = (ref: string): TenutoError => new TenutoError('REF_NOT_FOUND', { ref })

/** The catalog of a home, on a reader of its journal. Whether anything new starts there says `mode`. */
export const catalog = (
  reader: JournalReader,
  home: string,
  mode: () => ModeName = () => 'running',
): Catalog => {
  const definitions = new Map<string, Definition>()
  const secrets = vault(home)

  const definition = async (plan: string): Promise<Definition> => {
    const known = definitions.get(plan)
    if (known) return known
    const revision = await reader.revision(plan)
    if (!revision) throw missing(plan)
    const parsed = JSON.parse(revision.definition) as Definition
    if (definitions.size > 16) definitions.clear()
    definitions.set(plan, parsed)
    return parsed
  }
  const head = async (plan: string): Promise<PlanHead> => {
    const found = await reader.plan(plan)
    if (!found) throw missing(plan)
    return found
  }
  const context = async (address: Address): Promise<Readonly<Record<string, Json>>> => {
    const row = await reader.actor(address)
    return row ? (JSON.parse(row.snapshot) as { context: Record<string, Json> }).context : {}
  }
  const shape = async (of: PlanHead): Promise<PlanShape> => {
    const counts: Counts = await reader.counts(of.id)
    // Of a plan that cannot be loaded nothing is read that may be what is wrong with it.
    const known = of.aside === null ? await context(planAddress(of.id)) : {}
    return planShape(of, counts, Number(known['generation'] ?? 1))
  }
  const resolvePlan = async (ref: string, whole: string): Promise<string> => {
    if (whole === '')
      throw new TenutoError('USAGE', { what: 'the ref is empty; it must name a plan, a job or an attempt' })
    const exact = await reader.plan(ref)
    if (exact) return exact.id
    const [named] = await reader.plans({ name: ref, limit: 1 })
    if (named) return named.id
    const candidates = ref === '' ? [] : await reader.plansByPrefix(ref, CANDIDATES_MAX)
    if (candidates.length > 1) {
      throw new TenutoError('REF_AMBIGUOUS', {
        ref: whole,
        candidates: candidates.map(({ id }) => id).join(', '),
      })
    }
    const [only] = candidates
    if (!only) throw missing(whole)
    return only.id
  }
  /** When a wait ends by itself; null where it does not, or is none. */
  const wakeOf = async (plan: string, { name, state, reason }: JobRow): Promise<number | null> => {
    const isGate = state === 'waiting' && reason === 'approval'
    if (state !== 'backoff' && !isGate) return null
    const { wakeAt, approvalAt } = await context(jobAddress(plan, name))
    const at = isGate ? approvalAt : wakeAt
    return typeof at === 'number' ? at : null
  }
  const toJob = async (of: PlanHead, name: string): Promise<JobShape> => {
    const row = await reader.job(of.id, name)
    const kind = (await definition(of.id)).jobs[name]
    if (!row || !kind) throw missing(`${of.id}/${name}`)
    const outputs = (await reader.outputs(of.id, [name])).get(name)
    const given = outputs === undefined ? null : (JSON.parse(outputs) as Json)
    return jobShape(of, row, kind, given, await wakeOf(of.id, row), mode())
  }
  const steps = ({ after, limit, plan, job }: EventQuery): Promise<readonly StepRow[]> =>
    reader.steps({
      after,
      limit,
      ...(plan === undefined ? {} : job === undefined ? { plan } : { address: jobAddress(plan, job) }),
    })

  return {
    resolve: async (ref) => {
      const [before = '', ...rest] = ref.split('/')
      const plan = await resolvePlan(before, ref)
      if (rest.length === 0) return { plan, job: null, attempt: null }
      const [, job = '', n] = /^(.*?)(?:#([1-9][0-9]*))?$/.exec(rest.join('/')) ?? []
      const row = await reader.job(plan, job)
      if (!row || (n !== undefined && Number(n) > row.attempt)) throw missing(ref)
      return { plan, job, attempt: n === undefined ? null : Number(n) }
    },
    plans: async (query = {}) => {
      const heads = await reader.plans({ limit: PLANS_PAGE, ...query })
      return Promise.all(heads.map(shape))
    },
    plan: async (id) => shape(await head(id)),
    definition,
    jobs: async (plan) => {
      const of = await head(plan)
      const { jobs } = await definition(plan)
      const outputs = await reader.outputs(plan)
      const rows = await reader.jobs(plan)
      const missing = Object.keys(jobs).length - rows.length
      if (missing !== 0 && of.aside === null)
        throw new TenutoError('PLAN_DAMAGED', { plan, why: `the rows of ${missing} jobs are gone` })
      return Promise.all(
        rows.map(async (row) => {
          const given = outputs.get(row.name)
          return jobShape(
            of,
            row,
            jobs[row.name] as JobDefinition,
            given === undefined ? null : (JSON.parse(given) as Json),
            await wakeOf(plan, row),
            mode(),
          )
        }),
      )
    },
    jobsIn: async ({ states = JOB_STATES, limit = JOBS_PAGE, ...query } = {}) => {
      const shapes: JobShape[] = []
      let of: PlanHead | undefined
      for (const row of await reader.jobsIn({ ...query, states, limit })) {
        if (of?.id !== row.plan) of = await reader.plan(row.plan)
        // A plan that cannot be read is told of with the plans.
        const job = of?.damaged === false ? (await definition(row.plan)).jobs[row.name] : undefined
        if (!of || !job) continue
        const given = (await reader.outputs(row.plan, [row.name])).get(row.name)
        const outputs = given === undefined ? null : (JSON.parse(given) as Json)
        shapes.push(jobShape(of, row, job, outputs, await wakeOf(row.plan, row), mode()))
      }
      return shapes
    },
    job: async (plan, job) => toJob(await head(plan), job),
    attempts: async (plan, job) => {
      const told = attemptShapes(await steps({ after: 0, limit: Number.MAX_SAFE_INTEGER, plan, job }))
      const last = told.at(-1)
      if (!last || last.outcome !== null) return told
      const record = processAt(join(attemptDir(home, plan, job, last.n), FILES.process))
      return record ? [...told.slice(0, -1), { ...last, pid: record.pid }] : told
    },
    notes: async (plan) => (await reader.notes(plan, NOTES_MAX)).map(eventShape),
    events: async (query) => (await steps(query)).map(eventShape),
    deadLetters: async ({ limit = LETTERS_PAGE, before } = {}) =>
      (await reader.deadLetters(limit, before)).map(deadLetterShape),
    deadLetter: async (id) => {
      const [row] = await reader.deadLetters(1, id + 1)
      if (row?.id !== id) throw new TenutoError('LETTER_NOT_FOUND', { id })
      return wholeLetterShape(row)
    },
    secrets: async (plan) => {
      const places = secretPlaces(await definition(plan))
      const kept = new Set(secrets.names(plan))
      return [...places].map(([name, place]) => ({ name, place, kept: kept.has(name) }))
    },
    log: async (plan, job, attempt, offset, limit) => {
      const path = join(attemptDir(home, plan, job, attempt), FILES.log)
      // Secrets go with the logs that they are kept for, and what is not there needs no masking.
      if (!existsSync(path)) return readLog(path, offset, limit)
      if (secrets.isWithheld(plan, job, attempt))
        throw new TenutoError('LOG_WITHHELD', { plan, job, attempt, path })
      const masking = secrets.masking(plan, await definition(plan).catch(() => undefined))
      if (masking.reach === 0) return readLog(path, offset, limit)
      // Asked before reading: what an attempt that has ended wrote is all there.
      const row = await reader.job(plan, job)
      const isOver = row?.attempt !== attempt || !(row.state === 'running' || row.state === 'stopping')
      return readLog(path, offset, limit, { masking, isOver })
    },
    close: () => reader.close(),
  }
}
