import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { attemptDir, FILES, readClaim, readExitRecord } from '../../src/attempt.ts'
import { fileThere, processGone } from '../runner/home.ts'
import { openFolder } from './tenuto.ts'

type Job = Readonly<{ state: string; attempts: readonly Record<string, unknown>[] }>

/** A folder whose plan `p` can be asked about. */
const openPlan = (jobs: readonly string[]) => {
  const folder = openFolder()
  const { file, run, start, home, events } = folder
  file('p.yaml', `plan: v1\nname: p\njobs:\n${jobs.map((job) => `  ${job}\n`).join('')}`)
  const show = async <T>(ref: string) => JSON.parse((await run('show', ref, '--json')).out) as T
  /** What recovery noted of attempts, as `job#attempt found`. */
  const found = async (): Promise<readonly string[]> =>
    (await events())
      .filter(({ address, type, job }) => address.startsWith('note:') && type === 'recovered' && job)
      .map(({ job, attempt, detail }) => `${job}#${attempt} ${detail?.['found'] as string}`)
      .toSorted()
  const dirOf = async (job: string, n = 1) => attemptDir(home, (await show<{ id: string }>('p')).id, job, n)
  const runnerOf = async (job: string): Promise<number> => {
    const claim = readClaim(readFileSync(join(await dirOf(job), FILES.claim), 'utf8'))
    return claim?.holder.pid as number
  }
  return { ...folder, start, show, found, dirOf, runnerOf }
}

test('a job survives ten kill -9 of tenuto: one attempt, one process, each line once, its end from its record', async () => {
  const { folder, start, run, show, found, dirOf } = openPlan([
    'a: { run: "echo $$ > up; i=0; until test -e go; do i=$((i+1)); echo line $i; sleep 0.05; done" }',
  ])
  let tenuto = start('run', 'p.yaml')
  await fileThere(join(folder, 'up'))
  await tenuto.heard('running')

  for (let kills = 1; kills <= 10; kills += 1) {
    await tenuto.killed()
    if (kills === 10) break
    tenuto = start('resume')
    await expect.poll(async () => (await found()).length).toBe(kills)
  }
  writeFileSync(join(folder, 'go'), '')
  const exit = join(await dirOf('a'), FILES.exit)
  await fileThere(exit)
  const record = readExitRecord(readFileSync(exit, 'utf8'))
  const { code } = await run('resume')

  expect(code).toBe(0)
  const { state, attempts } = await show<Job>('p/a')
  expect(state).toBe('succeeded')
  expect(attempts).toHaveLength(1)
  expect(attempts[0]).toMatchObject({
    n: 1,
    outcome: 'succeeded',
    pid: Number(readFileSync(join(folder, 'up'), 'utf8')),
    started_at: new Date(record?.startedAt as number).toISOString(),
    ended_at: new Date(record?.endedAt as number).toISOString(),
  })
  expect(record?.pid).toBe(attempts[0]?.['pid'])
  const lines = (await run('logs', 'p/a')).out.trim().split('\n')
  expect(lines.length).toBeGreaterThan(10)
  expect(lines).toEqual(lines.map((_, at) => `line ${at + 1}`))
  expect(await found()).toEqual([...Array<string>(9).fill('a#1 adopted'), 'a#1 ended-meanwhile'])
  expect((await run('doctor', '--audit', '-q')).code).toBe(0)
})

test('after kill -9 the runner that went on is found again: what lives is adopted, what ended is read', async () => {
  const { folder, start, run, found, dirOf } = openPlan([
    'a: { run: ": > a; until test -e go; do sleep 0.05; done" }',
    'b: { run: ": > b; until test -e now; do sleep 0.05; done; exit 0" }',
    'c: { needs: [a, b], run: "true" }',
  ])
  const first = start('run', 'p.yaml')
  await Promise.all([fileThere(join(folder, 'a')), fileThere(join(folder, 'b'))])
  await first.killed()
  writeFileSync(join(folder, 'now'), '')
  await fileThere(join(await dirOf('b'), FILES.exit))

  const second = start('resume')
  await expect.poll(found).toEqual(['a#1 adopted', 'b#1 ended-meanwhile'])
  writeFileSync(join(folder, 'go'), '')

  expect((await second.said).code).toBe(0)
  expect(await found()).toEqual(['a#1 adopted', 'b#1 ended-meanwhile'])
  expect((await run('doctor', '--audit', '-q')).code).toBe(0)
})

