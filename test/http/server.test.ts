import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readBuild } from '../../src/build.ts'
import type { Definition } from '../../src/definition.ts'
import { homePaths } from '../../src/home.ts'
import type { Journal } from '../../src/journal/journal.ts'
import { memoryJournal } from '../../src/journal/memory.ts'
import { memoryDisk } from '../../src/journal/memory-disk.ts'
import { definePlan } from '../../src/plans/define-plan.ts'
import { ask, folder, gates, hold, type Reply, until } from './served.ts'

const API = '/api/v1'

const chain = (name = 'chain'): Definition =>
  definePlan({ name, jobs: { first: { call: 'gate' }, second: { call: 'gate', needs: ['first'] } } })

const holdChain = async () => {
  const gate = gates()
  const held = await hold({ handlers: { gate: gate.handler } })
  const id = await held.submit(chain())
  await gate.begun('first')
  const get = (path: string, headers: Record<string, string> = {}) =>
    ask(held.served.path, `GET ${path}`, { headers })
  const post = (path: string, body?: unknown) => ask(held.served.path, `POST ${path}`, { body })
  return { ...held, gate, id, get, post }
}

/** Every answer that is an error is an envelope. */
const refused = ({ status, json }: Reply): readonly [number, string, string] => {
  const { error } = json as { error: Record<string, unknown> }
  expect(error).toMatchObject({
    hint: expect.any(String),
    request_id: expect.any(String),
    fields: expect.any(Object),
  })
  return [status, error['code'] as string, error['message'] as string]
}

