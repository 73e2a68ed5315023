/**
 * Who comes in: on the socket the user of the home, over TCP whoever brings its token or the cookie of a session. One hook before
 * every handler decides, the same for every route.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Clock } from '../clock.ts'
import { TenutoError } from '../errors.ts'
import { operator } from '../process.ts'
import { failures } from './failures.ts'
import { headerValues, isReading, namelessness, refusalOf } from './gate.ts'
import { FAILURE_DELAY_MS } from './limits.ts'
import type { Scope } from './operations.ts'
import { secondsIn } from './retry-after.ts'
import { askedBy, EVERY_SCOPE } from './scopes.ts'
import type { Session, Sessions } from './sessions.ts'
import type { TokenCheck } from './token.ts'

/** Somebody who was let in. */
export type Who = Readonly<{
  /** What is recorded with whatever they ask. */
  by: string
  way: 'socket' | 'token' | 'session'
  /** Aborted when its session ends. */
  ended?: AbortSignal
  may: ReadonlySet<Scope>
}>

declare module 'fastify' {
  interface FastifyRequest {
    /** Null until somebody is let in, and for routes that ask for nobody. */
    who: Who | null
  }
}

/** How a server lets in. */
export type Entrance = Readonly<{
  /**
   * Lets a request in, or throws why not; comes before everything else.
   * @throws {TenutoError} `NOT_ALLOWED`, `UNAUTHENTICATED`, `TOO_MANY`, `USAGE`.
   */
  enter: (request: FastifyRequest, reply: FastifyReply) => Promise<void>
  /** The same for a request that no route could be looked for; it never waits. Answers why not. */
  refusal: (request: FastifyRequest, reply: FastifyReply) => TenutoError | undefined
  /** The error for somebody who failed, once it may be told. */
  failing: (request: FastifyRequest, error: TenutoError) => Promise<TenutoError>
}>

/** What stands on the answers over TCP: a page of ours may load what is ours, and nobody may frame or read it. */
export const SECURITY_HEADERS = {
  'content-security-policy':
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'cache-control': 'no-store',
} as const

/** The entrance of the socket: only the user of the home can open it. */
export const socketEntrance = (): Entrance => {
  const who: Who = { by: operator(), way: 'socket', may: EVERY_SCOPE }
  return {
    enter: async (request, reply) => {
      const { httpVersion, rawHeaders } = request.raw
      // Any name will do here, since none leads here; one of HTTP 1.0 need have none.
      const refused = httpVersion === '1.0' ? undefined : namelessness(rawHeaders)
      if (refused) {
        reply.header('connection', 'close')
        throw refused
      }
      request.who = who
    },
    refusal: () => undefined,
    failing: async (_, error) => error,
  }
}

/** What an entrance over TCP stands on. */
export type TcpPorts = Readonly<{
  clock: Clock
  isToken: TokenCheck
  sessions: Sessions
  /** The values of `Host` that name this server; none before it listens. */
  hosts: () => ReadonlySet<string>
  cookie: () => string
}>

