/**
 * What Node's own parser refuses is answered as everything is, over TCP and on the socket.
 *
 * Mutations that were planted once, and each found: Fastify's own answers on the socket; requests without a Host left to Node; an
 * expectation left to Node; a refusal written into a stream that is under way, or before the answer to what was asked first.
 */
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { expect, test } from 'vitest'
import { HEADER_BYTES_MAX, TCP_LIMITS } from '../../src/http/limits.ts'
import { type Judge, judge } from './document.ts'
import { holdOutside, raw, statusOf } from './outside.ts'

const API = '/api/v1'

/** The code of an answer that came as bytes, if it is an envelope with which the connection ends; in words what is wrong if not. */
const refusalIn = (judged: Judge, said: string): string => {
  const [head = '', ...rest] = said.split('\r\n\r\n')
  const body = rest.join('\r\n\r\n')
  if (!/^connection: close$/im.test(head)) return `the connection goes on: ${head}`
  if (!/^content-type: application\/json; charset=utf-8$/im.test(head)) return `it is no JSON: ${said}`
  const json = JSON.parse(body) as {
    error: Readonly<Record<'code' | 'message' | 'hint' | 'request_id', string>>
  }
  const wrong = judged.wrongWith(judged.document.components.schemas['Error'] ?? {}, json)
  if (wrong !== undefined) return `${wrong}: ${body}`
  // Nothing of Node's, nor of the place where it runs.
  if (/HPE_|ERR_|Parse Error|FST_|node:|\.ts|\//.test(json.error.message)) return `it tells too much: ${body}`
  if (!/^req-[a-z0-9]{6}-[a-z0-9]+$/.test(json.error.request_id)) return `it has no name: ${body}`
  return `${statusOf(said)} ${json.error.code}`
}

const judged = await judge()

test('whatever is no request is refused in the envelope, and hung up on', async () => {
  const { host, token, port, served, ask, dial, dialSocket } = await holdOutside()
  const own = [`Host: ${host}`, `Authorization: Bearer ${token}`]
  const json = [...own, 'Content-Type: application/json']
  const get = 'GET /version HTTP/1.1'
  const post = `POST ${API}/sweep HTTP/1.1`
  const [, ...hostless] = own
  const rows: readonly (readonly [string, readonly string[], string, string?])[] = [
    ['no Host', [get, ...hostless], '400 USAGE'],
    ['an empty Host', [get, 'Host:', ...hostless], '400 USAGE'],
    ['a Host of spaces', [get, 'Host:   ', ...hostless], '400 USAGE'],
    ['two of them', [get, `Host: ${host}`, ...own], '400 USAGE'],
    ['an expectation', [post, ...json, 'Expect: foo', 'Content-Length: 2'], '417 EXPECTATION_UNMET', '{}'],
    ['one of nothing', [post, ...json, 'Expect:', 'Content-Length: 2'], '417 EXPECTATION_UNMET', '{}'],
    ['long headers', [get, ...own, `X: ${'x'.repeat(HEADER_BYTES_MAX)}`], '431 HEADERS_TOO_BIG'],
    ['a long path', [`GET /${'x'.repeat(2 * HEADER_BYTES_MAX)} HTTP/1.1`, ...own], '431 HEADERS_TOO_BIG'],
    ['no method', ['FOO /version HTTP/1.1', ...own], '400 USAGE'],
    ['a method in small letters', ['get /version HTTP/1.1', ...own], '400 USAGE'],
    ['no path', ['GET', ...own], '400 USAGE'],
    ['a space in a path', ['GET /a b HTTP/1.1', ...own], '400 USAGE'],
    ['what no path may have', ['GET /\xff HTTP/1.1', ...own], '400 USAGE'],
    ['no version of HTTP', ['GET /version HTTP/9.9', ...own], '400 USAGE'],
    ['one that is not spoken here', ['GET /version HTTP/2.0', ...own], '400 USAGE'],
    ['the beginning of that', ['PRI * HTTP/2.0', '', 'SM', ''], '400 USAGE'],
    ['an old one', ['GET /version HTTP/0.9', ...own], '400 USAGE'],
    [
      'one that is not spoken, with a body',
      [`POST ${API}/sweep HTTP/2.0`, ...json, 'Content-Length: 2'],
      '400 USAGE',
      '{}',
    ],
    ['a tunnel', [`CONNECT ${host} HTTP/1.1`, ...own], '400 USAGE'],
    ['a header with a space in its name', [get, ...own, 'X y: z'], '400 USAGE'],
    ['a header of NUL', [get, ...own, 'X: \0'], '400 USAGE'],
    ['two lengths', [post, ...json, 'Content-Length: 2', 'Content-Length: 2'], '400 USAGE', '{}'],
    ['a length that is none', [post, ...json, 'Content-Length: 0x2'], '400 USAGE', '{}'],
    [
      'a length and chunks',
      [post, ...json, 'Content-Length: 2', 'Transfer-Encoding: chunked'],
      '400 USAGE',
      '{}',
    ],
    ['an encoding nobody knows', [post, ...json, 'Transfer-Encoding: gzip'], '400 USAGE', '{}'],
    ['chunks that are none', [post, ...json, 'Transfer-Encoding: chunked'], '400 USAGE', 'zz\r\n{}'],
    [
      'chunks that say too much',
      [post, ...json, 'Transfer-Encoding: chunked'],
      '400 USAGE',
      `1;${'x'.repeat(2 * HEADER_BYTES_MAX)}\r\n`,
    ],
    ['noise', ['\x16\x03\x01\x02\0'], '400 USAGE'],
  ]

  for (const [what, lines, code, body = ''] of rows)
    for (const at of [port, served.path]) {
      const said = await raw(at, [...lines, '', body].join('\r\n'))
      expect([what, at, refusalIn(judged, said)]).toEqual([what, at, code])
    }

  for (const dialled of [await dial(), await dialSocket()]) {
    dialled.socket.end(`${get}\r\nHost: `)
    expect(refusalIn(judged, await dialled.closed)).toBe('400 USAGE')
  }
  expect((await ask('GET /version')).status).toBe(200)
})

test('who is too slow is told so in the envelope', async () => {
  const { dial, host } = await holdOutside({}, { limits: { ...TCP_LIMITS, headersMs: 200, requestMs: 400 } })
  const slow = await dial()

  slow.socket.write(`GET /version HTTP/1.1\r\nHost: ${host}\r\n`)

  expect(refusalIn(judged, await slow.closed)).toBe('408 TOO_SLOW')
})

test('who expects to be told to go on is; what another site expects is refused for that', async () => {
  const { host, token, port } = await holdOutside()
  const sweep = (name: string, expected: string) =>
    raw(
      port,
      [
        `POST ${API}/sweep HTTP/1.1`,
        `Host: ${name}`,
        `Authorization: Bearer ${token}`,
        'Content-Type: application/json',
        `Expect: ${expected}`,
        'Content-Length: 2',
        'Connection: close',
        '',
        '{}',
      ].join('\r\n'),
    )

  expect(await sweep(host, '100-continue')).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 /)
  expect(refusalIn(judged, await sweep('evil.com', 'foo'))).toBe('403 NOT_ALLOWED')
})