describe('reading', () => {
  test('a plan, its jobs, a job and its attempts are served in the shapes of the catalog', async () => {
    const { get, id, runtime } = await holdChain()

    const plan = await runtime.catalog.plan(id)
    const jobs = await runtime.catalog.jobs(id)
    const attempts = await runtime.catalog.attempts(id, 'first')

    expect((await get(`${API}/plans/${id}`)).json).toEqual(plan)
    expect((await get(`${API}/plans/${id}?jobs=true`)).json).toEqual({ ...plan, jobs })
    expect((await get(`${API}/plans/${id}?jobs=false`)).json).toEqual(plan)
    expect((await get(`${API}/plans/${id}/jobs`)).json).toEqual({ items: jobs, next_cursor: null })
    expect((await get(`${API}/plans/${id}/jobs/first`)).json).toEqual({ ...jobs[0], attempts })
    expect((await get(`${API}/plans/${id}/definition`)).json).toEqual(chain())
    expect(attempts).toMatchObject([{ n: 1, outcome: null }])
    expect(jobs.map(({ state }) => state)).toEqual(['running', 'held'])
  })

  test('lists have pages that meet without a gap', async () => {
    const { get, submit } = await holdChain()
    for (const name of ['one', 'two', 'two']) await submit(chain(name))
    const all = (await get(`${API}/plans`)).json as {
      items: { id: string; name: string }[]
      next_cursor: null
    }

    const first = (await get(`${API}/plans?limit=3`)).json as { items: unknown[]; next_cursor: string }
    const second = (await get(`${API}/plans?limit=3&cursor=${first.next_cursor}`)).json as typeof all
    const jobs = (await get(`${API}/plans/${all.items[0]?.id}/jobs?limit=1`)).json as typeof first

    expect(all.items.map(({ name }) => name)).toEqual(['two', 'two', 'one', 'chain'])
    expect(all.next_cursor).toBeNull()
    expect([...first.items, ...second.items]).toEqual(all.items)
    expect(second.next_cursor).toBeNull()
    expect(jobs).toMatchObject({ items: [{ name: 'first' }], next_cursor: 'first' })
    expect((await get(`${API}/plans/${all.items[0]?.id}/jobs?limit=1&cursor=first`)).json).toMatchObject({
      items: [{ name: 'second' }],
      next_cursor: null,
    })
  })

  test('plans are found by name and by state', async () => {
    const { get, post, id, submit } = await holdChain()
    const other = await submit(chain('other'))
    await post(`${API}/plans/${other}/pause`)
    const ids = async (query: string) =>
      ((await get(`${API}/plans?${query}`)).json as { items: { id: string }[] }).items.map((plan) => plan.id)

    expect(await ids('name=chain')).toEqual([id])
    expect(await ids('state=paused')).toEqual([other])
    expect(await ids('state=paused,running')).toEqual([other, id])
    expect(await ids('state=failed')).toEqual([])
    expect(await ids('state=running&name=other')).toEqual([])
  })

  test('a ref is resolved; one that may be two is refused with the candidates', async () => {
    const { get, id, submit } = await holdChain()
    const ref = (text: string) => get(`${API}/resolve?ref=${encodeURIComponent(text)}`)
    const others = [await submit(chain('both')), await submit(chain('both'))]

    expect((await ref(id)).json).toEqual({ plan: id, job: null, attempt: null })
    expect((await ref('chain/first#1')).json).toEqual({ plan: id, job: 'first', attempt: 1 })
    const [status, code, message] = refused(await ref('both-'))
    expect([status, code]).toEqual([409, 'REF_AMBIGUOUS'])
    for (const other of others) expect(message).toContain(other)
    expect(refused(await ref('chain/third')).slice(0, 2)).toEqual([404, 'REF_NOT_FOUND'])
    expect(refused(await get(`${API}/resolve`))[0]).toBe(400)
  })

  test('what is not there is not found, whatever it is called', async () => {
    const { get, post, id, home } = await holdChain()
    writeFileSync(join(home, 'secret'), 'secret')
    const paths = [
      'plans/nope',
      'plans/nope/jobs',
      'plans/nope/jobs/first',
      'plans/nope/definition',
      `plans/${id}/jobs/third`,
      `plans/${id}/jobs/__proto__`,
      `plans/${id}/jobs/${'x'.repeat(300)}`,
      `plans/..%2F..%2Fsecret`,
      `plans/%00`,
      `plans/${id}/jobs/..%2F..%2F..%2Fsecret/attempts/1/log`,
      `plans/..%2f..%2f..%2fsecret/jobs/first/attempts/1/log`,
      `plans/${id}/jobs/first/attempts/0/log`,
      `plans/${id}/jobs/first/attempts/2/log`,
      `plans/${id}/jobs/first/attempts/01/log`,
      `plans/${id}/jobs/first/attempts/..%2f1/log`,
      `plans/${id}/jobs/first/attempts/1e0/log/stream`,
      `plans/${id}/jobs/second/attempts/1/log/stream`,
      'events?plan=nope',
      'events?topics=plan:nope',
      'plans?cursor=nope',
      `plans/${id}/jobs?cursor=nope`,
    ]

    for (const path of paths) {
      expect(refused(await get(`${API}/${path}`)).slice(0, 2), path).toEqual([404, 'REF_NOT_FOUND'])
    }
    for (const path of ['plans/nope/cancel', `plans/${id}/jobs/third/skip`]) {
      expect(refused(await post(`${API}/${path}`)).slice(0, 2), path).toEqual([404, 'REF_NOT_FOUND'])
    }
  })

  test('a route that does not exist is told in the envelope, with the method', async () => {
    const { get, post, served, id } = await holdChain()
    const routes = ['/', '/api/v1', '/api/v2/plans', '/plans', `${API}/version`, `${API}/plans/${id}/approve`]

    for (const route of routes)
      expect(refused(await get(route))).toEqual([404, 'ROUTE_UNKNOWN', `there is no route GET ${route}`])
    expect(refused(await post(`${API}/plans/${id}/explode`)).slice(0, 2)).toEqual([404, 'ROUTE_UNKNOWN'])
    expect(refused(await ask(served.path, `DELETE ${API}/plans/${id}`))).toEqual([
      405,
      'METHOD_UNKNOWN',
      `${API}/plans/${id} has no DELETE`,
    ])
    expect(refused(await get(`${API}/plans/%zz`))[0]).toBe(400)
    expect(refused(await get(`${API}/plans/${'x'.repeat(4000)}`))[0]).toBeLessThan(500)
  })

  test('a query that is wrong says what it may be', async () => {
    const { get, id } = await holdChain()
    const wrong: readonly (readonly [string, string])[] = [
      ['plans?limit=0', 'limit is "0"; it must be a whole number from 1 to 200'],
      ['plans?limit=201', 'limit is "201"; it must be a whole number from 1 to 200'],
      ['plans?limit=ten', 'limit is "ten"; it must be a whole number from 1 to 200'],
      ['plans?limit=5&limit=6', 'limit is a list; it must be a whole number from 1 to 200'],
      ['plans?limt=5', 'the query has "limt"; it may have limit, cursor, state, name'],
      ['plans?state=done', 'state is "done"; it must be one or more of running,'],
      [`plans/${id}?jobs=1`, 'jobs is "1"; it must be true or false'],
      [`plans/${id}/jobs/first/attempts/1/log?offset=-1`, 'offset is "-1"; it must be a whole number'],
      [`plans/${id}/jobs/first/attempts/1/log?limit=1000001`, 'from 0 to 1000000'],
      ['events?after=x', 'after is "x"; it must be a whole number'],
      [
        'events?topics=everything',
        'topics is "everything"; it must be one or more of plans, plan:ID, daemon',
      ],
    ]

    for (const [path, message] of wrong) {
      const [status, code, told] = refused(await get(`${API}/${path}`))
      expect([status, code], path).toEqual([400, 'USAGE'])
      expect(told).toContain(message)
    }
    expect(refused(await get(`${API}/events`, { 'last-event-id': 'x' }))[0]).toBe(400)
    const list = { accept: 'application/json' }
    expect((await get(`${API}/events?topics=daemon`, list)).json).toEqual({ items: [], next_cursor: null })
    expect(refused(await get(`${API}/events?job=a`, { accept: 'application/json' }))[0]).toBe(400)
  })

  test('every answer names the build and the schema; another schema is not served', async () => {
    const { get } = await holdChain()
    const { sourceHash, version } = readBuild()

    for (const path of ['/version', `${API}/plans`, '/nowhere']) {
      const { headers } = await get(path, { 'accept-schema': '1' })
      expect(headers, path).toMatchObject({ 'x-tenuto-build': sourceHash, 'x-tenuto-schema': '1' })
    }
    const other = await get(`${API}/plans`, { 'accept-schema': '2' })
    expect(refused(other).slice(0, 2)).toEqual([406, 'SCHEMA_MISMATCH'])
    expect(other.headers).toMatchObject({ 'x-tenuto-build': sourceHash, 'x-tenuto-schema': '1' })
    expect((await get('/version')).json).toMatchObject({
      version,
      source_hash: sourceHash,
      schema: '1',
      pid: process.pid,
      stale: false,
      stale_reason: null,
    })
  })

  test('a stale build says so in every answer, from the moment on that it is', async () => {
    let stale: string | null = null
    const { served } = await hold({}, (runtime) => ({
      ...runtime,
      build: () => ({ ...runtime.build(), stale: stale !== null, stale_reason: stale }),
    }))
    const before = await ask(served.path, `GET ${API}/plans`)
    stale = 'dist/x.js has changed'

    const after = await ask(served.path, `GET ${API}/plans`)

    expect(before.headers).not.toHaveProperty('x-tenuto-build-stale')
    expect(after.headers).toMatchObject({ 'x-tenuto-build-stale': 'true' })
    expect((await ask(served.path, 'GET /version')).json).toMatchObject({ stale: true, stale_reason: stale })
  })
})

