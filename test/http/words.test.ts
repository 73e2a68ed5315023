/**
 * What a refusal over HTTP says is to be done: a request, where one does it.
 *
 * Mutations that were planted once, and each found: hints of the command line sent as they are; the client's taken from the answer; a
 * route that does more than what was asked, for a job that was named where a plan is wanted.
 */
import { expect, test } from 'vitest'
import { type Command, wrongState } from '../../src/command.ts'
import { type ErrorCode, isTenutoError, TenutoError } from '../../src/errors.ts'
import { envelope, openEnvelope } from '../../src/http/envelope.ts'
import { ERROR_FIELDS, ERROR_FIELDS_OF } from '../../src/http/examples.ts'
import { errorsOf } from '../../src/http/openapi.ts'
import { OPERATIONS } from '../../src/http/operations.ts'
import { hintOverHttp } from '../../src/http/words.ts'
import { definePlan } from '../../src/plans/define-plan.ts'
import { ask, gates, hold } from './served.ts'

const API = '/api/v1'

/** What only somebody on the machine of the holder can do. */
const ON_THE_MACHINE = /^(up|open|status|doctor|resume PLAN|restore FILE)\b/

/** Whether a route is one of the table. */
const isRoute = (called: string): boolean => {
  const [method = '', url = ''] = called.split(' ')
  const parts = url.split('?')[0]?.split('/') ?? []
  return Object.keys(OPERATIONS).some((name) => {
    const [own, path = ''] = name.split(' ')
    const pattern = path.split('/')
    return (
      own === method &&
      pattern.length === parts.length &&
      pattern.every((part, at) => part.startsWith(':') || part === parts[at])
    )
  })
}

const COMMANDS: readonly Command['do'][] = [
  'cancel',
  'pause',
  'continue',
  'retry',
  'skip',
  'now',
  'approve',
  'reject',
]

/** Every refusal that a route may answer with, and every word that one for a state may have. */
const refusals = (): readonly TenutoError[] => {
  const codes = new Set<ErrorCode>(Object.values(OPERATIONS).flatMap((each) => errorsOf(each)))
  const all = [...codes, 'ROUTE_UNKNOWN' as const, 'METHOD_UNKNOWN' as const].map(
    (code) => new TenutoError(code, { ...ERROR_FIELDS, plan: 'PLAN', ...ERROR_FIELDS_OF[code] }),
  )
  const unmet = { why: 'it failed', job: 'a' }
  const states = COMMANDS.flatMap((verb) =>
    ['PLAN', 'PLAN/a.b'].flatMap((ref) =>
      ['running', 'failed', 'succeeded', 'waiting'].flatMap((state) =>
        ['running', 'quarantined', 'cancelling'].flatMap((plan) =>
          [0, 1].flatMap((failures) =>
            [{}, { unmet }, { overdue: '2026-03-14T09:02:00Z' }].map((more) =>
              wrongState(ref, { do: verb }, { state, plan, failures, ...more }),
            ),
          ),
        ),
      ),
    ),
  )
  return [...all, ...states]
}

test('every hint names routes that are there, and commands for the machine of the holder alone', () => {
  for (const error of refusals()) {
    const hint = hintOverHttp(error)
    for (const [, command = ''] of hint.matchAll(/`tenuto ([^`]+)`/g))
      expect(command, `${error.code}: ${hint}`).toMatch(ON_THE_MACHINE)
    for (const [, called = ''] of hint.matchAll(/`((?:GET|POST) [^`]+)`/g))
      expect(isRoute(called), `${error.code}: ${called}`).toBe(true)
    // A client of ours says it in its own words.
    const body = JSON.stringify(envelope(error, 'req-1'))
    expect(openEnvelope(body)).toMatchObject({ code: error.code, message: error.message, hint: error.hint })
  }
})

test.each([
  ['dead discard 3', `\`POST ${API}/dead-letters/3/discard\``],
  ['dead redeliver 3', `\`POST ${API}/dead-letters/3/redeliver\``],
  ['retry p --failed', `\`POST ${API}/plans/p/retry\` with \`{"failed":true}\``],
  ['retry p/a[1] --downstream', `\`POST ${API}/plans/p/jobs/a%5B1%5D/retry\` with \`{"downstream":true}\``],
  ['show p', `\`GET ${API}/plans/p?jobs=true\``],
  ['show p/a', `\`GET ${API}/plans/p/jobs/a\``],
  ['version', '`GET /version`'],
  ['ls --state failed', '`tenuto ls --state failed`'],
  ['cancel p --home /h', '`tenuto cancel p --home /h`'],
  ['restore FILE', '`tenuto restore FILE`'],
])('tenuto %s is told as %s', (command, told) => {
  const error = new TenutoError('WRONG_STATE', { remedy: `\`tenuto ${command}\` helps` })

  expect(hintOverHttp(error)).toBe(`${told} helps`)
})

