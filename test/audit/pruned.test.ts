/**
 * The auditor of a home from which retention has removed something: that is no loss, and a loss beside it is still found.
 *
 * Mutations that were planted once, and each found: the sum left out, the number left out, `cleared` believed for every attempt.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { auditHome } from '../../src/audit/home.ts'
import { createRuntime } from '../../src/runtime.ts'
import { removeFolder } from '../support/folders.ts'
import { copyOf, shellPlan } from './home.ts'

const folder = mkdtempSync(join(tmpdir(), 'tenuto-pruned-'))
const made = join(folder, 'home')

/** A plan is gone, one has lost its folders and was then retried in part, and the positions have holes. */
beforeAll(async () => {
  const runtime = await createRuntime({ home: made, retention: { everyMs: 0, attemptBytes: 1 } })
  const plan = shellPlan({ a: { run: 'echo a' }, b: { run: 'echo b', needs: { a: 'success' } } })
  await (await runtime.submit(plan)).settled()
  const kept = await runtime.submit(plan)
  await kept.settled()
  await runtime.gc({ keep: 1 })
  await runtime.command(kept.id, 'b', { do: 'retry' })
  await kept.settled()
  await runtime.stop()
})
afterAll(() => removeFolder(folder))

const kindsIn = async (home: string): Promise<readonly string[]> =>
  (await auditHome(home)).findings.map(({ kind }) => kind)

test('what was removed is no loss', async () => {
  const { home, ask } = copyOf(made)

  expect(ask('SELECT steps > 0 AND plans = 1 FROM pruned')).toBe(1)
  expect(ask('SELECT count(*) FROM cleared')).toBe(1)
  expect(await kindsIn(home)).toEqual([])
})

test.each([
  ['a step more was removed than is on record', 'UPDATE pruned SET steps = steps - 1'],
  ['other steps were removed than are on record', 'UPDATE pruned SET sum = sum + 1'],
  ['nothing is on record', 'UPDATE pruned SET steps = 0, sum = 0'],
])('%s: positions are missing', async (_, edit) => {
  const { home, edit: change } = copyOf(made)
  change(edit)

  const kinds = await kindsIn(home)

  expect(kinds).toContain('position-gap')
  expect(new Set(kinds).size).toBe(1)
})

test('a step that is lost beside those that were removed is found, with its place', async () => {
  const { home, edit, ask, plan } = copyOf(made)
  const seq = ask(`SELECT max(seq) - 1 FROM step WHERE address = 'job:${plan}/b'`)
  edit(`DELETE FROM step WHERE address = 'job:PLAN/b' AND seq = ${String(seq)}`)

  const { findings } = await auditHome(home)

  expect(findings.map(({ kind }) => kind)).toContain('position-gap')
  expect(findings.find(({ kind }) => kind === 'seq-gap')?.place).toMatchObject({ plan, job: 'b' })
})

test('of what ended after the folders were removed, folders are missed', async () => {
  const { home, dir } = copyOf(made)
  rmSync(dir('b', 2), { recursive: true })

  expect(await kindsIn(home)).toEqual(['exit-missing'])
})

test('what a job has put in the place of a record is no record, and nobody waits for it', async () => {
  const { home, dir } = copyOf(made)
  const record = join(dir('b', 2), 'exit.json')
  rmSync(record)
  execFileSync('mkfifo', [record])

  expect(await kindsIn(home)).toEqual(['exit-missing'])
})

test('rows and folders of a plan that is leaving are nobody’s loss', async () => {
  const { home, edit } = copyOf(made)
  edit(`INSERT INTO leaving (number, plan) VALUES (1, 'PLAN'); DELETE FROM plan; DELETE FROM plan_revision;
    DELETE FROM cleared`)

  expect(await kindsIn(home)).toEqual([])
})