describe('submitting', () => {
  const openToSubmit = async () => {
    const gate = gates()
    const held = await hold({ handlers: { gate: gate.handler } })
    const post = (body: unknown, headers: Record<string, string | readonly string[]> = {}) =>
      ask(held.served.path, `POST ${API}/plans`, { body, headers })
    const base = held.home
    return { ...held, gate, post, base }
  }

  test('a plan is answered with 201; the same under its key with 200, another with 409', async () => {
    const { post, base, runtime } = await openToSubmit()

    const made = await post({ plan: chain(), base }, { 'idempotency-key': 'k' })
    const again = await post({ plan: chain(), base, key: 'k' })
    const other = await post({ plan: chain('other'), base, key: 'k' })

    const { id } = made.json as { id: string }
    expect([made.status, made.headers['idempotent-replay']]).toEqual([201, undefined])
    expect(made.json).toMatchObject({ id, name: 'chain', key: 'k', state: 'running' })
    expect([again.status, again.headers['idempotent-replay']]).toEqual([200, 'true'])
    expect(again.json).toMatchObject({ id })
    expect(refused(other).slice(0, 2)).toEqual([409, 'KEY_CONFLICT'])
    expect(await runtime.catalog.plans()).toHaveLength(1)
  })

  test('of two bodies sent fifty times each at once under one key one is one plan, made once, and the other a conflict', async () => {
    const journal = await memoryJournal(memoryDisk('home'), { bootId: 'boot', pid: 1, build: 'test', at: 0 })
    const allThere = Promise.withResolvers<void>()
    let asked = 0
    const commit: Journal['commit'] = async (batch) => {
      // None is committed before all of them have come.
      if (asked > 0) await allThere.promise
      await journal.commit(batch)
    }
    const { runtime, served, home } = await hold(
      { handlers: { gate: gates().handler }, ports: { journal: async () => ({ ...journal, commit }) } },
      (each) => ({
        ...each,
        submit: (...given) => {
          asked += 1
          if (asked === 100) allThere.resolve()
          return each.submit(...given)
        },
      }),
    )
    const bodies = ['one', 'other'].map((name) => ({ plan: chain(name), base: home, key: 'k' }))

    const answers = await Promise.all(
      Array.from({ length: 100 }, async (_, at) => ({
        at,
        answer: await ask(served.path, `POST ${API}/plans`, { body: bodies[at % 2] }),
      })),
    )

    const made = answers.filter(({ answer }) => answer.status === 201)
    expect(made).toHaveLength(1)
    const [first] = made as [(typeof answers)[number]]
    const { id } = first.answer.json as { id: string }
    for (const { at, answer } of answers.filter((each) => each !== first)) {
      if (at % 2 !== first.at % 2) expect(refused(answer).slice(0, 2)).toEqual([409, 'KEY_CONFLICT'])
      else
        expect([
          answer.status,
          answer.headers['idempotent-replay'],
          (answer.json as { id: string }).id,
        ]).toEqual([200, 'true', id])
    }
    expect((await runtime.catalog.plans()).map((plan) => plan.id)).toEqual([id])
  })

  test('of the environment only what jobs may have is stored, and jobs run in the folder named', async () => {
    const { post, base, runtime } = await openToSubmit()
    const show = definePlan({
      name: 'show',
      jobs: {
        show: {
          run: 'echo "where=$PWD" >> $TENUTO_OUTPUT; echo "what=${LANG-} ${SECRET-none}" >> $TENUTO_OUTPUT',
        },
      },
    })

    const { json } = await post({ plan: show, base, env: { PATH: '/usr/bin:/bin', LANG: 'C', SECRET: 'x' } })
    const { jobs } = await (await runtime.plan((json as { id: string }).id)).settled()

    expect(jobs['show']).toMatchObject({ state: 'succeeded', outputs: { where: base, what: 'C none' } })
  })

  test('a definition is checked again, and every error is told', async () => {
    const { post, base, runtime } = await openToSubmit()
    const [first, second] = Object.values(chain().jobs)
    const bad = {
      ...chain(),
      jobs: { first: { ...first, needs: { nope: 'success' } }, second: { ...second, graceMs: -1 } },
    }

    const answer = await post({ plan: bad, base })

    const [status, code] = refused(answer)
    expect([status, code]).toEqual([422, 'PLAN_INVALID'])
    const { errors } = (answer.json as { error: { errors: { path: string; message: string }[] } }).error
    expect(errors.map(({ path }) => path)).toEqual(
      expect.arrayContaining(['jobs.second.grace', 'jobs.first.needs.nope']),
    )
    expect(
      refused(await post({ plan: definePlan({ name: 'x', jobs: { a: { call: 'unheard' } } }), base })).slice(
        0,
        2,
      ),
    ).toEqual([422, 'UNKNOWN_HANDLER'])
    for (const plan of [null, 1, 'text', [], {}, { version: 1 }]) {
      expect(refused(await post({ plan, base }))[0], JSON.stringify(plan)).toBe(422)
    }
    expect(await runtime.catalog.plans()).toEqual([])
  })

  test('a body that is wrong stores nothing and says why', async () => {
    const { post, base, runtime, served } = await openToSubmit()
    const raw = (text: string | Buffer, type = 'application/json') =>
      ask(served.path, `POST ${API}/plans`, { raw: text, headers: { 'content-type': type } })
    const plan = chain()

    expect(refused(await post({ base }))).toEqual([
      400,
      'USAGE',
      'plan is missing: the compiled plan, or its file as yaml',
    ])
    expect(refused(await post({ plan, yaml: 'plan: v1', base }))[2]).toContain('there are both plan and yaml')
    expect(refused(await post({ plan, base: 'here' }))[2]).toBe('base is "here"; it must be an absolute path')
    expect(refused(await post({ plan, base, env: { A: 1 } }))[2]).toBe('env.A is 1; it must be a text')
    expect(refused(await post({ plan, base, kye: 'k' }))[2]).toContain('the body has "kye"; it may have plan')
    expect(refused(await post({ plan, base, key: 'a' }, { 'idempotency-key': 'b' }))[0]).toBe(400)
    expect(refused(await post({ plan, base }, { 'idempotency-key': ['a', 'a'] }))[2]).toBe(
      'the header Idempotency-Key is there more than once; a plan has one key',
    )
    expect(refused(await post([plan]))[2]).toBe('the body is a list; it must be an object')
    expect(refused(await post({ plan, base, inputs: { to: 'x' } }))[2]).toBe(
      'inputs has "to"; it may have nothing',
    )
    expect(refused(await post({ plan, key: '' }))[2]).toBe(
      'key is ""; it must be a text of 1 to 200 characters',
    )
    expect(refused(await raw('{"plan": '))[2]).toContain('the body is no JSON')
    expect(refused(await raw('plan: v1', 'application/yaml'))[0]).toBe(400)
    expect(await runtime.catalog.plans()).toEqual([])
  })

  test('a plan file is submitted as it is; what is wrong in it is told with line and column', async () => {
    const { post, base, runtime } = await openToSubmit()
    const yaml = 'plan: v1\nname: build\njobs:\n  a:\n    run: exit 0\n'

    const wrong = await post({ yaml: yaml.replace('run:', 'rum:'), base })
    const stored = await runtime.catalog.plans()
    const right = await post({ yaml, base, key: 'k' })
    const same = await post({ yaml: `# the same\n${yaml}`, base, key: 'k' })

    expect(refused(wrong).slice(0, 2)).toEqual([422, 'PLAN_INVALID'])
    expect((wrong.json as { error: { errors: unknown[] } }).error.errors[0]).toMatchObject({
      file: null,
      line: 4,
      column: 3,
      path: 'jobs.a',
    })
    expect(stored).toEqual([])
    expect([right.status, right.json]).toEqual([201, expect.objectContaining({ name: 'build' })])
    expect([same.status, same.headers['idempotent-replay']]).toEqual([200, 'true'])
  })

  test('a plan without a folder runs in one of its own in the home, which goes with it', async () => {
    const { post, runtime } = await openToSubmit()
    const work = homePaths(runtime.home).work

    const answer = await post({ yaml: 'plan: v1\njobs: { a: { run: pwd > here } }' })
    const { id } = answer.json as { id: string }
    const { state } = await (await runtime.plan(id)).settled()
    const refusedOne = await post({ yaml: 'plan: v2' })
    const folders = readdirSync(work)
    const wrote = readFileSync(join(work, id, 'here'), 'utf8').trim()
    await runtime.idle()
    const removed = await runtime.gc({ olderThanMs: 0 })

    expect([answer.status, state]).toEqual([201, 'succeeded'])
    expect(refusedOne.status).toBe(422)
    expect(folders).toEqual([id])
    expect(wrote).toBe(join(realpathSync(runtime.home), 'work', id))
    expect(removed.plans.map((plan) => plan.id)).toEqual([id])
    expect(existsSync(join(work, id))).toBe(false)
  })

  test('a yaml that is too long to be read beside others, and a NUL where no process can take one, are refused and make nothing', async () => {
    const { post, runtime } = await openToSubmit()
    const yaml = 'plan: v1\njobs: { a: { run: pwd } }'
    const answers = [
      await post({ yaml: `${yaml}${' '.repeat(1_000_000)}` }),
      await post({ yaml, base: '/tmp/\0x' }),
      await post({ yaml, env: { PATH: '/bin\0' } }),
      await post({ yaml, key: 'a\0' }),
    ]

    expect(answers.map(({ status }) => status)).toEqual([400, 400, 400, 400])
    expect(await runtime.catalog.plans()).toEqual([])
  })

  test('a name that only looks like poison is told by the rules of plans', async () => {
    const { served, base } = await openToSubmit()
    const plan = JSON.stringify(chain()).replaceAll('"first"', '"__proto__"')

    const answer = await ask(served.path, `POST ${API}/plans`, {
      raw: `{"base":${JSON.stringify(base)},"plan":${plan}}`,
    })

    expect(refused(answer)[0]).toBe(422)
    expect(refused(answer)[2]).toContain('`__proto__` cannot be a name')
  })
})

