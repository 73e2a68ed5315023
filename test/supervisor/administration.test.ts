import { expect, test } from 'vitest'
import { type Ended, supervisor } from '../../src/supervisor/index.ts'
import { rig } from './rig.ts'

test('to stop a child nobody knows is refused, to stop one that is stopped is done', async () => {
  const { child, up } = rig()
  const sup = await up({}, [child('a')])

  expect(await sup.stopChild('x')).toEqual({ ok: false, why: 'not-found', cause: null })
  expect(await sup.stopChild('a')).toEqual({ ok: true })
  expect(await sup.stopChild('a')).toEqual({ ok: true })
})

test('a child is restarted by hand only when it is stopped, and stays known when its start fails', async () => {
  const { child, up } = rig()
  const a = child('a')
  const sup = await up({}, [a])

  expect(await sup.restartChild('x')).toMatchObject({ ok: false, why: 'not-found' })
  expect(await sup.restartChild('a')).toMatchObject({ ok: false, why: 'running' })
  await sup.stopChild('a')
  a.script.failStarts = 1
  expect(await sup.restartChild('a')).toMatchObject({ ok: false, why: 'failed', cause: { type: 'error' } })
  expect(sup.list()).toMatchObject([{ id: 'a', state: 'stopped' }])
  expect(await sup.restartChild('a')).toMatchObject({ ok: true })
})

test('a child is deleted only when it does not run; its name is free then', async () => {
  const { child, up } = rig()
  const a = child('a')
  const sup = await up({}, [a, child('b')])

  expect(await sup.deleteChild('a')).toMatchObject({ ok: false, why: 'running' })
  await sup.stopChild('a')
  expect(await sup.deleteChild('a')).toEqual({ ok: true })
  expect(await sup.deleteChild('a')).toMatchObject({ ok: false, why: 'not-found' })
  expect(await sup.startChild(a.spec)).toMatchObject({ ok: true })
  expect(sup.list().map(({ id }) => id)).toEqual(['b', 'a'])
})

test('a child that is added and cannot be started is not kept, and the answer says why', async () => {
  const { child, up } = rig()
  const sup = await up({}, [child('a')])

  const outcome = await sup.startChild(child('b', {}, { failStarts: 1 }).spec)

  expect(outcome).toMatchObject({ ok: false, why: 'failed', cause: { error: new Error('b does not start') } })
  expect(sup.getSpec('b')).toBeUndefined()
})

test('a name that is taken is refused, and what runs under it is not touched', async () => {
  const { child, up } = rig()
  const [a, other] = [child('a'), child('a')]
  const sup = await up({ backoff: { minMs: 0, maxMs: 0 } }, [a])

  expect(await sup.startChild(other.spec)).toMatchObject({ ok: false, why: 'already-present' })
  await a.crash()

  expect([a.starts(), other.starts()]).toEqual([2, 0])
})

test('a name that is used again is another child: what the first still says reaches nobody', async () => {
  const { child, up } = rig()
  const [first, second] = [child('a', { shutdown: 'brutal' }), child('a')]
  const sup = await up({}, [first])
  await sup.stopChild('a')
  await sup.deleteChild('a')
  await sup.startChild(second.spec)

  await first.exitOf(1, new Error('I am not dead'))

  expect(sup.list()).toMatchObject([{ id: 'a', state: 'running', incarnation: 1 }])
  expect(second.alive()).toEqual([1])
})

test('dynamic: counts are exact with a thousand and with two thousand children, and when all have gone', async () => {
  const { child, up } = rig()
  const sup = await up({ strategy: 'dynamic' }, [child('t')])
  for (const many of [1_000, 2_000]) {
    for (let at = sup.counts().active; at < many; at += 1) await sup.startChild({ id: `c${at}` })
    expect(sup.counts()).toMatchObject({ specs: 1, active: many, workers: many, supervisors: 0 })
  }

  for (const { id } of sup.list()) await sup.stopChild(id)

  expect(sup.counts()).toMatchObject({ specs: 1, active: 0, workers: 0, supervisors: 0 })
  expect(sup.list()).toEqual([])
})

test('dynamic: one child too many is refused; one that waits for its restart has its place', async () => {
  const { child, up } = rig()
  const template = child('t')
  const sup = await up({ strategy: 'dynamic', maxChildren: 2, backoff: { minMs: 1_000 } }, [template])
  await sup.startChild({ id: 'x' })
  await sup.startChild({ id: 'y' })

  expect(await sup.startChild({ id: 'z' })).toMatchObject({ ok: false, why: 'max-children' })
  await template.crash()
  expect(await sup.startChild({ id: 'z' })).toMatchObject({ ok: false, why: 'max-children' })
  await sup.stopChild('y')

  expect(await sup.startChild({ id: 'z' })).toMatchObject({ ok: true })
})

test('after children have come and gone they are listed in start order, and stopped in the reverse of it', async () => {
  const { child, up, log, clear } = rig()
  const sup = await up({}, [child('a'), child('b')])
  await sup.startChild(child('c').spec)
  await sup.startChild(child('d').spec)
  await sup.stopChild('b')
  await sup.deleteChild('b')
  await sup.startChild(child('b').spec)
  await sup.stopChild('c')
  await sup.restartChild('c')
  const order = sup.list().map(({ id }) => id)
  clear()

  await sup.stop()

  expect(order).toEqual(['a', 'c', 'd', 'b'])
  expect(log('stopping')).toEqual(order.toReversed().map((id) => `stopping ${id}`))
})

