/** What one client may cost: each bound of the API over TCP, met from outside. */
import { connect } from 'node:net'
import type { Readable } from 'node:stream'
import { expect, onTestFinished, test } from 'vitest'
import {
  BODY_BYTES_MAX,
  HEADER_BYTES_MAX,
  HEARTBEAT_MS,
  PLAN_BYTES_MAX,
  SESSION_STREAMS_MAX,
  STREAMS_MAX,
  TCP_LIMITS,
} from '../../src/http/limits.ts'
import { streams } from '../../src/http/streams.ts'
import { definePlan } from '../../src/plans/define-plan.ts'
import { virtualClock } from '../../src/testing.ts'
import { holdOutside, type Outside, statusOf } from './outside.ts'
import { ask } from './served.ts'

const API = '/api/v1'
/** Both ends are this process: who means well must not be late because it was not given its turn for a moment. */
const LIMIT_MS = 1_500
/** Requests that never become whole, one of them letter by letter. */
const unfinished = async ({ dial }: Outside, beginnings: readonly string[]) => {
  const slow = await Promise.all(
    beginnings.map(async (sent) => {
      const each = await dial()
      each.socket.write(sent)
      return each
    }),
  )
  const dripping = setInterval(() => slow.at(-1)?.socket.write('X: y\r\n'), 50)
  onTestFinished(() => clearInterval(dripping))
  return async () => Promise.all(slow.map(async ({ closed }) => statusOf(await closed)))
}

test('who sends headers letter by letter, half of them, or nothing is hung up on; others are answered meanwhile', async () => {
  const outside = await holdOutside({}, { limits: { ...TCP_LIMITS, headersMs: LIMIT_MS } })
  const head = `GET /version HTTP/1.1\r\nHost: ${outside.host}\r\n`
  const closed = await unfinished(outside, ['', 'G', head, head])

  const answered = await Promise.all(Array.from({ length: 20 }, () => outside.ask('GET /version')))

  expect(answered.map(({ status }) => status)).toEqual(answered.map(() => 200))
  for (const status of await closed()) expect([0, 408]).toContain(status)
  expect((await outside.ask('GET /version')).status).toBe(200)
})

test('who never ends a body is hung up on as well', async () => {
  const outside = await holdOutside(
    {},
    { limits: { ...TCP_LIMITS, headersMs: LIMIT_MS, requestMs: LIMIT_MS } },
  )
  const { host, token } = outside
  const head = `POST ${API}/sweep HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\n`

  const closed = await unfinished(outside, [
    `${head}Content-Length: 10\r\n\r\n{`,
    `${head}Content-Length: 100000\r\n\r\n{`,
  ])

  for (const status of await closed()) expect([0, 408]).toContain(status)
  expect((await outside.ask('GET /version')).status).toBe(200)
})

test('a connection on which nothing moves is closed, also that of a stream nobody reads', async () => {
  const { host, token, dial } = await holdOutside({}, { limits: { ...TCP_LIMITS, idleMs: LIMIT_MS } })
  const stream = await dial()

  stream.socket.write(`GET ${API}/events HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${token}\r\n\r\n`)

  expect(statusOf(await stream.closed)).toBe(200)
})

test('headers that are too many and bodies that are too big are refused, with the limit, and nothing is read on', async () => {
  const { raw, host, token, ask: askIn, runtime } = await holdOutside()
  const head = `Host: ${host}\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\n`

  const long = await raw(`GET /version HTTP/1.1\r\n${head}X: ${'x'.repeat(HEADER_BYTES_MAX)}\r\n\r\n`)
  const many = await raw(`GET /version HTTP/1.1\r\n${head}${'X: y\r\n'.repeat(20_000)}\r\n`)
  const huge = await raw(
    `POST ${API}/plans HTTP/1.1\r\n${head}Content-Length: 1000000000\r\nConnection: close\r\n\r\n{`,
  )
  const big = await askIn(`POST ${API}/plans`, { raw: Buffer.alloc(BODY_BYTES_MAX + 1, ' ') })
  const chunk = `${(1_000_000).toString(16)}\r\n${' '.repeat(1_000_000)}\r\n`
  const chunked = await raw(
    `POST ${API}/plans HTTP/1.1\r\n${head}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n${chunk.repeat(6)}0\r\n\r\n`,
  )

  expect([long, many].map(statusOf)).toEqual([431, 431])
  expect([huge, chunked].map(statusOf)).toEqual([413, 413])
  expect([big.status, big.text]).toEqual([413, expect.stringContaining(String(BODY_BYTES_MAX)) as string])
  expect(await runtime.catalog.plans({ limit: 10 })).toEqual([])
})

