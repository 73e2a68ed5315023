/**
 * How attempts, jobs and plans ended, and why: the part of an explanation that changes no more by itself.
 */
import { isRetried, type RetryPolicy } from '../definition.ts'
import { isJobEnd } from '../states.ts'
import {
  cancelOf,
  type Evidence,
  type FactShape,
  fact,
  firstOf,
  isMet,
  listed,
  ordered,
  refOf,
} from './evidence.ts'
import type { AttemptShape, JobShape } from './shapes.ts'

const DEPTH_MAX = 20

const OUTCOMES: Readonly<Record<string, string>> = {
  timeout: 'took longer than its timeout',
  stall: 'was silent for longer than its stall time',
  deadline: 'ran past the deadline of the job',
  lost: 'may have had effects, and nobody saw its end',
  cancelled: 'was cancelled',
  'spawn-error': 'could not be started',
  'never-started': 'never started',
  'log-limit': 'wrote more than its log may hold',
  succeeded: 'succeeded',
}
/** How an attempt ended. */
export const ending = ({ n, outcome, code, signal, error }: AttemptShape): string => {
  const how =
    outcome === 'exit'
      ? `ended with exit code ${code ?? '?'}`
      : outcome === 'signal'
        ? `was ended by ${signal ?? 'a signal'}`
        : (OUTCOMES[outcome ?? ''] ?? 'runs')
  return `attempt ${n} ${how}${error === null ? '' : `: ${error}`}`
}

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

/** What an ended job needs and does not get: the first job before it that could be tried again itself. */
const unmetNeed = (of: Evidence, job: JobShape): JobShape | undefined => {
  for (const [name, need] of Object.entries(job.needs)) {
    const other = of.jobs.get(name)
    if (other && isJobEnd(other.state) && !isMet(need, other.state)) return unmetNeed(of, other) ?? other
  }
  return undefined
}

/** What tries an ended job again, as things stand. */
const again = (of: Evidence, job: JobShape): Pick<FactShape, 'change' | 'command'> => {
  const { plan } = of
  if (plan.state === 'cancelling')
    return { change: 'its plan has ended, and somebody then tries it again', command: null }
  if (plan.state === 'quarantined')
    return {
      change: 'its plan is let go on, and it is tried again',
      command: plan.error === null ? `tenuto continue ${plan.id}` : 'tenuto doctor --audit',
    }
  const first = unmetNeed(of, job)
  return first === undefined
    ? { change: 'it is tried again', command: `tenuto retry ${refOf(of, job.name)}` }
    : { change: `${first.name} is tried again first`, command: `tenuto retry ${refOf(of, first.name)}` }
}

/** The chain of skips from a job down to what failed first. */
const ofNeedFailed = (of: Evidence, job: JobShape, depth: number): readonly FactShape[] => {
  const found = Object.entries(job.needs).find(([name, need]) => {
    const { state = '' } = of.jobs.get(name) ?? {}
    return isJobEnd(state) && !isMet(need, state)
  })
  const other = found && of.jobs.get(found[0])
  if (!other)
    return [
      fact('a job that it needed did not succeed, and was tried again since', { ref: refOf(of, job.name) }),
    ]
  return [
    fact(`it needed ${other.name}, which is ${other.state}`, {
      ref: refOf(of, job.name),
      since: job.since,
      ...again(of, job),
    }),
    ...(depth < DEPTH_MAX ? ofEnd(of, other, depth + 1) : []),
  ]
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
  const isOver = last === undefined || job.reason === 'deadline'
  return [
    fact(isOver ? 'its deadline passed' : ending(last), {
      ref,
      since: job.since,
      ...(hasWritten(last) ? { change: 'it is tried again', command: `tenuto logs ${ref}` } : anew),
    }),
    fact(unspent(of.retry(job.name), all, isOver), { ref, ...anew }),
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
export const ofEnd = (of: Evidence, job: JobShape, depth = 0): readonly FactShape[] => {
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
      ]
    }
    default: {
      if (job.reason === 'need-failed') return ofNeedFailed(of, job, depth)
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
      return [{ ...(order ?? fact('it was skipped by order', { since: job.since })), ref, ...again(of, job) }]
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
  const canGoOn = [...of.jobs.values()].some((job) => isBad(job) && isBad(unmetNeed(of, job) ?? job))
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
