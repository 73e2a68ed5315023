/**
 * Whoever follows a plan leaves when only a person can lead on, and not a moment before.
 */
import { writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { markedProcesses } from '../../src/process.ts'
import { fileThere, pidsOf, processGone } from '../runner/home.ts'
import { openFolder } from './tenuto.ts'

test('a paused plan whose last job ends has ended: the run says so, and not that it is paused', async () => {
  const { file, folder, run, start } = openFolder()
  file('p.yaml', 'plan: v1\nname: p\njobs:\n  s: { run: "until test -e go; do sleep 0.02; done" }\n')
  const running = start('run', 'p.yaml')
  await running.heard('/s #1 running')
  await run('pause', 'p')

  writeFileSync(join(folder, 'go'), '')

  expect(await running.said).toMatchObject({ code: 0 })
})

test('a lost job keeps nothing waiting that does not need it: resume drives the rest to its end, then leaves', async () => {
  const { file, folder, home, read, run, start } = openFolder()
  file(
    'p.yaml',
    `plan: v1
name: p
maxParallel: 1
jobs:
  a: { run: "echo a >> ledger; exec sleep 300" }
  b: { run: "echo b >> ledger; sleep 0.3" }
  c: { run: "echo c >> ledger; sleep 0.3", needs: [b] }
  d: { run: "echo d >> ledger", needs: [c] }
`,
  )
  const running = start('run', 'p.yaml')
  await running.heard('/a #1 running')
  await fileThere(join(folder, 'ledger'))
  const { id: plan } = JSON.parse((await run('show', 'p', '--json')).out) as { id: string }
  const jobs = markedProcesses('').filter(({ key }) => key.endsWith('/a/1') && key.includes(`/${plan}/`))
  await running.killed()
  const runners = pidsOf((line) => line.includes('runner') && line.includes(home))
  for (const pid of [...runners, ...jobs.map((job) => job.pid)]) {
    process.kill(pid, 'SIGKILL')
    await processGone(pid)
  }

  const resumed = await run('resume', '--no-input')

  expect(resumed.code).toBe(10)
  expect(read('ledger')).toBe('a\nb\nc\nd\n')
})

test('a run leaves with 10 at a question nobody is there to answer, says what was asked and how to answer; the answer is given to the jobs after it', async () => {
  const { file, read, run } = openFolder()
  file(
    'p.yaml',
    `plan: v1
name: p
jobs:
  build: { run: "true" }
  gate: { needs: [build], approve: { prompt: "Ship build 7?" } }
  ship: { needs: [gate], run: "cat $TENUTO_NEEDS > needs" }
`,
  )

  const asked = await run('run', 'p.yaml', '--no-input')
  const shown = await run('show', 'p/gate')
  const approved = await run('approve', 'p/gate', '--reason', 'tested')
  const again = await run('approve', 'p/gate')
  const rejected = await run('reject', 'p/gate')
  const resumed = await run('resume')

  expect(asked.code).toBe(10)
  expect(asked.err).toContain('gate waits for a person: Ship build 7?')
  expect(asked.err).toMatch(/answer: tenuto approve p-\w+\/gate.*, or the same with reject/s)
  expect(shown.out).toContain('Ship build 7?')
  expect([approved.code, again.code, rejected.code, resumed.code]).toEqual([0, 0, 7, 0])
  expect(again.out).toContain('is approved already')
  const { gate } = JSON.parse(read('needs')) as { gate: { result: string; outputs: Record<string, unknown> } }
  expect(gate).toMatchObject({ result: 'succeeded', outputs: { by: userInfo().username, reason: 'tested' } })
})
