import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { packageRoot, readBuildFile } from '../../src/build.ts'
import { fileThere } from '../runner/home.ts'
import { copyBuild } from './checkout.ts'
import { openFolder } from './tenuto.ts'

const LONG =
  'plan: v1\nname: p\njobs:\n  a: { run: "echo x >> ledger; until test -e go; do sleep 0.02; done" }\n'
const { sourceHash } = readBuildFile(join(packageRoot(), 'dist'))
const ours = sourceHash.slice(0, 12)

test('a command of another build says in one line which two builds speak, and is answered', async () => {
  const copy = copyBuild('installed')
  copy.edit('dist/build.json', sourceHash, 'e'.repeat(64))
  const { file, start, run, as } = openFolder()
  file('p.yaml', LONG)
  const running = start('run', 'p.yaml')
  await running.heard('/a #1 running')

  const other = await as(copy.launcher).run('ls')
  const quiet = await as(copy.launcher).run('ls', '-q')
  const same = await run('ls')
  file('go', '')

  expect(other).toMatchObject({ code: 0, out: expect.stringContaining('p-') as string })
  expect(other.err.trim().split('\n')).toHaveLength(1)
  expect(other.err).toMatch(
    new RegExp(`this is tenuto \\S+ eeeeeeeeeeee.*held by pid ${running.child.pid}, which is \\S+ ${ours}`),
  )
  expect(quiet.err).toBe('')
  expect(same.err).toBe('')
  expect((await running.said).code).toBe(0)
})

test('a command that speaks another schema ends with 5 and names both', async () => {
  const copy = copyBuild('installed')
  copy.edit('dist/build.json', sourceHash, 'e'.repeat(64))
  copy.edit('dist/http/wire.js', "SCHEMA = '1'", "SCHEMA = '2'")
  const { file, start, as } = openFolder()
  file('p.yaml', LONG)
  const running = start('run', 'p.yaml')
  await running.heard('/a #1 running')

  const { code, out, err } = await as(copy.launcher).run('ls', '--json')
  file('go', '')

  expect(code).toBe(5)
  expect(out).toBe('')
  const last = err.trim().split('\n').at(-1) ?? ''
  const { error } = JSON.parse(last) as { error: { code: string; message: string } }
  expect(error.code).toBe('SCHEMA_MISMATCH')
  expect(error.message).toMatch(/^tenuto \S+ eeeeeeeeeeee\S* asks for schema 2; .* serves 1$/)
  expect(error.message).toContain(ours)
  expect((await running.said).code).toBe(0)
})

test('a runner of another protocol ends a resume with 5 and both names; its own build goes on with the attempt', async () => {
  const copy = copyBuild('installed')
  copy.edit('dist/protocol.js', 'PROTOCOL_VERSION = 1', 'PROTOCOL_VERSION = 99')
  copy.edit('dist/build.json', sourceHash, 'e'.repeat(64))
  const { file, start, folder, as, run, read } = openFolder()
  file('p.yaml', LONG)
  const running = start('run', 'p.yaml')
  await fileThere(join(folder, 'ledger'))
  await running.killed()

  const { code, err } = await as(copy.launcher).run('resume', '--allow-stale-build')
  file('go', '')
  const back = await run('resume')

  expect(code).toBe(5)
  expect(err).toMatch(
    new RegExp(
      `the runner of .*, of build ${ours}, speaks protocol 1; this is tenuto eeeeeeeeeeee and speaks 99`,
    ),
  )
  expect(back.code).toBe(0)
  expect(read('ledger')).toBe('x\n')
  const events = await run('events', 'p', '--json')
  expect(events.out).not.toContain('"lost"')
  const log = readFileSync(join(folder, 'home', 'daemon.log'), 'utf8').split('\n')
  expect(log.filter((line) => line.includes('speaks protocol 1, not 99'))).toHaveLength(1)
})
