/**
 * Copies of a journal, and the place of another.
 *
 * Mutations that were planted once, and each found: an epoch that does not go on above the replaced journal's; the mark of the replaced
 * journal left in its place; a source that is not looked over; the head of a file read in two looks, with a commit between them.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, test } from 'vitest'
import { isTenutoError } from '../../src/errors.ts'
import { copyJournal, putInPlace } from '../../src/journal/copy.ts'
import { readMark } from '../../src/journal/mark.ts'
import { sqliteReader } from '../../src/journal/reader.ts'
import { sqliteJournal } from '../../src/journal/sqlite.ts'
import { BOOT, batch, jobAddress, mail, mailOf, moved } from './batches.ts'
import { start } from './child.ts'
import { folder } from './folder.ts'

const OWN = { how: 'own', home: null } as const
const open = (file: string) => sqliteJournal({ file, boot: BOOT, durability: 'full' })

test('copies made beside a holder that commits without a pause are each of one moment', async () => {
  const home = folder()
  const file = join(home, 'journal.db')
  const child = start('commit-loop.ts', [file])
  await child.lines.next()
  let before = 0

  for (let n = 0; n < 10; n += 1) {
    const copy = join(home, `copy-${n}.db`)
    const { position } = copyJournal(file, copy)
    const reader = await sqliteReader(copy)
    // Each commit of the loop is one step and one message.
    expect(await reader.steps({ after: 0, limit: 100_000 })).toHaveLength(position)
    expect(await reader.mail()).toHaveLength(position)
    await reader.close()
    expect(position).toBeGreaterThanOrEqual(before)
    before = position
  }

  await child.kill()
  expect(readdirSync(home).filter((name) => name.includes('.new'))).toEqual([])
})

test('the journal in its place begins after every epoch that was known, and its mark is its own', async () => {
  const home = folder()
  const file = join(home, 'journal.db')
  const copy = join(home, 'copy.db')
  const address = jobAddress('p-aaaaaa', 'a')
  const first = await open(file)
  await first.commit(batch(moved(0, address, 0)))
  copyJournal(file, copy)
  await first.stop(true)
  for (let i = 1; i < 5; i += 1) {
    const next = await open(file)
    await next.commit(batch({ ...moved(i, address, i), ...mail({ added: [mailOf(i, address)] }) }))
    await next.stop(true)
  }

  const { replaced } = putInPlace(copy, file, 'replaced', false, OWN)

  expect(replaced).toEqual({ kept: `${file}.replaced`, home: first.opening.home, epoch: 5 })
  expect(readMark(file)).toMatchObject({ position: 1, epoch: 5 })
  const restored = await open(file)
  expect(restored.opening).toMatchObject({ epoch: 6, position: 1, mail: 0 })
  await restored.stop(true)
  const kept = await sqliteReader(replaced.kept as string)
  expect(await kept.mail()).toHaveLength(4)
  await kept.close()
})

test('a file that has lost rows is not copied as if it were whole', async () => {
  const home = folder()
  const file = join(home, 'journal.db')
  const journal = await open(file)
  await journal.commit(batch(moved(0, jobAddress('p-aaaaaa', 'a'), 0, 5)))
  await journal.stop(true)
  const database = new DatabaseSync(file, { defensive: false })
  database.exec(
    "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'mail') WHERE name = 'step'",
  )
  database.close()

  for (const copying of [
    () => copyJournal(file, join(home, 'copy.db')),
    () => putInPlace(file, file, 'replaced', true, OWN),
  ]) {
    try {
      copying()
      expect.unreachable()
    } catch (error) {
      expect(isTenutoError(error, 'STORE_CORRUPT'), String(error)).toBe(true)
    }
  }
  expect(readdirSync(home).filter((name) => !/^journal\.db(?:-wal|-shm|-mark)?$/.test(name))).toEqual([])
})
