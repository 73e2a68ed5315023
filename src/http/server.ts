/**
 * The server of a home: whoever holds it serves its socket, so that others may read it and give commands while it is held; only the
 * home's user can open that. A daemon serves the same routes over TCP, to whoever has the token of the home or a session.
 */
import type { Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { FastifyHttpOptions, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type Clock, systemClock } from '../clock.ts'
import { isTenutoError, TenutoError } from '../errors.ts'
import { homePaths } from '../home.ts'
import { base32, systemRandom } from '../ids.ts'
import { isObject, type Json } from '../json.ts'
import { type OpenLog, openLog } from '../log.ts'
import { type Masking, masking, SECRET_CHARACTERS_LEAST } from '../masking.ts'
import type { Runtime } from '../runtime.ts'
import { tokenMasking } from '../secrets.ts'
import { socketPath } from '../socket.ts'
import { type Access, access } from './access.ts'
import { readBody } from './body.ts'
import { clearPlace, keepDoor, unmade } from './door.ts'
import { type Entrance, socketEntrance } from './entrance.ts'
import { type Envelope, envelope, told } from './envelope.ts'
import { isReading } from './gate.ts'
import {
  BODY_BYTES_MAX,
  PARAM_CHARACTERS_MAX,
  PLAN_BYTES_MAX,
  SOCKET_CONNECTIONS_MAX,
  TCP_LIMITS,
  type TcpLimits,
} from './limits.ts'
import { linkRoute, lookRoutes, openRoute } from './links.ts'
import { misplacedOr } from './misplaced.ts'
import { isParting } from './parting.ts'
import { retryAfter } from './retry-after.ts'
import { declareRoutes, operate } from './routing.ts'
import { askedBy } from './scopes.ts'
import { type Streams, streams } from './streams.ts'
import { bound, connectionOptions, type TcpPlace, unusable } from './tcp.ts'
import { HTTP_OPTIONS, refuseInWords, unmetExpectation, unspokenVersion } from './unread.ts'
import { BASE, HEADERS, holderName, RETRY_AFTER, SCHEMA } from './wire.ts'

/** A home that is served. */
export type Served = Readonly<{
  /** The path of its socket. */
  path: string
  /** Where it is reached over TCP; null where it is not. */
  url: string | null
  /**
   * Takes nothing more; answers what was asked; streams send what is committed and end; removes the socket. Comes before the
   * runtime stops. Idempotent.
   */
  close: () => Promise<void>
}>

/** How a home is served over TCP. */
export type TcpOptions = TcpPlace & Readonly<{ clock?: Clock; limits?: TcpLimits }>

/** How a client of ours names itself. */
const CLIENT = /^(tenuto [ -~]{1,100})$/
/** How long a client that takes nothing delays the end of its server. */
const CLOSE_MS = 1_000
/** And so many times as long one that goes on taking. */
const CLOSES_MAX = 10

const loading = () =>
  Promise.all([
    import('fastify'),
    import('./plans.ts'),
    import('./events.ts'),
    import('./letters.ts'),
    import('./daemon.ts'),
    import('./metrics.ts'),
    import('./reference.ts'),
  ])
let loaded: ReturnType<typeof loading> | undefined

/** Loads all that serving needs, now or for a later request; after that its files may go away. */
export const loadServer = () => (loaded ??= loading())

/**
 * Serves a home on its socket, in the place of one that a dead holder left, and over TCP where that is asked for.
 * @throws {TenutoError} `STOPPED` when the runtime has stopped meanwhile; `PORT_UNUSABLE`; `NOT_ALLOWED` when the token of the home is
 * not kept well.
 */
export const serveHome = async (runtime: Runtime, tcp?: TcpOptions): Promise<Served> => {
  const path = socketPath(runtime.home, 'sock')
  const log = serverLog(runtime)
  const shared: Shared = {
    runtime,
    streaming: streams(tcp?.clock, (request) => void log.dropped(request)),
    log,
    access: tcp === undefined ? null : access(homePaths(runtime.home).token, tcp.clock ?? systemClock),
  }
  const app = await application(shared, {
    entrance: socketEntrance(),
    options: { http: HTTP_OPTIONS },
    planBytesMax: PLAN_BYTES_MAX,
  })
  app.server.maxConnections = SOCKET_CONNECTIONS_MAX
  app.addHook('onClose', shared.log.close)
  const connections = new Set<Socket>()
  const count = (from: FastifyInstance): void => {
    from.server.on('connection', (socket) => {
      connections.add(socket)
      socket.once('close', () => connections.delete(socket))
    })
  }
  count(app)
  const untell = runtime.tellOfServer(() => {
    const { open, ever, resets, dropped } = shared.streaming.counts()
    return { streams: open, streams_ever: ever, resets, dropped, connections: connections.size }
  })
  clearPlace(path)
  await app.listen({ path }).catch((error: unknown) => {
    throw unmade(path, error)
  })
  let outside: FastifyInstance | undefined
  let leave = (): void => {}
  let closed: Promise<void> | undefined
  const close = async (): Promise<void> => {
    leave()
    untell()
    shared.streaming.close()
    const apps = [...(outside === undefined ? [] : [outside]), app]
    try {
      runtime.describe({ sock: null, url: null })
    } catch (error) {
      // To close would remove what is at its path, which may be the socket of another home by now.
      if (isTenutoError(error, 'HOME_GONE')) return apps.forEach(abandon)
      // A runtime that has stopped describes itself no more, and a full disk takes no description; who lets go of the home removes it.
    }
    const waited = hangUps(connections)
    for (const each of apps) await each.close()
    waited()
  }
  try {
    leave = keepDoor(app.server, path, {
      isOurs: () => isOurs(runtime, path),
      tell: (error) => void shared.log.door(path, error),
    })
    if (tcp && shared.access) {
      outside = await listenOutside(shared, shared.access, tcp)
      count(outside)
    }
    const url = shared.access?.url() ?? null
    runtime.describe({ sock: path, url })
    return { path, url, close: () => (closed ??= close()) }
  } catch (error) {
    leave()
    await outside?.close()
    await app.close()
    throw error
  }
}

/** The same routes over TCP, behind their own entrance. */
const listenOutside = async (
  shared: Shared,
  way: Access,
  { host, port, limits = TCP_LIMITS }: TcpOptions,
): Promise<FastifyInstance> => {
  const app = await application(shared, {
    entrance: way.entrance,
    options: connectionOptions(limits),
    planBytesMax: BODY_BYTES_MAX,
  })
  app.server.maxConnections = limits.connectionsMax
  openRoute(app, way)
  await app.listen(bound({ host, port })).catch((error: unknown) => {
    throw unusable({ host, port }, error)
  })
  way.listens(host, (app.server.address() as AddressInfo).port)
  return app
}

/** Hangs up on whoever has taken nothing for a while, and in the end on all; answers how to be done with that. */
const hangUps = (connections: ReadonlySet<Socket>): (() => void) => {
  const taken = new Map<Socket, number>()
  let cancel = (): void => {}
  const look = (left: number): void => {
    for (const socket of connections) {
      if (left === 0 || taken.get(socket) === socket.bytesWritten) socket.destroy()
      else taken.set(socket, socket.bytesWritten)
    }
    if (left > 0) cancel = systemClock.setTimeout(() => look(left - 1), CLOSE_MS)
  }
  look(CLOSES_MAX)
  return () => cancel()
}

const abandon = ({ server }: FastifyInstance): void => {
  server.closeAllConnections()
  server.unref()
}

/** A home that has gone may be another's by now, and with it the place of its socket. */
const isOurs = (runtime: Runtime, path: string): boolean => {
  try {
    runtime.describe({ sock: path })
    return true
  } catch (error) {
    return !isTenutoError(error, 'HOME_GONE') && !isTenutoError(error, 'STOPPED')
  }
}

/** What both listeners have in common. */
type Shared = Readonly<{ runtime: Runtime; streaming: Streams; log: ServerLog; access: Access | null }>

const application = async (
  { runtime, streaming, log, access: way }: Shared,
  {
    entrance,
    options,
    planBytesMax,
  }: Readonly<{ entrance: Entrance; options: FastifyHttpOptions<Server>; planBytesMax: number }>,
): Promise<FastifyInstance> => {
  const [
    { fastify },
    { commandRoutes, readingRoutes, submitRoute },
    { eventRoute },
    { letterRoutes },
    { daemonRoutes },
    { metricsRoute },
    { referenceRoutes },
  ] = await loadServer()
  const token = tokenMasking(runtime.home)
  let closing = false
  let asked = 0
  const listener = base32(6, systemRandom)
  // Each is one of its own, also among those of the other listener and of holders before this one.
  const nextName = (): string => `req-${listener}-${((asked += 1)).toString(36)}`
  const app: FastifyInstance = fastify({
    ...options,
    genReqId: nextName,
    // In the place of Fastify's own: `refuseInWords` answers, which knows what else is asked on a connection.
    clientErrorHandler: () => {},
    bodyLimit: BODY_BYTES_MAX,
    routerOptions: { maxParamLength: PARAM_CHARACTERS_MAX },
    // The answer of a server that closes is an envelope as well.
    return503OnClosing: false,
    // Its types depend on a route, and here there is none.
    frameworkErrors: (error, unrouted, replying) => {
      const [request, reply] = [unrouted as unknown as FastifyRequest, replying as unknown as FastifyReply]
      const known = entrance.refusal(request, reply) ?? unreadable(error, request) ?? told(error)
      void reply.code(known.http).send(refusal(known, request, token()))
    },
  })
  refuseInWords(app.server, nextName)
  const methodsOf = declareRoutes(app)
  app.decorateRequest('who', null)
  app.addHook('onRoute', (route) => {
    if (route.method === 'POST' && route.url === `${BASE}/plans`) route.bodyLimit = planBytesMax
  })
  app.addHook('preClose', async () => {
    closing = true
  })
  app.addHook('onRequest', async (request, reply) => {
    // Sent behind what was refused: nobody would hear what came of it.
    if (isParting(request.raw.socket)) return void reply.hijack()
    await entrance.enter(request, reply)
    const refused = unspokenVersion(request.raw) ?? unmetExpectation(request.raw)
    if (refused) {
      // Its body is not waited for.
      reply.header('connection', 'close')
      throw refused
    }
    const { headers, who } = request
    if (who === null) return
    const build = runtime.build()
    reply.headers({ [HEADERS.build]: build.source_hash, [HEADERS.schema]: SCHEMA })
    if (build.stale) reply.header(HEADERS.stale, 'true')
    const asked = headers[HEADERS.acceptSchema]
    if (asked !== undefined && asked !== SCHEMA) {
      const client = CLIENT.exec(headers['user-agent'] ?? '')?.[1] ?? 'the client'
      const both = { asked, served: SCHEMA, client, holder: holderName(build) }
      throw new TenutoError('SCHEMA_MISMATCH', both)
    }
    if (closing) throw new TenutoError('STOPPED')
  })
  app.addHook('onResponse', async (request, reply) => {
    if (request.who !== null && (letsIn(request) || !isReading(request.method)))
      await log.asked(request, reply)
  })
  app.setNotFoundHandler(({ method, url }, reply) => {
    const [path = ''] = url.split('?')
    const methods = methodsOf(path).join(', ')
    if (methods === '') throw new TenutoError('ROUTE_UNKNOWN', { route: `${method} ${path}` })
    reply.header('allow', methods)
    throw new TenutoError('METHOD_UNKNOWN', { method, path, methods })
  })
  app.setErrorHandler(async (error, request, reply) => {
    const known = isTooBig(error)
      ? new TenutoError('BODY_TOO_BIG', { limit: request.routeOptions.bodyLimit ?? BODY_BYTES_MAX })
      : await misplacedOr(told(error), request, runtime.catalog)
    if (known.code === 'INTERNAL') await log.fault(error, request)
    const seconds = retryAfter(known, runtime.storage)
    if (seconds !== undefined) reply.header(RETRY_AFTER, seconds)
    return reply.code(known.http).send(refusal(known, request, token()))
  })
  // Ours, because it takes an empty body, and leaves every key to the rules of plans.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer' },
    async ({ headers }: FastifyRequest, body: Buffer) => readBody(body, headers['content-encoding']),
  )

  operate(app, 'GET /version', () => ({
    ...runtime.build(),
    schema: SCHEMA,
    pid: process.pid,
    command: runtime.calledAs,
  }))
  lookRoutes(app, runtime)
  metricsRoute(app, runtime)
  await app.register(
    async (api) => {
      readingRoutes(api, runtime, streaming)
      submitRoute(api, runtime)
      commandRoutes(api, runtime)
      letterRoutes(api, runtime)
      daemonRoutes(api, runtime)
      eventRoute(api, runtime, streaming)
      linkRoute(api, way)
      referenceRoutes(api, runtime)
    },
    { prefix: BASE },
  )
  return app
}

