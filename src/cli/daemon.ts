/**
 * `tenuto daemon`: orders of a person to a home and whoever serves it, which outlive both.
 */
import { TenutoError } from '../errors.ts'
import { MODE_ORDERS, type ModeOrder, modeInWords } from '../mode.ts'
import { plain } from './cells.ts'
import { homeFlag, homeOf, orderMode } from './home.ts'
import { type Globals, screen } from './screen.ts'

const isOrder = (word: string): word is ModeOrder => (MODE_ORDERS as readonly string[]).includes(word)

/** What is so afterwards. */
const DONE: Readonly<Record<ModeOrder, string>> = {
  pause: 'nothing new starts; what runs goes on',
  resume: 'what waits may start',
  drain: 'nothing new starts, and no plan is taken in; what runs goes on',
}

/** Orders a mode of the home; answers the exit code. */
export const daemon = async (
  what: string,
  flags: Globals & Readonly<{ reason?: string }>,
): Promise<number> => {
  const on = screen(flags)
  if (!isOrder(what))
    throw new TenutoError('USAGE', { what: `daemon takes ${MODE_ORDERS.join(', ')}; not ${what}` })
  const home = homeOf(flags)
  const { held, ...receipt } = await orderMode(home, what, flags.reason)
  if (on.json) {
    on.answer(JSON.stringify({ home, ...receipt }))
    return 0
  }
  on.tell(
    receipt.changed
      ? `${home} is ${plain(modeInWords(receipt))}`
      : `${home} is ${plain(modeInWords(receipt))}, as it was already`,
  )
  const then = what === 'resume' ? '' : `  go on: tenuto daemon resume${homeFlag(flags)}`
  on.talk(held ? `${DONE[what]}.${then}` : `nobody serves it; so it will be from the next start on.${then}`)
  return 0
}
