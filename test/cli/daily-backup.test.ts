import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { backupPath } from '../../src/backup-place.ts'
import { BACKUP_AGE_MS, type Copying, dailyBackup } from '../../src/cli/daily-backup.ts'
import { backupCheck } from '../../src/cli/home-checks.ts'
import { homePaths } from '../../src/home.ts'
import { virtualClock } from '../../src/testing/virtual-clock.ts'
import { removeFolder } from '../support/folders.ts'

const HOUR_MS = 3_600_000

/** A daemon of a home without any, whose copies are files with their moment in the name. */
const daemon = (start?: number) => {
  const home = mkdtempSync(join(tmpdir(), 'tenuto-daily-'))
  onTestFinished(() => removeFolder(home))
  const clock = virtualClock(start)
  const { backups } = homePaths(home)
  const heard: string[] = []
  let steps = 1
  let fails: string | undefined
  const copied: number[] = []
  const put = (at: number): void => {
    mkdirSync(backups, { recursive: true })
    writeFileSync(backupPath(home, at), '')
  }
  const copy = (): Copying => {
    if (fails !== undefined) return { made: Promise.reject(new Error(fails)), end: () => {} }
    copied.push(clock.now())
    put(clock.now())
    return { made: Promise.resolve(), end: () => {} }
  }
  const end = dailyBackup({ home, steps: () => steps, tell: (why) => heard.push(why), clock, copy })
  onTestFinished(end)
  return {
    home,
    clock,
    heard,
    copied,
    put,
    end,
    work: () => {
      steps += 1
    },
    fail: (why: string | undefined) => {
      fails = why
    },
  }
}

test('a daemon makes a backup soon after its start, and then one a day while something happens', async () => {
  const { clock, copied, work } = daemon()

  await clock.advance(2 * HOUR_MS)
  expect(copied).toHaveLength(1)
  for (let day = 0; day < 3; day += 1) {
    work()
    await clock.advance(BACKUP_AGE_MS)
  }
  expect(copied).toHaveLength(4)

  await clock.advance(3 * BACKUP_AGE_MS)
  expect(copied).toHaveLength(4)
})

test('one that was made today is enough, whoever made it; one of the future is not', async () => {
  const { clock, copied, put } = daemon()
  put(clock.now() - HOUR_MS)

  await clock.advance(22 * HOUR_MS)
  expect(copied).toEqual([])
  await clock.advance(2 * HOUR_MS)
  expect(copied).toHaveLength(1)

  const ahead = daemon()
  ahead.put(ahead.clock.now() + 30 * BACKUP_AGE_MS)
  await ahead.clock.advance(HOUR_MS)
  expect(ahead.copied).toHaveLength(1)
})

test('why none could be made is told, and it is tried again within the hour', async () => {
  const { clock, copied, heard, fail } = daemon()
  fail('there is no room')

  await clock.advance(HOUR_MS)
  expect(heard).toEqual(['there is no room'])
  fail(undefined)
  await clock.advance(HOUR_MS)
  expect(copied).toHaveLength(1)
})

test('a daemon whose backup is overdue makes one at once', async () => {
  const { home, clock, copied, put, end } = daemon()
  await end()
  put(clock.now() - 2 * BACKUP_AGE_MS)
  const copy = (): Copying => {
    copied.push(clock.now())
    return { made: Promise.resolve(), end: () => {} }
  }
  onTestFinished(dailyBackup({ home, steps: () => 1, tell: () => {}, clock, copy }))

  await clock.advance(0)

  expect(copied).toHaveLength(1)
})

test('a daemon that stops makes no more, and ends the one that is being made', async () => {
  const { home, clock, copied, end } = daemon()
  await end()
  const making = Promise.withResolvers<void>()
  const ended: string[] = []
  const copy = (): Copying => ({
    made: making.promise,
    end: () => {
      ended.push('end')
      making.reject(new Error('it was ended'))
    },
  })
  const stop = dailyBackup({ home, steps: () => 1, tell: (why) => ended.push(why), clock, copy })
  await clock.advance(60_000)

  await stop()
  await clock.advance(2 * BACKUP_AGE_MS)

  expect(ended).toEqual(['end'])
  expect(copied).toEqual([])
})

test('doctor says how old the newest backup is, and warns where a daemon could not make one', () => {
  const { home, clock, put } = daemon()
  const now = clock.now()
  const nobody = { held: false, lives: false, says: undefined }
  const served = (ms: number) => ({
    held: true,
    lives: true,
    says: { pid: 1, command: 'tenuto up', since: new Date(now - ms).toISOString(), build: 'b', boot: null },
  })

  expect(backupCheck(home, nobody, now)).toMatchObject({
    status: 'info',
    what: expect.stringContaining('none yet'),
  })
  expect(backupCheck(home, served(HOUR_MS), now)).toMatchObject({ status: 'info' })
  expect(backupCheck(home, served(3 * BACKUP_AGE_MS), now)).toMatchObject({ status: 'warn' })
  put(now - 3 * BACKUP_AGE_MS)
  expect(backupCheck(home, nobody, now)).toMatchObject({ status: 'ok' })
  expect(backupCheck(home, served(3 * BACKUP_AGE_MS), now)).toMatchObject({ status: 'warn' })
  put(now - HOUR_MS)
  expect(backupCheck(home, served(3 * BACKUP_AGE_MS), now)).toMatchObject({ status: 'ok' })
})
