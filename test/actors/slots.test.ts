import { expect, test } from 'vitest'
import { type Slots, slots } from '../../src/actors/slots.ts'

const queue = (of: Slots, plan: string, ...jobs: string[]): void => {
  for (const job of jobs) of.job(plan, job, 'queued')
}
/** Grants what there is, and tells of it, as the rows would. */
const grants = (of: Slots): readonly string[] => {
  const all: string[] = []
  for (let granted = of.grant(); granted; granted = of.grant()) {
    of.job(granted.plan, granted.job, 'running')
    all.push(`${granted.plan}/${granted.job}`)
  }
  return all
}
const open = { maxParallel: 100, admits: true }

test('jobs of a plan get their slots in the order in which they came, up to the limit of the plan', () => {
  const of = slots(100)
  of.plan('p', { maxParallel: 2, admits: true })
  queue(of, 'p', 'c', 'a', 'b')

  expect(grants(of)).toEqual(['p/c', 'p/a'])
  of.job('p', 'c', 'succeeded')
  expect(grants(of)).toEqual(['p/b'])
  expect(of.held()).toBe(2)
})

test('plans take turns, and none gets more than there is in all', () => {
  const of = slots(5)
  for (const plan of ['p', 'q', 'r']) {
    queue(of, plan, '1', '2', '3')
    of.plan(plan, open)
  }

  expect(grants(of)).toEqual(['p/1', 'q/1', 'r/1', 'p/2', 'q/2'])
  of.job('p', '1', 'succeeded')
  of.job('r', '1', 'failed')
  expect(grants(of)).toEqual(['r/2', 'p/3'])
})

test('a plan with a thousand jobs does not make another wait for more than a turn', () => {
  const of = slots(1)
  of.plan('big', open)
  queue(of, 'big', ...Array.from({ length: 1000 }, (_, at) => `${at}`))
  expect(grants(of)).toEqual(['big/0'])
  of.plan('small', open)
  queue(of, 'small', 'a')
  of.job('big', '0', 'succeeded')
  const next = grants(of)
  of.job('big', '1', 'succeeded')

  expect([...next, ...grants(of)]).toEqual(['big/1', 'small/a'])
})

test('a plan that does not admit gets nothing until it does; what it holds stays held', () => {
  const of = slots(100)
  of.plan('p', { maxParallel: 1, admits: true })
  queue(of, 'p', 'a', 'b')
  grants(of)
  of.plan('p', { maxParallel: 2, admits: false })

  expect(grants(of)).toEqual([])
  expect(of.held()).toBe(1)
  of.plan('p', { maxParallel: 2, admits: true })
  expect(grants(of)).toEqual(['p/b'])
})

test('telling the same twice changes nothing', () => {
  const of = slots(100)
  of.plan('p', open)
  queue(of, 'p', 'a', 'a', 'a')
  of.plan('p', open)

  expect(grants(of)).toEqual(['p/a'])
  of.job('p', 'a', 'running')
  of.job('p', 'a', 'stopping')
  expect(of.held()).toBe(1)
  of.job('p', 'a', 'cancelled')
  of.job('p', 'a', 'cancelled')
  expect(of.held()).toBe(0)
  expect(grants(of)).toEqual([])
})

test('a job that leaves the queue is not granted a slot; one that comes back is, once', () => {
  const of = slots(100)
  queue(of, 'p', 'a', 'b', 'a')
  of.job('p', 'a', 'cancelled')
  of.job('p', 'b', 'cancelled')
  queue(of, 'p', 'a')
  of.plan('p', open)

  expect(grants(of)).toEqual(['p/a'])
})

test('a forgotten plan frees what it held, and starts again with one turn like any other', () => {
  const of = slots(2)
  for (const plan of ['p', 'q']) {
    of.plan(plan, open)
    queue(of, plan, '1', '2', '3', '4')
  }
  expect(grants(of)).toEqual(['p/1', 'q/1'])

  of.forget('p')
  of.forget('p')
  of.forget('nobody')
  expect(of.held()).toBe(1)
  of.plan('p', open)
  queue(of, 'p', '1', '2', '3', '4')
  of.job('q', '1', 'succeeded')
  const after: string[] = []
  for (let granted = of.grant(); granted; granted = of.grant()) {
    after.push(granted.plan)
    of.job(granted.plan, granted.job, 'succeeded')
  }

  expect(after).toEqual(['q', 'p', 'q', 'p', 'q', 'p', 'p'])
})
