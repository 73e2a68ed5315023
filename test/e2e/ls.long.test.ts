/**
 * What `ls` leaves out. Broken on purpose once, and seen: a list in JSON that says nothing of what is not in it.
 */
import { expect, test } from 'vitest'
import { createRuntime, definePlan } from '../../src/index.ts'
import { openFolder } from './tenuto.ts'

test('a list that is not whole says so on stderr, to a program as a note, and its shape stays', async () => {
  const { home, run } = openFolder()
  const runtime = await createRuntime({ home, handlers: { nothing: () => null } })
  const plan = definePlan({ name: 'p', jobs: { a: { call: 'nothing' }, b: { call: 'nothing' } } })
  const plans = await Promise.all(Array.from({ length: 51 }, () => runtime.submit(plan)))
  await Promise.all(plans.map((each) => each.settled()))
  await runtime.stop()
  const noted = async (...args: string[]) => {
    const { code, out, err } = await run('ls', ...args, '--json')
    expect(code).toBe(0)
    const notes = err.split('\n').filter((line) => line !== '')
    return {
      items: (JSON.parse(out) as readonly object[]).length,
      notes: notes.map((line) => (JSON.parse(line) as { note: string }).note),
    }
  }
  const more = '; --limit N, at most 200, shows more'

  expect(await noted()).toEqual({
    items: 50,
    notes: [`older plans are left out: these are the newest 50${more}`],
  })
  expect(await noted('jobs', '--limit', '2')).toEqual({
    items: 4,
    notes: [`those of older plans are left out: these are the jobs of the newest 2${more}`],
  })
  expect(await noted('jobs', '--state', 'succeeded', '--limit', '3')).toEqual({
    items: 3,
    notes: [`more jobs are left out: these are 3 of the newest plans${more}`],
  })
  expect(await noted('--limit', '51')).toEqual({ items: 51, notes: [] })
  expect(await noted('jobs', '--limit', '51')).toEqual({ items: 102, notes: [] })
  expect(await noted('jobs', '--state', 'succeeded', '--limit', '102')).toEqual({ items: 102, notes: [] })
  expect((await run('ls', '--limit', '2')).err).toMatch(/and older plans: these are the newest 2; --limit N/)
})
