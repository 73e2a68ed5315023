/** Secrets over HTTP: values come with the plan, and go nowhere. */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { homePaths } from '../../src/home.ts'
import { frames } from '../../src/http/sse.ts'
import { definePlan } from '../../src/index.ts'
import { secretsFile } from '../../src/secrets.ts'
import { holdOutside } from './outside.ts'
import { ask as askAt } from './served.ts'

const CANARY = 'canary-7f3a-9c21e4'
const PLAN = definePlan({
  name: 'p',
  jobs: { a: { run: 'printf "one %s two\\n" "$CANARY"', secrets: ['CANARY'] } },
})

const submitted = async () => {
  const held = await holdOutside()
  const body = { plan: PLAN, base: held.home, secrets: { CANARY } }
  const { status, json } = await held.ask('POST /api/v1/plans', { body })
  const { id } = json as { id: string }
  await (await held.runtime.plan(id)).settled()
  return { ...held, id, status, log: `/api/v1/plans/${id}/jobs/a/attempts/1/log` }
}

test('a plan brings the values of its secrets; without one, or with what is none, nothing is made', async () => {
  vi.stubEnv('CANARY', 'of-the-daemon')
  onTestFinished(() => void vi.unstubAllEnvs())
  const { ask, home, runtime } = await holdOutside()
  const post = (secrets: unknown) =>
    ask('POST /api/v1/plans', {
      body: { plan: PLAN, base: home, ...(secrets === undefined ? {} : { secrets }) },
    })

  const answers = await Promise.all(
    [undefined, {}, { CANARY: 'short' }, { CANARY: [CANARY] }, CANARY, { CANARY, OTHER: CANARY }].map(post),
  )

  const codes = answers.map(({ status, json }) => [status, (json as { error: { code: string } }).error.code])
  expect(codes).toEqual([
    [422, 'SECRET_MISSING'],
    [422, 'SECRET_MISSING'],
    [422, 'SECRET_UNUSABLE'],
    [400, 'USAGE'],
    [400, 'USAGE'],
    [400, 'USAGE'],
  ])
  for (const { text } of answers) expect(text).not.toContain('canary')
  expect(await runtime.catalog.plans()).toEqual([])
})

test('a body that is no JSON is refused without a word of it', async () => {
  const { ask } = await holdOutside()

  const { status, text } = await ask('POST /api/v1/plans', { raw: `{"secrets":{"CANARY":"${CANARY}" oops}}` })

  expect(status).toBe(400)
  expect(text).toContain('the body is no JSON')
  expect(text).not.toMatch(/canary|CANARY|oops/)
})

test('a log is masked by offset, in pieces of any size, and in its stream', async () => {
  const { ask, id, log, status, client } = await submitted()
  expect(status).toBe(201)
  const written = `one ${CANARY} two\n`.length

  const pieces: string[] = []
  for (let offset = 0; offset < written; ) {
    const { text, headers } = await ask(`GET ${log}?offset=${offset}&limit=5`)
    pieces.push(text)
    const next = Number(headers['x-tenuto-next'])
    expect(next - offset).toBeLessThanOrEqual(5)
    offset = next
    expect(headers['x-tenuto-size']).toBe(String(written))
  }
  const { text: stream } = await ask(`GET ${log}/stream`)
  const told: string[] = []
  for await (const { event, data } of frames([stream] as unknown as AsyncIterable<string>))
    if (event === 'chunk') told.push(Buffer.from(data, 'base64').toString())

  expect(pieces.join('')).toBe('one *** two\n')
  expect(told.join('')).toBe('one *** two\n')
  expect(Buffer.from((await client.catalog.log(id, 'a', 1, 0, 1000)).bytes).toString()).toBe('one *** two\n')
})

test('values are given again over HTTP, and none is ever answered or written to the log of the daemon', async () => {
  const { ask, askBare, id, home, runtime } = await submitted()
  const path = `/api/v1/plans/${id}/secrets`

  const listed = await ask(`GET ${path}`)
  const given = await ask(`POST ${path}`, { body: { secrets: { CANARY: 'canary-the-next' } } })
  const unknown = await ask(`POST ${path}`, { body: { secrets: { OTHER: CANARY } } })
  const foreign = await askBare(`POST ${path}`, { body: { secrets: { CANARY } } })
  const nowhere = await ask('POST /api/v1/plans/none-aaaaaa/secrets', { body: { secrets: { CANARY } } })
  const why = await ask(`POST /api/v1/plans/${id}/retry`, { body: { reason: `with ${CANARY}` } })

  const [note] = await runtime.catalog.notes(id)
  const told = { by: 'token', detail: { by: 'token', names: ['CANARY'] } }
  expect(note).toMatchObject({ type: 'secrets.given', plan: id, ...told })
  const items = [{ name: 'CANARY', place: 'jobs.a.secrets', kept: true }]
  expect(listed.json).toEqual({ items, next_cursor: null })
  expect(given).toMatchObject({ status: 200, json: { items, next_cursor: null } })
  expect([unknown, foreign, nowhere, why].map(({ status }) => status)).toEqual([400, 401, 404, 409])
  for (const { text } of [listed, given, unknown, foreign, nowhere, why])
    expect(text).not.toContain('canary-')
  const log = () => readFileSync(homePaths(home).log, 'utf8')
  await expect.poll(log).toContain('with ***')
  expect(log()).not.toContain('canary-')
})

