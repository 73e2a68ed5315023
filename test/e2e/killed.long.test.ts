/**
 * `kill -9` in the middle of many jobs. What the jobs and handlers wrote themselves is the witness. Broken on purpose once, and seen:
 * a claim that does not look whether it is the first; a `call` that was in flight and is called again as the same attempt.
 */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { attemptDir, FILES, readExitRecord } from '../../src/attempt.ts'
import type { EventShape } from '../../src/views/shapes.ts'
import { fileThere } from '../runner/home.ts'
import { openFolder } from './tenuto.ts'

type Shown = Readonly<{ id: string; state: string; attempts: readonly Record<string, unknown>[] }>

/** What recovery noted of attempts, as `job#attempt found`. */
const foundIn = (events: readonly EventShape[]): readonly string[] =>
  events
    .filter(({ address, type, job }) => address.startsWith('note:') && type === 'recovered' && job)
    .map(({ job, attempt, detail }) => `${job}#${attempt} ${detail?.['found'] as string}`)
    .toSorted()
const linesOf = (path: string): readonly string[] =>
  existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n') : []
const manyLines = async (path: string, count: number): Promise<void> => {
  await expect.poll(() => linesOf(path).length, { interval: 5 }).toBeGreaterThan(count)
}

test('kill -9 of a run while 50 of 1000 short jobs run, then resume: each ran exactly once, none is lost', async () => {
  const { file, folder, start, run, events: told, unsound } = openFolder()
  const jobs = Object.fromEntries(
    Array.from({ length: 1000 }, (_, at) => [`j${at}`, { run: 'echo $TENUTO_JOB >> ledger; sleep 0.02' }]),
  )
  file('p.yaml', JSON.stringify({ plan: 'v1', name: 'p', maxParallel: 50, jobs }))
  const ledger = join(folder, 'ledger')
  const first = start('run', 'p.yaml')
  await manyLines(ledger, 300)
  await first.killed()
  expect(linesOf(ledger).length).toBeLessThan(1000)

  const { code, out } = await run('resume')

  expect([code, / succeeded\n$/.test(out)]).toEqual([0, true])
  expect(linesOf(ledger).toSorted()).toEqual(Object.keys(jobs).toSorted())
  const events = await told()
  const found = foundIn(events)
  expect(found.length).toBeGreaterThan(0)
  expect(found.filter((each) => !/#1 (?:adopted|ended-meanwhile|requeued)$/.test(each))).toEqual([])
  expect(events.filter(({ attempt = 0 }) => attempt > 1)).toEqual([])
  expect(await unsound()).toEqual([])
})

test('kill -9 of a program with handlers: only what was in flight is called again, and each is announced', async () => {
  const { folder, home, events, unsound } = openFolder()
  const ledger = join(folder, 'ledger')
  const program = [join(import.meta.dirname, 'caller-main.ts'), home, ledger]
  // It kills itself, so that it is in the middle whenever this process has its turn.
  const first = spawn(process.execPath, [...program, '300'], { stdio: 'inherit' })
  onTestFinished(() => void first.kill('SIGKILL'))
  expect(await once(first, 'exit')).toEqual([null, 'SIGKILL'])
  const before = await events()
  const states = new Map(before.flatMap(({ job, to }) => (job === undefined ? [] : [[job, to]])))
  const inFlight = [...states].flatMap(([job, state]) => (state === 'running' ? [job] : []))
  expect(inFlight.length).toBeGreaterThan(0)

  const going = promisify(execFile)(process.execPath, program)
  onTestFinished(() => void going.child.kill('SIGKILL'))
  const second = await going

  expect(second.stdout).toBe('taken up succeeded\n')
  const wanted = Array.from({ length: 400 }, (_, at) => `j${at}`).flatMap((job) => {
    const attempts = inFlight.includes(job) ? [2] : [1]
    return attempts.flatMap((n) => [`${job}#${n} end`, `${job}#${n} start`])
  })
  const ofTheDead = new Set(inFlight.flatMap((job) => [`${job}#1 start`, `${job}#1 end`]))
  const lines = linesOf(ledger)
  expect(lines.filter((line) => !ofTheDead.has(line)).toSorted()).toEqual(wanted.toSorted())
  expect(new Set(lines).size).toBe(lines.length)
  expect(foundIn(await events())).toEqual(inFlight.map((job) => `${job}#1 lost`).toSorted())
  expect(await unsound()).toEqual([])
})

test('a job survives ten kill -9 of its daemon: one attempt, one process, each line once, its end from its record', async () => {
  const { folder, home, file, start, run, events, unsound } = openFolder()
  onTestFinished(async () => {
    await run('down')
  })
  const text =
    'echo $$ > up; i=0; until test -e go; do i=$((i+1)); echo line $i; sleep 0.05; done; : > ended; sleep 0.05'
  file('p.yaml', JSON.stringify({ plan: 'v1', name: 'p', jobs: { a: { run: text } } }))
  let daemon = start('up', '--no-parent')
  await daemon.heard('serving')
  const plan = (await run('run', 'p.yaml', '--detach')).out.trim()
  await fileThere(join(folder, 'up'))

  const exit = join(attemptDir(home, plan, 'a', 1), FILES.exit)
  const found = async () => foundIn(await events())
  for (let kills = 1; kills <= 10; kills += 1) {
    await daemon.killed()
    if (kills === 10) {
      writeFileSync(join(folder, 'go'), '')
      await fileThere(exit)
    }
    daemon = start('up', '--no-parent')
    await daemon.heard('serving')
    // The first are killed as soon as they serve, the others when they have said what they found.
    const told = Math.max(0, kills - 5)
    await expect.poll(async () => (await found()).length).toBeGreaterThanOrEqual(told)
  }
  const { code } = await run('resume', 'p')

  expect(code).toBe(0)
  const { state, attempts } = JSON.parse((await run('show', 'p/a', '--json')).out) as Shown
  const record = readExitRecord(readFileSync(exit, 'utf8'))
  expect([state, attempts.length]).toEqual(['succeeded', 1])
  expect(attempts[0]).toMatchObject({
    n: 1,
    outcome: 'succeeded',
    pid: Number(readFileSync(join(folder, 'up'), 'utf8')),
    started_at: new Date(record?.startedAt ?? 0).toISOString(),
    ended_at: new Date(record?.endedAt ?? 0).toISOString(),
  })
  expect(record?.durationMs).toBeGreaterThan(0)
  const lines = (await run('logs', 'p/a')).out.trim().split('\n')
  expect(lines).toEqual(lines.map((_, at) => `line ${at + 1}`))
  const notes = await found()
  expect(notes.at(-1)).toBe('a#1 ended-meanwhile')
  expect(new Set(notes.slice(0, -1))).toEqual(new Set(['a#1 adopted']))
  expect((await run('down')).code).toBe(0)
  expect(await unsound()).toEqual([])
})
