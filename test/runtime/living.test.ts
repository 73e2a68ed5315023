/**
 * What lives, by what is shown: whatever is not shown is read, in order and once.
 *
 * Mutations that were planted once, and each found: a gap that is taken as if there were none; a replaced projector after which nothing is
 * read; steps shown during a reading that are lost; a reading that failed and is never tried again.
 */
import { expect, test } from 'vitest'
import { projector } from '../../src/actors/projector.ts'
import { jobAddress } from '../../src/address.ts'
import type { Journal, StepRow } from '../../src/journal/journal.ts'
import { living } from '../../src/runtime/living.ts'

const stepOf = (position: number, job: string, from: string, to: string): StepRow => ({
  position,
  address: jobAddress('p-aaaaaa', job),
  seq: position,
  type: 'moved',
  event: '{}',
  from,
  to,
  reason: null,
  attempt: 1,
  at: 1_000 + position,
  version: '1',
})

const home = async () => {
  const steps: StepRow[] = []
  let reads = 0
  let gate: Promise<void> = Promise.resolve()
  let broken: Error | undefined
  const journal: Pick<Journal, 'opening' | 'jobsIn' | 'steps'> = {
    opening: { epoch: 1, position: 0, mail: 0, dead: 0, clean: true, bootedSince: null, home: 'home' },
    jobsIn: async () => [],
    steps: async ({ after, limit }) => {
      reads += 1
      if (broken) throw broken
      const page = steps.filter(({ position }) => position > after).slice(0, limit)
      await gate
      return page
    },
  }
  const shown = projector(() => {})
  const view = await living(journal, shown)
  const settle = () => new Promise((resolve) => setImmediate(resolve))
  return {
    view,
    reads: () => reads,
    /** Commits a step, and shows it unless it gets lost. */
    step: (job: string, from: string, to: string, isShown = true) => {
      const step = stepOf(steps.length + 1, job, from, to)
      steps.push(step)
      if (isShown) shown.show([step])
    },
    running: () => [...view.now().running.values()].map(({ job }) => job),
    settle,
    hold: () => {
      const held = Promise.withResolvers<void>()
      gate = held.promise
      return held.resolve
    },
    breaks: (error: Error | undefined) => {
      broken = error
    },
  }
}

test('what is shown without a gap reads nothing', async () => {
  const { step, running, reads } = await home()

  step('a', 'queued', 'running')
  step('b', 'queued', 'running')
  step('a', 'running', 'stopping')
  step('b', 'running', 'succeeded')

  expect([running(), reads()]).toEqual([['a'], 0])
})

test('what was not shown is read with the next that is', async () => {
  const { step, running, settle } = await home()

  step('a', 'queued', 'running')
  step('a', 'running', 'succeeded', false)
  step('b', 'queued', 'running')
  await settle()

  expect(running()).toEqual(['b'])
})

test('what is shown while something is being read is not lost, nor taken twice', async () => {
  const { view, step, running, settle, hold } = await home()
  step('a', 'queued', 'running', false)
  const release = hold()
  step('b', 'queued', 'running')
  step('b', 'running', 'backoff')
  step('c', 'queued', 'running')
  release()
  await settle()
  step('c', 'running', 'failed')

  expect(running()).toEqual(['a'])
  expect([...view.now().retrying.values()]).toMatchObject([{ job: 'b', since: 1_003 }])
  expect(view.now().position).toBe(5)
})

test('after whoever shows was replaced, what was missed is read at once', async () => {
  const { view, step, running, settle } = await home()
  step('a', 'queued', 'running', false)

  view.again()
  await settle()

  expect(running()).toEqual(['a'])
})

test('a reading that fails is told, and made again with the next step', async () => {
  const { view, step, running, settle, breaks } = await home()
  breaks(new Error('no'))
  step('a', 'queued', 'running', false)
  step('b', 'queued', 'running')
  await settle()
  expect(view.trouble()).toMatchObject({ message: 'no' })

  breaks(undefined)
  step('c', 'queued', 'running')
  await settle()

  expect([running(), view.trouble()]).toEqual([['a', 'b', 'c'], undefined])
})
