/**
 * Requests from the document of the API and a seed: what it allows, what is nearly that, and what nobody would send who means well.
 */
import type { Random } from '../../src/ids.ts'
import type { OpenApi, Route } from '../http/document.ts'
import type { Sent } from '../http/lab.ts'

type Schema = Readonly<Record<string, unknown>>

/** What a request may name: what is there now. */
export type Known = Readonly<{
  host: string
  token: string
  cookie: string
  plans: readonly string[]
  jobs: readonly string[]
  keys: readonly string[]
  /** What browsers were given to come in by, used or not. */
  links: readonly string[]
  /** Bodies of plans that a daemon takes. */
  submissions: readonly unknown[]
}>

/** A request, and of which route it means to be. */
export type Made = Readonly<{ route: Route; sent: Sent }>

const NASTY = [
  '',
  ' ',
  '.',
  '..',
  '../../etc/passwd',
  '..%2f..%2fetc%2fpasswd',
  '/etc/passwd',
  '%00',
  '\u0000',
  '\ud800',
  '\u202e',
  '__proto__',
  'constructor',
  'toString',
  '-1',
  '0',
  '1e9',
  '9007199254740993',
  '99999999999999999999',
  'NaN',
  'true',
  'null',
  "' OR 1=1 --",
  '%',
  '%25',
  '%_%',
  '*',
  '[a]',
  'a,b',
  ',',
  'plan:',
  'plan:../x',
  '<script>alert(1)</script>',
  '${7*7}',
  '\r\nx-evil: 1',
  'x'.repeat(300),
  'x'.repeat(4_000),
  '🦊'.repeat(80),
]
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'QUERY']
const DEPTH_MAX = 40

/** Of routes that are not asked four times as others are. */
const WEIGHTS: Readonly<Record<string, number>> = {
  'POST /api/v1/plans': 16,
  'POST /api/v1/plans/:plan/cancel': 1,
  'POST /api/v1/gc': 1,
  'POST /api/v1/daemon/drain': 1,
  'POST /api/v1/daemon/pause': 1,
  'POST /api/v1/sweep': 1,
  'GET /api/v1/openapi.json': 1,
  'GET /api/v1/openapi.html': 1,
  'GET /api/v1/openapi.css': 1,
  'GET /metrics': 1,
}

