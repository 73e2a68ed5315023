import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, watch, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { backupPath } from '../../src/backup-place.ts'
import { copyBeside } from '../../src/cli/daily-backup.ts'
import { openFolder } from './tenuto.ts'

const PLAN = `plan: v1
name: p
jobs:
  a: { run: echo a >> ledger }
  b: { needs: [a], run: "echo b >> ledger; while ! test -e go; do sleep 0.05; done" }
  c: { needs: [b], run: echo c >> ledger }
`

test('backup beside a run, restore after it: resume takes in what ended since, and runs nothing again', async () => {
  const { file, start, run, read, folder, home } = openFolder()
  file('p.yaml', PLAN)
  const running = start('run', 'p.yaml')
  await running.heard('/b #1 running')
  const made = await run('backup')
  const held = await run('restore', made.out.trim())
  writeFileSync(join(folder, 'go'), '')
  const ended = await running.said
  await run('run', 'p.yaml', '--key', 'second')

  const restored = await run('restore', made.out.trim())
  const listed = await run('ls', '--json')
  const resumed = await run('resume')
  const shown = await run('show', 'p', '--json')

  expect(made.code).toBe(0)
  expect(existsSync(made.out.trim())).toBe(true)
  expect(made.err).toContain('back from it: tenuto restore')
  expect(held).toMatchObject({ code: 5, err: expect.stringContaining('is held by') as string })
  expect(ended.code).toBe(0)
  expect(restored).toMatchObject({
    code: 0,
    out: expect.stringContaining(`${home} is as it was in`) as string,
  })
  expect(restored.err).toContain('the journal that was there is kept')
  expect(restored.err).toContain('1 attempt began since')
  expect(restored.err).toContain('1 plan with attempts is not in it: p-')
  expect(JSON.parse(listed.out)).toHaveLength(1)
  expect(resumed).toMatchObject({ code: 0, out: expect.stringMatching(/ succeeded\n$/) as string })
  expect(JSON.parse(shown.out)).toMatchObject({ state: 'succeeded', counts: { succeeded: 3 } })
  expect(read('ledger')).toBe('a\nb\nc\na\nb\nc\n')
})

test('a backup of a run, restored where its folders are not, says so; its attempt is lost and runs again when it is asked for', async () => {
  const { file, start, run, read, folder } = openFolder()
  const elsewhere = openFolder()
  file('p.yaml', PLAN)
  const running = start('run', 'p.yaml')
  await running.heard('/b #1 running')
  const made = await run('backup', join(folder, 'backup.db'))
  writeFileSync(join(folder, 'go'), '')
  await running.said

  const restored = await elsewhere.run('restore', made.out.trim())
  const resumed = await elsewhere.run('resume', '--no-input')
  const explained = await elsewhere.run('show', 'p/b')
  const before = read('ledger')
  await elsewhere.run('retry', 'p/b')
  const again = await elsewhere.run('resume', '--no-input')

  expect(restored.err).toContain('the folder of 1 attempt under way then is not there')
  expect(resumed.code).toBe(10)
  expect(explained.out).toContain('its end was not seen')
  // On a slow machine it had lived for a second when the backup was made.
  expect(explained.out).toMatch(/a backup restored|an attempt that had begun is gone/)
  expect(before).toBe('a\nb\nc\n')
  expect(again.code).toBe(0)
  expect(read('ledger')).toBe('a\nb\nc\nb\nc\n')
  expect(await elsewhere.unsound()).toMatchObject([{ kind: 'exit-lost', grade: 'note', place: { job: 'a' } }])
})

