/** Submissions under a key, as programs that know nothing of each other type them. */
import { expect, onTestFinished, test } from 'vitest'
import { openFolder } from './tenuto.ts'

test('ten commands that submit one plan under one key at once are one plan; another plan under it is a conflict', async () => {
  const { run, start, file, unsound } = openFolder()
  file('one.plan.yaml', 'plan: v1\njobs:\n  a: { run: "echo ran >> ledger" }\n')
  file('other.plan.yaml', 'plan: v1\njobs:\n  b: { run: "true" }\n')
  const up = start('up')
  onTestFinished(async () => void (await run('down')))
  await up.heard('serving')

  const said = await Promise.all(
    Array.from({ length: 10 }, () => run('run', 'one.plan.yaml', '--detach', '--key', 'k')),
  )
  const other = await run('run', 'other.plan.yaml', '--detach', '--key', 'k')

  expect(said.map(({ code }) => code)).toEqual(said.map(() => 0))
  const ids = [...new Set(said.map(({ out }) => out.trim()))]
  expect(ids).toEqual([expect.stringMatching(/^one-\w{6}$/)])
  expect([other.code, other.out]).toEqual([7, ''])
  expect(other.err).toContain(ids[0])
  expect(JSON.parse((await run('ls', '--json')).out)).toMatchObject([{ id: ids[0] }])
  expect((await run('resume', ids[0] ?? '')).code).toBe(0)
  expect(await unsound()).toEqual([])
})
