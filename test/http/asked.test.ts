/** Who asked for what, and why: on record for everything that changes something, and nobody speaks for another. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { homePaths } from '../../src/home.ts'
import { definePlan } from '../../src/plans/define-plan.ts'
import { operator } from '../../src/process.ts'
import { holdOutside, type Outside } from './outside.ts'
import { ask } from './served.ts'

const API = '/api/v1'

const holdQuestion = async () => {
  const outside = await holdOutside()
  const id = await outside.submit(
    definePlan({
      name: 'p',
      jobs: { a: { approve: { prompt: 'ok?' } }, b: { approve: { prompt: 'and?' } } },
    }),
  )
  await outside.runtime.idle()
  return { ...outside, id }
}

const outputsOf = async ({ runtime }: Outside, id: string, job: string) =>
  (await runtime.catalog.job(id, job)).outputs

const asked = ({ home }: Outside): readonly Record<string, unknown>[] =>
  readFileSync(homePaths(home).log, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter(({ msg }) => msg === 'asked to change something')

test('an approval over TCP is that of the token or the session, and no body can say otherwise', async () => {
  const outside = await holdQuestion()
  const { id, askBare, ask: askIn, letIn, url } = outside
  const session = { cookie: await letIn(), origin: url }
  const approve = (job: string) => `POST ${API}/plans/${id}/jobs/${job}/approve`

  const forged = await askIn(approve('a'), { body: { by: 'root' } })
  expect([forged.status, forged.text]).toEqual([
    400,
    expect.stringContaining('over TCP it is who asks') as string,
  ])
  expect((await askBare(approve('a'), { headers: session, body: { by: 'token' } })).status).toBe(400)
  expect((await askIn(`POST ${API}/dead-letters/1/discard`, { body: { by: 'root' } })).status).toBe(400)
  expect((await askIn(approve('a'), { body: { reason: 'looks good' } })).status).toBe(202)
  expect((await askBare(approve('b'), { headers: session, body: {} })).status).toBe(202)
  await outside.runtime.idle()

  expect(await outputsOf(outside, id, 'a')).toMatchObject({ by: 'token' })
  expect(await outputsOf(outside, id, 'b')).toMatchObject({
    by: expect.stringMatching(/^session [0-9a-f]{8}$/) as string,
  })
})

test('on the socket it is the user of the home, or whom a command of theirs names', async () => {
  const outside = await holdQuestion()
  const { id, served } = outside

  await ask(served.path, `POST ${API}/plans/${id}/jobs/a/approve`, { body: {} })
  await ask(served.path, `POST ${API}/plans/${id}/jobs/b/approve`, { body: { by: 'a bot of mine' } })
  await outside.runtime.idle()

  expect(await outputsOf(outside, id, 'a')).toMatchObject({ by: operator() })
  expect(await outputsOf(outside, id, 'b')).toMatchObject({ by: 'a bot of mine' })
})

test('each request that changes something is in the log with who, what, why and the answer; one that reads is not', async () => {
  const outside = await holdQuestion()
  const { id, ask: askIn, askBare, client, letIn } = outside

  await askIn(`POST ${API}/plans/${id}/pause`, { body: { reason: 'lunch' } })
  await askIn(`POST ${API}/plans/nothing/pause`, { body: {} })
  await askIn(`GET ${API}/state`)
  await askBare(`POST ${API}/sweep`, { body: {} })
  await client.sweep()
  await letIn()
  const { headers } = await askIn(`POST ${API}/plans`, {
    body: { plan: definePlan({ name: 'q', jobs: { a: { run: 'true' } } }), base: outside.home },
  })

  expect(headers.location).toMatch(new RegExp(`^${API}/plans/q-\\w{6}$`))
  const session = expect.stringMatching(/^session [0-9a-f]{8}$/) as string
  const plain = { request_id: expect.any(String) as string, why: null }
  await expect
    .poll(() => asked(outside))
    .toMatchObject([
      {
        ...plain,
        by: 'token',
        way: 'token',
        asked: `POST ${API}/plans/${id}/pause`,
        why: 'lunch',
        answered: 202,
      },
      { ...plain, by: 'token', asked: `POST ${API}/plans/nothing/pause`, answered: 404 },
      { ...plain, by: operator(), way: 'socket', asked: `POST ${API}/sweep`, answered: 200 },
      { ...plain, by: operator(), way: 'socket', asked: `POST ${API}/links`, answered: 201 },
      { ...plain, by: session, way: 'session', asked: 'GET /open/:link', answered: 303 },
      { ...plain, by: 'token', asked: `POST ${API}/plans`, made: headers.location, answered: 201 },
    ])
})
