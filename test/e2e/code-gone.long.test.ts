import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { connectHome } from '../../src/http/client.ts'
import { definePlan } from '../../src/plans/define-plan.ts'
import { pidsOf } from '../runner/home.ts'
import { copyBuild } from './checkout.ts'
import { openFolder } from './tenuto.ts'

test('a run whose build is removed under it says that it is stale, serves, starts a runner again, and ends', async () => {
  const copy = copyBuild('checkout')
  const { file, start, home } = openFolder(copy.launcher)
  file(
    'p.yaml',
    [
      'plan: v1\nname: p\njobs:',
      '  a: { run: "echo once; until test -e go; do sleep 0.02; done", onLost: retry }',
      '  b: { needs: [a], run: "true" }',
      '',
    ].join('\n'),
  )
  const running = start('run', 'p.yaml')
  await running.heard('/a #1 running')
  const client = await connectHome(home)
  if (!client) throw new Error('the run does not serve its home')
  onTestFinished(() => client.close())
  const [plan] = await client.catalog.plans()
  const id = plan?.id ?? ''
  // A job is running before its runner is there.
  const logged = async () => Buffer.from((await client.catalog.log(id, 'a', 1, 0, 100)).bytes).toString()
  await expect.poll(logged).toBe('once\n')

  rmSync(join(copy.root, 'dist'), { recursive: true })
  rmSync(join(copy.root, 'src', 'ids.ts'))
  const [runner] = pidsOf((line) => line.includes('runner/main.js') && line.includes(home))
  process.kill(runner as number, 'SIGKILL')
  await expect.poll(async () => (await client.version()).stale).toBe(true)
  const version = await client.version()
  // Each of these is a request of its own kind; the last one compiles.
  const log = await logged()
  const second = await client.submit(definePlan({ name: 'second', jobs: { c: { run: 'true' } } }))
  await client.command(second.id, null, { do: 'cancel' }).catch(() => {})
  file('go', '')
  const { code, out } = await running.said

  expect(version.stale_reason).toMatch(
    /dist\/.* is missing, and \d+ more; the source beside it is .* is missing/,
  )
  expect(log).toBe('once\n')
  expect(out).toMatch(/^p-[a-z2-7]{6} succeeded\n$/)
  expect(code).toBe(0)
  const told = readFileSync(join(home, 'daemon.log'), 'utf8').split('\n')
  expect(told.filter((line) => line.includes('the code on disk is not what this process runs'))).toHaveLength(
    1,
  )
})

test('a home keeps one program of the runner, whole, whatever was there', async () => {
  const { file, run, home } = openFolder()
  file('p.yaml', 'plan: v1\nname: p\njobs:\n  a: { run: "true" }\n')
  const programs = join(home, 'runner')
  await run('run', 'p.yaml')
  const [program = ''] = readdirSync(programs)
  rmSync(join(programs, program, 'process.js'))

  const { code } = await run('run', 'p.yaml')

  expect(code).toBe(0)
  expect(readdirSync(programs)).toEqual([program])
  expect(readdirSync(join(programs, program))).toContain('process.js')
})
