/** The listener on TCP: where it is, who says so, and what it answers beside the socket. */
import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { tcpArguments, tcpOf } from '../../src/cli/tcp.ts'
import { readHolder } from '../../src/holder.ts'
import { homePaths } from '../../src/home.ts'
import { serveHome } from '../../src/http/server.ts'
import { checkPlace, hostsOf, isLoopback } from '../../src/http/tcp.ts'
import { definePlan } from '../../src/plans/define-plan.ts'
import { createRuntime } from '../../src/runtime.ts'
import { holdOutside } from './outside.ts'
import { ask, folder, gates, hold } from './served.ts'

const API = '/api/v1'

test('a home is served over TCP with the same answers as on its socket, and daemon.json says where', async () => {
  const gate = gates()
  const outside = await holdOutside({ handlers: { wait: gate.handler } })
  const id = await outside.submit(definePlan({ name: 'p', jobs: { a: { call: 'wait' } } }))
  await gate.begun('a')

  for (const path of [
    `${API}/plans/${id}?jobs=true`,
    `${API}/plans`,
    `${API}/plans/${id}/jobs/a`,
    '/version',
  ]) {
    const inside = await ask(outside.served.path, `GET ${path}`)
    const answer = await outside.ask(`GET ${path}`)
    expect(answer.status).toBe(200)
    expect(answer.json).toEqual(inside.json)
    expect(answer.headers['x-tenuto-build']).toBe(inside.headers['x-tenuto-build'])
  }
  const { daemon } = homePaths(outside.home)
  expect(readHolder(daemon)).toMatchObject({ url: `http://127.0.0.1:${outside.port}` })
  await outside.served.close()
  expect(readHolder(daemon)).toMatchObject({ url: null, sock: null })
  await expect(outside.ask('GET /livez')).rejects.toThrow('ECONNREFUSED')
})

test('without TCP there is no url, no token, and no link', async () => {
  const { home, served } = await hold()

  const refused = await ask(served.path, `POST ${API}/links`, { body: {} })

  expect(served.url).toBeNull()
  expect(existsSync(homePaths(home).token)).toBe(false)
  expect(readHolder(homePaths(home).daemon)).toMatchObject({ url: null })
  expect([refused.status, refused.text]).toEqual([409, expect.stringContaining('tenuto up') as string])
})

test('a port that is taken is refused in words, and nothing listens', async () => {
  const taken = createServer()
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void taken.close())
  const { port } = taken.address() as { port: number }
  const home = folder()
  const runtime = await createRuntime({ home })
  onTestFinished(() => runtime.stop())
  const refusal = {
    code: 'PORT_UNUSABLE',
    message: `127.0.0.1:${port} cannot be listened on: another process listens there`,
    hint: expect.stringContaining('--port 0') as string,
  }

  await expect(checkPlace({ host: '127.0.0.1', port })).rejects.toMatchObject(refusal)
  await expect(serveHome(runtime, { host: '127.0.0.1', port })).rejects.toMatchObject(refusal)

  expect(readFileSync(homePaths(home).daemon, 'utf8')).toContain('"sock": null')
})

test('who comes in by nothing gets nothing: only livez and readyz answer, and say no more than that', async () => {
  const { askBare } = await holdOutside()

  const live = await askBare('GET /livez')
  const ready = await askBare('GET /readyz')
  const others = [
    '/version',
    `${API}/state`,
    '/',
    '/metrics',
    '/nowhere',
    `${API}/events`,
    '/livez/',
    '//livez',
  ]

  for (const { status, text, headers } of [live, ready]) {
    expect([status, text]).toEqual([200, 'ok\n'])
    expect(Object.keys(headers).filter((name) => name.startsWith('x-tenuto'))).toEqual([])
  }
  for (const path of others) {
    const { status, headers } = await askBare(`GET ${path}`)
    expect([path, status, headers['www-authenticate']]).toEqual([path, 401, 'Bearer'])
    expect(Object.keys(headers).filter((name) => name.startsWith('x-tenuto'))).toEqual([])
  }
})

test('readyz says when commits cannot be made, and no more', async () => {
  const away = { status: 'unavailable' } as const
  const { served } = await hold({}, (runtime) => ({
    ...runtime,
    storage: () => ({ ...runtime.storage(), ...away }),
  }))

  const { status, text } = await ask(served.path, 'GET /readyz')

  expect([status, text]).toEqual([503, 'not ready\n'])
})

test('every answer forbids to frame, sniff, read across origins or remember it; none has a header of CORS', async () => {
  const { ask: askIn, askBare, raw, host } = await holdOutside()
  const heads = [
    (await askIn('GET /version')).headers,
    (await askBare('GET /livez')).headers,
    (await askBare('GET /version')).headers,
    (await askBare('OPTIONS /api/v1/plans', { headers: { origin: 'http://evil.example' } })).headers,
    (await askIn('GET /nowhere')).headers,
    (await askIn('GET /%zz')).headers,
  ].map((headers) => JSON.stringify(headers))
  heads.push(
    await raw('NONSENSE\r\n\r\n'),
    await raw(`GET / HTTP/1.1\r\nhost: ${host}\r\nbad header\r\n\r\n`),
  )

  for (const head of heads) {
    for (const part of ["frame-ancestors 'none'", 'nosniff', 'no-referrer', 'same-origin', 'no-store'])
      expect(head).toContain(part)
    expect(head).not.toMatch(/access-control|unsafe-inline|x-powered-by/i)
  }
})

test('only places that only this machine can reach need no word; every other spelling does', () => {
  const near = ['127.0.0.1', '127.9.9.9', '::1', 'localhost']
  const far = [
    '0.0.0.0',
    '::',
    '10.0.0.1',
    'example.org',
    '127.1',
    '0x7f.1',
    '127.0.0.1.evil.com',
    'localhost6',
  ]

  expect(near.filter((host) => !isLoopback(host))).toEqual([])
  expect(far.filter(isLoopback)).toEqual([])
  for (const host of far) {
    expect(() => tcpOf({ host })).toThrow('lets other machines reach the API')
    expect(tcpOf({ host, allowRemote: true })).toEqual({ host, port: 7717 })
  }
  expect(tcpOf({})).toEqual({ host: '127.0.0.1', port: 7717 })
})

test('a port or host that is none is wrong usage; what is one is passed on as it was given', () => {
  for (const port of ['', 'x', '-1', '65536', '1e3', '7717 '])
    expect(() => tcpOf({ port })).toThrow('a port is a whole number from 0 to 65535')
  for (const host of ['', 'a b', 'h/x', 'h\n', '[::1]']) expect(() => tcpOf({ host })).toThrow('is no host')
  const given = { port: '0', host: '0.0.0.0', allowRemote: true }
  expect(tcpArguments(given)).toEqual(['--port', '0', '--host', '0.0.0.0', '--allow-remote'])
  expect(tcpArguments({})).toEqual([])
})

test('a server is asked under its own names only, with the port but for that of the web', () => {
  expect([...hostsOf('127.0.0.1', 7717)].toSorted()).toEqual([
    '127.0.0.1:7717',
    '[::1]:7717',
    'localhost:7717',
  ])
  expect(hostsOf('box.example', 7717)).toEqual(new Set(['box.example:7717']))
  expect(hostsOf('127.0.0.1', 80).has('localhost')).toBe(true)
  expect(hostsOf('0.0.0.0', 7717).has('localhost:7717')).toBe(true)
})
