/**
 * A holder whose store is away, over its socket: requests are refused at once in the envelope, what is told of it is true, and what was
 * acknowledged is exactly what is in the journal.
 */
import { readdirSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { TenutoError } from '../../src/errors.ts'
import { seededRandom } from '../../src/ids.ts'
import type { Journal } from '../../src/journal/journal.ts'
import { sqliteReader } from '../../src/journal/reader.ts'
import { sqliteJournal } from '../../src/journal/sqlite.ts'
import { definePlan } from '../../src/plans/define-plan.ts'
import type { StorageShape } from '../../src/views/shapes.ts'
import { ask, folder, gates, hold } from './served.ts'

const BOOT = { bootId: 'boot', pid: 1, build: 'test', at: 0 }
const failing = (file: string, fails: () => boolean) => async (): Promise<Journal> => {
  const journal = await sqliteJournal({ file, boot: BOOT, durability: 'normal' })
  return {
    ...journal,
    commit: async (batch) => {
      if (fails()) throw new TenutoError('STORE_FULL', { path: file, why: 'the test says so' })
      await journal.commit(batch)
    },
  }
}
/** Resolves when the runtime says so. */
const storageIs = (runtime: Awaited<ReturnType<typeof hold>>['runtime'], status: string): Promise<void> =>
  new Promise((resolve) => {
    const look = (storage: StorageShape): void => {
      if (storage.status === status) resolve()
    }
    onTestFinished(runtime.onStorage(look))
    look(runtime.storage())
  })
const bodyOf = (plan: unknown, base: string, key: string) => ({ body: { plan, base, key } })

test('while the store is away each request is refused with 503 and a hint, readers are answered, and the state says degraded', async () => {
  const home = folder()
  const gate = gates()
  let away = false
  const journal = failing(join(home, 'journal.db'), () => away)
  const { runtime, served, submit } = await hold({
    home,
    handlers: { wait: gate.handler, give: () => ({}) },
    ports: { journal },
  })
  const definition = definePlan({
    name: 'p',
    jobs: { a: { call: 'wait' }, b: { call: 'wait', needs: ['a'] } },
  })
  const ended = await submit(definePlan({ name: 'ended', jobs: { a: { call: 'give' } } }))
  await (await runtime.plan(ended)).settled()
  await runtime.idle()
  const id = await submit(definition)
  await gate.begun('a')
  const stateOf = async () => (await ask(served.path, 'GET /api/v1/state')).json
  expect(await stateOf()).toMatchObject({
    degraded: false,
    sections: { journal: { status: 'ok', error: null, data: { since: null, tries: 0, next_try_at: null } } },
  })

  away = true
  const requests = [
    ask(served.path, 'POST /api/v1/plans', bodyOf(definition, home, 'k')),
    ask(served.path, `POST /api/v1/plans/${id}/cancel`),
    ask(served.path, `POST /api/v1/plans/${id}/pause`),
    ask(served.path, `POST /api/v1/plans/${id}/jobs/b/skip`),
  ]
  const first = await Promise.all(requests)
  await storageIs(runtime, 'unavailable')
  const later = await Promise.all([
    ask(served.path, `POST /api/v1/plans/${id}/cancel`),
    ask(served.path, `POST /api/v1/plans/${id}/jobs/a/cancel`),
    ask(served.path, 'POST /api/v1/sweep'),
    ask(served.path, 'POST /api/v1/gc', { body: { older_than_ms: 0, keep: 0 } }),
  ])
  for (const { headers } of later) expect(Number(headers['retry-after'])).toBeGreaterThanOrEqual(1)
  const ready = await ask(served.path, 'GET /readyz')
  expect(ready.status).toBe(503)
  expect(Number(ready.headers['retry-after'])).toBeGreaterThanOrEqual(1)
  for (const { status, json } of [...first, ...later]) {
    expect(status).toBe(503)
    expect(json).toMatchObject({ error: { code: 'STORE_FULL', hint: expect.stringContaining('ask again') } })
  }
  expect(await stateOf()).toMatchObject({
    degraded: true,
    sections: {
      journal: {
        status: 'unavailable',
        error: { code: 'STORE_FULL', message: expect.stringContaining('the test says so') },
        data: { since: expect.any(String), next_try_at: expect.any(String) },
      },
    },
  })
  // What nobody will tell again waits; and who asked under a key that is known is answered.
  gate.open('a')
  expect((await ask(served.path, `GET /api/v1/plans/${id}`)).json).toMatchObject({ state: 'running' })
  const plans = { items: [{ id }, { id: ended }] }
  expect((await ask(served.path, 'GET /api/v1/plans')).json).toMatchObject(plans)

  away = false
  await storageIs(runtime, 'ok')
  expect(await stateOf()).toMatchObject({
    degraded: false,
    sections: { journal: { status: 'ok', error: null } },
  })
  await gate.begun('b')
  gate.open('b')
  expect((await (await runtime.plan(id)).settled()).state).toBe('succeeded')
  expect((await ask(served.path, 'GET /api/v1/plans')).json).toMatchObject(plans)
  const again = await ask(served.path, 'POST /api/v1/plans', bodyOf(definition, home, 'k'))
  expect(again.status).toBe(201)
})

test('bursts of submissions while the store fails at random for two seconds: each 2xx is in the journal, no refused one is, and one that was not answered is found by its key', async () => {
  const home = folder()
  const file = join(home, 'journal.db')
  const seed = Math.floor(Math.random() * 2 ** 31)
  const random = seededRandom(seed)
  let isOver = false
  let bad = false
  const journal = failing(file, () => {
    if (isOver) return false
    // It goes away for a while, and comes back for a while.
    if (random() < 0.15) bad = !bad
    return bad || random() < 0.1
  })
  const { runtime, served } = await hold({ home, handlers: { give: () => ({}) }, ports: { journal } })
  const definition = definePlan({ name: 'p', jobs: { a: { call: 'give' } } })
  const answers = new Map<string, number>()
  const unanswered: string[] = []
  const until = performance.now() + 2_000

  const burst = (n: number): Promise<unknown> =>
    Promise.all(
      Array.from({ length: 20 }, async (_, at) => {
        const key = `${n}-${at}`
        if (at % 4 === 0) {
          await leave(served.path, bodyOf(definition, home, key).body, random)
          unanswered.push(key)
          return
        }
        const { status } = await ask(served.path, 'POST /api/v1/plans', bodyOf(definition, home, key))
        answers.set(key, status)
      }),
    )
  // A slow machine may commit so little in that time that nothing of it failed.
  for (let n = 0; performance.now() < until || ![...answers.values()].includes(503); n += 1) await burst(n)
  isOver = true
  await storageIs(runtime, 'ok')
  // On a slow machine it may have been away all the time; once it is back it takes what is asked.
  await burst(-1)
  await runtime.idle()
  // Whoever was not answered asks again, under the key.
  const taken = await sqliteReader(file)
  onTestFinished(() => taken.close())
  const found = new Map<string, string | undefined>()
  for (const key of unanswered) found.set(key, (await taken.planByKey(key))?.id)
  for (const [key, id] of found) {
    const again = await ask(served.path, 'POST /api/v1/plans', bodyOf(definition, home, key))
    // One that was on its way may have come in meanwhile.
    expect(id === undefined ? [200, 201] : [200], `seed ${seed}, ${key}`).toContain(again.status)
    expect(again.json).toMatchObject({ key, ...(id === undefined ? {} : { id }) })
  }
  await runtime.idle()
  await served.close()
  await runtime.stop()

  const statuses = [...new Set(answers.values())].toSorted((a, b) => a - b)
  expect({ seed, statuses }).toEqual({ seed, statuses: [201, 503] })
  const reader = await sqliteReader(file)
  onTestFinished(() => reader.close())
  for (const [key, status] of answers)
    expect([seed, key, (await reader.planByKey(key)) !== undefined]).toEqual([seed, key, status === 201])
  const made = [...answers.values()].filter((status) => status === 201).length
  expect((await reader.plans({ limit: 100_000 })).length).toBe(made + unanswered.length)
})

/** Submits, and hangs up before there is an answer, sooner or later. */
const leave = (socketPath: string, body: unknown, random: () => number): Promise<void> =>
  new Promise((resolve) => {
    const headers = { 'content-type': 'application/json' }
    const sent = request({ socketPath, method: 'POST', path: '/api/v1/plans', agent: false, headers })
    sent.once('close', resolve)
    sent.on('error', () => {})
    sent.end(JSON.stringify(body))
    let turns = Math.floor(random() * 40)
    const wait = (): void => {
      turns -= 1
      if (turns < 0) sent.destroy()
      else setImmediate(wait)
    }
    sent.once('finish', wait)
  })

test('who follows a plan hears when commits cannot be made, and when they can again, between its events', async () => {
  const home = folder()
  const gate = gates()
  let away = false
  const journal = failing(join(home, 'journal.db'), () => away)
  const { runtime, client, submit } = await hold({
    home,
    handlers: { wait: gate.handler },
    ports: { journal },
  })
  const id = await submit(definePlan({ name: 'p', jobs: { a: { call: 'wait' } } }))
  await gate.begun('a')
  const heard: string[] = []
  const storage = ({ status }: StorageShape): void => {
    heard.push(status)
    if (status === 'unavailable') away = false
    if (heard.length === 1) {
      away = true
      gate.open('a')
    }
  }

  for await (const event of client.events({ plan: id, after: 0, storage })) {
    if (event.type === 'job.settled') heard.push(event.to)
    if (event.job === undefined && event.to === 'succeeded') break
  }

  expect(heard).toEqual(['ok', 'unavailable', 'ok', 'succeeded'])
  expect(runtime.storage().status).toBe('ok')
})

test('a holder of an earlier build, which does not say how its store is, is followed all the same', async () => {
  let asked = 0
  const { client, submit } = await hold({ handlers: { give: () => ({}) } }, (runtime) => ({
    ...runtime,
    onStorage: () => {
      asked += 1
      throw new TenutoError('NOT_YET', { what: 'the topic `daemon`', remedy: 'leave it out' })
    },
  }))
  const id = await submit(definePlan({ name: 'p', jobs: { a: { call: 'give' } } }))
  let last = ''

  for await (const { job, to } of client.events({ plan: id, after: 0, storage: () => {} })) {
    last = to
    if (job === undefined && to === 'succeeded') break
  }

  expect([asked, last]).toEqual([1, 'succeeded'])
})

test('a plan that could not be stored leaves no folder that was made for it', async () => {
  const home = folder()
  let away = false
  const journal = failing(join(home, 'journal.db'), () => away)
  const { served } = await hold({ home, handlers: { give: () => ({}) }, ports: { journal } })
  const plan = definePlan({ name: 'p', jobs: { a: { call: 'give' } } })
  const submit = () => ask(served.path, 'POST /api/v1/plans', { body: { plan } })
  const before = (await submit()).json as { id: string }

  away = true
  const refused = await submit()

  expect([refused.status, (refused.json as { error: { code: string } }).error.code]).toEqual([
    503,
    'STORE_FULL',
  ])
  expect(readdirSync(join(home, 'work'))).toEqual([before.id])
})
