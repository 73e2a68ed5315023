/**
 * Why something waits, or ended as it did: a chain of facts, from what was asked about down to what it hangs on. Pure: it is given what
 * is on record and what the holder of the home says, and finds nothing out by itself.
 */
import type { Of } from '../json-schema.ts'
import { isJobEnd } from '../states.ts'
import { ending } from './ending.ts'
import { firstFailure, hasWritten, ofEnd, ofFailures, ofWant } from './endings.ts'
import {
  cancelOf,
  type Evidence,
  type FactShape,
  fact,
  firstOf,
  isMet,
  listed,
  moment,
  ordered,
  refOf,
} from './evidence.ts'
import { afterLoss, ofLost } from './lost.ts'
import type { explanation } from './schemas.ts'
import type { JobShape } from './shapes.ts'

/** Why a plan or a job is where it is. */
export type ExplainShape = Of<typeof explanation>

/** What keeps everything of a home from going on; empty while somebody runs it and can write. */
const ofHome = ({ plan, holding }: Evidence): readonly FactShape[] => {
  const { holder, pid, storage, mode, modeReason, modeSince } = holding
  const heldBack =
    mode === 'running'
      ? []
      : [
          fact(`the home is ${mode}${modeReason === null ? '' : `: ${modeReason}`}, and nothing new starts`, {
            since: modeSince,
            change: 'somebody lets it go on',
            command: 'tenuto daemon resume',
          }),
        ]
  if (holder === 'none')
    return [
      ...heldBack,
      fact('nobody runs the plans of this home', {
        change: 'somebody takes it up',
        command: `tenuto resume ${plan.id}`,
      }),
    ]
  if (holder === 'silent')
    return [
      fact(`pid ${pid ?? '?'} holds the home and does not answer`, {
        change: 'it answers again, or ends',
        command: 'tenuto doctor',
      }),
    ]
  if (storage && storage.status !== 'ok')
    return [
      fact(`the journal cannot be written: ${storage.error?.message ?? storage.status}`, {
        since: storage.data.since,
        until: storage.data.next_try_at,
        change: 'it can be written again',
        command: 'tenuto status',
      }),
    ]
  return heldBack
}

/** What keeps the ends of attempts from being told; empty while the runner answers. */
const ofSilence = ({ holding: { runnerSilentSince } }: Evidence): readonly FactShape[] =>
  runnerSilentSince === null
    ? []
    : [
        fact('the runner, which starts and ends attempts, does not answer; it may have been stopped', {
          since: runnerSilentSince,
          change: 'it answers again, or is gone',
          command: 'tenuto doctor',
        }),
      ]

/** The jobs that keep a held job waiting and do not wait for needs themselves, in the order in which they are met. */
const rootsOf = (of: Evidence, first: JobShape): readonly JobShape[] => {
  const seen = new Set([first.name])
  const roots: JobShape[] = []
  const queue = [first]
  for (let job = queue.shift(); job; job = queue.shift()) {
    for (const [name, need] of Object.entries(job.needs)) {
      const other = of.jobs.get(name)
      if (!other || seen.has(name) || isMet(need, other.state)) continue
      seen.add(name)
      if (other.state === 'held') queue.push(other)
      else roots.push(other)
    }
  }
  return roots
}

/** What must become of needs that are open. */
const goOn = (open: readonly (readonly [string, string])[]): string => {
  const [[name, need] = ['', '']] = open
  if (open.length > 1) return 'each has ended as it must'
  return need === 'success' ? `${name} succeeds` : `${name} has ended`
}

const ofHeld = (of: Evidence, job: JobShape): readonly FactShape[] => {
  const open = Object.entries(job.needs).filter(
    ([name, need]) => !isMet(need, of.jobs.get(name)?.state ?? ''),
  )
  const direct = open.map(([name]) => name)
  const roots = rootsOf(of, job)
  const isDirect = (root: JobShape): boolean => direct.includes(root.name)
  const waits = fact(
    `it needs ${listed(open.map(([name, need]) => (need === 'success' ? name : `${name} (${need})`)))}`,
    {
      ref: refOf(of, job.name),
      since: job.since,
      change: goOn(open),
    },
  )
  if (roots.length === 0)
    return [
      fact('its needs are met; it is about to be released', { ref: refOf(of, job.name), since: job.since }),
    ]
  return [
    waits,
    ...firstOf(of, 'roots', roots).flatMap((root) => {
      const [nearest, ...rest] = ofJob(of, root)
      const lead = isDirect(root) ? root.name : `${root.name}, further up,`
      return nearest ? [{ ...nearest, what: `${lead} is ${root.state}: ${nearest.what}` }, ...rest] : []
    }),
  ]
}

