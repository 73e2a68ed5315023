/**
 * How attempts, jobs and plans ended, and why: the part of an explanation that changes no more by itself.
 */
import { isRetried, type RetryPolicy } from '../definition.ts'
import { isJobEnd } from '../states.ts'
import { ending } from './ending.ts'
import {
  cancelOf,
  type Evidence,
  type FactShape,
  fact,
  firstOf,
  isMet,
  JOBS_TOLD,
  listed,
  ordered,
  refOf,
} from './evidence.ts'
import { foundLost, lostPolicy } from './lost.ts'
import type { AttemptShape, JobShape } from './shapes.ts'

/** So many needs of needs are told one by one; what is further up is named alone. */
const LINKS_TOLD = 5

/** Whether an attempt may have a log: what never started has written nothing. */
export const hasWritten = (attempt: AttemptShape | undefined): boolean =>
  attempt !== undefined && attempt.outcome !== 'never-started' && attempt.outcome !== 'spawn-error'

/** Why an attempt did not start that wanted a secret, as things are now; undefined for any other end. */
export const ofWant = (
  of: Evidence,
  job: string,
  { n, error_code: code }: AttemptShape,
): FactShape | undefined => {
  if (code !== 'SECRETS_GONE') return undefined
  const ref = refOf(of, job)
  const names = of.lacking(job)
  return names.length === 0
    ? fact(`attempt ${n} never started, for want of secrets; the home has their values now`, { ref })
    : fact(
        `attempt ${n} never started: the home has no value of ${names.length === 1 ? 'the secret' : 'the secrets'} ${names.join(', ')}`,
        {
          ref,
          change: 'the variables are set, and their values given',
          command: `tenuto secret set ${of.plan.id} ${names.join(' ')}`,
        },
      )
}

/** What an ended job needs and does not get, that which ended first before the others. */
const unmetNeeds = (of: Evidence, job: JobShape): readonly JobShape[] =>
  Object.entries(job.needs)
    .flatMap(([name, need]) => {
      const other = of.jobs.get(name)
      return other && isJobEnd(other.state) && !isMet(need, other.state) ? [other] : []
    })
    .toSorted((a, b) => a.since.localeCompare(b.since))

/** The first job that could be tried again itself, by this need of an ended one; whether that tries the ended one again, too. */
const wayTo = (
  of: Evidence,
  job: JobShape,
  need = unmetNeeds(of, job)[0],
): Readonly<{ first: JobShape; reopens: boolean }> => {
  let first = job
  let reopens = true
  for (let next = need; next !== undefined; next = unmetNeeds(of, first)[0]) {
    reopens &&= first.state === 'skipped' && first.reason === 'need-failed'
    first = next
  }
  return { first, reopens }
}

/** What tries an ended job again, as things stand; by this need of it, where it has several. */
const again = (of: Evidence, job: JobShape, need?: JobShape): Pick<FactShape, 'change' | 'command'> => {
  const { plan } = of
  if (plan.state === 'cancelling')
    return { change: 'its plan has ended, and somebody then tries it again', command: null }
  if (plan.state === 'quarantined')
    return {
      change: 'its plan is let go on, and it is tried again',
      command: plan.error === null ? `tenuto continue ${plan.id}` : 'tenuto doctor --audit',
    }
  const { first, reopens } = wayTo(of, job, need)
  const command = `tenuto retry ${refOf(of, first.name)}`
  if (first === job) return { change: 'it is tried again', command }
  return reopens
    ? { change: `${first.name} is tried again first`, command }
    : {
        change: `${first.name} is tried again, and all that comes after it`,
        command: `${command} --downstream`,
      }
}

/** Jobs that an explanation has come by, and how many needs it went up. */
type Told = Readonly<{ depth: number; jobs: Set<string> }>

