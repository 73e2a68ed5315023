import { expect, test } from 'vitest'
import { KILLED, NORMAL, SHUTDOWN } from '../../src/supervisor/index.ts'
import { rig } from './rig.ts'

const AT_ONCE = { backoff: { minMs: 0, maxMs: 0 }, intensity: 100 }
const DETAILED = { type: 'shutdown', detail: 'done' } as const

test('a permanent child is restarted however it ended, each time as a new incarnation', async () => {
  const { child, up } = rig()
  const a = child('a')
  await up(AT_ONCE, [a])

  for (const reason of [NORMAL, SHUTDOWN, DETAILED, new Error('oh')]) await a.exit(reason)

  expect(a.alive()).toEqual([5])
})

test.each([
  ['normal', NORMAL],
  ['shutdown', SHUTDOWN],
  ['shutdown with a detail', DETAILED],
] as const)(
  'a transient child that ended %s is not restarted; it stays known and can be started again',
  async (_name, reason) => {
    const { child, up } = rig()
    const a = child('a', { restart: 'transient' })
    const sup = await up(AT_ONCE, [a])

    await a.exit(reason)

    expect(sup.list()).toMatchObject([{ id: 'a', state: 'stopped' }])
    expect(await sup.restartChild('a')).toMatchObject({ ok: true })
    expect(a.alive()).toEqual([2])
  },
)

test.each([
  ['killed', KILLED],
  ['error', new Error('oh')],
  ['a word', 'oh'],
  ['an escalation', { type: 'escalation', child: 'x', cause: NORMAL }],
] as const)('a transient child that ended abnormally is restarted: %s', async (_name, reason) => {
  const { child, up } = rig()
  const a = child('a', { restart: 'transient' })
  await up(AT_ONCE, [a])

  await a.exit(reason)

  expect(a.alive()).toEqual([2])
})

test('a temporary child is never restarted and then forgotten, and its name is free', async () => {
  const { child, up } = rig()
  const a = child('a', { restart: 'temporary' })
  const sup = await up(AT_ONCE, [a, child('b')])

  for (const reason of [NORMAL, new Error('oh')]) {
    await a.exit(reason)
    expect([a.alive(), sup.list().map(({ id }) => id), sup.counts().specs]).toEqual([[], ['b'], 1])
    expect(await sup.startChild(a.spec)).toMatchObject({ ok: true })
  }
})

test('one for one: the siblings of a child that fails never notice', async () => {
  const { child, up, log, clear } = rig()
  const [a, b, c] = [child('a'), child('b'), child('c')]
  await up(AT_ONCE, [a, b, c])
  clear()

  await b.crash()

  expect(log()).toEqual(['exited b (b crashed)', 'restarting b', 'starting b', 'started b'])
  expect([a.alive(), b.alive(), c.alive()]).toEqual([[1], [2], [1]])
})

test('one for all: all others are stopped in reverse, then all are started in order', async () => {
  const { child, up, log, clear } = rig()
  const children = [child('a'), child('b'), child('c')] as const
  const sup = await up({ ...AT_ONCE, strategy: 'one-for-all' }, children)
  clear()

  await children[1].crash()

  expect(log('stopped', 'started')).toEqual([
    'stopped c (shutdown)',
    'stopped a (shutdown)',
    'started a',
    'started b',
    'started c',
  ])
  expect(sup.list().map(({ state, incarnation }) => [state, incarnation])).toEqual(
    Array.from({ length: 3 }, () => ['running', 2]),
  )
  expect(sup.tree().children.map(({ restarts }) => restarts?.count)).toEqual([0, 1, 0])
})

test('rest for one: those after it stop and start again with it, those before keep their incarnation', async () => {
  const { child, up, log, clear } = rig()
  const [a, b, c, d] = [child('a'), child('b'), child('c'), child('d')]
  await up({ ...AT_ONCE, strategy: 'rest-for-one' }, [a, b, c, d])
  clear()

  await b.crash()

  expect(log('stopped', 'started')).toEqual([
    'stopped d (shutdown)',
    'stopped c (shutdown)',
    'started b',
    'started c',
    'started d',
  ])
  expect(a.alive()).toEqual([1])
})

test('rest for one: when the last child fails nobody else is touched', async () => {
  const { child, up, log, clear } = rig()
  const [a, b] = [child('a'), child('b')]
  await up({ ...AT_ONCE, strategy: 'rest-for-one' }, [a, b])
  clear()

  await b.crash()

  expect(log('stopped', 'started')).toEqual(['started b'])
})

test('rest for one: when a later child cannot be started in the round, only that is tried again', async () => {
  const { child, up } = rig()
  const [a, b] = [child('a'), child('b')]
  await up({ ...AT_ONCE, strategy: 'rest-for-one' }, [a, b])
  b.script.failStarts = 1

  await a.crash()

  expect([a.starts(), a.alive(), b.starts(), b.alive()]).toEqual([2, [2], 3, [3]])
})

