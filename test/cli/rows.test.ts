import stringWidth from 'string-width'
import { expect, test } from 'vitest'
import { jobLines, oneJobLines, planLines } from '../../src/cli/rows.ts'
import { ago, attempt, everyState, job, NOW, paper, plainMarks, plan } from './shapes.ts'

const shown = (lines: readonly string[]): string => `\n${lines.join('\n')}\n`

const plans = [
  plan({ state: 'failed', reason: 'timeout', ended_at: ago(0), counts: { succeeded: 7, failed: 1 } }),
  plan({
    id: 'nightly-a2b3c4',
    state: 'succeeded',
    started_at: ago(90_000_000),
    ended_at: ago(0),
    counts: { succeeded: 2 },
  }),
  plan({ id: 'licenses-zzzzz2', state: 'paused', reason: 'paused', counts: { held: 3, succeeded: 1 } }),
  plan({ id: 'broken-234567', state: 'quarantined', reason: 'fault', counts: { held: 1 } }),
  plan({ id: 'new-222222', started_at: null, counts: { queued: 1 } }),
]

test('plans are listed with state, what is done of how many, time, beginning and reason', () => {
  expect(shown(planLines(plans, paper(80), NOW))).toBe(`
✗ release-3k9d2a   failed       8/8  1m 00s  2026-03-01T11:59Z  a job failed: i…
✓ nightly-a2b3c4   succeeded    2/2  1d 01h  2026-03-01T11:59Z
◌ licenses-zzzzz2  paused       1/4  1m 00s  2026-03-01T11:59Z
◌ broken-234567    quarantined  0/1  1m 00s  2026-03-01T11:59Z  its actor failed
● new-222222       running      0/1          2026-03-01T11:59Z
`)
})

test('on a narrow terminal the ids of plans stay whole, for they are copied', () => {
  expect(shown(planLines(plans, paper(40, plainMarks), NOW))).toBe(`
x release-3k9d2a   failed       8/8
+ nightly-a2b3c4   succeeded    2/2
. licenses-zzzzz2  paused       1/4
. broken-234567    quarantined  0/1
* new-222222       running      0/1
`)
})

test('jobs are listed with state, attempt, time and reason; of a wait, since when', () => {
  const attempts = new Map([
    ['fetch', attempt({ n: 3, started_at: ago(54_200), ended_at: ago(50_000) })],
    ['lint', attempt({ outcome: 'exit', code: 7 })],
    ['flaky', attempt({ outcome: 'signal', signal: 'SIGBUS' })],
  ])

  expect(shown(jobLines(everyState, paper(80), NOW, { attempts }))).toBe(`
  ✓ fetch   succeeded  #3  4.2s
  ✗ lint    failed     #1  1.0s    exit 7
  ● unit    running    #2  9.9s
  ↻ flaky   backoff    #1  0.5s    retries in 1.5s (signal SIGBUS)
  ● slow    stopping   #1  0.2s    its time is up; it is being stopped
  ◌ deploy  waiting    #1  1h 01m  its end was not seen; retry, skip or cancel…
  ◌ docs    queued         30s     waits for a slot
  ◌ pack    held           1m 00s  needs unit, flaky
  ⊘ ship    skipped                lint failed
  ✗ old     cancelled  #1          by order
`)
})

test('without a terminal nothing is cut, and each job can be named by its ref', () => {
  const name = 'n'.repeat(64)
  const needs = Object.fromEntries(['a', 'b', 'c'].map((each) => [each.repeat(64), 'success']))
  const jobs = [job(name, { needs }), ...Object.keys(needs).map((each) => job(each))]

  const [line] = jobLines(jobs, paper(), NOW, { withPlan: true })

  expect(line).toBe(`◌ release-3k9d2a/${name}  held  1m 00s  needs ${Object.keys(needs).join(', ')}`)
})

