/**
 * The routes of plans, their jobs and their attempts: reading them, submitting, and the commands an operator may give.
 */
import { isAbsolute } from 'node:path'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Asker } from '../command.ts'
import { jobEnvironment } from '../config.ts'
import { TenutoError } from '../errors.ts'
import { checkDefinition } from '../plans/define-plan.ts'
import type { Command, Runtime } from '../runtime.ts'
import { isJobState, JOB_STATES, PLAN_STATES } from '../states.ts'
import { askerOf } from './entrance.ts'
import { anything, count, type Field, flag, readFields, text, texts, whole, words } from './fields.ts'
import { isLive, type LogOf, logText, type Streams } from './streams.ts'
import { BASE, HEADERS, LOG_BYTES_MAX, PAGE_MAX, type Page } from './wire.ts'

type At = Readonly<{ Params: Readonly<{ plan: string; job: string; n: string }> }>

const PAGE = 50
const OFFSET_MAX = Number.MAX_SAFE_INTEGER
const NAME = text(1000)

const isPlanState = (word: string): boolean => (PLAN_STATES as readonly string[]).includes(word)

const LIST = { limit: whole(1, PAGE_MAX), cursor: NAME }
const PLANS = { ...LIST, state: words(`one or more of ${PLAN_STATES.join(', ')}`, isPlanState), name: NAME }

const JOBS = {
  limit: whole(1, PAGE_MAX),
  state: words(`one or more of ${JOB_STATES.join(', ')}`, isJobState),
  name: NAME,
}

