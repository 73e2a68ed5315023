/**
 * Commands: what an operator may ask of a plan or a job, the message that asks it, and what is said where it cannot be.
 */
import { type Address, jobAddress, planAddress } from './address.ts'
import { TenutoError } from './errors.ts'
import { isJobEnd } from './states.ts'

/** Who asked for something, and why; kept with the step. */
export type CommandOptions = Readonly<{
  by?: string
  why?: string
  /** Whether it waits for a store that is away, in its turn, instead of being refused: nobody is there to ask again. */
  waits?: boolean
}>

/** What an operator may ask of a plan or a job. */
export type Command =
  | Readonly<{ do: 'cancel'; now?: boolean }>
  | Readonly<{ do: 'pause' }>
  | Readonly<{ do: 'continue' }>
  | Readonly<{ do: 'skip' }>
  | Readonly<{ do: 'retry'; downstream?: boolean; failed?: boolean }>

/** What became of a command: the position of the commit it is in. `changed` false: things were so already. */
export type CommandReceipt = Readonly<{ position: number; changed: boolean }>

/** What may be done with a dead letter. */
export type LetterOrder = 'redeliver' | 'discard'

/** Where a command goes, and as what. */
export const commandMessage = (
  plan: string,
  job: string | null,
  asked: Command,
  state: string,
): Readonly<{ address: Address; event: { type: string } & Record<string, unknown> }> => {
  const to = job === null ? planAddress(plan) : jobAddress(plan, job)
  switch (asked.do) {
    case 'cancel':
      return { address: to, event: { type: 'cancel.requested', ...(asked.now ? { now: true } : {}) } }
    case 'pause':
    case 'continue':
    case 'skip':
      return { address: to, event: { type: `${asked.do}.requested` } }
    case 'retry': {
      // A job that waits decides itself; an ended one is opened again by its plan, which knows what follows it.
      if (job !== null && state === 'waiting') return { address: to, event: { type: 'retry.requested' } }
      const retry = { job: asked.failed ? null : job, downstream: asked.downstream === true }
      return { address: planAddress(plan), event: { type: 'retry.requested', retry } }
    }
  }
}

/** Whether what was asked for is the case already. */
export const isSoAlready = (
  asked: Command,
  { state, reason }: Readonly<{ state: string; reason: string | null }>,
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
    case 'retry':
      return state === 'queued' || state === 'held' || state === 'running'
  }
}

/** Why a command cannot be taken in this state, and what can be done. */
export const wrongState = (
  ref: string,
  asked: Command,
  state: string,
  unmet: string | undefined,
): TenutoError => {
  const ended = isJobEnd(state)
  const can: Readonly<Record<Command['do'], Readonly<{ what: string; remedy: string }>>> = {
    cancel: {
      what: 'it has ended and cannot be cancelled',
      remedy: `\`tenuto show ${ref}\` says how it ended`,
    },
    pause: { what: 'only a running plan can be paused', remedy: `\`tenuto show ${ref}\` says where it is` },
    continue: {
      what: 'only a paused or quarantined plan can be continued',
      remedy: `to run again what failed: \`tenuto retry ${ref} --failed\``,
    },
    skip: {
      what: 'only a job that has not ended and has no attempt running can be skipped',
      remedy: ended ? `\`tenuto show ${ref}\` says how it ended` : `\`tenuto cancel ${ref}\` stops it`,
    },
    retry: {
      what:
        unmet === undefined
          ? `there is nothing to retry${ended ? '' : ': it has not ended'}`
          : `it needs another job first: ${unmet}`,
      remedy:
        unmet === undefined
          ? `\`tenuto show ${ref}\` says where it is`
          : `\`tenuto retry ${ref.split('/')[0]} --failed\` tries again all that did not succeed`,
    },
  }
  return new TenutoError('WRONG_STATE', { ref, state, ...can[asked.do] })
}