test('after kill -9 of tenuto and its runner: adopted, lost, or started now because nothing had begun', async () => {
  const { folder, start, run, read, show, found, runnerOf } = openPlan([
    'a: { run: "echo x >> ledger-a; : > a; until test -e go; do sleep 0.05; done" }',
    'b: { run: "echo x >> ledger-b; echo $$ > pid; mv pid b; exec sleep 1000" }',
    'c: { run: "echo x >> ledger-c; test -e failed || { : > failed; exit 1; }", retry: { max: 1, delay: 1h, maxDelay: 1h, jitter: 0 } }',
  ])
  const first = start('run', 'p.yaml')
  await Promise.all(['a', 'b', 'failed'].map((sign) => fileThere(join(folder, sign))))
  await first.heard('/c #1 ')
  await expect.poll(async () => (await show<Job>('p/c')).state).toBe('backoff')
  const runner = await runnerOf('a')
  process.kill(runner, 'SIGSTOP')
  // Its time comes when the runner can start nothing.
  expect((await run('now', 'p/c')).code).toBe(0)
  await expect.poll(async () => (await show<Job>('p/c')).state).toBe('running')
  const main = Number(read('b'))
  await first.killed()
  process.kill(runner, 'SIGKILL')
  process.kill(-main, 'SIGKILL')
  await Promise.all([processGone(runner), processGone(main)])

  const second = start('resume')
  const all = ['a#1 adopted', 'b#1 lost', 'c#2 requeued']
  await expect.poll(found).toEqual(all)
  writeFileSync(join(folder, 'go'), '')

  expect((await second.said).code).toBe(10)
  expect(await found()).toEqual(all)
  expect(await show('p/c')).toMatchObject({
    state: 'succeeded',
    attempts: [{ n: 1 }, { n: 2, generation: 1 }],
  })
  for (const job of ['a', 'b']) {
    expect(await show(`p/${job}`)).toMatchObject({ state: 'waiting', reason: 'lost' })
    expect(read(`ledger-${job}`)).toBe('x\n')
  }
  expect(read('ledger-c')).toBe('x\nx\n')
  expect(existsSync(join(folder, 'failed'))).toBe(true)
  expect((await run('doctor', '--audit', '-q')).code).toBe(0)
})

test('tenuto that is stopped while a job ends, and its runner while one runs, take it up where it is', async () => {
  const { folder, start, run, read, show, dirOf, runnerOf } = openPlan([
    'a: { run: "echo x >> ledger; : > a; until test -e quiet; do echo; sleep 0.05; done; until test -e go; do sleep 0.05; done", stall: 2s }',
    'b: { needs: [a], run: "echo y >> ledger" }',
  ])
  const tenuto = start('run', 'p.yaml')
  await fileThere(join(folder, 'a'))
  const [runner, dir] = [await runnerOf('a'), await dirOf('a')]

  writeFileSync(join(folder, 'quiet'), '')
  tenuto.child.kill('SIGSTOP')
  process.kill(runner, 'SIGSTOP')
  // Longer than its silence may last; nobody watches.
  await once(spawn('sleep', ['3']), 'exit')
  process.kill(runner, 'SIGCONT')
  writeFileSync(join(folder, 'go'), '')
  await fileThere(join(dir, FILES.exit))
  tenuto.child.kill('SIGCONT')

  expect((await tenuto.said).code).toBe(0)
  expect(await show('p/a')).toMatchObject({ state: 'succeeded', attempts: [{ n: 1, outcome: 'succeeded' }] })
  expect(read('ledger')).toBe('x\ny\n')
  expect((await run('doctor', '--audit', '-q')).code).toBe(0)
})
