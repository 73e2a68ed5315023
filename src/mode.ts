/**
 * The mode of a home: whether anything new may start in it, and whether plans are taken in. It is an order of a person, so that it
 * outlives whoever carried it out: a file of the home, forced to disk before the order is acknowledged. No file means that all runs.
 */
import { rmSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Clock } from './clock.ts'
import { isObject, isString } from './json.ts'
import { about, both, flag, moment, named, type Of, object, oneOf, orNull, text } from './json-schema.ts'
import { codeOf } from './thrown.ts'
import { readWhole, syncPath, unwritten, writeWhole } from './whole-file.ts'

/** `paused`: attempts run on, and nothing new starts. `draining`: as paused, and no plan is taken in. */
export type ModeName = (typeof MODES)[number]
const MODES = ['running', 'paused', 'draining'] as const

/** What may be ordered of a home. */
export const MODE_ORDERS = ['pause', 'resume', 'drain'] as const
/** An order to a home. */
export type ModeOrder = (typeof MODE_ORDERS)[number]

/** What is said of the mode of a home. */
export const modeSchema = object({
  mode: oneOf(MODES),
  reason: orNull(text()),
  since: orNull(moment),
  by: orNull(text()),
})
/** A mode, and who wanted it, why, and since when (ISO 8601 UTC); all null while nobody has ordered anything. */
export type Mode = Of<typeof modeSchema>

/** What is ordered. */
export type Order = Readonly<{
  do: ModeOrder
  by?: string
  why?: string
  /** Only of `drain`: for a stop, with which it ends. The mode from before is that of the next start. */
  untilStop?: boolean
}>

/** What is answered to an order. */
export const modeReceipt = named(
  'Mode',
  both(modeSchema, object({ changed: about('False: things were so already.', flag) })),
)
/** What became of an order; `changed` false: things were so already. */
export type ModeReceipt = Of<typeof modeReceipt>

/** The mode of a home that is held. */
export type Modes = Readonly<{
  now: () => Mode
  /**
   * Puts a mode in force; on the disk before anything changes. Idempotent.
   * @throws {TenutoError} `STORE_FULL`, `FILE_UNWRITABLE` when it cannot be written; then it is not in force.
   */
  order: (order: Order) => ModeReceipt
  /** Whoever was stopped in order has come to the end of a mode that was meant until then. Idempotent. */
  stopped: () => void
}>

/** The file: `before` is there where the mode ends with a stop, and says what comes then. */
type Stored = Mode & Readonly<{ before?: Mode }>

const RUNNING: Mode = { mode: 'running', reason: null, since: null, by: null }
const MODE_OF: Readonly<Record<ModeOrder, ModeName>> = {
  pause: 'paused',
  resume: 'running',
  drain: 'draining',
}

/**
 * The mode of a home that nobody serves, from its file: a drain for a stop is over then. One that cannot be read was an order all the
 * same: nothing starts until it is given again.
 */
export const readMode = (file: string): Mode => {
  const stored = readStored(file)
  return modeOf(stored.before ?? stored)
}

/** Keeps the mode of a home in this file; null keeps it in memory alone. */
export const modes = (file: string | null, clock: Pick<Clock, 'now'>): Modes => {
  let stored: Stored = file === null ? RUNNING : readStored(file)
  const put = (next: Stored): void => {
    if (file !== null) keep(file, next)
    stored = next
  }
  return {
    now: () => modeOf(stored),
    order: ({ do: what, by = null, why = null, untilStop = false }) => {
      const mode = MODE_OF[what]
      const isSo = stored.mode === mode && (why === null || why === stored.reason)
      // A stop that finds an order for ever leaves it; an order for ever takes the place of one for a stop.
      if (isSo && (stored.before === undefined || untilStop)) return { ...modeOf(stored), changed: false }
      const since = new Date(clock.now()).toISOString()
      const before = stored.before ?? modeOf(stored)
      const next: Mode = mode === 'running' ? RUNNING : { mode, reason: why, since, by }
      put(untilStop && mode === 'draining' ? { ...next, before } : next)
      return { ...modeOf(stored), changed: true }
    },
    stopped: () => {
      if (stored.before !== undefined) put(stored.before)
    },
  }
}

const modeOf = ({ mode, reason, since, by }: Stored): Mode => ({ mode, reason, since, by })

const readStored = (file: string): Stored => {
  let text: string
  try {
    text = readWhole(file)
  } catch (error) {
    // A home that can be none is refused by whoever takes it, in its own words.
    if (['ENOENT', 'ENOTDIR', 'ENAMETOOLONG'].includes(String(codeOf(error)))) return RUNNING
    return unreadable(file, (error as Error).message)
  }
  try {
    const found: unknown = JSON.parse(text)
    if (isMode(found)) return found
    return unreadable(file, 'it holds no mode')
  } catch (error) {
    return unreadable(file, (error as Error).message)
  }
}

const unreadable = (file: string, why: string): Mode => ({
  ...RUNNING,
  mode: 'paused',
  reason: `${file} cannot be read: ${why}`,
})

const isMode = (found: unknown): found is Stored => {
  if (!isObject(found)) return false
  const { mode, reason, since, by, before } = found
  return (
    (mode === 'running' || mode === 'paused' || mode === 'draining') &&
    [reason, since, by].every((text) => text === null || isString(text)) &&
    (before === undefined || isMode(before))
  )
}

const keep = (file: string, stored: Stored): void => {
  try {
    if (stored.mode !== 'running') return writeWhole(file, `${JSON.stringify(stored, null, 2)}\n`)
    rmSync(file, { force: true })
    syncPath(dirname(file))
  } catch (error) {
    throw unwritten(file, error)
  }
}

/** A mode in a few words, as the rest of a sentence about who is in it. */
export const modeInWords = ({ mode, reason, since, by }: Mode): string => {
  const why = reason === null ? '' : `: ${onOneLine(reason)}`
  const more = [since === null ? null : `since ${since}`, by === null ? null : `by ${onOneLine(by)}`].filter(
    (part) => part !== null,
  )
  return `${mode}${more.length === 0 ? '' : ` (${more.join(', ')})`}${why}`
}

const onOneLine = (text: string): string => text.replace(/\s+/g, ' ')
