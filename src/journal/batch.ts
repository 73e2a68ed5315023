/**
 * What every journal checks of a batch before it writes the first row: a batch that contradicts itself, or that does not
 * continue where the last commit ended, is a bug of the writer and must leave no trace.
 */
import assert from 'node:assert/strict'
import type { Address } from '../address.ts'
import type { Batch } from './journal.ts'

/** Where a journal stands: the last position, mail id and dead letter id given. */
export type Head = Readonly<{ position: number; mail: number; dead: number }>

/**
 * Where the journal stands after this batch. Positions must follow gapless on `head`, ids must grow, and the steps of an actor
 * must lead without a gap from the seq it had to the seq it has.
 * @throws {assert.AssertionError} with a sentence when they do not.
 */
export const headAfter = (head: Head, batch: Batch): Head => {
  const seqs = new Map<Address, number>()
  // The sentence is made where it is needed: this is asked of every step.
  for (const { row, was } of batch.actors) {
    if (seqs.has(row.address)) fail(`${row.address} is in one batch twice`)
    seqs.set(row.address, was)
  }
  let { position } = head
  for (const step of batch.steps) {
    position += 1
    if (step.position !== position)
      fail(`position ${step.position} follows ${position - 1}; positions have no gap`)
    // A note is nobody's step.
    if (step.address.startsWith('note:')) continue
    const seq = seqs.get(step.address)
    if (seq === undefined) fail(`step ${step.seq} of ${step.address} comes without the actor's row`)
    if (step.seq !== seq + 1)
      fail(`step ${step.seq} of ${step.address} follows step ${seq}; seqs have no gap`)
    seqs.set(step.address, step.seq)
  }
  for (const { row } of batch.actors) {
    const seq = seqs.get(row.address)
    if (row.seq !== seq) fail(`${row.address} is at seq ${row.seq}, but its steps lead to ${seq}`)
  }
  return {
    position,
    mail: lastId('mail', head.mail, batch.mail.added),
    dead: lastId('dead letter', head.dead, batch.dead),
  }
}

const fail: (what: string) => never = (what) => assert.fail(what)

const lastId = (what: string, last: number, rows: readonly Readonly<{ id: number }>[]): number => {
  for (const { id } of rows) {
    if (id <= last) fail(`${what} ${id} comes after ${last}; ids grow`)
    last = id
  }
  return last
}
