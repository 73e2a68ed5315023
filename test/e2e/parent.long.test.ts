/**
 * The parent of a daemon, as a user meets it. What it decides is tested in test/cli/restarts.test.ts and heartbeat.test.ts.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { HolderRecord } from '../../src/holder.ts'
import { identityOf } from '../../src/process.ts'
import { copyBuild } from './checkout.ts'
import { bin, openFolder } from './tenuto.ts'

const GATED = `plan: v1
name: gated
jobs:
  gate: { run: 'echo begun >> ledger; : > up; while [ ! -e open ]; do sleep 0.02; done; echo ended >> ledger' }
`
const isThere = (pid: number): boolean => identityOf(pid) !== undefined
const watchdogNotes = (home: string): readonly Readonly<Record<string, unknown>>[] =>
  readFileSync(join(home, 'watchdog.log'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>)
const withParent = (launcher?: string) => {
  const made = openFolder(launcher)
  onTestFinished(async () => {
    await made.run('down')
  })
  const says = (): HolderRecord | undefined => {
    try {
      return JSON.parse(readFileSync(join(made.home, 'daemon.json'), 'utf8')) as HolderRecord
    } catch {
      return undefined
    }
  }
  return {
    ...made,
    says,
    there: (name: string) =>
      expect.poll(() => existsSync(join(made.folder, name)), { interval: 20 }).toBe(true),
    /** Another than this serves. */
    another: (pid: number | undefined) =>
      expect.poll(() => says()?.sock !== null && says()?.pid !== undefined && says()?.pid !== pid).toBe(true),
  }
}

test('a daemon that is killed is started again, what runs is adopted, and down ends it and its parent', async () => {
  const { run, start, file, says, another, there, read, unsound } = withParent()
  file('g.yaml', GATED)
  const up = start('up')
  await up.heard('serving')
  const plan = (await run('run', 'g.yaml', '--detach')).out.trim()
  await there('up')
  const first = says()

  process.kill(first?.pid ?? 0, 'SIGKILL')
  await another(first?.pid)
  await up.heard('SIGKILL; started again in 0.1s; what runs goes on')
  expect(says()?.parent_pid).toBe(up.child.pid)
  file('open', '')
  expect((await run('resume', plan)).code).toBe(0)
  expect(read('ledger')).toBe('begun\nended\n')

  const second = says()?.pid ?? 0
  expect((await run('down')).out).toContain(`stopped pid ${second}`)
  expect([isThere(second), isThere(up.child.pid ?? 0)]).toEqual([false, false])
  expect((await up.said).code).toBe(0)
  expect(await unsound()).toEqual([])
})

test('a run that comes while a daemon is being started again does not take its place, but waits for it', async () => {
  const { run, start, file, says, there, read, unsound } = withParent()
  file('g.yaml', GATED)
  file('q.yaml', "plan: v1\nname: quick\njobs:\n  a: { run: 'echo ran >> ledger' }\n")
  const up = start('up')
  await up.heard('serving')
  const plan = (await run('run', 'g.yaml', '--detach')).out.trim()
  await there('up')

  process.kill(says()?.pid ?? 0, 'SIGKILL')
  const [run1, run2, paused] = await Promise.all([
    run('run', 'q.yaml'),
    run('run', 'q.yaml', '--detach', '--key', 'k'),
    run('pause', plan),
  ])
  const { pid, command, parent_pid: parent } = says() ?? {}

  expect([run1.code, run2.code, paused.code]).toEqual([0, 0, 0])
  expect({ command, parent }).toEqual({ command: 'tenuto up', parent: up.child.pid })
  expect(isThere(pid ?? 0)).toBe(true)
  expect((await run('continue', plan)).code).toBe(0)
  expect((await run('resume', run2.out.trim())).code).toBe(0)
  file('open', '')
  expect((await run('resume', plan)).code).toBe(0)
  expect(read('ledger').split('\n').toSorted()).toEqual(['', 'begun', 'ended', 'ran', 'ran'])
  expect(await unsound()).toEqual([])
})

test('while no daemon comes back, nobody else takes its home, and who asks is told what starts it', async () => {
  const { run, start, file, home, says } = withParent()
  file('g.yaml', GATED)
  const up = start('up')
  await up.heard('serving')
  // A parent that stands still starts nothing.
  up.child.kill('SIGSTOP')
  onTestFinished(() => void up.child.kill('SIGCONT'))
  process.kill(says()?.pid ?? 0, 'SIGKILL')

  const [refused, status] = await Promise.all([run('run', 'g.yaml'), run('status')])

  expect([refused.code, refused.err]).toEqual([
    5,
    expect.stringContaining(`pid ${up.child.pid}, which is to start its daemon again`) as string,
  ])
  expect(status.code).toBe(5)
  expect(status.err).toContain(`pid ${up.child.pid} is to start its daemon again`)
  expect((await run('ls')).code).toBe(0)
  expect(existsSync(join(home, 'lock.db'))).toBe(true)
})

test('a signal to the parent stops the daemon in order, and one to the daemon the parent', async () => {
  const { start, says } = withParent()
  const up = start('up')
  await up.heard('serving')
  up.child.kill('SIGINT')
  expect((await up.said).code).toBe(0)
  expect(says()).toBeUndefined()

  const again = start('up')
  await again.heard('serving')
  process.kill(says()?.pid ?? 0, 'SIGTERM')
  expect((await again.said).code).toBe(0)
  expect(says()).toBeUndefined()
})

