/**
 * Cancel raced with completion, on real processes: whatever the moment, a plan ends cancelled or rightly, nothing starts after the
 * cancel, and no process is left.
 *
 * Mutations that were planted once, and each found: a cancelled plan that goes on granting slots; a cancel that ends the job and
 * leaves its processes.
 */
import { expect, test } from 'vitest'
import { isTenutoError } from '../../src/errors.ts'
import { seededRandom } from '../../src/ids.ts'
import { markedProcesses } from '../../src/process.ts'
import type { Runtime } from '../../src/runtime.ts'
import { onDisk, planOf } from '../support/graphs.ts'

const ROUNDS = 500
const AT_ONCE = 20

/** Cancels a plan after so many of its steps; answers whether the order was taken. */
const cancelAfter = async (runtime: Runtime, plan: string, steps: number): Promise<boolean> => {
  let seen = 0
  for await (const { address, to } of runtime.events({ plan }))
    if (++seen >= steps || (address === `plan:${plan}` && to === 'succeeded')) break
  try {
    return (await runtime.command(plan, null, { do: 'cancel' })).changed
  } catch (error) {
    if (isTenutoError(error, 'WRONG_STATE')) return false
    throw error
  }
}

test('cancel raced with completion 500 times: cancelled or rightly ended, no start afterwards, no process left', async () => {
  const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31))
  const random = seededRandom(seed)
  const { runtime } = await onDisk()
  const ends = new Map<string, number>()
  const race = async (round: number): Promise<void> => {
    const story = `seed ${seed}, round ${round}`
    const nap = (random() * 0.05).toFixed(3)
    const definition = planOf({ first: [], second: ['first'], third: ['second'] }, (name) => ({
      kind: 'run',
      run: name === 'third' ? 'true' : `sleep ${nap} & sleep ${nap}; wait`,
      onLost: 'hold',
      graceMs: 2_000,
    }))
    const { id, settled } = await runtime.submit(definition)
    const taken = await cancelAfter(runtime, id, 1 + Math.floor(random() * 20))
    const { state, jobs } = await settled()
    expect(state, story).toBe(taken ? 'cancelled' : 'succeeded')
    const steps = await runtime.catalog.events({ after: 0, limit: 1_000, plan: id })
    const cancelled = steps.find(
      ({ type, address }) => type === 'cancel.requested' && address === `plan:${id}`,
    )
    const late = steps.filter(
      ({ type, position }) =>
        type === 'slot.granted' && position > (cancelled?.position ?? Number.POSITIVE_INFINITY),
    )
    expect(late, story).toEqual([])
    for (const { name, state: end, attempt } of Object.values(jobs))
      if (!taken) expect(end, `${story}, ${name}`).toBe('succeeded')
      else if (attempt === 0) expect(end, `${story}, ${name}`).toBe('cancelled')
      else expect(['cancelled', 'succeeded'], `${story}, ${name}`).toContain(end)
    const key = Object.values(jobs)
      .map(({ state: end }) => end)
      .join()
    ends.set(key, (ends.get(key) ?? 0) + 1)
    expect(
      markedProcesses('').filter(({ key: of }) => of.includes(`/${id}/`)),
      story,
    ).toEqual([])
  }

  for (let round = 0; round < ROUNDS; round += AT_ONCE)
    await Promise.all(Array.from({ length: AT_ONCE }, (_, at) => race(round + at)))

  // Each moment was met: before the first, in each of them, and after all.
  expect([...ends.keys()], `seed ${seed}`).toEqual(
    expect.arrayContaining([
      'cancelled,cancelled,cancelled',
      'succeeded,cancelled,cancelled',
      'succeeded,succeeded,succeeded',
    ]),
  )
  expect(runtime.counts().repairs).toBe(0)
})
