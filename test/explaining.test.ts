/**
 * Why something waits or ended as it did: every way to be stuck is named by its cause, and by the command that leads out of it.
 *
 * Mutations that were planted once, and each found: a full plan taken for a full daemon; the nearest need named and not the one that
 * keeps it; a pause by a failure told as an order; the order before the last one; the reason of an order left out; a home that nobody
 * holds taken for one that is about to start.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { unprepared } from '../src/actors/attempts.ts'
import { catalog } from '../src/catalog.ts'
import type { RetryPolicy } from '../src/definition.ts'
import { TenutoError } from '../src/errors.ts'
import { explaining } from '../src/explaining.ts'
import { vault } from '../src/secrets.ts'
import type { Holding } from '../src/views/evidence.ts'
import { NOT_HELD } from '../src/views/evidence.ts'
import type { ExplainShape } from '../src/views/explain.ts'
import { planOf } from './support/definitions.ts'
import { type Life, openLife, PLAN } from './support/life.ts'

const HELD: Holding = { ...NOT_HELD, holder: 'running', pid: 7 }
const SILENT: Holding = { ...HELD, runnerSilentSince: '2026-01-01T00:00:00.000Z' }
const RETRY: RetryPolicy = { max: 2, delayMs: 60_000, factor: 1, maxDelayMs: 60_000, jitter: 0, on: ['exit'] }
/** A policy that makes the machine throw when an attempt ends. */
const POISON = { max: 1, delayMs: 1, factor: 1, maxDelayMs: 1, jitter: 0 } as unknown as RetryPolicy
const GATE = { kind: 'approve', approve: { prompt: 'Ship it?' } } as const
const SOON = { kind: 'approve', approve: { prompt: 'Ship it?', timeoutMs: 60_000 } } as const
const AWAY: Holding = {
  ...HELD,
  storage: {
    status: 'unavailable',
    as_of: null,
    age_ms: null,
    error: { code: 'STORE_FULL', message: 'no room on /disk', hint: 'make room' },
    data: { since: '2026-01-01T00:00:00.000Z', tries: 3, next_try_at: null, failed_commits: 3 },
  },
}

type Case = Readonly<{
  name: string
  /** What is done before somebody asks. */
  given: (life: Life) => Promise<unknown>
  /** A job; the plan itself when it is left out. */
  of?: string
  /** What the chain does not say. */
  never?: RegExp
  holding?: Holding
  /** Secrets of which the home has values. */
  kept?: readonly string[]
  /** Slots across plans; default many. */
  slots?: number
  /** What the chain says, in this order. */
  says: readonly (string | RegExp)[]
  /** One of the commands it names. */
  command?: string
  /** All of the commands it names, in this order, each once. */
  commands?: readonly string[]
}>
const job = (name: string): string => `${PLAN}/${name}`
const by = { by: 'ada', why: 'lunch' }
const end = async (
  life: Life,
  name: string,
  ...how: readonly ['succeeded' | 'exit' | 'timeout' | 'lost' | 'never-started' | 'cancelled']
) => {
  life.attempts.end(name, how[0], how[0] === 'exit' ? { code: 3 } : {})
  await life.quiet()
}
/** Attempts that could not start because secrets had no value. */
const unstart = async (life: Life, times: number): Promise<void> => {
  for (let at = 0; at < times; at += 1) {
    if (at > 0) await life.tell('a', 'now.requested')
    await life.quiet()
    life.attempts.end('a', 'never-started', WANTING)
    await life.quiet()
  }
}
const WANTING = unprepared(new TenutoError('SECRETS_GONE', { plan: PLAN, names: 'A, B' }))
const tell = async (life: Life, name: string | null, type: string, more = {}) => {
  await life.tell(name, type, { ...by, ...more })
  await life.quiet()
}