/** Writes all of it before a byte is read, as many clients do, and then reads to the end. */
const writeFirst = async (socket: Socket, parts: readonly (string | Buffer)[]): Promise<void> => {
  socket.pause()
  for (const part of parts)
    await new Promise<void>((resolve, reject) =>
      socket.write(part, (error) => (error ? reject(error) : resolve())),
    )
  socket.resume()
  await once(socket, 'close')
}

test('who writes to the end before reading has the answer of a refusal that came before it', async () => {
  const { host, token, dial, dialSocket, runtime } = await holdOutside()
  const own = `Host: ${host}\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\n`
  const megabyte = Buffer.alloc(1_000_000, 'x')
  const chunk = Buffer.concat([Buffer.from('f4240\r\n'), megabyte, Buffer.from('\r\n')])
  const whole = Array.from({ length: 24 }, () => megabyte)
  const long = `Content-Length: ${24 * megabyte.length}\r\n\r\n`
  const order = `POST ${API}/daemon/pause HTTP/1.1\r\n${own}Content-Length: 2\r\n\r\n{}`
  const rows: readonly (readonly [string, string, readonly (string | Buffer)[]])[] = [
    ['a length', '413 BODY_TOO_BIG', [`POST ${API}/sweep HTTP/1.1\r\n${own}${long}`, ...whole, order]],
    [
      'chunks',
      '413 BODY_TOO_BIG',
      [
        `POST ${API}/sweep HTTP/1.1\r\n${own}Transfer-Encoding: chunked\r\n\r\n`,
        ...Array.from({ length: 24 }, () => chunk),
        `0\r\n\r\n${order}`,
      ],
    ],
    [
      'no token',
      '401 UNAUTHENTICATED',
      [`POST ${API}/sweep HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\n${long}`, ...whole],
    ],
    ['long headers', '431 HEADERS_TOO_BIG', [`GET /version HTTP/1.1\r\n${own}X: `, ...whole]],
  ]

  for (const [what, code, parts] of rows)
    for (const dialled of [await dial(), ...(what === 'no token' ? [] : [await dialSocket()])]) {
      await writeFirst(dialled.socket, parts)
      expect([what, refusalIn(judged, dialled.said())]).toEqual([what, code])
    }
  expect(runtime.mode().mode).toBe('running')
})

test('on the socket one of HTTP 1.0 need name nobody', async () => {
  const { served } = await holdOutside()

  expect(statusOf(await raw(served.path, 'GET /version HTTP/1.0\r\n\r\n'))).toBe(200)
})

test('what is asked before nonsense has its own answer first; a stream under way ends with it', async () => {
  const { host, token, port, dial } = await holdOutside()
  const head = `Host: ${host}\r\nAuthorization: Bearer ${token}\r\n`

  const both = await raw(port, `GET ${API}/state HTTP/1.1\r\n${head}\r\nnonsense\r\n\r\n`)
  expect(both.split(/(?=HTTP\/1\.1 \d)/).map(statusOf)).toEqual([200, 400])

  const stream = await dial()
  stream.socket.write(`GET ${API}/events HTTP/1.1\r\n${head}\r\n`)
  await expect.poll(stream.said).toContain(':\n\n')
  stream.socket.write('nonsense\r\n\r\n')
  expect((await stream.closed).split('HTTP/1.1 ')).toHaveLength(2)
})