test('who asks with curl is told what to ask next, who asks with tenuto what to type', async () => {
  const gate = gates()
  const { served, client, submit } = await hold({ handlers: { gate: gate.handler } })
  const id = await submit(definePlan({ name: 'one', jobs: { 'a.b': { call: 'gate' } } }))
  await gate.begun('a.b')
  const hintOf = async (what: string, body?: unknown) =>
    ((await ask(served.path, what, { body })).json as { error: { hint: string } }).error.hint

  expect(await hintOf(`GET ${API}/plans?limit=0`)).toContain(`\`GET ${API}/openapi.json\``)
  expect(await hintOf(`GET ${API}/plans/none-aaaaaa`)).toContain(`\`GET ${API}/plans\``)
  expect(await hintOf(`GET ${API}/dead-letters/x`)).toBe(
    `an id is a whole number, and \`GET ${API}/dead-letters\` lists those that are kept; one that was redelivered or discarded is among them no more`,
  )
  expect(await hintOf(`POST ${API}/plans/${id}/jobs/a.b/skip`)).toBe(
    `\`POST ${API}/plans/${id}/jobs/a.b/cancel\` stops it`,
  )
  await ask(served.path, `POST ${API}/daemon/drain`, { body: {} })
  expect(await hintOf(`POST ${API}/plans`, { plan: definePlan({ jobs: { a: { run: 'x' } } }) })).toContain(
    `\`POST ${API}/daemon/resume\``,
  )

  await expect(client.command(id, 'a.b', { do: 'skip' })).rejects.toMatchObject({
    hint: `\`tenuto cancel ${id}/a.b\` stops it`,
  })
  await expect(client.catalog.deadLetter(9)).rejects.toMatchObject({
    hint: expect.stringContaining('`tenuto dead`'),
  })
})

test('a path that names something by another name than the route takes is told what that is, and where to ask', async () => {
  const gate = gates()
  const { served, runtime, submit } = await hold({ handlers: { gate: gate.handler } })
  const id = await submit(
    definePlan({ name: 'one', jobs: { a: { call: 'gate' }, b: { call: 'gate', needs: ['a'] } } }),
  )
  await gate.begun('a')
  const before = await runtime.catalog.events({ after: 0, limit: 100 })
  const say = async (method: string, ...parts: readonly string[]) => {
    const path = parts.map(encodeURIComponent).join('/')
    const { status, json } = await ask(served.path, `${method} ${API}/${path}`)
    const { code, message, hint } = (json as { error: Record<string, string> }).error
    return [status, code, message, hint]
  }
  const aPlan = 'here the id of a plan is wanted'
  const aJob = 'here the id of a plan and the name of a job is wanted'
  const at = (route: string) => route.replace('/', `${API}/`)
  const rows: readonly (readonly [readonly string[], string, string])[] = [
    [
      ['POST', 'plans', 'one', 'cancel'],
      `one is plan ${id}; ${aPlan}`,
      `for the plan: \`POST ${at(`/plans/${id}/cancel`)}\``,
    ],
    [['GET', 'plans', 'one'], `one is plan ${id}; ${aPlan}`, `for the plan: \`GET ${at(`/plans/${id}`)}\``],
    [
      ['POST', 'plans', `${id}/a#1`, 'cancel'],
      `${id}/a#1 is attempt 1 of job a of plan ${id}; ${aPlan}`,
      `for the job: \`POST ${at(`/plans/${id}/jobs/a/cancel`)}\``,
    ],
    [
      ['POST', 'plans', `${id}/a`, 'pause'],
      `${id}/a is job a of plan ${id}; ${aPlan}`,
      `for the plan: \`POST ${at(`/plans/${id}/pause`)}\``,
    ],
    [
      ['POST', 'plans', id, 'jobs', 'a#1', 'cancel'],
      `${id}/a#1 is attempt 1 of job a of plan ${id}; ${aJob}`,
      `for the job: \`POST ${at(`/plans/${id}/jobs/a/cancel`)}\``,
    ],
    [
      ['POST', 'plans', id, 'jobs', `${id}/a#1`, 'skip'],
      `${id}/a#1 is attempt 1 of job a of plan ${id}; ${aJob}`,
      `for the job: \`POST ${at(`/plans/${id}/jobs/a/skip`)}\``,
    ],
    [
      ['GET', 'plans', 'one', 'jobs', 'a', 'attempts', '1', 'log'],
      `one/a is job a of plan ${id}; ${aJob}`,
      `for the job: \`GET ${at(`/plans/${id}/jobs/a/attempts/N/log`)}\``,
    ],
    [
      ['GET', 'plans', 'one', 'jobs', 'none'],
      `one is plan ${id}; ${aJob}`,
      `for the job: \`GET ${at(`/plans/${id}/jobs/JOB`)}\``,
    ],
  ]

  for (const [[method = '', ...parts], message, hint] of rows)
    expect(await say(method, ...parts)).toEqual([404, 'REF_MISPLACED', message, hint])
  for (const parts of [
    ['plans', 'none-aaaaaa', 'cancel'],
    ['plans', id, 'jobs', 'none', 'cancel'],
    ['plans', id, 'jobs', 'a#2', 'cancel'],
    ['plans', '', 'cancel'],
  ])
    expect((await say('POST', ...parts)).slice(0, 2)).toEqual([404, 'REF_NOT_FOUND'])
  expect((await say('GET', 'plans', id, 'jobs', 'a', 'attempts', '2', 'log')).slice(0, 2)).toEqual([
    404,
    'REF_NOT_FOUND',
  ])
  expect(await runtime.catalog.events({ after: 0, limit: 100 })).toEqual(before)
  expect(
    isTenutoError(await runtime.catalog.plan('one').catch((error: unknown) => error), 'REF_NOT_FOUND'),
  ).toBe(true)
})