const CASES: readonly Case[] = [
  {
    name: 'a need that runs',
    given: (life) => life.submit(planOf({ a: {}, b: { needs: ['a'] } })),
    of: 'b',
    says: ['it needs a', 'a is running: attempt 1 runs'],
    command: `tenuto logs ${job('a')} -f`,
  },
  {
    name: 'a job whose runner does not answer: its attempt may have ended since',
    given: (life) => life.submit(planOf({ a: {} })),
    of: 'a',
    holding: SILENT,
    says: [
      'attempt 1 ran when the runner last answered',
      'the runner, which starts and ends attempts, does not answer',
    ],
    never: /runs/,
    command: 'tenuto doctor',
  },
  {
    name: 'a job that is to be stopped by a runner that does not answer',
    given: async (life) => {
      await life.submit(planOf({ a: {} }))
      await tell(life, 'a', 'cancel.requested')
    },
    of: 'a',
    holding: SILENT,
    says: [
      'it was cancelled; its attempt is to be ended by the runner',
      'it was cancelled by ada: lunch',
      'the runner, which starts and ends attempts, does not answer',
    ],
    never: /killed/,
    command: 'tenuto doctor',
  },
  {
    name: 'a plan whose runner does not answer',
    given: (life) => life.submit(planOf({ a: {} })),
    holding: SILENT,
    says: [
      'the runner, which starts and ends attempts, does not answer',
      'a is running: attempt 1 ran when the runner last answered',
    ],
  },
  {
    name: 'a need of a need of a need, which waits to be tried again',
    given: async (life) => {
      await life.submit(
        planOf({ a: { retry: RETRY }, b: { needs: ['a'] }, c: { needs: ['b'] }, d: { needs: ['c'] } }),
      )
      await end(life, 'a', 'exit')
    },
    of: 'd',
    says: [
      'it needs c',
      'a, further up, is backoff: it waits to be tried again',
      'attempt 1 ended with exit code 3',
    ],
    command: `tenuto now ${job('a')}`,
  },
  {
    name: 'a need that asks a person',
    given: (life) => life.submit(planOf({ gate: GATE, b: { needs: ['gate'] } })),
    of: 'b',
    says: ['it needs gate', 'gate is waiting: it asks: Ship it?'],
    command: `tenuto approve ${job('gate')}`,
  },
  {
    name: 'a need that was lost',
    given: async (life) => {
      await life.submit(planOf({ a: {}, b: { needs: ['a'] } }))
      await end(life, 'a', 'lost')
    },
    of: 'b',
    says: ['it needs a', /a is waiting: attempt 1 may have had effects/],
    command: `tenuto retry ${job('a')}`,
  },
  {
    name: 'one need of several, of which the others are met',
    given: async (life) => {
      await life.submit(planOf({ a: {}, b: {}, c: { needs: { a: 'success', b: 'any' } } }))
      await end(life, 'a', 'succeeded')
    },
    of: 'c',
    says: ['it needs b (any)', 'b is running'],
  },
  {
    name: 'every slot of the plan taken',
    given: (life) => life.submit(planOf({ a: {}, b: {} }, { maxParallel: 1 })),
    of: 'b',
    says: ['the one slot of its plan is taken by a', 'attempt 1 runs'],
  },
  {
    name: 'every slot of the daemon taken',
    slots: 1,
    given: (life) => life.submit(planOf({ a: {}, b: {} })),
    of: 'b',
    holding: { ...HELD, slots: 1, held: [{ plan: 'other-bbbbbb', slots: 1 }] },
    says: ['the one slot of the daemon is taken, by other-bbbbbb (1)'],
    command: 'tenuto ls',
  },
  {
    name: 'a plan that somebody paused',
    given: async (life) => {
      await life.submit(planOf({ a: {}, b: {} }, { maxParallel: 1 }))
      await tell(life, null, 'pause.requested')
    },
    of: 'b',
    says: ['its plan is paused', 'it was paused by ada: lunch'],
    command: `tenuto continue ${PLAN}`,
  },
  {
    name: 'a plan that somebody paused, in a home that is paused, too',
    given: async (life) => {
      await life.submit(planOf({ a: {}, b: {} }, { maxParallel: 1 }))
      await tell(life, null, 'pause.requested')
    },
    of: 'b',
    holding: { ...HELD, mode: 'paused', modeReason: 'audit' },
    says: [
      'its plan is paused',
      'it was paused by ada: lunch',
      'the home is paused: audit, and nothing new starts',
    ],
    command: `tenuto continue ${PLAN}`,
  },
  {
    name: 'a plan that a failure paused',
    given: async (life) => {
      await life.submit(planOf({ a: {}, b: {}, c: {} }, { maxParallel: 2, onFailure: 'pause' }))
      await end(life, 'a', 'exit')
    },
    of: 'c',
    says: [
      'its plan is paused',
      'a job failed, and its plan then pauses',
      'a failed: attempt 1 ended with exit code 3',
    ],
    command: `tenuto continue ${PLAN}`,
  },
  {
    name: 'a plan that a failure paused before somebody did',
    given: async (life) => {
      await life.submit(planOf({ a: {}, b: {}, c: {} }, { maxParallel: 2, onFailure: 'pause' }))
      await end(life, 'a', 'exit')
      await tell(life, null, 'continue.requested')
      await tell(life, null, 'pause.requested')
    },
    says: ['it was paused by ada: lunch'],
  },
  {
    name: 'an attempt that may have ended since the journal could last be written',
    given: (life) => life.submit(planOf({ a: {} })),
    of: 'a',
    holding: AWAY,
    says: [
      'attempt 1 ran when the journal could last be written',
      'the journal cannot be written: no room on /disk',
    ],
    never: /attempt 1 runs|make room/,
    command: 'tenuto status',
  },
  ...(
    [
      ['a home that nobody holds', NOT_HELD, 'nobody runs the plans of this home', `tenuto resume ${PLAN}`],
      [
        'a holder that does not answer',
        { ...HELD, holder: 'silent' },
        'pid 7 holds the home and does not answer',
        'tenuto doctor',
      ],
      [
        'a journal that cannot be written',
        AWAY,
        'the journal cannot be written: no room on /disk',
        'tenuto status',
      ],
      [
        'a daemon that is paused',
        { ...HELD, mode: 'paused', modeReason: 'audit' },
        'the home is paused: audit, and nothing new starts',
        'tenuto daemon resume',
      ],
      [
        'a daemon that is drained',
        { ...HELD, mode: 'draining' },
        'the home is draining, and nothing new starts',
        'tenuto daemon resume',
      ],
    ] as const
  ).map(
    ([name, holding, says, command]): Case => ({
      name,
      given: (life) => life.submit(planOf({ a: {}, b: {} }, { maxParallel: 1 })),
      of: 'b',
      holding,
      says: ['it waits to be started', says],
      command,
    }),
  ),
  {
    name: 'a slot that is free',
    given: (life) =>
      life.submit(planOf({ a: {}, b: {} }, { maxParallel: 1 })).then(() => end(life, 'a', 'lost')),
    of: 'b',
    says: ['attempt 1 runs'],
  },
  {
    name: 'a plan that could not take a message',
    given: async (life) => {
      await life.submit(planOf({ a: {}, b: { needs: ['a'] } }))
      await tell(life, null, 'faulted', { error: 'TypeError: no good\n  at x' })
    },
    says: ['it is set aside: TypeError: no good'],
    command: `tenuto continue ${PLAN}`,
  },
  {
    name: 'a job of a plan that is set aside',
    given: async (life) => {
      await life.submit(planOf({ a: {}, b: { needs: ['a'] } }))
      await tell(life, null, 'faulted', { error: 'no good' })
    },
    of: 'b',
    says: ['it needs a', 'a is running', 'it is set aside: no good'],
  },
  {
    name: 'nothing: it runs',
    given: (life) => life.submit(planOf({ a: {} })),
    of: 'a',
    says: ['attempt 1 runs'],
  },
  {
    name: 'nothing but that nobody would see its end',
    given: (life) => life.submit(planOf({ a: {} })),
    of: 'a',
    holding: NOT_HELD,
    says: [
      'attempt 1 ran when it was last seen, and nobody watches it now',
      'nobody runs the plans of this home',
    ],
    command: `tenuto resume ${PLAN}`,
  },
  {
    name: 'processes that have yet to end after a cancel',
    given: async (life) => {
      await life.submit(planOf({ a: {} }))
      await tell(life, 'a', 'cancel.requested')
    },
    of: 'a',
    says: ['it was cancelled; its attempt is being ended', 'it was cancelled by ada: lunch'],
  },
  {
    name: 'processes that have yet to end after a cancel of their plan',
    given: async (life) => {
      await life.submit(planOf({ a: {} }))
      await tell(life, null, 'cancel.requested')
    },
    of: 'a',
    says: ['it was cancelled; its attempt is being ended', 'it was cancelled by ada: lunch'],
  },
  {
    name: 'processes that have yet to end after a timeout',
    given: async (life) => {
      await life.submit(planOf({ a: { timeoutMs: 1 } }))
      life.attempts.stopping('a', 'stop-timeout')
      await life.quiet()
    },
    of: 'a',
    says: ['its attempt took longer than its timeout'],
  },
  {
    name: 'the time of a retry',
    given: async (life) => {
      await life.submit(planOf({ a: { retry: RETRY } }))
      await end(life, 'a', 'exit')
    },
    of: 'a',
    says: ['it waits to be tried again', 'attempt 1 ended with exit code 3'],
    command: `tenuto now ${job('a')}`,
  },
  {
    name: 'an attempt that never started',
    given: async (life) => {
      await life.submit(planOf({ a: {} }))
      await end(life, 'a', 'never-started')
    },
    of: 'a',
    says: ['it waits to be tried again', 'attempt 1 never started'],
    never: /tenuto logs/,
    command: `tenuto now ${job('a')}`,
  },
  {
    name: 'a program that could not be started',
    given: async (life) => {
      await life.submit(planOf({ a: {} }))
      life.attempts.end('a', 'spawn-error', { error: 'no such program: gcc' })
      await life.quiet()
    },
    of: 'a',
    says: ['attempt 1 could not be started: no such program', 'no retries'],
    // It has written nothing.
    never: /tenuto logs/,
    command: `tenuto retry ${job('a')}`,
  },
  {
    name: 'an attempt whose end nobody saw',
    given: async (life) => {
      await life.submit(planOf({ a: {} }))
      await end(life, 'a', 'lost')
    },
    of: 'a',
    says: ['attempt 1 may have had effects, and nobody saw its end'],
    command: `tenuto retry ${job('a')}`,
  },
  {
    name: 'an attempt that a start found lost: what was found, what its plan says of such, and each order that decides',
    given: async (life) => {
      await life.submit(planOf({ a: { kind: 'run', run: 'true' } }))
      await life.reload()
      await end(life, 'a', 'lost')
    },
    of: 'a',
    says: [
      'attempt 1 may have had effects, and nobody saw its end',
      /^when the home was taken up, its process.* was not there any more/,
      'what is lost waits for a person (onLost: hold)',
      'a skip leaves a out',
      'a cancel ends a as cancelled, and its plan fails with it',
    ],
    commands: [`tenuto retry ${job('a')}`, `tenuto skip ${job('a')}`, `tenuto cancel ${job('a')}`],
  },
  {
    name: 'a lost attempt of an optional job, which fails nothing',
    given: async (life) => {
      await life.submit(planOf({ a: { kind: 'run', run: 'true', optional: true } }))
      await end(life, 'a', 'lost')
    },
    of: 'a',
    says: ['when it was looked for, its process', 'a cancel ends a as cancelled'],
    never: /its plan fails|taken up/,
  },
  {
    name: 'an attempt after one that was lost, as its plan says',
    given: async (life) => {
      await life.submit(planOf({ a: { onLost: 'retry' } }))
      await end(life, 'a', 'lost')
    },
    of: 'a',
    says: [
      'attempt 2 runs',
      'attempt 1 may have had effects, and nobody saw its end; it is tried again as its plan says (onLost: retry)',
    ],
  },
  {
    name: 'an attempt after one that was lost, by order',
    given: async (life) => {
      await life.submit(planOf({ a: {} }))
      await end(life, 'a', 'lost')
      await tell(life, 'a', 'retry.requested')
    },
    of: 'a',
    says: [
      'attempt 2 runs',
      'attempt 1 may have had effects, and nobody saw its end; it is tried again by order',
    ],
  },
  {
    name: 'given up, because it was lost again and again',
    given: async (life) => {
      await life.submit(planOf({ a: { onLost: 'retry' } }))
      for (let times = 0; times < 4; times += 1) await end(life, 'a', 'lost')
    },
    of: 'a',
    says: [
      'attempt 4 may have had effects',
      'what is lost is tried again (onLost: retry), but not for ever: 4 of its attempts were lost',
    ],
    command: `tenuto retry ${job('a')}`,
  },
  {
    name: 'cancelled by whoever decided about a lost attempt',
    given: async (life) => {
      await life.submit(planOf({ a: {}, b: { needs: ['a'] } }))
      await end(life, 'a', 'lost')
      await tell(life, 'a', 'cancel.requested')
    },
    of: 'b',
    says: [
      'it needed a, which is cancelled',
      'a cancelled: it was cancelled by ada: lunch',
      'attempt 1 may have had effects, and nobody saw its end',
    ],
    command: `tenuto retry ${job('a')}`,
  },
  {
    name: 'an attempt whose end nobody saw, of a paused plan in a home that nobody holds',
    given: async (life) => {
      await life.submit(planOf({ a: {} }))
      await end(life, 'a', 'lost')
      await tell(life, null, 'pause.requested')
    },
    of: 'a',
    holding: NOT_HELD,
    says: [
      'attempt 1 may have had effects, and nobody saw its end',
      'its plan is paused',
      'it was paused by ada: lunch',
      'nobody runs the plans of this home',
    ],
  },
  {
    name: 'a question of a plan that somebody paused',
    given: async (life) => {
      await life.submit(planOf({ gate: GATE }))
      await tell(life, null, 'pause.requested')
    },
    of: 'gate',
    says: ['it asks: Ship it?', 'its plan is paused', 'it was paused by ada: lunch'],
  },
  {
    name: 'a job behind one that runs, of a plan that somebody paused',
    given: async (life) => {
      await life.submit(planOf({ a: {}, b: { needs: ['a'] } }))
      await tell(life, null, 'pause.requested')
    },
    of: 'b',
    says: ['it needs a', 'a is running', 'its plan is paused', 'it was paused by ada: lunch'],
    command: `tenuto continue ${PLAN}`,
  },
  {
    name: 'a question',
    given: (life) => life.submit(planOf({ gate: SOON })),
    of: 'gate',
    says: ['it asks: Ship it?'],
    command: `tenuto approve ${job('gate')}`,
  },
  {
    name: 'a question past its time, which nobody was there to take in',
    given: async (life) => {
      await life.submit(planOf({ gate: SOON, b: { needs: ['gate'] } }))
      await life.host().stop()
      await life.clock.advance(60_000)
    },
    of: 'b',
    holding: NOT_HELD,
    says: [
      'it needs gate',
      /gate is waiting: its time was up at .*, and no answer is taken any more; it asked: Ship it\?/,
      'nobody runs the plans of this home',
    ],
    command: `tenuto resume ${PLAN}`,
  },
  {
    name: 'a question in a home that nobody holds',
    given: (life) => life.submit(planOf({ gate: GATE })),
    of: 'gate',
    holding: NOT_HELD,
    says: ['it asks: Ship it?', 'nobody runs the plans of this home'],
    command: `tenuto approve ${job('gate')}`,
  },
  {
    name: 'a job behind a question, of a plan that somebody paused',
    given: async (life) => {
      await life.submit(planOf({ gate: GATE, b: { needs: ['gate'] } }))
      await tell(life, null, 'pause.requested')
    },
    of: 'b',
    says: ['it needs gate', 'it asks: Ship it?', 'its plan is paused', 'it was paused by ada: lunch'],
    command: `tenuto continue ${PLAN}`,
  },
  {
    name: 'failed, its retries spent',
    given: async (life) => {
      await life.submit(planOf({ a: { retry: { ...RETRY, max: 1 } } }))
      await end(life, 'a', 'exit')
      await tell(life, 'a', 'now.requested')
      await end(life, 'a', 'exit')
    },
    of: 'a',
    says: ['attempt 2 ended with exit code 3', '1 of 1 retry spent'],
    command: `tenuto retry ${job('a')}`,
  },
  ...(
    [
      [
        'a kind of end',
        'spawn-error',
        {},
        ['exit', 'signal'],
        'spawn-error is not in its retry.on (exit, signal)',
      ],
      ['an exit code', 'exit', { code: 3 }, ['exit:75'], 'exit:3 is not in its retry.on (exit:75)'],
    ] as const
  ).map(
    ([what, outcome, more, on, says]): Case => ({
      name: `failed, its retries not spent on ${what}`,
      given: async (life) => {
        await life.submit(planOf({ a: { retry: { ...RETRY, on } } }))
        life.attempts.end('a', outcome, more)
        await life.quiet()
      },
      of: 'a',
      says: ['attempt 1', `0 of 2 retries spent: ${says}`],
      command: `tenuto retry ${job('a')}`,
    }),
  ),
  {
    name: 'failed, because what was lost is not tried again',
    given: async (life) => {
      await life.submit(planOf({ a: { retry: RETRY, onLost: 'fail' } }))
      await end(life, 'a', 'lost')
    },
    of: 'a',
    says: [
      'attempt 1 may have had effects',
      'what is lost is not tried again (onLost: fail)',
      '0 of 2 retries spent: what was lost is tried again by onLost alone',
    ],
  },
  {
    name: 'failed, without a retry',
    given: async (life) => {
      await life.submit(planOf({ a: {} }))
      await end(life, 'a', 'timeout')
    },
    of: 'a',
    says: ['attempt 1 took longer than its timeout', 'its plan gives it no retries'],
  },
  ...(
    [
      ['have no value', [], ['the home has no value of the secrets A, B'], `tenuto secret set ${PLAN} A B`],
      [
        'have one value of two',
        ['B'],
        ['the home has no value of the secret A'],
        `tenuto secret set ${PLAN} A`,
      ],
      [
        'have values again',
        ['A', 'B'],
        ['for want of secrets; the home has their values now'],
        `tenuto retry ${job('a')}`,
      ],
    ] as const
  ).map(
    ([name, kept, says, command]): Case => ({
      name: `failed for want of secrets that ${name}`,
      kept,
      given: async (life) => {
        await life.submit(planOf({ a: { secrets: ['A', 'B'] } }))
        await unstart(life, 6)
      },
      of: 'a',
      says: [...says, 'none of its last 6 attempts started; that is tried again without spending a retry'],
      command,
    }),
  ),
  {
    name: 'an attempt that never started, in words like those about a secret',
    given: async (life) => {
      await life.submit(planOf({ a: { secrets: ['A'] } }))
      life.attempts.end('a', 'never-started', { error: 'no such program: `tenuto secret set p A`' })
      await life.quiet()
    },
    of: 'a',
    says: ['it waits to be tried again', 'attempt 1 never started: no such program'],
    // It has written nothing.
    never: /tenuto logs/,
  },
  {
    name: 'an attempt that wants a secret',
    given: async (life) => {
      await life.submit(planOf({ a: { secrets: ['A', 'B'] } }))
      await unstart(life, 1)
    },
    of: 'a',
    says: ['it waits to be tried again', 'the home has no value of the secrets A, B'],
    // It would not start now, either.
    never: /tenuto now/,
    command: `tenuto secret set ${PLAN} A B`,
  },
  {
    name: 'given up because it never started, after an attempt that did',
    given: async (life) => {
      await life.submit(planOf({ a: { retry: RETRY } }))
      await end(life, 'a', 'exit')
      for (let times = 0; times < 6; times += 1) {
        await tell(life, 'a', 'now.requested')
        await end(life, 'a', 'never-started')
      }
    },
    of: 'a',
    says: ['attempt 7 never started', 'none of its last 6 attempts started'],
    command: `tenuto retry ${job('a')}`,
  },
  {
    name: 'failed after an attempt that never started, which spends no retry',
    given: async (life) => {
      await life.submit(planOf({ a: { retry: RETRY } }))
      await end(life, 'a', 'never-started')
      await tell(life, 'a', 'now.requested')
      await end(life, 'a', 'timeout')
    },
    of: 'a',
    says: ['attempt 2 took longer than its timeout', '0 of 2 retries spent'],
  },
  {
    name: 'failed by its deadline after an attempt that never started',
    given: async (life) => {
      await life.submit(planOf({ a: { deadlineMs: 100 } }))
      await end(life, 'a', 'never-started')
      await life.clock.advance(100)
      await life.quiet()
    },
    of: 'a',
    says: ['its deadline passed'],
    never: /never started/,
  },
  {
    name: 'failed by its deadline',
    given: async (life) => {
      await life.submit(planOf({ a: {}, b: { deadlineMs: 1_000 } }, { maxParallel: 1 }))
      await life.clock.advance(1_000)
      await life.quiet()
    },
    of: 'b',
    says: ['its deadline passed'],
  },
  {
    name: 'failed by a no',
    given: async (life) => {
      await life.submit(planOf({ gate: GATE }))
      await tell(life, 'gate', 'reject.requested', { generation: 1, shown: 'Ship it?' })
    },
    of: 'gate',
    says: ['it was rejected by ada: lunch'],
    command: `tenuto retry ${job('gate')}`,
  },
  {
    name: 'failed by no answer',
    given: async (life) => {
      await life.submit(planOf({ gate: SOON }))
      await life.clock.advance(60_000)
      await life.quiet()
    },
    of: 'gate',
    says: ['nobody answered in time'],
  },
  {
    name: 'approved',
    given: async (life) => {
      await life.submit(planOf({ gate: GATE }))
      await tell(life, 'gate', 'approve.requested', { generation: 1, shown: 'Ship it?' })
    },
    of: 'gate',
    says: ['it was approved by ada: lunch'],
  },
  {
    name: 'failed by a fault of its actor',
    given: async (life) => {
      await life.submit(planOf({ a: { retry: POISON } }))
      await end(life, 'a', 'exit')
      await end(life, 'a', 'cancelled')
    },
    of: 'a',
    says: [/its actor failed: .*Cannot read properties of undefined/],
    command: 'tenuto dead',
  },
  {
    name: 'skipped because of a failure two needs away',
    given: async (life) => {
      await life.submit(planOf({ a: {}, b: { needs: ['a'] }, c: { needs: ['b'] } }))
      await end(life, 'a', 'exit')
    },
    of: 'c',
    says: [
      'it needed b, which is skipped',
      'it needed a, which is failed',
      'attempt 1 ended with exit code 3',
    ],
    command: `tenuto retry ${job('a')}`,
  },
  {
    name: 'skipped because of two failures, the one that skipped it before the other',
    given: async (life) => {
      await life.submit(planOf({ a: {}, b: {}, c: { needs: ['a', 'b'] } }))
      await end(life, 'b', 'exit')
      await life.clock.advance(10)
      await end(life, 'a', 'timeout')
    },
    of: 'c',
    says: [
      'it needed b, which is failed',
      'b failed: attempt 1 ended with exit code 3',
      'it also needed a, which is failed',
      'a failed: attempt 1 took longer than its timeout',
    ],
    commands: [
      `tenuto retry ${job('b')}`,
      `tenuto logs ${job('b')}`,
      `tenuto retry ${job('a')}`,
      `tenuto logs ${job('a')}`,
    ],
  },
  {
    name: 'skipped behind needs that hang on one failure, which is told of once',
    given: async (life) => {
      await life.submit(planOf({ a: {}, b: { needs: ['a'] }, c: { needs: ['a'] }, d: { needs: ['b', 'c'] } }))
      await end(life, 'a', 'exit')
    },
    of: 'd',
    says: [
      'it needed b, which is skipped',
      'b skipped: it needed a, which is failed',
      'a failed: attempt 1',
      'it also needed c, which is skipped',
      'c skipped: it needed a, which is failed',
    ],
    commands: [`tenuto retry ${job('a')}`, `tenuto logs ${job('a')}`],
  },
  {
    name: 'skipped behind a long chain of skips: its beginning is named all the same',
    given: async (life) => {
      const chain = Array.from({ length: 30 }, (_, at) => [
        `j${at}`,
        at === 0 ? {} : { needs: [`j${at - 1}`] },
      ])
      await life.submit(planOf(Object.fromEntries(chain)))
      await end(life, 'j0', 'exit')
    },
    of: 'j29',
    says: [
      'it needed j28, which is skipped',
      'j28 skipped: it needed j27, which is skipped',
      'j0, further up, failed: attempt 1 ended with exit code 3',
    ],
    never: /j20/,
    command: `tenuto retry ${job('j0')}`,
  },
  {
    name: 'skipped behind a job that somebody skipped',
    given: async (life) => {
      await life.submit(planOf({ gate: GATE, b: { needs: ['gate'] } }))
      await tell(life, 'gate', 'skip.requested')
    },
    of: 'b',
    says: ['it needed gate, which is skipped', 'gate skipped: it was skipped by ada: lunch'],
    commands: [`tenuto retry ${job('gate')}`],
  },
  {
    name: 'cancelled with what it needs: only with all that comes after that is it tried again',
    given: async (life) => {
      await life.submit(planOf({ a: {}, b: { needs: ['a'] } }))
      await tell(life, null, 'cancel.requested')
      await end(life, 'a', 'cancelled')
    },
    of: 'b',
    says: ['it was cancelled by ada: lunch'],
    commands: [`tenuto retry ${job('a')} --downstream`],
  },
  {
    name: 'skipped because its plan stops at a failure',
    given: async (life) => {
      await life.submit(planOf({ a: {}, b: {}, c: {} }, { maxParallel: 1, onFailure: 'stop' }))
      await end(life, 'a', 'exit')
    },
    of: 'c',
    says: [
      'another job failed, and its plan then starts nothing more',
      'a failed: attempt 1 ended with exit code 3',
    ],
  },
  {
    name: 'skipped by order',
    given: async (life) => {
      await life.submit(planOf({ a: {}, b: { needs: ['a'] } }))
      await tell(life, 'b', 'skip.requested')
    },
    of: 'b',
    says: ['it was skipped by ada: lunch'],
    command: `tenuto retry ${job('b')}`,
  },
  {
    name: 'cancelled alone',
    given: async (life) => {
      await life.submit(planOf({ a: {}, b: {} }))
      await tell(life, 'a', 'cancel.requested')
      await end(life, 'a', 'cancelled')
    },
    of: 'a',
    says: ['it was cancelled by ada: lunch'],
    command: `tenuto retry ${job('a')}`,
  },
  {
    name: 'cancelled alone, and its plan failed with it',
    given: async (life) => {
      await life.submit(planOf({ a: {}, b: {} }))
      await tell(life, 'a', 'cancel.requested')
      await end(life, 'a', 'cancelled')
      await end(life, 'b', 'succeeded')
    },
    says: [
      'a cancelled: it was cancelled by ada: lunch',
      'whatever of it did not succeed can be tried again',
    ],
    command: `tenuto retry ${PLAN} --failed`,
  },
  {
    name: 'cancelled alone, before somebody cancelled its plan',
    given: async (life) => {
      await life.submit(planOf({ a: {}, b: {} }))
      await tell(life, 'a', 'cancel.requested')
      await tell(life, null, 'cancel.requested', { by: 'bob', why: 'all of it' })
      await end(life, 'a', 'cancelled')
    },
    of: 'a',
    says: ['it was cancelled by ada: lunch'],
    never: /bob/,
  },
  {
    name: 'cancelled with its plan',
    given: async (life) => {
      await life.submit(planOf({ a: {}, b: { needs: ['a'] } }))
      await tell(life, null, 'cancel.requested')
    },
    of: 'b',
    says: ['it was cancelled by ada: lunch'],
  },
  {
    name: 'cancelled with its plan while it ran',
    given: async (life) => {
      await life.submit(planOf({ a: {} }))
      await tell(life, null, 'cancel.requested')
      await end(life, 'a', 'cancelled')
    },
    of: 'a',
    says: ['it was cancelled by ada: lunch'],
  },
  {
    name: 'approved by no answer',
    given: async (life) => {
      const approve = { ...SOON.approve, onTimeout: 'approve' } as const
      await life.submit(planOf({ gate: { ...SOON, approve } }))
      await life.clock.advance(60_000)
      await life.quiet()
    },
    of: 'gate',
    says: ['nobody answered in time, which approves it'],
  },
  {
    name: 'a plan that goes on: what is on, and what asks',
    given: (life) => life.submit(planOf({ a: {}, gate: GATE, b: { needs: ['a', 'gate'] } })),
    says: ['a is running', 'gate is waiting: it asks: Ship it?'],
  },
  {
    name: 'a plan that is being cancelled',
    given: async (life) => {
      await life.submit(planOf({ a: {} }))
      await tell(life, null, 'cancel.requested')
    },
    says: ['it was cancelled by ada: lunch', 'a is stopping'],
  },
  {
    name: 'a plan that failed: its first failure',
    given: async (life) => {
      await life.submit(planOf({ a: {}, b: { needs: ['a'] } }))
      await end(life, 'a', 'exit')
    },
    says: ['a failed: attempt 1 ended with exit code 3'],
  },
  {
    name: 'a plan that was cancelled',
    given: async (life) => {
      await life.submit(planOf({ a: { needs: [] } }))
      await tell(life, null, 'cancel.requested')
      await end(life, 'a', 'cancelled')
    },
    says: ['it was cancelled by ada: lunch'],
    command: `tenuto retry ${PLAN} --failed`,
  },
  {
    name: 'a plan that succeeded',
    given: async (life) => {
      await life.submit(planOf({ a: {} }))
      await end(life, 'a', 'succeeded')
    },
    says: ['every job that counts succeeded'],
  },
]

