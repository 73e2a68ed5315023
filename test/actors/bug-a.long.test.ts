/**
 * bug-a: whatever analytics does, the plans, and the journal, are what they are without it. The guests are real processes.
 *
 * Mutations that were planted once, and each found: analytics called in line, before the steps are shown; a guest that hangs not ended;
 * no breaker; the cursor of a guest one too far; a step that is not counted.
 */
import { describe, expect, onTestFinished, test } from 'vitest'
import { analytics } from '../../src/actors/analytics.ts'
import { projector } from '../../src/actors/projector.ts'
import { systemClock } from '../../src/clock.ts'
import { TenutoError } from '../../src/errors.ts'
import { expectHarmless, HASTY, hold, IMPATIENT, openHome, sectionOf } from '../analytics/troubled.ts'
import { openFolder } from '../audit/home.ts'

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

test('what goes wrong in the house while it deals with analytics stays there, too', async () => {
  const { program } = openHome('sound')
  const broken = new TenutoError('STORE_BROKEN', { path: 'journal.db', why: 'the test says so' })
  const shown = projector(() => {})
  let isBroken = true
  const guest = analytics({
    home: openFolder(),
    homeId: 'home',
    journal: {
      head: async () => ({ position: 0, mail: 0, dead: 0 }),
      steps: async () => (isBroken ? Promise.reject(broken) : []),
    },
    shown,
    clock: systemClock,
    random: () => 0,
    log: {
      info: () => {},
      warn: () => {
        throw new Error('the log is full')
      },
    },
    program,
    limits: { ...HASTY, heapMb: 64 },
  })
  onTestFinished(() => guest.stop())

  guest.begin()
  await expect
    .poll(() => guest.section().error?.message ?? null)
    .toMatch(/the journal cannot be read: .*the test says so/)
  // An address that is none.
  shown.show([{ position: 1, address: 'nobody:x', event: '{}' } as never])
  // A step that is none: whoever hears of it fails, here as a guest does.
  shown.show([{ position: 2 } as never])
  expect(guest.section().data?.failures).toBe(1)
  await expect.poll(() => guest.section().data).toMatchObject({ restarts: 1, state: 'up' })
  process.kill(guest.section().data?.pid ?? 0, 'SIGKILL')
  await expect.poll(() => guest.section().data?.restarts).toBe(2)
  isBroken = false

  await expect.poll(() => guest.section().status).toBe('ok')
  expect(shown.listeners()).toBe(1)
})

test('a program that does not ask for analytics has none', async () => {
  const { home } = openHome('sound')
  const runtime = await hold(home, null)

  expect(await sectionOf(runtime)).toMatchObject({ status: 'disabled', data: null })
  expect(await runtime.analytics()).toMatchObject({ status: 'disabled', numbers: null })
  expect((await runtime.state()).degraded).toBe(false)
})