const ofQueued = (of: Evidence, job: JobShape): readonly FactShape[] => {
  const ref = refOf(of, job.name)
  const { plan, jobs, maxParallel, holding } = of
  const home = ofHome(of)
  if (plan.state === 'paused' || plan.state === 'quarantined' || plan.state === 'cancelling')
    return [fact(`its plan is ${plan.state}`, { ref }), ...ofPlan(of), ...home]
  if (home.length > 0) return [fact('it waits to be started', { ref, since: job.since }), ...home]
  const holders = [...jobs.values()].filter(({ state }) => state === 'running' || state === 'stopping')
  if (holders.length >= maxParallel)
    return [
      fact(
        `${maxParallel === 1 ? 'the one slot' : `all ${maxParallel} slots`} of its plan ${maxParallel === 1 ? 'is' : 'are'} taken by ${listed(holders.map(({ name }) => name))}`,
        {
          ref,
          since: job.since,
          change: 'one of them ends',
          command: `tenuto logs ${plan.id}/${holders[0]?.name} -f`,
        },
      ),
      ...holders.slice(0, 1).flatMap((holder) => ofRunning(of, holder)),
    ]
  const taken = holding.held.reduce((sum, { slots }) => sum + slots, 0)
  if (holding.slots !== null && taken >= holding.slots)
    return [
      fact(
        `${holding.slots === 1 ? 'the one slot' : `all ${holding.slots} slots`} of the daemon ${holding.slots === 1 ? 'is' : 'are'} taken, by ${listed(holding.held.map((each) => `${each.plan} (${each.slots})`))}`,
        { ref, since: job.since, change: 'an attempt of these plans ends', command: 'tenuto ls' },
      ),
    ]
  return [fact('a slot is free; it is about to be started', { ref, since: job.since })]
}

const ofRunning = (of: Evidence, job: JobShape): readonly FactShape[] => {
  const ref = refOf(of, job.name)
  const attempt = of.attempts(job.name).at(-1)
  const process = attempt?.pid === null || attempt?.pid === undefined ? '' : ` as pid ${attempt.pid}`
  if (of.holding.holder === 'none')
    return [
      fact(`attempt ${job.attempt} ran${process} when it was last seen, and nobody watches it now`, {
        ref,
        since: attempt?.started_at ?? job.since,
        change: 'somebody takes it up, and finds out whether it still runs',
        command: `tenuto resume ${of.plan.id}`,
      }),
      ...ofHome(of),
    ]
  const { storage } = of.holding
  if (storage && storage.status !== 'ok')
    return [
      fact(`attempt ${job.attempt} ran${process} when the journal could last be written`, {
        ref,
        since: attempt?.started_at ?? job.since,
        change: 'it can be written again, and takes in an end that may have come since',
        command: `tenuto logs ${ref} -f`,
      }),
      ...ofHome(of),
    ]
  const silence = ofSilence(of)
  if (silence.length > 0)
    return [
      fact(`attempt ${job.attempt} ran${process} when the runner last answered`, {
        ref,
        since: attempt?.started_at ?? job.since,
        change: 'the runner answers again, and tells an end that may have come since',
        command: `tenuto logs ${ref} -f`,
      }),
      ...silence,
    ]
  return [
    fact(`attempt ${job.attempt} runs${process}`, {
      ref,
      since: attempt?.started_at ?? job.since,
      change: 'it ends',
      command: `tenuto logs ${ref} -f`,
    }),
  ]
}

