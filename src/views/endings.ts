/**
 * How attempts, jobs and plans ended, and why: the part of an explanation that changes no more by itself.
 */
import { isJobEnd } from '../states.ts'
import { cancelOf, type Evidence, type FactShape, fact, isMet, ordered, refOf, SHOWN } from './evidence.ts'
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

/** What an attempt is said with that did not start because a secret had no value. */
const WANTS_SECRETS = '`tenuto secret set '
/** Why an attempt did not start that wanted a secret, as things are now; undefined for any other end. */
export const ofWant = (
  of: Evidence,
  job: string,
  { n, outcome, error }: AttemptShape,
): FactShape | undefined => {
  if (outcome !== 'never-started' || error === null || !error.includes(WANTS_SECRETS)) return undefined
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
      command: `tenuto retry ${refOf(of, other.name)}`,
      change: `${other.name} is tried again and succeeds`,
    }),
    ...(depth < DEPTH_MAX ? ofEnd(of, other, depth + 1) : []),
  ]
}

const ofFailed = (of: Evidence, job: JobShape): readonly FactShape[] => {
  const ref = refOf(of, job.name)
  const again = { change: 'it is tried again', command: `tenuto retry ${ref}` }
  if (job.reason === 'approval-denied') {
    const order = ordered(of, job.name, 'reject.requested')
    return [
      order
        ? { ...order, ref, ...again }
        : fact('nobody answered in time', { ref, since: job.since, ...again }),
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
      fact(unstarted(all), { ref, ...again }),
    ]
  // What never started spends none.
  const begun = all.filter(({ outcome }) => outcome !== 'never-started')
  const spent = Math.min(of.retries(job.name), Math.max(0, begun.length - 1))
  return [
    fact(last && job.reason !== 'deadline' ? ending(last) : 'its deadline passed', {
      ref,
      since: job.since,
      change: 'it is tried again',
      command: `tenuto logs ${ref}`,
    }),
    fact(
      of.retries(job.name) === 0
        ? 'its plan gives it no retries'
        : `${spent} of ${of.retries(job.name)} ${of.retries(job.name) === 1 ? 'retry' : 'retries'} spent`,
      { ref, command: `tenuto retry ${ref}` },
    ),
  ]
}

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
      return [order ? { ...order, ref } : fact('it was cancelled by order', { ref, since: job.since })]
    }
    default: {
      if (job.reason === 'need-failed') return ofNeedFailed(of, job, depth)
      if (job.reason === 'on-failure-stop')
        return [
          fact('another job failed, and its plan then starts nothing more (onFailure: stop)', {
            ref,
            since: job.since,
          }),
          ...firstFailure(of),
        ]
      const order = ordered(of, job.name, 'skip.requested')
      return [order ? { ...order, ref } : fact('it was skipped by order', { ref, since: job.since })]
    }
  }
}

/** The first job that failed its plan, and why. */
export const firstFailure = (of: Evidence): readonly FactShape[] => {
  const bad = [...of.jobs.values()]
    .filter(({ state, optional }) => !optional && (state === 'failed' || state === 'cancelled'))
    .toSorted((a, b) => a.since.localeCompare(b.since))
  return bad.slice(0, SHOWN).flatMap((job) => {
    const [nearest, ...rest] = ofEnd(of, job)
    return nearest ? [{ ...nearest, what: `${job.name} ${job.state}: ${nearest.what}` }, ...rest] : []
  })
}
