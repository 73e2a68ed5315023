import { expect, test } from 'vitest'
import { projector } from '../../src/actors/projector.ts'
import { planAddress } from '../../src/address.ts'
import type { StepRow } from '../../src/journal/journal.ts'
import { stepOf } from '../journal/batches.ts'

const step = (position: number): StepRow => stepOf(position, planAddress('p'), position)

test('every listener is shown every step from then on, in order, until it has heard enough', () => {
  const shown = projector(() => {})
  const first: number[] = []
  const second: number[] = []
  const enough = shown.listen((steps) => first.push(...steps.map(({ position }) => position)))
  shown.show([step(1), step(2)])
  shown.listen((steps) => second.push(...steps.map(({ position }) => position)))
  shown.show([step(3)])
  enough()
  enough()
  shown.show([step(4)])

  expect([first, second]).toEqual([
    [1, 2, 3],
    [3, 4],
  ])
  expect(shown.listeners()).toBe(1)
})

test('a listener that throws is dropped, said to be so, and hurts no other', () => {
  const dropped: unknown[] = []
  const shown = projector((error) => dropped.push(error))
  const seen: number[] = []
  shown.listen(() => {
    throw new Error('a guest broke')
  })
  shown.listen((steps) => seen.push(steps.length))

  shown.show([step(1)])
  shown.show([step(2)])

  expect(seen).toEqual([1, 1])
  expect(dropped).toEqual([new Error('a guest broke')])
})

test('a listener may leave, and another may come, while steps are shown', () => {
  const shown = projector(() => {})
  const seen: string[] = []
  const leave = shown.listen(() => {
    seen.push('first')
    leave()
    shown.listen(() => seen.push('late'))
  })
  shown.listen(() => seen.push('second'))

  shown.show([step(1)])
  shown.show([step(2)])

  expect(seen).toEqual(['first', 'second', 'second', 'late'])
})
