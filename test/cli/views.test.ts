import stringWidth from 'string-width'
import { expect, test } from 'vitest'
import { failureLine, lastLines, lineOf, picture } from '../../src/cli/views.ts'
import { advance, type JobProgress } from '../../src/views/progress.ts'
import { ago, everyState, job, NOW, page, plainMarks, progress } from './shapes.ts'

const linesOf = (text: string): readonly string[] => text.split('\n')
const one = (jobs: ReturnType<typeof progress>): JobProgress => {
  const [first] = jobs.jobs.values()
  if (!first) throw new Error('a plan without jobs')
  return first
}

test('on 80 columns each job has its state, attempt, time and reason, each in its column', () => {
  expect(`\n${picture(progress(everyState), page(80), NOW)}\n`).toBe(`
release-3k9d2a  running  1m 00s  4/10 done · 1 failed · 1 running · 1 stopping …
  ✓ fetch   succeeded  #3  4.2s
  ✗ lint    failed     #1  4.2s    exit 7
  ● unit    running    #2  9.9s
  ↻ flaky   backoff    #1  0.5s    retries in 1.5s (exit 7)
  ● slow    stopping   #1  1m 01s  its time is up; it is being stopped
  ◌ deploy  waiting    #1  1h 01m  its end was not seen; retry, skip or cancel…
  ◌ docs    queued         30s     waits for a slot
  ◌ pack    held           1m 00s  needs unit, flaky
  ⊘ ship    skipped                lint failed
  ✗ old     cancelled  #1  4.2s    by order
`)
})

test('on 40 columns of a terminal without Unicode, the reason comes before the time, in ASCII', () => {
  const text = picture(progress(everyState), page(40, 24, plainMarks), NOW)

  expect(text).toMatch(/^[\n -~]*$/)
  expect(`\n${text}\n`).toBe(`
relea..k9d2a  running  1m 00s  4/10 done
+ fetch   succeeded  #3 4.2s
x lint    failed     #1 exit 7 4.2s
* unit    running    #2 9.9s
~ flaky   backoff    #1 retries in 1.5..
* slow    stopping   #1 its time is up..
. deploy  waiting    #1 its end was no..
. docs    queued     waits for a slot..
. pack    held       needs unit, flaky..
- ship    skipped    lint failed
x old     cancelled  #1 by order 4.2s
`)
})

test('on 20 columns what is left is the mark, the name and the state', () => {
  expect(linesOf(picture(progress(everyState), page(20), NOW)).slice(1, 5)).toEqual([
    '✓ fetch   succeeded',
    '✗ lint    failed',
    '● unit    running',
    '↻ flaky   backoff',
  ])
})

const awkward = [
  ...everyState,
  job('x'.repeat(64), { state: 'running', reason: null, attempt: 1234 }),
  job(`${'y'.repeat(62)}-1`, { needs: Object.fromEntries(everyState.map(({ name }) => [name, 'success'])) }),
  job('map[日本語🚀👨‍👩‍👧]', {
    state: 'failed',
    reason: 'a-reason-nobody-has-heard-of-'.repeat(5),
    attempt: 2,
  }),
  job('evil[\u001b[2J\u001b[31m\r\n\u202e]', { state: 'waiting', reason: '\u001b]0;title\u0007lost' }),
]

test('no line is wider than the terminal and the picture is lower than it, whatever the names and the size', () => {
  const id = `${'long-plan-name-'.repeat(4)}name-3k9d2a`
  for (const known of [{}, { id }]) {
    for (let width = 1; width <= 130; width++) {
      for (const height of [1, 2, 3, 5, 10, 24]) {
        const text = picture(progress(awkward, known), page(width, height), NOW)
        for (const line of linesOf(text)) expect([line, stringWidth(line) <= width]).toEqual([line, true])
        expect(linesOf(text).length).toBeLessThanOrEqual(Math.max(1, height - 1))
        expect(text).not.toMatch(/(?!\n)\p{Cc}|\p{Bidi_Control}/u)
      }
    }
  }
})

test('a long plan name leaves room for the state and the count', () => {
  const id = `${'a'.repeat(64)}-3k9d2a`

  expect(linesOf(picture(progress(everyState, { id }), page(80), NOW))[0]).toBe(
    `${'a'.repeat(26)}…${'a'.repeat(18)}-3k9d2a  running  1m 00s  4/10 done`,
  )
})

test('of ten thousand jobs those are shown that move or went wrong, and it is said how many more there are', () => {
  const many = Array.from({ length: 10_000 }, (_, at) => {
    if (at % 5000 === 17) return job(`run-${at}`, { state: 'running', reason: null, attempt: 1 })
    if (at === 9_999) return job(`bad-${at}`, { state: 'failed', reason: 'exit', attempt: 1 })
    if (at === 8_888) return job(`lost-${at}`, { state: 'waiting', reason: 'lost', attempt: 1 })
    return at < 4000 ? job(`done-${at}`, { state: 'succeeded', reason: null, attempt: 1 }) : job(`next-${at}`)
  })

  expect(`\n${picture(progress(many), page(80, 10), NOW)}\n`).toBe(`
release-3k9d2a  running  1m 00s  4000/10000 done · 1 failed · 2 running …
  ● run-17     running    #1  1m 00s
  ● run-5017   running    #1  1m 00s
  ◌ lost-8888  waiting    #1  1m 00s  its end was not seen; retry, skip or canc…
  ✗ bad-9999   failed     #1  4.2s    exit 7
  ◌ next-4000  held           1m 00s  waits for its needs
  ◌ next-4001  held           1m 00s  waits for its needs
  … and 9994 more
`)
})

