import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readHolder } from '../../src/holder.ts'
import { homePaths } from '../../src/home.ts'
import { fileThere } from '../runner/home.ts'
import { openFolder } from './tenuto.ts'

const gated = 'until test -e go; do sleep 0.05; done'

test('after kill -9 of a run, reading says that nobody drives it, how many attempts run, and how to go on', async () => {
  const { file, start, run, home } = openFolder()
  file(
    'p.yaml',
    `plan: v1\nname: p\nmaxParallel: 2\njobs:\n  a: { run: "${gated}" }\n  b: { run: "${gated}" }\n  c: { needs: [a], run: "true" }\n`,
  )
  const first = start('run', 'p.yaml')
  await first.heard('/b #1 running')
  const held = await run('ls')
  await first.killed()

  const told: string[] = []
  for (const words of [['ls', '--json'], ['show', 'p'], ['logs', 'p/a'], ['events']]) {
    const { code, err } = await run(...words)
    expect(code).toBe(0)
    told.push(err)
  }
  const quiet = await run('ls', '-q')
  file('go', '')
  const { code } = await run('resume')
  const over = await run('ls')

  expect(held.err).toBe('')
  for (const err of told) {
    expect(err).toContain('nobody drives this home: 1 plan of it has not ended')
    expect(err).toContain('2 attempts still run, nothing new starts')
    expect(err).toMatch(
      new RegExp(`tenuto resume --home ${home}  stop: tenuto cancel p-\\w{6} --home ${home}`),
    )
  }
  expect(quiet.err).toBe('')
  expect(code).toBe(0)
  expect(over.err).toBe('')
})

/** Broken on purpose once, and seen: a log that is given up when its holder is gone; what is lost of the rest when nobody else is waited for. */
test('logs -f of what outlives its holder goes on with it, and says once that nobody holds the home', async () => {
  const { file, start, run, folder } = openFolder()
  const writes =
    'echo one; until test -e go; do sleep 0.05; done; echo two; until test -e on; do sleep 0.05; done'
  file(
    'p.yaml',
    `plan: v1\nname: p\njobs:\n  a: { run: "${writes}; : > over" }\n  b: { needs: [a], run: "echo three" }\n`,
  )
  const first = start('run', 'p.yaml')
  await first.heard('/a #1 running')
  const [job, plan, events] = [
    start('logs', 'p/a', '-f'),
    start('logs', 'p', '-f'),
    start('events', 'p', '-f'),
  ]
  await Promise.all([job.heard('one'), plan.heard('a | one'), events.heard('slot.granted')])

  first.child.kill('SIGKILL')
  await Promise.all([job.heard('nobody holds this home'), plan.heard('nobody holds this home')])
  const late = start('logs', 'p/a', '-f')
  await late.heard('nobody holds this home')
  file('go', '')
  await Promise.all([job.heard('two'), plan.heard('a | two'), late.heard('two')])
  const status = await run('status')
  const watched = await events.said
  file('on', '')
  await fileThere(join(folder, 'over'))
  const [followed, after] = [await job.said, await late.said]
  await run('resume')

  for (const { code, out, err } of [followed, after]) {
    expect([code, out]).toEqual([0, 'one\ntwo\n'])
    expect(err).toMatch(
      /^nobody holds this home; what runs of (p-\w{6}) writes on.*tenuto resume \1 --home \S+\n$/,
    )
  }
  expect(watched.code).toBe(5)
  const both = 'go on with `tenuto resume --home'
  expect(watched.err).toMatch(/nobody holds \S+, and 1 plan of it \(p-\w{6}\) has not ended/)
  expect(watched.err).toContain(both)
  expect(watched.err).toContain('or start a daemon with `tenuto up --home')
  expect([status.code, status.err]).toEqual([
    5,
    expect.stringMatching(/^go on: tenuto resume --home \S+ {2}or start a daemon: tenuto up --home \S+\n$/),
  ])
})

/** `logs -f` of a plan whose holder was killed while its first job waits for the file `go`. */
const followedPastItsHolder = async () => {
  const opened = openFolder()
  const { file, start } = opened
  file(
    'p.yaml',
    `plan: v1\nname: p\njobs:\n  a: { run: "echo one; ${gated}; echo two" }\n  b: { needs: [a], run: "echo three" }\n`,
  )
  const first = start('run', 'p.yaml')
  await first.heard('/a #1 running')
  const plan = start('logs', 'p', '-f')
  await plan.heard('a | one')
  first.child.kill('SIGKILL')
  await plan.heard('nobody holds this home')
  return { ...opened, plan }
}

test('logs -f of a plan whose holder was killed is told of the rest by whoever takes it up', async () => {
  const { file, start, home, plan } = await followedPastItsHolder()
  const second = start('resume', 'p')
  await expect.poll(() => readHolder(homePaths(home).daemon)?.command).toBe('tenuto resume')
  file('go', '')

  expect((await second.said).code).toBe(0)
  const { code, out } = await plan.said
  // Of two jobs neither waits for the lines of the other.
  const of = (name: string) => out.split('\n').filter((line) => line.startsWith(name))
  expect([code, of('a'), of('b')]).toEqual([0, ['a | one', 'a | two'], ['b | three']])
})

test('logs -f of a plan is told of the rest also where whoever took it up has come and gone unseen', async () => {
  const { file, start, plan } = await followedPastItsHolder()

  plan.child.kill('SIGSTOP')
  const second = start('resume', 'p')
  file('go', '')
  expect((await second.said).code).toBe(0)
  plan.child.kill('SIGCONT')

  const { code, out } = await plan.said
  expect([code, out]).toEqual([0, 'a | one\na | two\nb | three\n'])
})

