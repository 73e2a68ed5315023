/**
 * Removing what is kept no longer from a journal in memory. It refuses, portions and remembers as the journal on a file does.
 */
import { HOME, parseAddress } from '../address.ts'
import type { DeadLetterRow, Pruning } from './journal.ts'
import type { Tables } from './memory-disk.ts'

const HOME_NOTES_AT_ONCE = 200

/** Retention on a disk. `within` checks that the journal may write, `hasEnded` says whether a plan has, and is sound. */
export const memoryPruning = (
  tables: Tables,
  within: () => void,
  hasEnded: (plan: string) => boolean,
): Pruning => {
  const mayGo = (plan: string): boolean =>
    hasEnded(plan) && ![...tables.mail.values()].some(({ address }) => parseAddress(address).plan === plan)
  const begin = (plan: string): void => {
    const key = tables.plans.get(plan)?.key ?? null
    if (key !== null) tables.keys.delete(key)
    for (const table of [tables.plans, tables.revisions, tables.cleared, tables.loading]) table.delete(plan)
    keepOnly(tables.dead, ({ address }) => parseAddress(address).plan !== plan)
    tables.leaving.add(plan)
    tables.pruned = { ...tables.pruned, plans: tables.pruned.plans + 1 }
  }
  const dropRows = (plan: string, rows: number): number => {
    const steps = tables.stepsOfPlan.get(plan) ?? []
    const gone = new Set(steps.splice(0, rows).map(({ position }) => position))
    if (steps.length === 0) tables.stepsOfPlan.delete(plan)
    if (gone.size > 0) {
      keepOnly(tables.steps, ({ position }) => !gone.has(position))
      for (const [address, of] of tables.stepsOfActor) {
        if (parseAddress(address).plan !== plan) continue
        keepOnly(of, ({ position }) => !gone.has(position))
        if (of.length === 0) tables.stepsOfActor.delete(address)
      }
      const { plans, steps: before, last } = tables.pruned
      tables.pruned = { plans, steps: before + gone.size, last: Math.max(last, ...gone) }
    }
    let dropped = gone.size
    for (const table of [tables.jobs, tables.outputs, tables.actors]) {
      const found: Map<unknown, unknown> = table.get(plan) ?? new Map<unknown, unknown>()
      for (const name of [...found.keys()].slice(0, rows - dropped)) {
        found.delete(name)
        dropped += 1
      }
      if (found.size === 0) table.delete(plan)
    }
    return dropped
  }

  const isBare = (plan: string): boolean =>
    (tables.stepsOfPlan.get(plan) ?? []).length === 0 &&
    [tables.jobs, tables.outputs, tables.actors].every((table) => !table.has(plan))

  return {
    remove: async (plans, rows) => {
      within()
      const begun: string[] = []
      const done: string[] = []
      const kept: string[] = []
      let left = rows
      for (const plan of plans) {
        if (left <= 0) break
        if (!tables.leaving.has(plan)) {
          if (!mayGo(plan)) {
            kept.push(plan)
            continue
          }
          begin(plan)
          begun.push(plan)
          left -= 3
        }
        const most = Math.max(1, left)
        const dropped = dropRows(plan, most)
        if (dropped < most) done.push(plan)
        left -= dropped
      }
      return { begun, done, kept }
    },
    leaving: async () => {
      within()
      return [...tables.leaving]
    },
    forget: async (plans) => {
      within()
      for (const plan of plans) if (isBare(plan)) tables.leaving.delete(plan)
    },
    clear: async (plan) => {
      within()
      if (!mayGo(plan)) return false
      tables.cleared.set(plan, tables.position)
      return true
    },
    oldDeadLetters: async (keep, before) => {
      within()
      return oldLetters(tables.dead, keep, before).length
    },
    dropDeadLetters: async (keep, before) => {
      within()
      const old = new Set(oldLetters(tables.dead, keep, before))
      keepOnly(tables.dead, (letter) => !old.has(letter))
      return old.size
    },
    dropHomeNotes: async (keep) => {
      within()
      const there = tables.stepsOfPlan.get(HOME)?.length ?? 0
      return there <= keep ? 0 : dropRows(HOME, Math.min(HOME_NOTES_AT_ONCE, there - keep))
    },
    room: async () => ({ bytes: 0, free: 0 }),
    shrink: async () => {},
  }
}

const oldLetters = (dead: readonly DeadLetterRow[], keep: number, before: number): readonly DeadLetterRow[] =>
  dead.filter(({ at }, index) => index < dead.length - keep || at < before)

const keepOnly = <T>(list: T[], kept: (row: T) => boolean): void => {
  const left = list.filter(kept)
  list.length = 0
  for (const row of left) list.push(row)
}
