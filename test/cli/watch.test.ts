import { expect, test } from 'vitest'
import { plansPicture } from '../../src/cli/watch.ts'
import { NOW, paper, plan } from './shapes.ts'

const plans = [
  plan({ id: 'nightly-a2b3c4', state: 'running', counts: { running: 1, succeeded: 1 } }),
  plan({ id: 'paused-222222', state: 'paused', reason: 'paused', counts: { queued: 1 } }),
  plan({ id: 'release-3k9d2a', state: 'succeeded', counts: { succeeded: 2 } }),
]
const page = (width: number, height: number) => ({ ...paper(width), height })

test('the picture of a home says how many plans have not ended, and stays within the window', () => {
  const lines = plansPicture(plans, page(80, 24), NOW).split('\n')
  expect(lines[0]).toBe('2 not ended · q leaves')
  expect(lines.slice(1).map((line) => line.split(/\s+/)[1])).toEqual([
    'nightly-a2b3c4',
    'paused-222222',
    'release-3k9d2a',
  ])

  for (const [width, height] of [
    [40, 5],
    [12, 4],
    [10, 3],
  ] as const) {
    const small = plansPicture(plans, page(width, height), NOW).split('\n')
    expect(small.length).toBeLessThan(height)
    expect(small[0]?.length).toBeLessThanOrEqual(width)
  }
  expect(plansPicture([], page(80, 24), NOW)).toBe('nothing runs · q leaves')
})
