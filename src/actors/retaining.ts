/**
 * Retaining: how much of what has ended a home keeps. Nothing of a plan that has not ended is ever touched. A plan goes with its steps
 * and its key in one commit for everybody; its rows follow in portions, between drains, so that no step waits for more than one of
 * them. Its attempt folders, and the folder it was given to run in, are moved aside in the same moment, and deleted when nobody waits. Each part can be done again after a crash.
 *
 * What arrives must not outrun what goes. Rows are what grows first: they wait for no look at a folder and for no folder that is being
 * deleted, and where steps keep them waiting long they have a share of the time.
 */
import type { Clock } from '../clock.ts'
import type { Journal } from '../journal/journal.ts'
import { isPlanEnd, PLAN_STATES } from '../states.ts'
import { type KeptFolders, keptFolders } from './kept-folders.ts'
import { eachOf, type TreeSize } from './tree-size.ts'

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
/** What was asked of the home itself, the newest. */
const HOME_NOTES_MAX = 10_000

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
  /**
   * Whether somebody has a plan in hand: it is in memory, its end is waited for, or an order about one of its attempts is on its way, which
   * would find no folder and take the attempt for a new one.
   */
  isBusy: (plan: string) => boolean
  /** What lies in the home beside the journal; default what is on the disk. */
  folders?: KeptFolders
}>

/** One pass: what it goes by, and whether it only looks. */
export type Pass = Readonly<{
  limits: RetentionLimits
  /** The limits of number and size spare what ended within this time: somebody may just be reading it. */
  spareMs: number
  dryRun: boolean
  /** Somebody waits to hear what everything held that goes, and until no folder of it is left. */
  isAsked: boolean
}>

/** Something that went, or would go. */
export type Gone = Readonly<{ name: string; endedAt: number | null }> & TreeSize

/** What a pass removed, or would remove. */
export type Reclaimed = Readonly<{
  /** Plans, oldest first, with their attempt folders. Where nobody asks, nobody looks how much these hold. */
  plans: readonly Gone[]
  /** Plans of which only the attempt folders go. */
  cleared: readonly Gone[]
  /** Folders below `attempts` that this home has made for plans that the journal does not know, by name. */
  orphans: readonly Gone[]
  deadLetters: number
  /** False when not every plan that is kept could be looked at in time. Those that were need no look again. */
  isWhole: boolean
}>

