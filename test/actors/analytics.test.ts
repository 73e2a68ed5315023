/**
 * bug-a: whatever analytics does, the plans, and the journal, are what they are without it. The guests are real processes.
 *
 * Mutations that were planted once, and each found: analytics called in line, before the steps are shown; a guest that hangs not ended;
 * no breaker; the cursor of a guest one too far; a step that is not counted.
 */
import { describe, test } from 'vitest'
import { expectHarmless, IMPATIENT } from '../analytics/troubled.ts'

describe('bug-a: analytics hurts nobody, is given up for a while, and counts all when it is mended', () => {
  test('when its file is removed', () => expectHarmless('is missing', /Cannot find module/))

  test('when a function of it is missing', () =>
    expectHarmless('a function is missing', /does not provide an export named 'countTerminalStates'/))

  test('when it throws for each event', () =>
    expectHarmless('throws per event', /this event cannot be counted: created/))

  test('when it hangs', () => expectHarmless('hangs', /it did not answer within 300 ms/, IMPATIENT))

  test('when it eats memory to its limit', () =>
    expectHarmless('eats memory', /heap out of memory|ended by SIGABRT|exited with 134/))
})