/** What masks the secrets that a request brings, whatever their shape: it may be refused for that. */
const brought = ({ body }: FastifyRequest): Masking => masking(isObject(body) ? textsIn(body['secrets']) : [])

/** Every text and number of a value, however deep, that is long enough to be a secret. */
const textsIn = (value: unknown): readonly string[] => {
  const found: string[] = []
  const left = [value]
  for (const each of left) {
    if (typeof each === 'object' && each !== null) for (const part of Object.values(each)) left.push(part)
    else if (String(each).length >= SECRET_CHARACTERS_LEAST) found.push(String(each))
  }
  return found
}

/** An error as it is answered, without the secrets of its request, and without the token of the home. */
const refusal = (known: TenutoError, request: FastifyRequest, token: Masking): Envelope => {
  const { error } = envelope(known, request.id)
  const { code, request_id, ...said } = error
  const own = brought(request).cut(said as unknown as Json)
  return { error: { code, request_id, ...(token.cut(own) as unknown as typeof said) } }
}

/** What is wrong with a path that the router could not read; undefined when it is something else. */
const unreadable = (error: Error, { url }: FastifyRequest): TenutoError | undefined => {
  const { code } = error as NodeJS.ErrnoException
  const [path = ''] = url.split('?')
  if (code === 'FST_ERR_BAD_URL')
    return new TenutoError('USAGE', { what: `the path ${path} has an escape that is no UTF-8` })
  if (code !== 'FST_ERR_MAX_PARAM_LENGTH') return undefined
  const longest = Math.max(...path.split('/').map(({ length }) => length))
  return new TenutoError('USAGE', {
    what: `the path has a part of ${longest} characters; a name in it may have ${PARAM_CHARACTERS_MAX}`,
  })
}

