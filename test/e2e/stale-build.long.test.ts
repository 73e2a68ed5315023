import { existsSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { sourceHash } from '../../src/build.ts'
import { copyBuild } from './checkout.ts'
import { openFolder } from './tenuto.ts'

const PLAN = 'plan: v1\nname: p\njobs:\n  a: { run: "true" }\n'
const CHANGE = ['src/ids.ts', 'export', '\nexport'] as const

test('a build of other source refuses run and resume with both identities and the command that mends it', async () => {
  const copy = copyBuild('checkout')
  const { file, run } = openFolder(copy.launcher)
  file('p.yaml', PLAN)
  const fresh = await run('run', 'p.yaml')
  copy.edit(...CHANGE)

  const refusals = await Promise.all([run('run', 'p.yaml'), run('resume')])
  const inJson = await run('run', 'p.yaml', '--json')
  const version = JSON.parse((await run('version', '--json')).out) as Record<string, unknown>

  expect(fresh).toMatchObject({ code: 0, err: expect.not.stringContaining('stale') as string })
  const changed = sourceHash(copy.root)?.slice(0, 12)
  const built = String(version['source_hash']).slice(0, 12)
  for (const { code, out, err } of refusals) {
    expect(code).toBe(5)
    expect(out).toBe('')
    expect(err).toContain(`this build is ${String(version['version'])} ${built}`)
    const found = /the source beside it is ([0-9a-f]{12}): src\/ids\.ts has changed\n/.exec(err)?.[1]
    expect(found).toBe(changed)
    expect(err).toContain(`run \`npm run build\` in ${copy.root}`)
    expect(err).toContain('--allow-stale-build')
  }
  expect(JSON.parse(inJson.err)).toMatchObject({ error: { code: 'BUILD_STALE' } })
  expect(version).toMatchObject({
    stale: true,
    stale_reason: expect.stringContaining('src/ids.ts') as string,
  })
})

test('with --allow-stale-build it runs, and says so on stderr, in the home and on its socket', async () => {
  const copy = copyBuild('checkout')
  const { file, run, start, home } = openFolder(copy.launcher)
  file('p.yaml', 'plan: v1\nname: p\njobs:\n  a: { run: "until test -e go; do sleep 0.02; done" }\n')
  copy.edit(...CHANGE)

  const running = start('run', 'p.yaml', '--allow-stale-build')
  await running.heard('/a #1 running')
  const holder = JSON.parse(readFileSync(join(home, 'daemon.json'), 'utf8')) as Record<string, unknown>
  file('go', '')
  const { code, err } = await running.said

  expect(code).toBe(0)
  expect(err.split('\n').filter((line) => line.includes('stale'))).toHaveLength(1)
  expect(holder).toMatchObject({ stale: expect.stringContaining('src/ids.ts') as string })
  expect(readFileSync(join(home, 'daemon.log'), 'utf8')).toContain('this build is stale')
  expect((await run('--allow-stale-build', 'run', 'p.yaml')).code).toBe(0)
})

test('other commands say in one line that the build is stale, and go on', async () => {
  const copy = copyBuild('checkout')
  const { file, run } = openFolder(copy.launcher)
  file('p.yaml', PLAN)
  await run('run', 'p.yaml')
  copy.edit(...CHANGE)

  const commands = [['ls'], ['show', 'p'], ['validate', 'p.yaml'], ['machines', 'job'], ['pause', 'p']]
  const answers = await Promise.all(commands.map((words) => run(...words)))
  const quiet = await run('ls', '-q')

  expect(answers.map(({ code }) => code)).toEqual([0, 0, 0, 0, 7])
  for (const { err } of answers) {
    expect(err.split('\n').filter((line) => line.includes('stale'))).toHaveLength(1)
  }
  expect(quiet).toMatchObject({ code: 0, err: '' })
})

test('documents and times make no build stale', async () => {
  const copy = copyBuild('checkout')
  const { file, run } = openFolder(copy.launcher)
  file('p.yaml', PLAN)
  writeFileSync(join(copy.root, 'README.md'), 'new')
  utimesSync(join(copy.root, 'src', 'ids.ts'), 1, 1)

  const { code, err } = await run('run', 'p.yaml')

  expect(code).toBe(0)
  expect(err).not.toContain('stale')
})

test('a module of the core that is missing refuses even a build that may be stale; an installed one says to install', async () => {
  const copy = copyBuild('installed')
  const { file, run } = openFolder(copy.launcher)
  file('p.yaml', PLAN)
  copy.edit('dist/ids.js', 'export', '\nexport')
  const edited = await run('run', 'p.yaml')
  const allowed = await run('run', 'p.yaml', '--allow-stale-build')
  rmSync(join(copy.root, 'dist', 'runner', 'main.js'))

  const missing = await run('run', 'p.yaml', '--allow-stale-build')

  expect(edited).toMatchObject({ code: 5, err: expect.stringContaining('dist/ids.js has changed') as string })
  expect(edited.err).toContain('install tenuto again')
  expect(allowed.code).toBe(0)
  expect(missing).toMatchObject({ code: 5, err: expect.stringContaining('dist/runner/main.js') as string })
})

test('a build that takes the place of another while a command starts is not mixed with it', async () => {
  const copy = copyBuild('installed')
  const { file, run, home } = openFolder(copy.launcher)
  file('p.yaml', PLAN)
  const path = join(copy.root, 'dist', 'build.json')
  // As late as can be: when the last of what a run needs is loaded.
  const rebuild = `import { existsSync, readFileSync, writeFileSync } from 'node:fs'
writeFileSync('${path}', readFileSync('${path}', 'utf8').replace(/"sourceHash": "[0-9a-f]{12}/, '"sourceHash": "eeeeeeeeeeee'))
`
  const runtime = join(copy.root, 'dist', 'runtime.js')
  writeFileSync(runtime, rebuild + readFileSync(runtime, 'utf8'))

  const { code, err } = await run('run', 'p.yaml', '--allow-stale-build')

  expect(code).toBe(5)
  expect(err).toMatch(
    /dist was built anew, and is \S+ eeeeeeeeeeee\S*, while this command was starting\n {2}try again/,
  )
  expect(existsSync(home)).toBe(false)
})

test('a build that does not say what it was made of still reads, and starts nothing', async () => {
  const copy = copyBuild('installed')
  const { file, run, start, as } = openFolder()
  file('p.yaml', 'plan: v1\nname: p\njobs:\n  a: { run: "until test -e go; do sleep 0.02; done" }\n')
  const running = start('run', 'p.yaml')
  await running.heard('/a #1 running')
  rmSync(join(copy.root, 'dist', 'digests.json'))

  const held = await as(copy.launcher).run('ls')
  file('go', '')
  await running.said
  const free = await as(copy.launcher).run('show', 'p')
  const refused = await as(copy.launcher).run('run', 'p.yaml')

  for (const { code, out, err } of [held, free]) {
    expect(code).toBe(0)
    expect(out).toContain('p-')
    expect(err.trim().split('\n')).toHaveLength(1)
    expect(err).toContain('digests.json')
  }
  expect(refused).toMatchObject({ code: 5, err: expect.stringContaining('install tenuto again') as string })
  expect((await run('run', 'p.yaml')).code).toBe(0)
})
