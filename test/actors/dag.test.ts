import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { Call } from '../../src/actors/calls.ts'
import { seededRandom } from '../../src/ids.ts'
import { memoryJournal } from '../../src/journal/memory.ts'
import { memoryDisk } from '../../src/journal/memory-disk.ts'
import { createRuntime, type Runtime } from '../../src/runtime.ts'
import {
  chain,
  diamond,
  expectInOrder,
  fan,
  type Graph,
  onDisk,
  planOf,
  randomGraph,
} from '../support/graphs.ts'

const inMemory = async (handler: (call: Call) => unknown): Promise<Runtime> => {
  const boot = { bootId: 'b', pid: 1, build: 'x', at: 0 }
  const runtime = await createRuntime({
    handlers: { work: handler },
    ports: { journal: () => memoryJournal(memoryDisk(), boot) },
  })
  onTestFinished(() => runtime.stop())
  return runtime
}

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

const together = (n: number): Graph => ({
  ...Object.fromEntries(Array.from({ length: n }, (_, at) => [`j${at}`, []])),
  ...Object.fromEntries(Array.from({ length: n }, (_, at) => [`after${at}`, [`j${at}`]])),
  last: Array.from({ length: n }, (_, at) => `j${at}`),
})

// Fails when the host drops what it is told while a drain is in flight, as a busy flag would.
test.each([2, 50])(
  'bug-c: %i jobs that end in the same moment are all applied, in 200 interleavings',
  async (n) => {
    for (let seed = 1; seed <= 200; seed += 1) {
      const random = seededRandom(seed)
      const ends: (() => void)[] = []
      const ran: string[] = []
      const runtime = await inMemory(async ({ job }) => {
        ran.push(job)
        if (!job.startsWith('j')) return
        const ended = new Promise<void>((resolve) => {
          ends.push(resolve)
        })
        // The last to begin ends all: some at once, some a turn of the loop later, while the first are being committed.
        if (ends.length === n) {
          for (const end of ends.toSorted(() => random() - 0.5)) {
            if (random() < 0.5) end()
            else setImmediate(end)
          }
        }
        await ended
      })

      const plan = await runtime.submit(planOf(together(n), () => ({ call: 'work' }), 200))

      expect({ seed, state: (await plan.settled()).state }).toEqual({ seed, state: 'succeeded' })
      expectInOrder(together(n), ran)
      await runtime.stop()
    }
  },
)

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
