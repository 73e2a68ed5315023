/** The API asked at random for some time, and mistakes that this must find. */
import { expect, test, vi } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { OPERATIONS } from '../../src/http/operations.ts'
import type { Runtime } from '../../src/runtime.ts'
import { fuzz } from './life.ts'

/** Mistakes in routes, one at a time. */
const planted = vi.hoisted(() => ({ mistake: '' }))
vi.mock(import('../../src/http/plans.ts'), async (original) => {
  const real = await original()
  const mistaken = (runtime: Runtime): Runtime => {
    const { catalog } = runtime
    const { mistake } = planted
    if (mistake === 'throws')
      return {
        ...runtime,
        catalog: {
          ...catalog,
          resolve: async (ref) => {
            if (/[^a-z0-9/#._-]/i.test(ref)) throw new TypeError('nobody thought of that')
            return catalog.resolve(ref)
          },
        },
      }
    if (mistake === 'says more')
      return {
        ...runtime,
        explain: async (plan, job) => ({ ...(await runtime.explain(plan, job)), secret: 1 }),
      }
    if (mistake === 'makes first')
      return {
        ...runtime,
        submit: async (definition, options = {}) => {
          const handle = await runtime.submit(definition, { base: '/' })
          return options.key === undefined ? handle : runtime.submit(definition, options)
        },
      }
    return runtime
  }
  return {
    ...real,
    readingRoutes: (app, runtime, streaming) => real.readingRoutes(app, mistaken(runtime), streaming),
    submitRoute: (app, runtime) => real.submitRoute(app, mistaken(runtime)),
  }
})

test('two thousand requests find nothing, and every route is among them', async () => {
  planted.mistake = ''
  const seed = systemClock.now() % 1_000_000

  const { faults, routes, requests } = await fuzz(2_000, seed)

  expect(faults, `npm run fuzz -- --requests ${requests} --seed ${seed}`).toEqual([])
  expect(Object.keys(routes).sort()).toEqual(Object.keys(OPERATIONS).sort())
})

test.each([
  ['throws', 'it answered 500'],
  ['says more', 'does not fit its schema'],
  ['makes first', 'and something was made'],
])('a route that %s is found', async (mistake, what) => {
  planted.mistake = mistake

  const { faults } = await fuzz(2_000, 5, 1)

  expect(faults.map((fault) => fault.what).join('\n')).toContain(what)
})
