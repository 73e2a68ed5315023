import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { JournalFacts } from '../../src/audit/journal-file.ts'
import {
  askRunner,
  clockCheck,
  diskCheck,
  fileSystemCheck,
  fileSystemOf,
  folderCheck,
  logCheck,
  ownFoldersCheck,
  runnerCheck,
  secretsCheck,
  tryLock,
  writableCheck,
} from '../../src/cli/home-checks.ts'
import { holdHome as takeLock } from '../../src/journal/lock.ts'
import { secretsFile, vault } from '../../src/secrets.ts'
import { socketPath } from '../../src/socket.ts'
import { holdHome, shellPlan } from '../audit/home.ts'
import { removeFolder } from '../support/folders.ts'
import { smallDisk } from '../support/small-disk.ts'

const folder = (): string => {
  const path = mkdtempSync(join(tmpdir(), 'tenuto-doctor-'))
  onTestFinished(() => removeFolder(path))
  return path
}
const room = { type: 0xef53, freeBytes: 1e12, freeFiles: 1e6, files: 1e7 }

test('a home that is mounted read-only is not well, and what is told is where', ({ skip }) => {
  const home = join(folder(), 'home')
  const disk = smallDisk(home, 1)
  if (disk === null) return skip('this user may not mount a file system')
  writeFileSync(join(home, 'journal.db'), '')
  expect(writableCheck(home)).toBeUndefined()

  disk.protect(true)

  expect(writableCheck(home)).toMatchObject({ status: 'fail', what: `${home} is mounted read-only` })
  disk.protect(false)
  expect(writableCheck(home)).toBeUndefined()
})

test("the values of secrets are well while they are one user's alone", () => {
  const home = folder()
  expect(secretsCheck(home)).toBeUndefined()
  vault(home).keep('p-aaaaaa', { TOKEN: 'canary-7f3a' })
  const file = secretsFile(home, 'p-aaaaaa')
  expect(secretsCheck(home)).toMatchObject({ status: 'ok', what: 'of 1 plan, yours alone' })

  chmodSync(file, 0o640)

  expect(secretsCheck(home)).toMatchObject({
    status: 'warn',
    what: 'secrets/p-aaaaaa.json is open to other users (0640)',
    remedy: expect.stringContaining(`chmod 600 ${file}`),
  })
  chmodSync(file, 0o600)
  chmodSync(join(home, 'secrets'), 0o750)
  expect(secretsCheck(home)).toMatchObject({
    status: 'warn',
    what: expect.stringContaining('secrets is open'),
  })
  chmodSync(join(home, 'secrets'), 0o700)
  symlinkSync('/etc/passwd', join(home, 'secrets', 'q-bbbbbb.json'))
  expect(secretsCheck(home)).toMatchObject({ status: 'warn', what: 'secrets/q-bbbbbb.json is a link' })
})

test('a folder is a home when it is a folder, yours, and closed to others', () => {
  const home = folder()
  expect(folderCheck(join(home, 'none'))).toBeUndefined()
  expect(existsSync(join(home, 'none'))).toBe(false)
  expect(folderCheck(home)).toMatchObject({ status: 'ok', what: 'yours alone (0700)' })

  chmodSync(home, 0o755)
  expect(folderCheck(home)).toMatchObject({ status: 'warn', remedy: `chmod 700 ${home}` })
  writeFileSync(join(home, 'thesis.txt'), '')
  expect(folderCheck(home)).toMatchObject({
    status: 'fail',
    what: expect.stringContaining('other things') as string,
  })
  writeFileSync(join(home, 'lock.db'), '')
  expect(folderCheck(home)).toMatchObject({ status: 'warn' })
  chmodSync(home, 0o500)
  expect(folderCheck(home)).toMatchObject({ status: 'fail' })
  chmodSync(home, 0o700)
  writeFileSync(join(home, 'journal.db'), '')
  chmodSync(join(home, 'journal.db'), 0o644)
  expect(folderCheck(home)).toMatchObject({ status: 'warn', remedy: `chmod 600 ${join(home, 'journal.db')}` })

  symlinkSync(home, join(home, 'link'))
  expect(folderCheck(join(home, 'link'))).toMatchObject({ status: 'fail', what: 'it is a link' })
  expect(folderCheck(join(home, 'thesis.txt'))).toMatchObject({ status: 'fail', what: 'it is no folder' })
})

test('a folder of the home that leads elsewhere is found, with what to do', () => {
  const home = folder()
  mkdirSync(join(home, 'attempts'))
  expect(ownFoldersCheck(home)).toBeUndefined()

  symlinkSync(folder(), join(home, 'work'))

  expect(ownFoldersCheck(home)).toMatchObject({
    status: 'fail',
    what: `${join(home, 'work')} is a link: nothing starts here`,
    remedy: expect.stringContaining(`rm ${join(home, 'work')}`) as string,
  })
})

test('room on the disk is counted in bytes and in files', () => {
  expect(diskCheck(room)).toMatchObject({ status: 'ok', what: '1.0 TB free' })
  expect(diskCheck({ ...room, freeBytes: 5e8 })).toMatchObject({ status: 'warn' })
  expect(diskCheck({ ...room, freeBytes: 5e7 })).toMatchObject({ status: 'fail' })
  expect(diskCheck({ ...room, freeFiles: 0 })).toMatchObject({ status: 'fail' })
  expect(diskCheck({ ...room, freeFiles: 0, files: 0 })).toMatchObject({ status: 'ok' })
})