test('a daemon whose parent is killed ends in order, and leaves what runs to the next', async () => {
  const { run, start, file, folder, says, there } = withParent()
  file('g.yaml', GATED)
  const up = start('up')
  await up.heard('serving')
  await run('run', 'g.yaml', '--detach')
  await there('up')
  const { pid } = says() as HolderRecord

  await up.killed()
  await expect.poll(() => isThere(pid)).toBe(false)
  expect(says()).toBeUndefined()
  file('open', '')
  expect((await run('resume')).code).toBe(0)
  expect(readFileSync(join(folder, 'ledger'), 'utf8')).toBe('begun\nended\n')
})

test('a daemon that dies again and again is given up, and the command says so', async () => {
  const { start, says, another } = withParent()
  const up = start('up')
  for (let last: number | undefined; ; ) {
    const next = await Promise.race([another(last).then(() => says()?.pid), up.said.then(() => undefined)])
    if (next === undefined) break
    last = next
    process.kill(last, 'SIGKILL')
  }

  const { code, err } = await up.said
  expect([code, err]).toEqual([5, expect.stringContaining('6 times within 60s, the last time by SIGKILL')])
})

test('a program that is gone from the disk is waited for, and said to be so; back, it serves again', async () => {
  const copy = copyBuild('installed')
  const { start, says, another } = withParent(copy.launcher)
  const up = start('up')
  await up.heard('serving')
  const first = says()
  renameSync(join(copy.root, 'dist'), join(copy.root, 'away'))

  process.kill(first?.pid ?? 0, 'SIGKILL')
  await up.heard('its program may be being built')
  renameSync(join(copy.root, 'away'), join(copy.root, 'dist'))
  await another(first?.pid)
})

test('in the background there is a parent too, which starts it again', async () => {
  const { run, says, another } = withParent()
  const { pid, parent_pid: parent } = JSON.parse((await run('up', '--detach', '--json')).out) as {
    pid: number
    parent_pid: number
  }
  expect(says()).toMatchObject({ pid, parent_pid: parent })

  process.kill(pid, 'SIGKILL')
  await another(pid)
  expect(says()?.parent_pid).toBe(parent)
  await run('down')
  expect(isThere(parent)).toBe(false)
})

test('down between the death of a daemon and its next start ends its parent', async () => {
  const { run, start, says } = withParent()
  const up = start('up')
  await up.heard('serving')
  const { pid } = says() as HolderRecord
  // It cannot do anything until it goes on.
  up.child.kill('SIGSTOP')
  onTestFinished(() => void up.child.kill('SIGCONT'))
  process.kill(pid, 'SIGKILL')
  expect((await run('status')).code).toBe(5)
  const down = run('down')
  up.child.kill('SIGCONT')

  expect((await down).code).toBe(0)
  expect((await up.said).code).toBe(0)
  expect((await run('status')).code).toBe(5)
})

/** A launcher whose daemon does this when it gets a SIGUSR2. */
const launcherThat = (does: string): Readonly<{ launcher: string; folder: string }> => {
  const folder = mkdtempSync(join(tmpdir(), 'tenuto-launcher-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const launcher = join(folder, 'launcher.cjs')
  writeFileSync(
    launcher,
    `if (process.argv.includes('--worker')) process.on('SIGUSR2', ${does})
     require(${JSON.stringify(bin)})`,
  )
  return { launcher, folder }
}

test('a loop that is stuck is ended with what can be seen of it, and started again', async () => {
  // Of a pipe without a writer nothing can be read, and the read never ends.
  const { launcher, folder } = launcherThat("() => require('node:fs').readFileSync(__dirname + '/pipe')")
  execFileSync('mkfifo', [join(folder, 'pipe')])
  const { start, says, another, home } = withParent(launcher)
  const up = start('up')
  await up.heard('serving')
  const { pid } = says() as HolderRecord
  process.kill(pid, 'SIGUSR2')

  await up.heard('has been stuck for 1')
  await another(pid)
  const [where, note] = watchdogNotes(home)
  // It waits for the system there, which no debugger can interrupt.
  expect(where).toMatchObject({ pid, stack: null, why: expect.stringContaining('waits for the system') })
  expect(note).toMatchObject({
    pid,
    last: { rss: expect.any(Number), doing: { commits: expect.any(Number) } },
  })
  expect(note?.['silent_ms']).toBeGreaterThanOrEqual(10_000)
})

test("a pipe in the place of daemon.json is nobody's word: nothing waits for its writer, and the daemon writes it again", async () => {
  const { start, says, home, run } = withParent()
  await start('up').heard('serving')
  const { pid } = says() as HolderRecord
  const path = join(home, 'daemon.json')
  execFileSync('mkfifo', [`${path}.pipe`])
  // In its place in one moment: a file that is missing is written again.
  renameSync(`${path}.pipe`, path)

  await expect.poll(() => statSync(path, { throwIfNoEntry: false })?.isFile()).toBe(true)
  expect(says()?.pid).toBe(pid)
  expect((await run('status')).out).toContain(`pid ${pid}`)
})

test('of a loop that turns in one function for ever, watchdog.log names the function', async () => {
  const { launcher } = launcherThat('function turnsForEver() { for (;;); }')
  const { run, start, says, another, home } = withParent(launcher)
  const up = start('up')
  await up.heard('serving')
  const { pid } = says() as HolderRecord
  // One that turns is looked at for longer than a stuck one may take, and nothing is said of it.
  await expect.poll(async () => (await run('status')).out).toMatch(/, up (1\d|[2-9]\d)s$/m)
  expect(existsSync(join(home, 'watchdog.log'))).toBe(false)
  process.kill(pid, 'SIGUSR2')

  await up.heard('has been stuck for 1')
  await another(pid)
  const [{ stack, ...where } = {}] = watchdogNotes(home)
  expect(where).toMatchObject({ pid })
  expect(String(stack)).toMatch(/^turnsForEver .*launcher\.cjs:1:\d+/)
})
