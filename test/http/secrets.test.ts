/** Secrets over HTTP: values come with the plan, and go nowhere. */
import { readFileSync } from 'node:fs'
import { expect, onTestFinished, test, vi } from 'vitest'
import { homePaths } from '../../src/home.ts'
import { frames } from '../../src/http/sse.ts'
import { definePlan } from '../../src/index.ts'
import { holdOutside } from './outside.ts'

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
    offset = Number(headers['x-tenuto-next'])
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
  expect(note).toMatchObject({ type: 'secrets.given', plan: id, detail: { by: 'token', names: ['CANARY'] } })
  const items = [{ name: 'CANARY', place: 'jobs.a.secrets', kept: true }]
  expect(listed.json).toEqual({ items, next_cursor: null })
  expect(given).toMatchObject({ status: 200, json: { items, next_cursor: null } })
  expect([unknown, foreign, nowhere, why].map(({ status }) => status)).toEqual([400, 401, 404, 409])
  for (const { text } of [listed, given, unknown, foreign, nowhere, why])
    expect(text).not.toContain('canary-')
  await vi.waitFor(() => {
    const told = readFileSync(homePaths(home).log, 'utf8')
    expect(told).toContain('with ***')
    expect(told).not.toContain('canary-')
  })
})
