import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openFolder } from './tenuto.ts'

const bin = join(import.meta.dirname, '../../bin/tenuto.cjs')

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
  const kind = await run('retry', 'p/c', '--failed')

  expect(skipped).toMatchObject({ code: 7, err: expect.stringContaining('tenuto show') as string })
  expect(skipped.err).not.toContain('cancel')
  expect(doomed).toMatchObject({
    code: 7,
    err: expect.stringMatching(/p-\w+\/b is skipped; it needs another job first: a is failed/) as string,
  })
  expect(doomed.err).toMatch(/tenuto retry p-\w+\/a --home /)
  expect(kind).toMatchObject({ code: 2, err: expect.stringContaining('takes a plan') as string })
})

test('a home that can be none is refused alike by what reads, runs and changes', async () => {
  const { file, folder } = openFolder()
  file('p.yaml', five)
  const plain = file('plain', '')
  const long = `${folder}/${'x/'.repeat(300)}`

  for (const words of [['ls'], ['run', 'p.yaml'], ['pause', 'p'], ['logs', 'p', '-f']]) {
    for (const [home, why] of [
      [plain, 'is no folder'],
      [`${plain}/below`, 'plain is no folder'],
      [long, 'it may have 480'],
    ] as const) {
      const asked = [bin, ...words, '--json', '--home', home]
      const { status, stderr } = spawnSync(process.execPath, asked, { cwd: folder, encoding: 'utf8' })
      expect(JSON.parse(stderr.split('\n')[0] ?? '')).toMatchObject({
        error: { code: 'HOME_UNUSABLE', message: expect.stringContaining(why) as string },
      })
      expect(status).toBe(2)
    }
  }
})

test('wrong words are refused by their name, and usual ones are understood', async () => {
  const { file, run } = openFolder()
  file('p.yaml', five)
  await run('run', 'p.yaml', '-q')

  const refused: readonly (readonly [readonly string[], string])[] = [
    [['run', '-i', 'k=v', 'p.yaml'], '-i is not in this version'],
    [['machines', 'foo'], 'there is no machine foo; there are: plan, job'],
    [['logs', 'p/a', '--attempt', 'z'], '--attempt z'],
    [['logs', 'p/a', '--attempt', '0'], '--attempt 0'],
  ]
  for (const [words, what] of refused) {
    const { code, err } = await run(...words)
    expect(err).toContain(what)
    expect(code).toBe(2)
  }
  expect(await run('logs', 'p/a', '--attempt', '2')).toMatchObject({ code: 4 })
  for (const words of [['--version'], ['-V']])
    expect(await run(...words)).toMatchObject({ code: 0, out: expect.stringContaining('tenuto ') as string })
  expect((await run('help')).out).toContain('Usage: tenuto')
  expect((await run('help', 'logs')).out).toContain('Usage: tenuto logs')
})

test('what a job says cannot steer the terminal from the last words about a run, nor does an unstarted one name its log', async () => {
  const { file, run } = openFolder()
  file(
    'p.yaml',
    `plan: v1\nname: p\njobs:\n  a: { run: "printf '\\\\033[2J\\\\033[31mred\\\\a\\\\rover\\\\n'; exit 7" }\n  b: { exec: [./missing] }\n`,
  )

  const { code, err } = await run('run', 'p.yaml')
  const shown = await run('show', 'p/b')
  const plan = await run('show', 'p')

  expect(code).toBe(1)
  expect(err).toContain('    over\n')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
  expect(err).not.toMatch(/[\x00-\x08\x0b-\x1f\x7f]/)
  expect(shown.err).not.toContain('its log')
  expect(plan.out).toContain('exit 7')
  expect(plan.out).not.toContain('spawn-error')
})