test('who is refused and goes on sending has the answer, and is hung up on all the same', async () => {
  const { host, token, port, ask: askIn } = await holdOutside()
  const head = `Host: ${host}\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\n`
  const beginning = `POST ${API}/plans HTTP/1.1\r\n${head}Content-Length: 1000000000\r\n\r\n`

  const closed = [Buffer.from(' '), Buffer.alloc(4_000_000, ' ')].map(async (piece) => {
    // It goes on although the other side has ended.
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    let said = ''
    socket.on('data', (bytes: Buffer) => {
      said += bytes.toString('latin1')
    })
    socket.on('error', () => {})
    socket.write(beginning)
    const sending = setInterval(() => socket.write(piece), 10)
    await new Promise((resolve) => socket.once('close', resolve))
    clearInterval(sending)
    return said
  })

  expect((await Promise.all(closed)).map(statusOf)).toEqual([413, 413])
  expect((await askIn('GET /version')).status).toBe(200)
})

test('a plan of many jobs is taken on the socket, where files are submitted; over TCP it is too big', async () => {
  const { ask: askOutside, served, runtime, home } = await holdOutside()
  const gate = { approve: { prompt: 'x'.repeat(10_000) } }
  const jobs = Object.fromEntries(
    Array.from({ length: BODY_BYTES_MAX / 10_000 }, (_, at) => [`g${at}`, gate]),
  )
  const body = { plan: definePlan({ name: 'wide', jobs }), base: home }

  const outside = await askOutside(`POST ${API}/plans`, { body })
  expect([outside.status, outside.text]).toEqual([413, expect.stringContaining('BODY_TOO_BIG') as string])
  expect(await runtime.catalog.plans({ limit: 10 })).toEqual([])

  expect((await ask(served.path, `POST ${API}/plans`, { body })).status).toBe(201)
  const sweep = await ask(served.path, `POST ${API}/sweep`, { raw: Buffer.alloc(BODY_BYTES_MAX + 1, ' ') })
  expect([sweep.status, sweep.text]).toEqual([413, expect.stringContaining(String(BODY_BYTES_MAX)) as string])
})

test('who sends more than any plan has is refused on the socket, too, unread', async () => {
  const { dialSocket } = await holdOutside()
  const { socket, closed } = await dialSocket()
  const head = `POST ${API}/plans HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nConnection: close\r\n`
  socket.write(`${head}Content-Length: ${PLAN_BYTES_MAX + 1}\r\n\r\n{`)

  const said = await closed
  expect([statusOf(said), said]).toEqual([413, expect.stringContaining(String(PLAN_BYTES_MAX)) as string])
})

test('a body that is deep, or would change what objects are, is refused or inert', async () => {
  const { ask: askIn, runtime } = await holdOutside()
  const deep = `{"base":"/tmp","plan":${'['.repeat(1_000_000)}${']'.repeat(1_000_000)}}`
  const polluted = [
    '{"base":"/tmp","plan":{},"__proto__":{"by":"x"}}',
    '{"base":"/tmp","constructor":{"prototype":{"by":"x"}}}',
    '{"base":"/tmp","plan":{"__proto__":{"jobs":{}}}}',
  ]

  for (const raw of [deep, ...polluted]) {
    const { status } = await askIn(`POST ${API}/plans`, { raw })
    expect([400, 422]).toContain(status)
  }

  expect(({} as Record<string, unknown>)['by']).toBeUndefined()
  expect(await runtime.catalog.plans({ limit: 10 })).toEqual([])
})

