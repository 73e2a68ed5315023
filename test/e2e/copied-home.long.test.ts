/**
 * A home, a copy of it, and a backup of it restored in a home of its own: what runs is the first's. Broken on purpose once, and seen: a
 * copy that is taken for the first; a copy that keeps the id of the first when the first is not found; a restore in a new home that does.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { HolderRecord } from '../../src/holder.ts'
import { identityOf, isAlive } from '../../src/process.ts'
import { openFolder } from './tenuto.ts'

const GATED = `plan: v1
name: gated
jobs:
  quick: { run: 'echo quick >> ledger' }
  gate: { run: 'echo begun >> ledger; echo $$ > up; while [ ! -e open ]; do sleep 0.02; done; echo ended >> ledger', needs: [quick] }
  after: { run: 'echo after >> ledger', needs: [gate] }
`
type Event = Readonly<{ job?: string; detail?: Readonly<{ found?: string }> }>

/** A home whose daemon and whose job run, and another folder beside it. */
const opened = async () => {
  const first = openFolder()
  const other = openFolder()
  first.file('g.yaml', GATED)
  const holder = first.start('up')
  await holder.heard('serving')
  onTestFinished(async () => {
    first.file('open', '')
    for (const { run } of [first, other]) await run('down')
  })
  const plan = (await first.run('run', 'g.yaml', '--detach')).out.trim()
  const path = join(first.folder, 'up')
  const said = () => (existsSync(path) ? readFileSync(path, 'utf8').trim() : '')
  await expect.poll(said, { interval: 20 }).not.toBe('')
  const job = identityOf(Number(said()))
  if (job === undefined) throw new Error('the job does not run')
  const lives = () => isAlive(job)
  const copy = (): void => {
    // As of one moment: a daemon that commits meanwhile takes a file away, or leaves its mark ahead of the log that was copied before.
    const { pid } = JSON.parse(first.read('home/daemon.json')) as HolderRecord
    process.kill(pid, 'SIGSTOP')
    try {
      execFileSync('cp', ['-a', first.home, other.home])
    } finally {
      process.kill(pid, 'SIGCONT')
    }
  }
  return { first, other, holder, plan, lives, copy }
}
/** What became of the attempt of the gate when a home was taken up. */
const foundOf = async (run: (...args: string[]) => Promise<Readonly<{ out: string }>>): Promise<unknown> =>
  (await run('events', '--json')).out
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Event)
    .find(({ job, detail }) => job === 'gate' && detail?.found !== undefined)?.detail?.found

test('7: a copy of a home that is there is refused, and nothing of the first is asked, stopped or taken for its own', async () => {
  const { first, other, holder, plan, lives, copy } = await opened()
  copy()

  const refused = []
  for (const args of [['up'], ['resume'], ['cancel', plan], ['sweep'], ['run', join(first.folder, 'g.yaml')]])
    refused.push(await other.run(...args, ...(args[0] === 'up' ? ['--detach'] : [])))
  const down = await other.run('down')
  const status = await other.run('status')
  const listed = await other.run('ls')
  const doctor = await other.run('doctor')

  for (const { code, err } of refused) {
    expect(code).toBe(7)
    expect(err).toContain(`${other.home} is a copy of ${first.home}`)
    expect(err).toContain(`tenuto restore ${other.home}/journal.db --home ${other.home}`)
  }
  expect([down.code, down.out]).toEqual([0, `nobody serves ${other.home}\n`])
  expect(status.out + status.err).not.toContain(`${holder.child.pid}`)
  expect([listed.code, listed.out.includes(plan), listed.err]).toEqual([
    0,
    true,
    expect.stringContaining('no attempt runs'),
  ])
  expect(doctor.out).toContain('it is a copy of')
  expect(lives()).toBe(true)

  first.file('open', '')
  expect((await first.run('resume')).code).toBe(0)
  expect(first.read('ledger')).toBe('quick\nbegun\nended\nafter\n')
  expect(await first.unsound()).toEqual([])
})

test('a copy that is made a home of its own goes on beside the first: what ran is lost in it, and runs on there', async () => {
  const { first, other, plan, lives, copy } = await opened()
  copy()

  const restored = await other.run('restore', join(other.home, 'journal.db'))
  const resumed = await other.run('resume', '--no-input')
  const found = await foundOf(other.run)
  const cancelled = await other.run('cancel', plan)
  const swept = await other.run('sweep')

  expect([restored.code, resumed.code, cancelled.code, swept.code]).toEqual([0, 10, 0, 0])
  expect(found).toBe('lost')
  expect(lives()).toBe(true)
  expect(await other.unsound()).toEqual([])

  first.file('open', '')
  expect((await first.run('resume')).code).toBe(0)
  expect(first.read('ledger')).toBe('quick\nbegun\nended\nafter\n')
  expect(await foundOf(first.run)).toBeUndefined()
  expect(await first.unsound()).toEqual([])
})

test('a copy whose first was moved away is a home of its own; the first is adopted where it is', async () => {
  const { first, other, holder, lives, copy } = await opened()
  copy()
  renameSync(first.home, `${first.home}-moved`)
  await holder.said

  const resumed = await other.run('resume', '--no-input')

  expect(resumed.code).toBe(10)
  expect(await foundOf(other.run)).toBe('lost')
  expect(lives()).toBe(true)
  expect(await other.unsound()).toEqual([])

  renameSync(`${first.home}-moved`, first.home)
  const again = first.start('resume', '--no-input')
  await expect.poll(() => foundOf(first.run)).toBe('adopted')
  first.file('open', '')
  await again.said
  expect(first.read('ledger')).toBe('quick\nbegun\nended\n')
})

test('a backup that is restored in a new home beside the first leaves alone what runs there', async () => {
  const { first, other, plan, lives } = await opened()
  const made = (await first.run('backup', join(first.folder, 'backup.db'))).out.trim()

  const restored = await other.run('restore', made)
  const resumed = await other.run('resume', '--no-input')
  const found = await foundOf(other.run)
  const cancelled = await other.run('cancel', plan)
  const later = (await first.run('backup', join(first.folder, 'later.db'))).out.trim()
  const again = await other.run('restore', later)

  expect([restored.code, resumed.code, cancelled.code, again.code]).toEqual([0, 10, 0, 0])
  expect(found).toBe('lost')
  expect(lives()).toBe(true)
  first.file('open', '')
  expect((await first.run('resume')).code).toBe(0)
})
