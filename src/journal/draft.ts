/**
 * Drafts: a database that comes to its place whole, or not at all, closed to others and on the medium.
 */
import { chmodSync, renameSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { syncPath } from '../whole-file.ts'
import { type Driver, storeError } from './driver.ts'

const ENDS = ['', '-wal', '-shm', '-journal'] as const

/** Removes a draft, and what SQLite made beside it. Idempotent. */
export const removeDraft = (draft: string): void => {
  for (const end of ENDS) rmSync(draft + end, { force: true })
}

/** Puts a draft in its place, also where something is. */
export const settleDraft = (draft: string, file: string): void => {
  syncPath(draft)
  renameSync(draft, file)
  syncPath(dirname(file))
}

/**
 * Copies the database of a connection, as it is at one moment, to a file; answers what `look` says of the draft. When anything fails
 * nothing is left of it.
 * @throws {TenutoError} as `storeError` makes it; what `look` throws.
 */
export const writeCopy = <R>(driver: Driver, file: string, look: (draft: string) => R): R => {
  const draft = `${file}.new`
  try {
    removeDraft(draft)
    driver.prepare('VACUUM INTO ?').run(draft)
    chmodSync(draft, 0o600)
    const said = look(draft)
    settleDraft(draft, file)
    return said
  } catch (error) {
    removeDraft(draft)
    throw storeError(file, error)
  }
}
