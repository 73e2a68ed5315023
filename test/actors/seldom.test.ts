import { expect, test } from 'vitest'
import { seldom } from '../../src/actors/seldom.ts'

const rig = () => {
  let now = 0
  const lines: string[] = []
  const trouble = seldom({ monotonic: () => now }, (level, fields, message) =>
    lines.push(`${level} ${message} ${JSON.stringify(fields)}`),
  )
  const comes = (code: number, times = 1): void => {
    for (let n = 0; n < times; n += 1) trouble.tell('error', { code }, 'it ended')
  }
  const wait = (ms: number): void => {
    now += ms
  }
  return { lines, comes, wait, over: trouble.over }
}

test('trouble that stays the same is told once, and then every ten minutes with how often it came', () => {
  const { lines, comes, wait } = rig()

  comes(70, 100)
  wait(599_999)
  comes(70)
  wait(1)
  comes(70)
  comes(70, 3)

  expect(lines).toEqual(['error it ended {"code":70}', 'error it ended {"code":70,"times":101}'])
})

test('other trouble is told at once, and so is the same after it was over', () => {
  const { lines, comes, over } = rig()

  expect(over()).toBe(false)
  comes(70, 5)
  comes(1, 5)
  expect(over()).toBe(true)
  comes(1)

  expect(lines).toEqual([70, 1, 1].map((code) => `error it ended {"code":${code}}`))
})
