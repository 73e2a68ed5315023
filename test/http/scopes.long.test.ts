/** What routes ask: each says it, or nothing starts. */
import { fastify } from 'fastify'
import { expect, onTestFinished, test, vi } from 'vitest'
import { OPERATIONS } from '../../src/http/operations.ts'
import { declareRoutes } from '../../src/http/routing.ts'
import { askedBy } from '../../src/http/scopes.ts'
import { serveHome } from '../../src/http/server.ts'
import { createRuntime } from '../../src/runtime.ts'
import { holdOutside } from './outside.ts'
import { folder } from './served.ts'

const forgotten = vi.hoisted(() => ({ route: '' }))
vi.mock(import('../../src/http/letters.ts'), async (original) => {
  const { letterRoutes, ...rest } = await original()
  return {
    ...rest,
    letterRoutes: (app, runtime) => {
      letterRoutes(app, runtime)
      if (forgotten.route !== '') app.get(forgotten.route, () => 'everything')
    },
  }
})

test('a home with a route that does not say what it asks is not served', async () => {
  const runtime = await createRuntime({ home: folder() })
  onTestFinished(() => runtime.stop())
  forgotten.route = '/secrets'
  onTestFinished(() => {
    forgotten.route = ''
  })

  await expect(serveHome(runtime)).rejects.toThrow('GET /api/v1/secrets does not say what it asks')
})

test('what no row names, in whatever method, is refused before it is added', () => {
  const app = fastify()
  declareRoutes(app)

  expect(() => app.route({ method: ['GET', 'DELETE'], url: '/version', handler: () => '' })).toThrow(
    'DELETE /version',
  )
  expect(() => app.get('/constructor', () => '')).toThrow('GET /constructor')
  expect(askedBy('GET', 'toString')).toBeUndefined()
})

test('every route of the table is there, and none but three is open to somebody who brings nothing', async () => {
  const { askBare, ask, port } = await holdOutside()
  const at = (path: string) =>
    path.replace(':plan', 'none-aaaaaa').replace(':job', 'a').replace(':n', '1').replace(':id', '1')

  for (const [route, { asks }] of Object.entries(OPERATIONS)) {
    const [method = '', path = ''] = route.split(' ')
    const bare = await askBare(`${method} ${at(path)}`, method === 'POST' ? { body: {} } : {})
    const isOpen = asks === 'open'
    expect([route, bare.status]).toEqual([route, isOpen ? 200 : 401])
    if (asks === 'link' || path.endsWith('/events') || path.endsWith('/gc')) continue
    const { json } = await ask(`${method} ${at(path)}`, method === 'POST' ? { body: {} } : {})
    const { error } = (json ?? {}) as { error?: { code: string } }
    expect([route, error?.code]).not.toEqual([route, 'ROUTE_UNKNOWN'])
    expect([route, error?.code]).not.toEqual([route, 'METHOD_UNKNOWN'])
  }
  expect(Object.values(OPERATIONS).filter(({ asks }) => asks === 'open' || asks === 'link')).toHaveLength(3)
  expect(port).toBeGreaterThan(0)
})
