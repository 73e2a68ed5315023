/**
 * Who may read what lies in a home, whatever the umask of whoever made it.
 *
 * Mutations that were planted once, and each found: the numbers of analytics and the lock of the runner as SQLite makes them; a log made
 * without a mode.
 */
import { chmodSync, existsSync, lstatSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { HolderRecord } from '../../src/holder.ts'
import { openFolder } from './tenuto.ts'

const PLAN = `plan: v1
name: lived
secrets: [CANARY]
jobs:
  a: { run: 'echo said; echo x=1 > "$TENUTO_OUTPUT"; echo art > "$TENUTO_ARTIFACTS/own"' }
  b: { needs: [a], run: exit 1, retry: { max: 1, delay: 10ms } }
  gate: { approve: { prompt: Ship it? } }
`
const WORKING = "plan: v1\nname: working\njobs:\n  a: { run: 'echo mine > own' }\n"

/** What a job writes itself is its own: its outputs, its artifacts, and what is in the folder that it runs in. */
const isOfJobs = (path: string): boolean =>
  /^attempts\/[^/]+\/[^/]+\/\d+\/(outputs|artifacts\/.+)$/.test(path) || /^work\/[^/]+\/.+$/.test(path)

/** Everything in a home that is ours and open to more than its user, with its mode. */
const openTo = (home: string): readonly string[] =>
  readdirSync(home, { recursive: true, encoding: 'utf8' }).flatMap((path) => {
    const stats = lstatSync(join(home, path), { throwIfNoEntry: false })
    if (stats === undefined || isOfJobs(path)) return []
    const wanted = stats.isDirectory() ? 0o700 : 0o600
    return (stats.mode & 0o777) === wanted ? [] : [`${path} ${(stats.mode & 0o777).toString(8)}`]
  })

test('what a home holds is for its user alone, whatever the umask and after all that can be done in it', async () => {
  const umask = process.umask(0)
  process.env['CANARY'] = 'a-canary-of-modes'
  onTestFinished(() => {
    process.umask(umask)
    delete process.env['CANARY']
  })
  const { home, file, run } = openFolder()
  onTestFinished(async () => void (await run('down')))
  file('lived.plan.yaml', PLAN)
  const there = (name: string) => expect.poll(() => existsSync(join(home, name)), { interval: 20 }).toBe(true)
  const works = async (): Promise<void> => {
    const { url } = JSON.parse(readFileSync(join(home, 'daemon.json'), 'utf8')) as HolderRecord
    const authorization = `Bearer ${readFileSync(join(home, 'token'), 'utf8').trim()}`
    const answer = await fetch(`${url}/api/v1/plans`, {
      method: 'POST',
      headers: { authorization, 'content-type': 'application/json' },
      body: JSON.stringify({ yaml: WORKING }),
    })
    expect(answer.status).toBe(201)
    expect((await run('resume', 'working')).code).toBe(0)
  }

  await run('up', '--detach')
  const plan = (await run('run', 'lived.plan.yaml', '--detach')).out.trim()
  await works()
  await run('approve', `${plan}/gate`)
  expect((await run('resume', plan)).code).toBe(1)
  await run('daemon', 'pause')
  await run('open')
  const backup = (await run('backup')).out.trim()
  await Promise.all(['analytics.db-wal', 'runner.lock', 'mode.json'].map(there))
  const lived = openTo(home)
  await run('down')
  const left = openTo(home)
  // The next start is another runner's.
  await expect.poll(() => existsSync(join(home, 'runner.sock'))).toBe(false)
  // As an earlier build, or somebody else, has left them.
  for (const name of ['analytics.db', 'runner.lock', 'lock.db']) chmodSync(join(home, name), 0o666)
  const restored = await run('restore', backup)
  await run('daemon', 'resume')
  await run('up', '--detach')
  await works()
  await there('analytics.db-wal')
  const again = openTo(home)

  expect(restored.code).toBe(0)
  expect([lived, left, again]).toEqual([[], [], []])
  expect(lstatSync(join(home, 'attempts', plan, 'a', '1', 'outputs')).mode & 0o777).toBe(0o666)
})
