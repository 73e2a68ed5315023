/**
 * What is found of an attempt beside its messages: that it was there when somebody looked for it, and that its process began. Neither
 * is a message to its job; both are noted.
 */
import { type Address, parseAddress } from '../address.ts'
import type { AttemptBegun, AttemptFound } from './attempts.ts'
import type { Memory } from './memory.ts'
import type { Note } from './transaction.ts'

/** Of which job, and what. */
export type Find = readonly [address: Address, news: AttemptFound | AttemptBegun]

/** Notes what is found, into the open transaction. */
export const finding = (
  { recovering, residents }: Pick<Memory, 'recovering' | 'residents'>,
  note: (told: Note) => void,
): ((find: Find) => void) => {
  const found = (address: Address, { attempt, how, pid }: AttemptFound): void => {
    const place = parseAddress(address)
    if (recovering.get(address) !== attempt || place.kind !== 'job') return
    recovering.delete(address)
    note({
      type: 'recovered',
      plan: place.plan,
      job: place.job,
      attempt,
      state: 'running',
      reason: how,
      detail: { pid },
    })
  }
  /** Whatever becomes of its folder, it is never started again. */
  const began = (address: Address, { attempt, pid }: AttemptBegun): void => {
    const entry = residents.get(parseAddress(address).plan)?.actors.get(address)
    const row = entry?.resident.rows[entry.index]
    const isOpen = entry?.value === 'running' || entry?.value === 'stopping'
    if (!row || !isOpen || row.attempt !== attempt) return
    const { id: plan, begun } = entry.resident
    if (begun.get(row.name) === attempt) return
    begun.set(row.name, attempt)
    note({ type: 'begun', plan, job: row.name, attempt, state: entry.value, detail: { pid } })
  }
  return ([address, news]) => (news.type === 'attempt.found' ? found(address, news) : began(address, news))
}
