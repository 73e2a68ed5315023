/**
 * The socket of a home: whoever holds it serves it, so that others may read it and give commands while it is held. Only the home's
 * user can open the socket; there is no token on it.
 */
import type { FastifyInstance, FastifyReply } from 'fastify'
import { systemClock } from '../clock.ts'
import { isTenutoError, TenutoError } from '../errors.ts'
import { homePaths } from '../home.ts'
import { type OpenLog, openLog } from '../log.ts'
import type { Runtime } from '../runtime.ts'
import { socketPath } from '../socket.ts'
import { clearPlace, keepDoor, unmade } from './door.ts'
import { envelope, told } from './envelope.ts'
import { readFields } from './fields.ts'
import { type Streams, streams } from './streams.ts'
import { BASE, HEADERS, holderName, SCHEMA, type VersionShape } from './wire.ts'

/** A home that is served. */
export type Served = Readonly<{
  /** The path of its socket. */
  path: string
  /**
   * Takes nothing more; answers what was asked; streams send what is committed and end; removes the socket. Comes before the
   * runtime stops. Idempotent.
   */
  close: () => Promise<void>
}>

const BODY_BYTES_MAX = 5_000_000
/** A name in a path, percent-encoded; a job's has at most 64 characters and what a compiler adds. */
const PARAM_CHARACTERS_MAX = 3_000
/** Connections at once; the next one is turned away. */
const CONNECTIONS_MAX = 256
/** How a client of ours names itself. */
const CLIENT = /^(tenuto [ -~]{1,100})$/
/** How long a client that does not read delays the end of its server. */
const CLOSE_MS = 1_000

const loading = () =>
  Promise.all([
    import('fastify'),
    import('./plans.ts'),
    import('./events.ts'),
    import('./letters.ts'),
    import('./daemon.ts'),
    import('./metrics.ts'),
  ])
let loaded: ReturnType<typeof loading> | undefined

/** Loads all that serving needs, now or for a later request; after that its files may go away. */
export const loadServer = () => (loaded ??= loading())

/**
 * Serves a home on its socket, in the place of one that a dead holder left.
 * @throws {TenutoError} `STOPPED` when the runtime has stopped meanwhile.
 */
export const serveHome = async (runtime: Runtime): Promise<Served> => {
  const path = socketPath(runtime.home, 'sock')
  const streaming = streams()
  const log = serverLog(runtime.home)
  const app = await application(runtime, streaming, log)
  let connections = 0
  app.server.on('connection', (socket) => {
    connections += 1
    socket.once('close', () => {
      connections -= 1
    })
  })
  const untell = runtime.tellOfServer(() => {
    const { open, ever, resets } = streaming.counts()
    return { streams: open, streams_ever: ever, resets, connections }
  })
  clearPlace(path)
  await app.listen({ path }).catch((error: unknown) => {
    throw unmade(path, error)
  })
  let leave = (): void => {}
  let closed: Promise<void> | undefined
  const close = async (): Promise<void> => {
    leave()
    untell()
    streaming.close()
    try {
      runtime.describe({ sock: null })
    } catch (error) {
      // To close would remove what is at its path, which may be the socket of another home by now.
      if (isTenutoError(error, 'HOME_GONE')) return abandon(app)
      // A runtime that has stopped describes itself no more.
      if (!isTenutoError(error, 'STOPPED')) throw error
    }
    const cancel = systemClock.setTimeout(() => app.server.closeAllConnections(), CLOSE_MS)
    await app.close()
    cancel()
  }
  try {
    leave = keepDoor(app.server, path, {
      isOurs: () => isOurs(runtime, path),
      tell: (error) => void log.door(path, error),
    })
    runtime.describe({ sock: path })
  } catch (error) {
    leave()
    await app.close()
    throw error
  }
  return { path, close: () => (closed ??= close()) }
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

const application = async (
  runtime: Runtime,
  streaming: Streams,
  log: ServerLog,
): Promise<FastifyInstance> => {
  const [
    { fastify },
    { commandRoutes, readingRoutes, submitRoute },
    { eventRoute },
    { letterRoutes },
    { daemonRoutes },
    { metricsRoute },
  ] = await loadServer()
  let closing = false
  const app = fastify({
    bodyLimit: BODY_BYTES_MAX,
    routerOptions: { maxParamLength: PARAM_CHARACTERS_MAX },
    // The answer of a server that closes is an envelope as well.
    return503OnClosing: false,
    frameworkErrors: (error, request, reply) => {
      const known = told(error)
      // Its type depends on a route, and here there is none.
      void (reply as unknown as FastifyReply).code(known.http).send(envelope(known, request.id))
    },
  })
  app.server.maxConnections = CONNECTIONS_MAX
  app.addHook('preClose', async () => {
    closing = true
  })
  app.addHook('onClose', log.close)
  app.addHook('onRequest', async ({ headers }, reply) => {
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
  app.setNotFoundHandler(({ method, url }) => {
    throw new TenutoError('ROUTE_UNKNOWN', { route: `${method} ${url}` })
  })
  app.setErrorHandler(async (error, request, reply) => {
    const known = isTooBig(error) ? new TenutoError('BODY_TOO_BIG', { limit: BODY_BYTES_MAX }) : told(error)
    if (known.code === 'INTERNAL') await log.fault(error, request.id)
    return reply.code(known.http).send(envelope(known, request.id))
  })
  // Ours, because it takes an empty body, and leaves every key to the rules of plans.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'string' }, async (_: unknown, body: string) => {
    try {
      return body === '' ? undefined : (JSON.parse(body) as unknown)
    } catch (error) {
      throw new TenutoError('USAGE', { what: `the body is no JSON: ${(error as Error).message}` }, error)
    }
  })

  app.get('/version', async ({ query }): Promise<VersionShape> => {
    readFields('query', query, {})
    return { ...runtime.build(), schema: SCHEMA, pid: process.pid, command: runtime.calledAs }
  })
  metricsRoute(app, runtime)
  await app.register(
    async (api) => {
      readingRoutes(api, runtime, streaming)
      submitRoute(api, runtime)
      commandRoutes(api, runtime)
      letterRoutes(api, runtime)
      daemonRoutes(api, runtime)
      eventRoute(api, runtime, streaming)
    },
    { prefix: BASE },
  )
  return app
}

const isTooBig = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'FST_ERR_CTP_BODY_TOO_LARGE'

type ServerLog = ReturnType<typeof serverLog>

/** The log of the home, opened when there is something to say. */
const serverLog = (home: string) => {
  let opening: Promise<OpenLog> | undefined
  const opened = () => (opening ??= openLog({ file: homePaths(home).log, level: 'warn' }))
  return {
    /** What nobody expected. */
    fault: async (error: unknown, requestId: string): Promise<void> => {
      const { log } = await opened()
      log.error(
        {
          request_id: requestId,
          error: error instanceof Error ? (error.stack ?? error.message) : String(error),
        },
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
