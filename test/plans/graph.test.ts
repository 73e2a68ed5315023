import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { definePlan, type JobSource, type PlanSource } from '../../src/plans/define-plan.ts'
import { type GraphState, renderGraph } from '../../src/plans/graph.ts'
import { planSourceArbitrary } from './arbitrary.ts'

const release = definePlan({
  name: 'release',
  jobs: {
    fetch: { run: 'x' },
    lint: { needs: ['fetch'], run: 'x' },
    unit: { needs: ['fetch'], run: 'x' },
    gate: { needs: ['lint', 'unit'], run: 'x' },
    docs: { needs: ['fetch'], run: 'x', optional: true },
    ship: { needs: { gate: 'success', docs: 'any' }, exec: ['./ship'] },
    alone: { run: 'x' },
  },
})
const states = new Map<string, GraphState>([
  ['fetch', { state: 'succeeded', reason: null }],
  ['lint', { state: 'failed', reason: 'exit' }],
])

const linesOf = (text: string): string[] => text.trimEnd().split('\n')

describe('a plan as a tree', () => {
  test('draws each job once and names it after an arrow elsewhere', () => {
    expect(renderGraph(release, 'tree')).toBe(
      `release (7 jobs)
├─ fetch
│  ├─ lint
│  │  └─ gate
│  │     └─ ship  [docs: any]
│  ├─ unit → gate
│  └─ docs → ship
└─ alone
`,
    )
  })

  test('shows states and reasons', () => {
    const lines = linesOf(renderGraph(release, 'tree', { states }))

    expect(lines[1]).toBe('├─ fetch  ✓ succeeded')
    expect(lines[2]).toBe('│  ├─ lint  ✗ failed (exit)')
  })

  test('a chain of 200 goes on at the left when it would leave the screen', () => {
    const jobs = Object.fromEntries(
      Array.from({ length: 200 }, (_, i): [string, JobSource] => [
        `c${i}`,
        { run: 'x', needs: i === 0 ? [] : [`c${i - 1}`] },
      ]),
    )
    const lines = linesOf(renderGraph(definePlan({ jobs }), 'tree'))

    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80)
    for (const name of Object.keys(jobs)) {
      expect(
        lines.filter((line) => new RegExp(`─ ${name}( |$)`).test(line)),
        name,
      ).toHaveLength(1)
    }
  })

  test('what goes on at the left stands there, whoever else needs it', () => {
    const chain = Array.from({ length: 14 }, (_, i): [string, JobSource] => [
      `c${i}`,
      { run: 'x', needs: i === 0 ? [] : [`c${i - 1}`] },
    ])
    const jobs = {
      ...Object.fromEntries(chain),
      other: { run: 'x' },
      end: { run: 'x', needs: ['c13', 'other'] },
    }
    const lines = linesOf(renderGraph(definePlan({ jobs } as PlanSource), 'tree'))

    expect(lines.slice(-4).map((line) => line.replace(/^│ +/, ''))).toEqual([
      '└─ c13  ⋯ below',
      '└─ other → end',
      'c13  (from above)',
      '└─ end',
    ])
  })

  test('10 000 jobs with every need between two layers stay one line a job', () => {
    const layer = (name: string, needs: string[]): [string, JobSource][] =>
      Array.from({ length: 100 }, (_, i) => [`${name}${i}`, { run: 'x', needs }])
    const first = layer('a', [])
    const second = layer(
      'b',
      first.map(([name]) => name),
    )
    const wide = Array.from({ length: 9_800 }, (_, i): [string, JobSource] => [
      `w${i}`,
      { run: 'x', needs: [`b${i % 100}`] },
    ])
    const lines = linesOf(
      renderGraph(definePlan({ jobs: Object.fromEntries([...first, ...second, ...wide]) }), 'tree'),
    )

    expect(lines).toHaveLength(10_001)
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80)
    expect(lines.at(-1)).toMatch(/^└─ a99 → b0, b1, .*\+\d+$/)
  })

  test('draws every job of a random plan exactly once', () => {
    fc.assert(
      fc.property(planSourceArbitrary, (source) => {
        const plan = definePlan(source as unknown as PlanSource)
        const lines = linesOf(renderGraph(plan, 'tree', { width: 40 })).slice(1)
        const drawn = lines.map((line) => /─ ([^ ]+)/.exec(line)?.[1]).filter((name) => name !== undefined)

        expect(drawn.sort()).toEqual(Object.keys(plan.jobs).sort())
      }),
      { numRuns: 50 },
    )
  })
})

describe('a plan for other programs', () => {
  test('Mermaid has a node for each job and an arrow for each need', () => {
    const lines = linesOf(renderGraph(release, 'mermaid', { states }))

    expect(lines[0]).toBe('flowchart TD')
    expect(lines).toContain('  n1["lint<br/>✗ failed (exit)"]:::failed')
    expect(lines).toContain('  n1 --> n3')
    expect(lines).toContain('  n4 -. any .-> n5')
    expect(lines).toContain('  classDef failed fill:#f87171,color:#111')
  })

  test('Graphviz has them too', () => {
    const lines = linesOf(renderGraph(release, 'dot'))

    expect(lines[0]).toBe('digraph "release" {')
    expect(lines).toContain('  "lint" -> "gate"')
    expect(lines).toContain('  "docs" -> "ship" [style=dashed, label="any"]')
    expect(lines.at(-1)).toBe('}')
  })

  test('JSON has names, kinds, needs and states', () => {
    const { name, jobs } = JSON.parse(renderGraph(release, 'json', { states })) as {
      name: string
      jobs: unknown[]
    }

    expect(name).toBe('release')
    expect(jobs[1]).toEqual({
      name: 'lint',
      kind: 'run',
      needs: { fetch: 'success' },
      state: 'failed',
      reason: 'exit',
    })
    expect(jobs[4]).toEqual({ name: 'docs', kind: 'run', needs: { fetch: 'success' }, optional: true })
  })
})
