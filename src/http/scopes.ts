/**
 * What each route asks of whoever calls it. A route that is not in this table does not start.
 */
import assert from 'node:assert'
import type { FastifyInstance } from 'fastify'
import { BASE } from './wire.ts'

/** What somebody may do. `admin` lets others in. */
export type Scope = 'read' | 'operate' | 'approve' | 'admin'

/** `open`: nothing is asked. `link`: the path itself lets in, once. */
export type Asked = Scope | 'open' | 'link'

/** Everything. */
export const EVERY_SCOPE: ReadonlySet<Scope> = new Set(['read', 'operate', 'approve', 'admin'])

const PLAN = `${BASE}/plans/:plan`
const JOB = `${PLAN}/jobs/:job`

/** A `HEAD` is what its `GET` is. */
export const ROUTES: Readonly<Record<string, Asked>> = {
  'GET /livez': 'open',
  'GET /readyz': 'open',
  'GET /open/:link': 'link',
  'GET /version': 'read',
  'GET /metrics': 'read',
  [`GET ${BASE}/resolve`]: 'read',
  [`GET ${BASE}/state`]: 'read',
  [`GET ${BASE}/tree`]: 'read',
  [`GET ${BASE}/analytics`]: 'read',
  [`GET ${BASE}/events`]: 'read',
  [`GET ${BASE}/plans`]: 'read',
  [`GET ${BASE}/jobs`]: 'read',
  [`POST ${BASE}/plans`]: 'operate',
  [`GET ${PLAN}`]: 'read',
  [`GET ${PLAN}/notes`]: 'read',
  [`GET ${PLAN}/definition`]: 'read',
  [`GET ${PLAN}/explain`]: 'read',
  [`GET ${PLAN}/secrets`]: 'read',
  [`POST ${PLAN}/secrets`]: 'operate',
  [`GET ${PLAN}/jobs`]: 'read',
  [`GET ${JOB}`]: 'read',
  [`GET ${JOB}/explain`]: 'read',
  [`GET ${JOB}/attempts/:n/log`]: 'read',
  [`GET ${JOB}/attempts/:n/log/stream`]: 'read',
  [`POST ${PLAN}/cancel`]: 'operate',
  [`POST ${PLAN}/pause`]: 'operate',
  [`POST ${PLAN}/continue`]: 'operate',
  [`POST ${PLAN}/retry`]: 'operate',
  [`POST ${JOB}/cancel`]: 'operate',
  [`POST ${JOB}/retry`]: 'operate',
  [`POST ${JOB}/skip`]: 'operate',
  [`POST ${JOB}/now`]: 'operate',
  [`POST ${JOB}/approve`]: 'approve',
  [`POST ${JOB}/reject`]: 'approve',
  [`GET ${BASE}/dead-letters`]: 'read',
  [`GET ${BASE}/dead-letters/:id`]: 'read',
  [`POST ${BASE}/dead-letters/:id/redeliver`]: 'operate',
  [`POST ${BASE}/dead-letters/:id/discard`]: 'operate',
  [`POST ${BASE}/daemon/pause`]: 'operate',
  [`POST ${BASE}/daemon/resume`]: 'operate',
  [`POST ${BASE}/daemon/drain`]: 'operate',
  [`POST ${BASE}/sweep`]: 'operate',
  [`POST ${BASE}/gc`]: 'operate',
  [`POST ${BASE}/links`]: 'admin',
}

/** What a route asks; undefined when it says nothing. */
export const askedBy = (method: string, path: string): Asked | undefined => {
  const name = `${method === 'HEAD' ? 'GET' : method} ${path}`
  return Object.hasOwn(ROUTES, name) ? ROUTES[name] : undefined
}

/** Refuses, from now on, to add a route that does not say what it asks. */
export const declareRoutes = (app: FastifyInstance): void => {
  app.addHook('onRoute', ({ method, url }) => {
    for (const each of [method].flat())
      assert(askedBy(each, url), `${each} ${url} does not say what it asks; add it to src/http/scopes.ts`)
  })
}
