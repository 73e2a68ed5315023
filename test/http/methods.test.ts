/**
 * A method that a path has not: what it has instead is said, as the document has it.
 *
 * Mutations that were planted once, and each found: one answer for all that is not there; a path compared with its escapes; the methods
 * of the first route alone that a path fits.
 */
import { request } from 'node:http'
import { expect, test } from 'vitest'
import { PARAM_CHARACTERS_MAX } from '../../src/http/limits.ts'
import { judge } from './document.ts'
import { holdOutside } from './outside.ts'
import { ask } from './served.ts'

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'QUERY', 'PROPFIND']

test('every path that the document has refuses the methods it has not, and names those it has', async () => {
  const { document, wrongWith } = await judge()
  const { port, bearer, served, runtime } = await holdOutside()
  const before = await runtime.catalog.events({ after: 0, limit: 100 })

  for (const [path, operations] of Object.entries(document.paths)) {
    const own = Object.keys(operations).map((method) => method.toUpperCase())
    // What a link lets do is done once, so nobody may look at it beforehand.
    const all = own.includes('GET') && path !== '/open/{link}' ? [...own, 'HEAD'] : own
    for (const method of METHODS.filter((each) => !all.includes(each)))
      for (const at of [port, served.path]) {
        const { status, headers, json } = await ask(at, `${method} ${path.replaceAll(/[{}]/g, '')}`, {
          headers: bearer,
        })
        if (path === '/open/{link}' && at === served.path) {
          expect([method, path, status, headers.allow]).toEqual([method, path, 404, undefined])
          continue
        }
        expect([method, path, status, headers.allow?.split(', ').sort()]).toEqual([
          method,
          path,
          405,
          [...all].sort(),
        ])
        if (method === 'HEAD') continue
        expect(json).toMatchObject({ error: { code: 'METHOD_UNKNOWN', hint: `it has ${headers.allow}` } })
        expect(wrongWith(document.components.schemas['Error'] ?? {}, json)).toBeUndefined()
      }
  }
  expect(await runtime.catalog.events({ after: 0, limit: 100 })).toEqual(before)
})

test('a path is known however it is escaped, also with a body that is no JSON; a method tells nothing to who is not in', async () => {
  const { port, bearer, served } = await holdOutside()
  const put = async (path: string) => {
    const { status, headers } = await ask(served.path, `PUT ${path}`, {
      headers: { 'content-type': 'text/plain' },
      raw: 'x',
    })
    return [status, headers.allow]
  }

  expect(await put('/%76ersion?a=b')).toEqual([405, 'GET, HEAD'])
  expect(await put('/api/v1/plans/a%2Fb')).toEqual([405, 'GET, HEAD'])
  expect(await put('/api/v1/plans')).toEqual([405, 'GET, HEAD, POST'])
  for (const path of ['/api/v1/plans/', '/api/v1/plans//jobs', '/version/x', '/api%2Fv1/plans', '//'])
    expect([path, ...(await put(path))]).toEqual([path, 404, undefined])
  expect((await ask(port, 'PUT /version')).status).toBe(401)
  expect((await ask(port, 'PUT /version', { headers: { ...bearer, host: 'evil.com' } })).status).toBe(403)
})

test('what is empty, no UTF-8 or too large is named, in words of ours', async () => {
  const { served } = await holdOutside()
  const said = async (what: string, headers = {}) => {
    const { status, json } = await ask(served.path, what, { headers })
    const { code, message } = (json as { error: { code: string; message: string } }).error
    return [status, code, message]
  }

  expect(await said('GET /api/v1/plans/?jobs=true')).toEqual([
    404,
    'REF_NOT_FOUND',
    'nothing here is called "": the plan in the path is empty',
  ])
  expect(await said('POST /api/v1/plans/p/jobs//retry')).toEqual([
    404,
    'REF_NOT_FOUND',
    'nothing here is called "": the job in the path is empty',
  ])
  expect(await said('GET /api/v1/resolve?ref=')).toEqual([
    400,
    'USAGE',
    'the ref is empty; it must name a plan, a job or an attempt',
  ])
  expect(await said('GET /%ff?a=b')).toEqual([400, 'USAGE', 'the path /%ff has an escape that is no UTF-8'])
  for (const length of [PARAM_CHARACTERS_MAX + 1, 10_000]) {
    const words = `the path has a part of ${length} characters; a name in it may have ${PARAM_CHARACTERS_MAX}`
    expect(await said(`GET /api/v1/plans/${'x'.repeat(length)}/jobs`)).toEqual([400, 'USAGE', words])
  }
  const [status, code] = await said(`GET /api/v1/plans/${'x'.repeat(PARAM_CHARACTERS_MAX)}`)
  expect([status, code]).toEqual([404, 'REF_NOT_FOUND'])
  expect(await said('GET /api/v1/events', { 'last-event-id': '9007199254740993' })).toEqual([
    400,
    'USAGE',
    'last-event-id is "9007199254740993"; it must be a whole number from 0 to 9007199254740991',
  ])
})

test('a bare request without a body or a type is told of the method, not of its type', async () => {
  const { port, bearer } = await holdOutside()

  const status = await new Promise((resolve) => {
    const asked = request({ port, method: 'DELETE', path: '/api/v1/plans/x', headers: bearer, agent: false })
    asked.on('response', (answer) => {
      resolve(answer.statusCode)
      answer.resume()
    })
    asked.end()
  })

  expect(status).toBe(405)
})

test('no two requests of a home have the same name, on whichever listener', async () => {
  const { port, bearer, served } = await holdOutside()
  const nameOf = async (at: Parameters<typeof ask>[0]) => {
    const { json } = await ask(at, 'GET /nowhere', { headers: bearer })
    return (json as { error: { request_id: string } }).error.request_id
  }

  const names = [await nameOf(port), await nameOf(port), await nameOf(served.path), await nameOf(served.path)]

  expect(new Set(names).size).toBe(4)
  for (const name of names) expect(name).toMatch(/^req-[a-z2-7]{6}-\w+$/)
})