/** The chain of skips from a job down to what failed first, by each of its needs that was not met. */
const ofNeedFailed = (of: Evidence, job: JobShape, { depth, jobs }: Told): readonly FactShape[] => {
  const ref = refOf(of, job.name)
  const needed = unmetNeeds(of, job)
  if (needed.length === 0)
    return [
      fact('a job that it needed did not succeed, and was tried again since', { ref, ...again(of, job) }),
    ]
  return firstOf(of, 'needed', needed).flatMap((other, at) => [
    fact(`it ${at === 0 ? '' : 'also '}needed ${other.name}, which is ${other.state}`, {
      ref,
      since: job.since,
      ...again(of, job, other),
    }),
    ...ofNeeded(of, other, { depth: depth + 1, jobs }),
  ])
}

/** How a job ended that was needed, and why; each is told of once. */
const ofNeeded = (of: Evidence, other: JobShape, { depth, jobs }: Told): readonly FactShape[] => {
  const root = depth > LINKS_TOLD ? wayTo(of, other).first : other
  if (jobs.has(root.name) || jobs.size >= JOBS_TOLD) return []
  jobs.add(root.name)
  const [nearest, ...rest] = ofEnd(of, root, { depth, jobs })
  const lead = root === other ? root.name : `${root.name}, further up,`
  return nearest ? [{ ...nearest, what: `${lead} ${root.state}: ${nearest.what}` }, ...rest] : []
}

const ofFailed = (of: Evidence, job: JobShape): readonly FactShape[] => {
  const ref = refOf(of, job.name)
  const anew = again(of, job)
  if (job.reason === 'approval-denied') {
    const order = ordered(of, job.name, 'reject.requested')
    return [
      order
        ? { ...order, ref, ...anew }
        : fact('nobody answered in time', { ref, since: job.since, ...anew }),
    ]
  }
  if (job.reason === 'fault')
    return [
      fact(`its actor failed${of.setAside(job.name) === undefined ? '' : `: ${of.setAside(job.name)}`}`, {
        ref,
        since: job.since,
        change: 'the fault is mended',
        command: 'tenuto dead',
      }),
    ]
  const all = of
    .attempts(job.name)
    .filter(({ generation, outcome }) => generation === job.generation && outcome !== null)
  const last = all.at(-1)
  const want = last && ofWant(of, job.name, last)
  if (last?.outcome === 'never-started' && job.reason !== 'deadline')
    return [
      {
        ...(want ?? fact(ending(last), { ref })),
        since: job.since,
      },
      fact(unstarted(all), { ref, ...anew }),
    ]
  if (last?.outcome === 'lost' && job.reason === 'lost') return ofLostEnd(of, job, all, anew)
  const isOver = last === undefined || job.reason === 'deadline'
  return [
    fact(isOver ? 'its deadline passed' : ending(last), {
      ref,
      since: job.since,
      // What tries it again is said with the next fact.
      ...(hasWritten(last) ? { command: `tenuto logs ${ref}` } : anew),
    }),
    fact(unspent(of.retry(job.name), all, isOver), { ref, ...anew }),
  ]
}

/** Of a job that failed because nobody saw how its attempt ended. */
const ofLostEnd = (
  of: Evidence,
  job: JobShape,
  all: readonly AttemptShape[],
  anew: Pick<FactShape, 'change' | 'command'>,
): readonly FactShape[] => {
  const [ref, retry] = [refOf(of, job.name), of.retry(job.name)]
  const [ended = fact('its attempt was lost'), ...found] = foundLost(of, job)
  return [
    fact(ended.what, {
      ref,
      since: job.since,
      command: `tenuto logs ${ref}`,
    }),
    ...found,
    fact(lostPolicy(of, job), { ref, ...anew }),
    ...(retry === undefined || retry.max === 0 ? [] : [fact(unspent(retry, all, false), { ref, ...anew })]),
  ]
}