test('requests that come while a round is going on are served: what is to be started has its turn after it', async () => {
  const { child, up, clock, log, clear } = rig()
  const [a, b, c] = [child('a'), child('b', {}, { onStop: 100 }), child('c')]
  const sup = await up({ strategy: 'one-for-all', backoff: { minMs: 0, maxMs: 0 } }, [a, b])
  clear()
  await a.crash()

  const adding = sup.startChild(c.spec)
  await clock.advance(100)

  expect(await adding).toMatchObject({ ok: true })
  expect(log('started')).toEqual(['started a', 'started b', 'started c'])
})

test('a spec is shown with its defaults', async () => {
  const { child, up } = rig()
  const sup = await up({}, [child('a'), child('s', { type: 'supervisor', restart: 'transient' })])

  expect(sup.getSpec('a')).toEqual({ restart: 'permanent', shutdown: 5_000, type: 'worker', vital: false })
  expect(sup.getSpec('s')).toMatchObject({ restart: 'transient', shutdown: 'infinity', type: 'supervisor' })
  expect(sup.counts()).toMatchObject({ supervisors: 1, workers: 1 })
})

test('three watchers hear once each that a child has ended; one that looked away, even after the end, hears nothing', async () => {
  const { child, up, quiet } = rig()
  const sup = await up({}, [child('a'), child('b')])
  const heard: [string, Ended][] = []
  const away = ['1', '2', '3', '4', '5', '6'].map((name) => sup.watch('a', (end) => heard.push([name, end])))
  away[4]?.()

  await Promise.all([sup.stopChild('a')])
  away[5]?.()
  await sup.stopChild('b')
  await quiet()

  expect(heard.map(([name]) => name)).toEqual(['1', '2', '3', '4'])
  expect(heard[0]?.[1]).toEqual({ id: 'a', incarnation: 1, reason: { type: 'shutdown' } })
  await sup.restartChild('a')
  await sup.stopChild('a')
  await quiet()
  expect(heard).toHaveLength(4)
})

test('a restart is no end; giving up is, with the reason; and to watch twice is to watch once', async () => {
  const { child, up, quiet } = rig()
  const a = child('a')
  const sup = await up({ intensity: 1, backoff: { minMs: 0, maxMs: 0 } }, [a])
  const heard: Ended[] = []
  const watcher = (end: Ended): void => void heard.push(end)
  sup.watch('a', watcher)
  sup.watch('a', watcher)

  await a.crash()
  expect(heard).toEqual([])
  await a.crash('for good')
  await quiet()

  expect(heard).toEqual([
    { id: 'a', incarnation: 2, reason: { type: 'error', error: new Error('for good') } },
  ])
})

test('who watches what has ended already, or was never there, hears so at once, and once', async () => {
  const { child, up, quiet } = rig()
  const a = child('a', { restart: 'transient' })
  const sup = await up({}, [a])
  await a.exit()
  const heard: Ended[] = []

  sup.watch('a', (end) => heard.push(end))
  sup.watch('x', (end) => heard.push(end))
  expect(heard).toEqual([])
  await quiet()

  expect(heard).toEqual([
    { id: 'a', incarnation: 1, reason: { type: 'normal' } },
    { id: 'x', incarnation: 0, reason: null },
  ])
})

test('who watches all hears every end, also those that come with the end of the supervisor', async () => {
  const { child, up, quiet } = rig()
  const sup = await up({}, [child('a'), child('b'), child('t', { restart: 'temporary' })])
  const heard: string[] = []
  sup.watch(null, ({ id }) => heard.push(id))

  await sup.stopChild('t')
  await sup.stop()
  await quiet()

  expect(heard).toEqual(['t', 'b', 'a'])
})

test('a watcher or a listener that throws costs nobody else anything', async () => {
  const { child, ports, quiet } = rig()
  const a = child('a')
  const sup = supervisor({ backoff: { minMs: 0, maxMs: 0 } }, [a.spec, child('b').spec], {
    ...ports,
    report: () => {
      throw new Error('the log is full')
    },
  })
  await sup.start()
  const heard: string[] = []
  sup.watch(null, () => {
    throw new Error('I cannot bear it')
  })
  sup.watch(null, ({ id }) => heard.push(id))

  await a.crash()
  await sup.stop()
  await quiet()

  expect([a.starts(), heard]).toEqual([2, ['b', 'a']])
})

test('a mistake of the supervisor itself leaves nothing running and ends it abnormally', async () => {
  const { child, ports, quiet, log } = rig()
  const [a, b] = [child('a'), child('b')]
  const heard: string[] = []
  let isBroken = false
  const random = (): number => {
    if (isBroken) throw new Error('no chance')
    return 0
  }
  const sup = supervisor({}, [a.spec, b.spec], { ...ports, random })
  await sup.start()
  sup.watch('b', ({ id }) => heard.push(id))
  isBroken = true

  const outcome = await sup.stopChild('a')
  await quiet()

  expect(outcome).toMatchObject({ ok: false, why: 'not-up' })
  expect([a.alive(), b.alive()]).toEqual([[], []])
  expect(await sup.ended).toMatchObject({ type: 'error', error: new Error('no chance') })
  expect([heard, log('ended')]).toEqual([['b'], ['ended (no chance)']])
})
