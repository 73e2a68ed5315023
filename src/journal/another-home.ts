/**
 * A journal that becomes that of another home: a copy, or a backup in a folder of its own. From then on its processes bear another mark,
 * so that none of the home it comes from is taken for its own, and none of its own for one of that.
 */
import { homeRoot } from '../attempt.ts'
import { base32, systemRandom } from '../ids.ts'
import type { Driver } from './driver.ts'

/** No boot of a machine is called so. */
const BEFORE = 'before a restore'

/** An id for the home that goes on with the history of another: its own, and of the same root. */
export const renewedHome = (home: string): string => `${homeRoot(home)}-${base32(6, systemRandom)}`

/** Files that were made since, and here, need not be there: as after a boot of the machine, their absence proves nothing. */
export const forgetBoots = (driver: Driver): void => {
  driver.prepare('UPDATE boot SET boot_id = ?').run(BEFORE)
}

/** Gives a journal to another home; the caller seals what the file says of itself. */
export const giveToHome = (driver: Driver, home: string): void => {
  driver.prepare('UPDATE meta SET home = ? WHERE id = 1').run(home)
  forgetBoots(driver)
}