/** Which retries a failed job has spent, and why not the others. */
const unspent = (policy: RetryPolicy | undefined, all: readonly AttemptShape[], isOver: boolean): string => {
  if (policy === undefined || policy.max === 0) return 'its plan gives it no retries'
  // What never started spends none.
  const begun = all.filter(({ outcome }) => outcome !== 'never-started')
  const spent = Math.min(policy.max, Math.max(0, begun.length - 1))
  const said = `${spent} of ${policy.max} ${policy.max === 1 ? 'retry' : 'retries'} spent`
  const last = all.at(-1)
  if (isOver || spent === policy.max || last === undefined) return said
  if (last.outcome === 'lost') return `${said}: what was lost is tried again by onLost alone`
  return isRetried(policy, last)
    ? said
    : `${said}: ${endIn(last)} is not in its retry.on (${listed(policy.on)})`
}
const endIn = ({ outcome, code }: AttemptShape): string =>
  outcome === 'exit' ? `exit:${code}` : `${outcome}`

/** What is said of a job that was given up because it never started. */
const unstarted = (all: readonly AttemptShape[]): string => {
  const tries = all.length - 1 - all.findLastIndex(({ outcome }) => outcome !== 'never-started')
  return `${tries === 1 ? 'its attempt did not start' : `none of its last ${tries} attempts started`}; that is tried again without spending a retry, but not for ever`
}

/** Why a job ended as it did, the nearest reason first. */
export const ofEnd = (
  of: Evidence,
  job: JobShape,
  told: Told = { depth: 0, jobs: new Set([job.name]) },
): readonly FactShape[] => {
  const ref = refOf(of, job.name)
  switch (job.state) {
    case 'succeeded': {
      const approved = ordered(of, job.name, 'approve.requested')
      const how = job.kind === 'approve' ? 'nobody answered in time, which approves it' : 'it succeeded'
      return [approved ? { ...approved, ref } : fact(how, { ref, since: job.since })]
    }
    case 'failed':
      return ofFailed(of, job)
    case 'cancelled': {
      const order = cancelOf(of, job.name)
      return [
        { ...(order ?? fact('it was cancelled by order', { since: job.since })), ref, ...again(of, job) },
        ...foundLost(of, job),
      ]
    }
    default: {
      if (job.reason === 'need-failed') return ofNeedFailed(of, job, told)
      if (job.reason === 'on-failure-stop')
        return [
          fact('another job failed, and its plan then starts nothing more (onFailure: stop)', {
            ref,
            since: job.since,
            ...again(of, job),
          }),
          ...firstFailure(of),
        ]
      const order = ordered(of, job.name, 'skip.requested')
      return [
        { ...(order ?? fact('it was skipped by order', { since: job.since })), ref, ...again(of, job) },
        ...foundLost(of, job),
      ]
    }
  }
}

/** The jobs that failed their plan, the first of them first, and why. */
export const firstFailure = (of: Evidence): readonly FactShape[] => {
  const bad = [...of.jobs.values()]
    .filter(({ state, optional }) => !optional && (state === 'failed' || state === 'cancelled'))
    .toSorted((a, b) => a.since.localeCompare(b.since))
  return firstOf(of, 'failed', bad).flatMap((job) => {
    const [nearest, ...rest] = ofEnd(of, job)
    return nearest ? [{ ...nearest, what: `${job.name} ${job.state}: ${nearest.what}` }, ...rest] : []
  })
}

/** What tries again whatever of an ended plan did not succeed; nothing where each of it waits for what an order has skipped. */
export const ofFailures = (of: Evidence): readonly FactShape[] => {
  const isBad = ({ state }: JobShape): boolean => state === 'failed' || state === 'cancelled'
  const canGoOn = [...of.jobs.values()].some((job) => isBad(job) && isBad(wayTo(of, job).first))
  const { id: ref } = of.plan
  const command = `tenuto retry ${ref} --failed`
  return canGoOn
    ? [
        fact('whatever of it did not succeed can be tried again', {
          ref,
          change: 'it is tried again',
          command,
        }),
      ]
    : []
}