describe('commands', () => {
  test('each is answered with its position; said twice it changes nothing', async () => {
    const { post, get, id } = await holdChain()
    const said: unknown[] = []
    for (const verb of ['pause', 'pause', 'continue', 'continue', 'cancel', 'cancel']) {
      const { status, json } = await post(`${API}/plans/${id}/${verb}`, { reason: 'a test', by: 'tester' })
      expect([status, json]).toEqual([202, { position: expect.any(Number), changed: expect.any(Boolean) }])
      said.push((json as { changed: boolean }).changed)
    }

    expect(said).toEqual([true, false, true, false, true, false])
    const { items } = (await get(`${API}/events`, { accept: 'application/json' })).json as {
      items: { type: string }[]
    }
    expect(items.map(({ type }) => type)).toEqual(
      expect.arrayContaining(['pause.requested', 'continue.requested', 'cancel.requested']),
    )
  })

  test('a job is skipped, cancelled and retried', async () => {
    const { post, runtime, id } = await holdChain()
    const ended = (job: string) => async () => {
      for await (const event of runtime.events({ plan: id }))
        if (event.job === job && event.to === 'cancelled') return
    }

    const skipped = await post(`${API}/plans/${id}/jobs/second/skip`)
    const cancelled = await post(`${API}/plans/${id}/jobs/first/cancel`, { now: true })
    await ended('first')()
    const settled = await (await runtime.plan(id)).settled()
    const retried = await post(`${API}/plans/${id}/jobs/first/retry`, { downstream: true, reason: 'again' })

    expect([skipped, cancelled, retried].map(({ status }) => status)).toEqual([202, 202, 202])
    expect(settled).toMatchObject({
      state: 'failed',
      jobs: { first: { state: 'cancelled' }, second: { state: 'skipped' } },
    })
    expect(await runtime.catalog.job(id, 'first')).toMatchObject({ generation: 2 })
  })

  test('a plan that is tried again while it runs goes on with what did not succeed; what runs is left alone', async () => {
    const gate = gates()
    let calls = 0
    const flaky = async () => {
      calls += 1
      if (calls === 1) throw new Error('not yet')
      return {}
    }
    const { submit, runtime, served } = await hold({ handlers: { gate: gate.handler, flaky } })
    const jobs = { slow: { call: 'gate' }, flaky: { call: 'flaky' } }
    const id = await submit(definePlan({ name: 'p', jobs }))
    const reached = (end: string) =>
      until(runtime.events({ plan: id, after: 0 }), ({ job, to }) => job === 'flaky' && to === end)
    const retry = async () => {
      const { status, json } = await ask(served.path, `POST ${API}/plans/${id}/retry`, { body: {} })
      return [status, (json as { changed?: boolean }).changed]
    }
    await gate.begun('slow')
    await reached('failed')

    expect(await retry()).toEqual([202, true])
    await reached('succeeded')
    expect(await retry()).toEqual([202, false])
    expect(await runtime.catalog.plan(id)).toMatchObject({ state: 'running', generation: 1 })
    const generations = (await runtime.catalog.jobs(id)).map(({ name, generation }) => [name, generation])
    expect(generations).toEqual([
      ['slow', 1],
      ['flaky', 2],
    ])
    gate.open('slow')
    expect(await (await runtime.plan(id)).settled()).toMatchObject({ state: 'succeeded' })
    expect(await retry()).toEqual([409, undefined])
  })

  test('what does not fit the state is refused with 409, and what does not fit the command with 400', async () => {
    const { post, id } = await holdChain()

    expect(refused(await post(`${API}/plans/${id}/jobs/first/skip`)).slice(0, 2)).toEqual([
      409,
      'WRONG_STATE',
    ])
    expect(refused(await post(`${API}/plans/${id}/pause`, { now: true }))[2]).toContain(
      'it may have reason, by',
    )
    expect(refused(await post(`${API}/plans/${id}/cancel`, { now: 1 }))[2]).toBe(
      'now is 1; it must be true or false',
    )
    expect(refused(await post(`${API}/plans/${id}/cancel`, { reason: ['a'] }))[0]).toBe(400)
    expect(refused(await post(`${API}/plans/${id}/jobs/first/retry`, { failed: true }))[0]).toBe(400)
    expect(refused(await post(`${API}/plans/${id}/cancel`, 'now'))[0]).toBe(400)
  })
})

