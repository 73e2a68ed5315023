import { expect, test } from 'vitest'
import { openFolder } from './tenuto.ts'

test('a job in the grace of its timeout is shown as stopping, with and without tenuto, and ends as timed out', async () => {
  const { file, start, run } = openFolder()
  const job = "trap '' TERM; until test -e go; do sleep 0.05; done"
  file('p.yaml', `plan: v1\nname: p\njobs:\n  a: { run: "${job}", timeout: 3s, grace: 25s }\n`)
  const first = start('run', 'p.yaml')

  await first.heard('stopping')
  const shown = await run('show', 'p/a', '--json')
  const inWords = await run('show', 'p/a')
  await first.killed()
  const alone = await run('show', 'p/a', '--json')
  file('go', '')
  const { code } = await run('resume')

  for (const { out } of [shown, alone]) {
    expect(JSON.parse(out)).toMatchObject({ state: 'stopping', reason: 'stop-timeout', attempt: 1 })
  }
  expect(inWords.out).toContain('its time is up; it is being stopped')
  expect(code).toBe(1)
  expect(JSON.parse((await run('show', 'p/a', '--json')).out)).toMatchObject({
    state: 'failed',
    reason: 'timeout',
    attempts: [{ n: 1, outcome: 'timeout' }],
  })
  const steps = (await run('events', 'p/a', '--json')).out.trim().split('\n')
  const types = steps.map((line) => (JSON.parse(line) as { type: string }).type)
  expect(types.filter((type) => type === 'attempt.stopping')).toHaveLength(1)
})
