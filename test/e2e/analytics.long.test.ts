import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { AnalyticsShape } from '../../src/views/shapes.ts'
import { ask } from '../http/served.ts'
import { copyBuild } from './checkout.ts'
import { openFolder } from './tenuto.ts'

const PLAN = 'plan: v1\nname: nightly\njobs:\n  a: { run: "true" }\n  b: { needs: [a], run: "exit 3" }\n'

const analyticsOf = async (home: string, query = ''): Promise<AnalyticsShape> =>
  (await ask(join(home, 'sock'), `GET /api/v1/analytics${query}`)).json as AnalyticsShape
const isThere = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

test('a daemon has analytics, which it serves, and which is gone when the daemon is killed; a run has none', async () => {
  const { file, home, run, start } = openFolder()
  file('p.yaml', PLAN)
  const foreground = await run('run', 'p.yaml')
  expect([foreground.code, existsSync(join(home, 'analytics.db'))]).toEqual([1, false])
  const daemon = start('up', '--no-parent')
  await daemon.heard('serving')
  expect((await run('run', 'p.yaml')).code).toBe(1)

  await expect.poll(async () => (await analyticsOf(home)).data).toMatchObject({ behind: 0 })
  const { status, error, data, numbers } = await analyticsOf(home, '?plan=nightly&limit=1')
  expect({ status, error }).toEqual({ status: 'ok', error: null })
  expect(numbers?.plans).toMatchObject([
    { plan: 'nightly', ended: { succeeded: 2, failed: 2 }, success_rate: 0.5 },
  ])
  expect(numbers?.jobs.map(({ job }) => job)).toEqual(['a'])
  expect((await ask(join(home, 'sock'), 'GET /api/v1/analytics?limit=0')).status).toBe(400)

  daemon.child.kill('SIGKILL')
  await daemon.said
  await expect.poll(() => isThere(data?.pid ?? 0)).toBe(false)
})

test('analytics that is not there refuses no start: the daemon says why, and its plans end as they do', async () => {
  const copy = copyBuild('installed')
  const { file, home, run, start } = openFolder(copy.launcher)
  file('p.yaml', PLAN)
  rmSync(join(copy.root, 'dist', 'analytics', 'count.js'))

  const daemon = start('up')
  await daemon.heard('serving')
  expect((await run('run', 'p.yaml')).out).toMatch(/^nightly-[a-z2-7]{6} failed\n$/)
  await expect.poll(async () => (await analyticsOf(home)).status).toBe('unavailable')

  expect((await analyticsOf(home)).error?.message).toMatch(/Cannot find module .*count\.js/)
  expect((await run('status')).out).toMatch(/^analytics is not there: .*Cannot find module .*count\.js/m)
  expect(await run('down')).toMatchObject({ code: 0 })
})