/** Adds the routes that read. */
export const readingRoutes = (app: FastifyInstance, runtime: Runtime, streaming: Streams): void => {
  const { catalog } = runtime

  app.get('/resolve', ({ query }) => {
    const { ref } = readFields('query', query, { ref: NAME })
    if (ref === undefined) throw new TenutoError('USAGE', { what: 'ref is missing: what is to be found' })
    return catalog.resolve(ref)
  })

  app.get('/state', ({ query }) => {
    readFields('query', query, {})
    return runtime.state()
  })

  app.get('/tree', async ({ query }) => {
    readFields('query', query, {})
    // A guest that does not answer is seen to be silent; one that does takes no time.
    await runtime.analytics({ limit: 1 })
    return runtime.tree()
  })

  app.get('/analytics', ({ query }) => {
    const { plan, limit } = readFields('query', query, { plan: NAME, limit: whole(1, PAGE_MAX) })
    return runtime.analytics({
      ...(plan === undefined ? {} : { plan }),
      ...(limit === undefined ? {} : { limit }),
    })
  })

  app.get('/plans', async ({ query }) => {
    const { limit = PAGE, cursor, state, name } = readFields('query', query, PLANS)
    if (cursor !== undefined) await catalog.plan(cursor)
    const found = await catalog.plans({
      limit: limit + 1,
      ...(cursor === undefined ? {} : { before: cursor }),
      ...(state === undefined ? {} : { states: state }),
      ...(name === undefined ? {} : { name }),
    })
    return page(found, limit, ({ id }) => id)
  })

  app.get('/jobs', async ({ query }) => {
    const { limit = PAGE, state, name } = readFields('query', query, JOBS)
    const items = await catalog.jobsIn({
      limit,
      ...(state === undefined ? {} : { states: state }),
      ...(name === undefined ? {} : { name }),
    })
    return { items, next_cursor: null }
  })

  app.get<At>('/plans/:plan', async ({ params, query }) => {
    const { jobs } = readFields('query', query, { jobs: flag })
    const plan = await catalog.plan(params.plan)
    return jobs ? { ...plan, jobs: await catalog.jobs(plan.id) } : plan
  })

  app.get<At>('/plans/:plan/notes', async ({ params, query }) => {
    readFields('query', query, {})
    await catalog.plan(params.plan)
    return { items: await catalog.notes(params.plan), next_cursor: null }
  })

  app.get<At>('/plans/:plan/explain', ({ params, query }) => {
    readFields('query', query, {})
    return runtime.explain(params.plan, null)
  })

  app.get<At>('/plans/:plan/jobs/:job/explain', ({ params, query }) => {
    readFields('query', query, {})
    return runtime.explain(params.plan, params.job)
  })

  app.get<At>('/plans/:plan/definition', ({ params, query }) => {
    readFields('query', query, {})
    return catalog.definition(params.plan)
  })

  app.get<At>('/plans/:plan/secrets', async ({ params, query }) => {
    readFields('query', query, {})
    return { items: await catalog.secrets(params.plan), next_cursor: null }
  })

  app.get<At>('/plans/:plan/jobs', async ({ params, query }) => {
    const { limit = PAGE, cursor } = readFields('query', query, LIST)
    const jobs = await catalog.jobs(params.plan)
    const before = cursor === undefined ? -1 : jobs.findIndex(({ name }) => name === cursor)
    if (cursor !== undefined && before < 0)
      throw new TenutoError('REF_NOT_FOUND', { ref: `${params.plan}/${cursor}` })
    return page(jobs.slice(before + 1, before + limit + 2), limit, ({ name }) => name)
  })

  app.get<At>('/plans/:plan/jobs/:job', async ({ params: { plan, job }, query }) => {
    readFields('query', query, {})
    return { ...(await catalog.job(plan, job)), attempts: await catalog.attempts(plan, job) }
  })

  app.get<At>('/plans/:plan/jobs/:job/attempts/:n/log', async (request, reply) => {
    const { offset = 0, limit = LOG_BYTES_MAX } = readFields('query', request.query, {
      offset: whole(0, OFFSET_MAX),
      limit: whole(0, LOG_BYTES_MAX),
    })
    const of = await logOf(request, offset)
    const live = await isLive(runtime, of)
    const { bytes, next, size } = await catalog.log(of.plan, of.job, of.attempt, offset, limit)
    return reply
      .type('application/octet-stream')
      .header(HEADERS.next, next)
      .header(HEADERS.size, size)
      .header(HEADERS.end, String(!live && next >= size))
      .send(Buffer.from(bytes))
  })

  app.get<At>('/plans/:plan/jobs/:job/attempts/:n/log/stream', async (request, reply) => {
    const { offset = 0 } = readFields('query', request.query, { offset: whole(0, OFFSET_MAX) })
    const of = await logOf(request, lastEventId(request) ?? offset)
    return streaming.send(reply, (ending) => logText(runtime, of, ending))
  })

  /** The attempt a path names; only one the journal knows ever becomes a path of files. */
  const logOf = async ({ params: { plan, job, n } }: FastifyRequest<At>, offset: number): Promise<LogOf> => {
    const { attempt } = await catalog.job(plan, job)
    if (!/^[1-9][0-9]{0,9}$/.test(n) || Number(n) > attempt) {
      throw new TenutoError('REF_NOT_FOUND', { ref: `${plan}/${job}#${n}` })
    }
    return { plan, job, attempt: Number(n), offset }
  }
}

/** What a command may say beside what it asks. */
export const WHY = { reason: text(10_000), by: text(1000) }
/** Who asks, and why, as a runtime takes it. */
export const saying = (why: string | undefined, by: string): Asker => ({
  by,
  ...(why === undefined ? {} : { why }),
})
const SUBMISSION = {
  plan: anything,
  yaml: anything,
  inputs: anything,
  base: NAME,
  env: texts,
  key: NAME,
  ...WHY,
  secrets: anything,
}

