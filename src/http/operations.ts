/**
 * The operations of the API: of each route what it asks of its caller, what it takes, what it answers and how it refuses. Whatever else
 * knows of a route is made from this table: the check of what comes in, the types of its handler, the document and the manual. A route
 * that is not in it does not start.
 */
import { commandReceipt } from '../command.ts'
import { definitionSchema } from '../definition.ts'
import type { ErrorCode } from '../errors.ts'
import {
  about,
  both,
  flag,
  type JsonSchema,
  json,
  list,
  moment,
  named,
  type Of,
  object,
  options,
  orNull,
  record,
  type Schema,
  secretText,
  text,
  whole,
  word,
} from '../json-schema.ts'
import { modeReceipt } from '../mode.ts'
import { JOB_STATES, PLAN_STATES } from '../states.ts'
import * as shapes from '../views/schemas.ts'
import { state } from '../views/state.ts'
import { LOG_BYTES_MAX, PAGE_MAX, RETRY_AFTER } from './wire.ts'

/** What somebody may do. `admin` lets others in. */
export type Scope = 'read' | 'operate' | 'approve' | 'admin'

/** `open`: nothing is asked. `link`: the path itself lets in, once. */
export type Demand = Scope | 'open' | 'link'

/** An answer: JSON of a schema, or something else that has a media type. */
export type Answer<Value = unknown> = Readonly<{
  about: string
  schema?: Schema<Value>
  /** Where it is not JSON. With a schema beside it, it is JSON for those who accept that. */
  type?: string
  headers?: Readonly<Record<string, JsonSchema>>
}>

/** One route, as it is promised. */
export type Operation = Readonly<{
  asks: Demand
  /** Of what it is. */
  tag: string
  summary: string
  params?: Schema
  /** Left out: none. */
  query?: Schema
  headers?: Schema
  body?: Schema
  answers: Readonly<Record<number, Answer>>
  /** How it refuses, besides what every route does. */
  errors?: readonly ErrorCode[]
}>

// What is taken.

