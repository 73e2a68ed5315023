/**
 * `tenuto gc`: removes what a home keeps no longer of plans that have ended, or says what that would be.
 */
import { systemClock } from '../clock.ts'
import { TenutoError } from '../errors.ts'
import { parseDuration } from '../plans/duration.ts'
import { inBytes } from './check.ts'
import { type Gc, gcOf, homeFlag, homeOf } from './home.ts'
import { type Globals, screen } from './screen.ts'
import { counted, duration } from './words.ts'

/** The flags of `gc`. */
export type GcFlags = Globals &
  Readonly<{ dryRun?: boolean; olderThan?: string; keep?: string; shrink?: boolean; reason?: string }>

const DAY_MS = 86_400_000
/** Plans that are named; JSON names all. */
const NAMED = 20

/** Removes what is kept no longer; answers the exit code. */
export const gc = async (flags: GcFlags): Promise<number> => {
  const on = screen(flags)
  const olderThanMs = ageOf(flags.olderThan)
  const keep = keepOf(flags.keep)
  if (flags.dryRun && flags.shrink)
    throw new TenutoError('USAGE', { what: '--dry-run and --shrink exclude each other' })
  const done = await gcOf(homeOf(flags), {
    dryRun: flags.dryRun === true,
    shrink: flags.shrink === true,
    ...(olderThanMs === undefined ? {} : { olderThanMs }),
    ...(keep === undefined ? {} : { keep }),
    ...(flags.reason === undefined ? {} : { why: flags.reason }),
  })
  if (on.json) {
    on.answer(JSON.stringify(done))
    return 0
  }
  for (const line of linesOf(done)) on.tell(line)
  if (done.dry_run && done.plans.length + done.attempts + done.dead_letters + asideIn(done).length > 0)
    on.talk(`nothing was removed; the same without --dry-run removes it`)
  else if (!done.dry_run && !flags.shrink && done.journal.free_bytes > done.journal.bytes / 2)
    on.talk(
      `${inBytes(done.journal.free_bytes)} of ${inBytes(done.journal.bytes)} of the journal are free for new steps; give them back: tenuto gc --shrink${homeFlag(flags)}`,
    )
  return 0
}

const linesOf = (done: Gc): readonly string[] => {
  const now = systemClock.now()
  const held = (attempts: number, bytes: number): string =>
    attempts === 0 ? '' : `, ${counted(attempts, 'attempt')}, ${inBytes(bytes)}`
  const plans = done.plans.map(
    ({ id, ended_at, attempts, bytes }) =>
      `plan ${id}, ended ${duration(now - Date.parse(ended_at))} ago${held(attempts, bytes)}`,
  )
  const folders = [
    ...done.cleared.map(({ id, attempts, bytes }) => `attempts of plan ${id}${held(attempts, bytes)}`),
    ...done.orphans.map(
      ({ name, attempts, bytes }) => `folder ${name}, which belongs to no plan${held(attempts, bytes)}`,
    ),
  ]
  const aside = asideIn(done).map(
    ({ path, replaced_at, bytes }) =>
      `${path}, put aside by a restore ${duration(now - Date.parse(replaced_at))} ago, ${inBytes(bytes)}`,
  )
  const lines = [...plans, ...folders, ...aside]
  const verb = done.dry_run ? 'would remove' : 'removed'
  const more = lines.length > NAMED ? [`… and ${lines.length - NAMED} more`] : []
  const letters = done.dead_letters === 0 ? '' : `, ${counted(done.dead_letters, 'dead letter')}`
  return [
    ...lines.slice(0, NAMED).map((line) => `${verb} ${line}`),
    ...more,
    `${verb} ${counted(done.plans.length, 'plan')}, ${counted(done.attempts, 'attempt')}, ${inBytes(done.bytes)}${letters}`,
  ]
}

/** A holder of an earlier build does not say. */
const asideIn = ({ replaced = [] }: Partial<Gc>): Gc['replaced'] => replaced

const ageOf = (text: string | undefined): number | undefined => {
  if (text === undefined) return undefined
  const days = /^(\d{1,6})d$/.exec(text)?.[1]
  const ms = days === undefined ? parseDuration(text) : Number(days) * DAY_MS
  if (ms === undefined)
    throw new TenutoError('USAGE', { what: `--older-than ${text}: a duration has a unit, as in 12h or 30d` })
  return ms
}

const keepOf = (text: string | undefined): number | undefined => {
  if (text === undefined) return undefined
  if (!/^\d{1,9}$/.test(text))
    throw new TenutoError('USAGE', { what: `--keep ${text}: it must be a whole number of 0 or more` })
  return Number(text)
}
