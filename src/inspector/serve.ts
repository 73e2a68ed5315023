/**
 * The inspector: what `@statelyai/inspect` makes of every live actor, for clients on this machine. Nothing leaves it: the server
 * listens on loopback only, takes no page of another origin, and its address holds a secret, since loopback is everybody's. Each client
 * is a guest of its own; one that does not read is dropped.
 */
import { createServer, type IncomingMessage, STATUS_CODES } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createInspector } from '@statelyai/inspect'
import { WebSocket, WebSocketServer } from 'ws'
import { base32, systemRandom } from '../ids.ts'
import type { Runtime } from '../runtime.ts'
import { wordsOf } from '../thrown.ts'
import { pageOf } from './page.ts'

/** An inspector that is served. */
export type ServedInspector = Readonly<{
  /** Of its page; the same address with `ws:` is where clients of `@statelyai/inspect` connect. */
  url: string
  /** Lets every client go. Idempotent. */
  close: () => Promise<void>
}>

type Told = Parameters<Parameters<Runtime['inspect']>[0]>[0]
type Sent = Parameters<Parameters<typeof createInspector>[0]['send']>[0]
/** What is drawn of an actor: the members of it that the inspector reads. */
type Drawn = Readonly<{
  id: string
  logic?: { config?: Readonly<Record<string, unknown>> }
  getSnapshot: () => unknown
}>

/** Characters of the secret; 5 bits each. */
const SECRET = 26
const HOST = '127.0.0.1'
const CLIENTS_MAX = 16
/** What a client says is not heard. */
const PAYLOAD_BYTES_MAX = 1_024
/** What may wait for a client that does not read. */
const UNREAD_BYTES_MAX = 16_000_000
/** Everybody's parent, which is no actor of ours. */
const ROOT = 'host'

/** The id of an actor stays its address when it is replaced. */
const idOf = (actor: unknown): string => (actor as Drawn).id
const snapshotOf = (snapshot: unknown) => {
  const { value, context } = snapshot as { value?: unknown; context?: unknown }
  return { status: 'active' as const, value, context }
}
/** An actor as the inspector reads one, drawn under its address and without what its machine begins with. */
const drawn = (actor: unknown) => {
  const { logic } = actor as Drawn
  const { context: _, ...config } = logic?.config ?? {}
  const id = idOf(actor)
  return { id, sessionId: id, _parent: { sessionId: ROOT }, logic: { config: { ...config, id } } }
}

/** Hands on inspection events as `@statelyai/inspect` says them; what it throws is thrown to whoever shows them. */
const teller = (send: (event: Sent) => void): ((told: Told) => void) => {
  // Its own observer converts in a timer, where a throw would end the process.
  const inspector = createInspector({ send: (event) => send({ ...event, rootId: ROOT }) })
  inspector.actor(ROOT, { status: 'active' })
  return (told) => {
    if (told.type === '@xstate.actor')
      inspector.actor(
        drawn(told.actorRef) as unknown as Parameters<typeof inspector.actor>[0],
        snapshotOf((told.actorRef as unknown as Drawn).getSnapshot()),
      )
    else if (told.type === '@xstate.event') {
      const source = told.sourceRef === undefined ? {} : { source: idOf(told.sourceRef) }
      inspector.event(idOf(told.actorRef), told.event, source)
    } else if (told.type === '@xstate.snapshot')
      inspector.snapshot(idOf(told.actorRef), snapshotOf(told.snapshot), { event: told.event })
  }
}

/**
 * Serves the inspector of a runtime on a port of loopback; 0 picks one. `tell` hears in one line of a client that was dropped.
 * @throws {Error} when the port cannot be had.
 */
export const serveInspector = async (
  runtime: Pick<Runtime, 'inspect'>,
  port: number,
  tell: (line: string) => void,
  unreadBytesMax = UNREAD_BYTES_MAX,
): Promise<ServedInspector> => {
  const path = `/${base32(SECRET, systemRandom)}/`
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: PAYLOAD_BYTES_MAX,
    perMessageDeflate: false,
  })
  const origins = (): readonly string[] => {
    const { port: taken } = server.address() as AddressInfo
    return [`${HOST}:${taken}`, `localhost:${taken}`]
  }
  /** The status with which a request is refused; undefined when it is not. Other sites, and names that lead here, are not let in. */
  const refusal = ({ headers, url = '' }: IncomingMessage): number | undefined => {
    const own = origins()
    if (!own.includes(headers.host ?? '')) return 403
    if (headers.origin !== undefined && !own.some((each) => headers.origin === `http://${each}`)) return 403
    return url === path || url === path.slice(0, -1) ? undefined : 404
  }
  const server = createServer((request, response) => {
    const status = refusal(request) ?? (request.method === 'GET' ? undefined : 405)
    if (status !== undefined) return void response.writeHead(status).end()
    const { text, policy } = pageOf(base32(SECRET, systemRandom))
    response
      .writeHead(200, {
        'content-type': 'text/html; charset=utf-8',
        'content-security-policy': policy,
        'cache-control': 'no-store',
        'referrer-policy': 'no-referrer',
      })
      .end(text)
  })
  server.on('upgrade', (request, socket, head) => {
    socket.on('error', () => {})
    const status = refusal(request) ?? (sockets.clients.size < CLIENTS_MAX ? undefined : 503)
    if (status !== undefined)
      socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nconnection: close\r\n\r\n`)
    else sockets.handleUpgrade(request, socket, head, (client) => welcome(client))
  })
  const welcome = (client: WebSocket): void => {
    const dropped = (why: string): void => {
      client.terminate()
      tell(`inspect: a client was dropped: ${why}`)
    }
    const send = (event: Sent): void => {
      if (client.readyState !== WebSocket.OPEN) return
      if (client.bufferedAmount > unreadBytesMax) throw new Error('it does not read what it is shown')
      client.send(JSON.stringify(event), () => {})
    }
    // What it says, and how it goes, is its own affair.
    client.on('error', () => {})
    try {
      client.once('close', runtime.inspect(teller(send), dropped))
    } catch (error) {
      dropped(wordsOf(error))
    }
  }

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, HOST, () => {
      server.off('error', reject)
      server.on('error', (error) => tell(`inspect: ${error.message}`))
      resolve()
    })
  })
  let closed: Promise<void> | undefined
  const close = async (): Promise<void> => {
    for (const client of sockets.clients) client.terminate()
    sockets.close()
    server.closeAllConnections()
    await new Promise<void>((resolve) => server.close(() => resolve()))
  }
  return { url: `http://${origins()[0]}${path}`, close: () => (closed ??= close()) }
}
