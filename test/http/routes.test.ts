/**
 * Every route that a server has, as Fastify knows them, met with what is right and with all that is wrong; each answer as the document
 * promises it, and nothing made by what was refused.
 */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { BODY_BYTES_MAX, HEADER_BYTES_MAX } from '../../src/http/limits.ts'
import { OPERATIONS, type Operation, type OperationName } from '../../src/http/operations.ts'
import { type Judge, judge, type Route } from './document.ts'
import { CANARY, DONE_PLAN, LAB_PLAN, LAB_SECRETS, type Lab, openLab, type Said, type Sent } from './lab.ts'
import { ask as askAt, hold } from './served.ts'

const found = vi.hoisted(() => new Set<string>())
vi.mock(import('fastify'), async (original) => {
  const real = await original()
  const watched: unknown = (options?: Readonly<{ return503OnClosing?: boolean }>) => {
    const app = real.fastify(options ?? {})
    // Not those of the judge.
    if (options?.return503OnClosing === false)
      app.addHook('onRoute', ({ method, url }) => {
        for (const each of [method].flat()) found.add(`${each} ${url}`)
      })
    return app
  }
  return { ...real, fastify: watched as typeof real.fastify }
})

/** What is asked of a route, where that is not what its example asks. */
type Ask = Readonly<{
  params?: Readonly<Record<string, string>>
  query?: string
  body?: unknown
  headers?: Readonly<Record<string, string>>
}>
/** How a route is refused in the wrong state, or for want of what its path names. */
type Refused = Ask & Readonly<{ as: string; before?: readonly (readonly [OperationName, Ask])[] }>
type Row = Readonly<{ good: Ask; status?: number; state?: readonly Refused[] }>

const UNKNOWN = { as: '404 REF_NOT_FOUND', params: { plan: 'none-aaaaaa' } }
const NO_JOB = { as: '404 REF_NOT_FOUND', params: { job: 'none' } }
const NO_LETTER = [
  { as: '404 LETTER_NOT_FOUND', params: { id: '9999' } },
  { as: '404 LETTER_NOT_FOUND', params: { id: 'x' } },
]
const plan = (good: Ask, ...state: readonly Refused[]): Row => ({ good, state: [UNKNOWN, ...state] })
const job = (good: Ask, ...state: readonly Refused[]): Row => plan(good, NO_JOB, ...state)
const wrong = (params: Readonly<Record<string, string>>, more: Ask = {}): Refused => ({
  as: '409 WRONG_STATE',
  params,
  ...more,
})
const DONE = { plan: 'DONE', job: 'quick' }
const LOG = { params: { job: 'quick', n: '1' } }

