/**
 * What was ever committed in a world, and what retention has taken of it since: what is there must be the one without the other.
 */
import { parseAddress, planAddress } from '../../src/address.ts'
import type { Batch, DeadLetterRow, Journal, JournalReader, StepRow } from '../../src/journal/journal.ts'
import type { MemoryDisk } from '../../src/journal/memory-disk.ts'
import { isPlanEnd } from '../../src/states.ts'
import type { Folders } from './folders.ts'
import type { RetentionPass } from './retention.ts'

/** The book of a world. */
export type Ledger = Readonly<{
  /** Every step, in order. */
  steps: readonly StepRow[]
  /** Plans that were removed, each with its steps. */
  removed: ReadonlySet<string>
  /** Plans whose attempt folders were. */
  cleared: ReadonlySet<string>
  /** The state in which a plan is, or was when it was removed. */
  state: (plan: string) => string | undefined
  took: (batch: Batch) => void
  /** What a journal did for a pass is checked against what was there before it. */
  watch: (
    journal: Journal,
    pass: () => RetentionPass | undefined,
    isResident: (plan: string) => boolean,
  ) => Journal['pruning']
  /** What is wrong with what is there. */
  wrong: (reader: JournalReader) => Promise<readonly string[]>
  /** What of removed plans is still there when nothing may be, and what of others is not there. */
  left: (folders: Folders) => readonly string[]
}>