const explained = async (life: Life, { of, holding = HELD, kept }: Case): Promise<ExplainShape> => {
  const reader = life.journal()
  const home = kept === undefined ? '/nowhere' : mkdtempSync(join(tmpdir(), 'tenuto-explained-'))
  if (kept) onTestFinished(() => rmSync(home, { recursive: true, force: true }))
  if (kept) vault(home).keep(PLAN, Object.fromEntries(kept.map((name) => [name, 'a-value-of-it'])))
  return explaining(reader, catalog(reader, home), life.clock)(PLAN, of ?? null, holding)
}

test.each(CASES.map((each) => [each.name, each] as const))('explains %s', async (_, each) => {
  const life = await openLife(each.slots === undefined ? {} : { maxParallel: each.slots })
  onTestFinished(() => life.host().stop())
  await each.given(life)

  const { chain, ref } = await explained(life, each)

  expect(ref).toBe(each.of === undefined ? PLAN : job(each.of))
  const said = chain.map(({ what }) => what)
  let at = -1
  for (const wanted of each.says) {
    const found = said.findIndex(
      (what, index) => index > at && (typeof wanted === 'string' ? what.includes(wanted) : wanted.test(what)),
    )
    expect(found, `${String(wanted)} in\n${said.join('\n')}`).toBeGreaterThan(at)
    at = found
  }
  expect(chain.length).toBeGreaterThan(0)
  if (each.never) for (const fact of chain) expect(JSON.stringify(fact)).not.toMatch(each.never)
  const named = chain.flatMap(({ command }) => command ?? [])
  if (each.commands) expect([...new Set(named)]).toEqual(each.commands)
  if (each.command) expect(chain.map(({ command }) => command)).toContain(each.command)
})

