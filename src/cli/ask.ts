/**
 * Asking a person what nobody else can decide.
 */
import { createInterface } from 'node:readline/promises'
import { shown } from '../checks.ts'
import type { Command } from '../command.ts'
import { isTenutoError } from '../errors.ts'
import { isInForeground } from '../process.ts'
import type { JobShape } from '../views/shapes.ts'
import { plain } from './cells.ts'
import type { Source } from './home.ts'
import { paragraph } from './paragraph.ts'
import { complain, talkWidth } from './screen.ts'

type Choice = Extract<Command['do'], 'retry' | 'skip' | 'cancel' | 'approve' | 'reject'> | 'leave'

const LOST: readonly Choice[] = ['retry', 'skip', 'cancel', 'leave']
const GATE: readonly Choice[] = ['approve', 'reject', 'leave']

/** A job that waits for a person. */
export type Asking = Pick<JobShape, 'name' | 'reason' | 'prompt'>

/** A question as it stands on the terminal, which may have another width each time; the answer follows it after a blank. */
const asked = (question: string): string => `${paragraph(question, talkWidth() - 1)} `

/** Undefined when the person has gone, is not waited for any more, or sees something else on the terminal. */
const read = async (
  question: string,
  choices: readonly Choice[],
  signal: AbortSignal | undefined,
): Promise<Choice | undefined> => {
  // The terminal keeps its own line editing: in raw mode Ctrl-C would be a key and no signal.
  const line = createInterface({ input: process.stdin, output: process.stderr, terminal: false })
  const over = new AbortController()
  const leave = (): void => over.abort()
  const continued = (): void => {
    if (isInForeground()) process.stderr.write(asked(question))
    else leave()
  }
  process.on('SIGCONT', continued)
  line.once('close', leave)
  line.on('error', leave)
  for (const stream of [process.stdin, process.stderr]) stream.on('error', leave)
  try {
    const until = signal ? AbortSignal.any([signal, over.signal]) : over.signal
    for (;;) {
      const answer = (await line.question(asked(question), { signal: until })).trim().toLowerCase()
      const choice = choices.find((each) => answer !== '' && each.startsWith(answer))
      if (choice) return choice
      const said = answer === '' ? 'nothing was answered' : `${shown(answer)} is no answer to that`
      complain(`${said}; it is one of ${choices.join(', ')}, or the first letter of it`)
    }
  } catch (error) {
    if (over.signal.aborted || signal?.aborted) return undefined
    throw error
  } finally {
    process.off('SIGCONT', continued)
    line.close()
  }
}

/** Whether an answer was dealt with: a person whose answer a full disk does not take is asked again; one that comes too late is told so. */
const isTaken = async (asked: Promise<unknown>): Promise<boolean> => {
  try {
    await asked
    return true
  } catch (error) {
    if (!isTenutoError(error, 'STORE_FULL') && !isTenutoError(error, 'WRONG_STATE')) throw error
    complain(`${error.message}; ${error.hint}`)
    return isTenutoError(error, 'WRONG_STATE')
  }
}

const questionOf = (plan: string, { name, prompt }: Asking): string =>
  prompt === undefined
    ? `${plan}/${name}: an attempt may have had effects and its end was not seen.  [r]etry, [s]kip, [c]ancel or [l]eave it?`
    : `${plan}/${name}: ${plain(prompt)}  [a]pprove, [r]eject or [l]eave it?`

/**
 * Asks about each job that waits for a person, and does what is answered. False when everything was left as it is. With the signal it
 * stops asking, and what was asked last is open.
 */
export const decide = async (
  source: Source,
  plan: string,
  jobs: readonly Asking[],
  by: string,
  signal?: AbortSignal,
): Promise<boolean> => {
  let decided = false
  for (const job of jobs) {
    for (let taken = false; !taken; ) {
      const choices = job.reason === 'approval' ? GATE : LOST
      const choice = await read(questionOf(plan, job), choices, signal)
      if (choice === undefined) return decided || signal?.aborted === true
      taken = choice === 'leave' || (await isTaken(source.command(plan, job.name, { do: choice }, { by })))
      decided ||= choice !== 'leave'
    }
  }
  return decided
}
