import { expect, test } from 'vitest'
import { loadPlan, machineOf, planEntry, restoreEntry } from '../../src/actors/directory.ts'
import { flatSystem } from '../../src/actors/system.ts'
import { jobAddress, planAddress } from '../../src/address.ts'
import { EMPTY_BATCH } from '../../src/journal/journal.ts'
import { graphOf, openRows } from '../../src/machines/board.ts'
import { planOf, rowOf } from '../support/definitions.ts'
import { openLife, PLAN } from '../support/life.ts'

test('a plan is read with its board, the actors of what lives, and its mail; what has ended stays a row', async () => {
  const life = await openLife({ maxParallel: 1 })
  await life.submit(planOf({ a: {}, b: {}, c: {}, d: { needs: ['b'] } }))
  life.attempts.end('a', 'succeeded')
  await life.quiet()

  const loaded = await loadPlan(life.journal(), flatSystem(), PLAN)

  const of = loaded?.resident
  expect([...(of?.actors.keys() ?? [])]).toEqual([planAddress(PLAN), jobAddress(PLAN, 'b')])
  expect(of?.rows.map(({ name, state }) => `${name} ${state}`)).toEqual([
    'a succeeded',
    'b running',
    'c queued',
    'd held',
  ])
  expect(of?.actors.get(jobAddress(PLAN, 'b'))).toMatchObject({
    kind: 'job',
    index: 1,
    value: 'running',
    seq: 2,
    savedSeq: 2,
  })
  expect(of && planEntry(of)?.value).toBe('running')
  expect(loaded?.mail).toEqual([])
})

test('a plan that took no step yet is read with its mail, and its actor is still to be made', async () => {
  const life = await openLife()
  const definition = planOf({ a: {} })
  await life.journal().commit({
    ...EMPTY_BATCH,
    plans: [
      {
        plan: rowOf(PLAN, 1),
        revision: { plan: PLAN, revision: 1, hash: 'h', definition: JSON.stringify(definition) },
      },
    ],
    jobs: openRows(PLAN, graphOf(definition), 1),
    mail: {
      added: [
        {
          id: 1,
          address: planAddress(PLAN),
          event: '{"type":"created"}',
          postedBy: null,
          deliveries: 0,
          at: 1,
        },
      ],
      taken: [],
      failed: [],
    },
  })

  const loaded = await loadPlan(life.journal(), flatSystem(), PLAN)

  expect(loaded?.resident && planEntry(loaded.resident)).toBeUndefined()
  expect([...(loaded?.resident.fresh ?? [])]).toEqual([planAddress(PLAN)])
  expect(loaded?.mail).toHaveLength(1)
})

test('a plan that is not there is not loaded', async () => {
  const life = await openLife()

  expect(await loadPlan(life.journal(), flatSystem(), 'no-such')).toBeUndefined()
})

test('an actor whose row its machine cannot take is not brought back', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: {} }))
  const loaded = await loadPlan(life.journal(), flatSystem(), PLAN)
  const row = await life.journal().actor(jobAddress(PLAN, 'a'))
  if (!loaded || !row) throw new Error('the plan was not read')

  expect(() => restoreEntry(flatSystem(), loaded.resident, { ...row, snapshot: 'not JSON' })).toThrow()
  expect(() =>
    restoreEntry(flatSystem(), loaded.resident, { ...row, snapshot: '{"value":"dancing","context":{}}' }),
  ).toThrow('dancing')
})

test('every kind of actor has its machine, and a version to be stored with its rows', () => {
  expect(machineOf('plan')).toMatchObject({ machine: { id: 'plan' }, version: 'plan/1' })
  expect(machineOf('job')).toMatchObject({ machine: { id: 'job' }, version: 'job/1' })
})