/** Retention of one home. */
export type Retaining = Readonly<{
  /**
   * Passes take turns.
   * @throws {TenutoError} `NOT_ALLOWED` when something else is in the place of one of the home's folders; nothing was removed then.
   */
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
/** Of the time that a portion had to wait for its turn, portions may take this share together; never longer than the most. */
const SHARE = 0.25
const TURN_MS_MAX = 50
/** A pass that nobody asks for looks so long, in milliseconds, at what is kept: meanwhile other plans are due. */
const MEASURING_MS_MAX = 1_000
const MEASURED_AT_ONCE = 8
const DELETED_AT_ONCE = 8
/** Secrets without a plan wait so long: their plan may just be being taken in. */
const ORPHAN_MS = 3_600_000

/** A plan that has ended, and the seq of the step that ended it. */
type Ended = Readonly<{ id: string; endedAt: number; seq: number }>
/** By which of its steps each plan had ended when it was looked at. */
type Ends = ReadonlyMap<string, number>

const unmeasured = ({ id, endedAt }: Pick<Ended, 'id' | 'endedAt'>): Gone => ({
  name: id,
  endedAt,
  attempts: 0,
  bytes: 0,
})

/** Retention on a home; `leaving` is what the journal says of removals that were begun before. */
export const retaining = (ports: RetainingPorts, leavingBefore: readonly string[]): Retaining => {
  const { home, journal, clock, log, between, isBusy } = ports
  const { folders: disk = keptFolders(home, journal.opening.home, clock.now) } = ports
  const leaving = new Set(leavingBefore)
  /** The folders of an ended plan do not change; a plan that was opened again has another end. */
  const sizes = new Map<string, TreeSize & Readonly<{ endedAt: number }>>()
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
      for (const { id, since, submittedAt, seq } of page)
        found.push({ id, endedAt: since ?? submittedAt, seq })
      before = page.at(-1)?.id
      if (page.length < PAGE) return found
      await yielded()
    }
  }
  /** What can be said of a plan without a look at its folder. */
  const known = ({ id, endedAt }: Ended, folders: ReadonlySet<string>): Gone | undefined => {
    if (!folders.has(id)) return unmeasured({ id, endedAt })
    const size = sizes.get(id)
    return size?.endedAt === endedAt ? { name: id, ...size } : undefined
  }
  const measured = async ({ id, endedAt }: Ended): Promise<Gone> => {
    const size = await disk.sizeOf(id)
    sizes.set(id, { ...size, endedAt })
    return { name: id, endedAt, ...size }
  }
  /**
   * Folders without a plan: of a journal that a backup took the place of, or made again by a runner. Only old ones go, and only those
   * that this home has made.
   */
  const orphansAmong = async (
    folders: Iterable<string>,
    limits: RetentionLimits,
  ): Promise<readonly Gone[]> => {
    const found: Gone[] = []
    for (const name of folders) {
      const changedAt = disk.changedAt(name)
      if (changedAt === undefined || clock.now() - changedAt < limits.attemptsMs) continue
      if ((await journal.plan(name)) !== undefined) continue
      if (!(await disk.isOwn(name))) continue
      found.push({ name, endedAt: null, ...(await disk.sizeOf(name)) })
    }
    return found
  }
  /** In this order; of those at whose folders it must look, only what it came to before the moment `until` of the monotonic clock. */
  const allMeasured = async (
    plans: readonly Ended[],
    folders: ReadonlySet<string>,
    until: number | null,
  ): Promise<readonly Gone[]> => {
    const found = new Map<string, Gone>()
    await eachOf(plans, MEASURED_AT_ONCE, async (plan) => {
      const size =
        known(plan, folders) ??
        (until === null || clock.monotonic() < until ? await measured(plan) : undefined)
      if (size !== undefined) found.set(plan.id, size)
    })
    return plans.flatMap(({ id }) => found.get(id) ?? [])
  }
  /** The plans that are kept no longer, and those of the others whose folders may be, newest first. Looks at no folder. */
  const choose = (
    ended: readonly Ended[],
    { limits, spareMs }: Pass,
  ): Readonly<{ due: readonly Ended[]; rest: readonly Ended[] }> => {
    const due: Ended[] = []
    const rest: Ended[] = []
    for (const [at, plan] of ended.entries()) {
      const age = clock.now() - plan.endedAt
      if (isBusy(plan.id)) continue
      if (age >= limits.plansMs || (at >= limits.plans && age >= spareMs)) due.push(plan)
      else rest.push(plan)
    }
    return { due, rest }
  }
  /** The plans whose folders are kept no longer, oldest first. */
  const chooseCleared = (
    plans: readonly Gone[],
    folders: ReadonlySet<string>,
    { limits, spareMs }: Pass,
  ): readonly Gone[] => {
    const cleared: Gone[] = []
    let bytes = 0
    for (const gone of plans) {
      const age = clock.now() - (gone.endedAt ?? 0)
      const isOver = age >= limits.attemptsMs || (bytes + gone.bytes > limits.attemptBytes && age >= spareMs)
      if (isOver && folders.has(gone.name)) cleared.push(gone)
      else bytes += gone.bytes
    }
    return cleared.toReversed()
  }

  // Removing.

  const moveAside = (name: string, ...which: Parameters<KeptFolders['moveAside']>[1][]): void => {
    for (const folder of which) disk.moveAside(name, folder)
    // They were kept to mask the logs.
    disk.dropSecrets(name)
  }
  /** Secrets of plans that were never taken in, or are not there any more: of another journal, or of a process that was killed. */
  const dropOrphans = async (): Promise<void> => {
    for (const { plan, since, drop } of disk.secrets())
      if (clock.now() - since >= ORPHAN_MS && (await journal.plan(plan)) === undefined) drop()
  }
  const deleteAll = async (): Promise<void> => {
    const tried = new Set<string>()
    for (;;) {
      const names = (await disk.moved()).filter((name) => !tried.has(name))
      if (names.length === 0) return
      await eachOf(names, DELETED_AT_ONCE, async (name) => {
        tried.add(name)
        await disk.deleteMoved(name).catch((error: unknown) => {
          log.warn({ name, error: String(error) }, 'a folder that is kept no longer cannot be deleted')
        })
      })
    }
  }
  let deleting: Promise<void> | undefined
  /** Deletes what was moved aside, also what is so meanwhile; resolves when nothing of it is left. */
  const deleteMoved = (): Promise<void> => {
    deleting ??= deleteAll().finally(() => {
      deleting = undefined
    })
    return deleting
  }
  /** Whoever makes a pass without being asked waits for no folder. */
  const deleteBeside = (): void => {
    deleteMoved().catch((error: unknown) => {
      log.warn({ error: String(error) }, 'folders that are kept no longer cannot be deleted')
    })
  }
  /** Whether a plan may not go now: somebody has it in hand, or has had since it was looked at, so that it has another end. */
  const isWanted = async (plan: string, ends: Ends): Promise<boolean> =>
    isBusy(plan) || (await journal.plan(plan))?.seq !== ends.get(plan)
  const removePlans = async (plans: readonly string[], ends: Ends): Promise<ReadonlySet<string>> => {
    const removed = new Set<string>()
    let queue = plans
    while (queue.length > 0) {
      const asked = clock.monotonic()
      await between(async () => {
        const began = clock.monotonic()
        const until = began + Math.min(TURN_MS_MAX, SHARE * (began - asked))
        do queue = await removePortion(queue, ends, removed)
        while (queue.length > 0 && clock.monotonic() < until)
      })
      await yielded()
    }
    return removed
  }
  /** One commit; answers the plans that are still to go. */
  const removePortion = async (
    queue: readonly string[],
    ends: Ends,
    removed: Set<string>,
  ): Promise<readonly string[]> => {
    const some = queue.slice(0, PLANS_AT_ONCE)
    const wanted = new Set<string>()
    for (const id of some) if (!leaving.has(id) && (await isWanted(id, ends))) wanted.add(id)
    const { begun, done, kept } = await journal.pruning.remove(
      some.filter((id) => !wanted.has(id)),
      ROWS,
    )
    for (const id of begun) {
      leaving.add(id)
      removed.add(id)
      moveAside(id, 'attempts', 'work')
    }
    if (done.length > 0) await journal.pruning.forget(done)
    for (const id of done) leaving.delete(id)
    const over = new Set([...done, ...kept, ...wanted])
    return queue.filter((id) => !over.has(id))
  }
  /** What was begun and has not come to its end: that is what the journal says, whatever a pass has seen of it before it failed. */
  const goOn = async (): Promise<void> => {
    const known = await journal.pruning.leaving()
    leaving.clear()
    for (const id of known) leaving.add(id)
    for (const id of known) {
      if ((await journal.plan(id)) !== undefined) continue
      moveAside(id, 'attempts', 'work')
    }
    await removePlans(known, new Map())
  }
  const clear = (plan: string, ends: Ends): Promise<boolean> =>
    between(async () => {
      if ((await isWanted(plan, ends)) || !(await journal.pruning.clear(plan))) return false
      moveAside(plan, 'attempts')
      sizes.delete(plan)
      return true
    })
  const clearOrphan = (name: string): Promise<boolean> =>
    between(async () => {
      if ((await journal.plan(name)) !== undefined) return false
      moveAside(name, 'attempts')
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
    const { limits, dryRun, isAsked } = pass
    // Somebody may have put something else in the place of one since the home was opened.
    disk.check()
    if (!dryRun) await goOn()
    if (!dryRun) await dropOrphans()
    // Folders first: what the journal does not know then, it never knew, or knows no more.
    const folders = new Set(await disk.names())
    const ended = await endedPlans()
    const ends: Ends = new Map(ended.map(({ id, seq }) => [id, seq]))
    for (const id of sizes.keys()) if (!ends.has(id)) sizes.delete(id)
    const { due, rest } = choose(ended, pass)
    const plans = (isAsked ? await allMeasured(due, folders, null) : due.map(unmeasured)).toReversed()
    const removed = await removePlans(dryRun ? [] : plans.map(({ name }) => name), ends)
    if (!isAsked) deleteBeside()

    const looked = await allMeasured(rest, folders, isAsked ? null : clock.monotonic() + MEASURING_MS_MAX)
    const toClear = chooseCleared(looked, folders, pass)
    const others = [...folders].filter((name) => !ends.has(name) && !leaving.has(name))
    const orphaned = await orphansAmong(others, limits)
    const oldest = clock.now() - limits.deadLettersMs
    const isWhole = looked.length === rest.length
    if (dryRun) {
      const deadLetters = await journal.pruning.oldDeadLetters(limits.deadLetters, oldest)
      return { plans, cleared: toClear, orphans: orphaned, deadLetters, isWhole }
    }
    const cleared = await those(toClear, (name) => clear(name, ends))
    const orphans = await those(orphaned, clearOrphan)
    const deadLetters = await journal.pruning.dropDeadLetters(limits.deadLetters, oldest)
    if (deadLetters > 0) log.warn({ deadLetters }, 'dead letters that are kept no longer were removed')
    await journal.pruning.dropHomeNotes(HOME_NOTES_MAX)
    if (isAsked) await deleteMoved()
    else deleteBeside()
    return { plans: plans.filter(({ name }) => removed.has(name)), cleared, orphans, deadLetters, isWhole }
  }

  return {
    pass: (pass) => {
      const mine = turn.then(() => take(pass))
      turn = mine.catch(() => {})
      return mine
    },
    isUsed: (plan) => leaving.has(plan) || disk.isThere(plan),
  }
}
