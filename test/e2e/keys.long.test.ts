/** Submissions under a key, as programs that know nothing of each other type them. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { fileThere } from '../runner/home.ts'
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

/** Broken on purpose once, and seen: one that has ended told as one to follow. */
test('a plan that has ended under its key is left with how it ended, and what says why', async () => {
  const { run, start, file } = openFolder()
  file('bad.yaml', 'plan: v1\njobs:\n  a: { run: exit 3 }\n')
  file('good.yaml', 'plan: v1\njobs:\n  a: { run: "true" }\n')
  const up = start('up')
  onTestFinished(async () => void (await run('down')))
  await up.heard('serving')
  const ended = [await run('run', 'bad.yaml', '--key', 'b'), await run('run', 'good.yaml', '--key', 'g')]

  const bad = await run('run', 'bad.yaml', '--key', 'b', '--detach')
  const good = await run('run', 'good.yaml', '--key', 'g', '--detach')

  expect(ended.map(({ code }) => code)).toEqual([1, 0])
  expect([bad.code, good.code]).toEqual([0, 0])
  expect(bad.err).toMatch(
    /^(bad-\w{6}) has this key already\n\1 failed\. {2}why: tenuto explain \1 --home \S+ {2}try again what did not succeed: tenuto retry \1 --failed --home \S+\n$/,
  )
  expect(good.err).toMatch(
    /^(good-\w{6}) has this key already\n\1 succeeded\. {2}how: tenuto show \1 --home \S+\n$/,
  )
})

const plan = (exit: number): string =>
  `plan: v1\nname: s\nsecrets: [CANARY]\njobs:\n  a: { run: 'test -n "$CANARY"; exit ${exit}' }\n`
const lacks = 'no value was given for the secret CANARY, which secrets of s.yaml names'
/** A folder with two plans that name a secret, of which this process has no value but while it is given. */
const withSecret = () => {
  const opened = openFolder()
  onTestFinished(() => void vi.unstubAllEnvs())
  opened.file('s.yaml', plan(3))
  opened.file('other.yaml', plan(0))
  const given = async (...args: string[]) => {
    vi.stubEnv('CANARY', 'canary-7f3a')
    const said = opened.run(...args)
    vi.unstubAllEnvs()
    return await said
  }
  return { ...opened, given }
}

/** Broken on purpose once, and seen: secrets that are looked for before the key. */
test('a plan that is there under its key needs its secrets no more, and ends as it did', async () => {
  const { run, given, home, unsound } = withSecret()

  const early = await run('run', 's.yaml', '--key', 'k')
  expect([early.code, early.out, early.err.includes(lacks), existsSync(home)]).toEqual([3, '', true, false])
  const first = await given('run', 's.yaml', '--key', 'k')
  expect([first.code, first.out]).toEqual([1, expect.stringMatching(/^s-\w{6} failed\n$/)])
  const again = await run('run', 's.yaml', '--key', 'k')
  expect([again.code, again.out]).toEqual([1, first.out])
  const fresh = await run('run', 's.yaml', '--key', 'other')
  expect([fresh.code, fresh.out, fresh.err.includes(lacks)]).toEqual([3, '', true])
  expect((await run('run', 'other.yaml', '--key', 'k')).code).toBe(7)
  expect(await unsound()).toEqual([])
})

test('a plan that a daemon has under its key needs its secrets no more: it is followed, or ends as it did', async () => {
  const { run, given, start, unsound } = withSecret()
  onTestFinished(async () => void (await run('down')))
  const up = start('up')
  await up.heard('serving')

  const first = await given('run', 's.yaml', '--key', 'k')
  const there = await run('run', 's.yaml', '--key', 'k')
  expect([there.code, there.out]).toEqual([1, first.out])
  const asFresh = await run('run', 's.yaml', '--key', 'other')
  expect([asFresh.code, asFresh.out, asFresh.err.includes(lacks)]).toEqual([3, '', true])
  expect((await run('run', 'other.yaml', '--key', 'k')).code).toBe(7)
  vi.stubEnv('CANARY', 'short')
  expect((await run('run', 's.yaml', '--key', 'k')).code).toBe(1)
  expect((await run('run', 's.yaml')).code).toBe(3)
  expect(JSON.parse((await run('ls', '--json')).out)).toHaveLength(1)
  expect(await unsound()).toEqual([])
})

test('under the key of what a foreground run drives it is followed, to its end; another plan is a conflict, and no key none of its business', async () => {
  const { run, start, file, folder } = openFolder()
  file(
    'p.yaml',
    'plan: v1\nname: p\njobs: { a: { run: ": > up; until test -e go; do sleep 0.05; done; exit 3" } }\n',
  )
  file('q.yaml', 'plan: v1\nname: q\njobs: { a: { run: "true" } }\n')
  const first = start('run', 'p.yaml', '--key', 'k')
  await fileThere(join(folder, 'up'))
  const [{ id } = {}] = JSON.parse((await run('ls', '--json')).out) as { id: string }[]

  const second = start('run', 'p.yaml', '--key', 'k')
  await second.heard(`${id} has this key already`)
  const left = await run('run', 'p.yaml', '--key', 'k', '--detach')
  expect(left).toMatchObject({ code: 0, out: `${id}\n` })
  expect(await run('run', 'q.yaml', '--key', 'k')).toMatchObject({ code: 7 })
  expect(await run('run', 'p.yaml', '--key', 'other')).toMatchObject({ code: 5 })
  expect(await run('run', 'p.yaml')).toMatchObject({ code: 5 })
  file('go', '')

  for (const each of [first, second]) {
    const { code, out } = await each.said
    expect(code).toBe(1)
    expect(out).toContain(`${id} failed`)
  }
})

test('of five that run one plan under one key at once, without a daemon, one drives it and the others follow', async () => {
  const { run, start, file, folder, read } = openFolder()
  file(
    'p.yaml',
    'plan: v1\nname: p\njobs: { a: { run: "echo x >> ledger; until test -e go; do sleep 0.05; done" } }\n',
  )
  const all = Array.from({ length: 5 }, () => start('run', 'p.yaml', '--key', 'k'))
  await Promise.all([
    fileThere(join(folder, 'ledger')),
    ...all.map((each) => Promise.race([each.heard('has this key already'), each.heard('#1 running')])),
  ])
  file('go', '')

  expect((await Promise.all(all.map(({ said }) => said))).map(({ code }) => code)).toEqual([0, 0, 0, 0, 0])
  expect(read('ledger')).toBe('x\n')
  expect(JSON.parse((await run('ls', '--json')).out)).toHaveLength(1)
})
