/**
 * The records of an attempt: small files beside what its job writes. The job is told where that is and may put anything in their place;
 * what is no file says nothing, and nobody waits for it.
 */
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs'
import { type ProcessRecord, readProcessRecord } from './attempt.ts'
import { codeOf } from './thrown.ts'

/** What stands in the place of a record, or of a folder above it, where there is none. */
const NONE = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO'])

/** The text of a record; undefined where none is there, or something that is no file. */
export const readRecord = (path: string): string | undefined => {
  let file: number | undefined
  try {
    // Without waiting for a writer, should it be a pipe.
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    return fstatSync(file).isFile() ? readFileSync(file, 'utf8') : undefined
  } catch (error) {
    if (NONE.has(codeOf(error) ?? '')) return undefined
    throw error
  } finally {
    if (file !== undefined) closeSync(file)
  }
}

/** The main process of an attempt by its record; undefined also where that may not be read. */
export const processAt = (path: string): ProcessRecord | undefined => {
  try {
    return readProcessRecord(readRecord(path) ?? '')
  } catch {
    return undefined
  }
}