test('the clock of a plan that has ended stands still', () => {
  const ended = [job('a', { state: 'succeeded', reason: null, attempt: 1, since: ago(50_000) })]
  const first = (state: string) => linesOf(picture(progress(ended, { state }), page(80), NOW + 1e9))[0]

  expect(first('succeeded')).toBe('release-3k9d2a  succeeded  10s  1/1 done')
  expect(first('running')).toBe('release-3k9d2a  running  11d 13h  1/1 done')
})

test('a queued job of a paused plan waits for its plan, not for a slot', () => {
  const paused = progress([job('a', { state: 'queued', reason: 'slot' })], {
    state: 'paused',
    reason: 'paused',
  })

  expect(linesOf(picture(paused, page(80), NOW))[1]).toBe('  ◌ a  queued         1m 00s  its plan is paused')
})

test('a line for a change has its moment, its job, its attempt, its state, how long and why', () => {
  const plan = progress(everyState)
  const at = '2026-03-01T12:00:00.123Z'
  const lineFor = (name: string, known: object = {}) => {
    const of = plan.jobs.get(name) as JobProgress
    const { state, reason, attempt } = of
    return lineOf(plan, { at, job: of, state, reason, attempt, tookMs: null, ...known }, 20)
  }

  expect(
    ['fetch', 'lint', 'unit', 'flaky', 'deploy', 'ship'].map((name) =>
      lineFor(name, name === 'lint' ? { tookMs: 61_000 } : {}),
    ),
  ).toEqual([
    '2026-03-01T12:00:00Z release-3k9d2a/fetch #3 succeeded',
    '2026-03-01T12:00:00Z release-3k9d2a/lint  #1 failed    1m 01s  exit 7',
    '2026-03-01T12:00:00Z release-3k9d2a/unit  #2 running',
    '2026-03-01T12:00:00Z release-3k9d2a/flaky #1 backoff   retries in 1.3s (exit 7)',
    '2026-03-01T12:00:00Z release-3k9d2a/deploy #1 waiting   its end was not seen; retry, skip or cancel it',
    '2026-03-01T12:00:00Z release-3k9d2a/ship     skipped   lint failed',
  ])
  expect([lineFor('docs'), lineFor('pack')]).toEqual([undefined, undefined])
  const change = { at, job: null, attempt: 0, tookMs: null }
  expect(
    [
      { state: 'succeeded', reason: null },
      { state: 'failed', reason: 'exit' },
      { state: 'paused', reason: 'paused' },
      { state: 'cancelled', reason: 'operator' },
    ].map((moved) => lineOf(plan, { ...change, ...moved })?.slice(21)),
  ).toEqual([
    'release-3k9d2a succeeded',
    'release-3k9d2a failed  a job failed: non-zero exit',
    'release-3k9d2a paused',
    'release-3k9d2a cancelled',
  ])
})

test('the last words about a failed job say how it ended, at which attempt, and whether it mattered', () => {
  const failed = (known: object) =>
    failureLine(one(progress([job('a', { state: 'failed', reason: 'exit', ...known })])))

  expect(failed({ attempt: 1 })).toBe('a failed: exit 7')
  expect(failed({ attempt: 3 })).toBe('a failed: exit 7 (attempt 3)')
  expect(failed({ attempt: 1, optional: true })).toBe('a failed: exit 7; it is optional')
  expect(failed({ attempt: 1, state: 'cancelled', reason: 'operator' })).toBe('a was cancelled by order')
})

test('of a log the last lines are shown as a terminal would have left them, and cannot steer it', () => {
  expect(lastLines('a\nb\n\nc\n', 2, false)).toEqual(['b', 'c'])
  expect(lastLines('half a line\nwhole\n', 5, true)).toEqual(['whole'])
  expect(lastLines('only half', 5, true)).toEqual(['only half'])
  expect(lastLines('10%\r99%\r100%\r\n\u001b[31mboom\u001b[0m\u001b[2J\n', 5, false)).toEqual([
    '100%',
    'boom',
  ])
  expect(lastLines('', 5, false)).toEqual([])
})

/** Broken on purpose once, and seen: a job that is taken for one that runs until it is heard of; one that stays unseen when it was adopted. */
test('a job that ran when it was last seen is not counted among those that run before it was found', () => {
  const known = ['a', 'b', 'c'].map((name) => job(name, { state: 'running', reason: null, attempt: 1 }))
  const taken = progress(known)
  const told = (type: string, more: Partial<Parameters<typeof advance>[1]> = {}) =>
    advance(taken, {
      position: 1,
      at: ago(0),
      plan: taken.id,
      address: `note:${taken.id}`,
      seq: 1,
      type,
      from: null,
      to: 'running',
      ...more,
    })
  const shown = () => linesOf(picture(taken, page(80), NOW))

  told('recovered')
  const before = shown()
  told('recovered', { job: 'a', address: `note:${taken.id}/a` })
  told('attempt.ended', { job: 'b', address: `job:${taken.id}/b`, from: 'running', to: 'succeeded' })
  const after = shown()

  expect(before[0]).toContain('0/3 done · 3 unseen')
  expect(before[0]).not.toContain('running ·')
  expect(before[1]).toMatch(/◌ a {2}unseen +#1 +ran when it was last seen$/)
  expect(after[0]).toContain('1/3 done · 1 running · 1 unseen')
  expect(after.slice(1).map((line) => line.trim().split(/ +/)[2])).toEqual(['running', 'succeeded', 'unseen'])
})
