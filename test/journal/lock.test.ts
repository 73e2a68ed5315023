import assert from 'node:assert/strict'
import { copyFileSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { isTenutoError } from '../../src/errors.ts'
import { type HolderRecord, readHolder } from '../../src/holder.ts'
import { type Hold, holdHome } from '../../src/journal/lock.ts'
import { smallDisk } from '../support/small-disk.ts'
import { start } from './child.ts'
import { folder } from './folder.ts'

const me: HolderRecord = {
  pid: process.pid,
  parent_pid: process.ppid,
  command: 'tenuto up',
  started_at: '2026-02-03T04:05:06.000Z',
  boot_id: 'boot',
  url: null,
  sock: null,
  build: 'build',
}

const hold = (home: string): Hold => {
  const held = holdHome(home, me)
  onTestFinished(held.release)
  return held
}

const heldBy = (holder: string | RegExp) => (error: unknown) => {
  assert(isTenutoError(error, 'HOME_HELD'), String(error))
  const told = String(error.fields['holder'])
  if (holder instanceof RegExp) assert.match(told, holder)
  else assert.equal(told, holder)
  return true
}

test('a home is held once, also within one process; who holds it is said; released, it is free', () => {
  const home = join(folder(), 'home')
  const first = hold(home)

  assert.throws(() => holdHome(home, me), heldBy(`pid ${process.pid} (tenuto up, since ${me.started_at})`))

  first.release()
  first.release()
  expect(readdirSync(home)).toEqual(['lock.db'])
  hold(home)
})

test('daemon.json says who holds the home, closed to others, and says more when more is known', () => {
  const home = folder()
  const held = hold(home)
  const file = join(home, 'daemon.json')
  const { dev, ino } = statSync(home)
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual({ ...me, folder: { dev, ino } })

  held.describe({ sock: join(home, 'sock') })
  held.describe({ url: 'http://127.0.0.1:7717' })

  expect(readHolder(file)).toEqual({
    ...me,
    folder: { dev, ino },
    sock: join(home, 'sock'),
    url: 'http://127.0.0.1:7717',
  })
  // In a copy of the home it says nothing of who holds that.
  const copy = join(folder(), 'daemon.json')
  copyFileSync(file, copy)
  expect(readHolder(copy)).toBeUndefined()
  expect(statSync(file).mode & 0o777).toBe(0o600)
  held.release()
  expect(existsSync(file)).toBe(false)
  assert.throws(
    () => held.describe({ url: null }),
    (error) => isTenutoError(error, 'STOPPED'),
  )
})

test('kill -9 of the holder frees the home at once, and its old record does not matter', async () => {
  const home = folder()
  const child = start('hold.ts', [home])
  await child.lines.next()
  assert.throws(
    () => holdHome(home, me),
    heldBy(`pid ${child.process.pid} (tenuto run, since 2026-01-02T03:04:05.000Z)`),
  )

  await child.kill()

  expect(readHolder(join(home, 'daemon.json'))?.pid).toBe(child.process.pid)
  hold(home)
  expect(readHolder(join(home, 'daemon.json'))?.pid).toBe(process.pid)
})

test('who cannot take a home on a full disk leaves on record who was killed in it', async ({ skip }) => {
  const home = folder()
  const disk = smallDisk(home, 1)
  if (disk === null) return skip('this user may not mount a file system')
  const child = start('hold.ts', [home])
  await child.lines.next()
  await child.kill()
  disk.fill()

  assert.throws(
    () => holdHome(home, me),
    (error) => isTenutoError(error, 'STORE_FULL'),
  )

  expect(readHolder(join(home, 'daemon.json'))?.pid).toBe(child.process.pid)
  expect(existsSync(join(home, 'daemon.json.new'))).toBe(false)
  disk.makeRoom()
  hold(home)
})

test('a holder that stands still holds on', async () => {
  const home = folder()
  const child = start('hold.ts', [home])
  await child.lines.next()

  child.process.kill('SIGSTOP')

  assert.throws(() => holdHome(home, me), heldBy(/^pid/))
})

test('a lock to which nobody refers is not collected', async () => {
  const home = folder()
  const child = start('hold.ts', [home], ['--expose-gc'])

  await child.lines.next()

  assert.throws(() => holdHome(home, me), heldBy(/^pid/))
})

test('where daemon.json is missing, torn, or names a dead process, the holder is another process', async () => {
  const home = folder()
  const dead = start('hold.ts', [folder()])
  await dead.kill()
  hold(home)

  for (const text of [
    '',
    '{"pid":',
    '[]',
    'null',
    '{"pid":"x"}',
    JSON.stringify({ ...me, pid: dead.process.pid }),
  ]) {
    writeFileSync(join(home, 'daemon.json'), text)
    assert.throws(() => holdHome(home, me), heldBy('another process'))
  }
})