test('a job is shown with its kind, needs, outputs and attempts', () => {
  const deploy = job('deploy', {
    state: 'waiting',
    reason: 'lost',
    attempt: 2,
    needs: { unit: 'success', docs: 'any' },
    since: ago(3_700_000),
    optional: true,
    outputs: { url: 'https://example.org' },
  })
  const attempts = [
    attempt({
      outcome: 'exit',
      code: 1,
      leftovers: 1,
      error: 'the shell\u001b[2J said no',
      warnings: ['line 3 is neither'],
    }),
    attempt({
      n: 2,
      outcome: 'lost',
      code: null,
      started_at: ago(3_760_000),
      ended_at: ago(3_700_000),
      pid: null,
    }),
  ]

  expect(shown(oneJobLines(deploy, attempts, [], paper(100), NOW))).toBe(`
◌ release-3k9d2a/deploy  waiting  its end was not seen; retry, skip or cancel it
  kind      run
  since     2026-03-01T10:58:20Z (1h 01m ago)
  optional  its failure does not fail the plan
  needs     unit, docs (any)
  outputs   {"url":"https://example.org"}
  #1  exit 1                1.0s    2026-03-01T11:59:58Z  pid 4711  1 process left behind was ended
  #2  its end was not seen  1m 00s  2026-03-01T10:57:20Z
  #1 error: the shell said no
  #1 warning: line 3 is neither
`)
})

test('an error that is longer than the terminal is wide goes on in the next line, whole', () => {
  const error = 'cannot start: '.repeat(20)
  const lines = oneJobLines(job('a', { attempt: 1 }), [attempt({ error })], [], paper(40), NOW)

  const said = lines.slice(lines.findIndex((line) => line.includes('error:')))
  expect(said.map((line) => line.slice(2)).join(' ')).toBe(`#1 error: ${error}`.trimEnd())
})

test('no line is wider than the terminal, and none steers it, whatever is shown', () => {
  const evil = '\u001b[31m\u202e日本\r\n🚀'
  const jobs = [
    job(`x[${evil.repeat(9)}]`, { state: 'failed', reason: evil.repeat(9), attempt: 100_000 }),
    job('y'.repeat(64), { needs: { [evil]: 'success' }, outputs: { [evil]: evil.repeat(30) } }),
    ...everyState,
  ]
  const attempts = [
    attempt({ n: 12_345, outcome: evil, error: evil.repeat(30), warnings: [evil], leftovers: 3 }),
  ]
  const wild = [...plans, plan({ id: evil.repeat(20), reason: evil, state: 'failed' })]

  for (let width = 4; width <= 130; width += width < 40 ? 1 : 9) {
    const on = paper(width)
    const lines = [
      ...planLines(wild, on, NOW),
      ...jobLines(jobs, on, NOW),
      ...jobLines(jobs, on, NOW, { withPlan: true }),
      ...jobs.flatMap((each) => oneJobLines(each, attempts, jobs, on, NOW)),
    ]
    const wrong = lines.filter((line) => stringWidth(line) > width || /\p{Cc}|\p{Bidi_Control}/u.test(line))
    expect(wrong, `at ${width} columns`).toEqual([])
  }
})

test('an attempt of a home that nobody holds was running when it was last seen', () => {
  const runs = job('unit', { state: 'running', reason: null, attempt: 1 })
  const open = attempt({ outcome: null, ended_at: null })
  const lines = (unwatched: boolean) => oneJobLines(runs, [open], [], paper(), NOW, { unwatched }).join('\n')

  expect(lines(true)).toContain('#1  was running')
  expect(lines(true)).toContain(`nobody watches it now; \`tenuto resume ${runs.plan}\` finds out`)
  expect(lines(false)).not.toContain('was running')
})

test('a command in the error of an attempt stays on one line, to be copied', () => {
  const error =
    'the home has no value of the secrets TOKEN of release-3k9d2a; `tenuto secret set release-3k9d2a TOKEN` gives it'
  const lines = oneJobLines(
    job('lint', { state: 'failed', reason: 'never-started' }),
    [attempt({ error })],
    [],
    paper(80),
    NOW,
  )

  expect(lines.some((line) => line.includes('`tenuto secret set release-3k9d2a TOKEN`'))).toBe(true)
  for (const line of lines) expect(stringWidth(line)).toBeLessThanOrEqual(80)
})