describe('the socket', () => {
  test('is open to its user alone, is named in daemon.json, and goes when it is closed', async () => {
    const { home, served, runtime } = await hold()
    const daemon = () =>
      JSON.parse(readFileSync(join(home, 'daemon.json'), 'utf8')) as { sock: string | null }

    expect(served.path).toBe(join(home, 'sock'))
    expect(statSync(served.path).mode & 0o777).toBe(0o600)
    expect(daemon().sock).toBe(served.path)

    await served.close()
    await served.close()

    expect(existsSync(served.path)).toBe(false)
    expect(daemon().sock).toBeNull()
    await runtime.stop()
  })

  test('two homes do not mix, however long their names are', async () => {
    const root = folder()
    const gate = gates()
    const long = (name: string) => join(root, 'x'.repeat(120), name)
    for (const name of ['a', 'b']) mkdirSync(long(name), { recursive: true, mode: 0o700 })
    const homes = await Promise.all(
      [join(root, 'a'), join(root, 'b'), long('a'), long('b')].map((home) =>
        hold({ home, handlers: { gate: gate.handler } }),
      ),
    )
    const ids = await Promise.all(
      homes.map(({ client, home }) => client.submit(chain(), { base: home, key: 'same' })),
    )

    expect(new Set(homes.map(({ served }) => served.path)).size).toBe(4)
    for (const [index, { client }] of homes.entries()) {
      expect((await client.catalog.plans()).map(({ id }) => id)).toEqual([ids[index]?.id])
    }
  })

  test('a fault of ours is an answer of its own, and one line in the log of the home', async () => {
    const broken = new TypeError('no such luck')
    const { served, home } = await hold({}, (runtime) => ({
      ...runtime,
      catalog: { ...runtime.catalog, plans: () => Promise.reject(broken) },
    }))

    const answer = await ask(served.path, `GET ${API}/plans`)

    expect(refused(answer)).toEqual([500, 'INTERNAL', 'unexpected: no such luck'])
    const { request_id } = (answer.json as { error: { request_id: string } }).error
    const lines = readFileSync(join(home, 'daemon.log'), 'utf8')
      .split('\n')
      .filter((line) => line.includes(request_id))
    expect(lines).toHaveLength(1)
    expect((await ask(served.path, 'GET /version')).status).toBe(200)
  })
})
