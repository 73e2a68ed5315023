/**
 * What a job gets, as the manual has it: the very example of docs/plan-file.md runs, and its lists are those of the source.
 */
import { mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { attemptVariables } from '../src/attempt.ts'
import { JOB_VARIABLES, jobEnvironment } from '../src/config.ts'
import { homePaths } from '../src/home.ts'
import { createRuntime } from '../src/index.ts'
import { OUTPUTS_LIMIT_BYTES } from '../src/outputs.ts'
import { parsePlan } from '../src/plans/plan-file.ts'
import { removeFolder } from './support/folders.ts'

const page = readFileSync(join(import.meta.dirname, '../docs/plan-file.md'), 'utf8')
const [, section = ''] = /^## What a job gets\n(.*?)^## /ms.exec(page) ?? []
const blocks = [...section.matchAll(/^```(\w*)\n(.*?)^```$/gms)].map(([, , text = '']) => text)

/** Runs the plan of a text to its end, with this environment of its submitter; reads logs and environments of its jobs. */
const running = async (text: string, environment: Readonly<Record<string, string>>) => {
  const folder = mkdtempSync(join(tmpdir(), 'tenuto-environment-'))
  onTestFinished(() => removeFolder(folder))
  const home = join(folder, 'home')
  const runtime = await createRuntime({ home })
  onTestFinished(() => runtime.stop())
  const { definition } = parsePlan(text)
  const plan = await runtime.submit(definition, { base: folder, environment: jobEnvironment(environment) })
  const { state, jobs } = await plan.settled()
  const log = async (job: string): Promise<string> =>
    Buffer.from((await runtime.catalog.log(plan.id, job, 1, 0, 1_000_000)).bytes).toString()
  return { id: plan.id, state, jobs, log, attempts: join(homePaths(home).attempts, plan.id) }
}

test('the example of the manual runs, and says what the manual says that it says', async () => {
  const [plan = '', told = ''] = blocks

  const { id, state, jobs, log, attempts } = await running(plan, { PATH: process.env['PATH'] ?? '' })

  expect(state).toBe('succeeded')
  expect(`${await log('say')}\n`).toBe(told.replace(/greet-\w{6}/, id))
  expect(jobs['who']?.outputs).toEqual({ name: 'Ada', size: 3, tags: ['a', 'b'] })
  expect(readFileSync(join(attempts, 'who/1/artifacts/report.txt'), 'utf8')).toBe('all is well\n')
})

test('a job gets the variables that the manual lists, and not one more', async () => {
  const [, listed = ''] = /^1\. (.*?)^2\. /ms.exec(section) ?? []
  const named = [...listed.matchAll(/`([A-Z_]+\*?|[a-z]+_proxy)`/g)].map(([, name = '']) => name)
  const own = [...section.matchAll(/^\| `(TENUTO_\w+)` \|/gm)].map(([, name = '']) => name)
  const given = Object.fromEntries(
    [...JOB_VARIABLES, 'LC_TIME', 'SECRET', 'PYTHONPATH', 'TENUTO_HOME'].map((name) => [name, `my ${name}`]),
  )
  const text =
    'plan: v1\nname: p\nenv: { A: plan, B: plan }\njobs:\n  a: { exec: [/usr/bin/env], env: { B: job, LANG: C } }\n'

  const { log } = await running(text, given)

  expect(named.toSorted()).toEqual([...JOB_VARIABLES, 'LC_*'].toSorted())
  const ref = { key: '', plan: '', job: '', attempt: 1, generation: 1, dir: '' }
  expect(own.toSorted()).toEqual(Object.keys(attemptVariables(ref)).toSorted())
  const seen = Object.fromEntries(
    (await log('a'))
      .trimEnd()
      .split('\n')
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  )
  expect(Object.keys(seen).toSorted()).toEqual([...JOB_VARIABLES, 'LC_TIME', 'A', 'B', ...own].toSorted())
  expect(seen).toMatchObject({ A: 'plan', B: 'job', LANG: 'C', TZ: 'my TZ', TENUTO_ATTEMPT: '1' })
})

test('of outputs the manual names the bound that holds', () => {
  expect(section).toContain(`(${OUTPUTS_LIMIT_BYTES.toLocaleString('en').replaceAll(',', ' ')} bytes)`)
})
