import picocolors from 'picocolors'
import { expect, onTestFinished, test, vi } from 'vitest'
import { type FollowOptions, follow } from '../../src/cli/follow.ts'
import type { Source } from '../../src/cli/home.ts'
import { telling } from '../../src/cli/run.ts'
import { ASCII, type Screen } from '../../src/cli/screen.ts'
import { turn } from '../../src/clock.ts'
import { TenutoError } from '../../src/errors.ts'
import type { HomeClient } from '../../src/http/client.ts'
import type { AttemptShape, EventShape, JobShape, PlanShape, StorageShape } from '../../src/views/shapes.ts'
import { ago, attempt, job, page, plan } from './shapes.ts'

/** A plan in which nothing happens any more, with what its jobs wrote. */
const still = (
  head: PlanShape,
  jobs: readonly JobShape[],
  told: Readonly<{
    logs?: Record<string, string>
    attempts?: Record<string, readonly AttemptShape[]>
    events?: readonly EventShape[]
    /** Why no log is shown. */
    withheld?: TenutoError
  }> = {},
): Source =>
  ({
    catalog: {
      plan: async () => head,
      jobs: async () => jobs,
      job: async (_: string, name: string) => jobs.find((each) => each.name === name),
      attempts: async (_: string, name: string) => told.attempts?.[name] ?? [],
      log: async (_plan: string, name: string, _attempt: number, offset: number, limit: number) => {
        if (told.withheld) throw told.withheld
        const bytes = Buffer.from(told.logs?.[name] ?? '')
        return { bytes: bytes.subarray(offset, offset + limit), next: bytes.length, size: bytes.length }
      },
    },
    events: async function* () {
      yield* told.events ?? []
    },
    command: async () => {
      throw new Error('nothing is asked of it')
    },
  }) as unknown as Source

/** Follows it; answers what was said and the exit code. */
const following = async (source: Source, flags: Partial<Screen> = {}, more: Partial<FollowOptions> = {}) => {
  let said = '\n'
  const paint = picocolors.createColors(false)
  const on: Screen = {
    json: false,
    quiet: false,
    live: false,
    asks: false,
    width: 80,
    paint,
    marks: ASCII,
    table: { ...page(80, 24, ASCII), write: () => {} },
    answer: () => {},
    tell: () => {},
    bytes: () => {},
    talk: (text) => {
      said += `${text}\n`
    },
    talkThrough: () => {},
    ...flags,
  }
  const { exit } = await follow(source, 'release-3k9d2a', on, { homeFlag: ' --home h', here: false, ...more })
  return { said, exit }
}

const failed = (name: string, known: Partial<JobShape> = {}) =>
  job(name, { state: 'failed', reason: 'exit', attempt: 1, ...known })

test('what failed says how, the end of what it wrote without what would steer, and what can be done', async () => {
  const source = still(
    plan({ state: 'failed', reason: 'exit' }),
    [failed('extra', { optional: true }), failed('unit', { attempt: 2 })],
    {
      logs: {
        unit: 'one\ntwo\nthree\nfour\n10%\r100%\r\n\u001b[31mboom\u001b[0m \u001b[2J\u001b[9A\u202e\nlast',
      },
      attempts: {
        unit: [attempt(), attempt({ n: 2, outcome: 'exit', code: 3, error: 'no \u001b[2Jspace' })],
        extra: [attempt({ outcome: 'timeout', code: null })],
      },
    },
  )

  expect(await following(source)).toEqual({
    exit: 1,
    said: `

x unit failed: exit 3 (attempt 2)
    no space
    three
    four
    100%
    boom \\u202e
    last
  see all of it: tenuto logs release-3k9d2a/unit --home h

x extra failed: its time was up; it is optional

try again what did not succeed: tenuto retry release-3k9d2a --failed --home h
`,
  })
})

test('a plan whose jobs were each cancelled by order says so of each', async () => {
  const cancelled = (name: string) => job(name, { state: 'cancelled', reason: 'operator', attempt: 0 })
  const { said } = await following(
    still(plan({ state: 'failed', reason: 'operator' }), [cancelled('a'), cancelled('b')]),
  )

  expect(said).toContain('x a was cancelled by order\n')
  expect(said).toContain('x b was cancelled by order\n')
  expect(said).toContain('try again what did not succeed: tenuto retry release-3k9d2a --failed --home h\n')
})

