/**
 * An example for each operation and each of its answers, in the life of one plan; tests hold them to their schemas, and ask with them.
 */
import type { ErrorCode } from '../errors.ts'
import type { Of } from '../json-schema.ts'
import type { OPERATIONS, OperationName } from './operations.ts'

/** What is asked of an operation, and what it answers by status. An answer without a body is null. */
export type Example = Readonly<{
  query?: Readonly<Record<string, string>>
  body?: unknown
  answers: Readonly<Record<number, unknown>>
}>

type Table = typeof OPERATIONS
type Said<A> = A extends Readonly<{ schema: infer S }> ? Of<S> : string | null
type Examples = {
  readonly [Name in OperationName]: Omit<Example, 'answers'> &
    Readonly<{
      answers: { readonly [Status in keyof Table[Name]['answers']]: Said<Table[Name]['answers'][Status]> }
    }>
}

/** What stands in the paths of the examples. */
export const EXAMPLE_PARAMS: Readonly<Record<string, string>> = {
  plan: 'release-3k9d2a',
  job: 'build',
  n: '1',
  id: '1',
  name: 'plan',
  link: 'THE-LINK',
}

const at = (seconds: string): string => `2026-03-14T09:02:${seconds}Z`

const PLAN = {
  id: 'release-3k9d2a',
  name: 'release',
  state: 'running',
  reason: null,
  generation: 1,
  created_at: at('28.534'),
  started_at: at('28.535'),
  ended_at: null,
  counts: { held: 1, succeeded: 1, waiting: 1 },
  key: 'release-1',
  error: null,
}
const BUILD_JOB = {
  plan: PLAN.id,
  name: 'build',
  kind: 'run',
  state: 'succeeded',
  reason: null,
  generation: 1,
  attempt: 1,
  needs: {},
  since: at('28.988'),
  wake_at: null,
  optional: false,
  outputs: { artifact: 'build.tar' },
}
const GATE_JOB = {
  ...BUILD_JOB,
  name: 'gate',
  kind: 'approve',
  state: 'waiting',
  reason: 'approval',
  attempt: 0,
  needs: { build: 'success' },
  prompt: 'Ship it?',
  outputs: null,
}
const ATTEMPT = {
  n: 1,
  generation: 1,
  outcome: 'succeeded',
  code: 0,
  signal: null,
  started_at: at('28.962'),
  ended_at: at('28.973'),
  pid: 16458,
  error: null,
  warnings: [],
  leftovers: 0,
}
const EVENT = {
  position: 1,
  at: at('28.535'),
  plan: PLAN.id,
  address: `plan:${PLAN.id}`,
  seq: 1,
  type: 'created',
  from: null,
  to: 'running',
}
const NOTE = {
  ...EVENT,
  position: 9,
  address: `note:${PLAN.id}`,
  type: 'recovered',
  to: 'running',
  detail: { found: 'unchanged', jobs: 2, inFlight: 1, unchanged: 1 },
}
const GATE_FACT = {
  what: 'gate is waiting: it asks: Ship it?',
  ref: `${PLAN.id}/gate`,
  since: at('28.988'),
  until: null,
  change: 'somebody says yes',
  command: `tenuto approve ${PLAN.id}/gate`,
}
const INSPECTION = {
  ref: PLAN.id,
  kind: 'plan',
  address: `plan:${PLAN.id}`,
  state: 'running',
  reason: null,
  generation: 1,
  machine: 'plan/1',
  seq: 4,
  context: { generation: 1, open: 2, failed: null, cancelled: false },
  timers: [],
  mailbox: {
    items: [{ id: 12, type: 'job.settled', since: at('28.988'), deliveries: 1 }],
    more: false,
  },
  steps: [EVENT],
  attempt: null,
  board: null,
  path: ['root', 'plans', `plan:${PLAN.id}`],
  live: null,
  wrong: [],
} as const
const LETTER = {
  id: 1,
  at: at('28.988'),
  plan: PLAN.id,
  job: null,
  address: `plan:${PLAN.id}`,
  type: 'job.settled',
  why: 'Error: the board has no job called build',
}
const BUILD = {
  kind: 'built',
  version: '0.1.0',
  commit: 'a12c2fe9a8d9316ef7251b33a19e89bd03a8cefa',
  dirty: false,
  source_hash: '1a171809dec497d634ed282710c3af9de2002ac5602718b24914fcd560e602fe',
  built_at: '2026-03-14T08:00:00.000Z',
  node: '24.11.0',
  stale: false,
  stale_reason: null,
} as const
const FIGURES = {
  plan: null,
  job: null,
  ended: { succeeded: 1 },
  success_rate: 1,
  attempts: { succeeded: 1 },
  lost: 0,
  retries: 0,
  reopened: 0,
  flaky: 0,
  faults: 0,
  repairs: 0,
  recovered: {},
  waits: { needs: { count: 2, ms: 454 }, slot: { count: 1, ms: 0 } },
  queue_ms: { count: 1, p50: 0, p95: 0, p99: 0, max: 0 },
  duration_ms: { count: 1, p50: 11, p95: 11, p99: 11, max: 11 },
  plans: {
    ended: {},
    success_rate: null,
    restarts: 0,
    duration_ms: { count: 0, p50: null, p95: null, p99: null, max: null },
  },
}
const GUEST = {
  state: 'up',
  pid: 16400,
  cursor: 8,
  head: 8,
  behind: 0,
  missed_steps: 0,
  restarts: 0,
  failures: 0,
  silent_since: null,
  failed_at: null,
  next_try_at: null,
  total: FIGURES,
}
const NODE = {
  id: 'plans',
  kind: 'supervisor',
  strategy: 'dynamic',
  state: 'running',
  restarts: { count: 0, intensity: 5, period_ms: 10_000 },
  last_error: null,
  since_ms: 3163,
  mailbox: null,
  history: [],
  more: 0,
} as const
const ACTOR = {
  ...NODE,
  id: `plan:${PLAN.id}`,
  kind: 'actor',
  strategy: null,
  restarts: null,
  since_ms: null,
  mailbox: { depth: 0, oldest_ms: null },
  children: [],
} as const

