import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
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
  first.child.kill('SIGKILL')
  await once(first.child, 'exit')

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

  const late = await run('run', 'p.yaml', '--timeout', '2s')
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
  await expect.poll(() => existsSync(join(home, 'journal.db')), { timeout: 10_000, interval: 1 }).toBe(true)
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
