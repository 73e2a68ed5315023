import { expect, test } from 'vitest'
import { definePlan } from '../../src/index.ts'
import { readHome } from '../../src/unserved.ts'
import { ask, gates, hold } from './served.ts'

test('jobs of all plans are found by their state and the name of their plan, the same with a holder and without', async () => {
  const gate = gates()
  const { home, served, client, submit } = await hold({ handlers: { wait: gate.handler } })
  const jobs = { a: { call: 'wait' }, b: { call: 'wait' }, c: { call: 'wait', needs: ['a'] } } as const
  const first = await submit(definePlan({ name: 'first', jobs }))
  const second = await submit(definePlan({ name: 'second', jobs, maxParallel: 1 }))
  await Promise.all([gate.begun('a'), gate.begun('b')])
  const reader = await readHome(home)
  const names = async (query: Parameters<typeof client.catalog.jobsIn>[0]) => {
    const there = await client.catalog.jobsIn(query)
    expect(await reader.jobsIn(query)).toEqual(there)
    return there.map(({ plan, name }) => `${plan}/${name}`)
  }

  expect(await names({ states: ['running'] })).toEqual([`${second}/a`, `${first}/a`, `${first}/b`])
  expect(await names({ states: ['held', 'queued'], name: 'second' })).toEqual([`${second}/b`, `${second}/c`])
  expect(await names({ states: ['running'], limit: 1 })).toEqual([`${second}/a`])
  expect(await names({ states: [] })).toEqual([])
  const wrong = await ask(served.path, 'GET /api/v1/jobs?state=done')
  expect([wrong.status, wrong.json]).toMatchObject([400, { error: { code: 'USAGE' } }])
  await reader.close()
})
