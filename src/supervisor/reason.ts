/**
 * Why a child ended. The terms are Erlang/OTP's.
 */

/** Why something under a supervisor ended, or could not be started. */
export type Reason =
  | Readonly<{ type: 'normal' }>
  /** It was told to stop, or had done what it was for; `detail` is its own. */
  | Readonly<{ type: 'shutdown'; detail?: unknown }>
  /** It did not stop in its time, or was to be given none; whatever it does later is ignored. */
  | Readonly<{ type: 'killed' }>
  | Readonly<{ type: 'error'; error: unknown }>
  /** A supervisor has given up. Each level adds itself: `cause` may be an escalation too. */
  | Readonly<{ type: 'escalation'; child: string; cause: Reason }>

export const NORMAL: Reason = { type: 'normal' }
export const SHUTDOWN: Reason = { type: 'shutdown' }
export const KILLED: Reason = { type: 'killed' }

/** The reason of a failure. */
export const failure = (error: unknown): Reason => ({ type: 'error', error })

/** Whether a transient child with this reason is restarted. */
export const isAbnormal = ({ type }: Reason): boolean => type !== 'normal' && type !== 'shutdown'

const TYPES: readonly unknown[] = [
  'normal',
  'shutdown',
  'killed',
  'error',
  'escalation',
] satisfies Reason['type'][]

/** What a child gave as its reason, as a reason: nothing is `normal`, and what is no reason is an error. */
export const reasonOf = (given: unknown): Reason => {
  if (given === undefined) return NORMAL
  const isReason =
    typeof given === 'object' && given !== null && 'type' in given && TYPES.includes(given.type)
  return isReason && !(given instanceof Error) ? (given as Reason) : failure(given)
}

/** One line for people, outermost first. */
export const reasonText = (reason: Reason): string => {
  switch (reason.type) {
    case 'normal':
    case 'killed':
      return reason.type
    case 'shutdown':
      return reason.detail === undefined ? 'shutdown' : `shutdown (${textOf(reason.detail)})`
    case 'error':
      return textOf(reason.error)
    case 'escalation':
      return `${reason.child} was given up: ${reasonText(reason.cause)}`
  }
}

/** Whatever was thrown: it may refuse to be read. */
const textOf = (thrown: unknown): string => {
  try {
    return thrown instanceof Error ? thrown.message : String(thrown)
  } catch {
    return 'something that cannot be read'
  }
}
