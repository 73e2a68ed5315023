/**
 * A path that names what the route does not take: the name of a plan, or a ref of the command line. What is called so is said, and where
 * to ask.
 */
import type { FastifyRequest } from 'fastify'
import type { Catalog, Target } from '../catalog.ts'
import { isTenutoError, TenutoError } from '../errors.ts'
import { operationOf } from './operations.ts'

/** The error for a request whose plan or job is not found: another where something is called so all the same. */
export const misplacedOr = async (
  known: TenutoError,
  request: FastifyRequest,
  { resolve }: Pick<Catalog, 'resolve'>,
): Promise<TenutoError> => {
  const { plan, job } = request.params as Readonly<{ plan?: string; job?: string }>
  const { url } = request.routeOptions
  if (known.code !== 'REF_NOT_FOUND' || plan === undefined || url === undefined) return known
  const refs = job === undefined ? [plan] : [`${plan}/${job}`, ...(job.includes('/') ? [job] : []), plan]
  for (const ref of refs) {
    const target = await found(resolve, ref)
    if (target === undefined) continue
    // It is where it belongs; something else of the path is not there.
    const isInPlace =
      target.plan === plan && target.attempt === null && [undefined, target.job ?? undefined].includes(job)
    if (isInPlace || (target.job === null && target.plan === plan)) continue
    const wanted = url.includes(':job') ? 'the id of a plan and the name of a job' : 'the id of a plan'
    return new TenutoError('REF_MISPLACED', {
      ref,
      what: inWords(target),
      wanted,
      ...whereFor(request.method, url, target),
    })
  }
  return known
}

const found = async (resolve: Catalog['resolve'], ref: string): Promise<Target | undefined> => {
  try {
    return await resolve(ref)
  } catch (error) {
    if (isTenutoError(error)) return undefined
    throw error
  }
}

const inWords = ({ plan, job, attempt }: Target): string => {
  if (job === null) return `plan ${plan}`
  const ofPlan = `job ${job} of plan ${plan}`
  return attempt === null ? ofPlan : `attempt ${attempt} of ${ofPlan}`
}

/** The route for what was meant: that of the job, where one was named and it has one; nothing is suggested to do more than was asked. */
const whereFor = (
  method: string,
  url: string,
  { plan, job, attempt }: Target,
): Readonly<{ kind: string; route: string }> => {
  const ofJob = url.includes(':job') ? url : url.replace(':plan', ':plan/jobs/:job')
  const isOfJob = url.includes(':job') || (job !== null && operationOf(method, ofJob) !== undefined)
  const path = (isOfJob ? ofJob : url)
    .replace(':plan', encodeURIComponent(plan))
    .replace(':job', job === null ? 'JOB' : encodeURIComponent(job))
    .replace(':n', String(attempt ?? 'N'))
  return { kind: isOfJob ? 'job' : 'plan', route: `${method} ${path}` }
}
