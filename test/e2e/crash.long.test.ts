import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { fileThere } from '../runner/home.ts'
import { openFolder } from './tenuto.ts'

const lines = (text: string): readonly string[] => text.trim().split('\n')

test('kill -9 of tenuto three times while 300 jobs run: each ran exactly once', async () => {
  const { file, start, run, read, folder, unsound } = openFolder()
  const jobs = Array.from(
    { length: 300 },
    (_, at) => `  j${at}: { run: "echo $TENUTO_JOB >> ledger; sleep 0.05" }`,
  )
  file('p.yaml', `plan: v1\nname: p\nmaxParallel: 8\njobs:\n${jobs.join('\n')}\n`)

  let running = start('run', 'p.yaml')
  for (const upTo of [30, 90, 150]) {
    await expect
      .poll(() => (existsSync(join(folder, 'ledger')) ? lines(read('ledger')).length : 0), {
        interval: 20,
      })
      .toBeGreaterThanOrEqual(upTo)
    await running.killed()
    running = start('resume')
    await running.heard('running')
  }
  const { code, out } = await running.said

  expect(out).toMatch(/ succeeded\n$/)
  expect(code).toBe(0)
  expect(lines(read('ledger'))).toHaveLength(300)
  expect(new Set(lines(read('ledger'))).size).toBe(300)
  const events = await run('events', 'p', '--json')
  expect(events.out).not.toContain('"lost"')
  expect(await unsound()).toEqual([])
})

test('a time limit that passes while tenuto is dead has passed when it comes back', async () => {
  const { file, start, run, folder, unsound } = openFolder()
  file(
    'p.yaml',
    'plan: v1\nname: p\njobs:\n  a: { run: "trap \'echo late > stopped; exit 1\' TERM; : > up; while :; do sleep 0.05 || :; done", timeout: 3s }\n',
  )
  const running = start('run', 'p.yaml')
  await fileThere(join(folder, 'up'))
  await running.killed()
  await expect.poll(() => existsSync(join(folder, 'stopped'))).toBe(true)

  const { code, err } = await run('resume')

  expect(code).toBe(1)
  expect(err).toContain('its time was up')
  expect(await unsound()).toEqual([])
})

test('a second run on a held home says who holds it; kill -9 of the holder frees it at once', async () => {
  const { file, start, run, unsound } = openFolder()
  file('long.yaml', 'plan: v1\nname: long\njobs:\n  a: { run: "echo hello; sleep 30" }\n')
  file('short.yaml', 'plan: v1\nname: short\njobs:\n  a: { run: "true" }\n')
  const holder = start('run', 'long.yaml')
  await holder.heard('/a #1 running')

  const second = await run('run', 'short.yaml')
  await holder.killed()
  const third = await run('run', 'short.yaml')
  await run('cancel', 'long')

  expect(second.code).toBe(5)
  expect(second.err).toContain(`pid ${holder.child.pid}`)
  expect(second.err).toContain('--home')
  expect(third.code).toBe(0)
  expect(third.err).toContain('long-')
  expect(await unsound()).toEqual([])
})

test('a run in the foreground is listed, shown, followed, paused and cancelled from another process', async () => {
  const { file, start, run, unsound } = openFolder()
  file(
    'p.yaml',
    'plan: v1\nname: p\nmaxParallel: 1\njobs:\n  a: { run: "echo hello; sleep 30", grace: 1s }\n  b: { run: "true" }\n',
  )
  const holder = start('run', 'p.yaml')
  await holder.heard('/a #1 running')
  await expect.poll(async () => (await run('logs', 'p/a')).out).toBe('hello\n')

  const following = start('logs', 'p/a', '-f')
  await following.heard('hello')
  const listed = await run('ls', '--json')
  const paused = await run('pause', 'p')
  const shown = await run('show', 'p/b', '--json')
  const continued = await run('continue', 'p')
  const cancelled = await run('cancel', 'p')

  expect(JSON.parse(listed.out)).toMatchObject([{ name: 'p', state: 'running' }])
  expect([paused.code, continued.code, cancelled.code]).toEqual([0, 0, 0])
  expect(JSON.parse(shown.out)).toMatchObject({ state: 'queued', reason: 'paused' })
  expect(await holder.said).toMatchObject({ code: 9, out: expect.stringMatching(/ cancelled\n$/) as string })
  expect(await following.said).toMatchObject({ code: 0, out: 'hello\n' })
  expect(await unsound()).toEqual([])
})

test('a signal cancels in order; a later one kills what does not listen', async () => {
  const { file, start, folder, unsound } = openFolder()
  file(
    'p.yaml',
    'plan: v1\nname: p\njobs:\n  a: { run: "trap \'\' TERM; : > up; while :; do sleep 0.05 || :; done", grace: 100s }\n',
  )
  const running = start('run', 'p.yaml')
  await fileThere(join(folder, 'up'))

  running.child.kill('SIGTERM')
  await running.heard('stopping')
  // A second signal soon after the first counts as the same one; it is sent until it counts.
  const again = setInterval(() => running.child.kill('SIGTERM'), 100)
  const { code } = await running.said
  clearInterval(again)

  expect(code).toBe(9)
  expect(await unsound()).toEqual([])
})

test('the same run with the same key goes on where a killed one was, and its plan is shown with what was found', async () => {
  const { file, start, run, folder, read, unsound } = openFolder()
  file(
    'p.yaml',
    `plan: v1
name: keyed
jobs:
  first: { run: 'echo first >> ledger' }
  long: { run: 'echo long >> ledger; : > up; while [ ! -e open ]; do sleep 0.02; done', needs: [first] }
  last: { run: 'echo last >> ledger', needs: [long] }
`,
  )
  const killed = start('run', 'p.yaml', '--key', 'nightly')
  await expect.poll(() => existsSync(join(folder, 'up'))).toBe(true)
  await killed.killed()

  const again = start('run', 'p.yaml', '--key', 'nightly')
  await again.heard('has this key already')
  let shown = ''
  const adopted = async (): Promise<boolean> => {
    shown = (await run('show', 'keyed')).out
    return shown.includes('long adopted (pid')
  }
  await expect.poll(adopted).toBe(true)
  file('open', '')
  const { code, out } = await again.said

  expect(shown).toMatch(/taken up .* ago: 1 attempt in flight, 2 jobs as before/)
  expect([code, /^keyed-\w{6} succeeded\n$/.test(out)]).toEqual([0, true])
  expect(read('ledger')).toBe('first\nlong\nlast\n')
  expect(lines((await run('ls')).out)).toHaveLength(1)
  expect(await unsound()).toEqual([])
})
