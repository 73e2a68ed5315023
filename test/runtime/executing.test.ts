/**
 * What carries out attempts, as a sweep sees it while it is replaced.
 *
 * Mutations that were planted once, and each found: a look that is passed on before the new part was told; one that never is.
 */
import { expect, test } from 'vitest'
import { type AttemptRef, NO_ATTEMPTS } from '../../src/actors/attempts.ts'
import { type ExecutingPorts, executing } from '../../src/runtime/executing.ts'
import { faultInjection } from '../../src/testing/faults.ts'

test('one that was replaced and has yet to be told has missed no attempt', async () => {
  const told = Promise.withResolvers<void>()
  const faults = faultInjection()
  const execution = executing({
    opening: { home: 'home', epoch: 1, position: 0, mail: 0, dead: 0, clean: true, bootedSince: null },
    given: () => ({ ...NO_ATTEMPTS, look: () => 'unasked' }),
    starts: true,
    again: () => told.promise,
    faults: faults.port,
  } as Partial<ExecutingPorts> as ExecutingPorts)
  const attempts = execution.attempts(() => {})
  const look = () => attempts.look({} as AttemptRef)
  const failed = Promise.withResolvers<unknown>()
  await execution.part.start(failed.resolve)
  expect(look()).toBe('unasked')

  void faults.throwAt({ part: 'executor', call: 'ensure' })
  attempts.ensure({} as AttemptRef, null, false)
  await failed.promise
  expect(look()).toBe('awaited')
  const started = execution.part.start(() => {})
  expect(look()).toBe('awaited')
  told.resolve()
  await started
  expect(look()).toBe('unasked')
})
