/**
 * The gate over TCP: what comes from elsewhere stays outside, whatever it brings.
 *
 * Mutations that were planted once, and each found: hosts compared by their beginning; `null` taken for our origin; only the first
 * Host looked at; a token in the query let through.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { refusalOf } from '../../src/http/gate.ts'
import { definePlan } from '../../src/plans/define-plan.ts'
import { holdOutside, type Outside, statusOf } from './outside.ts'

const API = '/api/v1'
const HOSTS = new Set(['127.0.0.1:7717', 'localhost:7717', '[::1]:7717'])

const names = (port: number): readonly string[] => [
  'evil.com',
  `evil.com:${port}`,
  '127.0.0.1.evil.com',
  `localhost.evil.com:${port}`,
  `127.0.0.1:${port}.evil.com`,
  '127.0.0.1',
  'localhost',
  `127.0.0.1:${port + 1}`,
  `127.1:${port}`,
  `0177.0.0.1:${port}`,
  `0x7f.1:${port}`,
  `2130706433:${port}`,
  `[::ffff:127.0.0.1]:${port}`,
  `[0:0:0:0:0:0:0:1]:${port}`,
  `localhost6:${port}`,
  `LOCALHOST:${port}`,
  `localhost.:${port}`,
  `0.0.0.0:${port}`,
  `user@127.0.0.1:${port}`,
  `127.0.0.1:0${port}`,
  `127.0.0.1:${port}, evil.com`,
  `127.0.0.1:${port}/`,
  `\xff127.0.0.1:${port}`,
  `lоcalhost:${port}`,
]

/** Asks with the token, so that nothing but the header in question refuses. */
const asRaw = ({ raw, token }: Outside, lines: readonly string[], what = 'GET /version'): Promise<string> =>
  raw(
    [`${what} HTTP/1.1`, ...lines, `Authorization: Bearer ${token}`, 'Connection: close', '', ''].join(
      '\r\n',
    ),
  )

test('a name that was pointed at this machine is refused, also with the token', async () => {
  const outside = await holdOutside()
  const { port, host } = outside
  expect(statusOf(await asRaw(outside, [`Host: ${host}`]))).toBe(200)
  expect(statusOf(await asRaw(outside, [`Host: localhost:${port}`]))).toBe(200)

  for (const name of names(port))
    expect([name, statusOf(await asRaw(outside, [`Host: ${name}`]))]).toEqual([name, 403])
  const wrong: readonly (readonly string[])[] = [
    [],
    ['Host:'],
    [`Host: ${host}`, 'Host: evil.com'],
    ['Host: evil.com', `Host: ${host}`],
    [`Host: ${host}`, `Host: ${host}`],
    [`Host: ${'a'.repeat(100_000)}`],
    [`Host: ${host}\0`],
    [`Host: ${host}\rX: y`],
    [`Host: ${host}\n evil.com`],
    [`Host : ${host}`],
    [` Host: ${host}`],
  ]
  for (const lines of wrong) {
    const status = statusOf(await asRaw(outside, lines))
    expect(lines.join().slice(0, 60) + String(status)).toMatch(/4\d\d$/)
  }
  expect(statusOf(await outside.raw(`GET /livez HTTP/1.0\r\n\r\n`))).toBe(400)
  expect(statusOf(await asRaw(outside, ['Host: evil.com'], `GET http://${host}/version`))).toBe(403)
  expect(statusOf(await asRaw(outside, [`Host: ${host}`], 'GET http://evil.com/version'))).toBe(400)

  expect((await outside.ask('GET /version')).status).toBe(200)
})

test('a page of another site cannot post, whatever it brings, and nothing is stored', async () => {
  const { askBare, bearer, port, letIn, runtime, submit } = await holdOutside()
  const id = await submit(definePlan({ name: 'p', jobs: { a: { approve: { prompt: 'ok?' } } } }))
  await runtime.idle()
  const before = await runtime.catalog.events({ after: 0, limit: 100 })
  const cookie = await letIn()
  const own = `http://127.0.0.1:${port}`
  const foreign = [
    'http://evil.com',
    'null',
    `https://127.0.0.1:${port}`,
    `${own}.evil.com`,
    `${own}/`,
    own.toUpperCase(),
  ]
  const post = async (headers: Readonly<Record<string, string>>) => {
    const { status } = await askBare(`POST ${API}/plans/${id}/cancel`, { headers, raw: '{}' })
    return [headers, status]
  }

  for (const who of [bearer, { cookie }, {}]) {
    for (const origin of [...foreign, `http://localhost:${port}`, ''])
      expect(await post({ ...who, origin })).toEqual([{ ...who, origin }, 403])
    for (const site of ['cross-site', 'same-site', 'SAME-ORIGIN', '']) {
      const headers = { ...who, origin: own, 'sec-fetch-site': site }
      expect(await post(headers)).toEqual([headers, 403])
    }
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      'application/jsonp',
      'text/json',
      'application/json, text/plain',
      '',
    ]) {
      const headers = { ...who, origin: own, 'content-type': type }
      expect(await post(headers)).toEqual([headers, 400])
    }
  }
  expect(await post({ cookie })).toEqual([{ cookie }, 403])
  expect(await runtime.catalog.events({ after: 0, limit: 100 })).toEqual(before)

  const mine = { cookie, origin: own, 'sec-fetch-site': 'same-origin' }
  expect(await post(mine)).toEqual([mine, 202])
})

