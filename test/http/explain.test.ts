/**
 * Explaining and answering over the socket: the holder says what only it knows, and whoever answers is told what came of it.
 */
import { expect, test } from 'vitest'
import { definePlan } from '../../src/plans/define-plan.ts'
import { gates, hold } from './served.ts'

test('a job that waits for a slot across plans is explained by the plans that hold them', async () => {
  const { handler, begun, open } = gates()
  const { client, submit } = await hold({ maxParallel: 1, handlers: { wait: handler } })
  const first = await submit(definePlan({ name: 'first', jobs: { a: { call: 'wait' } } }))
  await begun('a')
  const second = await submit(definePlan({ name: 'second', jobs: { b: { call: 'wait' } } }))

  const { chain, state } = await client.explain(second, 'b')
  const { chain: whole } = await client.explain(second, null)

  expect(state).toBe('queued')
  expect(chain.map(({ what }) => what)).toEqual([`the one slot of the daemon is taken, by ${first} (1)`])
  expect(whole.map(({ what }) => what).join()).toContain('b is queued')
  await expect(client.explain(second, 'nobody')).rejects.toMatchObject({ code: 'REF_NOT_FOUND' })
  open('a')
  open('b')
})

test('a hundred answers at once: one is taken, all others say that it is so already, and what follows runs once', async () => {
  const ran: string[] = []
  const { client, submit, runtime } = await hold({ handlers: { ship: ({ job }) => void ran.push(job) } })
  const plan = await submit(
    definePlan({
      name: 'gated',
      jobs: { gate: { approve: { prompt: 'Ship it?' } }, ship: { call: 'ship', needs: ['gate'] } },
    }),
  )

  const receipts = await Promise.all(
    Array.from({ length: 100 }, () => client.command(plan, 'gate', { do: 'approve' }, { by: 'ada' })),
  )
  await (await runtime.plan(plan)).settled()

  expect(receipts.filter(({ changed }) => changed)).toHaveLength(1)
  expect(ran).toEqual(['ship'])
  await expect(client.command(plan, 'gate', { do: 'reject' })).rejects.toMatchObject({ code: 'WRONG_STATE' })
  expect((await client.explain(plan, 'gate')).chain[0]?.what).toBe('it was approved by ada')
})

test('an actor is looked into over the socket, as it is in the memory of its holder', async () => {
  const { handler, begun, open } = gates()
  const { client, submit, runtime } = await hold({ handlers: { wait: handler } })
  const plan = await submit(definePlan({ name: 'one', jobs: { a: { call: 'wait' } } }))
  await begun('a')
  await runtime.idle()

  const ofJob = await client.inspection(plan, 'a')
  const ofPlan = await client.inspection(plan, null)

  expect(ofJob).toMatchObject({
    state: 'running',
    machine: 'job/1',
    live: { kind: 'actor', state: 'running' },
  })
  expect(ofPlan).toMatchObject({ state: 'running', live: { id: `plan:${plan}`, mailbox: { depth: 0 } } })
  await expect(client.inspection(plan, 'nobody')).rejects.toMatchObject({ code: 'REF_NOT_FOUND' })
  open('a')
  await (await runtime.plan(plan)).settled()
  expect((await client.inspection(plan, 'a')).live).toBeNull()
})
