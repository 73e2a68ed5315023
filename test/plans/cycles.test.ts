import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { findCycles } from '../../src/plans/cycles.ts'

type Graph = ReadonlyMap<string, readonly string[]>

/** Whether anything needs itself in the end: take away what needs nothing, again and again. */
const isCyclic = (graph: Graph): boolean => {
  let left = [...graph.keys()]
  for (;;) {
    const still = left.filter((job) => (graph.get(job) ?? []).some((need) => left.includes(need)))
    if (still.length === left.length) return left.length > 0
    left = still
  }
}

const graphs = fc.integer({ min: 1, max: 8 }).chain((size) => {
  const names = Array.from({ length: size }, (_, i) => `j${i}`)
  return fc
    .tuple(...names.map(() => fc.subarray([...names, 'nobody'])))
    .map((needs): Graph => new Map(names.map((name, i) => [name, needs[i] ?? []])))
})

describe('cycles', () => {
  test('agree with a naive model on random graphs', () => {
    fc.assert(
      fc.property(graphs, (graph) => {
        const { cycles, more } = findCycles(graph)

        expect(cycles.length > 0).toBe(isCyclic(graph))
        expect(more).toBe(0)
        for (const { jobs } of cycles) {
          expect(new Set(jobs).size).toBe(jobs.length)
          for (const [index, job] of jobs.entries()) {
            expect(graph.get(job)).toContain(jobs[(index + 1) % jobs.length])
          }
          expect(jobs[0]).toBe([...jobs].sort()[0])
        }
        // Each once, and without the needs that close them there is none.
        expect(new Set(cycles.map(({ jobs }) => jobs.join())).size).toBe(cycles.length)
        const closing = new Set(cycles.map((cycle) => `${cycle.closing.job} ${cycle.closing.need}`))
        const cut = new Map(
          [...graph].map(([job, needs]) => [job, needs.filter((need) => !closing.has(`${job} ${need}`))]),
        )
        expect(isCyclic(cut)).toBe(false)
      }),
      { numRuns: 2000 },
    )
  })

  test('of very many cycles a hundred are named and all are counted', () => {
    const { cycles, more } = findCycles(new Map(Array.from({ length: 1000 }, (_, i) => [`j${i}`, [`j${i}`]])))

    expect(cycles).toHaveLength(100)
    expect(more).toBe(900)
  })
})
