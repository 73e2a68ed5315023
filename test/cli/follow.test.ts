import picocolors from 'picocolors'
import { expect, test } from 'vitest'
import { follow } from '../../src/cli/follow.ts'
import type { Source } from '../../src/cli/home.ts'
import { ASCII, type Screen } from '../../src/cli/screen.ts'
import type { AttemptShape, JobShape, PlanShape } from '../../src/views/shapes.ts'
import { attempt, job, page, plan } from './shapes.ts'

/** A plan in which nothing happens any more, with what its jobs wrote. */
const still = (
  head: PlanShape,
  jobs: readonly JobShape[],
  told: Readonly<{ logs?: Record<string, string>; attempts?: Record<string, readonly AttemptShape[]> }> = {},
): Source =>
  ({
    catalog: {
      plan: async () => head,
      jobs: async () => jobs,
      job: async (_: string, name: string) => jobs.find((each) => each.name === name),
      attempts: async (_: string, name: string) => told.attempts?.[name] ?? [],
      log: async (_plan: string, name: string, _attempt: number, offset: number, limit: number) => {
        const bytes = Buffer.from(told.logs?.[name] ?? '')
        return { bytes: bytes.subarray(offset, offset + limit), next: bytes.length, size: bytes.length }
      },
    },
    events: async function* () {},
    command: async () => {
      throw new Error('nothing is asked of it')
    },
  }) as unknown as Source

/** Follows it; answers what was said and the exit code. */
const following = async (source: Source, flags: Partial<Screen> = {}) => {
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
  const { exit } = await follow(source, 'release-3k9d2a', on, { homeFlag: ' --home h', here: false })
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
