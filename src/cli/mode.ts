/**
 * What is said beside an answer where somebody has ordered that nothing new starts in the home.
 */
import { homePaths } from '../home.ts'
import { modeInWords, readMode } from '../mode.ts'
import { plain } from './cells.ts'
import { homeFlag, homeOf } from './home.ts'
import type { Globals, Screen } from './screen.ts'

/** Says that nothing new starts, where the home is paused or drains. */
export const tellOfMode = (on: Pick<Screen, 'talk'>, flags: Globals): void => {
  const home = homeOf(flags)
  const mode = readMode(homePaths(home).mode)
  if (mode.mode === 'running') return
  on.talk(
    `${home} is ${plain(modeInWords(mode))}; nothing starts before: tenuto daemon resume${homeFlag(flags)}`,
  )
}
