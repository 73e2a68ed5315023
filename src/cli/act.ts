/**
 * The commands that change a plan or a job: `cancel`, `pause`, `continue`, `retry`, `skip`, `now`, `approve`, `reject`.
 */
import { TenutoError } from '../errors.ts'
import { isPlanEnd } from '../states.ts'
import { type Command, command, homeFlag, homeOf, readIn, sweepOf } from './home.ts'
import { tellOfMode } from './mode.ts'
import { type Globals, screen } from './screen.ts'
import { attemptsAlive, running } from './unheld.ts'
import { counted, duration, storageInWords } from './words.ts'

/** The flags of the acting commands. */
export type ActFlags = Globals & Readonly<{ reason?: string; downstream?: boolean; failed?: boolean }>

const DONE: Readonly<Record<Command['do'], string>> = {
  cancel: 'is cancelled',
  pause: 'is paused',
  continue: 'goes on',
  retry: 'will be tried again',
  skip: 'is skipped',
  now: 'is tried as soon as it may start',
  approve: 'is approved',
  reject: 'is rejected',
}

const ALREADY: typeof DONE = {
  cancel: 'is cancelled already',
  pause: 'is paused already',
  continue: 'is not paused: it goes on already',
  retry: 'has not ended: it is being tried already',
  skip: 'is skipped already',
  now: 'does not wait: it is being tried already',
  approve: 'is approved already',
  reject: 'is rejected already',
}

/** What lets more be started, by whoever runs the plan. */
const STARTS: ReadonlySet<Command['do']> = new Set(['retry', 'continue', 'now', 'approve'])

/** Asks something of what a ref names; answers the exit code. */
export const act = async (what: Command['do'], ref: string, flags: ActFlags): Promise<number> => {
  const on = screen(flags)
  if (flags.failed && flags.downstream)
    throw new TenutoError('USAGE', { what: '--failed and --downstream exclude each other' })
  const asked: Command =
    what === 'retry'
      ? {
          do: 'retry',
          ...(flags.failed ? { failed: true } : {}),
          ...(flags.downstream ? { downstream: true } : {}),
        }
      : { do: what }
  const done = await command(homeOf(flags), ref, asked, flags.reason, (storage) =>
    on.talk(storageInWords(storage)),
  )
  const name = done.job === null ? done.plan : `${done.plan}/${done.job}`
  if (on.json) on.answer(JSON.stringify({ ref: name, ...done.receipt }))
  else {
    const doing =
      done.held && what === 'cancel'
        ? 'is being cancelled'
        : !done.held && what === 'continue'
          ? 'may go on'
          : DONE[what]
    on.tell(`${name} ${done.receipt.changed ? doing : ALREADY[what]}`)
  }
  if (!STARTS.has(what)) return 0
  const { state } = await readIn(homeOf(flags), (catalog) => catalog.plan(done.plan))
  if (!done.held) {
    const alive = await attemptsAlive(homeOf(flags), [done.plan])
    const now = alive === 0 ? 'nothing runs yet' : `${running(alive)}, and nothing new starts`
    if (isPlanEnd(state)) on.talk(`${done.plan} ${state}`)
    else on.talk(`${now}; go on: tenuto resume ${done.plan}${homeFlag(flags)}`)
  }
  // Whoever runs the plan may have been told to start nothing.
  if (state === 'paused')
    on.talk(
      `${done.plan} is paused; nothing of it starts before: tenuto continue ${done.plan}${homeFlag(flags)}`,
    )
  if (!isPlanEnd(state)) tellOfMode(on, flags)
  return 0
}

/** Looks for what messages have missed, now; answers the exit code. */
export const sweep = async (flags: Globals & Readonly<{ reason?: string }>): Promise<number> => {
  const on = screen(flags)
  const report = await sweepOf(homeOf(flags), flags.reason)
  if (on.json) {
    on.answer(JSON.stringify(report))
    return 0
  }
  for (const { kind, plan, job, age_ms } of report.repaired)
    on.tell(`repaired ${kind} ${plan}${job === null ? '' : `/${job}`}, ${duration(age_ms)} old`)
  const looked = `${counted(report.plans, 'plan')} looked at`
  on.tell(report.repaired.length === 0 ? `nothing to repair, ${looked}` : looked)
  return 0
}
