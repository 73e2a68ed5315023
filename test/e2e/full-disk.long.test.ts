/**
 * A full disk as a user meets it: told at once, and gone on from when there is room.
 */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { type SmallDisk, smallDisk } from '../support/small-disk.ts'
import { openFolder } from './tenuto.ts'

const GATED = `plan: v1
name: gated
jobs:
  gate: { run: ': > begun; while [ ! -e open ]; do sleep 0.02; done' }
  after: { run: ': > after', needs: [gate] }
`
const MB = 4
const there = async (path: string): Promise<void> => {
  await expect.poll(() => existsSync(path), { interval: 20 }).toBe(true)
}
/** A folder whose home lies on a small disk, with a plan in it; null where this user may not make one. */
const withDisk = (): (ReturnType<typeof openFolder> & Readonly<{ disk: SmallDisk }>) | null => {
  const made = openFolder()
  const disk = smallDisk(made.home, MB)
  if (disk === null) return null
  onTestFinished(async () => {
    disk.makeRoom()
    await made.run('down')
  })
  made.file('g.yaml', GATED)
  return { ...made, disk }
}
const NO_DISK = 'this user may not mount a file system'

test('beside a daemon: a request is refused with 12, nothing of it happens, status says why; with room all goes on', async ({
  skip,
}) => {
  const made = withDisk()
  if (made === null) return skip(NO_DISK)
  const { run, start, file, folder, disk, unsound } = made
  await run('up', '--detach')
  const id = (await run('run', 'g.yaml', '--detach')).out.trim()
  await there(join(folder, 'begun'))
  disk.fill()

  const submitted = await run('run', 'g.yaml', '--detach', '--json')
  expect(submitted.code).toBe(12)
  expect(JSON.parse(submitted.err)).toMatchObject({ error: { code: 'STORE_FULL' } })
  const cancelled = await run('cancel', id)
  expect([cancelled.code, cancelled.out]).toEqual([12, ''])
  expect(cancelled.err).toContain('ask again')
  const status = await run('status')
  expect(status.code).toBe(0)
  expect(status.out).toMatch(
    /\njournal {3}unavailable for .*cannot be written: .*\n +tried \d+ times, again in /,
  )
  expect(JSON.parse((await run('status', '--json')).out)).toMatchObject({ degraded: true })
  expect((await run('show', id)).out).toContain('running')
  const follower = start('resume', id)
  await follower.heard('the daemon is waiting: ')

  disk.makeRoom()
  await expect
    .poll(async () => (JSON.parse((await run('status', '--json')).out) as { degraded: boolean }).degraded)
    .toBe(false)
  expect((await run('status')).out).not.toContain('journal')
  file('open', '')
  const followed = await follower.said
  expect(followed).toMatchObject({ code: 0, out: `${id} succeeded\n` })
  expect(followed.err.split('the daemon is waiting: ')).toHaveLength(2)
  expect(followed.err.split('the journal can be written again')).toHaveLength(2)
  expect((JSON.parse((await run('ls', '--json')).out) as { id: string }[]).map((plan) => plan.id)).toEqual([
    id,
  ])
  await run('down')
  expect(await unsound()).toEqual([])
})

test.each([
  ['full', (disk: SmallDisk) => disk.fill(), (disk: SmallDisk) => disk.makeRoom()],
  ['write-protected', (disk: SmallDisk) => disk.protect(true), (disk: SmallDisk) => disk.protect(false)],
] as const)(
  'a daemon that cannot start in the background on a %s disk says why, and with which code',
  async (_, begin, end) => {
    const made = withDisk()
    if (made === null) return
    const { run, home, disk } = made
    await run('up', '--detach')
    await run('down')
    const before = readdirSync(home)
    begin(disk)

    const said = await run('up', '--detach')
    const json = await run('up', '--detach', '--json')
    const quiet = await run('up', '--detach', '-q')

    expect([said.code, json.code, quiet.code]).toEqual([12, 12, 12])
    expect(said.err).toMatch(/^tenuto: .*cannot be written: .*(?:full|no space|read-only)/)
    expect(quiet.err).toBe(said.err)
    expect(JSON.parse(json.err)).toMatchObject({ error: { code: 'STORE_FULL' } })
    end(disk)
    expect(readdirSync(home)).toEqual(before)
    expect((await run('up', '--detach')).code).toBe(0)
  },
)

test('a job whose own log finds no room is warned of once, with the byte from which it may be missing; one that lost nothing is not', async ({
  skip,
}) => {
  const made = withDisk()
  if (made === null) return skip(NO_DISK)
  const { run, start, file, folder, disk } = made
  const waits = 'while [ ! -e open ]; do sleep 0.02; done'
  file(
    'l.yaml',
    `plan: v1
name: loud
jobs:
  loud: { run: ': > begun; ${waits}; i=0; while [ $i -lt 5000 ]; do echo "line $i" || :; i=$((i+1)); done' }
  calm: { run: 'echo all of it; : > calm; ${waits}' }
`,
  )
  const running = start('run', 'l.yaml', '--key', 'l')
  await there(join(folder, 'begun'))
  await there(join(folder, 'calm'))
  disk.fill()
  file('open', '')
  const live = async (): Promise<unknown> =>
    (JSON.parse((await run('status', '--json')).out) as { counts: { attempts_live: number } }).counts
      .attempts_live
  await expect.poll(live).toBe(0)
  disk.makeRoom()
  const { code, out } = await running.said

  expect(code).toBe(0)
  const id = out.split(' ')[0] as string
  const log = (await run('logs', `${id}/loud`)).out
  const shown = (await run('show', `${id}/loud`)).out
  expect(log.length).toBeLessThan(5_000 * 'line 10'.length)
  expect(
    shown.match(/#1 warning: log: the disk was full; what it wrote from byte \d+ on may be missing/g),
  ).toEqual([`#1 warning: log: the disk was full; what it wrote from byte ${log.length} on may be missing`])
  expect((await run('logs', `${id}/calm`)).out).toBe('all of it\n')
  expect((await run('show', `${id}/calm`)).out).not.toContain('warning')
})

test('a foreground run says what it waits for, and goes on by itself', async ({ skip }) => {
  const made = withDisk()
  if (made === null) return skip(NO_DISK)
  const { start, file, folder, disk } = made
  const running = start('run', 'g.yaml')
  await there(join(folder, 'begun'))
  disk.fill()
  file('open', '')

  await running.heard('waiting: ')
  expect(existsSync(join(folder, 'after'))).toBe(false)
  disk.makeRoom()

  const { code, out, err } = await running.said
  expect([code, out]).toEqual([0, expect.stringMatching(/^gated-\w{6} succeeded\n$/)])
  expect(err.split('waiting: ')).toHaveLength(2)
  expect(err.split('the journal can be written again')).toHaveLength(2)
})

test('a signal that comes while the disk is full cancels the run once there is room, before anything new starts', async ({
  skip,
}) => {
  const made = withDisk()
  if (made === null) return skip(NO_DISK)
  const { start, file, folder, disk } = made
  const running = start('run', 'g.yaml')
  await there(join(folder, 'begun'))
  disk.fill()
  running.child.kill('SIGINT')
  await running.heard('waiting: ')
  file('open', '')
  disk.makeRoom()

  const { code, out } = await running.said

  expect([code, out]).toEqual([9, expect.stringMatching(/^gated-\w{6} cancelled\n$/)])
  expect(existsSync(join(folder, 'after'))).toBe(false)
})
