/**
 * Retention as a runtime has it: passes that it makes by itself, and those that somebody asks for.
 */
import { RETENTION, type RetainingPorts, type RetentionLimits, retaining } from './actors/retaining.ts'
import { homePaths } from './home.ts'
import { type ReplacedJournal, removeReplaced, replacedJournals } from './journal/replaced.ts'
import { isStoreAway } from './journal/restarting.ts'
import { type Rounds, rounds } from './rounds.ts'
import type { GcShape } from './views/shapes.ts'

/** What a home keeps of plans that have ended; what is left out is as by default, and `Infinity` keeps all. */
export type RetentionOptions = Partial<RetentionLimits> &
  Readonly<{
    /** How often the runtime looks by itself, in milliseconds; default 300 000, 0 never. */
    everyMs?: number
  }>

/** What is asked of a pass beyond what the runtime keeps to. */
export type GcOptions = Readonly<{
  /** Only says what would go. */
  dryRun?: boolean
  /** Instead of how long ended plans, and their attempt folders, are kept. */
  olderThanMs?: number
  /** Instead of how many ended plans are kept. */
  keep?: number
  /** Also gives what is free in the journal back to the file system; nothing else happens meanwhile. */
  shrink?: boolean
}>

/** Retention of a home that is held, for whoever asks for it, and for whoever supervises the passes it makes by itself. */
export type Retention = Rounds &
  Readonly<{
    gc: (options?: GcOptions) => Promise<GcShape>
    /** Whether a new plan may not have this id. */
    isUsed: (plan: string) => boolean
  }>

const EVERY_MS = 300_000
/** So soon after the start the first pass comes. */
const FIRST_MS = 10_000
/** The limits of number and size leave alone what ended within this time. */
const SPARE_MS = 60_000

/** The limits of these options; what is not given, or undefined, is as by default. */
const limitsOf = (given: Partial<RetentionLimits>): RetentionLimits => {
  const known = Object.entries(given).filter(([, value]) => value !== undefined)
  return { ...RETENTION, ...Object.fromEntries(known) }
}

/** Retention on a journal. Without `isAlone` it makes no passes by itself. */
export const retention = async (
  ports: RetainingPorts,
  options: RetentionOptions,
  isAlone: boolean,
): Promise<Retention> => {
  const { journal, clock } = ports
  const { everyMs = EVERY_MS, ...given } = options
  const limits = limitsOf(given)
  const retain = retaining(ports, await journal.pruning.leaving())
  /** Journals that a restore has put aside go with plans that ended as long ago. */
  const dropReplaced = async (
    { plansMs }: RetentionLimits,
    dryRun: boolean,
  ): Promise<readonly ReplacedJournal[]> => {
    const old = replacedJournals(homePaths(ports.home).journal, plansMs, clock.now())
    if (!dryRun) for (const each of old) await removeReplaced(each)
    return old
  }
  const alone = rounds({
    clock,
    firstMs: Math.min(everyMs, FIRST_MS),
    everyMs: isAlone ? everyMs : 0,
    round: async () => {
      const began = clock.monotonic()
      try {
        const pass = { limits, spareMs: SPARE_MS, dryRun: false, isAsked: false }
        const { plans, isWhole } = await retain.pass(pass)
        await dropReplaced(limits, false)
        // Who takes so long for what was due has others due by now.
        const isBehind = plans.length > 0 && clock.monotonic() - began >= everyMs
        return isBehind || !isWhole ? 'again' : undefined
      } catch (error) {
        if (!isStoreAway(error)) throw error
        return undefined
      }
    },
  })

  return {
    ...alone,
    gc: async ({ dryRun = false, olderThanMs, keep, shrink = false } = {}) => {
      const wanted: RetentionLimits = {
        ...limits,
        ...(olderThanMs === undefined ? {} : { plansMs: olderThanMs, attemptsMs: olderThanMs }),
        ...(keep === undefined ? {} : { plans: keep }),
      }
      const { plans, cleared, orphans, deadLetters } = await retain.pass({
        limits: wanted,
        spareMs: 0,
        dryRun,
        isAsked: true,
      })
      const aside = await dropReplaced(wanted, dryRun)
      if (shrink && !dryRun) await ports.between(() => journal.pruning.shrink())
      const { bytes, free } = await journal.pruning.room()
      const all = [...plans, ...cleared, ...orphans]
      const sizes = [...all, ...aside]
      return {
        dry_run: dryRun,
        plans: plans.map(({ name, endedAt, attempts, bytes: size }) => ({
          id: name,
          ended_at: new Date(endedAt ?? 0).toISOString(),
          attempts,
          bytes: size,
        })),
        cleared: cleared.map(({ name, attempts, bytes: size }) => ({ id: name, attempts, bytes: size })),
        orphans: orphans.map(({ name, attempts, bytes: size }) => ({ name, attempts, bytes: size })),
        replaced: aside.map(({ path, at, bytes: size }) => ({
          path,
          replaced_at: new Date(at).toISOString(),
          bytes: size,
        })),
        dead_letters: deadLetters,
        attempts: all.reduce((sum, { attempts }) => sum + attempts, 0),
        bytes: sizes.reduce((sum, { bytes: size }) => sum + size, 0),
        journal: { bytes, free_bytes: free },
      }
    },
    isUsed: retain.isUsed,
  }
}
