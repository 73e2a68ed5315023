/**
 * The routes of plans, their jobs and their attempts: reading them, submitting, and the commands an operator may give.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { jobEnvironment } from '../config.ts'
import { isTenutoError, TenutoError } from '../errors.ts'
import { checkDefinition } from '../plans/define-plan.ts'
import { parsePlan } from '../plans/plan-file.ts'
import { diagrams, type Runtime } from '../runtime.ts'
import { askerOf } from './entrance.ts'
import { headerValues } from './gate.ts'
import { operate } from './routing.ts'
import { isLive, type LogOf, logText, type Streams } from './streams.ts'
import { BASE, HEADERS, LOG_BYTES_MAX, type Page } from './wire.ts'

/** Items of a page where nobody says how many. */
export const PAGE = 50

/** Adds the routes that read. */
export const readingRoutes = (app: FastifyInstance, runtime: Runtime, streaming: Streams): void => {
  const { catalog } = runtime

  operate(app, 'GET /api/v1/resolve', ({ query }) => catalog.resolve(query.ref))

  operate(app, 'GET /api/v1/state', () => runtime.state())

  operate(app, 'GET /api/v1/tree', async () => {
    // A guest that does not answer is seen to be silent; one that does takes no time.
    await runtime.analytics({ limit: 1 })
    return runtime.tree()
  })

  operate(app, 'GET /api/v1/machines/:name', ({ params }) => {
    const found = diagrams.find(({ name }) => name === params.name)
    if (!found) throw new TenutoError('REF_NOT_FOUND', { ref: params.name })
    return found.json()
  })

  operate(app, 'GET /api/v1/analytics', ({ query }) => runtime.analytics(query))

  operate(app, 'GET /api/v1/plans', async ({ query: { limit = PAGE, cursor, state, name } }) => {
    if (cursor !== undefined) await catalog.plan(cursor)
    const found = await catalog.plans({
      limit: limit + 1,
      ...(cursor === undefined ? {} : { before: cursor }),
      ...(state === undefined ? {} : { states: state }),
      ...(name === undefined ? {} : { name }),
    })
    return page(found, limit, ({ id }) => id)
  })

  operate(app, 'GET /api/v1/jobs', async ({ query: { limit = PAGE, state, name } }) => {
    const items = await catalog.jobsIn({
      limit,
      ...(state === undefined ? {} : { states: state }),
      ...(name === undefined ? {} : { name }),
    })
    return { items, next_cursor: null }
  })

  operate(app, 'GET /api/v1/plans/:plan', async ({ params, query: { jobs } }) => {
    const plan = await catalog.plan(params.plan)
    return jobs ? { ...plan, jobs: await catalog.jobs(plan.id) } : plan
  })

  operate(app, 'GET /api/v1/plans/:plan/notes', async ({ params }) => {
    await catalog.plan(params.plan)
    return { items: await catalog.notes(params.plan), next_cursor: null }
  })

  operate(app, 'GET /api/v1/plans/:plan/explain', ({ params }) => runtime.explain(params.plan, null))

  operate(app, 'GET /api/v1/plans/:plan/jobs/:job/explain', ({ params }) =>
    runtime.explain(params.plan, params.job),
  )

  operate(app, 'GET /api/v1/plans/:plan/inspect', ({ params }) => runtime.inspection(params.plan, null))

  operate(app, 'GET /api/v1/plans/:plan/jobs/:job/inspect', ({ params }) =>
    runtime.inspection(params.plan, params.job),
  )

  operate(app, 'GET /api/v1/plans/:plan/definition', ({ params }) => catalog.definition(params.plan))

  operate(app, 'GET /api/v1/plans/:plan/secrets', async ({ params }) => ({
    items: await catalog.secrets(params.plan),
    next_cursor: null,
  }))

  operate(app, 'GET /api/v1/plans/:plan/jobs', async ({ params, query: { limit = PAGE, cursor } }) => {
    const jobs = await catalog.jobs(params.plan)
    const before = cursor === undefined ? -1 : jobs.findIndex(({ name }) => name === cursor)
    if (cursor !== undefined && before < 0)
      throw new TenutoError('REF_NOT_FOUND', { ref: `${params.plan}/${cursor}` })
    return page(jobs.slice(before + 1, before + limit + 2), limit, ({ name }) => name)
  })

  operate(app, 'GET /api/v1/plans/:plan/jobs/:job', async ({ params: { plan, job } }) => ({
    ...(await catalog.job(plan, job)),
    attempts: await catalog.attempts(plan, job),
  }))

  operate(
    app,
    'GET /api/v1/plans/:plan/jobs/:job/attempts/:n/log',
    async ({ params, query: { offset = 0, limit = LOG_BYTES_MAX }, reply }) => {
      const of = await logOf(params, offset)
      const live = await isLive(runtime, of)
      const { bytes, next, size } = await catalog.log(of.plan, of.job, of.attempt, offset, limit)
      return reply
        .type('application/octet-stream')
        .header(HEADERS.next, next)
        .header(HEADERS.size, size)
        .header(HEADERS.end, String(!live && next >= size))
        .send(Buffer.from(bytes))
    },
  )

  operate(
    app,
    'GET /api/v1/plans/:plan/jobs/:job/attempts/:n/log/stream',
    async ({ params, query: { offset = 0 }, headers, reply }) => {
      const of = await logOf(params, headers[HEADERS.lastEvent] ?? offset)
      return streaming.send(reply, (ending) => logText(runtime, of, ending))
    },
  )

  /** The attempt a path names; only one the journal knows ever becomes a path of files. */
  const logOf = async (
    { plan, job, n }: Readonly<{ plan: string; job: string; n: string }>,
    offset: number,
  ): Promise<LogOf> => {
    const { attempt } = await catalog.job(plan, job)
    if (!/^[1-9][0-9]{0,9}$/.test(n) || Number(n) > attempt) {
      throw new TenutoError('REF_NOT_FOUND', { ref: `${plan}/${job}#${n}` })
    }
    return { plan, job, attempt: Number(n), offset }
  }
}