/** Draws requests of a document. */
export const requestsOf = (document: OpenApi, routes: readonly Route[], random: Random) => {
  const chance = (share: number): boolean => random() < share
  const below = (most: number): number => Math.floor(random() * most)
  const pick = <Item>(items: readonly Item[]): Item => items[below(items.length)] as Item
  const nasty = (): string => pick(NASTY)

  const resolved = (schema: Schema): Schema => {
    const name = typeof schema['$ref'] === 'string' ? schema['$ref'].split('/').at(-1) : undefined
    return name === undefined ? schema : (document.components.schemas[name] ?? {})
  }

  /** Any JSON, also what nobody expects. */
  const junk = (depth = 0): unknown => {
    const kinds: (() => unknown)[] = [
      () => null,
      () => chance(0.5),
      () => pick([0, -1, 0.5, 1e308, -0, 2 ** 53, below(1_000)]),
      nasty,
      () => Array.from({ length: below(4) }, () => (depth > 3 ? null : junk(depth + 1))),
      () =>
        Object.fromEntries(
          Array.from({ length: below(4) }, () => [nasty(), depth > 3 ? null : junk(depth + 1)]),
        ),
      () => deep(below(DEPTH_MAX)),
    ]
    return pick(kinds)()
  }
  const deep = (depth: number): unknown =>
    depth === 0 ? 1 : chance(0.5) ? [deep(depth - 1)] : { a: deep(depth - 1) }

  /** A value that its schema allows, or nearly. */
  const valueOf = (given: Schema, known: Known, name = ''): unknown => {
    if (chance(0.06)) return junk()
    const schema = resolved(given)
    const type = [schema['type']].flat().find((each) => each !== 'null')
    const words = schema['enum'] as readonly unknown[] | undefined
    if (words) return pick(words)
    if (type === 'integer' || type === 'number') {
      const { minimum = 0, maximum = 1_000 } = schema as { minimum?: number; maximum?: number }
      return pick([
        minimum,
        maximum,
        minimum + below(Math.min(maximum - minimum, 300) + 1),
        minimum - 1,
        maximum + 1,
      ])
    }
    if (type === 'boolean') return chance(0.5)
    if (type === 'array')
      return Array.from({ length: below(3) + 1 }, () =>
        valueOf((schema['items'] ?? {}) as Schema, known, name),
      )
    if (type === 'object') return objectOf(schema, known)
    return textOf(name, known)
  }
  const objectOf = (schema: Schema, known: Known): unknown => {
    const properties = Object.entries((schema['properties'] ?? {}) as Readonly<Record<string, Schema>>)
    const own = properties
      .filter(() => chance(0.5))
      .map(([name, of]): readonly [string, unknown] => [name, valueOf(of, known, name)])
    const more = chance(0.05) ? [[nasty(), junk()] as const] : []
    return Object.fromEntries([...own, ...more])
  }
  const textOf = (name: string, known: Known): string => {
    if (chance(0.15)) return nasty()
    if (name === 'plan' || name === 'cursor') return pick([...known.plans, 'lab', 'done', 'nothing'])
    if (name === 'job' || name === 'name') return pick([...known.jobs, 'lab', 'done', 'job'])
    if (name === 'ref')
      return `${pick([...known.plans, 'lab'])}${pick(['', `/${pick(known.jobs)}`, `/${pick(known.jobs)}#1`])}`
    if (name === 'topics') return pick(['plans', 'daemon', `plan:${pick(known.plans)}`])
    if (name === 'key' || name === 'idempotency-key') return pick([...known.keys, `k${below(50)}`])
    if (name === 'base') return pick(['/tmp', '/', '/nowhere'])
    return pick(['x', 'because', 'ann', '1'])
  }

  const bodyOf = (route: Route, known: Known): string | undefined => {
    const media = route.node.requestBody?.content['application/json']
    if (media === undefined) return chance(0.02) ? JSON.stringify(junk()) : undefined
    if (chance(0.02))
      return pick([
        '',
        '{',
        '{"a":',
        'null',
        '[]',
        '"text"',
        '1',
        'true',
        '\ufeff{}',
        '{"a":1}garbage',
        '{"__proto__":{"a":1}}',
      ])
    const made =
      route.name === 'POST /api/v1/plans' && chance(0.75)
        ? { ...(pick(known.submissions) as object), ...(chance(0.3) ? { key: textOf('key', known) } : {}) }
        : valueOf(media.schema, known)
    const text =
      JSON.stringify(route.name === 'POST /api/v1/plans' && chance(0.25) ? damaged(made) : made) ?? ''
    return chance(0.01) ? text.slice(0, below(text.length)) : text
  }
  /** The same with something in it made other. */
  const damaged = (value: unknown): unknown => {
    if (typeof value !== 'object' || value === null || chance(0.15)) return junk()
    const entries = Object.entries(value)
    if (entries.length === 0) return junk()
    const at = below(entries.length)
    if (chance(0.1)) return Object.fromEntries(entries.filter((_, index) => index !== at))
    const made = entries.map(([name, each], index) => [name, index === at ? damaged(each) : each] as const)
    return Array.isArray(value) ? made.map(([, each]) => each) : Object.fromEntries(made)
  }

  const pathOf = (route: Route, known: Known): string => {
    const own = (name: string): string => {
      if (chance(0.12)) return nasty()
      if (name === 'plan') return pick(known.plans)
      if (name === 'job') return pick(known.jobs)
      if (name === 'name') return pick(['plan', 'job'])
      if (name === 'id') return String(1 + below(12))
      return name === 'n' ? String(1 + below(2)) : pick([...known.links, 'never'])
    }
    const encode = (text: string): string =>
      // Half of what is nasty comes as it is, as far as a client can send it.
      chance(0.9) ? escaped(text) : text.replace(/[^!-~]/gu, '')
    return route.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encode(own(name)))
  }
  const queryOf = (route: Route, known: Known): string => {
    const given = route.node.parameters
      .filter(({ in: place, required }) => place === 'query' && (required === true || chance(0.35)))
      .map(({ name = '', schema }) => `${name}=${escaped(inText(valueOf(schema, known, name)))}`)
    if (chance(0.04)) given.push(`${escaped(nasty())}=${escaped(nasty())}`)
    if (chance(0.02) && given[0] !== undefined) given.push(given[0])
    if (chance(0.005)) given.push(`token=${known.token}`)
    return given.length === 0 ? '' : `?${given.join('&')}`
  }
  const headersOf = (route: Route, known: Known, method: string): Record<string, string> => {
    const headers: Record<string, string> = { host: known.host }
    const way = random()
    if (way < 0.82) headers['authorization'] = `Bearer ${known.token}`
    else if (way < 0.93) {
      headers['cookie'] = known.cookie
      if (chance(0.8)) headers['origin'] = `http://${known.host}`
    } else if (way < 0.97)
      headers['authorization'] = pick([
        'Bearer x',
        'Bearer',
        `Basic ${known.token}`,
        `Bearer ${known.token}x`,
      ])
    if (method !== 'GET' && method !== 'HEAD')
      headers['content-type'] = chance(0.97)
        ? 'application/json'
        : pick(['text/plain', 'application/x-www-form-urlencoded', 'application/json; charset=latin1'])
    if (chance(0.02))
      headers['host'] = pick(['example.com', 'localhost', known.host.toUpperCase(), `${known.host}.`])
    if (chance(0.02)) headers['origin'] = pick(['null', 'http://example.com', `https://${known.host}`])
    if (chance(0.02)) headers['accept-schema'] = pick(['1', '2', '', 'x'])
    if (chance(0.4)) headers['accept'] = pick(['application/json', 'text/event-stream', '*/*', 'text/html'])
    for (const { name = '', in: place, schema } of route.node.parameters)
      if (place === 'header' && name !== '' && chance(0.15))
        headers[name] = inText(valueOf(schema, known, name)).replace(/[^ -~]/gu, '')
    return headers
  }

  /** What makes something is asked more often than what ends everything. */
  const weighed = routes.flatMap((route) => Array.from({ length: WEIGHTS[route.name] ?? 4 }, () => route))

  /** The next request; `from` is the address of a client of its own. */
  return (known: Known, from: string): Made => {
    const route = pick(weighed)
    const method = chance(0.97) ? route.method : pick(METHODS)
    const body = method === 'GET' || method === 'HEAD' ? undefined : bodyOf(route, known)
    const path = chance(0.99) ? pathOf(route, known) : `/${escaped(nasty())}`
    return {
      route,
      sent: {
        method,
        path: `${path}${queryOf(route, known)}`,
        headers: headersOf(route, known, method),
        from,
        ...(body === undefined ? {} : { body }),
      },
    }
  }
}

/** As a part of a URL; half of a character is sent as a question mark. */
const escaped = (text: string): string => encodeURIComponent(text.toWellFormed())

/** As a query has it: lists between commas. */
const inText = (value: unknown): string =>
  Array.isArray(value) && value.every((each) => typeof each !== 'object')
    ? value.join(',')
    : typeof value === 'string'
      ? value
      : (JSON.stringify(value) ?? '')