test('one connection too many is turned away, and room that was made is given', async () => {
  const { dial, ask: askIn } = await holdOutside({}, { limits: { ...TCP_LIMITS, connectionsMax: 3 } })
  const all = await Promise.all([dial(), dial(), dial()])

  await expect(askIn('GET /version')).rejects.toThrow()
  all[0]?.socket.destroy()

  await expect.poll(async () => (await askIn('GET /version').catch(() => undefined))?.status).toBe(200)
})

test('a session has so many streams and no more; another session has its own, and a stream that ends makes room', async () => {
  const { letIn, askBare, dial, host } = await holdOutside()
  const [mine, other] = [await letIn(), await letIn()]
  const follow = async (cookie: string) => {
    const each = await dial()
    each.socket.write(`GET ${API}/events HTTP/1.1\r\nHost: ${host}\r\nCookie: ${cookie}\r\n\r\n`)
    await expect.poll(each.said).toContain('\r\n\r\n')
    return each
  }
  const open = await Promise.all(Array.from({ length: SESSION_STREAMS_MAX }, () => follow(mine)))
  expect(open.map(({ said }) => statusOf(said()))).toEqual(open.map(() => 200))

  const refused = await askBare(`GET ${API}/events`, { headers: { cookie: mine } })
  expect([refused.status, refused.text]).toEqual([429, expect.stringContaining('64 streams') as string])
  expect(refused.headers['retry-after']).toBe(String(HEARTBEAT_MS / 1_000))
  expect(statusOf((await follow(other)).said())).toBe(200)

  open[0]?.socket.destroy()
  await expect.poll(async () => statusOf((await follow(mine)).said())).toBe(200)
})

test('of all streams together there are so many and no more', () => {
  const streaming = streams()
  const { closes, reply } = replies()
  for (let count = 0; count < STREAMS_MAX; count += 1) streaming.send(reply(), quiet)

  expect(() => streaming.send(reply(), quiet)).toThrow(`${STREAMS_MAX} streams are open`)
  closes[0]?.()
  streaming.send(reply(), quiet)

  streaming.close()
})

test('a stream on which nothing happens says every minute that it is there, until its last piece', async () => {
  const clock = virtualClock()
  const streaming = streams(clock)
  const more = Promise.withResolvers<void>()
  const { reply, sent } = replies()
  streaming.send(reply(), async function* () {
    yield 'first'
    await more.promise
    yield 'last'
  })
  const [text] = sent
  const pieces: string[] = []
  text?.on('data', (piece: Buffer) => pieces.push(piece.toString()))
  const ended = new Promise((resolve) => text?.once('close', resolve))

  await clock.advance(2 * HEARTBEAT_MS)
  more.resolve()
  await ended
  await clock.advance(2 * HEARTBEAT_MS)

  expect(pieces).toEqual(['first', ':\n\n', ':\n\n', 'last'])
  expect(clock.pending()).toBe(0)
})

async function* quiet(): AsyncGenerator<string> {
  yield ':\n\n'
}

/** Replies that nobody reads. */
const replies = () => {
  const closes: (() => void)[] = []
  const sent: Readable[] = []
  const reply = () => {
    const made = {
      request: { who: { by: 'me', way: 'socket' } },
      raw: {
        once: (_: string, closed: () => void) => void closes.push(closed),
        on: () => {},
        writableNeedDrain: false,
      },
      type: () => made,
      header: () => made,
      send: (text: Readable) => {
        sent.push(text)
        return made
      },
    }
    return made as unknown as Parameters<ReturnType<typeof streams>['send']>[0]
  }
  return { closes, reply, sent }
}
