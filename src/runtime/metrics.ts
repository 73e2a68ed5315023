/**
 * The numbers of a runtime: what has happened, counted from the journal when somebody first asks and from there on, and how it is now.
 */
import type { Clock } from '../clock.ts'
import type { Journal, JournalReader } from '../journal/journal.ts'
import {
  addSeconds,
  countSteps,
  emptyHistory,
  emptySpread,
  type History,
  type Spread,
} from '../views/history.ts'
import type { StateShape } from '../views/state.ts'
import type { LoopLag } from './loop-lag.ts'

/** All numbers. */
export type Metrics = Readonly<{
  /** Null while it cannot be read, or is still being counted. */
  history: History | null
  state: StateShape
  /** Of this holder. */
  commitSeconds: Spread
  lag: ReturnType<LoopLag['total']>
  /** How often somebody who follows events fell behind what is kept for them, and was read for from the journal. */
  fellBehind: number
}>

const PAGE = 1_000
/** Who asks for numbers waits no longer for what is being counted. */
const WAIT_MS = 5_000

/** Counts the steps of a journal, from the first to the last, whenever it is asked. */
export const counting = (
  journal: Pick<JournalReader, 'steps'>,
  clock: Pick<Clock, 'setTimeout' | 'soon'>,
): (() => Promise<History | null>) => {
  const history = emptyHistory()
  let going: Promise<boolean> | null = null

  const advance = async (): Promise<boolean> => {
    for (;;) {
      const page = await journal.steps({ after: history.position, limit: PAGE })
      countSteps(history, page)
      if (page.length < PAGE) return true
      // The rest of the holder has its turn.
      await new Promise<void>((resolve) => clock.soon(resolve))
    }
  }
  return async () => {
    going ??= advance()
      .catch(() => false)
      .finally(() => {
        going = null
      })
    let cancel = (): void => {}
    const late = new Promise<boolean>((resolve) => {
      cancel = clock.setTimeout(() => resolve(false), WAIT_MS)
    })
    const isWhole = await Promise.race([going, late])
    cancel()
    return isWhole ? history : null
  }
}

const COMMIT_SECONDS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1, 5]

/** A journal of which each commit is timed, also one that fails. */
export const timedJournal = (
  journal: Journal,
  clock: Pick<Clock, 'monotonic'>,
): Readonly<{ journal: Journal; seconds: Spread }> => {
  const seconds = emptySpread(COMMIT_SECONDS)
  const commit: Journal['commit'] = async (batch) => {
    const began = clock.monotonic()
    try {
      await journal.commit(batch)
    } finally {
      addSeconds(seconds, (clock.monotonic() - began) / 1_000)
    }
  }
  return {
    journal: new Proxy(journal, { get: (of, key) => (key === 'commit' ? commit : Reflect.get(of, key)) }),
    seconds,
  }
}
