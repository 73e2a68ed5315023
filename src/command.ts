/**
 * Commands: what an operator may ask of a plan or a job, the message that asks it, and what is said where it cannot be.
 */
import { type Address, jobAddress, planAddress } from './address.ts'
import { TenutoError } from './errors.ts'
import { about, flag, named, type Of, object, whole } from './json-schema.ts'
import { isJobEnd } from './states.ts'

/** Who asked for something, and why; kept with the step. */
export type CommandOptions = Readonly<{
  by?: string
  why?: string
  /** Whether it waits for a store that is away, in its turn, instead of being refused: nobody is there to ask again. */
  waits?: boolean
}>

/** Who asked for something, and why. */
export type Asker = Pick<CommandOptions, 'by' | 'why'>

/** What an operator may ask of a plan or a job. */
export type Command =
  | Readonly<{ do: 'cancel'; now?: boolean }>
  | Readonly<{ do: 'pause' }>
  | Readonly<{ do: 'continue' }>
  | Readonly<{ do: 'skip' }>
  | Readonly<{ do: 'now' }>
  | Readonly<{ do: 'approve' }>
  | Readonly<{ do: 'reject' }>
  | Readonly<{ do: 'retry'; downstream?: boolean; failed?: boolean }>

/** What is answered to a command. */
export const commandReceipt = named(
  'Receipt',
  object({
    position: about('Of the commit it is in.', whole()),
    changed: about('False: things were so already.', flag),
  }),
)
/** What became of a command: the position of the commit it is in. `changed` false: things were so already. */
export type CommandReceipt = Of<typeof commandReceipt>

/** What may be done with a dead letter. */
export type LetterOrder = 'redeliver' | 'discard'

/** Where a command goes, and as what. */
export const commandMessage = (
  plan: string,
  job: string | null,
  asked: Command,
  { state, generation, shown }: Readonly<{ state: string; generation: number; shown?: string | undefined }>,
): Readonly<{ address: Address; event: { type: string } & Record<string, unknown> }> => {
  const to = job === null ? planAddress(plan) : jobAddress(plan, job)
  switch (asked.do) {
    case 'cancel':
      return { address: to, event: { type: 'cancel.requested', ...(asked.now ? { now: true } : {}) } }
    case 'pause':
    case 'continue':
    case 'skip':
    case 'now':
      return { address: to, event: { type: `${asked.do}.requested` } }
    case 'approve':
    case 'reject':
      // The answer is to the question of this generation, in these words.
      return { address: to, event: { type: `${asked.do}.requested`, generation, shown } }
    case 'retry': {
      // A job that waits decides itself; an ended one is opened again by its plan, which knows what follows it.
      if (job !== null && state === 'waiting' && shown === undefined)
        return { address: to, event: { type: 'retry.requested' } }
      const retry = { job: asked.failed ? null : job, downstream: asked.downstream === true }
      return { address: planAddress(plan), event: { type: 'retry.requested', retry } }
    }
  }
}

/** Whether what was asked for is the case already. */
export const isSoAlready = (
  asked: Command,
  { state, reason, kind }: Readonly<{ state: string; reason: string | null; kind?: string }>,
): boolean => {
  switch (asked.do) {
    case 'cancel':
      return (
        state === 'cancelled' || state === 'cancelling' || (state === 'stopping' && reason === 'stop-cancel')
      )
    case 'pause':
      return state === 'paused'
    case 'continue':
      return state === 'running'
    case 'skip':
      return state === 'skipped'
    case 'now':
      return state === 'queued' || state === 'running'
    case 'approve':
      return kind === 'approve' && state === 'succeeded'
    case 'reject':
      return state === 'failed' && reason === 'approval-denied'
    case 'retry':
      return state === 'queued' || state === 'held' || state === 'running'
  }
}

/** Where what was asked stands. */
export type Standing = Readonly<{
  state: string
  /** The state of its plan; its own, where it is one. */
  plan: string
  /** How many jobs of the plan failed or were cancelled. */
  failures: number
  /** What it needs and does not get: why, and the job that can be tried again. */
  unmet?: Readonly<{ why: string; job: string }> | undefined
  /** When the time of its question was up, where that has not been taken in: ISO 8601. */
  overdue?: string | undefined
}>

/** Why a command cannot be taken in this state, and what can be done: what is suggested is taken as things stand. */
export const wrongState = (ref: string, asked: Command, standing: Standing): TenutoError => {
  const { state } = standing
  const [plan = ref] = ref.split('/')
  const ended = isJobEnd(state)
  const shows = `\`tenuto show ${ref}\` says ${ended ? 'how it ended' : 'where it is'}`
  const again = `\`tenuto show ${plan}\` shows its jobs, and \`tenuto retry ${plan}/JOB\` runs one again`
  const can: Readonly<Record<Command['do'], () => Refusal>> = {
    cancel: () => ({ what: 'it has ended and cannot be cancelled', remedy: shows }),
    pause: () => ({ what: 'only a running plan can be paused', remedy: shows }),
    continue: () => ({
      what: 'only a paused or quarantined plan can be continued',
      remedy: !ended
        ? shows
        : standing.failures > 0
          ? `to run again what did not succeed: \`tenuto retry ${plan} --failed\``
          : again,
    }),
    skip: () => ({
      what: 'only a job that has not ended and has no attempt running can be skipped',
      remedy: ended ? shows : `\`tenuto cancel ${ref}\` stops it`,
    }),
    now: () => ({ what: 'only a job that waits for its next attempt can be started now', remedy: shows }),
    approve: () => noAnswer(plan, standing, shows),
    reject: () => noAnswer(plan, standing, shows),
    retry: () => noRetry(plan, standing, ended && ref === plan ? again : shows),
  }
  return new TenutoError('WRONG_STATE', { ref, state, ...can[asked.do]() })
}

const NO_QUESTION = 'only a job that waits for approval can be approved or rejected'

type Refusal = Readonly<{ what: string; remedy: string }>

const noAnswer = (plan: string, { overdue }: Standing, otherwise: string): Refusal =>
  overdue === undefined
    ? { what: NO_QUESTION, remedy: otherwise }
    : {
        what: `the time of its question was up at ${overdue.slice(0, 19)}Z, and no answer is taken any more`,
        remedy: `\`tenuto resume ${plan}\` takes that in`,
      }

const noRetry = (plan: string, { state, plan: at, unmet }: Standing, otherwise: string): Refusal => {
  if (at === 'quarantined')
    return {
      what: 'nothing of a quarantined plan is tried again',
      remedy: `\`tenuto continue ${plan}\` lets it go on`,
    }
  if (at === 'cancelling')
    return {
      what: 'its plan is being cancelled',
      remedy: `try again when it has ended; \`tenuto show ${plan}\` says what it waits for`,
    }
  if (unmet !== undefined)
    return {
      what: `it needs another job first: ${unmet.why}`,
      remedy: `\`tenuto retry ${plan}/${unmet.job}\` tries that again`,
    }
  return {
    what: `there is nothing to retry${isJobEnd(state) ? '' : ': it has not ended'}`,
    remedy: otherwise,
  }
}
