/**
 * One actor, looked into: what it remembers, what waits for it, when it wakes and what it did last, from the journal alone.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import stringWidth from 'string-width'
import { expect, onTestFinished, test } from 'vitest'
import { catalog } from '../src/catalog.ts'
import { inspectionLines } from '../src/cli/inspection.ts'
import { UNICODE } from '../src/cli/screen.ts'
import type { RetryPolicy } from '../src/definition.ts'
import { inspecting } from '../src/inspecting.ts'
import { vault } from '../src/secrets.ts'
import { iso } from '../src/views/shapes.ts'
import { planOf } from './support/definitions.ts'
import { type Life, openLife, PLAN } from './support/life.ts'

const RETRY: RetryPolicy = { max: 2, delayMs: 60_000, factor: 1, maxDelayMs: 60_000, jitter: 0, on: ['exit'] }
const open = async (home = '/nowhere') => {
  const life = await openLife()
  onTestFinished(() => life.host().stop())
  const look = (job: string | null) =>
    inspecting(life.journal(), catalog(life.journal(), home), home)(PLAN, job)
  return { life, look }
}
const lines = (told: Awaited<ReturnType<ReturnType<typeof inspecting>>>, life: Life) =>
  inspectionLines(told, life.clock.now(), { width: 80, marks: UNICODE })

test('a job that waits to be tried again: its machine, what it remembers, when it wakes, what it did', async () => {
  const { life, look } = await open()
  await life.submit(planOf({ a: { retry: RETRY, deadlineMs: 600_000 } }))
  const began = life.clock.now()
  life.attempts.end('a', 'exit', { code: 3, pid: 7 })
  await life.quiet()

  const told = await look('a')

  expect(told).toMatchObject({
    ref: `${PLAN}/a`,
    address: `job:${PLAN}/a`,
    state: 'backoff',
    reason: 'backoff',
    machine: 'job/1',
    seq: 4,
    context: { attempt: 1, failures: 1, policy: { retry: { max: 2 } } },
    timers: [
      { name: 'backoff', due: iso(began + 60_000) },
      { name: 'deadline', due: iso(began + 600_000) },
    ],
    mailbox: { items: [], more: false },
    attempt: { n: 1, outcome: 'exit', code: 3 },
    board: { index: 0, place: 'released', state: 'backoff', unmet: 0, attempt: 1, actor: true },
    path: ['root', 'jobs', `job:${PLAN}/a`],
    wrong: [],
  })
  expect(told.steps.map(({ type, to }) => `${type} ${to}`)).toEqual([
    'attempt.ended backoff',
    'slot.granted running',
    'released queued',
    'created held',
  ])
  const text = lines(told, life)
  for (const line of text) expect(stringWidth(line), line).toBeLessThanOrEqual(80)
  for (const part of [
    /backoff at .* \(in 1m/,
    /1, exit 3/,
    /failures: 1/,
    /attempt.ended .*running → backoff/,
  ])
    expect(text.join('\n')).toMatch(part)
})

test('a job that is only a row has no machine, and a question wakes when its time is up', async () => {
  const { life, look } = await open()
  const approve = { prompt: 'Ship it?', timeoutMs: 5_000 }
  await life.submit(planOf({ gate: { kind: 'approve', approve }, b: { needs: ['gate'] } }))

  expect(await look('b')).toMatchObject({
    machine: null,
    seq: 0,
    context: null,
    timers: [],
    attempt: null,
    steps: [],
    board: { place: 'held', unmet: 1, actor: false },
  })
  expect((await look('gate')).timers).toEqual([{ name: 'approval', due: iso(life.clock.now() + 5_000) }])
  expect(lines(await look('b'), life).join('\n')).toContain('none yet: it is a row on the board of its plan')
  await expect(look('nobody')).rejects.toMatchObject({ code: 'REF_NOT_FOUND' })
})

test('what waits for a plan that is set aside is told by id, type and age, and no more than twenty', async () => {
  const { life, look } = await open()
  const names = Array.from({ length: 25 }, (_, at) => `j${at}`)
  await life.submit(planOf(Object.fromEntries(names.map((name) => [name, {}])), { maxParallel: 25 }))
  await life.tell(null, 'faulted', { error: 'no good' })
  await life.quiet()
  const at = life.clock.now()
  for (const name of names) life.attempts.end(name, 'succeeded')
  await life.quiet()

  const told = await look(null)

  expect(told).toMatchObject({
    kind: 'plan',
    state: 'quarantined',
    machine: 'plan/1',
    board: null,
    attempt: null,
  })
  expect(told.mailbox.items).toHaveLength(20)
  expect(told.mailbox.items[0]).toMatchObject({ type: 'job.settled', since: iso(at), deliveries: 0 })
  expect(told.mailbox.more).toBe(true)
  expect(told.path).toEqual(['root', 'plans', `plan:${PLAN}`])
})

test('what an actor remembers is told without the secrets of its plan, and not at all where they are gone', async () => {
  const home = mkdtempSync(join(tmpdir(), 'tenuto-inspected-'))
  onTestFinished(() => rmSync(home, { recursive: true, force: true }))
  const { life, look } = await open(home)
  await life.submit(planOf({ 'canary-5f1d7c': { secrets: ['A'] } }))
  expect(await look('canary-5f1d7c')).toMatchObject({
    context: null,
    wrong: [expect.stringContaining('secret') as string],
  })

  vault(home).keep(PLAN, { A: 'canary-5f1d7c' })

  expect((await look('canary-5f1d7c')).context).toMatchObject({ job: '***' })
})

test('a row that is damaged costs what it holds, and that is said', async () => {
  const { life, look } = await open()
  await life.submit(planOf({ a: {} }))
  life.disk.faults.damaged = new Set([`job:${PLAN}/a`])

  const told = await look('a')

  expect(told).toMatchObject({ state: 'running', machine: null, context: null, steps: [], attempt: null })
  expect(told.wrong.length).toBeGreaterThan(0)
  expect(told.board).toMatchObject({ state: 'running' })
})