/** The entrance over TCP. */
export const tcpEntrance = ({ clock, isToken, sessions, hosts, cookie }: TcpPorts): Entrance => {
  const failed = failures(clock)

  /** Undefined where nothing that lets in was brought. A wrong token is not made good by a cookie. */
  const known = ({ raw }: FastifyRequest): Who | undefined => {
    const [given, ...more] = headerValues(raw.rawHeaders, 'authorization')
    if (given !== undefined) {
      const token = more.length === 0 ? BEARER.exec(given)?.[1] : undefined
      return token !== undefined && isToken(token) ? TOKEN_HOLDER : undefined
    }
    const session = cookiesCalled(cookie(), headerValues(raw.rawHeaders, 'cookie'))
      .map(sessions.of)
      .find((each) => each !== undefined)
    return session && sessionWho(session)
  }

  /** `path` is that of the route; what none knows is for those who are in. */
  const check = (request: FastifyRequest, path?: string): TenutoError | undefined => {
    const { method, raw } = request
    const refused = refusalOf({ method, url: raw.url ?? '', rawHeaders: raw.rawHeaders }, hosts())
    if (refused) return refused
    const asked = (path === undefined ? undefined : askedBy(method, path)) ?? 'read'
    if (asked === 'open' || asked === 'link') return undefined
    const who = known(request)
    if (!who) return unauthenticated('nothing was brought that lets in')
    // A browser adds a cookie to whatever is sent; that a page of ours asked, its origin says.
    if (who.way === 'session' && !isReading(method) && headerValues(raw.rawHeaders, 'origin').length === 0)
      return new TenutoError('NOT_ALLOWED', {
        what: 'the request changes something in a session and has no Origin',
        remedy: 'programs send the token instead of a cookie',
      })
    if (!who.may.has(asked))
      return new TenutoError('NOT_ALLOWED', {
        what: `${who.by} may not do that; it takes ${asked}`,
        remedy: 'ask with the token, or on the machine of the daemon',
      })
    request.who = who
    return undefined
  }

  const told = (error: TenutoError, reply: FastifyReply): TenutoError => {
    if (error.code === 'UNAUTHENTICATED') reply.header('www-authenticate', 'Bearer')
    // What else comes on this connection, as the rest of a body, is not worth reading.
    reply.header('connection', 'close')
    return error
  }

  const failing: Entrance['failing'] = async ({ raw: { socket } }, error) => {
    const gone = new AbortController()
    const left = (): void => gone.abort()
    socket.once('close', left)
    const isTold = await failed.wait(socket.remoteAddress ?? '', gone.signal)
    socket.off('close', left)
    const what = 'too many failed to authenticate of late'
    return isTold
      ? error
      : new TenutoError('TOO_MANY', {
          what,
          remedy: `ask again in ${FAILURE_DELAY_MS} ms`,
          retry_after_s: secondsIn(FAILURE_DELAY_MS),
        })
  }

  return {
    enter: async (request, reply) => {
      reply.headers(SECURITY_HEADERS)
      const error = check(request, request.routeOptions.url)
      if (!error) return
      throw told(error.code === 'UNAUTHENTICATED' ? await failing(request, error) : error, reply)
    },
    refusal: (request, reply) => {
      reply.headers(SECURITY_HEADERS)
      return check(request)
    },
    failing,
  }
}

/** Who comes in by a session. */
export const sessionWho = ({ id, ended }: Session): Who => ({
  ended,
  by: `session ${id}`,
  way: 'session',
  may: SESSION_SCOPES,
})

/** That somebody is not known. */
export const unauthenticated = (what: string): TenutoError => new TenutoError('UNAUTHENTICATED', { what })

/**
 * What is recorded as who asked. On the socket a command says for whom it asks; over TCP it is who came in, and nobody else.
 * @throws {TenutoError} `USAGE` when a body names somebody else over TCP.
 */
export const askerOf = ({ who }: Pick<FastifyRequest, 'who'>, claimed: string | undefined): string => {
  if (!who) throw unauthenticated('nobody asked')
  if (claimed === undefined || claimed === who.by) return who.by
  if (who.way === 'socket') return claimed
  throw new TenutoError('USAGE', { what: `by is ${claimed}; over TCP it is who asks, here ${who.by}` })
}

const TOKEN_HOLDER: Who = { by: 'token', way: 'token', may: EVERY_SCOPE }
/** All but letting others in. */
const SESSION_SCOPES: ReadonlySet<Scope> = new Set([...EVERY_SCOPE].filter((scope) => scope !== 'admin'))
const BEARER = /^Bearer ([!-~]{1,200})$/i
/** A browser may bring cookies of others under the same name; so many are looked at. */
const COOKIES_MAX = 8

const cookiesCalled = (name: string, headers: readonly string[]): readonly string[] =>
  headers
    .flatMap((header) => header.split(';'))
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(`${name}=`))
    .slice(0, COOKIES_MAX)
    .map((pair) => pair.slice(name.length + 1))
