/**
 * Graphs of jobs, and a runtime on a real disk to run them.
 */
import { mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished } from 'vitest'
import type { Call } from '../../src/actors/calls.ts'
import type { Definition, JobDefinition, Need } from '../../src/definition.ts'
import { type Random, seededRandom } from '../../src/ids.ts'
import { memoryJournal } from '../../src/journal/memory.ts'
import { memoryDisk } from '../../src/journal/memory-disk.ts'
import { createRuntime, type Runtime } from '../../src/runtime.ts'
import { removeFolder } from './folders.ts'

/** The needs of each job, by name. */
export type Graph = Readonly<Record<string, readonly string[]>>

export const chain = (n: number): Graph =>
  Object.fromEntries(Array.from({ length: n }, (_, at) => [`j${at}`, at === 0 ? [] : [`j${at - 1}`]]))
export const fan = (n: number): Graph => {
  const names = Array.from({ length: n }, (_, at) => `j${at}`)
  return Object.fromEntries([['first', []], ...names.map((name) => [name, ['first']]), ['last', names]])
}
export const diamond: Graph = { a: [], b: ['a'], c: ['a'], d: ['b', 'c'] }
export const randomGraph = (n: number, random: Random): Graph => {
  const density = (random() * 6) / n
  return Object.fromEntries(
    Array.from({ length: n }, (_, at) => [
      `j${at}`,
      Array.from({ length: at }, (__, before) => `j${before}`).filter(() => random() < density),
    ]),
  )
}

export const planOf = (
  graph: Graph,
  job: (name: string) => Partial<JobDefinition>,
  maxParallel = 16,
): Definition => ({
  version: 1,
  name: 'dag',
  maxParallel,
  onFailure: 'continue',
  env: {},
  jobs: Object.fromEntries(
    Object.entries(graph).map(([name, needs]) => [
      name,
      {
        kind: 'call',
        needs: Object.fromEntries(needs.map((need): [string, Need] => [need, 'success'])),
        graceMs: 1000,
        onLost: 'retry',
        ...job(name),
      },
    ]),
  ),
})

export const onDisk = async (): Promise<Readonly<{ runtime: Runtime; folder: string }>> => {
  const folder = mkdtempSync(join(tmpdir(), 'tenuto-dag-'))
  const runtime = await createRuntime({ home: join(folder, 'home') })
  onTestFinished(async () => {
    await runtime.stop()
    removeFolder(folder)
  })
  return { runtime, folder }
}

/** Every job exactly once, none before all its needs. */
export const expectInOrder = (graph: Graph, ran: readonly string[]): void => {
  expect(ran.toSorted()).toEqual(Object.keys(graph).toSorted())
  const at = new Map(ran.map((name, index) => [name, index]))
  for (const [name, needs] of Object.entries(graph)) {
    for (const need of needs) expect(at.get(need), `${need} before ${name}`).toBeLessThan(at.get(name) ?? -1)
  }
}

/** 300 random jobs, each a process that writes its name; their order in the ledger is what they were given. */
export const keepsOrderOnProcesses = async (seed: number): Promise<void> => {
  const graph = randomGraph(300, seededRandom(seed))
  const { runtime, folder } = await onDisk()
  const ledger = join(folder, 'ledger')
  const run = `echo $TENUTO_JOB >> ${ledger}`

  const plan = await runtime.submit(planOf(graph, () => ({ kind: 'run', run, onLost: 'hold' })))

  expect((await plan.settled()).state).toBe('succeeded')
  expectInOrder(graph, readFileSync(ledger, 'utf8').trim().split('\n'))
}

/** A runtime whose journal is in memory, with one handler, `work`. */
export const inMemory = async (handler: (call: Call) => unknown): Promise<Runtime> => {
  const boot = { bootId: 'b', pid: 1, build: 'x', at: 0 }
  const runtime = await createRuntime({
    handlers: { work: handler },
    ports: { journal: () => memoryJournal(memoryDisk(), boot) },
  })
  onTestFinished(() => runtime.stop())
  return runtime
}

/** So many jobs that end together, one after each, and one after all. */
export const together = (n: number): Graph => ({
  ...Object.fromEntries(Array.from({ length: n }, (_, at) => [`j${at}`, []])),
  ...Object.fromEntries(Array.from({ length: n }, (_, at) => [`after${at}`, [`j${at}`]])),
  last: Array.from({ length: n }, (_, at) => `j${at}`),
})

/** bug-c: lets so many jobs end in the same moment, in 200 interleavings. Fails when the host drops what it is told while a drain is in flight, as a busy flag would. */
export const endsTogether = async (n: number): Promise<void> => {
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
}