const held = <Data>(data: Data) =>
  ({ status: 'ok', as_of: at('30.522'), age_ms: 0, error: null, data }) as const
const plain = { answers: { 202: { position: 9, changed: true } } } as const
const said = (reason: string) => ({ ...plain, body: { reason } }) as const
const ordered = (mode: 'paused' | 'draining', reason: string) =>
  ({
    body: { reason },
    answers: { 200: { mode, reason, since: at('30.578'), by: 'token', changed: true } },
  }) as const

/** The examples. */
export const EXAMPLES: Examples = {
  'GET /livez': { answers: { 200: 'ok\n' } },
  'GET /readyz': { answers: { 200: 'ok\n', 503: 'not ready\n' } },
  'GET /open/:link': { answers: { 303: null } },
  'GET /version': { answers: { 200: { ...BUILD, schema: '1', pid: 16345, command: 'tenuto up' } } },
  'GET /metrics': {
    answers: {
      200: '# HELP tenuto_plans Plans by their state.\n# TYPE tenuto_plans gauge\ntenuto_plans{state="running"} 1\n',
    },
  },
  'GET /api/v1/openapi.json': {
    answers: { 200: { openapi: '3.1.1', info: { title: 'Tenuto', version: '0.1.0' }, paths: {} } },
  },
  'GET /api/v1/openapi.html': { answers: { 200: '<!doctype html>' } },
  'GET /api/v1/openapi.css': { answers: { 200: 'body { margin: 2rem auto }' } },
  'GET /api/v1/resolve': {
    query: { ref: `${PLAN.id}/build#1` },
    answers: { 200: { plan: PLAN.id, job: 'build', attempt: 1 } },
  },
  'GET /api/v1/state': {
    answers: {
      200: {
        schema_version: '1',
        generated_at: at('30.523'),
        position: 8,
        degraded: false,
        build: BUILD,
        daemon: {
          mode: 'running',
          reason: null,
          since: null,
          by: null,
          boot_id: '4648a617-aa2f-4cde-a7ec-2d79e9f31734',
          pid: 16345,
          started_at: at('27.318'),
          command: 'tenuto up',
          loop_lag_ms: 2,
        },
        counts: {
          plans: { running: 1 },
          jobs: { held: 1, succeeded: 1, waiting: 1 },
          attempts_live: 0,
          restarts: 0,
          sweep_repairs: 0,
          dead_letters: 0,
          dead_letters_ever: 0,
          duplicates: 0,
        },
        running: [],
        retrying: [],
        waiting: [{ plan: PLAN.id, job: 'gate', attempt: 0, since: at('28.988'), reason: 'approval' }],
        more: { running: 0, retrying: 0, waiting: 0 },
        sections: {
          plans: held({
            by_state: { running: 1 },
            jobs_by_state: { held: 1, succeeded: 1, waiting: 1 },
            in_memory: 1,
            dead_letters: 0,
            dead_letters_ever: 0,
          }),
          slots: held({ limit: 8, held: 0, queued: 0 }),
          timers: held({ armed: 0 }),
          supervision: held({ restarts: 0, restarting: [], given_up: [], faults: 0 }),
          attempts: held({ live: 0, running: 0 }),
          journal: held({
            since: null,
            tries: 0,
            next_try_at: null,
            failed_commits: 0,
            position: 8,
            commits: 2,
          }),
          sweep: held({ repairs: 0, last_at: null, last_plans: 0, last_repaired: 0 }),
          analytics: held(GUEST),
          inspector: { ...held({ clients: 0 }), status: 'disabled' },
          http: held({ streams: 0, streams_ever: 0, resets: 0, dropped: 0, connections: 2 }),
        },
      },
    },
  },
  'GET /api/v1/tree': { answers: { 200: { ...NODE, children: [ACTOR] } } },
  'GET /api/v1/machines/:name': {
    answers: {
      200: {
        name: 'plan',
        version: 'plan/1',
        initial: 'created',
        states: [
          {
            name: 'created',
            entry: [],
            arrows: [{ event: 'always', to: 'running', guard: null, actions: ['tellSelf'] }],
          },
        ],
      },
    },
  },
  'GET /api/v1/analytics': {
    query: { plan: 'release', limit: '10' },
    answers: {
      200: {
        ...held(GUEST),
        numbers: {
          total: FIGURES,
          plans: [{ ...FIGURES, plan: 'release' }],
          jobs: [{ ...FIGURES, plan: 'release', job: 'build', plans: null }],
          per_minute: [{ from: at('00.000'), ended: { succeeded: 1 } }],
          per_hour: [{ from: '2026-03-14T09:00:00.000Z', ended: { succeeded: 1 } }],
        },
      },
    },
  },
  'GET /api/v1/events': {
    query: { topics: 'plans', after: '0', limit: '1' },
    answers: { 200: { items: [EVENT], next_cursor: '1' } },
  },
  'GET /api/v1/plans': {
    query: { state: 'running,paused', name: 'release', limit: '10' },
    answers: { 200: { items: [PLAN], next_cursor: null } },
  },
  'POST /api/v1/plans': {
    body: {
      yaml: 'plan: v1\nname: release\njobs:\n  build: { run: "echo artifact=build.tar >> $TENUTO_OUTPUT; echo built" }\n  gate: { needs: [build], approve: { prompt: Ship it? } }\n  ship: { needs: [gate], run: "true" }\n',
      key: 'release-1',
    },
    answers: {
      200: PLAN,
      201: { ...PLAN, counts: { held: 2, running: 1 } },
    },
  },
  'GET /api/v1/jobs': {
    query: { state: 'waiting,running' },
    answers: { 200: { items: [GATE_JOB], next_cursor: null } },
  },
  'GET /api/v1/plans/:plan': {
    query: { jobs: 'true' },
    answers: { 200: { ...PLAN, jobs: [BUILD_JOB, GATE_JOB] } },
  },
  'GET /api/v1/plans/:plan/notes': { answers: { 200: { items: [NOTE], next_cursor: null } } },
  'GET /api/v1/plans/:plan/definition': {
    answers: {
      200: {
        version: 1,
        name: 'release',
        maxParallel: 10,
        onFailure: 'continue',
        env: {},
        jobs: {
          build: {
            kind: 'run',
            needs: {},
            run: 'echo artifact=build.tar >> $TENUTO_OUTPUT; echo built',
            graceMs: 10_000,
            onLost: 'hold',
          },
          gate: {
            kind: 'approve',
            needs: { build: 'success' },
            approve: { prompt: 'Ship it?' },
            graceMs: 0,
            onLost: 'hold',
          },
          ship: { kind: 'run', needs: { gate: 'success' }, run: 'true', graceMs: 10_000, onLost: 'hold' },
        },
      },
    },
  },
  'GET /api/v1/plans/:plan/explain': {
    answers: {
      200: {
        ref: PLAN.id,
        kind: 'plan',
        state: 'running',
        reason: null,
        since: at('28.535'),
        chain: [GATE_FACT],
        more: 0,
      },
    },
  },
  'GET /api/v1/plans/:plan/inspect': { answers: { 200: INSPECTION } },
  'GET /api/v1/plans/:plan/secrets': {
    answers: {
      200: { items: [{ name: 'NPM_TOKEN', place: 'jobs.ship.secrets', kept: true }], next_cursor: null },
    },
  },
  'POST /api/v1/plans/:plan/secrets': {
    body: { secrets: { NPM_TOKEN: 'the-value-of-it' } },
    answers: {
      200: { items: [{ name: 'NPM_TOKEN', place: 'jobs.ship.secrets', kept: true }], next_cursor: null },
    },
  },
  'GET /api/v1/plans/:plan/jobs': {
    query: { limit: '1' },
    answers: { 200: { items: [BUILD_JOB], next_cursor: 'build' } },
  },
  'GET /api/v1/plans/:plan/jobs/:job': { answers: { 200: { ...BUILD_JOB, attempts: [ATTEMPT] } } },
  'GET /api/v1/plans/:plan/jobs/:job/explain': {
    answers: {
      200: {
        ref: `${PLAN.id}/build`,
        kind: 'job',
        state: 'succeeded',
        reason: null,
        since: at('28.988'),
        chain: [{ ...GATE_FACT, what: 'attempt 1 succeeded', ref: null, change: null, command: null }],
        more: 0,
      },
    },
  },
  'GET /api/v1/plans/:plan/jobs/:job/inspect': {
    answers: {
      200: {
        ...INSPECTION,
        ref: `${PLAN.id}/build`,
        kind: 'job',
        address: `job:${PLAN.id}/build`,
        machine: 'job/1',
        context: { job: 'build', generation: 1, attempt: 1, failures: 0 },
        attempt: ATTEMPT,
        board: {
          index: 0,
          place: 'released',
          state: 'running',
          reason: null,
          unmet: 0,
          attempt: 1,
          since: at('28.535'),
          actor: true,
        },
        path: ['root', 'jobs', `job:${PLAN.id}/build`],
      },
    },
  },
  'GET /api/v1/plans/:plan/jobs/:job/attempts/:n/log': {
    query: { offset: '0', limit: '1000' },
    answers: { 200: 'built\n' },
  },
  'GET /api/v1/plans/:plan/jobs/:job/attempts/:n/log/stream': {
    query: { offset: '0' },
    answers: {
      200: ':\n\nid: 6\nevent: chunk\ndata: YnVpbHQK\n\nid: 6\nevent: end\ndata: {"offset":6,"outcome":"succeeded"}\n\n',
    },
  },
  'POST /api/v1/plans/:plan/cancel': { ...plain, body: { reason: 'not today', now: false } },
  'POST /api/v1/plans/:plan/pause': said('look first'),
  'POST /api/v1/plans/:plan/continue': said('looked'),
  'POST /api/v1/plans/:plan/retry': { ...plain, body: { failed: true } },
  'POST /api/v1/plans/:plan/jobs/:job/cancel': { ...plain, body: { now: true } },
  'POST /api/v1/plans/:plan/jobs/:job/retry': { ...plain, body: { downstream: true } },
  'POST /api/v1/plans/:plan/jobs/:job/skip': said('not needed'),
  'POST /api/v1/plans/:plan/jobs/:job/now': said('the network is back'),
  'POST /api/v1/plans/:plan/jobs/:job/approve': said('go'),
  'POST /api/v1/plans/:plan/jobs/:job/reject': said('not on a Friday'),
  'GET /api/v1/dead-letters': {
    query: { limit: '10' },
    answers: { 200: { items: [LETTER], next_cursor: null } },
  },
  'GET /api/v1/dead-letters/:id': {
    answers: {
      200: {
        ...LETTER,
        event: { type: 'job.settled', job: 'build', state: 'succeeded' },
        error: `${LETTER.why}\n    at settle`,
      },
    },
  },
  'POST /api/v1/dead-letters/:id/redeliver': said('mended'),
  'POST /api/v1/dead-letters/:id/discard': said('no use'),
  'POST /api/v1/daemon/pause': ordered('paused', 'backup'),
  'POST /api/v1/daemon/resume': {
    body: {},
    answers: { 200: { mode: 'running', reason: null, since: null, by: null, changed: true } },
  },
  'POST /api/v1/daemon/drain': ordered('draining', 'upgrade'),
  'POST /api/v1/sweep': { body: {}, answers: { 200: { plans: 1, repaired: [] } } },
  'POST /api/v1/gc': {
    body: { dry_run: true, keep: 100 },
    answers: {
      200: {
        dry_run: true,
        plans: [{ id: PLAN.id, ended_at: at('30.639'), attempts: 2, bytes: 61_440 }],
        cleared: [],
        orphans: [],
        replaced: [],
        dead_letters: 0,
        attempts: 2,
        bytes: 61_440,
        journal: { bytes: 114_688, free_bytes: 0 },
      },
    },
  },
  'POST /api/v1/links': {
    body: {},
    answers: { 201: { url: 'http://127.0.0.1:7717/open/THE-LINK', expires_at: at('58.000') } },
  },
}