const RETRIED = CASES.filter(
  ({ name }) => /^(skipped|cancelled)/.test(name) && !name.includes('its plan failed'),
)
test.each(RETRIED.map((each) => [each.name, each] as const))(
  'who does what is named opens the job again that was %s',
  async (_, each) => {
    const life = await openLife()
    onTestFinished(() => life.host().stop())
    await each.given(life)
    const ended = ['succeeded', 'failed', 'cancelled', 'skipped']
    // A plan that is being cancelled takes no retry before what runs has ended.
    for (const { name, state } of await life.jobs())
      if (state === 'stopping') await end(life, name, 'cancelled')

    for (let times = 0; times < 3 && ended.includes((await life.job(each.of ?? '')).state); times += 1) {
      const { chain } = await explained(life, each)
      const [, first, flag] =
        /^tenuto retry [^/]+\/(\S+)( --downstream)?$/.exec(chain[0]?.command ?? '') ?? []
      await life.tell(null, 'retry.requested', { retry: { job: first, downstream: flag !== undefined } })
      await life.quiet()
    }

    expect(ended).not.toContain((await life.job(each.of ?? '')).state)
  },
)

test('the command that shows a log is not told as what changes anything', async () => {
  const life = await openLife()
  onTestFinished(() => life.host().stop())
  await life.submit(planOf({ a: {}, b: { onLost: 'fail' } }))
  await end(life, 'a', 'exit')
  await end(life, 'b', 'lost')

  for (const of of ['a', 'b']) {
    const { chain } = await explained(life, { name: '', given: async () => {}, of, says: [] })
    const told = chain.map(({ change, command }) => [command, change])
    expect(told).toContainEqual([`tenuto logs ${job(of)}`, null])
    expect(told).toContainEqual([`tenuto retry ${job(of)}`, 'it is tried again'])
  }
})

