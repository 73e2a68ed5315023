/**
 * What is said in the place of a log that is not there: nothing written and nothing left of it would look the same.
 */
import { existsSync } from 'node:fs'
import { attemptDir } from '../attempt.ts'
import { plain } from './cells.ts'
import type { Catalog } from './home.ts'
import type { Screen } from './screen.ts'

const NEVER_BEGUN: ReadonlySet<string> = new Set(['never-started', 'spawn-error'])

/** Says of an attempt that has ended and whose folder is not there that it has no log, or none any more. */
export const tellOfGoneLog = async (
  home: string,
  catalog: Pick<Catalog, 'attempts'>,
  { plan, job, attempt }: Readonly<{ plan: string; job: string; attempt: number }>,
  on: Pick<Screen, 'talk'>,
): Promise<void> => {
  if (existsSync(attemptDir(home, plan, job, attempt))) return
  const told = (await catalog.attempts(plan, job)).find(({ n }) => n === attempt)
  if (told === undefined || told.outcome === null) return
  const ref = `attempt ${attempt} of ${plan}/${plain(job)}`
  on.talk(
    NEVER_BEGUN.has(told.outcome)
      ? `${ref} never started, and has no log`
      : `the log of ${ref} is not there any more: a restore does not bring logs back, and what is old is removed`,
  )
}
