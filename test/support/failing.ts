/**
 * Promises that are to fail.
 */
import assert from 'node:assert/strict'
import { type ErrorCode, isTenutoError } from '../../src/errors.ts'

/** Resolves when the promise rejects with an error of this code; fails with what came instead. */
export const failsWith = async (code: ErrorCode, promise: Promise<unknown>): Promise<void> => {
  await assert.rejects(promise, (error) => {
    assert(isTenutoError(error, code), String(error))
    return true
  })
}