/** Adds the route that submits. */
export const submitRoute = (app: FastifyInstance, runtime: Runtime): void => {
  app.post('/plans', async (request, reply) => {
    const { body, headers } = request
    const { plan, yaml, inputs, base, env, secrets = {}, ...given } = readFields('body', body, SUBMISSION)
    const header = headers[HEADERS.key] as string | undefined
    const key = given.key ?? header
    if (header !== undefined && header !== key) {
      throw new TenutoError('USAGE', { what: `the header Idempotency-Key is ${header}, but key is ${key}` })
    }
    if (yaml !== undefined) throw notYet('`yaml`', 'send the compiled plan as `plan`')
    if (inputs !== undefined) throw notYet('`inputs`', 'leave it out')
    if (plan === undefined) throw new TenutoError('USAGE', { what: 'plan is missing: the compiled plan' })
    if (base === undefined) throw notYet('a plan without `base`', 'name the folder in which its jobs run')
    if (!isAbsolute(base))
      throw new TenutoError('USAGE', { what: `base is ${base}; it must be an absolute path` })
    const { id, replayed } = await runtime.submit(checkDefinition(plan), {
      base,
      ...saying(given.reason, askerOf(request, given.by)),
      // Never those of this process; what is wrong with them is told by the runtime, which says of none what it is.
      secrets: secrets as Readonly<Record<string, string>>,
      ...(key === undefined ? {} : { key }),
      ...(env === undefined ? {} : { environment: jobEnvironment(env) }),
    })
    if (replayed) reply.header(HEADERS.replay, 'true')
    reply.header('location', `${BASE}/plans/${id}`)
    return reply.code(replayed ? 200 : 201).send(await runtime.catalog.plan(id))
  })
}

const GC = { dry_run: flag, older_than_ms: count, keep: count, ...WHY }
type Verbs = Readonly<Partial<Record<Command['do'], Readonly<Record<string, Field<boolean>>>>>>
const PLAN_VERBS: Verbs = { cancel: { now: flag }, pause: {}, continue: {}, retry: { failed: flag } }
const JOB_VERBS: Verbs = {
  cancel: { now: flag },
  retry: { downstream: flag },
  skip: {},
  now: {},
  approve: {},
  reject: {},
}

/** Adds the routes of commands. */
export const commandRoutes = (app: FastifyInstance, runtime: Runtime): void => {
  app.post('/sweep', (request) => {
    const { reason, by } = readFields('body', request.body, WHY)
    return runtime.sweep(saying(reason, askerOf(request, by)))
  })
  app.post('/gc', (request) => {
    const { dry_run, older_than_ms, keep, reason, by } = readFields('body', request.body, GC)
    return runtime.gc({
      ...saying(reason, askerOf(request, by)),
      ...(dry_run === undefined ? {} : { dryRun: dry_run }),
      ...(older_than_ms === undefined ? {} : { olderThanMs: older_than_ms }),
      ...(keep === undefined ? {} : { keep }),
    })
  })
  app.post<At>('/plans/:plan/secrets', async (request) => {
    const { secrets = {}, by } = readFields('body', request.body, { secrets: anything, by: WHY.by })
    const { plan } = request.params
    const values = secrets as Readonly<Record<string, string>>
    return {
      items: await runtime.giveSecrets(plan, values, { by: askerOf(request, by) }),
      next_cursor: null,
    }
  })
  const add = (path: string, verbs: Verbs): void => {
    for (const [verb, options] of Object.entries(verbs)) {
      app.post<At>(`${path}/${verb}`, async (request, reply) => {
        const { params, body } = request
        const { reason, by, ...asked } = readFields('body', body, { ...WHY, ...options })
        const receipt = await runtime.command(
          params.plan,
          params.job ?? null,
          { do: verb, ...asked } as Command,
          saying(reason, askerOf(request, by)),
        )
        return reply.code(202).send(receipt)
      })
    }
  }
  add('/plans/:plan', PLAN_VERBS)
  add('/plans/:plan/jobs/:job', JOB_VERBS)
}

/**
 * Where a client that comes back was.
 * @throws {TenutoError} `USAGE` when the header is no number.
 */
export const lastEventId = ({ headers }: Pick<FastifyRequest, 'headers'>): number | undefined => {
  const given = headers[HEADERS.lastEvent]
  return given === undefined
    ? undefined
    : readFields('query', { 'Last-Event-ID': given }, LAST_EVENT)['Last-Event-ID']
}

const LAST_EVENT = { 'Last-Event-ID': whole(0, OFFSET_MAX) }

/** A part of a list that was asked for with one more than its limit. */
export const page = <Item>(
  found: readonly Item[],
  limit: number,
  cursorOf: (item: Item) => string,
): Page<Item> => {
  const items = found.slice(0, limit)
  const last = items.at(-1)
  return { items, next_cursor: found.length > limit && last !== undefined ? cursorOf(last) : null }
}

const notYet = (what: string, remedy: string): TenutoError => new TenutoError('NOT_YET', { what, remedy })
