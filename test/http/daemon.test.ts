/**
 * The modes of a home, over its socket. Mutations that were planted once, and each found: slots that grant while paused; nobody woken
 * by `resume`; plans taken in while draining; a mode that ends with its process.
 */
import { expect, test } from 'vitest'
import { definePlan } from '../../src/plans/define-plan.ts'
import { createRuntime } from '../../src/runtime.ts'
import { ask, gates, hold } from './served.ts'

const API = '/api/v1'
const chain = (name = 'chain') =>
  definePlan({ name, jobs: { first: { call: 'gate' }, second: { call: 'gate', needs: ['first'] } } })

const holdChain = async () => {
  const gate = gates()
  // Without the second net, which would wake a host that nobody wakes.
  const held = await hold({ handlers: { gate: gate.handler }, sweepMs: 0 })
  const id = await held.submit(chain())
  await gate.begun('first')
  const post = (path: string, body?: unknown) => ask(held.served.path, `POST ${API}${path}`, { body })
  const jobs = async (plan: string) =>
    (await held.client.catalog.jobs(plan)).map(({ state, reason }) => `${state} ${reason}`)
  return { ...held, gate, id, post, jobs }
}

test('paused, attempts run on, nothing new starts, plans are taken in and wait; resumed, all goes on', async () => {
  const { client, runtime, gate, id, post, jobs } = await holdChain()

  const paused = await post('/daemon/pause', { reason: 'new disk', by: 'ada' })
  expect(paused.json).toMatchObject({ mode: 'paused', reason: 'new disk', by: 'ada', changed: true })
  gate.open('first')
  await expect.poll(() => jobs(id)).toEqual(['succeeded null', 'queued paused'])
  const { id: other } = await client.submit(chain('other'))
  await runtime.idle()

  expect(await jobs(other)).toEqual(['queued paused', 'held needs'])
  expect((await client.state()).daemon).toMatchObject({ mode: 'paused', reason: 'new disk', by: 'ada' })
  gate.open('second')
  const ends = [id, other].map(async (plan) => (await runtime.plan(plan)).settled())
  expect((await post('/daemon/resume')).json).toMatchObject({ mode: 'running', changed: true })
  expect((await Promise.all(ends)).map(({ state }) => state)).toEqual(['succeeded', 'succeeded'])
})

test('draining, a new plan is refused with 503 and a plan whose key is known is answered', async () => {
  const { client, runtime, gate, id, post, jobs } = await holdChain()
  const known = await client.submit(chain('known'), { key: 'k' })
  await client.order({ do: 'drain', by: 'ada', why: 'the end' })

  const refused = await post('/plans', { plan: chain('new'), base: '/tmp' })
  expect(refused).toMatchObject({ status: 503, json: { error: { code: 'DRAINING' } } })
  await expect(client.submit(chain('new'))).rejects.toMatchObject({
    code: 'DRAINING',
    message: expect.stringContaining('the end'),
    hint: expect.stringContaining('tenuto daemon resume'),
  })
  expect(await client.submit(chain('known'), { key: 'k' })).toEqual({ id: known.id, replayed: true })
  expect((await client.catalog.plans()).map(({ name }) => name).toSorted()).toEqual(['chain', 'known'])
  gate.open('first')
  await expect.poll(() => jobs(id)).toEqual(['succeeded null', 'queued draining'])
  expect(runtime.mode().mode).toBe('draining')
})

test('an order outlives whoever carried it out', async () => {
  const { home, runtime, served, gate, id, client } = await holdChain()
  await client.order({ do: 'pause', why: 'kept' })
  gate.open('first')
  await served.close()
  await runtime.stop()

  const next = await createRuntime({ home, handlers: { gate: gate.handler } })
  try {
    await next.idle()
    expect((await next.state()).daemon).toMatchObject({ mode: 'paused', reason: 'kept' })
    // Whether the first one ended before the holder did is a matter of moments; nothing starts after it.
    const { state } = await next.catalog.job(id, 'second')
    expect(['held', 'queued']).toContain(state)
    gate.open('second')
    const end = (await next.plan(id)).settled()
    await next.order({ do: 'resume' })
    expect((await end).state).toBe('succeeded')
  } finally {
    await next.stop()
  }
})

test('a drain for a stop is over at the next start', async () => {
  const { home, runtime, served, client } = await holdChain()
  await client.order({ do: 'drain', untilStop: true })
  await served.close()
  await runtime.stop()

  const next = await createRuntime({ home, resume: false })
  expect(next.mode().mode).toBe('running')
  await next.stop()
})

test.each([
  ['/daemon/sleep', {}, 404, 'ROUTE_UNKNOWN'],
  ['/daemon/pause', { until_stop: true }, 400, 'USAGE'],
  ['/daemon/drain', { until_stop: 'soon' }, 400, 'USAGE'],
  ['/daemon/pause', { reason: 7 }, 400, 'USAGE'],
  ['/daemon/resume', [], 400, 'USAGE'],
])('%s with %j is refused, and the mode stays', async (path, body, status, code) => {
  const { served, runtime } = await hold()

  const reply = await ask(served.path, `POST ${API}${path}`, { body })
  expect([reply.status, (reply.json as { error: { code: string } }).error.code]).toEqual([status, code])
  expect(runtime.mode().mode).toBe('running')
})