/** In the order in which the good ones are asked: what ends something comes last. */
const ROWS: Readonly<Record<OperationName, Row>> = {
  'GET /livez': { good: {} },
  'GET /readyz': { good: {} },
  'GET /open/:link': {
    good: { params: { link: 'LINK' } },
    state: [{ as: '401 UNAUTHENTICATED', params: { link: 'used' } }],
  },
  'GET /version': { good: {} },
  'GET /metrics': { good: {} },
  'GET /api/v1/openapi.json': { good: {} },
  'GET /api/v1/openapi.html': { good: {} },
  'GET /api/v1/openapi.css': { good: {} },
  'GET /api/v1/resolve': {
    good: { query: '?ref=lab/quick%231' },
    state: [
      { as: '404 REF_NOT_FOUND', query: '?ref=nothing' },
      { as: '400 USAGE', query: '' },
    ],
  },
  'GET /api/v1/state': { good: {} },
  'GET /api/v1/tree': { good: {} },
  'GET /api/v1/machines/:name': {
    good: { params: { name: 'job' } },
    state: [{ as: '404 REF_NOT_FOUND', params: { name: 'x' } }],
  },
  'GET /api/v1/analytics': { good: {} },
  'GET /api/v1/events': {
    good: { headers: { accept: 'application/json' } },
    state: [
      { as: '404 REF_NOT_FOUND', query: '?plan=none-aaaaaa' },
      { as: '400 USAGE', query: '?limit=1' },
      { as: '400 USAGE', query: '?job=a', headers: { accept: 'application/json' } },
    ],
  },
  'GET /api/v1/plans': { good: {}, state: [{ as: '404 REF_NOT_FOUND', query: '?cursor=none-aaaaaa' }] },
  'POST /api/v1/plans': {
    good: {},
    status: 201,
    state: [
      { as: '409 KEY_CONFLICT', body: { plan: LAB_PLAN, key: 'done' } },
      { as: '422 PLAN_INVALID', body: { yaml: 'plan: v1\njobs: { a: {} }' } },
      { as: '422 SECRET_MISSING', body: { plan: LAB_PLAN } },
      { as: '422 SECRET_IN_CLEAR', body: { plan: LAB_PLAN, secrets: LAB_SECRETS, key: CANARY } },
      { as: '422 PLAN_INVALID', body: { plan: { jobs: 1 } } },
      { as: '422 UNKNOWN_HANDLER', body: { plan: { jobs: { a: { call: 'x' } } } } },
      { as: '400 USAGE', body: { yaml: 'plan: v1', plan: DONE_PLAN } },
      { as: '400 USAGE', body: { plan: DONE_PLAN, key: 'a' }, headers: { 'idempotency-key': 'b' } },
      {
        as: '503 DRAINING',
        body: { plan: DONE_PLAN },
        before: [['POST /api/v1/daemon/drain', {}]],
      },
    ],
  },
  'GET /api/v1/jobs': { good: {} },
  'GET /api/v1/plans/:plan': plan({}),
  'GET /api/v1/plans/:plan/notes': plan({}),
  'GET /api/v1/plans/:plan/definition': plan({}),
  'GET /api/v1/plans/:plan/explain': plan({}),
  'GET /api/v1/plans/:plan/inspect': plan({}),
  'GET /api/v1/plans/:plan/secrets': plan({}),
  'GET /api/v1/plans/:plan/jobs': plan({}, { as: '404 REF_NOT_FOUND', query: '?cursor=none' }),
  'GET /api/v1/plans/:plan/jobs/:job': job({ params: { job: 'quick' } }),
  'GET /api/v1/plans/:plan/jobs/:job/explain': job({ params: { job: 'held' } }),
  'GET /api/v1/plans/:plan/jobs/:job/inspect': job({ params: { job: 'backoff' } }),
  'GET /api/v1/plans/:plan/jobs/:job/attempts/:n/log': job(
    LOG,
    { as: '404 REF_NOT_FOUND', params: { job: 'quick', n: '2' } },
    { as: '404 REF_NOT_FOUND', params: { job: 'quick', n: '../1' } },
  ),
  'GET /api/v1/plans/:plan/jobs/:job/attempts/:n/log/stream': job(LOG, {
    as: '404 REF_NOT_FOUND',
    params: { job: 'quick', n: '0' },
  }),
  'GET /api/v1/dead-letters': { good: {} },
  'GET /api/v1/dead-letters/:id': { good: {}, state: NO_LETTER },
  'POST /api/v1/dead-letters/:id/redeliver': { good: { params: { id: '2' } }, state: NO_LETTER },
  'POST /api/v1/dead-letters/:id/discard': { good: { params: { id: '3' } }, state: NO_LETTER },
  'POST /api/v1/sweep': { good: {} },
  'POST /api/v1/gc': { good: {} },
  'POST /api/v1/links': { good: {}, status: 201 },
  'POST /api/v1/daemon/pause': { good: {} },
  'POST /api/v1/daemon/drain': { good: {} },
  'POST /api/v1/daemon/resume': { good: {} },
  'POST /api/v1/plans/:plan/secrets': plan(
    { body: { secrets: LAB_SECRETS } },
    { as: '400 USAGE', body: { secrets: { OTHER: CANARY } } },
    { as: '400 USAGE', body: { secrets: { LAB_SECRET: [CANARY] } } },
    { as: '422 SECRET_UNUSABLE', body: { secrets: { LAB_SECRET: 'x' } } },
  ),
  'POST /api/v1/plans/:plan/pause': plan({}, wrong(DONE)),
  'POST /api/v1/plans/:plan/continue': plan({}, wrong(DONE)),
  'POST /api/v1/plans/:plan/jobs/:job/approve': job({ params: { job: 'asks' } }, wrong({ job: 'gate' })),
  'POST /api/v1/plans/:plan/jobs/:job/reject': job({ params: { job: 'asksToo' } }, wrong({ job: 'gate' })),
  'POST /api/v1/plans/:plan/jobs/:job/now': job({ params: { job: 'backoff' } }, wrong({ job: 'failed' })),
  'POST /api/v1/plans/:plan/jobs/:job/retry': job({ params: { job: 'failed' } }, wrong({ job: 'backoff' })),
  'POST /api/v1/plans/:plan/jobs/:job/skip': job({ params: { job: 'held' } }, wrong({ job: 'gate' })),
  'POST /api/v1/plans/:plan/jobs/:job/cancel': job({ params: { job: 'gate' } }, wrong(DONE)),
  'POST /api/v1/plans/:plan/cancel': plan({}, wrong(DONE)),
  'POST /api/v1/plans/:plan/retry': plan(
    { params: { plan: 'LAB' }, body: { failed: true } },
    wrong(DONE, { body: { failed: true } }),
  ),
}

