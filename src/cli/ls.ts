/**
 * `tenuto ls`: the newest plans of a home, or their jobs. A list that is not whole says so.
 */
import { systemClock } from '../clock.ts'
import { TenutoError } from '../errors.ts'
import { JOB_STATES, PLAN_STATES } from '../states.ts'
import type { JobShape } from '../views/shapes.ts'
import { homeFlag, homeOf } from './home.ts'
import { document, reading, statesOf } from './read.ts'
import { jobLines, planLines } from './rows.ts'
import type { Globals, Screen } from './screen.ts'

const PLANS_SHOWN = 50

/** The flags of `ls`. */
export type LsFlags = Globals & Readonly<{ state?: string; name?: string; limit?: string }>

/** So many can be asked for at once. */
const LIMIT_MAX = 200

const chosenStates = (text: string | undefined, known: readonly string[]): readonly string[] | undefined => {
  if (text === undefined) return undefined
  const states = text.split(',')
  const wrong = states.find((state) => !known.includes(state))
  if (wrong !== undefined)
    throw new TenutoError('USAGE', {
      what: `--state ${wrong === '' ? JSON.stringify(text) : wrong}: it is one or more of ${known.join(', ')}`,
    })
  return states
}
const limitOf = (text: string | undefined): number => {
  if (text === undefined) return PLANS_SHOWN
  const limit = Number(text)
  if (!/^\d+$/.test(text) || limit < 1 || limit > LIMIT_MAX)
    throw new TenutoError('USAGE', {
      what: `--limit ${text}: it must be a whole number of 1 to ${LIMIT_MAX}`,
    })
  return limit
}

const print = (jobs: readonly JobShape[], plans: ReadonlyMap<string, string>, on: Screen): void => {
  for (const line of jobLines(jobs, on, systemClock.now(), { withPlan: true, plans })) on.answer(line)
}

/** Says that a list is not whole: to a program too, which cannot see it. */
const leftOut = (rest: string, these: string, limit: number, on: Screen): void => {
  const hint = limit < LIMIT_MAX ? `; --limit N, at most ${LIMIT_MAX}, shows more` : ''
  on.talk(`${on.json ? `${rest} are left out` : `${on.marks.cut} and ${rest}`}: these are ${these}${hint}`)
}

/** `tenuto ls [plans|jobs] [--state S] [--name N] [--limit N]`. */
export const ls = async (what: string, flags: LsFlags): Promise<number> => {
  if (what !== 'plans' && what !== 'jobs')
    throw new TenutoError('USAGE', { what: `ls lists plans or jobs, not ${what}` })
  const states = chosenStates(flags.state, what === 'plans' ? PLAN_STATES : JOB_STATES)
  const limit = limitOf(flags.limit)
  const named = flags.name === undefined ? {} : { name: flags.name }
  const isChosen = states !== undefined || flags.name !== undefined
  return reading(flags, async (catalog, on) => {
    if (what === 'jobs' && states !== undefined) {
      const found = await catalog.jobsIn({ states, limit: Math.min(limit + 1, LIMIT_MAX), ...named })
      const jobs = found.slice(0, limit)
      if (on.json) document(on, jobs)
      else {
        // Only of those that are paused it matters whether that is their plan.
        const ids = new Set(jobs.filter(({ reason }) => reason === 'paused').map(({ plan }) => plan))
        const of = await Promise.all([...ids].map((id) => catalog.plan(id)))
        print(jobs, statesOf(of), on)
      }
      // Of the most that can be asked for nobody says whether it was all.
      if (found.length > limit) leftOut('more jobs', `${limit} of the newest plans`, limit, on)
      else if (found.length === LIMIT_MAX) leftOut('perhaps more jobs', `the most at once`, limit, on)
      return 0
    }
    const found = await catalog.plans({ limit: limit + 1, ...named, ...(states ? { states } : {}) })
    const plans = found.slice(0, limit)
    if (what === 'plans') {
      if (on.json) document(on, plans)
      else if (plans.length === 0 && isChosen) on.talk(`no such plans in ${homeOf(flags)}`)
      else if (plans.length === 0)
        on.talk(`no plans in ${homeOf(flags)} yet; start one: tenuto run FILE${homeFlag(flags)}`)
      else for (const line of planLines(plans, on, systemClock.now())) on.answer(line)
      if (found.length > plans.length) leftOut('older plans', `the newest ${limit}`, limit, on)
      return 0
    }
    const jobs = (await Promise.all(plans.map(({ id }) => catalog.jobs(id)))).flat()
    if (on.json) document(on, jobs)
    else print(jobs, statesOf(plans), on)
    if (found.length > plans.length)
      leftOut('those of older plans', `the jobs of the newest ${limit}`, limit, on)
    return 0
  })
}