test.each([
  ['nobody answered in time', ['timer.fired']],
  ['was not approved', ['reject.requested']],
  ['was not approved', ['timer.fired', 'reopened', 'reject.requested']],
  ['nobody answered in time', ['reject.requested', 'reopened', 'timer.fired']],
])('who comes when all is over is told of a question that it %s: %j', async (words, types) => {
  const gate = job('gate', { kind: 'approve', state: 'failed', reason: 'approval-denied' })
  const events = types.map((type, at): EventShape => {
    const [from, to] = type === 'reopened' ? ['failed', 'waiting'] : ['waiting', 'failed']
    const address = `job:${gate.plan}/gate`
    return {
      position: at + 1,
      at: gate.since,
      plan: gate.plan,
      job: 'gate',
      address,
      seq: at + 1,
      type,
      from,
      to,
    }
  })
  const source = still(plan({ state: 'failed', reason: 'approval-denied' }), [gate], { events })

  expect((await following(source)).said).toContain(`x gate failed: ${words}\n`)
})

test.each([
  new TenutoError('LOG_WITHHELD', { plan: 'release-3k9d2a', job: 'unit', attempt: 1, path: '/log' }),
  new TenutoError('SECRETS_GONE', { plan: 'release-3k9d2a', names: 'KEY' }),
])('what failed is told also where its log is not shown, and why: $code', async (withheld) => {
  const source = still(plan({ state: 'failed', reason: 'exit' }), [failed('unit')], { withheld })

  const { said, exit } = await following(source)

  expect([exit, said]).toEqual([1, expect.stringContaining('x unit failed: ')])
  expect(said.replaceAll(/\s+/g, ' ')).toContain(withheld.message)
  expect(said).not.toContain('tenuto logs')
})

test('an attempt whose end a full disk keeps from being taken in is not said to run on when time is up', async () => {
  const source = {
    ...still(plan({ state: 'running' }), [job('unit', { state: 'running', attempt: 1 })]),
    events: async function* ({ follow: on = true, signal }: { follow?: boolean; signal?: AbortSignal }) {
      if (on) await new Promise((resolve) => signal?.addEventListener('abort', resolve))
      yield* []
    },
  } as unknown as Source
  const up = { here: true, timeoutMs: 1 }

  const { said, exit } = await following(source, {}, { ...up, living: async () => 0 })
  const before = await following(source, {}, up)

  expect([exit, before.exit]).toEqual([8, 8])
  expect(said).toContain('time is up; no attempt runs, and nothing new of')
  expect(before.said).toContain('time is up; 1 attempt still runs')
})

test('of many failures five are told, and how many more there are', async () => {
  const names = Array.from({ length: 7 }, (_, at) => `job-${at}`)
  const { said } = await following(
    still(
      plan({ state: 'failed' }),
      names.map((name) => failed(name)),
    ),
  )

  expect(said.match(/^x job-/gm)).toHaveLength(5)
  expect(said).toContain('\n.. and 2 more failures: tenuto show release-3k9d2a --home h\n')
})

test('every job that waits for a person is named with what to decide, up to twenty', async () => {
  const lost = (at: number) => job(`job-${at}`, { state: 'waiting', reason: 'lost', attempt: 1 })
  const one = await following(still(plan(), [lost(1)]))
  expect(one).toEqual({
    exit: 10,
    said: `
job-1 waits for a person: an attempt may have had effects and its end was not seen
  decide: tenuto retry release-3k9d2a/job-1 --home h, or the same with skip or cancel
`,
  })

  const { said } = await following(
    still(
      plan(),
      Array.from({ length: 25 }, (_, at) => lost(at)),
    ),
  )
  expect(said.match(/waits for a person/g)).toHaveLength(20)
  expect(said).toContain('\n.. and 5 more wait for a person: tenuto show release-3k9d2a --home h\n')
})

test('a plan that was paused or quarantined says how to go on; -q says nothing', async () => {
  const paused = still(plan({ state: 'paused', reason: 'paused' }), [job('a')])
  expect(await following(paused)).toMatchObject({
    exit: 11,
    said: expect.stringContaining('tenuto continue'),
  })
  expect(await following(paused, { quiet: true })).toEqual({ exit: 11, said: '\n' })

  const quarantined = still(plan({ state: 'quarantined', reason: 'fault' }), [job('a')])
  expect(await following(quarantined)).toMatchObject({
    exit: 10,
    said: '\nrelease-3k9d2a is quarantined.  go on: tenuto continue release-3k9d2a --home h\n',
  })

  // What runs ends first; of a plan that cannot be loaded nobody would hear of it.
  const aside = plan({ state: 'quarantined', reason: 'fault', error: 'a row is damaged' })
  const running = job('a', { state: 'running', attempt: 1 })
  expect(await following(still(aside, [running]))).toMatchObject({
    exit: 10,
    said: expect.stringContaining('restore a backup') as string,
  })
})

