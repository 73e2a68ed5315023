import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openFolder } from './tenuto.ts'

const PLAN = 'plan: v1\nname: p\njobs:\n  a: { run: echo a }\n'

test('gc --dry-run says what goes, gc removes it, with a daemon and without one; an audit finds nothing', async () => {
  const { file, start, run, unsound, home } = openFolder()
  file('p.yaml', PLAN)
  const nothing = await run('gc', '--json')
  const first = (await run('run', 'p.yaml', '--key', 'k')).out.split(' ')[0] ?? ''
  const second = (await run('run', 'p.yaml')).out.split(' ')[0] ?? ''
  const folders = (): readonly string[] =>
    readdirSync(join(home, 'attempts')).filter((name) => !name.startsWith('.'))

  const dry = await run('gc', '--dry-run', '--keep', '1')
  const kept = folders()
  const done = await run('gc', '--keep', '1', '--json')
  const events = await run('events')
  const again = await run('run', 'p.yaml', '--key', 'k')
  const daemon = start('up')
  await daemon.heard('serving')
  const held = await run('gc', '--older-than', '0s', '--json')
  const shrunk = await run('gc', '--shrink')
  const down = await run('down')
  const audited = await unsound()
  const small = await run('gc', '--shrink', '--json')

  expect(JSON.parse(nothing.out)).toMatchObject({ plans: [], attempts: 0 })
  expect(dry.out).toMatch(
    new RegExp(`would remove plan ${first}, ended .* ago, 1 attempt, .*\\nwould remove 1 plan, 1 attempt`),
  )
  expect(dry.err).toContain('nothing was removed')
  expect([...kept].sort()).toEqual([first, second].sort())
  expect(JSON.parse(done.out)).toMatchObject({ dry_run: false, plans: [{ id: first, attempts: 1 }] })
  expect(events.out).toContain(second)
  expect(events.out).not.toContain(first)
  expect([again.code, again.out.includes(first)]).toEqual([0, false])
  expect((JSON.parse(held.out) as { plans: object[] }).plans).toHaveLength(2)
  expect(shrunk).toMatchObject({ code: 7, err: expect.stringContaining('tenuto down') as string })
  expect(down.code).toBe(0)
  expect(audited).toEqual([])
  expect(folders()).toEqual([])
  expect(JSON.parse(small.out)).toMatchObject({ journal: { free_bytes: 0 } })
})

test('wrong words are refused by their name', async () => {
  const { run } = openFolder()

  expect(await run('gc', '--older-than', '30')).toMatchObject({
    code: 2,
    err: expect.stringContaining('--older-than 30') as string,
  })
  expect(await run('gc', '--keep', 'some')).toMatchObject({ code: 2 })
  expect(await run('gc', '--dry-run', '--shrink')).toMatchObject({ code: 2 })
})
