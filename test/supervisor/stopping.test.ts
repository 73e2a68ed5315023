import { expect, test } from 'vitest'
import { rig } from './rig.ts'

test('children stop in the reverse order of their start, each gone before the next is told', async () => {
  const { child, up, clock, log, clear } = rig()
  const [a, b, c] = [child('a'), child('b', {}, { onStop: 300 }), child('c')]
  const sup = await up({}, [a, b, c])
  clear()

  const stopping = sup.stop()
  await clock.advance(299)
  expect([a.told, c.told]).toEqual([[], ['stop 1']])
  await clock.advance(1)
  await stopping

  expect(log()).toEqual([
    'stopping c',
    'stopped c (shutdown)',
    'stopping b',
    'stopped b (shutdown)',
    'stopping a',
    'stopped a (shutdown)',
    'ended (shutdown)',
  ])
})

test('a child that does not stop in its time is ended at that time, and its siblings stop as they should', async () => {
  const { child, up, clock, log } = rig()
  const [a, b, c] = [child('a'), child('b', { shutdown: 1_000 }, { onStop: 'ignore' }), child('c')]
  const sup = await up({}, [a, b, c])
  const began = clock.monotonic()

  const stopping = sup.stop().then(() => clock.monotonic() - began)
  await clock.advance(10_000)

  expect(await stopping).toBe(1_000)
  expect(log('stopped')).toEqual(['stopped c (shutdown)', 'stopped b (killed)', 'stopped a (shutdown)'])
  expect(b.told).toEqual(['stop 1', 'kill 1'])
})

test('stop returns within the sum of the times, and nothing is left running', async () => {
  const { child, up, clock } = rig()
  const children = [1_000, 2_000, 500].map((shutdown, at) =>
    child(`c${at}`, { shutdown }, { onStop: 'ignore' }),
  )
  const sup = await up({}, children)
  const began = clock.monotonic()

  const stopping = sup.stop().then(() => clock.monotonic() - began)
  await clock.advance(10_000)

  expect(await stopping).toBe(3_500)
  expect(children.flatMap((each) => each.alive())).toEqual([])
  expect(clock.pending()).toBe(0)
})

test('a brutal child is not asked', async () => {
  const { child, up } = rig()
  const a = child('a', { shutdown: 'brutal' })
  const sup = await up({}, [a])

  await sup.stop()

  expect(a.told).toEqual(['kill 1'])
})

test('a child with all the time there is gets it', async () => {
  const { child, up, clock, log } = rig()
  const a = child('a', { shutdown: 'infinity' }, { onStop: 90_000_000 })
  const sup = await up({}, [a])

  const stopping = sup.stop()
  await clock.advance(90_000_000)
  await stopping

  expect(log('stopped')).toEqual(['stopped a (shutdown)'])
})

test('dynamic: all are asked at once', async () => {
  const { child, up, clock, log } = rig()
  const sup = await up({ strategy: 'dynamic' }, [child('t', { shutdown: 2_000 }, { onStop: 1_000 })])
  for (const id of ['x', 'y', 'z']) await sup.startChild({ id })
  const began = clock.monotonic()

  const stopping = sup.stop().then(() => clock.monotonic() - began)
  await clock.advance(10_000)

  expect(await stopping).toBe(1_000)
  expect(log('stopped')).toEqual(['x', 'y', 'z'].map((id) => `stopped ${id} (shutdown)`))
})

test('dynamic: only the one that is too slow is ended, at the common deadline', async () => {
  const { child, up, clock, log } = rig()
  const needs: Record<string, number> = { x: 1_000, y: 1_000, z: 5_000 }
  const template = child('t', {
    shutdown: 2_000,
    start: ({ id }) => ({
      stop: () => new Promise<void>((resolve) => clock.setTimeout(resolve, needs[id] ?? 0)),
    }),
  })
  const sup = await up({ strategy: 'dynamic' }, [template])
  for (const id of ['x', 'y', 'z']) await sup.startChild({ id })
  const began = clock.monotonic()

  const stopping = sup.stop().then(() => clock.monotonic() - began)
  await clock.advance(10_000)

  expect(await stopping).toBe(2_000)
  expect(log('stopped')).toEqual(['stopped x (shutdown)', 'stopped y (shutdown)', 'stopped z (killed)'])
})

test('a child that fails while it stops is named, the others are stopped, and the supervisor ends in order', async () => {
  const { child, up, log } = rig()
  const [a, b, c] = [child('a'), child('b', {}, { onStop: 'crash' }), child('c')]
  const sup = await up({}, [a, b, c])

  await sup.stop()

  expect(log('stopped', 'ended')).toEqual([
    'stopped c (shutdown)',
    'stopped b (b does not stop well)',
    'stopped a (shutdown)',
    'ended (shutdown)',
  ])
})

test('a child without a way to be stopped ends by its signal, or is ended in its time', async () => {
  const { up, clock, log } = rig()
  const sup = await up({}, [])
  await sup.startChild({ id: 'deaf', shutdown: 100, start: () => ({}) })
  await sup.startChild({
    id: 'hears',
    start: ({ signal, exit }) => {
      signal.addEventListener('abort', () => exit(signal.reason))
      return {}
    },
  })

  const stopping = sup.stop()
  await clock.advance(100)
  await stopping

  expect(log('stopped')).toEqual(['stopped hears (shutdown)', 'stopped deaf (killed)'])
})

test('a child that ends by itself while others are being stopped is not restarted', async () => {
  const { child, up, clock, log } = rig()
  const [a, b] = [child('a'), child('b', {}, { onStop: 100 })]
  const sup = await up({ backoff: { minMs: 0, maxMs: 0 } }, [a, b])

  const stopping = sup.stop()
  await a.crash()
  await clock.advance(100)
  await stopping

  expect([a.starts(), log('restarting')]).toEqual([1, []])
})

test('a pause that is being waited for ends with its supervisor', async () => {
  const { child, up, clock } = rig()
  const a = child('a')
  const sup = await up({ backoff: { minMs: 5_000 } }, [a])
  await a.crash()
  expect(clock.pending()).toBe(1)

  await sup.stop()

  expect(clock.pending()).toBe(0)
  expect(sup.list()).toMatchObject([{ state: 'stopped' }])
})

test('stop may be called often, before the start and after the end, and always resolves; nothing is started again', async () => {
  const { child, supervisor, up } = rig()
  const a = child('a')
  const sup = await up({}, [a])
  const never = supervisor({}, [child('b')])

  await Promise.all([sup.stop(), sup.stop()])
  await sup.stop()
  await never.stop()

  expect(a.told).toEqual(['stop 1'])
  for (const over of [sup, never])
    await expect(over.start()).rejects.toMatchObject({
      code: 'SUPERVISOR_ENDED',
      message: 'the supervisor root is not started again: it has ended (shutdown)',
    })
  expect(await sup.startChild(a.spec)).toMatchObject({ ok: false, why: 'not-up' })
  expect(await sup.restartChild('a')).toMatchObject({ ok: false, why: 'not-up' })
})

test('kill ends everything at once, in reverse, and nobody is asked', async () => {
  const { child, up, log, clock } = rig()
  const [a, b] = [child('a', {}, { onStop: 'ignore' }), child('b', {}, { onStop: 'ignore' })]
  const sup = await up({}, [a, b])
  void sup.stop()

  sup.kill()

  expect([a.alive(), b.alive(), a.told, b.told]).toEqual([[], [], ['kill 1'], ['stop 1', 'kill 1']])
  expect(log('stopped')).toEqual(['stopped b (killed)', 'stopped a (killed)'])
  expect(clock.pending()).toBe(0)
})
