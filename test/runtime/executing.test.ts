/**
 * What carries out attempts, as a sweep sees it while it is replaced.
 *
 * Mutations that were planted once, and each found: a look that is passed on before the new part was told; one that never is.
 */
import { expect, test } from 'vitest'
import { type AttemptRef, NO_ATTEMPTS } from '../../src/actors/attempts.ts'
import { executorPart } from '../../src/runtime/executing.ts'
import { faultInjection } from '../../src/testing/faults.ts'

test('one that was replaced and has yet to be told has missed no attempt', async () => {
  const told = Promise.withResolvers<void>()
  const failed = Promise.withResolvers<unknown>()
  const faults = faultInjection()
  const executor = executorPart({
    make: () => ({ ...NO_ATTEMPTS, look: () => 'unasked' }),
    tell: () => told.promise,
    faults: faults.port,
  })
  const look = () => executor.port.look({} as AttemptRef)
  await executor.start(failed.resolve)
  expect(look()).toBe('unasked')

  void faults.throwAt({ part: 'executor', call: 'ensure' })
  executor.port.ensure({} as AttemptRef, null, false)
  await failed.promise
  expect(look()).toBe('awaited')
  const started = executor.start(() => {})
  expect(look()).toBe('awaited')
  told.resolve()
  await started
  expect(look()).toBe('unasked')
})
