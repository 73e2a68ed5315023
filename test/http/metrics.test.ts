/**
 * `GET /metrics`: what has happened is counted from the journal, so that a restart changes nothing; how it is now is what the state says;
 * what cannot be told is left out.
 *
 * Mutations that were planted once, and each found: counting that begins where the runtime began; zeros told where the journal cannot be
 * read.
 */
import { expect, onTestFinished, test } from 'vitest'
import { serveHome } from '../../src/http/server.ts'
import { createRuntime, definePlan } from '../../src/index.ts'
import { memoryJournal } from '../../src/journal/memory.ts'
import { memoryDisk } from '../../src/journal/memory-disk.ts'
import { sqliteReader } from '../../src/journal/reader.ts'
import { countSteps, emptyHistory } from '../../src/views/history.ts'
import { ask, folder, gates, hold } from './served.ts'

/** The samples of an answer, by name and labels. */
const samples = (text: string): ReadonlyMap<string, number> =>
  new Map(
    text
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
  )
/** What has happened. */
const HISTORY =
  /^tenuto_(attempts|jobs_ended|plans_ended|retries|plans_taken_up|recovered_attempts|repairs|dead_letters(_settled)?)_total|^tenuto_(attempt|plan)_seconds/

const handlers = {
  flaky: ({ attempt, job }: { attempt: number; job: string }) => {
    if (job === 'bad' || attempt < 2) throw new Error('no')
    return {}
  },
}
const definition = (name: string) => {
  const retry = { max: 1, delay: '10ms', jitter: 0 } as const
  return definePlan({
    name,
    jobs: {
      a: { call: 'flaky', retry },
      b: { call: 'flaky', retry, needs: ['a'] },
      bad: { call: 'flaky' },
      after: { call: 'flaky', needs: ['bad'] },
    },
  })
}

test('counters are equal over three restarts, equal to a second reading of the journal, and to what is known to have happened', async () => {
  const home = folder()
  const seen: (readonly (readonly [string, number])[])[] = []
  for (let life = 0; life < 4; life += 1) {
    const runtime = await createRuntime({ home, handlers })
    onTestFinished(() => runtime.stop())
    if (life === 0)
      for (const name of ['p', 'q', 'r']) await (await runtime.submit(definition(name))).settled()
    await runtime.idle()
    const served = await serveHome(runtime)
    const { status, headers, text } = await ask(served.path, 'GET /metrics')
    expect([status, headers['content-type']]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8'])
    seen.push([...samples(text)].filter(([name]) => HISTORY.test(name)))
    // Asked twice, nothing is counted twice.
    expect(samples((await ask(served.path, 'GET /metrics')).text).get('tenuto_retries_total')).toBe(6)
    await served.close()
    await runtime.stop()
  }

  for (const again of seen) expect(again).toEqual(seen[0])
  const numbers = new Map(seen[0])
  expect(Object.fromEntries([...numbers].filter(([name]) => /_total/.test(name)))).toEqual({
    'tenuto_attempts_total{outcome="exit"}': 9,
    'tenuto_attempts_total{outcome="succeeded"}': 6,
    'tenuto_jobs_ended_total{state="failed"}': 3,
    'tenuto_jobs_ended_total{state="skipped"}': 3,
    'tenuto_jobs_ended_total{state="succeeded"}': 6,
    'tenuto_plans_ended_total{state="failed"}': 3,
    tenuto_dead_letters_total: 0,
    tenuto_plans_taken_up_total: 0,
    tenuto_retries_total: 6,
  })
  expect(numbers.get('tenuto_attempt_seconds_count')).toBe(15)
  const reader = await sqliteReader(`${home}/journal.db`)
  const read = [emptyHistory(), emptyHistory()] as const
  for (const history of read) countSteps(history, await reader.steps({ after: 0, limit: 100_000 }))
  await reader.close()
  expect(read[0]).toEqual(read[1])
  expect(numbers.get('tenuto_attempt_seconds_sum')).toBeCloseTo(read[0].attemptSeconds.sum)
  expect(numbers.get('tenuto_attempt_seconds_bucket{le="+Inf"}')).toBe(read[0].attemptSeconds.count)
  expect(numbers.get('tenuto_plan_seconds_count')).toBe(3)
})

test('what is so now is told as the state tells it: states, slots, streams, commits', async () => {
  const gate = gates()
  const { served, submit, client, runtime } = await hold({ handlers: { wait: gate.handler }, maxParallel: 2 })
  const jobs = {
    a: { call: 'wait' },
    b: { call: 'wait' },
    c: { call: 'wait' },
    d: { call: 'wait', needs: ['a'] },
  } as const
  await submit(definePlan({ name: 'p', jobs }))
  await Promise.all([gate.begun('a'), gate.begun('b')])
  const leave = new AbortController()
  onTestFinished(() => leave.abort())
  await client.events({ after: 0, signal: leave.signal })[Symbol.asyncIterator]().next()

  const numbers = samples((await ask(served.path, 'GET /metrics')).text)

  const said = (name: string) => numbers.get(name)
  expect({
    running: said('tenuto_jobs{state="running"}'),
    queued: said('tenuto_jobs{state="queued"}'),
    held: said('tenuto_slots_held'),
    waits: said('tenuto_slots_queued'),
    limit: said('tenuto_slots_limit'),
    streams: said('tenuto_http_streams'),
    up: said('tenuto_section_up{section="journal"}'),
  }).toEqual({ running: 2, queued: 1, held: 2, waits: 1, limit: 2, streams: 1, up: 1 })
  expect(said('tenuto_commit_seconds_count')).toBe(runtime.counts().commits)
  expect(said('tenuto_journal_position')).toBe((await runtime.state()).position)
})

test('what has happened is left out while it cannot be read, and nothing is told as zero', async () => {
  const journal = await memoryJournal(memoryDisk('home'), { bootId: 'boot', pid: 1, build: 'test', at: 0 })
  let isBroken = false
  const steps: typeof journal.steps = async (query) => {
    if (isBroken) throw new Error('no')
    return journal.steps(query)
  }
  const { served, submit, runtime } = await hold({
    handlers,
    ports: { journal: async () => ({ ...journal, steps }) },
  })
  const id = await submit(definition('p'))
  await (await runtime.plan(id)).settled()
  isBroken = true
  const broken = samples((await ask(served.path, 'GET /metrics')).text)
  isBroken = false
  const whole = samples((await ask(served.path, 'GET /metrics')).text)

  expect(broken.has('tenuto_retries_total')).toBe(false)
  expect(broken.get('tenuto_jobs{state="failed"}')).toBe(1)
  expect(whole.get('tenuto_retries_total')).toBe(2)
})