/** Adds the route that submits. */
export const submitRoute = (app: FastifyInstance, runtime: Runtime): void => {
  operate(app, 'POST /api/v1/plans', async ({ body, headers, request, reply }) => {
    const { plan, yaml, base, env, secrets = {}, ...given } = body
    // Joined they would be a key of their own, under which the plan would run again.
    if (headerValues(request.raw.rawHeaders, HEADERS.key).length > 1)
      throw new TenutoError('USAGE', {
        what: 'the header Idempotency-Key is there more than once; a plan has one key',
      })
    const header = headers[HEADERS.key]
    const key = given.key ?? header
    if (header !== undefined && header !== key) {
      throw new TenutoError('USAGE', { what: `the header Idempotency-Key is ${header}, but key is ${key}` })
    }
    if (plan !== undefined && yaml !== undefined)
      throw new TenutoError('USAGE', { what: 'there are both plan and yaml; a plan is submitted by one' })
    if (plan === undefined && yaml === undefined)
      throw new TenutoError('USAGE', { what: 'plan is missing: the compiled plan, or its file as yaml' })
    const definition = yaml === undefined ? checkDefinition(plan) : parsePlan(yaml).definition
    const options = {
      base: base ?? null,
      ...orderedBy(request, given),
      // Never those of this process.
      secrets,
      ...(key === undefined ? {} : { key }),
      ...(env === undefined ? {} : { environment: jobEnvironment(env) }),
    }
    const { id, replayed } = await runtime.submit(definition, options).catch(asCalledHere)
    if (replayed) reply.header(HEADERS.replay, 'true')
    reply.header('location', `${BASE}/plans/${id}`).code(replayed ? 200 : 201)
    return runtime.catalog.plan(id)
  })
}

/** A secret that stands in clear where the body calls it otherwise than a program that submits. */
const asCalledHere = (error: unknown): never => {
  if (!isTenutoError(error, 'SECRET_IN_CLEAR') || error.fields['place'] !== 'why') throw error
  throw new TenutoError('SECRET_IN_CLEAR', { ...error.fields, place: 'reason' }, error)
}

const PLAN_VERBS = ['cancel', 'pause', 'continue', 'retry'] as const
const JOB_VERBS = ['cancel', 'retry', 'skip', 'now', 'approve', 'reject'] as const

/** Adds the routes of commands. */
export const commandRoutes = (app: FastifyInstance, runtime: Runtime): void => {
  operate(app, 'POST /api/v1/sweep', ({ body, request }) => runtime.sweep(orderedBy(request, body)))
  operate(app, 'POST /api/v1/gc', ({ body: { dry_run, older_than_ms, keep, ...asked }, request }) =>
    runtime.gc({
      ...orderedBy(request, asked),
      ...(dry_run === undefined ? {} : { dryRun: dry_run }),
      ...(older_than_ms === undefined ? {} : { olderThanMs: older_than_ms }),
      ...(keep === undefined ? {} : { keep }),
    }),
  )
  operate(
    app,
    'POST /api/v1/plans/:plan/secrets',
    async ({ params, body: { secrets = {}, by }, request }) => ({
      items: await runtime.giveSecrets(params.plan, secrets, { by: askerOf(request, by) }),
      next_cursor: null,
    }),
  )
  for (const verb of PLAN_VERBS)
    operate(app, `POST /api/v1/plans/:plan/${verb}`, ({ params, body: { reason, by, ...asked }, request }) =>
      runtime.command(params.plan, null, { do: verb, ...asked }, orderedBy(request, { reason, by })),
    )
  for (const verb of JOB_VERBS)
    operate(
      app,
      `POST /api/v1/plans/:plan/jobs/:job/${verb}`,
      ({ params, body: { reason, by, ...asked }, request }) =>
        runtime.command(params.plan, params.job, { do: verb, ...asked }, orderedBy(request, { reason, by })),
    )
}

/** Who asked, and why, as a command is told. */
export const orderedBy = (
  request: FastifyRequest,
  { reason, by }: Readonly<{ reason?: string | undefined; by?: string | undefined }>,
): Readonly<{ by: string; why?: string }> => ({
  by: askerOf(request, by),
  // A reason that says nothing is none.
  ...(reason === undefined || reason.trim() === '' ? {} : { why: reason }),
})

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