let lab: Lab
let judged: Judge
beforeAll(async () => {
  ;[lab, judged] = await Promise.all([openLab(), judge()])
})
afterAll(async () => {
  await lab.stop()
  lab.remove()
})

const routes = Object.keys(ROWS) as OperationName[]
const routeOf = (name: string): Route => {
  const route = judged.routes.find((each) => each.name === name)
  if (!route) throw new Error(`the document has no ${name}`)
  return route
}
const operationOf = (name: OperationName): Operation => OPERATIONS[name]

/** The request of a route: what its example asks, and what is asked beside. */
const requestOf = (name: OperationName, { params = {}, query, body, headers }: Ask = {}): Sent => {
  const { method, path, node } = routeOf(name)
  const own: Readonly<Record<string, string>> = { plan: 'LAB', job: 'quick', n: '1', id: '1', ...params }
  const real: Readonly<Record<string, string>> = { LAB: lab.lab, DONE: lab.done }
  const place = path.replaceAll(/\{(\w+)\}/g, (_, part: string) => {
    const value = own[part] ?? ''
    return encodeURIComponent(real[value] ?? value)
  })
  const example = node.requestBody?.content['application/json']?.example
  return {
    method,
    path: `${place}${query ?? ''}`,
    headers: {
      ...lab.bearer,
      ...(method === 'POST' ? { 'content-type': 'application/json' } : {}),
      ...headers,
    },
    ...(method === 'POST' ? { body: JSON.stringify(body ?? example ?? {}) } : {}),
  }
}

const codeOf = ({ status, json }: Said): string => {
  const { error } = (json ?? {}) as { error?: { code: string } }
  return `${status} ${error?.code ?? ''}`.trim()
}

let sources = 0
/** From an address of its own, so that its failures are not held against others. */
const fresh = (): string => {
  sources += 1
  return `127.0.1.${sources}`
}

/** Asks what is refused: as promised, and nothing is made of it. */
const refusedAs = async (name: OperationName, sent: Sent): Promise<string> => {
  const before = await lab.digest()
  const said = await lab.send(sent)
  expect(judged.wrongAnswer(name, said)).toBeUndefined()
  expect(said.text).not.toContain(CANARY)
  expect(await lab.digest(), `${name} was refused, and something was made`).toBe(before)
  return codeOf(said)
}

/** Goes through the routes; what is refused of one makes nothing later either. */
const ofEach = async (refuse: (name: OperationName) => Promise<void>): Promise<void> => {
  for (const name of routes) {
    const before = await lab.quiet()
    await refuse(name)
    expect(await lab.quiet(), `${name} was refused, and something was made`).toBe(before)
  }
}