test('what several jobs hang on is said once', async () => {
  const life = await openLife()
  onTestFinished(() => life.host().stop())
  await life.submit(planOf({ g1: GATE, g2: GATE, b: { needs: ['g1', 'g2'] } }))

  const { chain } = await explained(life, {
    name: '',
    given: async () => {},
    of: 'b',
    holding: NOT_HELD,
    says: [],
  })

  expect(chain.filter(({ what }) => what.includes('nobody runs'))).toHaveLength(1)
})

test('a plan of a thousand jobs is explained by two hundred of them, and says how many more there are', async () => {
  const life = await openLife()
  onTestFinished(() => life.host().stop())
  await life.submit(planOf(Object.fromEntries(Array.from({ length: 1000 }, (_, at) => [`j${at}`, {}]))))

  const { chain, more } = await explained(life, { name: '', given: async () => {}, says: [] })

  expect(chain).toHaveLength(200)
  expect(more).toBe(800)
})

test('each job that is on is told of, with what is on record of it', async () => {
  const life = await openLife()
  onTestFinished(() => life.host().stop())
  const names = Array.from({ length: 40 }, (_, at) => `j${at}`)
  await life.submit(planOf(Object.fromEntries(names.map((name) => [name, { retry: RETRY }]))))
  for (const name of names.slice(-30)) life.attempts.end(name, 'exit', { code: 3 })
  await life.quiet()

  const { chain, more } = await explained(life, { name: '', given: async () => {}, says: [] })

  const told = names.map((name) => chain.find(({ ref }) => ref === job(name))?.what)
  expect(told.slice(0, 10)).toEqual(
    names.slice(0, 10).map((name) => expect.stringMatching(`^${name} is running: attempt 1 runs`)),
  )
  expect(told.slice(10)).toEqual(names.slice(10).map((name) => expect.stringMatching(`^${name} is backoff`)))
  expect([chain.length, more]).toEqual([40, 0])
})

test('of many failures each is told of with its exit code, the first of them first', async () => {
  const life = await openLife()
  onTestFinished(() => life.host().stop())
  const names = Array.from({ length: 210 }, (_, at) => `j${at}`)
  await life.submit({ ...planOf(Object.fromEntries(names.map((name) => [name, {}]))), maxParallel: 210 })
  for (const name of names.toReversed()) life.attempts.end(name, 'exit', { code: 3 })
  await life.quiet()

  const { chain, more } = await explained(life, { name: '', given: async () => {}, says: [] })

  expect(chain.filter(({ what }) => what.includes('attempt 1 ended with exit code 3'))).toHaveLength(200)
  expect(chain.some(({ what }) => what.includes('deadline'))).toBe(false)
  expect(more).toBe(10)
})