test('a token in a URL lets nobody in, however it is written, and no file of the home has it but its own', async () => {
  const { ask, token, home, client } = await holdOutside()
  const escaped = Buffer.from(token).toString('hex').replaceAll(/../g, '%$&')
  const urls = [
    `/version?token=${token}`,
    `/version?access_token=x`,
    `/version?a=b&Token=x`,
    `/version?%74oken=x`,
    `/version?anything=${token}`,
    `/${token}`,
    `/open/${token}`,
    `/version?q=${escaped}`,
    `${API}/plans/${token}/cancel`,
  ]

  for (const url of urls) {
    expect([url, (await ask(`GET ${url}`)).status]).toEqual([url, 401])
    const { status, text } = await ask(`POST ${url}`, { body: {} })
    expect([url, status, text.includes(token)]).toEqual([url, 401, false])
  }

  await client.sweep()
  const files = readdirSync(home).filter(
    (name) => statSync(join(home, name)).isFile() && !name.startsWith('lock'),
  )
  expect(files.filter((name) => readFileSync(join(home, name), 'latin1').includes(token))).toEqual(['token'])
  expect(files).toContain('daemon.log')
})

test('what could be two requests to one and one to another is none', async () => {
  const outside = await holdOutside()
  const { host, token, raw } = outside
  const second = `GET /livez HTTP/1.1\r\nHost: ${host}\r\n\r\n`
  const head = [
    `POST ${API}/sweep HTTP/1.1`,
    `Host: ${host}`,
    `Authorization: Bearer ${token}`,
    'Content-Type: application/json',
  ]
  const smuggled: readonly (readonly string[])[] = [
    ['Content-Length: 2', 'Transfer-Encoding: chunked'],
    ['Transfer-Encoding: chunked', 'Content-Length: 2'],
    ['Content-Length: 2', 'Content-Length: 5'],
    ['Content-Length: +2'],
    ['Content-Length: 2,5'],
    ['Content-Length: 0x2'],
    ['Transfer-Encoding: xchunked', 'Content-Length: 2'],
    ['Transfer-Encoding : chunked'],
    ['Transfer-Encoding: chunked', 'Transfer-Encoding: identity'],
    ['X: a\rContent-Length: 2'],
    ['X: a\n\tContent-Length: 2'],
    ['X\0: a'],
  ]

  for (const lines of smuggled) {
    const said = await raw([...head, ...lines, '', `0\r\n\r\n${second}`].join('\r\n'))
    expect([lines, statusOf(said), said.split('HTTP/1.1 ').length - 1]).toEqual([lines, 400, 1])
  }
  expect((await outside.ask('GET /version')).status).toBe(200)
})

test('an upgrade, a tunnel and what is no request change nothing and end nobody', async () => {
  const outside = await holdOutside()
  const { host, raw, askBare } = outside

  for (const origin of ['http://evil.com', 'null', undefined, ':::'])
    expect(
      (
        await askBare(`GET ${API}/events`, {
          headers: {
            connection: 'Upgrade',
            upgrade: 'websocket',
            'sec-websocket-version': '13',
            ...(origin === undefined ? {} : { origin }),
          },
        })
      ).status,
    ).toBe(origin === undefined ? 401 : 403)
  expect(statusOf(await raw(`CONNECT ${host} HTTP/1.1\r\nHost: ${host}\r\n\r\n`))).toBe(400)
  for (const nonsense of [
    '\0\0\0\0',
    '\x16\x03\x01\x02\0',
    'GET\r\n\r\n',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  ])
    expect(statusOf(await raw(nonsense))).toBe(400)

  expect((await outside.ask('GET /version')).status).toBe(200)
})

test('the gate throws nothing, and lets in only who names it and comes from nowhere else', () => {
  const seed = Math.floor(Math.random() * 2 ** 31)
  const known = fc.constantFrom(
    'host',
    'Host',
    'origin',
    'Origin',
    'sec-fetch-site',
    'content-type',
    'x',
    '__proto__',
  )
  const value = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom(
      ...HOSTS,
      'http://127.0.0.1:7717',
      'null',
      'same-origin',
      'none',
      'application/json',
      '',
      ':',
    ),
  )
  const headers = fc
    .array(fc.tuple(fc.oneof(known, fc.string({ unit: 'binary' })), value), { maxLength: 8 })
    .map((pairs) => pairs.flat())
  const url = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string().map((text) => `/${text}`),
  )
  const method = fc.oneof(fc.constantFrom('GET', 'HEAD', 'POST', 'OPTIONS', ''), fc.string())

  fc.assert(
    fc.property(method, url, headers, fc.nat(1), (...[asked, path, pairs, cut]) => {
      const rawHeaders = pairs.slice(0, pairs.length - cut)
      const refused = refusalOf({ method: asked, url: path, rawHeaders }, HOSTS)
      if (refused) return [400, 401, 403].includes(refused.http)
      const valuesOf = (name: string) =>
        rawHeaders.flatMap((each, at) =>
          at % 2 === 0 && each.toLowerCase() === name ? rawHeaders.slice(at + 1, at + 2) : [],
        )
      const [host = ''] = valuesOf('host')
      return (
        valuesOf('host').length === 1 &&
        HOSTS.has(host) &&
        valuesOf('origin').every((origin) => origin === `http://${host}`) &&
        valuesOf('sec-fetch-site').every((site) => ['same-origin', 'none'].includes(site)) &&
        path.startsWith('/')
      )
    }),
    { seed, numRuns: 20_000 },
  )
  const all = {
    method: 'POST',
    url: '/',
    rawHeaders: ['HOST', 'localhost:7717', 'Content-Type', 'application/json'],
  }
  expect(refusalOf(all, HOSTS)).toBeUndefined()
})
