import { expect, test } from 'vitest'
import { SHUTDOWN } from '../../src/supervisor/index.ts'
import { rig } from './rig.ts'

test('children start one after another in order; each is up before the next begins, and start resolves after the last', async () => {
  const { child, supervisor, clock, log } = rig()
  const [a, b, c] = [child('a'), child('b', {}, { startDelayMs: 200 }), child('c')]
  const sup = supervisor({}, [a, b, c])
  let isUp = false

  void sup.start().then(() => {
    isUp = true
  })
  await clock.advance(199)

  expect([isUp, c.starts()]).toEqual([false, 0])
  await clock.advance(1)
  expect(isUp).toBe(true)
  expect(log()).toEqual([
    'starting a',
    'started a',
    'starting b',
    'started b',
    'starting c',
    'started c',
    'up',
  ])
})

test('a child that cannot be started ends the start: what was started is stopped in reverse, and nothing is tried again', async () => {
  const { child, supervisor, quiet, log } = rig()
  const [a, b, c] = [child('a'), child('b'), child('c', {}, { failStarts: 9 })]
  const sup = supervisor({}, [a, b, c])

  await expect(sup.start()).rejects.toMatchObject({
    code: 'CHILD_NOT_STARTED',
    fields: { child: 'c', why: 'c does not start' },
    cause: new Error('c does not start'),
  })
  await quiet()

  expect(log('stopped')).toEqual(['stopped b (shutdown)', 'stopped a (shutdown)'])
  expect([a.alive(), b.alive(), c.starts()]).toEqual([[], [], 1])
  expect(await sup.ended).toMatchObject({ type: 'error', error: { code: 'CHILD_NOT_STARTED' } })
})

test('a child whose start says ignore is known and does not run; a temporary one is not even known', async () => {
  const { child, up } = rig()
  const ignores = { start: () => 'ignore' as const }
  const sup = await up({}, [
    child('a', ignores),
    child('t', { ...ignores, restart: 'temporary' }),
    child('c'),
  ])

  const added = await sup.startChild({ ...ignores, id: 'u', restart: 'temporary' })

  expect(added).toMatchObject({ ok: true })
  expect(sup.list().map(({ id, state }) => [id, state])).toEqual([
    ['a', 'stopped'],
    ['c', 'running'],
  ])
})

test.each<[string, () => unknown, RegExp]>([
  [
    'throws',
    () => {
      throw new Error('no')
    },
    /^no$/,
  ],
  ['rejects', () => Promise.reject(new Error('not now')), /^not now$/],
  ['answers nothing', () => undefined, /its start answered undefined/],
  ['answers a word', () => 'pid', /its start answered string/],
  ['answers a list', () => [], /its start answered a list, which is no reference to anything/],
  ['answers what cannot be stopped', () => ({ stop: 5 }), /its start answered an object whose stop is 5/],
  ['answers what cannot be killed', () => ({ kill: 'now' }), /an object whose kill is "now"/],
  ['answers a reference that is none', () => ({ ref: 5 }), /its start answered an object whose ref is 5/],
  [
    'answers one that cannot be stopped beside an info',
    () => ({ ref: { stop: 5 }, info: 1 }),
    /an object whose ref is an object whose stop is 5/,
  ],
  ['never settles', () => new Promise(() => {}), /it did not start within 1000 ms/],
])('a start that %s is a failed start, with the cause', async (_what, start, says) => {
  const { child, up, clock } = rig()
  const sup = await up({ startTimeoutMs: 1000 }, [child('a')])

  const adding = sup.startChild({ id: 'b', start: start as never })
  await clock.advance(1000)

  const outcome = await adding
  expect(outcome).toMatchObject({ ok: false, why: 'failed', cause: { type: 'error' } })
  expect(!outcome.ok && outcome.cause?.type === 'error' && (outcome.cause.error as Error).message).toMatch(
    says,
  )
  expect(sup.list().map(({ id }) => id)).toEqual(['a'])
})