test.each([
  ['ext4', 0xef53, 'ok'],
  ['xfs', 0x58465342, 'ok'],
  ['btrfs', 0x9123683e, 'ok'],
  ['nfs', 0x6969, 'fail'],
  ['cifs', 0xff534d42, 'fail'],
  ['cifs', 0xff534d42 | 0, 'fail'],
  ['9p', 0x01021997, 'fail'],
  ['overlay', 0x794c7630, 'warn'],
  ['tmpfs', 0x01021994, 'warn'],
  ['unknown', 0x1234, process.platform === 'linux' ? 'warn' : 'ok'],
])('a journal on %s (%i): %s', (_, type, status) => {
  expect(fileSystemCheck({ ...room, type }, null).status).toBe(status)
})

test('a file system without locks is none for a journal, whatever it is called', () => {
  expect(fileSystemCheck(room, 'locking protocol')).toMatchObject({
    status: 'fail',
    what: expect.stringContaining('locking protocol') as string,
  })
  expect(fileSystemOf(folder()).freeBytes).toBeGreaterThan(0)
})

test('the lock is seen when somebody has it, and is neither made nor kept by the look', () => {
  const home = join(folder(), 'home')
  expect(tryLock(home)).toEqual({ held: false, says: undefined, lives: false })
  expect(existsSync(home)).toBe(false)

  const record = {
    pid: process.pid,
    parent_pid: null,
    command: 'a test',
    started_at: '2026-01-01T00:00:00.000Z',
    boot_id: 'b',
    url: null,
    sock: null,
    build: 'x',
  }
  const first = takeLock(home, record)
  expect(tryLock(home)).toMatchObject({
    held: true,
    says: { pid: process.pid, command: 'a test' },
    lives: true,
  })
  first.release()
  expect(tryLock(home)).toMatchObject({ held: false, says: undefined })
  const second = takeLock(home, record)
  second.release()
})

test('a clock that was set back is told from one that goes on', () => {
  const facts: JournalFacts = {
    schema: 1,
    bytes: 0,
    walBytes: 0,
    plans: 1,
    steps: 1,
    damage: null,
    lastAt: 1_000_000,
    boot: 'b',
  }
  expect(clockCheck(facts, 1_060_000, 'b')).toMatchObject({
    status: 'ok',
    what: '1m 00s after the last step',
  })
  expect(clockCheck(facts, 999_000, 'b')).toMatchObject({ status: 'ok' })
  expect(clockCheck(facts, 940_000, 'b')).toMatchObject({
    status: 'warn',
    what: expect.stringContaining('1m 00s behind') as string,
  })
  expect(clockCheck(facts, 1_060_000, 'c').what).toContain('booted')
  expect(clockCheck({ ...facts, lastAt: null, boot: null }, 0, 'b')).toMatchObject({
    status: 'ok',
    what: 'no step yet',
  })
})

test('logs are measured, and one that has grown large is named', () => {
  const home = folder()
  writeFileSync(join(home, 'daemon.log'), 'x'.repeat(1500))
  expect(logCheck(home)).toMatchObject({
    status: 'ok',
    what: '0 bytes of attempts, 1.5 kB of daemon and runner',
  })
  writeFileSync(join(home, 'runner.log.1'), '')
  truncateSync(join(home, 'runner.log.1'), 200_000_000)
  expect(logCheck(home)).toMatchObject({
    status: 'warn',
    remedy: expect.stringContaining('runner.log.1') as string,
  })
})

test('a runner says its protocol to a stranger, and goes on serving whoever was in command', async () => {
  const home = join(folder(), 'home')
  const runtime = await holdHome(home)
  expect(await askRunner(home)).toEqual({ serves: false })
  const plan = await runtime.submit(
    shellPlan({
      a: { run: 'while ! test -e "$TENUTO_ARTIFACTS/../../../go"; do sleep 0.02; done' },
      b: { run: 'echo b', needs: ['a'] },
    }),
  )
  await expect.poll(async () => (await runtime.live()).length).toBe(1)

  const answers = [await askRunner(home), await askRunner(home), await askRunner(home)]
  writeFileSync(join(home, 'attempts', plan.id, 'go'), '')
  const { state } = await plan.settled()

  expect(answers).toEqual(Array.from({ length: 3 }, () => ({ serves: true, protocol: 1 })))
  expect(state).toBe('succeeded')
})

test('a runner that hangs up or says nothing of its protocol is told as such', async () => {
  const home = folder()
  mkdirSync(home, { recursive: true })
  const server = createServer((socket) => socket.end())
  await new Promise<void>((resolve) => server.listen(socketPath(home, 'runner.sock'), resolve))
  onTestFinished(() => void server.close())

  expect(await askRunner(home)).toEqual({ serves: true, protocol: null })
  expect(runnerCheck({ serves: true, protocol: null }, 1, undefined)).toMatchObject({ status: 'warn' })
  const silent = runnerCheck({ serves: true, protocol: null }, 1, 7)
  expect(silent).toMatchObject({ status: 'warn', what: 'pid 7 takes connections and does not answer' })
  expect(silent.remedy).toContain('`kill -CONT 7`')
  expect(runnerCheck({ serves: true, protocol: 99 }, 1, 7)).toMatchObject({ status: 'warn' })
  expect(runnerCheck({ serves: false }, 1, undefined)).toMatchObject({ status: 'warn' })
  expect(runnerCheck({ serves: false }, 0, undefined)).toMatchObject({ status: 'ok' })
})
