/**
 * The outage of a store: since when commits fail, how often one was tried, and when the next try comes.
 *
 * One failure is no outage: the commit is made again at once, and when that works nobody needs to hear of it. From the second failure
 * in a row until a commit works, whoever could ask again is refused with the error, and the rest waits.
 */
import type { Clock } from '../clock.ts'
import type { TenutoError } from '../errors.ts'

/** Whether commits can be made, and since when not. Times are epoch milliseconds. */
export type StorageState = Readonly<
  | { status: 'ok' }
  | {
      status: 'unavailable'
      since: number
      error: TenutoError
      /** How often a commit was tried since. */
      tries: number
      nextTryAt: number
    }
>

/** What an outage needs from outside. */
export type OutagePorts = Readonly<{
  clock: Clock
  log: Readonly<Record<'info' | 'warn', (fields: object, message: string) => void>>
  /** Called when the next try is due. */
  retry: () => void
  /** Told when an outage begins, and when it is over. */
  changed: (state: StorageState) => void
}>

/** The outage of one store, or none. */
export type Outage = Readonly<{
  /** A commit has failed: the next try comes later, at least every 5 seconds. */
  failed: (error: TenutoError) => void
  /** A commit was made. */
  worked: () => void
  /** Whether the last commit failed. */
  isOn: () => boolean
  /** Whether the time of the next try is still to come. */
  isWaiting: () => boolean
  /** What is answered to whoever can ask again; undefined while that is not needed. */
  refusal: () => TenutoError | undefined
  state: () => StorageState
  /** Tries no more. Idempotent. */
  stop: () => void
}>

const RETRY_MS = { least: 50, most: 5_000 } as const
/** So many failures in a row are an outage. */
const FAILURES = 2

/** A store of which nothing bad is known. */
export const outage = ({ clock, log, retry, changed }: OutagePorts): Outage => {
  let trouble: { since: number; error: TenutoError; tries: number; nextTryAt: number } | undefined
  let cancel: (() => void) | undefined
  const declared = (): typeof trouble =>
    trouble !== undefined && trouble.tries >= FAILURES ? trouble : undefined
  const state = (): StorageState => {
    const known = declared()
    return known === undefined ? { status: 'ok' } : { status: 'unavailable', ...known }
  }
  const stop = (): void => {
    cancel?.()
    cancel = undefined
  }
  return {
    failed: (error) => {
      const tries = (trouble?.tries ?? 0) + 1
      const ms = Math.min(RETRY_MS.most, RETRY_MS.least * 2 ** Math.max(0, tries - FAILURES))
      trouble = { since: trouble?.since ?? clock.now(), error, tries, nextTryAt: clock.now() + ms }
      stop()
      cancel = clock.setTimeout(() => {
        cancel = undefined
        retry()
      }, ms)
      if (tries !== FAILURES) return
      log.warn({ error: error.message }, 'the store cannot be written; nothing is acknowledged until it can')
      changed(state())
    },
    worked: () => {
      if (trouble === undefined) return
      const { since, error, tries } = trouble
      const was = declared()
      trouble = undefined
      stop()
      if (was === undefined)
        return log.info({ error: error.message }, 'a commit failed once, and was made again')
      log.info({ tries, ms: clock.now() - since }, 'the store can be written again')
      changed(state())
    },
    isOn: () => trouble !== undefined,
    isWaiting: () => cancel !== undefined,
    refusal: () => declared()?.error,
    state,
    stop,
  }
}
