/**
 * A journal whose writer fails: what waits for the next one, and what waits for nobody.
 *
 * Mutations that were planted once, and each found: a second failure that is not waited for; a stop that refuses nobody; the failed
 * writer written to again; a failure while the next one is opened that nobody hears of.
 */
import { expect, test } from 'vitest'
import { isTenutoError, TenutoError } from '../../src/errors.ts'
import type { Journal } from '../../src/journal/journal.ts'
import { memoryJournal } from '../../src/journal/memory.ts'
import { memoryDisk } from '../../src/journal/memory-disk.ts'
import { restartingJournal } from '../../src/journal/restarting.ts'
import { BOOT, batch } from './batches.ts'

const EMPTY = batch({})

/** Writers on one disk, each of which puts on record what it commits and when it is closed. */
const bench = async () => {
  const journal = await memoryJournal(memoryDisk('home'), BOOT)
  const told: string[] = []
  const writer = (n: number): Journal => ({
    ...journal,
    commit: async (given) => {
      await journal.commit(given)
      told.push(`commit ${n}`)
    },
    close: async () => void told.push(`close ${n}`),
  })
  let writers = 1
  let isBroken = false
  const exits: string[] = []
  const restarting = restartingJournal(
    writer(1),
    async () => writer((writers += 1)),
    () => {
      if (isBroken) throw new Error('the writer broke')
    },
  )
  const start = (): Promise<void> => restarting.start((error) => exits.push((error as Error).message))
  const failed = async (): Promise<void> => {
    isBroken = true
    await expect(restarting.journal.commit(EMPTY)).rejects.toMatchObject({ code: 'STORE_RESTARTED' })
    isBroken = false
  }
  return { restarting, told, exits, start, failed }
}
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('however often a writer fails, what is committed then waits for the next one, and the failed one writes nothing more', async () => {
  const { restarting, told, exits, start, failed } = await bench()
  await start()

  for (let n = 2; n <= 4; n += 1) {
    await failed()
    const waiting = restarting.journal.commit(EMPTY)
    await turn()
    expect(told.splice(0)).toEqual([])
    await start()
    await waiting
    expect(told.splice(0)).toEqual([`close ${n - 1}`, `commit ${n}`])
  }
  expect(exits).toEqual(['the writer broke', 'the writer broke', 'the writer broke'])
})

test('a stop refuses what waits for a writer, and what comes after it', async () => {
  const { restarting, told, start, failed } = await bench()
  await start()
  await failed()
  const waiting = restarting.journal.commit(EMPTY)
  await turn()

  restarting.refuse()
  restarting.refuse()

  for (const refused of [waiting, restarting.journal.commit(EMPTY)])
    await expect(refused).rejects.toSatisfy((error) => isTenutoError(error, 'STOPPED'))
  await restarting.stop(true)
  expect(told).toEqual([])
})

test('what the store itself says is no failure of the writer', async () => {
  const journal = await memoryJournal(memoryDisk('home'), BOOT)
  const full = new TenutoError('STORE_FULL', { path: 'journal.db', why: 'the test says so' })
  const exits: unknown[] = []
  const restarting = restartingJournal(
    { ...journal, commit: () => Promise.reject(full) },
    async () => journal,
  )
  await restarting.start((error) => exits.push(error))

  await expect(restarting.journal.commit(EMPTY)).rejects.toBe(full)

  expect(exits).toEqual([])
})
