/**
 * What is refused before there is a request that a route could be looked for: bytes that are none of HTTP, headers without an end, a
 * client that is too slow. Node would answer such without a body, or by hanging up; here they are answered as everything is.
 */
import { type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { TenutoError } from '../errors.ts'
import { SECURITY_HEADERS } from './entrance.ts'
import { envelope } from './envelope.ts'
import { HEADER_BYTES_MAX } from './limits.ts'
import { isParting, part, partFrom } from './parting.ts'

/** What both listeners tell Node. That a request names its server is looked at here, where the refusal has words. */
export const HTTP_OPTIONS = { maxHeaderSize: HEADER_BYTES_MAX, requireHostHeader: false } as const

/** Answers, from now on, what a server would refuse without a word. Each refusal has a name of its own, as every request has. */
export const refuseInWords = (server: Server, nextName: () => string): void => {
  const answerBare = (socket: Duplex, error: TenutoError): void => {
    if (socket.writable) part(socket, bareAnswer(error, nextName()))
    else socket.destroy()
  }
  const open = new WeakMap<Duplex, Set<Asked>>()
  // Before the handler, which may answer at once.
  server.prependListener('request', (request: IncomingMessage, answer: ServerResponse) => {
    const asked: Asked = { request, answer }
    const all = open.get(request.socket) ?? new Set()
    open.set(request.socket, all.add(asked))
    answer.once('close', () => all.delete(asked))
  })
  partFrom(server, (socket) => [...(open.get(socket) ?? [])].some(({ request }) => !request.complete))
  server.on('clientError', ({ code }: Readonly<{ code?: string }>, socket: Duplex) => {
    if (isParting(socket)) {
      // What is no request any more is dropped as all else, up to its end.
      if (ENDS.has(code)) socket.destroy()
      return
    }
    const refuse = (): void => {
      const before = [...(open.get(socket) ?? [])]
      // In the middle of an answer another would be taken for a part of it.
      if (code === 'ECONNRESET' || before.some(({ answer }) => answer.headersSent))
        return void socket.destroy()
      // A client takes answers in the order of its requests, so those that are whole have theirs first.
      const whole = before.find(({ request }) => request.complete)
      if (whole === undefined) answerBare(socket, unreadable(code))
      else whole.answer.once('close', refuse)
    }
    refuse()
  })
  // As any other request, which is refused for that once it has come in.
  server.on('checkExpectation', (request: IncomingMessage, answer: ServerResponse) =>
    server.emit('request', request, answer),
  )
  server.on('connect', (_: IncomingMessage, socket: Duplex) =>
    answerBare(socket, new TenutoError('USAGE', { what: 'CONNECT asks for a tunnel; there is none here' })),
  )
}

/**
 * Why what a request expects cannot be met; undefined where it expects nothing, or to be told to go on, which it then was. One of HTTP
 * 1.0 cannot expect anything.
 */
export const unmetExpectation = ({
  headers: { expect },
  httpVersion,
}: IncomingMessage): TenutoError | undefined =>
  expect === undefined || httpVersion !== '1.1' || CONTINUE.test(expect)
    ? undefined
    : new TenutoError('EXPECTATION_UNMET', { expected: expect.slice(0, SHOWN_CHARACTERS) })

/** How a connection is told to be over. */
const ENDS: ReadonlySet<string | undefined> = new Set(['ECONNRESET', 'HPE_INVALID_EOF_STATE'])

/** Why a request is refused whose version Node reads and answers as 1.1; undefined where it is that, or 1.0. */
export const unspokenVersion = ({ httpVersion }: IncomingMessage): TenutoError | undefined =>
  httpVersion === '1.1' || httpVersion === '1.0' ? undefined : new TenutoError('USAGE', { what: VERSION })

type Asked = Readonly<{ request: IncomingMessage; answer: ServerResponse }>

/** As Node reads it. */
const CONTINUE = /(?:^|\W)100-continue(?:$|\W)/i
const SHOWN_CHARACTERS = 100

const VERSION = 'the request is of no version of HTTP that is spoken here'
const LENGTH = 'the length of the body is said in two ways, or in none that is known'
const CHUNKS = 'the body is no row of chunks'
/** In words what Node's parser calls by names of its own. */
const NONSENSE: Readonly<Record<string, string>> = {
  HPE_INVALID_METHOD: 'the request begins with no method of HTTP',
  HPE_INVALID_VERSION: VERSION,
  HPE_PAUSED_H2_UPGRADE: VERSION,
  HPE_INVALID_URL: 'the path of the request has a character that must be percent-encoded',
  HPE_INVALID_HEADER_TOKEN: 'a header of the request has a character that none may have',
  HPE_UNEXPECTED_CONTENT_LENGTH: LENGTH,
  HPE_INVALID_CONTENT_LENGTH: LENGTH,
  HPE_INVALID_TRANSFER_ENCODING: LENGTH,
  HPE_INVALID_CHUNK_SIZE: CHUNKS,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: CHUNKS,
  HPE_INVALID_EOF_STATE: 'the request ends in its middle',
}

const unreadable = (code = ''): TenutoError => {
  if (code === 'HPE_HEADER_OVERFLOW') return new TenutoError('HEADERS_TOO_BIG', { limit: HEADER_BYTES_MAX })
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return new TenutoError('TOO_SLOW')
  return new TenutoError('USAGE', { what: NONSENSE[code] ?? 'that is no request of HTTP' })
}

/** An answer to what is no request, as bytes. */
const bareAnswer = (error: TenutoError, name: string): string => {
  const body = JSON.stringify(envelope(error, name))
  const headers = Object.entries({
    ...SECURITY_HEADERS,
    connection: 'close',
    'content-type': 'application/json; charset=utf-8',
    'content-length': String(Buffer.byteLength(body)),
  })
  const head = headers.map(([header, value]) => `${header}: ${value}\r\n`).join('')
  return `HTTP/1.1 ${error.http} ${STATUS_CODES[error.http]}\r\n${head}\r\n${body}`
}
