/**
 * Retaining: how much of what has ended a home keeps. Nothing of a plan that has not ended is ever touched. A plan goes with its steps
 * and its key in one commit for everybody; its rows follow in portions, between drains, so that no step waits for more than one of
 * them. Its attempt folders are moved aside in the same moment, and deleted when nobody waits. Each part can be done again after a crash.
 */
import { mkdirSync, renameSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { planAttemptsDir } from '../attempt.ts'
import type { Clock } from '../clock.ts'
import { homePaths } from '../home.ts'
import type { Journal } from '../journal/journal.ts'
import { isPlanEnd, PLAN_STATES } from '../states.ts'
import { deleteTree, namesIn, sizeOf, type TreeSize } from './tree-size.ts'

/** What is kept of plans that have ended. Whatever reaches one of these limits goes; `Infinity` sets none. */
export type RetentionLimits = Readonly<{
  /** Ended plans, for so long after their end. */
  plansMs: number
  /** So many ended plans, those submitted last. */
  plans: number
  /** Attempt folders of ended plans, for so long after their end: logs, artifacts, records. */
  attemptsMs: number
  /** Bytes on disk of these folders, those of the plans submitted last. */
  attemptBytes: number
  /** Dead letters, the newest. */
  deadLetters: number
  /** Dead letters, for so long. */
  deadLettersMs: number
}>

const DAY_MS = 86_400_000

/** What is kept unless somebody says otherwise. */
export const RETENTION: RetentionLimits = {
  plansMs: 30 * DAY_MS,
  plans: 10_000,
  attemptsMs: 30 * DAY_MS,
  attemptBytes: 10_000_000_000,
  deadLetters: 10_000,
  deadLettersMs: 30 * DAY_MS,
}

/** What retaining needs from outside. */
export type RetainingPorts = Readonly<{
  home: string
  journal: Journal
  clock: Clock
  log: Readonly<Record<'warn', (fields: object, message: string) => void>>
  /** Does something when no plan is being loaded or changed. */
  between: <T>(act: () => Promise<T>) => Promise<T>
  /** Whether somebody has a plan in hand: it is in memory, or its end is waited for. */
  isBusy: (plan: string) => boolean
}>

/** One pass: what it goes by, and whether it only looks. */
export type Pass = Readonly<{
  limits: RetentionLimits
  /** The limits of number and size spare what ended within this time: somebody may just be reading it. */
  spareMs: number
  dryRun: boolean
}>

/** Something that went, or would go. */
export type Gone = Readonly<{ name: string; endedAt: number | null }> & TreeSize

/** What a pass removed, or would remove. */
export type Reclaimed = Readonly<{
  /** Plans, oldest first, with their attempt folders. */
  plans: readonly Gone[]
  /** Plans of which only the attempt folders go. */
  cleared: readonly Gone[]
  /** Folders below `attempts` of plans that the journal does not know, by name. */
  orphans: readonly Gone[]
  deadLetters: number
}>

/** Retention of one home. */
export type Retaining = Readonly<{
  /** Passes take turns. */
  pass: (pass: Pass) => Promise<Reclaimed>
  /** Whether something of a plan of this name is still about, though the journal may know no such plan. */
  isUsed: (plan: string) => boolean
}>

const ENDS = PLAN_STATES.filter(isPlanEnd)
/** Plans read at once; some milliseconds. */
const PAGE = 100
/** Rows removed in one commit; a commit of some milliseconds, which is what a step may wait for. */
const ROWS = 200
const PLANS_AT_ONCE = 64
/** In `attempts`: folders that wait to be deleted. No plan's folder begins with a dot. */
const GONE = '.gone'

type Ended = Readonly<{ id: string; endedAt: number }>
type Chosen = Readonly<{ plans: readonly Gone[]; cleared: readonly Gone[]; orphans: readonly Gone[] }>

/** Retention on a home; `leaving` is what the journal says of removals that were begun before. */
export const retaining = (ports: RetainingPorts, leavingBefore: readonly string[]): Retaining => {
  const { home, journal, clock, log, between, isBusy } = ports
  const { pruning } = journal
  const { attempts } = homePaths(home)
  const leaving = new Set(leavingBefore)
  /** The folders of an ended plan do not change; a plan that was opened again has another end. */
  const sizes = new Map<string, TreeSize & Readonly<{ endedAt: number }>>()
  let moved = 0
  let turn: Promise<unknown> = Promise.resolve()

  const yielded = (): Promise<void> => new Promise((resolve) => clock.soon(resolve))

  // Looking.

  const endedPlans = async (): Promise<readonly Ended[]> => {
    const found: Ended[] = []
    for (let before: string | undefined; ; ) {
      const page = await journal.plans({
        states: ENDS,
        limit: PAGE,
        ...(before === undefined ? {} : { before }),
      })
      for (const { id, since, submittedAt } of page) found.push({ id, endedAt: since ?? submittedAt })
      before = page.at(-1)?.id
      if (page.length < PAGE) return found
      await yielded()
    }
  }
  const measured = async ({ id, endedAt }: Ended, folders: ReadonlySet<string>): Promise<Gone> => {
    const known = sizes.get(id)
    if (known?.endedAt === endedAt) return { name: id, ...known }
    const size = folders.has(id) ? await sizeOf(planAttemptsDir(home, id)) : { attempts: 0, bytes: 0 }
    sizes.set(id, { ...size, endedAt })
    return { name: id, endedAt, ...size }
  }
  /** Folders without a plan: of a journal that a backup took the place of, or made again by a runner. Only old ones go. */
  const orphansAmong = async (
    folders: Iterable<string>,
    limits: RetentionLimits,
  ): Promise<readonly Gone[]> => {
    const found: Gone[] = []
    for (const name of folders) {
      const changedAt = statSync(join(attempts, name), { throwIfNoEntry: false })?.mtimeMs
      if (changedAt === undefined || clock.now() - changedAt < limits.attemptsMs) continue
      if ((await journal.plan(name)) !== undefined) continue
      found.push({ name, endedAt: null, ...(await sizeOf(join(attempts, name))) })
    }
    return found
  }
  const choose = async ({ limits, spareMs }: Pass): Promise<Chosen> => {
    // Folders first: what the journal does not know then, it never knew, or knows no more.
    const folders = new Set(await namesIn(attempts))
    const ended = await endedPlans()
    const plans: Gone[] = []
    const cleared: Gone[] = []
    let bytes = 0
    for (const [at, plan] of ended.entries()) {
      const age = clock.now() - plan.endedAt
      const gone = await measured(plan, folders)
      if (isBusy(plan.id)) continue
      if (age >= limits.plansMs || (at >= limits.plans && age >= spareMs)) {
        plans.push(gone)
        continue
      }
      bytes += gone.bytes
      const isOver = age >= limits.attemptsMs || (bytes > limits.attemptBytes && age >= spareMs)
      if (!isOver || !folders.has(plan.id)) continue
      cleared.push(gone)
      bytes -= gone.bytes
    }
    const known = new Set(ended.map(({ id }) => id))
    for (const id of sizes.keys()) if (!known.has(id)) sizes.delete(id)
    const others = [...folders].filter((name) => !known.has(name) && !leaving.has(name))
    return {
      plans: plans.toReversed(),
      cleared: cleared.toReversed(),
      orphans: await orphansAmong(others, limits),
    }
  }

  // Removing.

  /** In one moment, so that whoever comes next finds the name free or the folder whole. */
  const moveAside = (name: string): void => {
    const to = join(attempts, GONE)
    try {
      mkdirSync(to, { recursive: true, mode: 0o700 })
      moved += 1
      renameSync(join(attempts, name), join(to, `${name}.${clock.now()}.${moved}`))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
  }
  const deleteMoved = async (): Promise<void> => {
    for (const name of await namesIn(join(attempts, GONE))) {
      await deleteTree(join(attempts, GONE, name)).catch((error: unknown) => {
        log.warn({ name, error: String(error) }, 'a folder that is kept no longer cannot be deleted')
      })
    }
  }
  const removePlans = async (plans: readonly string[]): Promise<ReadonlySet<string>> => {
    const removed = new Set<string>()
    let queue = plans
    while (queue.length > 0) {
      const some = queue.slice(0, PLANS_AT_ONCE)
      const busy = new Set<string>()
      const { done, kept } = await between(async () => {
        for (const id of some) if (!leaving.has(id) && isBusy(id)) busy.add(id)
        const result = await pruning.remove(
          some.filter((id) => !busy.has(id)),
          ROWS,
        )
        for (const id of result.begun) {
          leaving.add(id)
          removed.add(id)
          moveAside(id)
        }
        return result
      })
      if (done.length > 0) await pruning.forget(done)
      for (const id of done) leaving.delete(id)
      const over = new Set([...done, ...kept, ...busy])
      queue = queue.filter((id) => !over.has(id))
      await yielded()
    }
    return removed
  }
  /** What was begun before this process ended. */
  const goOn = async (): Promise<void> => {
    const known = [...leaving]
    for (const id of known) if ((await journal.plan(id)) === undefined) moveAside(id)
    await removePlans(known)
  }
  const clear = (plan: string): Promise<boolean> =>
    between(async () => {
      if (isBusy(plan) || !(await pruning.clear(plan))) return false
      moveAside(plan)
      sizes.delete(plan)
      return true
    })
  const clearOrphan = (name: string): Promise<boolean> =>
    between(async () => {
      if ((await journal.plan(name)) !== undefined) return false
      moveAside(name)
      return true
    })
  const those = async (
    gone: readonly Gone[],
    remove: (name: string) => Promise<boolean>,
  ): Promise<Gone[]> => {
    const done: Gone[] = []
    for (const each of gone) if (await remove(each.name)) done.push(each)
    return done
  }
  const take = async (pass: Pass): Promise<Reclaimed> => {
    const { limits, dryRun } = pass
    if (!dryRun) {
      await goOn()
      await deleteMoved()
    }
    const chosen = await choose(pass)
    const oldest = clock.now() - limits.deadLettersMs
    if (dryRun) return { ...chosen, deadLetters: await pruning.oldDeadLetters(limits.deadLetters, oldest) }
    const removed = await removePlans(chosen.plans.map(({ name }) => name))
    const cleared = await those(chosen.cleared, clear)
    const orphans = await those(chosen.orphans, clearOrphan)
    const deadLetters = await pruning.dropDeadLetters(limits.deadLetters, oldest)
    if (deadLetters > 0) log.warn({ deadLetters }, 'dead letters that are kept no longer were removed')
    await deleteMoved()
    return { plans: chosen.plans.filter(({ name }) => removed.has(name)), cleared, orphans, deadLetters }
  }

  return {
    pass: (pass) => {
      const mine = turn.then(() => take(pass))
      turn = mine.catch(() => {})
      return mine
    },
    isUsed: (plan) =>
      leaving.has(plan) || statSync(join(attempts, plan), { throwIfNoEntry: false }) !== undefined,
  }
}
