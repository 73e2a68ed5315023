import { expect, test } from 'vitest'
import { seededRandom } from '../../src/ids.ts'
import { pauseMs } from '../../src/supervisor/judge.ts'
import { rig, type Scripted } from './rig.ts'

const AT_ONCE = { backoff: { minMs: 0, maxMs: 0 } }
const backoff = { minMs: 1_000, maxMs: 60_000, jitter: 0, resetAfterMs: 10_000 }

test('a child failing in a loop is given up after exactly one failure more than its intensity, after the pauses it was promised', async () => {
  const { child, up, clock, records } = rig()
  const [a, b] = [child('a'), child('b')]
  const began = clock.monotonic()
  const sup = await up({ intensity: 4, periodMs: 60_000, backoff }, [a, b])

  let failures = 0
  while (sup.list()[0]?.state !== 'given-up') {
    await a.crash()
    failures += 1
    if (clock.pending() > 0) await clock.next()
  }

  expect(failures).toBe(5)
  expect(a.starts()).toBe(5)
  const started = records.filter((each) => each.type === 'started' && each.child === 'a')
  expect(started.map(({ at }) => at - began)).toEqual([0, 1_000, 3_000, 7_000, 15_000])
  expect([b.starts(), b.told, sup.tree().children[1]?.restarts?.count]).toEqual([1, [], 0])
})

test('there is at most one restart for each pause, however often the end is told', async () => {
  const { child, up, clock } = rig()
  const a = child('a')
  await up({ backoff }, [a])

  await a.crash()
  await a.crash()
  await a.crash()
  await clock.advance(999)
  expect(a.starts()).toBe(1)
  await clock.advance(60_000)

  expect(a.starts()).toBe(2)
})

test('failures that are rarer than the intensity are restarted for ever', async () => {
  const { child, up, clock } = rig()
  const a = child('a')
  await up({ ...AT_ONCE, intensity: 1, periodMs: 5_000 }, [a])

  for (let at = 0; at < 20; at += 1) {
    await a.crash()
    await clock.advance(6_000)
  }

  expect(a.alive()).toEqual([21])
})

test('a restart exactly one period ago still counts; a millisecond later it does not', async () => {
  for (const [pause, state] of [
    [1_000, 'given-up'],
    [1_001, 'running'],
  ] as const) {
    const { child, up, clock } = rig()
    const a = child('a')
    const sup = await up({ ...AT_ONCE, intensity: 1, periodMs: 1_000 }, [a])

    await a.crash()
    await clock.advance(pause)
    await a.crash()

    expect(sup.list()).toMatchObject([{ state }])
  }
})

test('with intensity 0 the first failure is the last; a normal end is no failure', async () => {
  const { child, up } = rig()
  const [a, b] = [child('a', { restart: 'transient' }), child('b', { restart: 'transient' })]
  const sup = await up({ ...AT_ONCE, intensity: 0 }, [a, b])

  await a.crash()
  await b.exit()

  expect(sup.list().map(({ state }) => state)).toEqual(['given-up', 'stopped'])
})

test('a start that fails during a restart is one failure more', async () => {
  const { child, up } = rig()
  const a = child('a')
  const sup = await up({ ...AT_ONCE, intensity: 2 }, [a])
  a.script.failStarts = 9

  await a.crash()

  expect([a.starts(), sup.list()[0]?.state]).toEqual([3, 'given-up'])
  expect(sup.tree().children[0]?.lastError).toBe('a does not start')
})

test('a wall clock that jumps changes nothing', async () => {
  const { child, up, clock } = rig()
  const a = child('a')
  const sup = await up({ ...AT_ONCE, intensity: 1, periodMs: 1_000 }, [a])

  await a.crash()
  clock.jump(3_600_000)
  await clock.advance(500)
  clock.jump(-7_200_000)
  await a.crash()

  expect(sup.list()).toMatchObject([{ state: 'given-up' }])
})

