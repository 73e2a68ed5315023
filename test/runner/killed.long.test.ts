import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { FILES, type Outcome, readExitRecord } from '../../src/attempt.ts'
import { fileThere, openHome, processGone, textThere } from './home.ts'

const program = fileURLToPath(new URL('main-killed.ts', import.meta.url))

/** Everything that the runner writes of one attempt, in order; what is found by the next one; and whether the job has run. */
const POINTS: readonly (readonly [point: string, outcome: Outcome, ran: boolean])[] = [
  ['before mkdirSync 1', 'succeeded', true],
  ['after mkdirSync 1', 'succeeded', true],
  ['before mkdirSync artifacts', 'succeeded', true],
  ['before writeFileSync claim', 'succeeded', true],
  // Who decided is not known, and that nothing was started is.
  ['torn writeFileSync claim', 'never-started', false],
  ['after writeFileSync claim', 'never-started', false],
  ['before writeFileSync needs.json', 'never-started', false],
  ['torn writeFileSync needs.json', 'never-started', false],
  ['after writeFileSync needs.json', 'never-started', false],
  ['before openSync log', 'never-started', false],
  // From here on it may have had effects.
  ['after openSync log', 'lost', false],
  ['before spawn sh', 'lost', false],
  ['after spawn sh', 'lost', true],
  ['before linkSync main', 'lost', true],
  ['after linkSync main', 'lost', true],
  ['before writeFileSync process.json', 'lost', true],
  ['torn writeFileSync process.json', 'lost', true],
  ['after writeFileSync process.json', 'lost', true],
  ['before writeFileSync log.hole.json.tmp', 'lost', true],
  ['torn writeFileSync log.hole.json.tmp', 'lost', true],
  ['before renameSync log.hole.json', 'lost', true],
  ['after renameSync log.hole.json', 'lost', true],
  ['after spawn fallocate', 'lost', true],
  ['before writeFileSync exit.json.tmp', 'lost', true],
  ['torn writeFileSync exit.json.tmp', 'lost', true],
  ['after writeFileSync exit.json.tmp', 'lost', true],
  ['before renameSync exit.json', 'lost', true],
  ['after renameSync exit.json', 'succeeded', true],
]

/** One that every runner has, at whatever it writes when it takes up what another left. */
const AGAIN: readonly string[] = [
  'before writeFileSync exit.json.tmp',
  'torn writeFileSync exit.json.tmp',
  'before renameSync exit.json',
  'after renameSync exit.json',
]

/** The job: it lives until the runner has been killed, or, where it is killed at the end, until it was seen. */
const lifeOf = (point: string): string => {
  const isAtEnd = point.includes('exit.json')
  const flood = point.includes('log.hole') || point.includes('fallocate') ? 'head -c 4000000 /dev/zero; ' : ''
  const until = isAtEnd ? '' : 'until test -e killed; do sleep 0.02; done; sleep 0.2; '
  return `echo x >> ledger; ${flood}${until}exit 0`
}

type Killed = Readonly<{ outcome: Outcome; ran: string; recorded: boolean; left: number }>

/** What becomes of one attempt whose runners are killed at these points, one after another. */
const killedAt = async (points: readonly string[], isDaemonKilled: boolean): Promise<Killed> => {
  const { home, shell, executor, marked, dispose } = openHome({ program })
  writeFileSync(join(home, 'kill-at'), `${points.join('\n')}\n`)
  const spec = shell(lifeOf(points[0] as string), { logLimitBytes: 1_000_000, headBytes: 100_000 })
  let daemon = executor(1)
  daemon.ensure(spec)
  for (const [index, point] of points.entries()) {
    await textThere(join(home, 'killed'), point)
    const pid = readFileSync(join(home, 'killed'), 'utf8').trim().split('\n')[index]?.split(' ').at(-1)
    await processGone(Number(pid))
    if (!isDaemonKilled) continue
    await daemon.close()
    daemon = executor(index + 2)
    daemon.ensure({ ...spec, recovered: true })
  }
  const { record } = await daemon.ended(spec.key)
  const exit = join(spec.dir, FILES.exit)
  await fileThere(exit)
  const ledger = join(home, 'ledger')
  const result = {
    outcome: record.outcome,
    ran: existsSync(ledger) ? readFileSync(ledger, 'utf8') : '',
    recorded: readExitRecord(readFileSync(exit, 'utf8'))?.outcome === record.outcome,
    left: marked().length,
  }
  await dispose()
  return result
}

