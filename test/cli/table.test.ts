import picocolors from 'picocolors'
import { expect, test } from 'vitest'
import { type Screen, UNICODE } from '../../src/cli/screen.ts'
import { picture, type View, viewOf } from '../../src/cli/views.ts'
import { virtualClock } from '../../src/testing/virtual-clock.ts'
import type { JobProgress, Progress } from '../../src/views/progress.ts'
import { type Glass, glass } from './glass.ts'
import { everyState, job, NOW, page, progress } from './shapes.ts'

const on = (terminal: Glass, live = true): Screen => {
  const paint = picocolors.createColors(true)
  const say = (text: string): void => terminal.write(`${text}\n`)
  let through = say
  return {
    json: false,
    quiet: false,
    live,
    asks: false,
    width: Number.POSITIVE_INFINITY,
    paint,
    marks: UNICODE,
    table: {
      get width() {
        return terminal.width()
      },
      get height() {
        return terminal.height()
      },
      paint,
      marks: UNICODE,
      write: terminal.write,
    },
    tell: () => {},
    answer: () => {},
    bytes: () => {},
    talk: (text) => through(text),
    talkThrough: (other) => {
      through = other ?? say
    },
  }
}

const jobOf = (plan: Progress, name: string): JobProgress => {
  const found = plan.jobs.get(name)
  if (!found) throw new Error(`no job ${name}`)
  return found
}

const watching = async (plan: Progress, size: Readonly<{ width: number; height: number }>) => {
  const terminal = glass(size)
  const clock = virtualClock(NOW)
  const screen = on(terminal)
  const view: View = await viewOf(screen, plan, clock)
  return { terminal, clock, screen, view }
}

const expected = (plan: Progress, terminal: Glass, now: number): readonly string[] =>
  picture(plan, page(terminal.width(), terminal.height()), now).split('\n')

test('the table moves with the clock and stays where it is', async () => {
  const plan = progress(everyState)
  const { terminal, clock, view } = await watching(plan, { width: 80, height: 24 })
  expect(terminal.lines()).toEqual([...expected(plan, terminal, NOW), ''])

  Object.assign(jobOf(plan, 'unit'), { state: 'succeeded', tookMs: 5000 })
  await clock.advance(10_000)
  view.close()

  expect(terminal.lines()).toEqual([...expected(plan, terminal, NOW + 10_000), ''])
  expect(terminal.cursor()).toBe(true)
})

test('what is said meanwhile stands above the table, in order, and the table below stays whole', async () => {
  const plan = progress(everyState)
  const { terminal, clock, screen, view } = await watching(plan, { width: 80, height: 24 })

  screen.talk('cancelling; what runs is asked to end')
  await clock.advance(1000)
  screen.talk('killing what still runs')
  await clock.advance(1000)
  view.close()
  screen.talk('and after it')

  expect(terminal.lines()).toEqual([
    'cancelling; what runs is asked to end',
    'killing what still runs',
    ...expected(plan, terminal, NOW + 2000),
    'and after it',
    '',
  ])
})

test('a window that is resized gets pictures of its size; the last is whole', async () => {
  const plan = progress([...everyState, ...Array.from({ length: 40 }, (_, at) => job(`more-${at}`))])
  const { terminal, clock, view } = await watching(plan, { width: 80, height: 24 })

  for (const [width, height] of [
    [120, 40],
    [20, 40],
    [20, 6],
    [3, 2],
    [1, 1],
    [60, 12],
  ] as const) {
    terminal.resize(width, height)
    await clock.advance(100)
  }
  view.close()

  const last = expected(plan, terminal, clock.now())
  expect(terminal.lines().slice(-1 - last.length)).toEqual([...last, ''])
})

test('a table of ten thousand jobs never scrolls', async () => {
  const plan = progress(Array.from({ length: 10_000 }, (_, at) => job(`job-${at}`)))
  const { terminal, clock, view } = await watching(plan, { width: 40, height: 10 })

  for (const each of plan.jobs.values()) {
    Object.assign(each, { state: 'running', startedAt: clock.now(), attempt: 1 })
    if (each.name.endsWith('99')) await clock.advance(100)
  }
  view.close()

  expect(terminal.lines()).toEqual([...expected(plan, terminal, clock.now()), ''])
  expect(terminal.lines().length).toBeLessThanOrEqual(10)
})

test('without a terminal each change is one line, names in one column, and nothing steers', async () => {
  const plan = progress([job('a', { state: 'running', reason: null, attempt: 1 }), job('longer-name')])
  const terminal = glass({ width: 200, height: 24 })
  const view = await viewOf(on(terminal, false), plan)
  const changes = [...plan.jobs.values()].map((each) => ({
    at: '2026-03-01T12:00:00.000Z',
    job: each,
    state: 'running',
    reason: null,
    attempt: 1,
    tookMs: null,
  }))
  const event = { position: 1, at: '', plan: plan.id, address: '', seq: 1, type: '', from: null, to: '' }

  view.event(event, changes)
  view.close()

  expect(terminal.lines()).toEqual([
    '2026-03-01T12:00:00Z release-3k9d2a/a           #1 running',
    '2026-03-01T12:00:00Z release-3k9d2a/longer-name #1 running',
    '',
  ])
})
