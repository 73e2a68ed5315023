import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { endsTogether, fan, keepsOrderOnProcesses, onDisk, planOf } from '../support/graphs.ts'

test.each([1, 2, 3, 4, 5])(
  '300 random jobs on real processes, seed %i, keep their order in a ledger',
  (seed) => keepsOrderOnProcesses(seed),
)

test('a join of 1000 jobs gets 1 KB of outputs from each', async () => {
  const { runtime, folder } = await onDisk()
  const graph = fan(1000)
  const many = 'printf "text=%01000d\\n" 7 >> "$TENUTO_OUTPUT"'
  const last = `cp "$TENUTO_NEEDS" ${join(folder, 'needs.json')}`

  const plan = await runtime.submit(
    planOf(graph, (name) => ({ kind: 'run', run: name === 'last' ? last : many, onLost: 'hold' })),
  )

  expect((await plan.settled()).state).toBe('succeeded')
  const needs = JSON.parse(readFileSync(join(folder, 'needs.json'), 'utf8')) as Record<
    string,
    { outputs: { text: string } }
  >
  expect(Object.keys(needs)).toHaveLength(1001)
  expect(Object.values(needs).every(({ outputs }) => outputs.text.length === 1000)).toBe(true)
})

test('bug-c: fifty jobs that end in the same moment are all applied, in 200 interleavings', () =>
  endsTogether(50))