test('pauses vary within their jitter and hardly ever agree', () => {
  const random = seededRandom(7)
  const policy = { minMs: 100, maxMs: 10_000, jitter: 0.2, resetAfterMs: 1 }

  for (const [tries, least] of [
    [0, 100],
    [3, 800],
    [40, 10_000],
    [5_000, 10_000],
  ] as const) {
    const drawn = Array.from({ length: 1_000 }, () => pauseMs(policy, tries, random()))
    expect(Math.min(...drawn)).toBeGreaterThanOrEqual(least)
    expect(Math.max(...drawn)).toBeLessThanOrEqual(1.2 * least)
    expect(new Set(drawn).size).toBeGreaterThan(900)
  }
})

test('a child that stayed up long enough begins with the shortest pause again', async () => {
  const { child, up, records, clock } = rig()
  const a = child('a')
  await up({ intensity: 9, periodMs: 60_000, backoff }, [a])

  await a.crash()
  await clock.advance(1_000)
  await a.crash()
  await clock.advance(2_000)
  await clock.advance(9_999)
  await a.crash()
  await clock.advance(4_000)
  await clock.advance(10_000)
  await a.crash()

  expect(records.flatMap(({ afterMs }) => afterMs ?? [])).toEqual([1_000, 2_000, 4_000, 1_000])
})

test('of fifty children one that crash-loops is given up; the others and the supervisor never notice', async () => {
  const { child, up, clock } = rig()
  const exits = new Map<string, (reason: unknown) => void>()
  const sup = await up({ ...AT_ONCE, strategy: 'dynamic' }, [
    child('job', {
      start: ({ id, exit }) => {
        exits.set(id, exit)
        return { stop: () => {} }
      },
    }),
  ])
  for (let at = 0; at < 50; at += 1) await sup.startChild({ id: `j${at}` })

  for (let failures = 0; failures < 6; failures += 1) {
    exits.get('j7')?.(new Error('again'))
    await clock.advance(0)
  }

  const states = sup.list()
  expect(states.filter(({ state }) => state !== 'running').map(({ id, state }) => [id, state])).toEqual([
    ['j7', 'given-up'],
  ])
  expect(states.filter(({ incarnation }) => incarnation > 1)).toHaveLength(1)
  expect(sup.tree().state).toBe('running')
})

/** Fails so many of so many children once each, with intensity 0. */
const failing = async (children: number, failures: number): Promise<string> => {
  const { child, up } = rig()
  const all: Scripted[] = Array.from({ length: children }, (_, at) => child(`c${at}`))
  const sup = await up({ ...AT_ONCE, intensity: 0 }, all)
  for (const each of all.slice(0, failures)) await each.crash()
  return sup.tree().state
}

test('many different children given up are not each their own fault: the supervisor gives up', async () => {
  expect(await failing(20, 9)).toBe('running')
  expect(await failing(20, 10)).toBe('ended')
  // 30 % of those that still run: 30 of 130.
  expect(await failing(130, 30)).toBe('running')
  expect(await failing(130, 31)).toBe('ended')
})

test('failures that are not within one period are not many', async () => {
  const { child, up, clock } = rig()
  const all = Array.from({ length: 12 }, (_, at) => child(`c${at}`))
  const sup = await up({ ...AT_ONCE, intensity: 0, periodMs: 1_000 }, all)

  for (const each of all) {
    await each.crash()
    await clock.advance(200)
  }

  expect(sup.tree().state).toBe('running')
})

test('one child given up again and again is one child', async () => {
  const { child, up } = rig()
  const a = child('a')
  const sup = await up({ ...AT_ONCE, intensity: 0, ceiling: { children: 2, share: 0 } }, [a, child('b')])

  for (let times = 0; times < 3; times += 1) {
    await a.crash()
    await sup.clearChild('a')
  }

  expect(sup.tree().state).toBe('running')
})