test('who gives nothing is answered what there is, and nothing is on record', async () => {
  const { ask, id, runtime } = await submitted()

  const { status, json } = await ask(`POST /api/v1/plans/${id}/secrets`, { body: { secrets: {} } })

  expect([status, json]).toMatchObject([200, { items: [{ name: 'CANARY', kept: true }] }])
  expect((await runtime.catalog.notes(id)).map(({ type }) => type)).not.toContain('secrets.given')
})

test('a value in what is stored is refused under the name that the request has for it', async () => {
  const { ask, home } = await holdOutside()
  const post = (body: object) =>
    ask('POST /api/v1/plans', { body: { plan: PLAN, base: home, secrets: { CANARY }, ...body } })

  const answers = [
    await post({ reason: `since ${CANARY}` }),
    await post({ env: { TZ: CANARY } }),
    await post({ key: CANARY }),
    await post({ plan: { env: { TZ: CANARY }, jobs: { a: { run: 'true', secrets: ['CANARY'] } } } }),
  ]

  const places = answers.map(({ json }) => (json as { error: { fields: object } }).error.fields)
  expect(places).toMatchObject([
    { place: 'reason' },
    { place: 'environment.TZ' },
    { place: 'key' },
    { place: 'env.TZ' },
  ])
  expect(answers[0]?.text).toContain('stands in reason, which')
})

test('what is refused leaves no value in its answer, nor in the log of the daemon', async () => {
  const { ask, id, home } = await submitted()
  const other = 'canary-of-the-request'
  const secrets = { CANARY: other }
  const plans = '/api/v1/plans'
  const body = { plan: PLAN, base: home, secrets }

  const answers = [
    await ask(`POST ${plans}`, { body: { ...body, reason: `since ${other}` } }),
    await ask(`POST ${plans}`, { body: { ...body, [other]: 1, token: 'canary-mistyped' } }),
    await ask(`POST ${plans}`, { body: { ...body, env: { [other]: 1 } } }),
    await ask(`POST ${plans}`, { body: { ...body, secrets: other, reason: `since ${other}` } }),
    await ask(`POST ${plans}/${id}/secrets`, { body: { secrets, reason: `since ${other}, not ${CANARY}` } }),
    await ask(`POST ${plans}/none-aaaaaa/retry`, { body: { reason: `since ${CANARY}` } }),
  ]
  const paths = [
    await ask(`POST ${plans}/${id}/jobs/${CANARY}/retry`, { body: {} }),
    await ask(`POST ${plans}/${CANARY}/retry`, { body: {} }),
  ]

  expect(answers.map(({ status }) => status)).toEqual([422, 400, 400, 400, 400, 404])
  for (const { text } of answers) expect(text).not.toContain('canary-')
  expect(paths.map(({ status }) => status)).toEqual([404, 404])
  const told = () => readFileSync(homePaths(home).log, 'utf8')
  // In the order in which it was asked.
  await expect.poll(told).toContain(`POST ${plans}/***/retry`)
  expect(told().match(/since \*\*\*/g)).toHaveLength(4)
  expect(told()).toContain(`POST ${plans}/${id}/jobs/***/retry`)
  expect(told()).not.toContain('canary-')
})

