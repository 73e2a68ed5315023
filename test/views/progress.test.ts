import { expect, test } from 'vitest'
import { jobAddress } from '../../src/address.ts'
import { seededRandom } from '../../src/ids.ts'
import { advance, progressOf } from '../../src/views/progress.ts'
import { type EventShape, eventShape } from '../../src/views/shapes.ts'
import { ago, job, plan } from '../cli/shapes.ts'
import { stepOf } from '../journal/batches.ts'

const STATES = ['held', 'queued', 'running', 'backoff', 'succeeded', 'failed', 'skipped']

test('how many jobs are in each state is what counting them would say, after every event', () => {
  const seed = Math.trunc(Math.random() * 1e6)
  const random = seededRandom(seed)
  const some = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] as T
  const names = Array.from({ length: 12 }, (_, at) => `j${at}`)
  const progress = progressOf(
    plan(),
    names.map((name) => job(name)),
  )
  const counted = (): Record<string, number> =>
    Object.fromEntries(
      Object.entries(Object.groupBy([...progress.jobs.values()], ({ state }) => state)).map(
        ([state, jobs]) => [state, jobs?.length ?? 0],
      ),
    )

  for (let n = 0; n < 400; n += 1) {
    const isPlan = random() < 0.1
    const event = {
      position: n,
      at: ago(0),
      plan: 'release-3k9d2a',
      address: 'plan:release-3k9d2a',
      type: 'moved',
      from: 'running',
      to: isPlan ? 'running' : some(STATES),
      ...(isPlan
        ? { ended: [{ job: some(names), state: 'skipped', reason: null }] }
        : { job: some([...names, 'nobody']) }),
    } as unknown as EventShape
    advance(progress, event)
    expect(Object.fromEntries(progress.counts), `seed ${seed}, event ${n}`).toEqual(counted())
  }
})

test('an attempt that ended while nobody was there took as long as its record says, not until its end was taken in', () => {
  const progress = progressOf(plan(), [job('a', { state: 'running', attempt: 1, since: ago(3_600_000) })])
  const end = { type: 'attempt.ended', at: Date.parse(ago(0)), startedAt: 1_000, endedAt: 3_000 }
  const step = stepOf(1, jobAddress('release-3k9d2a', 'a'), 2, {
    type: end.type,
    event: JSON.stringify(end),
    at: end.at,
    to: 'succeeded',
  })

  const changes = advance(progress, eventShape(step))

  expect(changes.map(({ tookMs }) => tookMs)).toEqual([2_000])
})
