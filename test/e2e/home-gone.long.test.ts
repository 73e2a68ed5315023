/**
 * A home that goes while somebody holds it. Broken on purpose once, and seen: a holder that removes `daemon.json` where its home was; one
 * that closes the socket there. What the runner does is in `test/actors/executor.long.test.ts`.
 */
import { existsSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { pidsOf, processGone } from '../runner/home.ts'
import { openFolder } from './tenuto.ts'

const GATED = `plan: v1
name: gated
jobs:
  gate: { run: 'echo begun >> ledger; echo $$ > up; while [ ! -e open ]; do sleep 0.02; done; echo ended >> ledger' }
  after: { run: 'echo after >> ledger', needs: [gate] }
`
/** A folder with a plan whose first job says its pid in `up` when it runs. */
const opened = () => {
  const made = openFolder()
  made.file('g.yaml', GATED)
  const job = async (): Promise<number> => {
    const path = join(made.folder, 'up')
    const said = () => (existsSync(path) ? readFileSync(path, 'utf8').trim() : '')
    await expect.poll(said, { interval: 20 }).not.toBe('')
    return Number(said())
  }
  const remove = (): void => rmSync(made.home, { recursive: true, force: true, maxRetries: 10 })
  const runner = (): number | undefined =>
    pidsOf((line) => line.includes('runner/main') && line.includes(made.home))[0]
  return { ...made, job, remove, runner }
}

test.each([
  ['a daemon', 'up'],
  ['a foreground run', 'run'],
] as const)('12: the home of %s is removed: it says so and ends, and what runs is ended', async (_, what) => {
  const { start, run, job, remove, home } = opened()
  const holder = what === 'up' ? start('up') : start('run', 'g.yaml')
  if (what === 'up') {
    await holder.heard('serving')
    await run('run', 'g.yaml', '--detach')
  }
  const pid = await job()

  remove()
  const { code, out, err } = await holder.said
  await processGone(pid)

  expect(code).toBe(12)
  expect(err).toContain(`the home ${home} has been removed`)
  expect(out + err).not.toContain('cancelled')
  expect(existsSync(home)).toBe(false)
})

test('a home that is moved away and back goes on where it was: nothing was cancelled, what ran is adopted', async () => {
  const { start, run, job, home, file, read, runner, unsound } = opened()
  const holder = start('up', '--json')
  await holder.heard('pid')
  const plan = (await run('run', 'g.yaml', '--detach')).out.trim()
  await job()
  const watcher = runner() as number

  renameSync(home, `${home}-moved`)
  const { code, err } = await holder.said
  await processGone(watcher)
  const listed = await run('ls')
  renameSync(`${home}-moved`, home)
  const resumed = start('resume', '--no-input')
  const events = async () => (await run('events', '--json')).out
  await expect.poll(events).toContain('"found":"adopted"')
  file('open', '')
  const end = await resumed.said

  expect(code).toBe(12)
  expect(err).toContain('HOME_GONE')
  expect(err).toContain(`has been moved to ${home}-moved`)
  expect([listed.code, listed.out.includes(plan)]).toEqual([0, false])
  // Nobody saw how it ended, so that a person decides.
  expect(end.code).toBe(10)
  expect(read('ledger')).toBe('begun\nended\n')
  expect(await events()).not.toContain('cancel')
  expect((await run('skip', `${plan}/gate`)).code).toBe(0)
  expect(await unsound()).toEqual([])
})

/** Broken on purpose once, and seen: followers that are told that no daemon serves where the home was, and to start one there. */
test('who follows in a home that is moved is told where it is now, and is not sent to where it was', async () => {
  const { start, run, home, file } = opened()
  file(
    'm.yaml',
    'plan: v1\nname: m\njobs:\n  a: { run: "echo here; while [ ! -e open ]; do sleep 0.02; done" }\n  b: { run: "false", retry: { max: 1000, delay: 100ms, factor: 1 } }\n',
  )
  const holder = start('run', 'm.yaml')
  await holder.heard('/a #1 running')
  const followers = [
    start('logs', 'm/a', '-f'),
    start('logs', 'm', '-f'),
    start('events', 'm', '-f'),
    start('resume', 'm'),
  ] as const
  const [job, plan, events, resumed] = followers
  await Promise.all([job.heard('here'), plan.heard('here'), events.heard('begun'), resumed.heard('/b')])

  renameSync(home, `${home}-moved`)
  const told = await Promise.all([holder, ...followers].map(({ said }) => said))
  renameSync(`${home}-moved`, home)
  await run('cancel', 'm')

  for (const { code, err } of told) {
    expect([code, err]).toEqual([
      12,
      expect.stringContaining(`the home ${home} has been moved to ${home}-moved`),
    ])
    expect(err).not.toContain(`--home ${home}`)
  }
})

test('who takes the place of a removed home at once is not disturbed by the holder before', async () => {
  const { start, run, remove, home } = opened()
  onTestFinished(async () => {
    await run('down')
  })
  const old = start('up')
  await old.heard('serving')

  remove()
  const { pid } = JSON.parse((await run('up', '--detach', '--json')).out) as { pid: number }
  const { code } = await old.said
  const status = await run('status', '--json')

  expect(code).toBe(12)
  expect([status.code, status.err]).toEqual([0, ''])
  expect((JSON.parse(status.out) as { daemon: { pid: number } }).daemon.pid).toBe(pid)
  expect(existsSync(join(home, 'daemon.json'))).toBe(true)
})

test('12: a home whose lock is removed is given up before somebody else can hold it beside us for long', async () => {
  const { start, home } = opened()
  const old = start('up')
  await old.heard('serving')

  rmSync(join(home, 'lock.db'))
  const { code, err } = await old.said

  expect(code).toBe(12)
  expect(err).toContain('has lost its lock')
})

test('12: a journal that is removed while it is held is saved whole; restored it goes on, and nothing runs again', async () => {
  const { start, run, job, home, file, read, unsound } = opened()
  const holder = start('up', '--no-parent')
  await holder.heard('serving')
  const plan = (await run('run', 'g.yaml', '--detach')).out.trim()
  await job()

  rmSync(join(home, 'journal.db'))
  const { code, err } = await holder.said
  const [, restore = ''] = /`tenuto (restore [^`]+)`/.exec(err) ?? []
  const restored = await run(...restore.split(' '))
  const resumed = start('resume', '--no-input')
  file('open', '')
  const end = await resumed.said

  expect(code).toBe(12)
  expect(err).toContain(`the journal ${join(home, 'journal.db')} was removed`)
  expect(restore).toContain(`restore ${join(home, 'backups')}/journal-`)
  expect(restored).toMatchObject({ code: 0, out: expect.stringContaining('1 plan') as string })
  expect(end).toMatchObject({ code: 0, out: `${plan} succeeded\n` })
  expect(read('ledger')).toBe('begun\nended\nafter\n')
  expect(await unsound()).toEqual([])
})

test('a write-ahead log that is removed while it is held is folded back: the daemon is started again, and nothing is lost', async () => {
  const { start, run, job, home, file, read, unsound } = opened()
  const parent = start('up')
  await parent.heard('serving')
  const plan = (await run('run', 'g.yaml', '--detach')).out.trim()
  await job()

  rmSync(join(home, 'journal.db-wal'))
  await parent.heard('started again')
  await parent.heard('1 plan taken up')
  file('open', '')
  const end = await run('resume', plan)

  expect(end).toMatchObject({ code: 0, out: `${plan} succeeded\n` })
  expect(read('ledger')).toBe('begun\nended\nafter\n')
  expect(await unsound()).toEqual([])
  await run('down')
  await parent.said
})
