/**
 * Cycles of needs. One depth-first walk, without recursion and linear in jobs and needs: each need that leads back into the walk's
 * own path closes a cycle.
 */

/** A cycle: its jobs in order, each needing the next and the last the first, and the need that closes it. */
export type Cycle = Readonly<{ jobs: readonly string[]; closing: Readonly<{ job: string; need: string }> }>

/** Cycles named in full; of further ones only the number is known. */
const CYCLES_MAX = 100

/**
 * Finds cycles, each once, in the order of the jobs; without their closing needs no cycle is left. A need that names no job is
 * passed over. A cycle begins with that of its jobs which stands first.
 */
export const findCycles = (
  needs: ReadonlyMap<string, readonly string[]>,
): Readonly<{ cycles: readonly Cycle[]; more: number }> => {
  const cycles: Cycle[] = []
  let more = 0
  const places = new Map([...needs.keys()].map((job, place) => [job, place]))
  const depths = new Map<string, number>()
  const done = new Set<string>()
  for (const root of needs.keys()) {
    if (done.has(root)) continue
    const walk = [{ job: root, next: 0 }]
    depths.set(root, 0)
    for (let here = walk.at(-1); here !== undefined; here = walk.at(-1)) {
      const need = needs.get(here.job)?.[here.next]
      here.next += 1
      if (need === undefined) {
        walk.pop()
        depths.delete(here.job)
        done.add(here.job)
        continue
      }
      if (done.has(need) || !needs.has(need)) continue
      const depth = depths.get(need)
      if (depth === undefined) {
        depths.set(need, walk.length)
        walk.push({ job: need, next: 0 })
      } else if (cycles.length === CYCLES_MAX) {
        more += 1
      } else {
        const jobs = walk.slice(depth).map(({ job }) => job)
        const first = jobs.reduce((a, b) => ((places.get(b) ?? 0) < (places.get(a) ?? 0) ? b : a))
        const at = jobs.indexOf(first)
        cycles.push({ jobs: [...jobs.slice(at), ...jobs.slice(0, at)], closing: { job: here.job, need } })
      }
    }
  }
  return { cycles, more }
}
