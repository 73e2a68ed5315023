/**
 * What is said in the place of a log that is not there: nothing written and nothing left of it would look the same.
 */
import { existsSync } from 'node:fs'
import { attemptDir } from '../attempt.ts'
import { plain } from './cells.ts'
import type { Catalog } from './home.ts'
import type { Screen } from './screen.ts'

/** An attempt whose log is asked for. */
type Asked = Readonly<{ plan: string; job: string; attempt: number }>

const NEVER_BEGUN: ReadonlySet<string> = new Set(['never-started', 'spawn-error'])

/** Says of attempts that never started that they have no log, and why; of others that have ended, that it is not there any more. */
export const tellOfGoneLogs = async (
  home: string,
  catalog: Pick<Catalog, 'attempts' | 'job'>,
  asked: readonly Asked[],
  on: Pick<Screen, 'talk'>,
): Promise<void> => {
  const said: Readonly<Record<Missing['is'], string[]>> = { unstarted: [], gone: [] }
  for (const each of asked) {
    const missing = await missingOf(home, catalog, each)
    if (missing !== undefined) said[missing.is].push(missing.words)
  }
  const [plan, { unstarted, gone }] = [asked[0]?.plan, said]
  if (unstarted.length > 1)
    on.talk(`${unstarted.length} attempts of ${plan} never started, and have no logs; explain says why`)
  else for (const words of unstarted) on.talk(words)
  if (gone.length > 1) on.talk(`${gone.length} logs of ${plan} are not there${WHY}`)
  else for (const words of gone) on.talk(words)
}

type Missing = Readonly<{ is: 'unstarted' | 'gone'; words: string }>

const WHY = ' any more: a restore does not bring logs back, and what is old is removed'

const missingOf = async (
  home: string,
  catalog: Pick<Catalog, 'attempts' | 'job'>,
  { plan, job, attempt }: Asked,
): Promise<Missing | undefined> => {
  const told = (await catalog.attempts(plan, job)).find(({ n }) => n === attempt)
  if (told === undefined || told.outcome === null) return undefined
  const ref = `attempt ${attempt} of ${plan}/${plain(job)}`
  if (NEVER_BEGUN.has(told.outcome)) {
    const why = told.error === null ? '' : `: ${plain(told.error)}`
    return { is: 'unstarted', words: `${ref} never started, and has no log${why}` }
  }
  if (existsSync(attemptDir(home, plan, job, attempt))) return undefined
  // A handler is called in the process of its holder: it never had one.
  if ((await catalog.job(plan, job)).kind === 'call') return undefined
  return { is: 'gone', words: `the log of ${ref} is not there${WHY}` }
}
