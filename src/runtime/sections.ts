/**
 * Sections: parts of an answer that fail alone. Each is looked at when it is asked for, within its own time; one that throws, or that
 * does not answer, is told with what was last known of it and for how long that has been so, and nobody waits for it.
 */
import type { Clock } from '../clock.ts'
import { isTenutoError, TenutoError } from '../errors.ts'
import { wordsOf } from '../thrown.ts'
import { iso, type SectionShape } from '../views/shapes.ts'

/** What a look has found: its data, and how it is where that is not simply `ok`. */
export type Found<Data> = Readonly<{ data: Data }> & Partial<Omit<SectionShape<Data>, 'data'>>

/** Looks at something. May throw, reject, or never answer. */
export type Look<Data> = () => Found<Data> | Promise<Found<Data>>

/** A section. */
export type Section<Data> = Readonly<{
  /** How it is; at most `WAIT_MS` after it was asked. Never rejects. */
  read: () => Promise<SectionShape<Data | null>>
}>

/** An answer waits no longer for a section. */
const WAIT_MS = 50
/** One that has not answered for so long is not available; before, it is behind. */
const LATE_MS = 1_000
/** What has not answered for so long is asked anew. */
const GIVEN_UP_MS = 10_000
/** A look that takes longer, and did so three times in a row, rests: it is taken anew after so many times what it took. */
const DEAR_MS = 5
const REST = 20
const REST_MS_MAX = 10_000

/** A section that is looked at on this clock. */
export const section = <Data>(
  name: string,
  look: Look<Data>,
  clock: Pick<Clock, 'now' | 'monotonic' | 'setTimeout'>,
): Section<Data> => {
  let known: Readonly<{ found: Found<Data>; at: number; wall: number }> | null = null
  let failure: unknown
  let asking: Readonly<{ since: number; done: Promise<void> }> | null = null
  let restsUntil = Number.NEGATIVE_INFINITY
  /** What the latest looks took. One of them may have waited for something else. */
  let costs: readonly number[] = []

  const ask = (): void => {
    const since = clock.monotonic()
    const mine = { since, done: Promise.resolve() }
    const answered = (settle: () => void): void => {
      // What was given up may still answer.
      if (asking?.since !== since) return
      asking = null
      settle()
      costs = [...costs.slice(-2), clock.monotonic() - since]
      const cost = costs.length < 3 ? 0 : Math.min(...costs)
      restsUntil =
        cost < DEAR_MS ? Number.NEGATIVE_INFINITY : clock.monotonic() + Math.min(REST_MS_MAX, REST * cost)
    }
    mine.done = (async () => look())().then(
      (found) =>
        answered(() => {
          known = { found, at: clock.monotonic(), wall: clock.now() }
          failure = undefined
        }),
      (error: unknown) =>
        answered(() => {
          failure = error ?? new Error('it failed')
        }),
    )
    asking = mine
  }
  const waited = (): number => (asking === null ? 0 : clock.monotonic() - asking.since)
  const errorOf = (why: unknown): SectionShape<Data>['error'] => {
    const known = isTenutoError(why)
      ? why
      : new TenutoError('SECTION_UNAVAILABLE', { section: name, why: wordsOf(why) })
    return { code: known.code, message: known.message, hint: known.hint }
  }
  const shape = (): SectionShape<Data | null> => {
    const age = known === null ? null : clock.monotonic() - known.at
    const stuckMs = waited()
    const isStuck = stuckMs >= WAIT_MS
    const trouble = isStuck ? `it has not answered for ${Math.round(stuckMs)} ms` : failure
    const last = {
      as_of: known === null ? null : known.found.as_of === undefined ? iso(known.wall) : known.found.as_of,
      age_ms:
        age === null || known?.found.age_ms === null ? null : Math.round((known?.found.age_ms ?? 0) + age),
      data: known === null ? null : known.found.data,
    }
    if (trouble === undefined)
      return { status: known?.found.status ?? 'ok', error: known?.found.error ?? null, ...last }
    const isBehind = isStuck && stuckMs < LATE_MS && known !== null && failure === undefined
    return { status: isBehind ? 'stale' : 'unavailable', error: errorOf(trouble), ...last }
  }

  return {
    read: async () => {
      if (waited() >= GIVEN_UP_MS) asking = null
      const isDue = asking === null && (known === null || clock.monotonic() >= restsUntil)
      if (isDue) ask()
      // One that blocks has answered when it comes to waiting, however long it took.
      if (asking !== null && (isDue || waited() < WAIT_MS)) {
        const { done } = asking
        let cancel = (): void => {}
        const late = new Promise<void>((resolve) => {
          cancel = clock.setTimeout(resolve, WAIT_MS)
        })
        await Promise.race([done, late])
        cancel()
      }
      return shape()
    },
  }
}
