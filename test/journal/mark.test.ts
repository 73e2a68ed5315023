import assert from 'node:assert/strict'
import { copyFileSync, existsSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { isTenutoError } from '../../src/errors.ts'
import type { Boot } from '../../src/journal/journal.ts'
import { markPath, readMark } from '../../src/journal/mark.ts'
import { sqliteReader } from '../../src/journal/reader.ts'
import { type Durability, sqliteJournal } from '../../src/journal/sqlite.ts'
import { bootId } from '../../src/process.ts'
import { BOOT, batch, jobAddress, moved, planOf } from './batches.ts'
import { folder } from './folder.ts'

const A = jobAddress('p-aaaaaa', 'a')
const HERE: Boot = { ...BOOT, bootId: bootId() }

const open = async (home: string, durability: Durability = 'full', boot = HERE) => {
  const journal = await sqliteJournal({ file: join(home, 'journal.db'), boot, durability })
  onTestFinished(() => journal.close())
  return journal
}

/** A home as a crash leaves it: one step in the file, five more in its log. */
const crashed = async (durability: Durability = 'full'): Promise<string> => {
  const [living, dead] = [folder(), folder()]
  const first = await open(living, durability)
  await first.commit(batch({ plans: [planOf('p-aaaaaa')], ...moved(0, A, 0) }))
  await first.stop(true)
  const second = await open(living, durability)
  for (let i = 1; i < 6; i += 1) await second.commit(batch(moved(i, A, i)))
  for (const end of ['', '-wal', '-mark'])
    copyFileSync(join(living, `journal.db${end}`), join(dead, `journal.db${end}`))
  return dead
}

const refused = async (opening: Promise<unknown>, why: RegExp): Promise<void> => {
  await assert.rejects(opening, (error) => {
    assert(isTenutoError(error, 'STORE_CORRUPT'), String(error))
    assert.match(error.message, why)
    return true
  })
}

test('a crash loses nothing, and is taken for what it is', async () => {
  const home = await crashed()

  const journal = await open(home)

  expect(journal.opening).toMatchObject({ position: 6, clean: false })
})

test.each([
  ['gone', (log: string) => rmSync(log)],
  ['cut short', (log: string) => truncateSync(log, readFileSync(log).length - 4_120)],
  [
    'damaged in its middle',
    (log: string) => {
      const bytes = readFileSync(log)
      bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1
      writeFileSync(log, bytes)
    },
  ],
] as const)(
  'a write-ahead log that is %s is refused by whoever opens, and nothing is changed',
  async (_, damage) => {
    const home = await crashed()
    const file = join(home, 'journal.db')
    damage(`${file}-wal`)
    const before = readFileSync(file, 'base64')

    await refused(open(home), /had come to step 6 of epoch 2: its write-ahead log is gone or cut short/)
    await refused(sqliteReader(file), /had come to step 6/)

    expect(readFileSync(file, 'base64')).toBe(before)
  },
)

test('an older copy in the place of a journal, another home’s, and none at all are refused', async () => {
  const home = folder()
  const file = join(home, 'journal.db')
  const first = await open(home)
  await first.stop(true)
  copyFileSync(file, `${file}.copy`)
  const second = await open(home)
  await second.commit(batch(moved(0, A, 0)))
  await second.stop(true)
  const other = folder()
  await (await open(other)).stop(true)

  copyFileSync(`${file}.copy`, file)
  await refused(open(home), /older copy/)
  copyFileSync(join(other, 'journal.db'), file)
  await refused(open(home), /another home/)
  rmSync(file)
  await refused(open(home), /it is gone/)
  await refused(sqliteReader(file), /it is gone/)

  expect(existsSync(file)).toBe(false)
})

test('where commits are not synced, a power cut may take the last of them', async () => {
  const home = await crashed('normal')
  rmSync(join(home, 'journal.db-wal'))

  await refused(open(home, 'normal'), /had come to step 6/)
  const journal = await open(home, 'normal', { ...HERE, bootId: 'the next' })

  expect(journal.opening.position).toBe(1)
})

test('a mark that cannot be read, or written, keeps nobody from working', async () => {
  const home = await crashed()
  const mark = markPath(join(home, 'journal.db'))
  writeFileSync(mark, readFileSync(mark, 'utf8').replace('"position":6', '"position":9'))

  const journal = await open(home)
  await journal.commit(batch(moved(6, A, 6)))

  expect(readMark(join(home, 'journal.db'))).toMatchObject({ position: 7, epoch: 3, synced: true })
})
