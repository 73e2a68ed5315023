import { existsSync } from 'node:fs'
import { expect, test } from 'vitest'
import { openFolder } from './tenuto.ts'

test.each([
  [['ls'], 0],
  [['events'], 0],
  [['show', 'x'], 4],
  [['logs', 'x'], 4],
  [['cancel', 'x'], 4],
  [['retry', 'x'], 4],
  [['sweep'], 0],
  [['gc'], 0],
  [['gc', '--shrink'], 0],
  [['status'], 5],
  [['down'], 0],
  [['resume'], 0],
  [['resume', 'x'], 4],
  [['backup'], 2],
  [['backup', 'x.db'], 2],
  [['restore', 'none.db'], 2],
  [['restore', 'q.yaml'], 2],
  [['doctor', '--audit'], null],
  [['run', 'q.yaml', '--detach'], 5],
] as const)('a home that is not there is not made by %j', async (args, code) => {
  const { run, home, file } = openFolder()
  file('q.yaml', "plan: v1\nname: q\njobs:\n  a: { run: 'true' }\n")

  const said = await run(...args)

  if (code !== null) expect(said.code).toBe(code)
  expect(existsSync(home)).toBe(false)
})
