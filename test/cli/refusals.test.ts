/**
 * What is asked wrongly is refused before anything is made.
 *
 * Mutations that were planted once, and each found: a key that only the runtime looks at; a port that is looked at after the home of
 * a daemon was made; a resume that takes any home.
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { act } from '../../src/cli/act.ts'
import { gc } from '../../src/cli/gc.ts'
import { ls } from '../../src/cli/ls.ts'
import { graph, machines } from '../../src/cli/plan.ts'
import { logs } from '../../src/cli/read.ts'
import { resume, run } from '../../src/cli/run.ts'
import { up } from '../../src/cli/up.ts'

const openFolder = () => {
  const folder = mkdtempSync(join(tmpdir(), 'tenuto-refusals-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }))
  const plan = join(folder, 'p.yaml')
  writeFileSync(plan, "plan: v1\njobs:\n  a: { run: 'true' }\n")
  return { folder, plan, home: join(folder, 'home') }
}
type Opened = ReturnType<typeof openFolder>

test.each<readonly [string, (opened: Opened) => Promise<number>]>([
  ['run --key=', ({ plan, home }) => run(plan, { home, key: '' })],
  ['run --key=, too long', ({ plan, home }) => run(plan, { home, key: 'k'.repeat(201) })],
  ['run --timeout=', ({ plan, home }) => run(plan, { home, timeout: '' })],
  ['run --timeout=abc', ({ plan, home }) => run(plan, { home, timeout: 'abc' })],
  ['run --max-parallel=0', ({ plan, home }) => run(plan, { home, maxParallel: '0' })],
  ['run --max-parallel=1.5', ({ plan, home }) => run(plan, { home, maxParallel: '1.5' })],
  ['run --inspect=port', ({ plan, home }) => run(plan, { home, inspect: true, inspectPort: 'port' })],
  ['resume --timeout=1', ({ home }) => resume(undefined, { home, timeout: '1' })],
  ['up --max-parallel=', ({ home }) => up({ home, maxParallel: '' })],
  ['up --inspect=65536', ({ home }) => up({ home, inspect: true, inspectPort: '65536' })],
  ['up --detach --inspect=x', ({ home }) => up({ home, detach: true, inspect: true, inspectPort: 'x' })],
  ['up --detach --max-parallel=x', ({ home }) => up({ home, detach: true, maxParallel: 'x' })],
  ['gc --older-than=', ({ home }) => gc({ home, olderThan: '' })],
  ['gc --keep=-1', ({ home }) => gc({ home, keep: '-1' })],
  ['retry --failed --downstream', ({ home }) => act('retry', 'p', { home, failed: true, downstream: true })],
  ['graph --json --format dot', ({ plan, home }) => graph(plan, { home, json: true, format: 'dot' })],
  ['graph --format=', ({ plan, home }) => graph(plan, { home, format: '' })],
  ['machines --json --format mermaid', () => machines(undefined, { json: true, format: 'mermaid' })],
])('%s is refused, and nothing is made', async (_, asks) => {
  const opened = openFolder()

  await expect(asks(opened)).rejects.toMatchObject({ code: 'USAGE', exit: 2 })

  expect(readdirSync(opened.folder)).toEqual(['p.yaml'])
})

test('a state that is empty is shown with what it stands in', async () => {
  const { home } = openFolder()

  await expect(ls('plans', { home, state: 'failed,' })).rejects.toThrow(
    '--state "failed,": it is one or more of ',
  )
  await expect(ls('jobs', { home, state: '' })).rejects.toThrow('--state "": it is one or more of ')
  await expect(ls('jobs', { home, state: 'failed,x' })).rejects.toThrow('--state x: it is one or more of ')
})

test('resume of a home that is not there finds nothing to do, and does not make it', async () => {
  const { home } = openFolder()

  expect(await resume(undefined, { home })).toBe(0)
  await expect(resume('p', { home })).rejects.toMatchObject({ code: 'REF_NOT_FOUND', exit: 4 })
  await expect(logs('p', { home })).rejects.toMatchObject({ code: 'REF_NOT_FOUND', exit: 4 })
  expect(existsSync(home)).toBe(false)
})

test('resume of a folder that is no home finds nothing to do, and makes no journal', async () => {
  const { home } = openFolder()
  mkdirSync(home, { mode: 0o700 })

  expect(await resume(undefined, { home })).toBe(0)
  expect(readdirSync(home)).toEqual([])
})