const STOPPING: Readonly<Record<string, string>> = {
  'stop-cancel': 'it was cancelled',
  'stop-timeout': 'its attempt took longer than its timeout',
  'stop-stall': 'its attempt was silent for longer than its stall time',
  'stop-deadline': 'its deadline has passed',
  'stop-log-limit': 'its attempt wrote more than its log may hold',
}
const ofStopping = (of: Evidence, job: JobShape): readonly FactShape[] => {
  const ref = refOf(of, job.name)
  const order = cancelOf(of, job.name)
  const silence = ofSilence(of)
  const why = STOPPING[job.reason ?? ''] ?? 'it is stopped'
  return [
    fact(`${why}; its attempt is ${silence.length === 0 ? 'being ended' : 'to be ended by the runner'}`, {
      ref,
      since: job.since,
      change:
        silence.length === 0
          ? 'its processes end; after its grace they are killed'
          : 'the runner answers again, and tells how it ended',
      command: `tenuto logs ${ref} -f`,
    }),
    ...(job.reason === 'stop-cancel' && order ? [order] : []),
    ...silence,
    ...(of.holding.holder === 'none' ? ofHome(of) : []),
  ]
}

const ofBackoff = (of: Evidence, job: JobShape): readonly FactShape[] => {
  const ref = refOf(of, job.name)
  const last = of.attempts(job.name).findLast(({ outcome }) => outcome !== null)
  const want = last && ofWant(of, job.name, last)
  return [
    fact('it waits to be tried again', {
      ref,
      since: job.since,
      until: job.wake_at,
      change: 'the time comes',
      // Without its secrets it would not start now, either.
      command: of.lacking(job.name).length > 0 ? null : `tenuto now ${ref}`,
    }),
    ...(want
      ? [{ ...want, since: last.ended_at }]
      : last
        ? [
            fact(ending(last), {
              ref,
              since: last.ended_at,
              command: hasWritten(last) ? `tenuto logs ${ref}` : null,
            }),
          ]
        : []),
    ...ofHome(of),
  ]
}

const ofWaiting = (of: Evidence, job: JobShape): readonly FactShape[] => {
  const ref = refOf(of, job.name)
  const around = [...ofPaused(of), ...ofHome(of)]
  if (job.reason === 'approval' && job.wake_at !== null && Date.parse(job.wake_at) <= of.now)
    return [
      fact(
        `its time was up at ${moment(job.wake_at)}, and no answer is taken any more; it asked: ${job.prompt ?? ''}`,
        {
          ref,
          since: job.since,
          change: 'that is taken in',
          command: `tenuto resume ${of.plan.id}`,
        },
      ),
      ...around,
    ]
  if (job.reason === 'approval')
    return [
      fact(`it asks: ${job.prompt ?? ''}`, {
        ref,
        since: job.since,
        until: job.wake_at,
        change: 'somebody says yes',
        command: `tenuto approve ${ref}`,
      }),
      fact(`a no fails ${job.name}`, { ref, change: 'somebody says no', command: `tenuto reject ${ref}` }),
      ...around,
    ]
  return [...ofLost(of, job), ...around]
}

/** Why a job is where it is, the nearest reason first. */
const ofJob = (of: Evidence, job: JobShape): readonly FactShape[] => {
  const aside = of.leftAlone(job.name)
  if (aside !== undefined && !isJobEnd(job.state))
    return [
      fact(`its actor fails even at its end, and is left alone: ${aside}`, {
        ref: refOf(of, job.name),
        since: job.since,
        change: 'a program takes it up in which that is mended',
        command: 'tenuto dead',
      }),
    ]
  switch (job.state) {
    case 'held':
      return [...ofHeld(of, job), ...(of.plan.state === 'quarantined' ? ofPlan(of) : ofPaused(of))]
    case 'queued':
      return [...ofQueued(of, job), ...afterLoss(of, job)]
    case 'running':
      return [...ofRunning(of, job), ...afterLoss(of, job)]
    case 'stopping':
      return ofStopping(of, job)
    case 'backoff':
      return ofBackoff(of, job)
    case 'waiting':
      return ofWaiting(of, job)
    default:
      return ofEnd(of, job)
  }
}