test('backup and restore say what they cannot do, and what to do', async () => {
  const { file, run, home } = openFolder()
  file('p.yaml', 'plan: v1\nname: p\njobs:\n  a: { run: "true" }\n')
  const nothing = await run('backup')
  await run('run', 'p.yaml', '-q')
  const there = await run('backup', 'p.yaml')
  const none = await run('restore', 'none.db')
  const noFolder = await run('restore', 'p.yaml/none.db')
  const noBackup = await run('restore', 'p.yaml')
  const folder = await run('restore', '.')
  const nowhere = await run('backup', 'no/such/folder.db')
  const inFile = await run('backup', 'p.yaml/in.db')
  const json = await run('backup', 'mine.db', '--json')
  writeFileSync(join(home, 'journal.db'), 'this is no database')
  const damaged = await run('ls')
  const restored = await run('restore', 'mine.db', '--json')

  expect(nothing).toMatchObject({ code: 2, err: expect.stringContaining('there is no journal') as string })
  expect(there).toMatchObject({ code: 2, err: expect.stringContaining('is there already') as string })
  for (const said of [none, noFolder])
    expect(said).toMatchObject({ code: 2, err: expect.stringContaining('there is no file') as string })
  expect(noBackup).toMatchObject({ code: 2, err: expect.stringContaining('is no backup') as string })
  expect(folder).toMatchObject({ code: 2, err: expect.stringContaining('name a file in it') as string })
  for (const said of [nowhere, inFile]) {
    expect(said).toMatchObject({ code: 2, err: expect.stringContaining('cannot be written') as string })
    expect(said.err).not.toContain('the journal')
  }
  expect(JSON.parse(json.out)).toMatchObject({ plans: 1 })
  expect(damaged).toMatchObject({ code: 12, err: expect.stringContaining('tenuto restore FILE') as string })
  expect(JSON.parse(restored.out)).toMatchObject({ plans: 1, newer: 0, missing: 0, unknown: [], strays: 0 })
  expect((await run('show', 'p')).code).toBe(0)
})

test('12: a journal that is gone with all that is its own is not made anew beside its attempts', async () => {
  const { file, run, home, read } = openFolder()
  file('p.yaml', 'plan: v1\nname: p\njobs:\n  a: { run: echo ran >> ledger }\n')
  await run('run', 'p.yaml', '-q', '--key', 'k')
  const made = (await run('backup', 'mine.db')).out.trim()
  const remove = (ends: readonly string[]): void => {
    for (const end of ends) rmSync(join(home, `journal.db${end}`), { force: true })
  }

  remove(['', '-wal', '-shm'])
  const marked = await run('backup', 'other.db')
  remove(['-mark'])
  const refused = []
  for (const args of [['run', 'p.yaml', '--key', 'k'], ['ls'], ['sweep'], ['backup']])
    refused.push(await run(...args))
  const doctor = await run('doctor')
  const restored = await run('restore', made)
  const again = await run('run', 'p.yaml', '--key', 'k')
  remove(['', '-wal', '-shm', '-mark'])
  renameSync(join(home, 'attempts'), join(home, 'attempts-before'))
  const anew = await run('run', 'p.yaml', '--key', 'k')

  expect(marked).toMatchObject({ code: 12, err: expect.stringContaining('it is gone') as string })
  for (const said of [...refused, { ...doctor, err: doctor.out.replace(/\s+/g, ' ') }]) {
    expect(said.code).toBe(12)
    expect(said.err).toContain('is gone, and attempts of its plans are there')
    expect(said.err).toContain('restore a backup')
    expect(said.err).toContain(`move ${join(home, 'attempts')} away`)
  }
  expect(restored.code).toBe(0)
  expect(again.code).toBe(0)
  expect(anew.code).toBe(0)
  expect(read('ledger')).toBe('ran\nran\n')
  expect(readdirSync(home)).toContain('journal.db')
})