test('one for all: when a child cannot be started in the round, those started before it are cycled once more', async () => {
  const { child, up } = rig()
  const [a, b, c] = [child('a'), child('b'), child('c')]
  const sup = await up({ ...AT_ONCE, strategy: 'one-for-all' }, [a, b, c])
  c.script.failStarts = 1

  await a.crash()

  expect([a.alive(), b.alive(), c.alive()]).toEqual([[3], [3], [3]])
  expect(sup.tree().children.map(({ restarts }) => restarts?.count)).toEqual([1, 0, 1])
})

test('a temporary sibling stopped for a strategy is gone, and costs the supervisor nothing', async () => {
  const { child, up, log } = rig()
  const [p, t] = [child('p'), child('t', { restart: 'temporary' })]
  const sup = await up({ ...AT_ONCE, strategy: 'one-for-all' }, [p, t])

  await p.crash()

  expect([p.alive(), t.alive(), t.starts()]).toEqual([[2], [], 1])
  expect(sup.list().map(({ id }) => id)).toEqual(['p'])
  expect(log('escalated', 'given-up')).toEqual([])
})

test('a child that fails while its siblings are being stopped is restarted once, with them, and not counted', async () => {
  const { child, up, clock } = rig()
  const [a, b, c] = [child('a'), child('b'), child('c', {}, { onStop: 100 })]
  const sup = await up({ ...AT_ONCE, strategy: 'one-for-all' }, [a, b, c])
  await b.crash()
  expect(c.told).toEqual(['stop 1'])

  await a.crash()
  await clock.advance(100)

  expect([a.starts(), b.starts(), c.starts()]).toEqual([2, 2, 2])
  expect(sup.counts().restarts).toBe(1)
})

test('rest for one: when an earlier child fails during a round, the round grows to it', async () => {
  const { child, up, clock } = rig()
  const [a, b, c] = [child('a'), child('b'), child('c', {}, { onStop: 100 })]
  await up({ ...AT_ONCE, strategy: 'rest-for-one' }, [a, b, c])
  await b.crash()

  await a.crash()
  await clock.advance(100)

  expect([a.alive(), b.alive(), c.alive()]).toEqual([[2], [2], [2]])
})

test('a child stopped by hand is not brought back by a round', async () => {
  const { child, up } = rig()
  const [a, b] = [child('a'), child('b')]
  const sup = await up({ ...AT_ONCE, strategy: 'one-for-all' }, [a, b])
  await sup.stopChild('b')

  await a.crash()

  expect([a.alive(), b.alive()]).toEqual([[2], []])
})

test('the failing child of a round can be stopped during its pause; its siblings come up without it', async () => {
  const { child, up, clock } = rig()
  const [a, b] = [child('a'), child('b')]
  const sup = await up({ strategy: 'one-for-all', backoff: { minMs: 1000, jitter: 0 } }, [a, b])
  await a.crash()
  await clock.advance(500)
  expect(b.alive()).toEqual([])

  await sup.stopChild('a')

  expect([a.alive(), b.alive()]).toEqual([[], [2]])
})

test('dynamic: only the instance that failed is restarted, with the same arguments', async () => {
  const { child, up } = rig()
  const template = child('t')
  const sup = await up({ ...AT_ONCE, strategy: 'dynamic' }, [template])
  await sup.startChild({ id: 'x', args: { n: 1 } })
  await sup.startChild({ id: 'y', args: { n: 2 } })

  await template.crash()

  expect(sup.list().map(({ id, incarnation }) => [id, incarnation])).toEqual([
    ['x', 1],
    ['y', 2],
  ])
  expect(template.args).toEqual([{ n: 1 }, { n: 2 }, { n: 2 }])
})

test('what an older incarnation says is not heard', async () => {
  const { child, up } = rig()
  const a = child('a')
  await up(AT_ONCE, [a])
  await a.crash()

  await a.exitOf(1, new Error('I was not done'))

  expect([a.alive(), a.starts()]).toEqual([[2], 2])
})

test('a supervisor keeps the arguments of a permanent child, and of a temporary one nothing', async () => {
  const { child, up } = rig()
  const held = async (restart: 'permanent' | 'temporary'): Promise<boolean> => {
    const sup = await up({ strategy: 'dynamic' }, [
      child('t', { restart, start: () => ({ stop: () => {} }) }),
    ])
    const refs = await Promise.all(
      Array.from({ length: 20 }, async (_, at) => {
        const args = { large: new Array(1000).fill(at) }
        await sup.startChild({ id: `c${at}`, args })
        return new WeakRef(args)
      }),
    )
    await collect()
    expect(sup.counts().active).toBe(20)
    return refs.some((ref) => ref.deref() !== undefined)
  }

  expect(await held('permanent')).toBe(true)
  expect(await held('temporary')).toBe(false)
})

/** Lets the collector run. */
const collect = async (): Promise<void> => {
  const { setFlagsFromString } = await import('node:v8')
  const { runInNewContext } = await import('node:vm')
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  for (let round = 0; round < 5; round += 1) {
    await new Promise((resolve) => setImmediate(resolve))
    gc()
  }
}