describe('every route', () => {
  test('is in the document, and has a row here', () => {
    const gets = [...found].filter((route) => !route.startsWith('HEAD '))

    expect(gets.sort()).toEqual(judged.routes.map(({ name }) => name).sort())
    expect([...routes].sort()).toEqual(gets)
    for (const route of found)
      if (route.startsWith('HEAD ')) expect(found, route).toContain(route.replace('HEAD', 'GET'))
  })

  test('refuses what another site asks, and under another name', async () => {
    await ofEach(async (name) => {
      for (const headers of [
        { host: 'example.com' },
        { origin: 'http://example.com' },
        { origin: 'null' },
        { 'sec-fetch-site': 'cross-site' },
      ]) {
        const sent = requestOf(name)
        expect([name, await refusedAs(name, { ...sent, headers: { ...sent.headers, ...headers } })]).toEqual([
          name,
          '403 NOT_ALLOWED',
        ])
      }
    })
  })

  test('refuses who brings nothing, or what is wrong, but for those that are open', async () => {
    await ofEach(async (name) => {
      const { asks } = operationOf(name)
      if (asks === 'open') return
      for (const authorization of [undefined, 'Bearer wrong', `Basic ${lab.token}`]) {
        const { authorization: _, ...headers } = { authorization: '', ...requestOf(name).headers }
        const sent = {
          ...requestOf(name),
          headers: { ...headers, ...(authorization === undefined ? {} : { authorization }) },
          from: fresh(),
        }
        expect([name, await refusedAs(name, sent)]).toEqual([name, '401 UNAUTHENTICATED'])
      }
      const inUrl = { ...requestOf(name, { query: `?token=${lab.token}` }), from: fresh() }
      expect([name, await refusedAs(name, inUrl)]).toEqual([name, '401 UNAUTHENTICATED'])
    })
  })

  test('refuses what is too big', async () => {
    await ofEach(async (name) => {
      const sent = requestOf(name)
      const headers = { ...sent.headers, 'x-more': 'x'.repeat(HEADER_BYTES_MAX) }
      expect([name, await refusedAs(name, { ...sent, headers })]).toEqual([name, '431 HEADERS_TOO_BIG'])
      if (sent.method !== 'POST') return
      const body = Buffer.alloc(BODY_BYTES_MAX + 1, 0x20)
      expect([name, await refusedAs(name, { ...sent, body })]).toEqual([name, '413 BODY_TOO_BIG'])
    })
  })

  test('refuses what its schemas do not allow: fields nobody knows, and values of another kind', async () => {
    await ofEach(async (name) => {
      const { asks, query, body, headers } = operationOf(name)
      if (asks === 'open' || asks === 'link') return
      const bad: Ask[] = [{ query: '?nonsense=1' }]
      for (const [field, { type }] of Object.entries(query?.properties ?? {}))
        if (type !== 'string') bad.push({ query: `?${field}=no+such` })
        else bad.push({ query: `?${field}=${'x'.repeat(1_001)}` })
      for (const field of Object.keys(headers?.properties ?? {}))
        bad.push({ headers: { [field]: field === 'last-event-id' ? 'x' : 'x'.repeat(201) } })
      if (body !== undefined) {
        bad.push({ body: { nonsense: 1 } }, { body: [] }, { body: 'text' }, { body: 1 })
        for (const [field, { type }] of Object.entries(body.properties ?? {}))
          if (type !== undefined) bad.push({ body: { [field]: type === 'object' ? 'x' : { x: 1 } } })
      }
      for (const ask of bad)
        expect([name, ask, await refusedAs(name, requestOf(name, ask))]).toEqual([name, ask, '400 USAGE'])
      const schema = { headers: { 'accept-schema': '2' } }
      expect([name, await refusedAs(name, requestOf(name, schema))]).toEqual([name, '406 SCHEMA_MISMATCH'])
      if (body === undefined) return
      for (const more of [{ body: '{"a":' }, { headers: { 'content-type': 'text/plain' } }]) {
        const sent = requestOf(name)
        const asked = { ...sent, ...more, headers: { ...sent.headers, ...more.headers } }
        expect([name, await refusedAs(name, asked)]).toEqual([name, '400 USAGE'])
      }
    })
  })

  test('refuses what is not there, and what does not fit the state', async () => {
    for (const name of routes) {
      const { state = [] } = ROWS[name]
      const { errors = [], params } = operationOf(name)
      // A route that may refuse for the state has a row that shows it.
      if (errors.includes('WRONG_STATE') && name !== 'POST /api/v1/links' && !name.includes('dead-letters'))
        expect(
          state.map(({ as }) => as),
          name,
        ).toContain('409 WRONG_STATE')
      if (params !== undefined) expect(state.length, name).toBeGreaterThan(0)
      for (const { as, before = [], ...ask } of state) {
        for (const [other, asked] of before)
          expect((await lab.send(requestOf(other, asked))).status).toBe(200)
        await lab.quiet()
        const sent = { ...requestOf(name, ask), ...(as.startsWith('401') ? { from: fresh() } : {}) }
        expect([name, ask, await refusedAs(name, sent)]).toEqual([name, ask, as])
        if (before.length > 0) await lab.send(requestOf('POST /api/v1/daemon/resume'))
      }
    }
    const { served } = await hold()
    const { headers, status, text, json } = await askAt(served.path, 'POST /api/v1/links', { body: {} })
    const onSocket = { status, text, json, headers, type: headers['content-type'] ?? '' }
    expect(codeOf(onSocket)).toBe('409 WRONG_STATE')
    expect(judged.wrongAnswer('POST /api/v1/links', onSocket)).toBeUndefined()
  })

  test('answers as promised what is right', async () => {
    for (const name of routes) {
      const { good, status } = ROWS[name]
      let ask = good
      if (name === 'GET /open/:link') {
        const { json } = await lab.send(requestOf('POST /api/v1/links'))
        ask = { params: { link: new URL((json as { url: string }).url).pathname.split('/').at(-1) ?? '' } }
      }
      if (name === 'POST /api/v1/plans/:plan/retry')
        await lab.runtime.plan(lab.lab).then((each) => each.settled())
      const said = await lab.send(requestOf(name, ask))
      const [first] = Object.keys(operationOf(name).answers).map(Number)
      expect([name, said.status, said.text.slice(0, 300)]).toEqual([
        name,
        status ?? first,
        said.text.slice(0, 300),
      ])
      expect(judged.wrongAnswer(name, said)).toBeUndefined()
      await lab.quiet()
    }
  })

  test('is a HEAD where it is a GET', async () => {
    for (const name of routes) {
      if (!name.startsWith('GET') || name.includes(':link') || /events|stream/.test(name)) continue
      const { good } = ROWS[name]
      const said = await lab.send({ ...requestOf(name, good), method: 'HEAD' })
      expect([name, said.status, said.text]).toEqual([name, 200, ''])
    }
  })
})