test('a journal whose write-ahead log is lost names the command that goes on from it; that works, and nothing runs again', async () => {
  const { file, run, read, folder, home } = openFolder()
  file('p.yaml', PLAN)
  await run('up', '--detach')
  const id = (await run('run', 'p.yaml', '--detach')).out.trim()
  const ledger = () => (existsSync(join(folder, 'ledger')) ? read('ledger') : '')
  await expect.poll(ledger).toBe('a\nb\n')
  await run('down')
  const { pid } = JSON.parse((await run('up', '--detach', '--no-parent', '--json')).out) as { pid: number }
  writeFileSync(join(folder, 'go'), '')
  await run('resume', id)
  process.kill(pid, 'SIGKILL')
  for (const end of ['-wal', '-shm']) rmSync(join(home, `journal.db${end}`))

  const refused = [await run('ls'), await run('resume'), await run('doctor')]
  const named = refused.map(
    ({ out, err }) =>
      /`tenuto (restore [^`]+)`\)/.exec(`${out}${err}`.replace(/\s+/g, ' '))?.[1]?.split(' ') ?? [],
  )
  const restored = await run(...(named[0] ?? []))
  const resumed = await run('resume', id)

  expect(refused.map(({ code }) => code)).toEqual([12, 12, 12])
  expect(named).toEqual(
    Array.from({ length: 3 }, () => ['restore', join(home, 'journal.db'), '--home', home]),
  )
  expect(restored).toMatchObject({ code: 0, out: expect.stringContaining('1 plan') as string })
  expect(resumed).toMatchObject({ code: 0, out: `${id} succeeded\n` })
  expect(read('ledger')).toBe('a\nb\nc\n')
})

test('a daemon makes the backup that is overdue by itself; one that cannot be made says why', async () => {
  const { folder, home, start, run, file } = openFolder()
  await run('run', file('p.plan.yaml', 'plan: v1\njobs:\n  a: { run: exit 0 }\n'))
  const old = backupPath(home, Date.UTC(2026, 0, 1))
  await run('backup', join(folder, 'old.db'))
  mkdirSync(dirname(old), { mode: 0o700 })
  renameSync(join(folder, 'old.db'), old)
  const made = watching(dirname(old), (name) => name.endsWith('.db') && name !== basename(old))

  const up = start('up')
  const name = await made
  up.child.kill('SIGTERM')
  expect((await up.said).code).toBe(0)

  expect(await run('restore', join(dirname(old), name))).toMatchObject({ code: 0 })
  await expect(copyBeside(join(folder, 'none')).made).rejects.toThrow('none')
})

/** The name of the first file that comes to a folder and passes. */
const watching = (folder: string, passes: (name: string) => boolean): Promise<string> =>
  new Promise((resolve) => {
    const watcher = watch(folder, (_, name) => {
      if (name === null || !passes(name) || !existsSync(join(folder, name))) return
      watcher.close()
      resolve(name)
    })
  })

test('a backup of another home is refused, and restored when it is asked for by force', async () => {
  const [first, other] = [openFolder(), openFolder()]
  for (const { file, run } of [first, other]) {
    file('p.yaml', 'plan: v1\nname: p\njobs:\n  a: { run: "true" }\n')
    expect((await run('run', 'p.yaml')).code).toBe(0)
  }
  const made = (await first.run('backup')).out.trim()
  const plansOf = async ({ run }: typeof first) => (await run('ls', '--json')).out

  const own = await plansOf(other)
  const refused = await other.run('restore', made)
  expect([refused.code, refused.err]).toEqual([7, expect.stringContaining('--force') as string])
  expect(await plansOf(other)).toBe(own)
  expect((await other.run('restore', made, '--force')).code).toBe(0)
  expect(await plansOf(other)).toBe(await plansOf(first))
})

test('what a backup names as the way back from it works as it stands, whatever its path', async () => {
  const { file, run, folder } = openFolder()
  file('p.yaml', PLAN.replace('while ! test -e go; do sleep 0.05; done', 'true'))
  await run('run', 'p.yaml')

  const made = await run('backup', join(folder, "Ada's copy.db"))

  const [, words = ''] = /back from it: tenuto restore (.+)/.exec(made.err) ?? []
  const pasted = execFileSync('sh', ['-c', `printf '%s\\n' ${words}`], { encoding: 'utf8' })
  expect(pasted.split('\n')[0]).toBe(join(folder, "Ada's copy.db"))
})
