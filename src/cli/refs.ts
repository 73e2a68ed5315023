/**
 * What a ref names, and whether that is what is asked for: what is asked of the wrong kind of thing is refused in the same words, whoever
 * would be asked, and with what to write instead.
 */
import type { Command } from '../command.ts'
import { isTenutoError, TenutoError } from '../errors.ts'

type Target = Readonly<{ plan: string; job: string | null; attempt: number | null }>
type Resolves = Readonly<{ resolve: (ref: string) => Promise<Target> }>

/** What names an attempt, also one that is not there: of a question there is none. */
const ATTEMPT = /^(?<job>[^/]+\/.+)#(?<n>[1-9][0-9]*)$/

/**
 * What a ref names; of an attempt that is not there, its job with that number.
 * @throws {TenutoError} `REF_NOT_FOUND`, `REF_AMBIGUOUS`.
 */
export const targetOf = async (catalog: Resolves, ref: string): Promise<Target> => {
  try {
    return await catalog.resolve(ref)
  } catch (error) {
    const { job, n } = ATTEMPT.exec(ref)?.groups ?? {}
    if (!isTenutoError(error, 'REF_NOT_FOUND') || job === undefined) throw error
    return { ...(await catalog.resolve(job)), attempt: Number(n) }
  }
}

const OF_JOBS: ReadonlySet<Command['do']> = new Set(['skip', 'now', 'approve', 'reject'])
const OF_PLANS: ReadonlySet<Command['do']> = new Set(['pause', 'continue'])

/**
 * What an order is about.
 * @throws {TenutoError} `REF_NOT_FOUND`, `REF_AMBIGUOUS`; `USAGE` when the order is none for what the ref names.
 */
export const orderTarget = async (catalog: Resolves, asked: Command, ref: string): Promise<Target> => {
  const target = await targetOf(catalog, ref)
  const { plan, job, attempt } = target
  const isFailed = asked.do === 'retry' && asked.failed === true
  const isDownstream = asked.do === 'retry' && asked.downstream === true
  const verb = `${asked.do}${isFailed ? ' --failed' : isDownstream ? ' --downstream' : ''}`
  const takes =
    OF_PLANS.has(asked.do) || isFailed ? 'plan' : OF_JOBS.has(asked.do) || isDownstream ? 'job' : 'either'
  const refused = (is: string): TenutoError => {
    const wanted = takes === 'either' ? 'a plan or a job' : `a ${takes}`
    const named = takes === 'plan' ? plan : `${plan}/${job ?? 'JOB'}`
    const flag = verb.slice(asked.do.length)
    const what = `${verb} takes ${wanted}; ${is}: \`tenuto ${asked.do} ${named}${flag}\``
    return new TenutoError('USAGE', { what })
  }
  // An attempt never ends anew: acting on its job instead would be more than was asked.
  if (attempt !== null) throw refused(`${plan}/${job}#${attempt} names an attempt of ${plan}/${job}`)
  if (takes === 'plan' && job !== null) throw refused(`${plan}/${job} is a job`)
  if (takes === 'job' && job === null) throw refused(`${plan} is a plan`)
  return target
}