const expected = (outcome: Outcome, ran: boolean): Killed => ({
  outcome,
  ran: ran ? 'x\n' : '',
  recorded: true,
  left: 0,
})

/** A few at a time: what is to be shown does not depend on speed. */
const all = async <T>(works: readonly (() => Promise<T>)[]): Promise<readonly T[]> => {
  const found: T[] = []
  let next = 0
  const worker = async (): Promise<void> => {
    for (let at = next++; at < works.length; at = next++) found[at] = await (works[at] as () => Promise<T>)()
  }
  await Promise.all([worker(), worker(), worker(), worker()])
  return found
}

test.each([
  ['the runner', false],
  ['the runner and its daemon', true],
])(
  'kill -9 of %s before, in and after each write: the end is what the files prove, the job ran at most once',
  async (_, isDaemonKilled) => {
    const ends = await all(
      POINTS.map(
        ([point]) =>
          () =>
            killedAt([point], isDaemonKilled),
      ),
    )

    const told = POINTS.map(([point], at) => [point, ends[at]])
    expect(told).toEqual(POINTS.map(([point, outcome, ran]) => [point, expected(outcome, ran)]))
  },
)

test('kill -9 of the runner again while it takes up what the first has left: the same end, and no second run', async () => {
  const firsts = POINTS.filter(([point]) =>
    [
      'torn writeFileSync claim',
      'after openSync log',
      'after spawn sh',
      'torn writeFileSync exit.json.tmp',
    ].includes(point),
  )
  const pairs = firsts.flatMap((first) => AGAIN.map((again) => ({ first, again })))

  const ends = await all(
    pairs.map(
      ({ first, again }) =>
        () =>
          killedAt([first[0], again], true),
    ),
  )

  expect(pairs.map(({ first, again }, at) => [first[0], again, ends[at]])).toEqual(
    pairs.map(({ first: [point, outcome, ran], again }) => [point, again, expected(outcome, ran)]),
  )
})

test('a descendant that leads a group of its own is not taken for the main process, which has ended unseen', async () => {
  const { home, shell, executor, marked } = openHome({ program })
  writeFileSync(join(home, 'kill-at'), 'after linkSync main\n')
  const spec = shell('setsid sleep 1000 & until test -e killed; do sleep 0.02; done; : > over')
  const first = executor(1)
  first.ensure(spec)
  await textThere(join(home, 'killed'), 'after linkSync main')
  await first.close()
  await fileThere(join(home, 'over'))
  // The shell ends a moment after its last command; what it has left stays.
  await expect.poll(() => marked().length).toBe(1)

  const second = executor(2)
  second.ensure({ ...spec, recovered: true })
  const { record } = await second.ended(spec.key)

  expect(record).toMatchObject({ outcome: 'lost', leftovers: 1 })
  expect(marked()).toEqual([])
})

test('kill -9 of the job is its own end; of job and runner at once nobody saw the end', async () => {
  const { home, shell, executor, runnerPid, main } = openHome()
  const { ensure, ended } = executor()
  const jobs = [shell(': > one; exec sleep 1000'), shell(': > two; exec sleep 1000')] as const
  for (const job of jobs) ensure(job)
  await Promise.all([fileThere(join(home, 'one')), fileThere(join(home, 'two'))])
  const [one, two] = await Promise.all(jobs.map(({ key }) => main(key)))

  process.kill(one as number, 'SIGKILL')
  const seen = await ended(jobs[0].key)
  const runner = await runnerPid()
  process.kill(runner, 'SIGSTOP')
  process.kill(two as number, 'SIGKILL')
  process.kill(runner, 'SIGKILL')
  const unseen = await ended(jobs[1].key)

  expect(seen.record).toMatchObject({ outcome: 'signal', signal: 'SIGKILL', pid: one })
  expect(unseen.record).toMatchObject({ outcome: 'lost', code: null, signal: null })
})
