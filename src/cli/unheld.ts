/**
 * What a home holds that nobody drives: plans that have not ended, and attempts of theirs that still run.
 */
import { existsSync } from 'node:fs'
import { lookAtHolder } from '../audit/holder.ts'
import { readJournalFile } from '../audit/journal-file.ts'
import { TenutoError } from '../errors.ts'
import { parentOf } from '../holder.ts'
import { homePaths } from '../home.ts'
import { standingOf } from '../home-folder.ts'
import { homePlace } from '../home-place.ts'
import { UNSETTLED } from '../states.ts'
import { type Catalog, liveAttempts, readIn } from './home.ts'
import { hasGone } from './lasting.ts'
import type { Screen } from './screen.ts'
import { counted } from './words.ts'

/** Of these nothing is said while none of their attempts runs: they wait for a person, and their state says so. */
const WAITING = new Set(['paused', 'quarantined'])
const PAGE = 200
const NAMED = 3

/** The plans that have not ended, oldest first. */
export const unsettled = async (
  of: Pick<Catalog, 'plans'>,
): Promise<readonly Readonly<{ id: string; state: string }>[]> => {
  const found: Readonly<{ id: string; state: string }>[] = []
  for (let before: string | undefined; ; ) {
    const page = await of.plans({
      states: UNSETTLED,
      limit: PAGE,
      ...(before === undefined ? {} : { before }),
    })
    found.unshift(...page.toReversed())
    before = page.at(-1)?.id
    if (page.length < PAGE) return found
  }
}

/** The first few of some things by name, the others by number; `all` is how many there are, where not each is given. */
export const named = (ids: readonly string[], all = ids.length): string => {
  const shown = ids.slice(0, NAMED)
  return `${shown.join(', ')}${all > shown.length ? ` and ${all - shown.length} more` : ''}`
}

/** How many attempts run, in words. */
export const running = (attempts: number): string =>
  attempts === 0
    ? 'no attempt runs'
    : `${counted(attempts, 'attempt')} still ${attempts === 1 ? 'runs' : 'run'}`

/** How many attempts of this home live, of these plans; looked up among the processes of this machine. */
export const attemptsAlive = async (home: string, plans: readonly string[]): Promise<number> => {
  const homeId = readJournalFile(homePaths(home).journal, ({ head }) => head.homeId)
  // What bears the mark of a copy is the first's.
  if (homeId === undefined || standingOf(home).how !== 'own') return 0
  return (await liveAttempts(home, homeId)).filter(({ plan }) => plans.includes(plan)).length
}

/**
 * Does what needs a holder to follow. That there is none any more is said with what goes on with plans that have not ended, where there are
 * some; of a home that has gone, with where it is now.
 * @throws {TenutoError} `UNHELD`, `HOME_GONE` in the place of `NO_DAEMON`.
 */
export const followingHolder = async <T>(home: string, act: () => Promise<T>): Promise<T> => {
  const place = existsSync(home) ? homePlace(home) : undefined
  try {
    return await act()
  } catch (error) {
    const gone = place?.look()
    if (gone) throw new TenutoError('HOME_GONE', { home, why: gone.why }, error)
    throw hasGone(error) ? await unheld(home, error) : error
  } finally {
    place?.close()
  }
}

const unheld = async (home: string, error: unknown): Promise<unknown> => {
  const open = await readIn(home, unsettled).catch(() => [])
  // One that holds it again by now, or is about to, is no longer gone.
  if (open.length === 0 || lookAtHolder(home).held || parentOf(home) !== undefined) return error
  const ids = open.map(({ id }) => id)
  const plans = `${counted(ids.length, 'plan')} of it (${named(ids)}) ${ids.length === 1 ? 'has' : 'have'}`
  return new TenutoError('UNHELD', { home, plans }, error)
}

/** Says in one line that plans of this home have not ended and nobody drives them; nothing where that is not so. */
export const tellOfUnheld = async (
  home: string,
  catalog: Pick<Catalog, 'plans'>,
  on: Pick<Screen, 'talk'>,
  homeFlag: string,
): Promise<void> => {
  const open = await unsettled(catalog)
  if (open.length === 0 || lookAtHolder(home).held) return
  const ids = open.map(({ id }) => id)
  const alive = await attemptsAlive(home, ids)
  if (alive === 0 && open.every(({ state }) => WAITING.has(state))) return
  const parent = parentOf(home)
  if (parent !== undefined) {
    on.talk(
      `the daemon of this home died; pid ${parent.pid} starts it again, and ${counted(ids.length, 'plan')} with it`,
    )
    return
  }
  const which = ids.length === 1 ? ids[0] : 'PLAN'
  on.talk(
    `nobody drives this home: ${counted(ids.length, 'plan')} of it ${ids.length === 1 ? 'has' : 'have'} not ended (${named(ids)}), ${running(alive)}, nothing new starts.  go on: tenuto resume${homeFlag}  stop: tenuto cancel ${which}${homeFlag}`,
  )
}