/** A plan of jobs that are held until each is told to be queued, and what is told after that; the rows say why they are not started. */
const releasing = (count: number, reason: string, last: readonly EventShape[] = []) => {
  const names = Array.from({ length: count }, (_, at) => `j${at}`)
  let reads = 0
  let isTold = false
  const told = names.map(
    (name, at) =>
      ({
        position: at + 1,
        at: ago(0),
        plan: 'release-3k9d2a',
        address: `job:release-3k9d2a/${name}`,
        job: name,
        type: 'released',
        from: 'held',
        to: 'queued',
        reason: 'slot',
      }) as unknown as EventShape,
  )
  const rows = () => names.map((name) => job(name, isTold ? { state: 'queued', reason } : {}))
  const source = {
    ...still(plan(), []),
    catalog: {
      plan: async () => plan(),
      jobs: async () => {
        reads += 1
        return rows()
      },
    },
    events: async function* ({
      follow = true,
      signal,
    }: Readonly<{ follow?: boolean; signal?: AbortSignal }>) {
      if (!follow) return
      isTold = true
      yield* told
      yield* last
      await new Promise((resolve) => signal?.addEventListener('abort', resolve))
    },
  } as unknown as Source
  return { source, reads: () => reads }
}

test('the rows of a plan are not read again for each of its events', async () => {
  const over = {
    position: 9_999,
    at: ago(0),
    plan: 'release-3k9d2a',
    address: 'plan:release-3k9d2a',
    type: 'settled',
    from: 'running',
    to: 'succeeded',
  } as unknown as EventShape
  const { source, reads } = releasing(2_000, 'slot', [over])

  expect(await following(source)).toMatchObject({ exit: 0 })
  // Before the first event: for the names, behind what has happened, and for whether anything moves.
  expect(reads()).toBeLessThanOrEqual(4)
})

/** Broken on purpose once, and seen: a follower that does not hear that it is continued. */
test('a follower that is continued, as by fg, looks at once whether a person can lead on', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  onTestFinished(() => void vi.useRealTimers())
  let reason: JobShape['reason'] = 'slot'
  let looks = 0
  const source = {
    ...still(plan({ state: 'running' }), []),
    catalog: {
      plan: async () => plan({ state: 'running' }),
      jobs: async () => {
        looks += 1
        return [job('a', { state: 'queued', reason })]
      },
    },
    events: async function* ({
      follow: on = true,
      signal,
    }: Readonly<{ follow?: boolean; signal?: AbortSignal }>) {
      if (on) await new Promise((resolve) => signal?.addEventListener('abort', resolve))
      yield* []
    },
  } as unknown as Source

  const end = following(source)
  // For the names, behind what has happened, and for whether anything moves; then only time would make it look.
  while (looks < 3 || vi.getTimerCount() === 0) await turn()
  reason = 'paused'
  process.emit('SIGCONT', 'SIGCONT')

  expect(await end).toMatchObject({ exit: 11 })
  expect(looks).toBe(4)
  expect(process.listenerCount('SIGCONT')).toBe(0)
})

test('a plan whose queued jobs only the rows know to be held back is seen to stand still when nothing more is told', async () => {
  const { source } = releasing(3, 'paused')

  expect(await following(source)).toMatchObject({ exit: 11 })
})

test.each([
  ['tenuto up', 'the daemon'],
  ['tenuto run', 'tenuto run (pid 7)'],
])('a holder that waits for its journal is named as what it is: %s', async (command, who) => {
  const storage: StorageShape = {
    status: 'unavailable',
    as_of: null,
    age_ms: null,
    error: { code: 'STORE_FULL', message: 'no room on /disk', hint: 'make room' },
    data: { since: ago(0), tries: 1, next_try_at: null, failed_commits: 1 },
  }
  const said: string[] = []
  const holder = {
    holder: { command, pid: 7 },
    events: async function* (query: { storage: (now: StorageShape) => void }) {
      query.storage(storage)
      query.storage(storage)
      query.storage({ ...storage, status: 'ok', error: null })
      yield* []
    },
  } as unknown as HomeClient

  for await (const _ of telling(holder, { talk: (line) => said.push(line) }).events({ after: 0 }));

  expect(said).toEqual([
    expect.stringMatching(`^${who.replace(/[()]/g, '\\$&')} is waiting: no room on /disk\\.`),
    'the journal can be written again; all goes on',
  ])
})
