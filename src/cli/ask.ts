/**
 * Asking a person what nobody else can decide.
 */
import { createInterface } from 'node:readline/promises'
import { isTenutoError } from '../errors.ts'
import type { Source } from './home.ts'
import { complain } from './screen.ts'

const CHOICES = ['retry', 'skip', 'cancel', 'leave'] as const
type Choice = (typeof CHOICES)[number]

/** Undefined when the person has gone, or is not waited for any more. */
const read = async (question: string, signal: AbortSignal | undefined): Promise<Choice | undefined> => {
  // The terminal keeps its own line editing: in raw mode Ctrl-C would be a key and no signal.
  const line = createInterface({ input: process.stdin, output: process.stderr, terminal: false })
  const over = new AbortController()
  const leave = (): void => over.abort()
  line.once('close', leave)
  line.on('error', leave)
  for (const stream of [process.stdin, process.stderr]) stream.on('error', leave)
  try {
    const until = signal ? AbortSignal.any([signal, over.signal]) : over.signal
    for (;;) {
      const answer = (await line.question(question, { signal: until })).trim().toLowerCase()
      const choice = CHOICES.find((each) => answer !== '' && each.startsWith(answer))
      if (choice) return choice
    }
  } catch (error) {
    if (over.signal.aborted || signal?.aborted) return undefined
    throw error
  } finally {
    line.close()
  }
}

/** Whether an answer was taken: a person whose answer a full disk does not take is asked again. */
const isTaken = async (asked: Promise<unknown>): Promise<boolean> => {
  try {
    await asked
    return true
  } catch (error) {
    if (!isTenutoError(error, 'STORE_FULL')) throw error
    complain(`${error.message}; ${error.hint}`)
    return false
  }
}

/**
 * Asks what to do about each job that waits because an attempt was lost, and does it. False when everything was left as it is. With
 * the signal it stops asking, and what was asked last is open.
 */
export const decideLost = async (
  source: Source,
  plan: string,
  jobs: readonly string[],
  signal?: AbortSignal,
): Promise<boolean> => {
  let decided = false
  for (const job of jobs) {
    for (let taken = false; !taken; ) {
      const choice = await read(
        `${plan}/${job}: an attempt may have had effects and its end was not seen.  [r]etry, [s]kip, [c]ancel or [l]eave it? `,
        signal,
      )
      if (choice === undefined) return decided || signal?.aborted === true
      taken =
        choice === 'leave' || (await isTaken(source.command(plan, job, { do: choice }, { by: 'terminal' })))
      decided ||= choice !== 'leave'
    }
  }
  return decided
}
