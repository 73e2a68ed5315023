/**
 * Files that past versions wrote. Each holds a plan that succeeded, with outputs and a key, and one that is paused at a failure with
 * a message in its mail; each must still be read, brought up and gone on with.
 *
 * Mutations that were planted once, and each found: a table left out of the sealing; the backup made after the migration.
 */
import { copyFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, test } from 'vitest'
import { sqliteReader } from '../../src/journal/reader.ts'
import { SCHEMA } from '../../src/journal/schema.ts'
import { createRuntime } from '../../src/runtime.ts'
import { folder } from './folder.ts'

const fixtures = join(import.meta.dirname, 'fixtures')
const past = Array.from({ length: SCHEMA.version - 1 }, (_, at) => at + 1)

const versionOf = (file: string): unknown => {
  const database = new DatabaseSync(file, { readOnly: true })
  const row = database.prepare('PRAGMA user_version').get()
  database.close()
  return row?.['user_version']
}

test('there is a fixture of every past schema', () => {
  expect(readdirSync(fixtures).toSorted()).toEqual(past.map((version) => `schema-${version}.db`))
})

test.each(past)('a file of schema %i is brought up, after a copy, and its plans go on', async (version) => {
  const home = folder()
  const file = join(home, 'journal.db')
  copyFileSync(join(fixtures, `schema-${version}.db`), file)
  expect(versionOf(file)).toBe(version)

  const runtime = await createRuntime({ home, resume: false })

  expect(versionOf(`${file}.schema-${version}`)).toBe(version)
  expect(versionOf(file)).toBe(SCHEMA.version)
  const plans = await runtime.catalog.plans()
  expect(plans.map(({ name, state, reason, key }) => [name, state, reason, key])).toEqual([
    ['paused', 'paused', 'paused', null],
    ['done', 'succeeded', null, 'first'],
  ])
  const reader = await sqliteReader(file)
  for (const { id } of plans) {
    // Each of these refuses a row whose crc does not fit.
    await reader.revision(id)
    await reader.jobs(id)
    await reader.actors(id)
    await reader.outputs(id)
    await reader.mail(id)
    expect((await reader.plan(id))?.damaged).toBe(false)
  }
  expect(await reader.mail()).toHaveLength(1)
  const [done] = plans.filter(({ name }) => name === 'done')
  expect((await runtime.catalog.job(done?.id ?? '', 'only')).outputs).toEqual({ n: '1' })
  const [paused] = plans.filter(({ name }) => name === 'paused')
  const handle = await runtime.plan(paused?.id ?? '')
  await runtime.takeUp(handle.id)
  await runtime.command(handle.id, null, { do: 'continue' })
  const { state, jobs } = await handle.settled()
  expect([state, jobs['gives']?.outputs, jobs['waits']?.state]).toEqual([
    'failed',
    { version: '7' },
    'succeeded',
  ])
  await reader.close()
  await runtime.stop()
})
