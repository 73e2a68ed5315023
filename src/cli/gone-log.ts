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

/** Says of attempts that have ended and whose folders are not there that they have no log, or none any more. */
export const tellOfGoneLogs = async (
  home: string,
  catalog: Pick<Catalog, 'attempts' | 'job'>,
  asked: readonly Asked[],
  on: Pick<Screen, 'talk'>,
): Promise<void> => {
  const said: string[] = []
  for (const each of asked) {
    const words = await wordsOf(home, catalog, each)
    if (words !== undefined) said.push(words)
  }
  if (said.length > 1) on.talk(`${said.length} logs of ${asked[0]?.plan} are not there${WHY}`)
  else for (const words of said) on.talk(words)
}

const WHY = ' any more: a restore does not bring logs back, and what is old is removed'

const wordsOf = async (
  home: string,
  catalog: Pick<Catalog, 'attempts' | 'job'>,
  { plan, job, attempt }: Asked,
): Promise<string | undefined> => {
  if (existsSync(attemptDir(home, plan, job, attempt))) return undefined
  const told = (await catalog.attempts(plan, job)).find(({ n }) => n === attempt)
  if (told === undefined || told.outcome === null) return undefined
  // A handler is called in the process of its holder: it never had one.
  if ((await catalog.job(plan, job)).kind === 'call') return undefined
  const ref = `attempt ${attempt} of ${plan}/${plain(job)}`
  return NEVER_BEGUN.has(told.outcome)
    ? `${ref} never started, and has no log`
    : `the log of ${ref} is not there${WHY}`
}
