/**
 * What is asked of a home, and who submitted a plan, is on record: in the journal, and so in the stream, with who and why.
 *
 * Mutations that were planted once, and each found: an order of which nothing is noted while the store is away; a mode that was changed
 * while nobody held the home and is not noted; an auditor that takes such a note for a step of a plan that is gone.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, onTestFinished, test } from 'vitest'
import { auditHome } from '../../src/audit/home.ts'
import { TenutoError } from '../../src/errors.ts'
import { homePaths } from '../../src/home.ts'
import { sqliteJournal } from '../../src/journal/sqlite.ts'
import { definePlan } from '../../src/plans/define-plan.ts'
import { operator } from '../../src/process.ts'
import { createRuntime, type Runtime, type RuntimeOptions } from '../../src/runtime.ts'
import type { EventShape } from '../../src/views/shapes.ts'
import { holdOutside } from '../http/outside.ts'
import { ask, folder, hold, until } from '../http/served.ts'

const handlers = { noop: () => ({}) }
const plan = definePlan({ name: 'p', jobs: { a: { call: 'noop' } } })
const ofHome = ({ address }: EventShape): boolean => address === 'note:home'
/** What is on record of the home. */
const record = async ({ catalog }: Pick<Runtime, 'catalog'>) =>
  (await catalog.events({ after: 0, limit: 1_000 })).filter(ofHome)

test('an order is an event of the stream with who and why, for those who follow the home and for nobody else', async () => {
  const { client, served, submit, runtime } = await hold({ handlers })
  const id = await submit(plan)
  await (await runtime.plan(id)).settled()
  const follow = until(client.events(), ({ type, to }) => type === 'mode.changed' && to === 'running')

  await client.order({ do: 'pause', by: 'ada', why: 'new disk' })
  await client.order({ do: 'pause', by: 'ada' })
  await client.order({ do: 'drain', by: 'bob', untilStop: true })
  await client.order({ do: 'resume', by: 'eve', why: 'it is there' })

  const home = { plan: '', address: 'note:home', type: 'mode.changed' }
  const told = [
    { ...home, from: 'running', to: 'paused', by: 'ada', why: 'new disk' },
    { ...home, from: 'paused', to: 'draining', by: 'bob', detail: { until_stop: true } },
    { ...home, from: 'draining', to: 'running', by: 'eve', why: 'it is there' },
  ]
  expect((await follow).filter(ofHome)).toMatchObject(told)
  const listed = async (query: string) => {
    const headers = { accept: 'application/json' }
    const { json } = await ask(served.path, `GET /api/v1/events?limit=200&${query}`, { headers })
    return (json as { items: EventShape[] }).items
  }
  expect(await listed('topics=daemon')).toMatchObject(told)
  expect((await listed('topics=plans')).filter(ofHome)).toEqual([])
  expect(await listed(`topics=plan:${id}`)).toEqual((await listed('')).filter((event) => !ofHome(event)))
  expect(await listed('topics=daemon,plans')).toEqual(
    (await listed('')).filter(({ job }) => job === undefined),
  )
})

test('a reason that says nothing is none, of an order and of what is asked of a plan', async () => {
  const { ask: asks, runtime } = await holdOutside({ handlers })
  const submitted = await asks('POST /api/v1/plans', { body: { plan, reason: ' ' } })
  const { id } = submitted.json as { id: string }
  await (await runtime.plan(id)).settled()

  await asks('POST /api/v1/daemon/pause', { body: { reason: '' } })
  await asks(`POST /api/v1/plans/${id}/jobs/a/retry`, { body: { reason: '\n' } })

  expect((await runtime.state()).daemon).toMatchObject({ mode: 'paused', reason: null })
  const told = (await runtime.catalog.events({ after: 0, limit: 1_000 })).filter(({ by }) => by === 'token')
  expect(told.map(({ type }) => type)).toEqual(['created', 'mode.changed', 'retry.requested'])
  for (const event of told) expect(event).not.toHaveProperty('why')
})