test('a value that is cut in the refusal, or given in a wrong shape, is masked all the same', async () => {
  const { ask, home, token } = await holdOutside()
  const long = `canary-${'0123456789'.repeat(20)}`
  const number = 987_654_321
  const post = (body: object) => ask('POST /api/v1/plans', { body: { base: home, ...body } })

  const answers = [
    await post({ base: long, plan: PLAN, secrets: { CANARY: long } }),
    await post({ plan: PLAN, secrets: { CANARY: long }, [long]: 1 }),
    await post({
      base: `at ${'é'.repeat(25)} ${long}`,
      plan: PLAN,
      secrets: { CANARY: [[{ value: long }]] },
    }),
    await post({ base: String(number), plan: PLAN, secrets: { CANARY: number } }),
    await post({ plan: { jobs: { a: { run: 'true', secrets: ['CANARY'], needs: [long] } } }, secrets: long }),
    await post({ base: `since the beginning with ${token}`, plan: PLAN }),
  ]

  expect(answers.map(({ status }) => status)).toEqual([400, 400, 400, 400, 400, 400])
  for (const { text } of answers) expect(text).not.toMatch(/canary|987654321|tenuto_/)
  expect(answers[0]?.text).toContain('***…')
})

test('a reason given to the home is stored and told without the secrets of its plans, those that come later too', async () => {
  const { ask, home, runtime } = await submitted()
  const api = '/api/v1'
  const { json } = await ask(`POST ${api}/plans`, {
    body: { plan: PLAN, base: home, secrets: { CANARY: 'canary-of-another' } },
  })
  await (await runtime.plan((json as { id: string }).id)).settled()
  await ask(`POST ${api}/plans/${(json as { id: string }).id}/secrets`, {
    body: { secrets: { CANARY: 'canary-the-third' } },
  })
  const body = { reason: `since ${CANARY}, canary-of-another and canary-the-third` }

  const answers = []
  for (const what of ['sweep', 'gc', 'daemon/pause', 'daemon/resume', 'daemon/drain'])
    answers.push(await ask(`POST ${api}/${what}`, { body }))

  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200])
  const { mode } = homePaths(home)
  await expect.poll(() => readFileSync(homePaths(home).log, 'utf8').match(/since \*\*\*/g)?.length).toBe(7)
  const events = JSON.stringify(await runtime.catalog.events({ after: 0, limit: 1_000 }))
  expect(events.match(/since \*\*\*, \*\*\* and \*\*\*/g)).toHaveLength(5)
  for (const text of [events, readFileSync(mode, 'utf8'), readFileSync(homePaths(home).log, 'utf8')])
    expect(text).not.toContain('canary-')
  for (const { text } of answers) expect(text).not.toContain('canary-')
})

test('a reason given to a plan is stored and told without the secrets of the others, too', async () => {
  const { ask, home, runtime } = await submitted()
  const plans = '/api/v1/plans'
  const plan = definePlan({ name: 'asks', jobs: { gate: { approve: { prompt: 'Ship it?' } } } })
  const body = { reason: `since ${CANARY}` }

  const made = await ask(`POST ${plans}`, { body: { plan, base: home, ...body } })
  const { id } = made.json as { id: string }
  const answers = [made]
  for (const what of ['pause', 'continue', 'jobs/gate/reject', 'retry', 'cancel'])
    answers.push(await ask(`POST ${plans}/${id}/${what}`, { body }))

  expect(answers.map(({ status }) => status)).toEqual([201, 202, 202, 202, 202, 202])
  const events = await runtime.catalog.events({ plan: id, after: 0, limit: 1_000 })
  const told = events.filter(({ address }) => address === `plan:${id}` || address.endsWith('/gate'))
  expect(told.filter(({ why }) => why === 'since ***').map(({ type }) => type)).toEqual(
    expect.arrayContaining(['created', 'pause.requested', 'continue.requested', 'reject.requested']),
  )
  await expect.poll(() => readFileSync(homePaths(home).log, 'utf8').match(/since \*\*\*/g)?.length).toBe(6)
  for (const text of [JSON.stringify(events), readFileSync(homePaths(home).log, 'utf8')])
    expect(text).not.toContain('canary-')
})

