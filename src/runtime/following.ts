/**
 * The events of a runtime, for whoever follows them.
 */
import type { Alive } from '../alive.ts'
import type { Feed } from '../feed.ts'
import type { StepRow } from '../journal/journal.ts'
import { type EventShape, eventShape } from '../views/shapes.ts'
import type { EventsQuery } from './contract.ts'

/** Follows steps until the query is aborted or the runtime stops. */
export const following = (
  steps: Pick<Feed, 'pages'>,
  staying: Pick<Alive, 'until'>,
  isStopping: () => boolean,
): ((query: EventsQuery) => AsyncGenerator<EventShape>) => {
  /** Many follow the same steps. */
  const shapes = new WeakMap<StepRow, EventShape>()
  const shapeOf = (step: StepRow): EventShape => {
    const known = shapes.get(step)
    if (known) return known
    const made = eventShape(step)
    shapes.set(step, made)
    return made
  }
  return async function* follow({ after = 0, follow = true, ...query }) {
    const pages = steps.pages({ ...query, after, follow })
    try {
      for (;;) {
        const { done, value: page } = await staying.until(pages.next())
        if (done) return
        for (const step of page) {
          yield shapeOf(step)
          if (isStopping() || query.signal?.aborted) return
        }
      }
    } finally {
      await pages.return(undefined)
    }
  }
}
