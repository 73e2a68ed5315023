/** Sessions of browsers: by a link that works once, until the daemon ends. */
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { LINK_MS, LINKS_MAX, SESSIONS_MAX } from '../../src/http/limits.ts'
import { sessions } from '../../src/http/sessions.ts'
import { virtualClock } from '../../src/testing.ts'
import { holdOutside } from './outside.ts'
import { ask } from './served.ts'

const API = '/api/v1'

test('a link lets one browser in, once; the cookie is of no use to scripts, other sites and other ports', async () => {
  const { client, askBare, port, served } = await holdOutside()
  const { url, expires_at } = await client.link()
  const path = new URL(url).pathname

  const first = await askBare(`GET ${path}`)
  const second = await askBare(`GET ${path}`)
  const [cookie = '', ...attributes] = (first.headers['set-cookie']?.[0] ?? '').split('; ')

  expect([first.status, first.headers.location]).toEqual([303, `${API}/state`])
  expect(attributes).toEqual(['HttpOnly', 'SameSite=Strict', 'Path=/'])
  expect(cookie).toMatch(new RegExp(`^tenuto-${port}=[\\w-]{43}$`))
  expect([second.status, second.headers['set-cookie']]).toEqual([401, undefined])
  expect(Date.parse(expires_at)).toBeGreaterThan(0)
  expect((await askBare(`GET ${API}/state`, { headers: { cookie } })).status).toBe(200)
  expect((await ask(served.path, `GET ${API}/state`)).status).toBe(200)
})

test('a link that is previewed is not used up', async () => {
  const { client, askBare, ask: askIn } = await holdOutside()
  const path = new URL((await client.link()).url).pathname

  expect((await askIn(`HEAD ${path}`)).status).toBe(405)

  expect((await askBare(`GET ${path}`)).status).toBe(303)
})

test('a cookie that was made up, changed, or is of another daemon lets nobody in', async () => {
  const { askBare, letIn, port, bearer } = await holdOutside()
  const other = await holdOutside()
  const cookie = await letIn()
  const [name = '', value = ''] = cookie.split('=')
  const forged = [
    `${name}=`,
    `${name}=${'A'.repeat(43)}`,
    `${name}=${value.slice(0, -1)}`,
    `${name}=${value}x`,
    `${name}="${value}"`,
    `${name.toUpperCase()}=${value}`,
    `tenuto=${value}`,
    `x=${name}=${value}`,
    `tenuto-${port}=${(await other.letIn()).split('=')[1]}`,
    '',
  ]

  for (const each of forged)
    expect([each, (await askBare(`GET ${API}/state`, { headers: { cookie: each } })).status]).toEqual([
      each,
      401,
    ])
  for (const good of [cookie, `a=b; ${cookie}; c`, `${name}=tossed; ${cookie}`])
    expect((await askBare(`GET ${API}/state`, { headers: { cookie: good } })).status).toBe(200)
  const wrong = { cookie, authorization: 'Bearer wrong' }
  expect((await askBare(`GET ${API}/state`, { headers: wrong })).status).toBe(401)
  expect((await askBare(`GET ${API}/state`, { headers: { ...bearer, cookie: `${name}=x` } })).status).toBe(
    200,
  )
})

test('a session ends with its daemon', async () => {
  const first = await holdOutside()
  const cookie = await first.letIn()
  await first.served.close()
  await first.runtime.stop()

  const second = await holdOutside({ home: first.home }, { port: first.port })

  expect((await second.askBare(`GET ${API}/state`, { headers: { cookie } })).status).toBe(401)
  expect(second.token).toBe(first.token)
})

test('a session may not let others in; the token may', async () => {
  const { askBare, letIn, url, ask: askIn } = await holdOutside()
  const headers = { cookie: await letIn(), origin: url }

  const refused = await askBare(`POST ${API}/links`, { headers, body: {} })
  const made = await askIn(`POST ${API}/links`, { body: {} })

  expect([refused.status, refused.text]).toEqual([403, expect.stringContaining('it takes admin') as string])
  expect(made.status).toBe(201)
})

test('a link is good for a minute, and of many the last ones; of many sessions too', async () => {
  const clock = virtualClock()
  const open = sessions(clock)
  const draw = (count: number) => Array.from({ length: count }, () => open.draw().link)
  const [late = '', inTime = ''] = draw(2)

  await clock.advance(LINK_MS)
  expect(open.exchange(inTime)).toBeDefined()
  await clock.advance(1)
  expect(open.exchange(late)).toBeUndefined()

  const links = draw(LINKS_MAX + 1)
  expect(links.map((link) => open.exchange(link) !== undefined)).toEqual(links.map((_, at) => at > 0))
  const cookies = Array.from(
    { length: SESSIONS_MAX + 1 },
    () => open.exchange(open.draw().link)?.cookie ?? '',
  )
  expect(cookies.map((cookie) => open.of(cookie) !== undefined)).toEqual(cookies.map((_, at) => at > 0))
  expect(new Set(cookies.slice(1).map((cookie) => open.of(cookie)?.id)).size).toBe(SESSIONS_MAX)
})

test('a stream ends with the session that asked for it, when a later one takes its place', async () => {
  const { client, askBare, letIn, dial, host } = await holdOutside()
  const first = await letIn()
  const { socket, closed } = await dial()
  socket.write(`GET ${API}/events HTTP/1.1\r\nHost: ${host}\r\nCookie: ${first}\r\n\r\n`)
  await once(socket, 'data')
  const state = async () => (await client.state()).sections.http.data
  expect(await state()).toMatchObject({ streams: 1 })

  for (let more = 0; more < SESSIONS_MAX; more += 1) await letIn()

  await closed
  expect((await askBare(`GET ${API}/state`, { headers: { cookie: first } })).status).toBe(401)
  await expect.poll(async () => (await state())?.streams).toBe(0)
})