/** The book of a disk on which nothing was committed. `wrong` is told of what must not be removed. */
export const ledger = (
  { tables, faults }: MemoryDisk,
  wall: () => number,
  wrong: (what: string) => void,
): Ledger => {
  const steps: StepRow[] = []
  const letters = new Map<number, DeadLetterRow>()
  const last = new Map<string, StepRow>()
  const submitted: string[] = []
  const ended = new Set<string>()
  const removed = new Set<string>()
  const cleared = new Set<string>()
  /** As retention has seen it: how it counts must never go down. */
  let before = { plans: 0, steps: 0, last: 0, letters: 0 }

  const planOf = ({ address }: Readonly<{ address: StepRow['address'] }>): string =>
    parseAddress(address).plan
  /** Why a plan may not be touched by retention at all. */
  const whyNot = (plan: string, isResident: (plan: string) => boolean): string | undefined => {
    const { to } = last.get(plan) ?? {}
    if (to === undefined || !isPlanEnd(to)) return `it is ${to}`
    if ([...tables.mail.values()].some((row) => planOf(row) === plan)) return 'it has mail'
    if (tables.aside.has(plan)) return 'it is set aside'
    if (faults.damaged?.has(planAddress(plan))) return 'its row is damaged'
    return isResident(plan) ? 'it is in memory' : undefined
  }
  const ageOf = (plan: string): number => wall() - (last.get(plan)?.at ?? 0)
  const isOver = (plan: string, { limits, spareMs, jumped }: RetentionPass): boolean => {
    const later = submitted.slice(submitted.indexOf(plan) + 1).filter((other) => ended.has(other)).length
    return jumped() || ageOf(plan) >= limits.plansMs || (later >= limits.plans && ageOf(plan) >= spareMs)
  }
  const isOverItsFolders = (plan: string, { limits, spareMs, jumped }: RetentionPass): boolean =>
    jumped() ||
    ageOf(plan) >= limits.attemptsMs ||
    (limits.attemptBytes < Number.POSITIVE_INFINITY && ageOf(plan) >= spareMs)

  return {
    steps,
    removed,
    cleared,
    state: (plan) => last.get(plan)?.to,
    took: (batch) => {
      for (const step of batch.steps) {
        steps.push(step)
        const place = parseAddress(step.address)
        if (place.kind !== 'plan') continue
        last.set(place.plan, step)
        if (isPlanEnd(step.to)) ended.add(place.plan)
      }
      for (const { plan } of batch.plans) submitted.push(plan.id)
      for (const letter of batch.dead) letters.set(letter.id, letter)
      for (const id of batch.raised) letters.delete(id)
    },
    watch: (journal, passing, isResident) => ({
      ...journal.pruning,
      remove: async (plans, rows) => {
        const pass = passing()
        const not = new Map(plans.map((plan) => [plan, whyNot(plan, isResident)]))
        const over = new Set(plans.filter((plan) => pass && isOver(plan, pass)))
        const done = await journal.pruning.remove(plans, rows)
        for (const plan of done.begun) {
          if (removed.has(plan)) wrong(`${plan} is removed twice`)
          if (pass?.dryRun) wrong(`${plan} is removed by who only looks`)
          if (not.get(plan) !== undefined) wrong(`${plan} is removed although ${not.get(plan)}`)
          else if (!over.has(plan)) wrong(`${plan} is removed although it is over no limit`)
          removed.add(plan)
          for (const [id, letter] of letters) if (planOf(letter) === plan) letters.delete(id)
        }
        return done
      },
      clear: async (plan) => {
        const pass = passing()
        const not = whyNot(plan, isResident)
        const done = await journal.pruning.clear(plan)
        if (!done) return done
        if (pass?.dryRun) wrong(`the folders of ${plan} are removed by who only looks`)
        if (not !== undefined) wrong(`the folders of ${plan} are removed although ${not}`)
        else if (!pass || !isOverItsFolders(plan, pass))
          wrong(`the folders of ${plan} are removed although it is over no limit`)
        cleared.add(plan)
        return done
      },
      dropDeadLetters: async (keep, oldest) => {
        const there = [...tables.dead]
        const dropped = await journal.pruning.dropDeadLetters(keep, oldest)
        const left = new Set(tables.dead)
        for (const [at, letter] of there.entries()) {
          if (left.has(letter)) continue
          if (at >= there.length - keep && letter.at >= oldest)
            wrong(`dead letter ${letter.id} is removed although it is over no limit`)
          letters.delete(letter.id)
        }
        return dropped
      },
    }),
    wrong: async (reader) => {
      const found: string[] = []
      const there = await reader.steps({ after: 0, limit: Number.MAX_SAFE_INTEGER })
      const at = new Map(there.map((step) => [step.position, step]))
      const isSame = (step: StepRow): boolean =>
        JSON.stringify(at.get(step.position)) === JSON.stringify(step)
      for (const step of steps) {
        const isGone = removed.has(planOf(step))
        if (at.has(step.position) ? !isSame(step) : !isGone)
          found.push(`step ${step.position} of ${step.address} is not there as it was committed`)
      }
      if (there.length > steps.length)
        found.push(`${there.length} steps are there, and ${steps.length} were committed`)
      const dead = new Map(tables.dead.map((letter) => [letter.id, letter]))
      for (const { id, address } of letters.values())
        if (!dead.has(id)) found.push(`dead letter ${id} to ${address} is not there`)
      for (const id of dead.keys()) if (!letters.has(id)) found.push(`dead letter ${id} is there again`)
      for (const plan of last.keys()) {
        if (removed.has(plan)) continue
        if (!tables.plans.has(plan) || !tables.revisions.has(plan)) found.push(`${plan} is not there`)
      }
      const pruned = await reader.pruned()
      const now = { ...pruned, letters: (await reader.totals()).deadLettersEver }
      for (const [what, count] of Object.entries(before))
        if (now[what as keyof typeof now] < count) found.push(`${what} went down from ${count}`)
      before = now
      if (pruned.plans !== removed.size)
        found.push(`${pruned.plans} plans are counted as removed, and ${removed.size} were`)
      if (pruned.steps !== steps.length - there.length)
        found.push(`${pruned.steps} steps are counted as removed, and ${steps.length - there.length} were`)
      return found
    },
    left: (folders) => [
      ...[...last.keys()].flatMap((plan) => {
        if (removed.has(plan)) return []
        const { work, secrets } = folders.of(plan)
        const found = folders.lost(plan, cleared.has(plan)).map((dir) => `${dir} is gone`)
        if (!work) found.push(`the folder that ${plan} ran in is gone`)
        if (!secrets && !cleared.has(plan)) found.push(`the secrets of ${plan} are gone`)
        return found
      }),
      ...[...removed].flatMap((plan) => {
        const found: string[] = []
        for (const [what, of] of Object.entries({
          plan: tables.plans,
          definition: tables.revisions,
          jobs: tables.jobs,
          outputs: tables.outputs,
          actors: tables.actors,
          steps: tables.stepsOfPlan,
          'reason it was set aside': tables.aside,
          loading: tables.loading,
          'note that it leaves': tables.leaving,
          'note that it was cleared': tables.cleared,
        }))
          if (of.has(plan)) found.push(what)
        if ([...tables.mail.values()].some((row) => planOf(row) === plan)) found.push('mail')
        if ([...tables.keys.values()].includes(plan)) found.push('key')
        if (tables.steps.some((step) => planOf(step) === plan)) found.push('row of steps')
        if ([...tables.stepsOfActor.keys()].some((address) => parseAddress(address).plan === plan))
          found.push('index of steps')
        for (const [what, is] of Object.entries(folders.of(plan))) if (is) found.push(what)
        return found.map((what) => `${plan} is removed, and of it is left: ${what}`)
      }),
    ],
  }
}
