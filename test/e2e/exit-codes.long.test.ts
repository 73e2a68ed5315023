import { existsSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openFolder } from './tenuto.ts'

const plan = (jobs: string, top = ''): string => `plan: v1\nname: p\n${top}jobs:\n${jobs}\n`

test('0: every job succeeded; the last line names the plan', async () => {
  const { file, run } = openFolder()
  file('p.yaml', plan('  a: { run: echo hi }\n  b: { needs: [a], exec: ["true"] }'))

  const { code, out, err } = await run('run', 'p.yaml')

  expect(out).toMatch(/^p-[a-z2-7]{6} succeeded\n$/)
  expect(err).toMatch(/p-[a-z2-7]{6}\/a #1 running\n/)
  expect(code).toBe(0)
})

test('1: a job failed; what it said last and how to see more stand on stderr', async () => {
  const { file, run } = openFolder()
  file('p.yaml', plan('  a: { run: "echo the reason; exit 3" }\n  b: { needs: [a], run: "true" }'))

  const { code, out, err } = await run('run', 'p.yaml')

  expect(code).toBe(1)
  expect(out).toMatch(/ failed\n$/)
  expect(err).toContain('a failed: exit 3')
  expect(err).toContain('the reason')
  expect(err).toMatch(/b +skipped +a failed/)
})

test('2: wrong usage, by name and with what to do; what later versions have is refused as such', async () => {
  const { run } = openFolder()

  expect(await run('rnu')).toMatchObject({
    code: 2,
    err: expect.stringContaining("unknown command 'rnu'") as string,
  })
  for (const [words, choices] of [
    [['daemon'], 'pause, drain or resume'],
    [['secret'], 'ls or set'],
    [['secret', 'ls'], "'ref'"],
  ] as const)
    expect(await run(...words)).toMatchObject({ code: 2, err: expect.stringContaining(choices) as string })
  expect(await run('inspect')).toMatchObject({
    code: 2,
    err: expect.stringContaining("missing required argument 'ref'") as string,
  })
  expect(await run('run', 'x.yaml', '-i', 'a=b')).toMatchObject({
    code: 2,
    err: expect.stringMatching(/-i .*not in this version/) as string,
  })
  expect(await run('run', 'missing.yaml')).toMatchObject({
    code: 2,
    err: expect.stringContaining('missing.yaml') as string,
  })
  expect(await run('run', '.')).toMatchObject({ code: 2, err: expect.stringContaining('folder') as string })
  expect(await run('resume', '--timeout', '5')).toMatchObject({
    code: 2,
    err: expect.stringContaining('unit') as string,
  })
})

test('2: a file of 80 MB is refused unread', async () => {
  const { file, run } = openFolder()
  truncateSync(file('huge.yaml', ''), 80_000_000)

  const { code, err } = await run('run', 'huge.yaml')

  expect(code).toBe(2)
  expect(err).toContain('80000000')
})

const bad: readonly (readonly [string, string, readonly RegExp[]])[] = [
  [
    'an unknown key',
    plan('  a: { run: "true", timout: 5s }'),
    [/bad.yaml:4:21 jobs\.a\.timout: .*did you mean.*timeout/],
  ],
  [
    'an unknown need',
    plan('  build: { run: "true" }\n  b: { needs: [buld], run: "true" }'),
    [/bad.yaml:5:\d+ .*buld.*build/],
  ],
  [
    'a cycle',
    plan('  a: { needs: [b], run: "true" }\n  b: { needs: [a], run: "true" }'),
    [/a → b → a|b → a → b/],
  ],
  ['two kind keys', plan('  a: { run: "true", exec: ["true"] }'), [/bad.yaml:4:\d+ /]],
  ['no kind key', plan('  a: { timeout: 5s }'), [/bad.yaml:4:\d+ /]],
  ['a bad duration', plan('  a: { run: "true", timeout: 30 }'), [/bad.yaml:4:\d+ jobs\.a\.timeout: .*30s/]],
  ['a syntax error', 'plan: v1\njobs: { a: {\n', [/bad.yaml:\d+:\d+/]],
  ['nothing', '', [/bad.yaml/]],
  ['something binary', 'plan: v1\0\x01\x02', [/bad.yaml/]],
  [
    'several mistakes, all at once',
    plan(
      '  a: { run: "true", timout: 5s }\n  b: { needs: [x], run: "true" }\n  c: { retry: { max: -1 }, run: "true" }',
    ),
    [/bad.yaml:4:/, /bad.yaml:5:/, /bad.yaml:6:/],
  ],
]

test.each(bad)(
  '3: a plan file with %s is refused with line and column, and nothing is stored',
  async (_, text, wanted) => {
    const { file, run, home } = openFolder()
    file('bad.yaml', text)

    const { code, err } = await run('run', 'bad.yaml')
    const json = await run('validate', 'bad.yaml', '--json')

    expect(code).toBe(3)
    for (const each of wanted) expect(err).toMatch(each)
    expect(existsSync(home)).toBe(false)
    const line = json.err.trim().split('\n')[0] ?? ''
    expect((JSON.parse(line) as { error: { code: string; errors: unknown[] } }).error).toMatchObject({
      code: 'PLAN_INVALID',
    })
  },
)

test('4: a ref that names nothing, or too much', async () => {
  const { file, run } = openFolder()
  file('p.yaml', plan('  a: { run: "true" }'))
  await run('run', 'p.yaml', '-q')
  await run('run', 'p.yaml', '-q')

  expect(await run('show', 'nobody')).toMatchObject({ code: 4 })
  expect(await run('show', 'p/nobody')).toMatchObject({ code: 4 })
  expect(await run('show', 'p-')).toMatchObject({ code: 4, err: expect.stringMatching(/p-.*, p-/) as string })
})

test('7: a key belongs to one plan; the same plan again is that plan and ends as it did', async () => {
  const { file, run, read } = openFolder()
  file('p.yaml', plan('  a: { run: "echo once >> ledger" }'))
  file('other.yaml', plan('  a: { run: "echo other >> ledger" }'))

  const first = await run('run', 'p.yaml', '--key', 'k')
  const again = await run('run', 'p.yaml', '--key', 'k')
  const other = await run('run', 'other.yaml', '--key', 'k')

  expect([first.code, again.code, other.code]).toEqual([0, 0, 7])
  expect(again.out).toBe(first.out)
  expect(read('ledger')).toBe('once\n')
})

test('8, 11, 9: a time that passed leaves the plan going; a pause is one; a cancel without a holder ends what runs', async () => {
  const { file, run, unsound } = openFolder()
  file('p.yaml', plan('  a: { run: sleep 60, grace: 1s }\n  b: { needs: [a], run: "true" }'))

  const late = await run('run', 'p.yaml', '--timeout', '1s')
  const paused = await run('pause', 'p')
  const cancelled = await run('cancel', 'p', '--reason', 'enough')
  const shown = await run('show', 'p', '--json')

  expect(late).toMatchObject({ code: 8, err: expect.stringContaining('tenuto resume') as string })
  expect(paused.code).toBe(0)
  expect(cancelled.code).toBe(0)
  expect(JSON.parse(shown.out)).toMatchObject({
    state: 'cancelled',
    reason: 'operator',
    counts: { cancelled: 2 },
  })
  expect(await run('cancel', 'p')).toMatchObject({
    code: 0,
    out: expect.stringContaining('already') as string,
  })
  expect(await run('pause', 'p')).toMatchObject({ code: 7 })
  expect(await unsound()).toEqual([])
})

test('11: a failure under onFailure: pause pauses the plan, and retry and continue lead on', async () => {
  const { file, run, folder, unsound } = openFolder()
  file(
    'p.yaml',
    plan(
      '  a: { run: test -e good }\n  b: { needs: [a], run: "true" }\n  c: { needs: [d], run: "true" }\n  d: { run: "true" }',
      'onFailure: pause\nmaxParallel: 1\n',
    ),
  )

  const paused = await run('run', 'p.yaml')
  writeFileSync(join(folder, 'good'), '')
  const retried = await run('retry', 'p/a')
  const continued = await run('continue', 'p')
  const resumed = await run('resume')

  expect(paused.code).toBe(11)
  expect(retried).toMatchObject({ code: 0, err: expect.stringContaining('tenuto resume') as string })
  expect(continued.code).toBe(0)
  expect(resumed).toMatchObject({ code: 0, out: expect.stringMatching(/ succeeded\n$/) as string })
  expect(await unsound()).toEqual([])
})

test('12: a journal that is no database is refused, and left as it is', async () => {
  const { file, run, home, read } = openFolder()
  file('p.yaml', plan('  a: { run: "true" }'))
  await run('run', 'p.yaml', '-q')
  for (const name of ['journal.db-wal', 'journal.db-shm'])
    if (existsSync(join(home, name))) truncateSync(join(home, name), 0)
  writeFileSync(
    join(home, 'journal.db'),
    'this is not a database, and it is long enough to be looked at'.repeat(100),
  )

  const { code, err } = await run('run', 'p.yaml')

  expect(code).toBe(12)
  expect(err).toContain('journal.db')
  expect(read('home/journal.db')).toContain('this is not a database')
})

test('2: what is asked of the wrong kind of thing is refused in the same words, with a holder and without', async () => {
  const { file, run, start } = openFolder()
  file('p.yaml', 'plan: v1\nname: p\njobs:\n  a: { run: exec sleep 60 }\n')
  const running = start('run', 'p.yaml')
  await running.heard('/a #1 running')
  const asked = [
    ['pause', 'p/a'],
    ['continue', 'p/a'],
    ['skip', 'p'],
    ['retry', 'p/a', '--failed'],
  ] as const
  const ask = async () => {
    const said = []
    for (const words of asked) said.push(await run(...words))
    return said
  }

  const held = await ask()
  await run('cancel', 'p')
  await running.said
  const unheld = await ask()

  for (const [at, [verb]] of asked.entries()) {
    expect(held[at]).toMatchObject({ code: 2, err: expect.stringContaining(`${verb} `) as string })
    expect(unheld[at]).toEqual(held[at])
  }
})
