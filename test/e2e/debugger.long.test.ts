/**
 * A daemon opens no debugger by accident, and no child of it inherits what its own Node was told.
 *
 * Mutations that were planted once, and each found: the flag not passed on to the background; the environment of the daemon given to its
 * runner.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { pidsOf, textThere } from '../runner/home.ts'
import { openFolder } from './tenuto.ts'

const INSPECT = '--inspect=127.0.0.1:0'
const PLAN =
  'plan: v1\nname: p\njobs:\n  a: { run: "until test -e go; do sleep 0.02; done; echo ${NODE_OPTIONS-none} > said" }\n'

test('up refuses to serve with a debugger, with its parent, without, and in the background', async () => {
  const { run, home } = openFolder()
  onTestFinished(() => void vi.unstubAllEnvs())
  vi.stubEnv('NODE_OPTIONS', INSPECT)

  const ends = await Promise.all([run('up'), run('up', '--no-parent'), run('up', '--detach')])
  const inJson = await run('up', '--json')
  const other = await run('ls')

  for (const { code, err } of ends) {
    expect(code).toBe(6)
    expect(err).toMatch(/a debugger can be attached at 127\.0\.0\.1:\d+/)
    expect(err).toContain('--allow-debugger')
  }
  expect(inJson.err).toContain('"code":"DEBUGGER_OPEN"')
  expect(other.code).toBe(0)
  expect(existsSync(home)).toBe(false)
})

test('run and resume refuse to run plans with a debugger; what only asks a daemon does not', async () => {
  const { run, file, read, home } = openFolder()
  onTestFinished(async () => {
    vi.unstubAllEnvs()
    await run('down')
  })
  file('q.yaml', "plan: v1\nname: q\njobs:\n  a: { run: 'echo ${NODE_OPTIONS-none} >> said' }\n")
  file(
    'm.plan.mjs',
    "import { url } from 'node:inspector'\nexport default { plan: 'v1', name: url() === undefined ? 'closed' : 'open', jobs: { a: { run: 'true' } } }\n",
  )
  vi.stubEnv('NODE_OPTIONS', INSPECT)

  const refused = await run('run', 'q.yaml')
  const isMade = existsSync(home)
  const allowed = await run('run', 'q.yaml', '--allow-debugger')
  const resumed = await run('resume')
  const allowedToo = await run('resume', '--allow-debugger')
  const module = await run('run', 'm.plan.mjs', '--allow-debugger')

  expect([refused.code, refused.err]).toEqual([
    6,
    expect.stringContaining('tenuto run FILE --allow-debugger'),
  ])
  expect(isMade).toBe(false)
  expect([allowed.code, read('said')]).toEqual([0, 'none\n'])
  expect([resumed.code, resumed.err]).toEqual([6, expect.stringContaining('tenuto resume --allow-debugger')])
  expect(allowedToo.code).toBe(0)
  expect([module.code, module.out]).toEqual([0, expect.stringMatching(/^closed-/)])

  vi.unstubAllEnvs()
  await run('up', '--detach')
  vi.stubEnv('NODE_OPTIONS', INSPECT)
  expect((await run('run', 'q.yaml')).code).toBe(0)
})

test('a daemon that was allowed one gives none to its runner, to analytics and to jobs', async () => {
  const { run, file, read, home, folder } = openFolder()
  file('p.yaml', PLAN)
  onTestFinished(() => void vi.unstubAllEnvs())
  vi.stubEnv('NODE_OPTIONS', INSPECT)

  const up = await run('up', '--detach', '--allow-debugger')
  vi.unstubAllEnvs()
  expect(up).toMatchObject({ code: 0 })
  await run('run', 'p.yaml', '--detach')
  const isOf = (program: string) => (line: string) => line.includes(program) && line.includes(home)
  const present = () => [...pidsOf(isOf('runner/main')), ...pidsOf(isOf('analytics/main'))]
  await expect.poll(() => present().length).toBe(2)
  const children = present()
  const environments = children.map((pid) => readFileSync(`/proc/${pid}/environ`, 'utf8'))
  const lines = children.map((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8'))
  const said = join(folder, 'said')
  file('go', '')
  await textThere(said, '\n')
  await run('down')

  expect(children).toHaveLength(2)
  for (const text of [...environments, ...lines]) expect(text).not.toMatch(/NODE_OPTIONS|--inspect/)
  expect(read('said')).toBe('none\n')
})