test('the token of the home, typed where it does not belong, is stored and told nowhere', async () => {
  const { ask, id, home, served, token, runtime } = await submitted()
  const api = '/api/v1'
  const plan = definePlan({ name: 'p', jobs: { gate: { approve: { prompt: 'Ship it?' } } } })
  const asked = { reason: `since ${token}`, by: `who has ${token}` }
  const inside = (what: string, body: unknown) => askAt(served.path, `POST ${api}/${what}`, { body })

  const refused = [
    await ask(`POST ${api}/plans`, { body: { plan, base: home, key: token } }),
    await ask(`POST ${api}/plans`, { body: { plan }, headers: { 'idempotency-key': `k-${token}` } }),
    await inside('plans', { plan, env: { TZ: token } }),
    await inside('plans', { yaml: `plan: v1\njobs: { a: { run: "curl -H 'Bearer ${token}'" } }` }),
    await inside('plans', { plan: { jobs: { [token]: { run: 'true' } } } }),
    await inside('plans', { plan: { jobs: { a: { run: 'true', env: { T: btoa(token) } } } } }),
  ]
  const wrong = [
    await ask(`POST ${api}/plans/${id}/cancel`, { body: asked }),
    await ask(`POST ${api}/sweep`, { body: { [token]: 1 } }),
    await inside('plans', { yaml: `plan: v1\njobs: { a: { needs: [${token}], run: x } }` }),
    await askAt(served.path, `GET /${token}`),
    await askAt(served.path, `GET ${api}/plans/${token}`),
    await askAt(served.path, `GET ${api}/plans/${token}%ff`),
  ]
  const made = await inside('plans', { plan, base: home, ...asked })
  const { id: next } = made.json as { id: string }
  const taken = [made]
  for (const what of [`plans/${next}/pause`, `plans/${next}/continue`, `plans/${next}/jobs/gate/approve`])
    taken.push(await inside(what, asked))
  for (const what of ['sweep', 'gc', 'daemon/pause', 'daemon/resume']) taken.push(await inside(what, asked))
  taken.push(await inside(`plans/${id}/secrets`, { secrets: { CANARY }, by: asked.by }))

  const codes = refused.map(({ json }) => (json as { error: { code: string; fields: unknown } }).error)
  expect(codes.map(({ code, fields }) => [code, (fields as { place: string }).place])).toEqual([
    ['TOKEN_IN_CLEAR', 'key'],
    ['TOKEN_IN_CLEAR', 'key'],
    ['TOKEN_IN_CLEAR', 'environment.TZ'],
    ['TOKEN_IN_CLEAR', 'jobs.a.run'],
    ['TOKEN_IN_CLEAR', 'jobs.***'],
    ['TOKEN_IN_CLEAR', 'jobs.a.env.T'],
  ])
  expect(wrong.map(({ status }) => status)).toEqual([400, 400, 422, 404, 404, 400])
  expect(taken.map(({ status }) => status)).toEqual([201, 202, 202, 202, 200, 200, 200, 200, 200])
  const events = JSON.stringify(await runtime.catalog.events({ after: 0, limit: 1_000 }))
  expect(events.match(/"since \*\*\*"/g)).toHaveLength(8)
  expect(events.match(/"who has \*\*\*"/g)).toHaveLength(10)
  const log = () => readFileSync(homePaths(home).log, 'utf8')
  await expect.poll(log).toContain(`POST ${api}/plans/${id}/secrets`)
  expect(log().match(/since \*\*\*/g)).toHaveLength(10)
  for (const { text } of [...refused, ...wrong, ...taken]) expect(text).not.toContain(token)
  const files = readdirSync(home, { recursive: true, withFileTypes: true }).filter((file) => file.isFile())
  const told = files
    .map(({ parentPath, name }) => join(parentPath, name))
    .filter((path) => readFileSync(path).includes(token))
  expect(told).toEqual([homePaths(home).token])
})

test('who follows a log while values are lost and others are given sees nothing of it that is not masked', async () => {
  const { ask, home, runtime } = await holdOutside()
  const run = 'echo "one $CANARY"; while ! test -e go; do sleep 0.02; done; echo "two $CANARY"'
  const plan = definePlan({ name: 'p', jobs: { a: { run, secrets: ['CANARY'] } } })
  const { json } = await ask('POST /api/v1/plans', { body: { plan, base: home, secrets: { CANARY } } })
  const { id } = json as { id: string }
  const log = `/api/v1/plans/${id}/jobs/a/attempts/1/log`
  await expect.poll(async () => (await ask(`GET ${log}`)).text).toBe('one ***\n')
  const followed = ask(`GET ${log}/stream`).then(
    ({ text }) => text,
    () => '',
  )
  await expect.poll(() => runtime.state()).toMatchObject({ sections: { http: { data: { streams: 1 } } } })

  rmSync(secretsFile(home, id))
  await ask(`POST /api/v1/plans/${id}/secrets`, { body: { secrets: { CANARY: 'quite-another' } } })
  writeFileSync(join(home, 'go'), '')
  await (await runtime.plan(id)).settled()

  const told: string[] = []
  for await (const { event, data } of frames([await followed] as unknown as AsyncIterable<string>))
    if (event === 'chunk') told.push(Buffer.from(data, 'base64').toString())
  expect(told.join('')).not.toContain('canary-')
  expect(await ask(`GET ${log}`)).toMatchObject({ status: 409, json: { error: { code: 'LOG_WITHHELD' } } })
})