/** Whether the path of a request is what lets somebody in. */
const letsIn = ({ method, routeOptions: { url } }: FastifyRequest): boolean =>
  url !== undefined && askedBy(method, url) === 'link'

const isTooBig = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'FST_ERR_CTP_BODY_TOO_LARGE'

type ServerLog = ReturnType<typeof serverLog>

/** The log of the home, opened when there is something to say. */
const serverLog = ({ home, masked }: Pick<Runtime, 'home' | 'masked'>) => {
  let opening: Promise<OpenLog> | undefined
  const opened = () => (opening ??= openLog({ file: homePaths(home).log, level: 'info' }))
  return {
    /** What somebody asked that changes something, or that let them in: who, what, why, and how it was answered. */
    asked: async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
      const { log } = await opened()
      const { id, method, url, who, body, routeOptions } = request
      const { plan } = request.params as Readonly<{ plan?: string }>
      const made = reply.getHeader('location')
      const { reason } = (body ?? {}) as Readonly<{ reason?: unknown }>
      const isRefused = reply.statusCode >= 400
      const own = brought(request)
      const path = url.split('?')[0] ?? ''
      log.info(
        {
          request_id: id,
          by: who?.by,
          way: who?.way,
          // A link is a secret, if one that is used.
          asked: `${method} ${letsIn(request) ? routeOptions.url : isRefused ? await masked(null, own.text(path)) : path}`,
          ...(made === undefined ? {} : { made }),
          why: typeof reason === 'string' ? await masked(plan ?? null, own.text(reason)) : null,
          answered: reply.statusCode,
        },
        'asked to change something',
      )
    },
    /** A client of a stream that did not read. */
    dropped: async ({ id, method, url, who }: FastifyRequest): Promise<void> => {
      const { log } = await opened()
      const asked = `${method} ${url.split('?')[0]}`
      log.warn({ request_id: id, by: who?.by, way: who?.way, asked }, 'a stream was not read and is ended')
    },
    /** What nobody expected. */
    fault: async (error: unknown, request: FastifyRequest): Promise<void> => {
      const { log } = await opened()
      const what = error instanceof Error ? (error.stack ?? error.message) : String(error)
      log.error(
        { request_id: request.id, error: await masked(null, brought(request).cut(what) as string) },
        'a request failed',
      )
    },
    door: async (sock: string, error: TenutoError | null): Promise<void> => {
      const { log } = await opened()
      if (error === null) log.warn({ sock }, 'the socket was gone and is made again')
      else log.error({ sock, error: error.message }, 'the socket is gone and cannot be made again')
    },
    close: async (): Promise<void> => await (await opening)?.close(),
  }
}