test('a start that hangs holds up nobody who asks for something else', async () => {
  const { child, up, quiet } = rig()
  const sup = await up({}, [child('a')])
  void sup.startChild({ id: 'b', start: () => new Promise<never>(() => {}) })
  await quiet()

  expect(await sup.stopChild('a')).toEqual({ ok: true })
})

test('what a start answers too late is ended at once and never seen', async () => {
  const { child, up, clock } = rig()
  const late = child('b', {}, { startDelayMs: 1500 })
  const sup = await up({ startTimeoutMs: 1000 }, [child('a')])

  const adding = sup.startChild(late.spec)
  await clock.advance(1000)
  expect(await adding).toMatchObject({ ok: false })
  await clock.advance(500)

  expect([late.alive(), late.told]).toEqual([[], ['kill 1']])
  expect(sup.ref('b')).toBeUndefined()
})

test('what a start answers beside the reference is handed on unchanged, and does not get in the way of a restart', async () => {
  const { child, up } = rig()
  const info = { port: 7717 }
  const a = child('a', {}, { info })
  const sup = await up({}, [])

  const outcome = await sup.startChild(a.spec)
  expect(outcome).toEqual({ ok: true, info })
  expect(outcome.info).toBe(info)

  await sup.stopChild('a')
  expect(await sup.restartChild('a')).toEqual({ ok: true, info })
})

test('a reference may have a ref of its own, as an actor has; one alone in its object is the reference', async () => {
  const { up } = rig()
  const told: string[] = []
  const actor = { ref: {}, stop: () => void told.push('actor') }
  const alone = { ref: { stop: () => void told.push('alone') } }
  const sup = await up({}, [])
  await sup.startChild({ id: 'actor', start: () => actor })
  await sup.startChild({ id: 'alone', start: () => alone as never })

  expect([sup.ref('actor'), sup.ref('alone')]).toEqual([actor, alone.ref])
  await sup.stop()

  expect(told).toEqual(['alone', 'actor'])
})

test('an end that a child reports before its start has settled is a failed start', async () => {
  const { child, up } = rig()
  const sup = await up({}, [child('a')])

  const outcome = await sup.startChild({
    id: 'b',
    start: ({ exit }) => {
      exit(new Error('over before it began'))
      return {}
    },
  })

  expect(outcome).toMatchObject({
    ok: false,
    why: 'failed',
    cause: { error: new Error('over before it began') },
  })
})

test('a stop during the start of the second of three: the third never starts, the second stops when its start settles, then the first', async () => {
  const { child, supervisor, clock, log } = rig()
  const [a, b, c] = [child('a'), child('b', {}, { startDelayMs: 200 }), child('c')]
  const sup = supervisor({}, [a, b, c])
  const starting = expect(sup.start()).rejects.toMatchObject({ code: 'CHILD_NOT_STARTED' })
  await clock.advance(100)

  const stopping = sup.stop()
  await clock.advance(100)
  await stopping
  await starting

  expect(log('stopped', 'ended')).toEqual([
    'stopped b (shutdown)',
    'stopped a (shutdown)',
    'ended (shutdown)',
  ])
  expect([a.alive(), b.alive(), c.starts(), b.told]).toEqual([[], [], 0, ['stop 1']])
})

test('a start that heeds its signal is called off', async () => {
  const { up, quiet, log } = rig()
  const sup = await up({}, [])
  const adding = sup.startChild({
    id: 'a',
    start: ({ signal }) =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error))),
  })
  await quiet()

  await sup.stopChild('a')

  expect(log('stopped')).toEqual(['stopped a (shutdown)'])
  expect(await adding).toEqual({ ok: false, why: 'stopped', cause: SHUTDOWN })
})

test('a child that ends while its siblings still start is restarted, and the others come up', async () => {
  const { child, supervisor, clock } = rig()
  const [a, b] = [child('a'), child('b', {}, { startDelayMs: 200 })]
  const sup = supervisor({ backoff: { minMs: 10, jitter: 0 } }, [a, b])
  const starting = sup.start()
  await clock.advance(100)

  await a.crash()
  await clock.advance(100)
  await starting

  expect([a.alive(), b.alive()]).toEqual([[2], [1]])
})