test('a plan says who submitted it, and why; a sweep and a removal say who asked for them', async () => {
  const outside = await holdOutside({ handlers })
  const { client, runtime, home } = outside
  const body = { plan, base: home }
  const said = (extra: object) => ({ body: { ...body, ...extra } })
  await outside.ask('POST /api/v1/plans', said({ key: '1', reason: 'the release' }))
  const mine = await client.submit(plan, { base: home })
  const bots = await client.submit(plan, { base: home, by: 'a bot of mine', why: 'it is noon' })
  const refused = await outside.ask('POST /api/v1/plans', said({ by: 'somebody else' }))
  for (const { id } of await runtime.catalog.plans()) await (await runtime.plan(id)).settled()
  await outside.ask('POST /api/v1/sweep', { body: { reason: 'to be sure' } })
  await client.gc({ keep: 2, olderThanMs: 1e9, why: 'room' })
  await client.gc({ keep: 0, dryRun: true })
  await runtime.sweep()

  const begun = (await runtime.catalog.events({ after: 0, limit: 1_000 })).filter(
    ({ type, address }) => type === 'created' && address.startsWith('plan:'),
  )
  expect(begun).toMatchObject([
    { plan: mine.id, by: operator() },
    { plan: bots.id, by: 'a bot of mine', why: 'it is noon' },
  ])
  expect(begun[0]).not.toHaveProperty('why')
  expect(refused.status).toBe(400)
  expect(await record(runtime)).toMatchObject([
    { type: 'sweep.requested', to: 'running', by: 'token', why: 'to be sure', detail: { repaired: 0 } },
    { type: 'gc.requested', to: 'running', by: operator(), why: 'room', detail: { plans: 1 } },
  ])
})

test('an order that is given while the store is away holds at once, and is on record once it is back', async () => {
  const home = folder()
  const file = homePaths(home).journal
  const boot = { bootId: 'boot', pid: 1, build: 'test', at: 0 }
  let away = false
  const journal: NonNullable<RuntimeOptions['ports']>['journal'] = async () => {
    const real = await sqliteJournal({ file, boot, durability: 'normal' })
    return {
      ...real,
      commit: async (batch) => {
        if (away) throw new TenutoError('STORE_FULL', { path: file, why: 'the test says so' })
        await real.commit(batch)
      },
    }
  }
  const { runtime } = await hold({ home, handlers, ports: { journal } })
  away = true
  await runtime.submit(plan).catch(() => {})
  await runtime.submit(plan).catch(() => {})
  expect(runtime.storage().status).toBe('unavailable')

  await runtime.order({ do: 'pause', by: 'ada', why: 'the disk is full' })
  expect([runtime.mode().mode, await record(runtime)]).toEqual(['paused', []])
  const told = until(runtime.events(), ofHome)
  away = false

  expect(await told).toMatchObject([{ to: 'paused', by: 'ada', why: 'the disk is full' }])
  await runtime.order({ do: 'resume', by: 'ada' })
  expect((await record(runtime)).map(({ to }) => to)).toEqual(['paused', 'running'])
})

test('a mode that was ordered while nobody could note it is found at the next start, once, and the home is sound', async () => {
  const home = folder()
  const live = async <T>(act: (runtime: Runtime) => Promise<T>): Promise<T> => {
    const runtime = await createRuntime({ home, handlers })
    onTestFinished(() => runtime.stop())
    const found = await act(runtime)
    await runtime.stop()
    return found
  }
  await live(async (runtime) => {
    await (await runtime.submit(plan)).settled()
    await runtime.order({ do: 'drain', untilStop: true, by: 'bob' })
  })
  await live(async () => {})
  const since = '2026-01-01T00:00:00.000Z'
  writeFileSync(
    join(home, 'mode.json'),
    JSON.stringify({ mode: 'paused', reason: 'by hand', since, by: 'ada' }),
  )
  await live(async () => {})

  const found = await live(record)

  expect(found).toMatchObject([
    { from: 'running', to: 'draining', by: 'bob' },
    // The order ended with the stop.
    { from: 'draining', to: 'running', detail: { found: true } },
    { from: 'running', to: 'paused', by: 'ada', why: 'by hand', detail: { found: true } },
  ])
  expect((await auditHome(home)).findings).toEqual([])

  const file = new DatabaseSync(homePaths(home).journal)
  file.exec("UPDATE step SET went_to = 'nowhere' WHERE address = 'note:home'")
  file.close()
  expect(await live(async (runtime) => (await (await runtime.plan('p')).settled()).state)).toBe('succeeded')
})