test('a vital child that is given up ends its supervisor, abnormally, and everybody is stopped in reverse', async () => {
  const { child, up, log } = rig()
  const [a, b, c] = [child('a'), child('b', { vital: true }), child('c')]
  const sup = await up({ ...AT_ONCE, intensity: 0 }, [a, b, c])

  await b.crash()

  expect(log('given-up', 'escalated', 'stopped', 'ended')).toEqual([
    'given-up b',
    'escalated',
    'stopped c (shutdown)',
    'stopped a (shutdown)',
    'ended (b was given up: b crashed)',
  ])
  expect(await sup.ended).toMatchObject({ type: 'escalation', child: 'b', cause: { type: 'error' } })
})

test.each(['one-for-all', 'rest-for-one'] as const)(
  '%s: a child that is given up ends its supervisor, unless it is said not to be vital',
  async (strategy) => {
    const { child, up } = rig()
    const [a, b] = [child('a'), child('b', { vital: false })]
    const sup = await up({ ...AT_ONCE, strategy, intensity: 0 }, [a, b])

    await b.crash()
    expect([sup.tree().state, a.alive()]).toEqual(['running', [1]])
    await a.crash()

    expect(sup.tree().state).toBe('ended')
  },
)

test('a child in a hopeless restart loop can be stopped at once, and started again later', async () => {
  const { child, up, quiet } = rig()
  const a = child('a')
  const sup = await up({ intensity: 100, backoff }, [a])
  a.script.failStarts = 100
  await a.crash()

  let answer: unknown
  void sup.stopChild('a').then((outcome) => {
    answer = outcome
  })
  await Promise.resolve()
  expect(answer).toEqual({ ok: true })
  await quiet()
  expect(sup.list()).toMatchObject([{ state: 'stopped' }])

  a.script.failStarts = 0
  expect(await sup.restartChild('a')).toMatchObject({ ok: true })
})

test('while a child waits for its restart it is present, not active, and neither started, restarted nor deleted', async () => {
  const { child, up } = rig()
  const a = child('a')
  const sup = await up({ backoff }, [a])
  await a.crash()

  expect(await sup.startChild(a.spec)).toMatchObject({ ok: false, why: 'already-present' })
  expect(await sup.restartChild('a')).toMatchObject({ ok: false, why: 'restarting' })
  expect(await sup.deleteChild('a')).toMatchObject({ ok: false, why: 'restarting' })
  expect(sup.list()).toMatchObject([{ id: 'a', state: 'restarting' }])
  expect(sup.counts()).toMatchObject({ specs: 1, active: 0, restarting: 1 })
})

test('a child that is given up stays so until somebody clears it, and begins with nothing held against it', async () => {
  const { child, up } = rig()
  const a = child('a')
  const sup = await up({ ...AT_ONCE, intensity: 1 }, [a])
  await a.crash()
  await a.crash()
  expect(await sup.restartChild('a')).toMatchObject({ ok: false, why: 'given-up' })
  expect(await sup.stopChild('a')).toEqual({ ok: true })
  expect(sup.counts()).toMatchObject({ givenUp: 1, active: 0 })

  expect(await sup.clearChild('a')).toMatchObject({ ok: true })
  await a.crash()

  expect(a.alive()).toEqual([4])
  expect(await sup.clearChild('a')).toMatchObject({ ok: false, why: 'running' })
})

test('of its ends the last twenty are remembered, with their reasons', async () => {
  const { child, up, clock } = rig()
  const a = child('a')
  const sup = await up({ ...AT_ONCE, intensity: 1_000 }, [a])

  for (let at = 1; at <= 30; at += 1) {
    await a.crash(`failure ${at}`)
    await clock.advance(10)
  }

  const { history, lastError } = sup.tree().children[0] ?? {}
  expect(history?.map(({ reason }) => reason)).toEqual(
    Array.from({ length: 20 }, (_, at) => `failure ${at + 11}`),
  )
  expect([history?.[0]?.agoMs, history?.[0]?.incarnation, lastError]).toEqual([200, 11, 'failure 30'])
})
