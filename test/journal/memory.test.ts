import assert from 'node:assert/strict'
import { expect, test } from 'vitest'
import { isTenutoError, TenutoError } from '../../src/errors.ts'
import { memoryJournal } from '../../src/journal/memory.ts'
import { memoryDisk } from '../../src/journal/memory-disk.ts'
import { memoryReader } from '../../src/journal/memory-reader.ts'
import { BOOT, batch, everything, jobAddress, moved, planAddress, planOf } from './batches.ts'
import { journalSuite, type Medium } from './journal.suite.ts'
import { pruningSuite } from './pruning.suite.ts'

const medium = (): Medium => {
  const disk = memoryDisk()
  return {
    open: (boot) => memoryJournal(disk, { ...BOOT, ...boot }),
    reader: async () => memoryReader(disk),
    remove: () => {},
  }
}

journalSuite('memory', medium)
pruningSuite('memory', medium)

const P = 'p-aaaaaa'
const JOB = jobAddress(P, 'a')

test('a fault before a commit fails it without a trace; when it is over, the same commit works', async () => {
  const disk = memoryDisk()
  const journal = await memoryJournal(disk, BOOT)
  const before = await everything(journal, [P])
  const change = batch({ plans: [planOf(P)], ...moved(0, JOB, 0) })

  disk.faults.beforeCommit = () => {
    throw new TenutoError('STORE_FULL', { path: 'memory', why: 'the test says so' })
  }
  await assert.rejects(journal.commit(change), (error) => isTenutoError(error, 'STORE_FULL'))

  expect(await everything(journal, [P])).toEqual(before)
  disk.faults.beforeCommit = undefined
  await journal.commit(change)
  expect(await journal.plan(P)).toBeDefined()
})

test('a fault after a commit loses the acknowledgement, not the commit', async () => {
  const disk = memoryDisk()
  const journal = await memoryJournal(disk, BOOT)

  disk.faults.afterCommit = () => {
    throw new Error('crash')
  }
  await assert.rejects(journal.commit(batch({ plans: [planOf(P)], ...moved(0, JOB, 0) })), /crash/)

  expect(await journal.head()).toMatchObject({ position: 1 })
  const next = await memoryJournal(disk, BOOT)
  expect(next.opening).toMatchObject({ position: 1, clean: false })
  expect(await next.plan(P)).toBeDefined()
})

test('a plan whose own row is damaged is not removed, as if it had not ended', async () => {
  const disk = memoryDisk()
  const journal = await memoryJournal(disk, BOOT)
  const own = planAddress(P)
  await journal.commit(batch({ plans: [planOf(P)], ...moved(0, own, 0, 1, { state: 'succeeded' }) }))

  disk.faults.damaged = new Set([own])
  expect(await journal.pruning.remove([P], 100)).toEqual({ begun: [], done: [], kept: [P] })
  disk.faults.damaged = undefined

  expect(await journal.pruning.remove([P], 100)).toEqual({ begun: [P], done: [P], kept: [] })
  expect(disk.tables.stepsOfPlan.has(P)).toBe(false)
})

test('a damaged address is told by name; the rest stays readable', async () => {
  const disk = memoryDisk()
  const journal = await memoryJournal(disk, BOOT)
  await journal.commit(batch({ plans: [planOf(P)], ...moved(0, JOB, 0) }))

  disk.faults.damaged = new Set([JOB])

  const told = (error: unknown) => isTenutoError(error, 'STORE_CORRUPT') && error.fields['address'] === JOB
  await assert.rejects(journal.actor(JOB), told)
  await assert.rejects(journal.actors(P), told)
  await assert.rejects(journal.steps({ after: 0, limit: 1 }), told)
  expect(await journal.plan(P)).toBeDefined()
})