const TEXT_MAX = 1_000
const KEY = text({ minLength: 1, maxLength: 200 })
const name = text({ maxLength: TEXT_MAX })
const position = whole({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
const limit = about('At most so many items; default 50.', whole({ minimum: 1, maximum: PAGE_MAX }))
const cursor = about('`next_cursor` of the page before.', name)
const nothing = options({})
const states = (words: readonly string[]) =>
  about('In one of these states.', list(word(words), { minItems: 1 }))
const topics = about(
  '`plans`: what happens to plans themselves. `plan:ID`: to one plan and its jobs. `daemon`: what is asked of the home itself; in a stream also whether commits can be made. None: everything that happens.',
  list(text({ pattern: '^(plans|daemon|plan:.+)$', maxLength: TEXT_MAX, format: 'topic' }), {
    minItems: 1,
  }),
)
const offset = about('In bytes.', position)
const lastEvent = options({
  'last-event-id': about('Goes on after that id; before the query.', position),
})
const plan = about('The id of a plan.', text())
const job = about('The name of a job.', text())
const ofPlan = object({ plan })
const ofJob = object({ plan, job })
const ofAttempt = object({ plan, job, n: about('The number of an attempt, from 1.', whole({ minimum: 1 })) })
const ofLetter = object({ id: about('The id of a dead letter.', whole({ minimum: 1 })) })
const WHY = {
  reason: about('Why; on record with what is done.', text({ maxLength: 10_000 })),
  by: about('Who asks; only on the socket, elsewhere it is who came in.', name),
}
const why = options(WHY)

const secrets = about(
  'Values of secrets that the plan names, by name. They are kept beside the journal, and answered to nobody.',
  { ...record(secretText), writeOnly: true } as Schema<Readonly<Record<string, string>>>,
)

/** Reading YAML takes its time, of everybody whom this process serves. */
const YAML_MAX = 1_000_000

/** What a submission is. */
export const submission = named(
  'Submission',
  options({
    plan: about(
      'The plan: what `definePlan` gives, or the content of a plan file as JSON. Either this or `yaml`.',
      json,
    ),
    yaml: about(
      'The text of a plan file. Either this or `plan`; a larger one is sent as `plan`.',
      text({ maxLength: YAML_MAX }),
    ),
    base: about(
      'The folder its jobs run in, an absolute path; default a folder of its own, `work/ID` in the home.',
      text({ pattern: '^/', maxLength: 4_096, format: 'absolute-path' }),
    ),
    env: about(
      "The environment of who submits; of it the jobs get what the list allows. Default the holder's.",
      record(text({ pattern: '^[^\\u0000]*$', format: 'without-nul' })),
    ),
    secrets,
    inputs: about('What the plan asks for; plans of this version ask for nothing.', nothing),
    key: about(
      'Idempotency key: the same plan again under it is the same plan, which keeps the folder, the environment and the secrets it was first submitted with.',
      KEY,
    ),
    ...WHY,
  }),
)

// What is answered.

const page = <Item>(title: string, item: Schema<Item>) =>
  named(
    title,
    object({
      items: list(item),
      next_cursor: about('What to ask for the next page with; null at the end.', orNull(text())),
    }),
  )
const ok = <Value>(schema: Schema<Value>, said = 'As asked.') => ({ 200: { about: said, schema } }) as const
const receipt = { 202: { about: 'Taken, and durable.', schema: commandReceipt } } as const
const mode = ok(modeReceipt, 'The mode is in force, and on the disk.')

const version = named(
  'Version',
  both(shapes.build, object({ schema: text(), pid: whole(), command: text() })),
)

/** Who answers. */
export type VersionShape = Of<typeof version>

const link = named('Link', object({ url: text(), expires_at: moment }))

/** A link that lets one browser in, once. */
export type LinkShape = Of<typeof link>

const machine = named(
  'Machine',
  object({
    name: text(),
    version: text(),
    initial: text(),
    states: list(
      object({
        name: text(),
        entry: about('What is asked for on entry.', list(text())),
        arrows: list(object({ event: text(), to: text(), guard: orNull(text()), actions: list(text()) })),
      }),
    ),
  }),
)

const COMMIT = [
  'STORE_FULL',
  'STORE_RESTARTED',
  'STORE_BROKEN',
  'FENCED',
] as const satisfies readonly ErrorCode[]
const REF = ['REF_NOT_FOUND'] as const satisfies readonly ErrorCode[]
const COMMANDED = [...REF, 'WRONG_STATE', 'PLAN_DAMAGED', 'UNKNOWN_HANDLER', ...COMMIT] as const

const ofPlans = <Body>(summary: string, body: Schema<Body>) =>
  ({
    asks: 'operate',
    tag: 'plans',
    summary,
    params: ofPlan,
    body,
    answers: receipt,
    errors: COMMANDED,
  }) as const
const ofJobs = <Body, Asks extends 'operate' | 'approve' = 'operate'>(
  summary: string,
  body: Schema<Body>,
  asks = 'operate' as Asks,
) => ({ asks, tag: 'jobs', summary, params: ofJob, body, answers: receipt, errors: COMMANDED }) as const
const now = { ...WHY, now: about('Without grace.', flag) }
const plain = (said: string, type = 'text/plain') => ({ about: said, type })

/** What `Retry-After` says. */
export const retrySeconds = about(
  'In so many seconds it may be otherwise; left out where nobody knows.',
  whole({ minimum: 1 }),
)

/** Every route by its method and path. A `HEAD` is what its `GET` is. */
export const OPERATIONS = {
  'GET /livez': {
    asks: 'open',
    tag: 'holder',
    summary: 'Whether it lives.',
    answers: { 200: plain('It does.') },
  },
  'GET /readyz': {
    asks: 'open',
    tag: 'holder',
    summary: 'Whether it can do what it is asked.',
    answers: {
      200: plain('It can.'),
      503: { ...plain('The journal cannot be written.'), headers: { [RETRY_AFTER]: retrySeconds } },
    },
  },
  'GET /open/:link': {
    asks: 'link',
    tag: 'access',
    summary: 'Lets a browser in that was given a link, once. Only over TCP.',
    params: object({ link: text() }),
    answers: {
      303: {
        about: 'It is in, and goes to the state.',
        headers: { location: text(), 'set-cookie': text() },
      },
    },
  },
  'GET /version': {
    asks: 'read',
    tag: 'holder',
    summary: 'Who answers: build, schema, process.',
    answers: ok(version),
  },
  'GET /metrics': {
    asks: 'read',
    tag: 'holder',
    summary: 'The numbers of the holder as Prometheus reads them.',
    answers: { 200: plain('Prometheus text, version 0.0.4.') },
  },
  'GET /api/v1/openapi.json': {
    asks: 'read',
    tag: 'holder',
    summary: 'This document.',
    answers: ok({ type: 'object' } as Schema<Readonly<Record<string, unknown>>>, 'OpenAPI 3.1.'),
  },
  'GET /api/v1/openapi.html': {
    asks: 'read',
    tag: 'holder',
    summary: 'This document as a page.',
    answers: { 200: plain('A page without scripts.', 'text/html') },
  },
  'GET /api/v1/openapi.css': {
    asks: 'read',
    tag: 'holder',
    summary: 'How the page of this document looks.',
    answers: { 200: plain('A style sheet.', 'text/css') },
  },
  'GET /api/v1/resolve': {
    asks: 'read',
    tag: 'plans',
    summary: 'What a ref names: `plan`, `plan/job` or `plan/job#2`.',
    query: { ...options({ ref: about('what is to be found', name) }), required: ['ref'] } as Schema<
      Readonly<{ ref: string }>
    >,
    answers: ok(shapes.target),
    errors: [...REF, 'REF_AMBIGUOUS'],
  },
  'GET /api/v1/state': {
    asks: 'read',
    tag: 'holder',
    summary: 'The state document. 200 while the core works; `degraded` when a section does not.',
    answers: ok(state),
    errors: ['CORE_GONE'],
  },
  'GET /api/v1/tree': {
    asks: 'read',
    tag: 'holder',
    summary: 'The supervision tree.',
    answers: ok(shapes.tree),
  },
  'GET /api/v1/machines/:name': {
    asks: 'read',
    tag: 'holder',
    summary: 'The machine of plans (`plan`) or jobs (`job`), as states and the ways between them.',
    params: object({ name: about('`plan` or `job`.', text()) }),
    answers: ok(machine),
    errors: REF,
  },
  'GET /api/v1/analytics': {
    asks: 'read',
    tag: 'holder',
    summary: 'How analytics is, and its numbers if it gives them.',
    query: options({ plan: about('Only of plans of this name.', name), limit }),
    answers: ok(shapes.analytics),
  },
  'GET /api/v1/events': {
    asks: 'read',
    tag: 'events',
    summary:
      'What happens, as server-sent events whose ids are positions of the journal; to `Accept: application/json` a list. `limit`, `cursor` and `job` are for the list.',
    headers: lastEvent,
    query: options({
      topics,
      after: about('After this position; default 0, the beginning.', position),
      plan: about(
        'As the topic `plan:ID`; beside `daemon` alone it leaves out what is asked of the home.',
        name,
      ),
      job: about('Only of this job of `plan`.', name),
      limit,
      cursor: about('`next_cursor` of the page before.', position),
    }),
    answers: {
      200: {
        about:
          'A stream: each event is `data` of the shape below; `reset` (`{after, why}`) ends it where not all after `after` is there (`why` `removed`) or nothing (`beyond`), and its id is a position to go on from; `storage` is of the topic `daemon`.',
        schema: page('Events', shapes.event),
        type: 'text/event-stream',
      },
    },
    errors: [...REF, 'TOO_MANY'],
  },
  'GET /api/v1/plans': {
    asks: 'read',
    tag: 'plans',
    summary: 'Plans, the newest first.',
    query: options({ limit, cursor, state: states(PLAN_STATES), name: about('Of this name.', name) }),
    answers: ok(page('Plans', shapes.plan)),
    errors: REF,
  },
  'POST /api/v1/plans': {
    asks: 'operate',
    tag: 'plans',
    summary: 'Submits a plan. Submitted again under its key it is the same plan.',
    headers: options({ 'idempotency-key': about('As `key`.', KEY) }),
    body: submission,
    answers: {
      201: {
        about: 'It is durable, and begins.',
        schema: shapes.plan,
        headers: { location: about('Where the plan is read.', text()) },
      },
      200: {
        about: 'It was submitted under this key before; nothing was made.',
        schema: shapes.plan,
        headers: { location: text(), 'idempotent-replay': word(['true']) },
      },
    },
    errors: [
      'SECRET_MISSING',
      'SECRET_UNUSABLE',
      'SECRET_IN_CLEAR',
      'TOKEN_IN_CLEAR',
      'PLAN_INVALID',
      'UNKNOWN_HANDLER',
      'KEY_CONFLICT',
      'DRAINING',
      'FILE_UNWRITABLE',
      ...COMMIT,
    ],
  },
  'GET /api/v1/jobs': {
    asks: 'read',
    tag: 'jobs',
    summary: 'Jobs of all plans, those of the newest first; there is no next page.',
    query: options({ limit, state: states(JOB_STATES), name: about('Of plans of this name.', name) }),
    answers: ok(page('Jobs', shapes.job)),
  },
  'GET /api/v1/plans/:plan': {
    asks: 'read',
    tag: 'plans',
    summary: 'A plan; with `jobs=true` and its jobs.',
    params: ofPlan,
    query: options({ jobs: about('With its jobs.', flag) }),
    answers: ok(shapes.planWithJobs),
    errors: [...REF, 'PLAN_DAMAGED'],
  },
  'GET /api/v1/plans/:plan/notes': {
    asks: 'read',
    tag: 'plans',
    summary: 'What the runtime has noted of a plan and its jobs, the newest first; at most 1000.',
    params: ofPlan,
    answers: ok(page('Notes', shapes.event)),
    errors: REF,
  },
  'GET /api/v1/plans/:plan/definition': {
    asks: 'read',
    tag: 'plans',
    summary: 'The plan as it was compiled.',
    params: ofPlan,
    answers: ok(definitionSchema),
    errors: REF,
  },
  'GET /api/v1/plans/:plan/explain': {
    asks: 'read',
    tag: 'plans',
    summary: 'Why a plan is where it is, and what would change that.',
    params: ofPlan,
    answers: ok(shapes.explanation),
    errors: [...REF, 'PLAN_DAMAGED'],
  },
  'GET /api/v1/plans/:plan/inspect': {
    asks: 'read',
    tag: 'plans',
    summary: 'The actor of a plan: machine, context, what waits for it, its last steps.',
    params: ofPlan,
    answers: ok(shapes.inspection),
    errors: REF,
  },
  'GET /api/v1/plans/:plan/secrets': {
    asks: 'read',
    tag: 'plans',
    summary: 'The secrets that a plan names, and whether the home has their values.',
    params: ofPlan,
    answers: ok(page('Secrets', shapes.secret)),
    errors: REF,
  },
  'POST /api/v1/plans/:plan/secrets': {
    asks: 'operate',
    tag: 'plans',
    summary: 'Gives values of secrets that a plan names; attempts that start from now on get them.',
    params: ofPlan,
    body: options({ secrets, by: WHY.by }),
    answers: ok(page('Secrets', shapes.secret)),
    errors: [...REF, 'SECRET_UNUSABLE', 'SECRET_IN_CLEAR', 'STORE_FULL', 'FILE_UNWRITABLE'],
  },
  'GET /api/v1/plans/:plan/jobs': {
    asks: 'read',
    tag: 'jobs',
    summary: 'The jobs of a plan, in the order of its definition.',
    params: ofPlan,
    query: options({ limit, cursor }),
    answers: ok(page('Jobs', shapes.job)),
    errors: [...REF, 'PLAN_DAMAGED'],
  },
  'GET /api/v1/plans/:plan/jobs/:job': {
    asks: 'read',
    tag: 'jobs',
    summary: 'A job with its attempts.',
    params: ofJob,
    answers: ok(shapes.jobWithAttempts),
    errors: REF,
  },
  'GET /api/v1/plans/:plan/jobs/:job/explain': {
    asks: 'read',
    tag: 'jobs',
    summary: 'Why a job is where it is, and what would change that.',
    params: ofJob,
    answers: ok(shapes.explanation),
    errors: [...REF, 'PLAN_DAMAGED'],
  },
  'GET /api/v1/plans/:plan/jobs/:job/inspect': {
    asks: 'read',
    tag: 'jobs',
    summary:
      'The actor of a job: machine, context, mailbox, timers, attempt, its row on the board, its last steps.',
    params: ofJob,
    answers: ok(shapes.inspection),
    errors: REF,
  },
  'GET /api/v1/plans/:plan/jobs/:job/attempts/:n/log': {
    asks: 'read',
    tag: 'attempts',
    summary: 'Bytes of the log of an attempt.',
    params: ofAttempt,
    query: options({
      offset,
      limit: about(
        'At most so many bytes of the log as it was written; of what is answered, a masked secret or the line for what was cut out may be longer.',
        whole({ minimum: 0, maximum: LOG_BYTES_MAX }),
      ),
    }),
    answers: {
      200: {
        about: 'The bytes as they were written, but for secrets.',
        type: 'application/octet-stream',
        headers: {
          'x-tenuto-next': about('The offset to read on from.', whole()),
          'x-tenuto-size': about('The size of the log when it was read.', whole()),
          'x-tenuto-end': about('Whether the attempt has ended and this is the end of its log.', flag),
        },
      },
    },
    errors: [...REF, 'SECRETS_GONE', 'LOG_WITHHELD'],
  },
  'GET /api/v1/plans/:plan/jobs/:job/attempts/:n/log/stream': {
    asks: 'read',
    tag: 'attempts',
    summary: 'The log of an attempt as it is written, as server-sent events whose ids are offsets.',
    params: ofAttempt,
    headers: lastEvent,
    query: options({ offset }),
    answers: {
      200: plain(
        '`chunk` has bytes in base64; `end` says how the attempt ended. `reset` (`{offset, size, why}`) ends it where `offset` is beyond the end of the log (`why` `beyond`), and its id is that end.',
        'text/event-stream',
      ),
    },
    errors: [...REF, 'SECRETS_GONE', 'LOG_WITHHELD', 'TOO_MANY'],
  },
  'POST /api/v1/plans/:plan/cancel': ofPlans('Cancels a plan.', options(now)),
  'POST /api/v1/plans/:plan/pause': ofPlans('Pauses a plan: nothing of it starts.', why),
  'POST /api/v1/plans/:plan/continue': ofPlans('Continues a plan that is paused or quarantined.', why),
  'POST /api/v1/plans/:plan/retry': ofPlans(
    'Runs again what did not succeed in a plan: one that has ended opens as a new generation, one that runs or is paused goes on with it.',
    options({ ...WHY, failed: about('All jobs that did not succeed, which is so without it.', flag) }),
  ),
  'POST /api/v1/plans/:plan/jobs/:job/cancel': ofJobs('Cancels a job.', options(now)),
  'POST /api/v1/plans/:plan/jobs/:job/retry': ofJobs(
    'Runs a job again that has ended, or waits because an attempt was lost.',
    options({ ...WHY, downstream: about('With everything after it.', flag) }),
  ),
  'POST /api/v1/plans/:plan/jobs/:job/skip': ofJobs('Skips a job of which nothing runs.', why),
  'POST /api/v1/plans/:plan/jobs/:job/now': ofJobs('Ends the backoff of a job.', why),
  'POST /api/v1/plans/:plan/jobs/:job/approve': ofJobs('Answers yes to what a job asks.', why, 'approve'),
  'POST /api/v1/plans/:plan/jobs/:job/reject': ofJobs('Answers no to what a job asks.', why, 'approve'),
  'GET /api/v1/dead-letters': {
    asks: 'read',
    tag: 'dead letters',
    summary: 'Messages that could not be delivered, the newest first.',
    query: options({
      limit,
      cursor: about(
        '`next_cursor` of the page before.',
        whole({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
      ),
    }),
    answers: ok(page('DeadLetters', shapes.deadLetter)),
  },
  'GET /api/v1/dead-letters/:id': {
    asks: 'read',
    tag: 'dead letters',
    summary: 'A dead letter, whole.',
    params: ofLetter,
    answers: ok(shapes.wholeLetter),
    errors: ['LETTER_NOT_FOUND'],
  },
  'POST /api/v1/dead-letters/:id/redeliver': {
    asks: 'operate',
    tag: 'dead letters',
    summary: 'Delivers a dead letter again.',
    params: ofLetter,
    body: why,
    answers: receipt,
    errors: ['LETTER_NOT_FOUND', ...COMMANDED],
  },
  'POST /api/v1/dead-letters/:id/discard': {
    asks: 'operate',
    tag: 'dead letters',
    summary: 'Lets a dead letter go.',
    params: ofLetter,
    body: why,
    answers: receipt,
    errors: ['LETTER_NOT_FOUND', ...COMMANDED],
  },
  'POST /api/v1/daemon/pause': {
    asks: 'operate',
    tag: 'holder',
    summary: 'Nothing new starts in the home; what runs goes on.',
    body: why,
    answers: mode,
    errors: ['FILE_UNWRITABLE', 'STORE_FULL'],
  },
  'POST /api/v1/daemon/resume': {
    asks: 'operate',
    tag: 'holder',
    summary: 'Everything starts again.',
    body: why,
    answers: mode,
    errors: ['FILE_UNWRITABLE', 'STORE_FULL'],
  },
  'POST /api/v1/daemon/drain': {
    asks: 'operate',
    tag: 'holder',
    summary: 'As a pause, and no plan is taken in.',
    body: options({ ...WHY, until_stop: about('Ends with the next stop of the holder.', flag) }),
    answers: mode,
    errors: ['FILE_UNWRITABLE', 'STORE_FULL'],
  },
  'POST /api/v1/sweep': {
    asks: 'operate',
    tag: 'holder',
    summary: 'Looks now for what messages have missed, and repairs it.',
    body: options(WHY),
    answers: ok(shapes.sweep),
    errors: COMMIT,
  },
  'POST /api/v1/gc': {
    asks: 'operate',
    tag: 'holder',
    summary: 'Removes what is kept no longer of plans that have ended, or says what that would be.',
    body: options({
      dry_run: about('Only says it.', flag),
      older_than_ms: about('Plans that ended so long ago.', position),
      keep: about('So many plans stay at least.', position),
      ...WHY,
    }),
    answers: ok(shapes.gc),
    errors: COMMIT,
  },
  'POST /api/v1/links': {
    asks: 'admin',
    tag: 'access',
    summary: 'A link that lets one browser in, once, within a minute.',
    body: nothing,
    answers: { 201: { about: 'The link.', schema: link } },
    errors: ['WRONG_STATE'],
  },
} as const satisfies Readonly<Record<string, Operation>>

/** The name of an operation: its method and its path. */
export type OperationName = keyof typeof OPERATIONS

/** The methods that any route has. What has another changes nothing. */
export const METHODS: ReadonlySet<string> = new Set(
  Object.keys(OPERATIONS).map((name) => name.slice(0, name.indexOf(' '))),
)

/** The operation of a route; undefined when there is none. */
export const operationOf = (method: string, path: string): Operation | undefined => {
  const called = `${method === 'HEAD' ? 'GET' : method} ${path}`
  return Object.hasOwn(OPERATIONS, called) ? OPERATIONS[called as OperationName] : undefined
}