const HINT = { remedy: 'ask again in 1000 ms' }
/** What the examples of errors tell of. */
export const ERROR_FIELDS: Readonly<Record<string, string | number>> = {
  ref: `${PLAN.id}/build`,
  plan: PLAN.id,
  job: 'build',
  path: '/home/ana/.local/state/tenuto/journal.db',
  home: '/home/ana/.local/state/tenuto',
  key: PLAN.key,
  id: 1,
  limit: 5_000_000,
  mode: 'draining',
  why: 'no space left on the device',
  ...HINT,
}

/** The same where an error means something else by them. */
export const ERROR_FIELDS_OF: Partial<Record<ErrorCode, Readonly<Record<string, unknown>>>> = {
  USAGE: { what: 'limit is "0"; it must be a whole number from 1 to 200' },
  NOT_YET: { what: 'a list of the topic `daemon`', remedy: 'follow it' },
  UNAUTHENTICATED: { what: 'nothing was brought that lets in' },
  NOT_ALLOWED: {
    what: 'the header Host is example.com, which does not name this server',
    remedy: 'ask under the address that `tenuto status` shows',
  },
  TOO_MANY: { what: '1024 streams are open', remedy: 'close one that is not read', retry_after_s: 60 },
  ROUTE_UNKNOWN: { route: 'GET /api/v1/plan' },
  METHOD_UNKNOWN: { path: '/api/v1/state', method: 'DELETE', methods: 'GET, HEAD' },
  EXPECTATION_UNMET: { expected: 'x-checksum' },
  HEADERS_TOO_BIG: { limit: 16_384 },
  INTERNAL: { what: 'a handler failed' },
  SCHEMA_MISMATCH: { asked: '2', served: '1', client: 'tenuto 0.2.0', holder: '0.1.0' },
  REF_MISPLACED: {
    ref: `${PLAN.id}/build#1`,
    what: `attempt 1 of job build of plan ${PLAN.id}`,
    wanted: 'the id of a plan and the name of a job',
    kind: 'job',
    route: `POST /api/v1/plans/${PLAN.id}/jobs/build/cancel`,
  },
  REF_AMBIGUOUS: { ref: 'rel', candidates: 'release-3k9d2a, relay-7m2x4c' },
  WRONG_STATE: {
    state: 'succeeded',
    what: 'it has ended and cannot be cancelled',
    remedy: `\`tenuto show ${PLAN.id}/build\` says how it ended`,
  },
  PLAN_INVALID: {
    errors_in_words: '1 error',
    first: '2:9 jobs.ship.needs[0]: `buld` is no job (did you mean `build`?)',
    errors: [
      {
        file: null,
        line: 2,
        column: 9,
        path: 'jobs.ship.needs[0]',
        message: '`buld` is no job',
        hint: 'did you mean `build`?',
      },
    ],
  },
  PLAN_DAMAGED: { why: 'the rows of 2 jobs are gone' },
  SECRET_MISSING: { name: 'NPM_TOKEN', place: 'jobs.ship.secrets', more: '' },
  SECRET_UNUSABLE: { name: 'NPM_TOKEN', place: 'jobs.ship.secrets', why: 'has fewer than 8 characters' },
  SECRET_IN_CLEAR: { name: 'NPM_TOKEN', place: 'jobs.ship.env' },
  TOKEN_IN_CLEAR: { place: 'key' },
  SECRETS_GONE: { names: 'NPM_TOKEN' },
  UNKNOWN_HANDLER: { handler: 'thumb' },
  FENCED: { what: 'the epoch is 8, this is 7' },
  CORE_GONE: { why: 'the journal was closed' },
  STORE_BROKEN: { why: 'disk I/O error' },
  STORE_RESTARTED: { why: 'the connection was lost' },
}