test('of five that resume at once one goes on with the plan, and the others follow it', async () => {
  const { file, run, start, folder, home } = openFolder()
  file(
    'p.yaml',
    'plan: v1\nname: p\njobs:\n  a: { run: ": > up; while ! test -e go; do sleep 0.05; done" }\n',
  )
  const first = start('run', 'p.yaml')
  await fileThere(join(folder, 'up'))
  first.child.kill('SIGKILL')
  await first.said

  const all = [[], ['p'], [], ['p'], []].map((ref) => start('resume', ...ref))
  const said = all.map(({ said: end }) => end)
  await expect.poll(() => readHolder(homePaths(home).daemon)?.command).toBe('tenuto resume')
  file('go', '')

  for (const { code, err } of await Promise.all(said))
    expect([code, err]).toEqual([0, expect.not.stringContaining('tenuto:')])
  expect(JSON.parse((await run('show', 'p', '--json')).out)).toMatchObject({ state: 'succeeded' })
})

test('a paused plan of which nothing runs is not spoken of at every look', async () => {
  const { file, run } = openFolder()
  file(
    'p.yaml',
    'plan: v1\nname: p\nmaxParallel: 1\nonFailure: pause\njobs:\n  a: { run: "false" }\n  b: { run: "true" }\n',
  )
  const { code } = await run('run', 'p.yaml')

  expect(code).toBe(11)
  expect((await run('ls')).err).toBe('')
})

test('when the time of a foreground run is up it says what runs on, and that nothing new starts', async () => {
  const { file, run, folder } = openFolder()
  file(
    'p.yaml',
    `plan: v1\nname: p\njobs:\n  a: { run: "${gated}" }\n  b: { needs: [a], run: ": > b-ran" }\n`,
  )

  // Time enough for a runner to start and to begin the attempt, which is what runs on.
  const late = await run('run', 'p.yaml', '--timeout', '5s')
  const paused = await run('pause', 'p')
  const continued = await run('continue', 'p')
  file('go', '')
  const resumed = await run('resume', 'p')

  expect(late.code).toBe(8)
  expect(late.err).toMatch(
    /time is up; 1 attempt still runs, and nothing new of (p-\w+) starts before: tenuto resume \1 /,
  )
  expect(late.err).not.toContain('goes on')
  expect(paused.code).toBe(0)
  expect(continued.out).toContain('may go on')
  expect(continued.err).toContain('1 attempt still runs, and nothing new starts; go on: tenuto resume')
  expect(resumed.code).toBe(0)
  expect(existsSync(join(folder, 'b-ran'))).toBe(true)
})

test('logs -f of a run that is just starting waits for its holder and for the log, and follows it to the end', async () => {
  const { file, start, home } = openFolder()
  file(
    'p.yaml',
    `plan: v1\nname: p\njobs:\n  a: { run: "${gated}" }\n  b: { needs: [a], run: "echo one; sleep 0.3; echo two" }\n  c: { needs: [b], run: "true" }\n`,
  )
  const running = start('run', 'p.yaml')
  // The journal has the plan before the socket is there.
  await expect.poll(() => existsSync(join(home, 'journal.db')), { interval: 1 }).toBe(true)
  await running.heard('/a #1 running')
  const first = start('logs', 'p/a', '-f')
  const second = start('logs', 'p/b', '-f')
  const plan = start('logs', 'p', '-f')
  await second.heard('has not begun')
  file('go', '')

  expect(await second.said).toMatchObject({ code: 0, out: 'one\ntwo\n' })
  expect(await first.said).toMatchObject({ code: 0, out: '' })
  expect(await plan.said).toMatchObject({ code: 0, out: 'b | one\nb | two\n' })
  expect(await running.said).toMatchObject({ code: 0 })
})

/** Broken on purpose once, and seen: an approve that always says that nothing runs yet; an attempt whose log is that of the latest. */
test('an approve that ends its plan says so, and an attempt that is shown names its own log', async () => {
  const { file, run } = openFolder()
  const gate = '  gate: { needs: [a], approve: { prompt: Ship it? } }\n'
  file(
    'p.yaml',
    `plan: v1\nname: p\njobs:\n  a: { run: 'test -e once || { touch once; exit 1; }', retry: { max: 1, delay: 10ms } }\n${gate}`,
  )
  file(
    'q.yaml',
    `plan: v1\nname: q\njobs:\n  a: { run: 'true' }\n${gate}  z: { needs: [gate], run: 'true' }\n`,
  )
  expect((await run('run', 'p.yaml')).code).toBe(10)
  expect((await run('run', 'q.yaml')).code).toBe(10)

  const ends = await run('approve', 'p/gate')
  const goesOn = await run('approve', 'q/gate')
  const [first, whole] = [await run('show', 'p/a#1'), await run('show', 'p/a')]

  expect([ends.code, ends.err]).toEqual([0, expect.stringMatching(/^p-\w{6} succeeded\n$/)])
  expect([goesOn.code, goesOn.err]).toEqual([
    0,
    expect.stringContaining('nothing runs yet; go on: tenuto resume q-'),
  ])
  expect(first.err).toMatch(/its log: tenuto logs p-\w{6}\/a#1 /)
  expect(whole.err).toMatch(/its log: tenuto logs p-\w{6}\/a /)
})
