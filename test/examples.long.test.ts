import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openFolder } from './e2e/tenuto.ts'

const example = (name: string): string => join(import.meta.dirname, '../examples', name)

test('troubles: fails, retries, times out and skips on purpose', async () => {
  const { run, unsound } = openFolder()

  const { code, err } = await run('run', example('troubles.plan.yaml'))
  const { out } = await run('show', 'troubles', '--json')

  expect(code).toBe(1)
  expect(err).toContain('disk on fire')
  const { jobs } = JSON.parse(out) as {
    jobs: { name: string; state: string; reason: string | null; attempt: number }[]
  }
  const ends = Object.fromEntries(
    jobs.map(({ name, state, reason, attempt }) => [name, [state, reason, attempt]]),
  )
  expect(ends).toEqual({
    flaky: ['succeeded', null, 3],
    broken: ['failed', 'exit', 1],
    hangs: ['failed', 'timeout', 1],
    extra: ['failed', 'exit', 1],
    'after-flaky': ['succeeded', null, 1],
    'after-broken': ['skipped', 'need-failed', 0],
    'after-that': ['skipped', 'need-failed', 0],
    cleanup: ['succeeded', null, 1],
  })
  expect(await unsound()).toEqual([])
})

test('word-count: a plan made by a program counts the words of the manual', async () => {
  const { run, unsound } = openFolder()

  const { code } = await run('run', example('word-count.plan.ts'))
  const { out } = await run('logs', 'word-count/total')

  expect(code).toBe(0)
  expect(out).toMatch(/^\d{3,} words on \d+ pages\n$/)
  expect(await unsound()).toEqual([])
})

test('supervisor: a desk that breaks is restarted with what stands on it, and the manual shows this very example', () => {
  const source = readFileSync(example('supervisor.ts'), 'utf8')
  const manual = readFileSync(join(import.meta.dirname, '../docs/supervisor.md'), 'utf8')

  const out = execFileSync(process.execPath, [example('supervisor.ts')], {
    encoding: 'utf8',
  })

  expect(out.trim().split('\n')).toEqual([
    'a clerk answers the letter of Anna',
    'desk is restarted: a leg broke',
    'the lamp is out',
    'the lamp is out',
    'the desk is cleared',
    "[ 'desk stopped 2', 'lamp stopped 2', 'clerks stopped 2' ]",
  ])
  expect(manual).toContain(`\`\`\`ts\n${source}\`\`\``)
})

test('testing: an hour of a release in a moment, and the manual shows this very example', () => {
  const source = readFileSync(example('testing.ts'), 'utf8')
  const manual = readFileSync(join(import.meta.dirname, '../docs/testing.md'), 'utf8')

  const out = execFileSync(process.execPath, [example('testing.ts')], { encoding: 'utf8' })

  expect(out.trim().split('\n')).toEqual([
    'after 20 minutes: test#1 runs',
    "[ { attempt: 'test#1', why: 'stop-timeout' } ]",
    'succeeded: build succeeded, test succeeded, ship succeeded, notes succeeded',
    'build#1 build#2 test#1 notes#1 test#2 ship#1',
  ])
  expect(manual).toContain(`\`\`\`ts\n${source}\`\`\``)
})

const npmAnswers = (): boolean => {
  try {
    execFileSync('npm', ['view', 'picocolors', 'version', '--fetch-retries=0'], {
      stdio: 'ignore',
      timeout: 15_000,
    })
    return true
  } catch {
    return false
  }
}

test('licenses: fetches packages, unpacks them in parallel, joins a report', async (context) => {
  if (!npmAnswers()) context.skip('npm cannot be reached from here')
  const { run, unsound } = openFolder()

  const { code } = await run('run', example('licenses.plan.yaml'))
  const { out } = await run('logs', 'licenses/report')

  expect(code).toBe(0)
  expect(out).toMatch(/^picocolors +ISC +\d+ KB$/m)
  expect(out).toMatch(/^zod +MIT +\d+ KB$/m)
  expect(await unsound()).toEqual([])
})

test('release: checks, packs and tries this project', async (context) => {
  const { run, unsound } = openFolder()
  expect((await run('validate', example('release.plan.yaml'))).code).toBe(0)
  if (!process.env['TENUTO_EXAMPLES']) context.skip('set TENUTO_EXAMPLES to run it: it takes a minute')

  const { code } = await run('run', example('release.plan.yaml'))

  expect(code).toBe(0)
  expect(await unsound()).toEqual([])
})
