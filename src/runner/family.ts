/**
 * The family of an attempt by descent: who left its group and dropped its marker is known by its parents alone, and only while these
 * live. So whoever stops an attempt looks before the first signal. Where the system does not say who descends from whom, it is nobody.
 */
import type { Identity } from '../attempt.ts'
import { bootId, childrenByParent, isAlive, markerOf, type Seen } from '../process.ts'

type Children = ReadonlyMap<number, readonly Seen[]>

let looked: Children | undefined

/** One look at all processes serves every attempt that is stopped in the same turn. */
const children = (): Children => {
  if (looked === undefined) {
    looked = childrenByParent()
    setImmediate(() => {
      looked = undefined
    })
  }
  return looked
}

/**
 * Who descends from these processes, as far as they live, without themselves. Who bears another marker is left alone, with all that
 * descends from it: another attempt, or the runner of another home that a job has started.
 */
export const familyOf = (heads: readonly Identity[], key: string): readonly Identity[] => {
  const of = children()
  const found = new Map<number, Identity>()
  const seen = new Set(heads.map(({ pid }) => pid))
  const walk = heads.filter(isAlive).map(({ pid }) => pid)
  for (const parent of walk)
    for (const { pid, start } of of.get(parent) ?? []) {
      if (seen.has(pid)) continue
      seen.add(pid)
      const marker = markerOf(pid)
      if (marker !== undefined && marker !== key) continue
      found.set(pid, { pid, start, boot: bootId() })
      walk.push(pid)
    }
  return [...found.values()]
}
