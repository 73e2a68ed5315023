/**
 * What lives in the home that is held, kept up by the steps that are shown. What was not shown, because whoever shows them was replaced,
 * is read from the journal.
 */
import type { Projector } from '../actors/projector.ts'
import type { Journal } from '../journal/journal.ts'
import { LIVE_STATES, type Live, liveOf, takeSteps } from '../views/live.ts'

/** The view of what lives. */
export type Living = Readonly<{
  /** What lives as of its position. */
  now: () => Live
  /** Why it is behind the journal; undefined when it is not. */
  trouble: () => unknown
  /** Listens again after the projector was replaced. */
  again: () => void
}>

const PAGE = 500

/** Begins with the rows of a journal in which nothing has been committed since it was opened. */
export const living = async (
  journal: Pick<Journal, 'opening' | 'jobsIn' | 'steps'>,
  shown: Pick<Projector, 'listen'>,
): Promise<Living> => {
  const live = liveOf(journal.opening.position, await journal.jobsIn({ states: LIVE_STATES }))
  let catching = false
  let missed = false
  let trouble: unknown

  const catchUp = async (): Promise<void> => {
    catching = true
    try {
      for (let isLast = false; !isLast; ) {
        missed = false
        const page = await journal.steps({ after: live.position, limit: PAGE })
        takeSteps(live, page)
        isLast = page.length < PAGE && !missed
      }
      trouble = undefined
    } catch (error) {
      // The next step that is shown is a reason to try again.
      trouble = error
    } finally {
      catching = false
    }
  }
  const listen = (): (() => void) =>
    shown.listen((steps) => {
      if (catching) missed = true
      else if (steps[0]?.position === live.position + 1) takeSteps(live, steps)
      else if (steps.length > 0) void catchUp()
    })
  let unlisten = listen()

  return {
    now: () => live,
    trouble: () => trouble,
    again: () => {
      unlisten()
      unlisten = listen()
      if (catching) missed = true
      else void catchUp()
    },
  }
}