/** What an open plan waits for: the jobs that are on, or the one that keeps the others. */
const ofOpen = (of: Evidence): readonly FactShape[] => {
  const first = ['running', 'stopping', 'waiting', 'backoff', 'queued', 'held']
  const open = [...of.jobs.values()]
    .filter(({ state }) => !isJobEnd(state))
    .toSorted((a, b) => first.indexOf(a.state) - first.indexOf(b.state))
  const ahead = open.filter(({ state }) => state !== 'held')
  const facts = firstOf(of, 'open', ahead.length > 0 ? ahead : open).flatMap((job) => {
    const [nearest, next] = ofJob(of, job)
    if (!nearest) return []
    const said = { ...nearest, what: `${job.name} is ${job.state}: ${nearest.what}` }
    // A question has two answers.
    return next && job.reason === 'approval' ? [said, next] : [said]
  })
  return facts
}

/** Why a plan is where it is, the nearest reason first. */
const ofPlan = (of: Evidence): readonly FactShape[] => {
  const { plan } = of
  const ref = plan.id
  switch (plan.state) {
    case 'paused': {
      const how = of.orders(null).find(({ from, to }) => to === 'paused' && from !== 'paused')
      const goes = { ref, change: 'somebody lets it go on', command: `tenuto continue ${ref}` }
      const order = how?.type === 'pause.requested' ? ordered(of, null, how.type) : undefined
      return how !== undefined && order === undefined
        ? [
            fact('a job failed, and its plan then pauses (onFailure: pause)', { ...goes, since: how.at }),
            ...firstFailure(of),
          ]
        : [{ ...(order ?? fact('it is paused')), ...goes }]
    }
    case 'cancelling': {
      const order = ordered(of, null, 'cancel.requested')
      return [{ ...(order ?? fact('it was cancelled')), ref, change: 'what runs has ended' }, ...ofOpen(of)]
    }
    case 'quarantined': {
      const why = plan.error ?? of.setAside(null)
      return [
        fact(`it is set aside${why === undefined || why === null ? '' : `: ${why}`}`, {
          ref,
          change: plan.error === null ? 'somebody lets it go on' : 'it can be loaded again',
          command: plan.error === null ? `tenuto continue ${ref}` : 'tenuto doctor --audit',
        }),
      ]
    }
    case 'failed':
      return [...firstFailure(of), ...ofFailures(of)]
    case 'cancelled': {
      const order = ordered(of, null, 'cancel.requested')
      const [{ change, command } = fact('')] = ofFailures(of)
      return [{ ...(order ?? fact('it was cancelled')), ref, change, command }]
    }
    case 'succeeded':
      return [fact('every job that counts succeeded', { ref, since: plan.ended_at })]
    default:
      return [...ofHome(of), ...ofSilence(of), ...ofOpen(of)]
  }
}

/** What else keeps a job of a paused plan that does not wait for a slot. */
const ofPaused = (of: Evidence): readonly FactShape[] =>
  of.plan.state === 'paused' ? [fact('its plan is paused', { ref: of.plan.id }), ...ofPlan(of)] : []

/** What two jobs hang on is said once. */
const once = (facts: readonly FactShape[]): readonly FactShape[] => [
  ...new Map(facts.map((each) => [JSON.stringify([each.what, each.command]), each])).values(),
]

/** Explains a plan, or one of its jobs. */
export const explain = (known: Omit<Evidence, 'leaveOut'>, job: JobShape | null): ExplainShape => {
  const leftOut = new Map<string, number>()
  const of: Evidence = { ...known, leaveOut: (kind, jobs) => void leftOut.set(kind, jobs) }
  const chain = once(job === null ? ofPlan(of) : ofJob(of, job))
  const { plan } = of
  const about =
    job === null
      ? {
          ref: plan.id,
          kind: 'plan' as const,
          state: plan.state,
          reason: plan.reason,
          since: plan.ended_at ?? plan.started_at,
        }
      : {
          ref: refOf(of, job.name),
          kind: 'job' as const,
          state: job.state,
          reason: job.reason,
          since: job.since,
        }
  return { ...about, chain, more: [...leftOut.values()].reduce((sum, jobs) => sum + jobs, 0) }
}
