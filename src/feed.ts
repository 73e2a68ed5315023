/**
 * The feed: committed steps in order and without a gap. What was there before somebody came is read from the journal; what is
 * committed while they follow is handed on as it is shown, so that following reads nothing. Who falls behind reads again.
 */
import type { Projector } from './actors/projector.ts'
import { noteAddress, planAddress } from './address.ts'
import { turn } from './clock.ts'
import type { JournalReader, StepRow } from './journal/journal.ts'

/** Which steps to follow. */
export type FeedQuery = Readonly<{
  /** Starts after this position; 0 starts at the beginning. */
  after: number
  /** Only those of a plan and its jobs. */
  plan?: string
  /** Whether to go on with what is still to come. */
  follow: boolean
  signal?: AbortSignal
}>

/** The steps of a home, for whoever follows them. */
export type Feed = Readonly<{
  /** Committed steps, in order, in pages that are not empty; ends when the feed is closed or the signal is aborted. */
  pages: (query: FeedQuery) => AsyncGenerator<readonly StepRow[]>
  /**
   * Looks, and looks again after each step that `matters`, until there is an answer. Undefined when the feed is closed first.
   */
  until: <T>(
    matters: (step: StepRow) => boolean,
    look: () => Promise<T | undefined>,
  ) => Promise<T | undefined>
  /** Follows again after the projector was replaced: everybody reads from the journal what was not shown to them. */
  again: () => void
  /** How often somebody fell behind what is kept for them, and was read for from the journal. */
  fellBehind: () => number
  /** Ends what is followed. Idempotent. */
  close: () => void
}>

const PAGE = 500
/** Steps kept for one that is slow; beyond it they are read from the journal in its own time. */
const TAIL_MAX = 8_192

/** Whether a step is of this plan: its own, one of its jobs', or a note about one of them. */
const isOf = (plan: string): ((step: StepRow) => boolean) => {
  const own = new Set<string>([planAddress(plan), noteAddress(plan, null)])
  const [jobs, notes] = [`job:${plan}/`, `note:${plan}/`]
  return ({ address }) => own.has(address) || address.startsWith(jobs) || address.startsWith(notes)
}

/** The feed of a journal and of what is shown of it from now on. */
export const feed = (journal: Pick<JournalReader, 'steps'>, shown: Projector): Feed => {
  const tails = new Set<Readonly<{ wake: () => void; again: () => void }>>()
  let closed = false
  let fallen = 0

  /** What is shown from now on and matters, until it is taken. */
  const tailOf = (matters: (step: StepRow) => boolean) => {
    let held: StepRow[] = []
    let overflowed = false
    let rouse = (): void => {}
    const lose = (): void => {
      overflowed = true
      held = []
    }
    const listen = (): (() => void) =>
      shown.listen((steps) => {
        if (overflowed) return
        for (const step of steps) if (matters(step)) held.push(step)
        if (held.length > TAIL_MAX) {
          fallen += 1
          lose()
        }
        if (overflowed || held.length > 0) rouse()
      })
    let unlisten = listen()
    const wake = (): void => rouse()
    const tail = {
      wake,
      again: (): void => {
        unlisten = listen()
        lose()
        rouse()
      },
    }
    tails.add(tail)
    return {
      /** Null when there were too many to keep; what comes after this call is kept again. */
      take: (): readonly StepRow[] | null => {
        const taken = overflowed ? null : held
        held = []
        overflowed = false
        return taken
      },
      /** Resolves when there is something to take, or when it is over. */
      wait: (over: () => boolean): Promise<void> =>
        new Promise((resolve) => {
          rouse = resolve
          if (overflowed || held.length > 0 || over()) resolve()
        }),
      wake,
      end: (): void => {
        unlisten()
        tails.delete(tail)
      },
    }
  }

  async function* pages({ after, plan, follow, signal }: FeedQuery): AsyncGenerator<readonly StepRow[]> {
    const tail = tailOf(plan === undefined ? () => true : isOf(plan))
    const over = (): boolean => closed || signal?.aborted === true
    signal?.addEventListener('abort', tail.wake)
    let position = after
    let behind = true
    try {
      while (!over()) {
        if (behind) {
          const query = { after: position, limit: PAGE, ...(plan === undefined ? {} : { plan }) }
          const page = await journal.steps(query)
          behind = page.length === PAGE
          position = page.at(-1)?.position ?? position
          if (page.length > 0) yield page
          if (behind) await turn()
          continue
        }
        if (!follow) return
        await tail.wait(over)
        const taken = tail.take()
        if (taken === null) {
          behind = true
          continue
        }
        // The end of the last page may have been shown while it was being read.
        const from = position
        const news = taken.filter((step) => step.position > from)
        position = news.at(-1)?.position ?? position
        if (news.length > 0 && !over()) yield news
      }
    } finally {
      tail.end()
      signal?.removeEventListener('abort', tail.wake)
    }
  }

  return {
    pages,
    until: async (matters, look) => {
      const tail = tailOf(matters)
      try {
        while (!closed) {
          const found = await look()
          if (found !== undefined) return found
          await tail.wait(() => closed)
          tail.take()
        }
        return undefined
      } finally {
        tail.end()
      }
    },
    again: () => {
      for (const { again } of tails) again()
    },
    fellBehind: () => fallen,
    close: () => {
      closed = true
      for (const { wake } of tails) wake()
    },
  }
}
