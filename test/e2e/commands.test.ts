import { expect, test } from 'vitest'
import { openFolder } from './tenuto.ts'

const five = `plan: v1
name: p
jobs:
  a: { run: test -e good }
  b: { needs: [a], run: 'true' }
  c: { run: 'true' }
`

test('a retry without a holder is whole when it answers: the job is queued, a second retry finds it so, time goes on', async () => {
  const { file, run } = openFolder()
  file('p.yaml', five)
  await run('run', 'p.yaml', '-q')

  const first = await run('retry', 'p/a')
  const shown = await run('show', 'p', '--json')
  const second = await run('retry', 'p/a')
  file('good', '')
  const resumed = await run('resume')
  const events = await run('events', '--json')

  expect(first).toMatchObject({ code: 0, out: expect.stringContaining('will be tried again') as string })
  expect(JSON.parse(shown.out)).toMatchObject({
    state: 'running',
    jobs: [
      { name: 'a', state: 'queued' },
      { name: 'b', state: 'held' },
      { name: 'c', state: 'succeeded' },
    ],
  })
  expect(second).toMatchObject({ code: 0, out: expect.stringContaining('being tried already') as string })
  expect(resumed.code).toBe(0)
  const times = events.out
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { at: string }).at)
  expect(times).toEqual(times.toSorted())
})

test('what a command refuses it explains, and names nothing that would be refused as well', async () => {
  const { file, run } = openFolder()
  file('p.yaml', five)
  await run('run', 'p.yaml', '-q')

  const skipped = await run('skip', 'p/a')
  const doomed = await run('retry', 'p/b')
  const nothing = await run('retry', 'p/c', '--failed')

  expect(skipped).toMatchObject({ code: 7, err: expect.stringContaining('tenuto show') as string })
  expect(skipped.err).not.toContain('cancel')
  expect(doomed).toMatchObject({
    code: 7,
    err: expect.stringMatching(/p-\w+\/b is skipped; it needs another job first: a is failed/) as string,
  })
  expect(doomed.err).toMatch(/tenuto retry p-\w+ --failed/)
  expect(nothing.code).toBe(0)
})
