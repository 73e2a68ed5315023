import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { seededRandom } from '../../src/ids.ts'
import {
  chain,
  diamond,
  endsTogether,
  expectInOrder,
  fan,
  type Graph,
  inMemory,
  onDisk,
  planOf,
  randomGraph,
  together,
} from '../support/graphs.ts'

const seeds = Array.from({ length: 20 }, (_, at) => at + 1)
const graphs: readonly (readonly [string, Graph])[] = [
  ['a diamond', diamond],
  ['a chain of 200', chain(200)],
  ['a fan-out of 1000 with a join', fan(1000)],
  ...seeds.map((seed) => [`300 random jobs, seed ${seed}`, randomGraph(300, seededRandom(seed))] as const),
]

// Order is read off what ran, not off what the host says of it.
test.each(graphs)(
  '%s: every job exactly one attempt, none before its needs, the join last',
  async (_, graph) => {
    const ran: string[] = []
    const random = seededRandom(1)
    const runtime = await inMemory(async ({ job }) => {
      ran.push(job)
      if (random() < 0.3) await new Promise((resolve) => setImmediate(resolve))
    })

    const plan = await runtime.submit(planOf(graph, () => ({ call: 'work' })))
    const { state, jobs } = await plan.settled()

    expect(state).toBe('succeeded')
    expectInOrder(graph, ran)
    expect(Object.values(jobs).every(({ attempt }) => attempt === 1)).toBe(true)
  },
)

test('bug-c: two jobs that end in the same moment are both applied, in 200 interleavings', () =>
  endsTogether(2))

test.each([1, 2, 3, 4, 5])('bug-c on real processes: fifty that wait for one file, round %i', async () => {
  const { runtime, folder } = await onDisk()
  const [go, ledger] = [join(folder, 'go'), join(folder, 'ledger')]
  const wait = `echo up >> ${ledger}; until test -e ${go}; do sleep 0.02; done`
  const graph = together(50)
  const plan = await runtime.submit(
    planOf(graph, (name) => ({ kind: 'run', run: name.startsWith('j') ? wait : 'true', onLost: 'hold' }), 60),
  )
  let up = 0
  for await (const event of runtime.events({ plan: plan.id })) {
    up += event.type === 'slot.granted' ? 1 : 0
    if (up === 50) break
  }
  writeFileSync(go, '')

  const { state, jobs } = await plan.settled()

  expect(state).toBe('succeeded')
  expect(Object.values(jobs).every(({ attempt }) => attempt === 1)).toBe(true)
})
