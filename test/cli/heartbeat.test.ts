/**
 * When a loop is taken for stuck. Mutations that were planted once, and each found: the clocks not compared; a late look held against
 * the process; one that somebody stopped taken for stuck.
 */
import { expect, test } from 'vitest'
import { BEAT_MS, heartbeat, STARTING_MS, STUCK_MS } from '../../src/cli/heartbeat.ts'
import { virtualClock } from '../../src/testing/virtual-clock.ts'

const open = () => {
  const clock = virtualClock()
  const stuck: number[] = []
  let stands = false
  const watched = heartbeat(
    clock,
    () => stands,
    (silentMs) => stuck.push(silentMs),
  )
  return {
    clock,
    stuck,
    watched,
    stop: (how: boolean) => {
      stands = how
    },
  }
}

test('a loop that says nothing for ten seconds is stuck, and that is told once', async () => {
  const { clock, stuck, watched } = open()
  watched.heard(true)

  await clock.advance(STUCK_MS - 1)
  expect(stuck).toEqual([])
  await clock.advance(5 * STUCK_MS)
  expect(stuck).toEqual([STUCK_MS])
})

test('a loop that turns is left alone', async () => {
  const { clock, stuck, watched } = open()
  for (let second = 0; second < 300; second += 1) {
    watched.heard(true)
    await clock.advance(second % 7 === 0 ? STUCK_MS - BEAT_MS : BEAT_MS)
  }
  expect(stuck).toEqual([])
})

test('before it serves it has longer for a turn, and not for ever', async () => {
  const { clock, stuck, watched } = open()
  watched.heard(false)

  await clock.advance(STARTING_MS - BEAT_MS)
  expect(stuck).toEqual([])
  await clock.advance(BEAT_MS)
  expect(stuck).toEqual([STARTING_MS])
})

test('a machine that was suspended is no stuck loop: the clocks have gone apart', async () => {
  const { clock, stuck, watched } = open()
  watched.heard(true)
  await clock.advance(STUCK_MS - BEAT_MS)

  clock.jump(3_600_000)
  await clock.advance(STUCK_MS - BEAT_MS)
  expect(stuck).toEqual([])
  await clock.advance(2 * BEAT_MS)
  expect(stuck).toHaveLength(1)
})

test('a watcher that stood still itself holds nothing of that time against the loop', () => {
  let now = 0
  let look = (): void => {}
  const stuck: number[] = []
  const clock = {
    now: () => now,
    monotonic: () => now,
    setTimeout: (wake: () => void) => {
      look = wake
      return () => {}
    },
    soon: () => {},
  }
  const watched = heartbeat(
    clock,
    () => false,
    (silentMs) => stuck.push(silentMs),
  )
  watched.heard(true)

  now += 10 * STUCK_MS
  look()
  expect(stuck).toEqual([])
  for (let second = 0; second < STUCK_MS / BEAT_MS; second += 1) {
    now += BEAT_MS
    look()
  }
  expect(stuck).toEqual([STUCK_MS])
})

test('a process that somebody stopped is not stuck; it has its time again when it goes on', async () => {
  const { clock, stuck, watched, stop } = open()
  watched.heard(true)
  stop(true)
  await clock.advance(20 * STUCK_MS)
  expect(stuck).toEqual([])

  stop(false)
  await clock.advance(STUCK_MS)
  expect(stuck).toHaveLength(1)
})

test('one that is not watched any more is never stuck', async () => {
  const { clock, stuck, watched } = open()
  watched.heard(true)
  watched.stop()

  await clock.advance(10 * STUCK_MS)
  expect([stuck, clock.pending()]).toEqual([[], 0])
})
