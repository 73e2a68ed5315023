import { expect, test } from 'vitest'
import {
  type ChildSpec,
  type Flags,
  type Supervisor,
  supervisor,
  supervisorChild,
} from '../../src/supervisor/index.ts'
import { type Rig, rig, type Scripted } from './rig.ts'

const AT_ONCE = { backoff: { minMs: 0, maxMs: 0 } }
const below = (
  { ports }: Rig,
  id: string,
  flags: Flags,
  children: readonly Scripted[],
  more: Partial<Parameters<typeof supervisorChild>[0]> = {},
): ChildSpec =>
  supervisorChild({
    id,
    make: () =>
      supervisor(
        flags,
        children.map(({ spec }) => spec),
        { ...ports, name: id },
      ),
    ...more,
  })
const wrapped = (spec: ChildSpec): Scripted => ({ spec }) as Scripted

test('a supervisor that gives up is an abnormal end to its parent, which restarts it with fresh children', async () => {
  const bench = rig()
  const [leaf, other] = [bench.child('leaf', { vital: true }), bench.child('other')]
  const root = await bench.up(AT_ONCE, [
    wrapped(below(bench, 's', { ...AT_ONCE, intensity: 0 }, [leaf, other])),
  ])

  await leaf.crash()
  await bench.quiet()

  expect(root.tree().children).toMatchObject([
    { id: 's', incarnation: 2, restarts: { count: 1 }, lastError: 'leaf was given up: leaf crashed' },
  ])
  expect([leaf.alive(), other.alive(), leaf.starts()]).toEqual([[1], [1], 2])
})

test('a transient supervisor that gives up is restarted too', async () => {
  const bench = rig()
  const leaf = bench.child('leaf', { vital: true })
  const root = await bench.up(AT_ONCE, [
    wrapped(below(bench, 's', { ...AT_ONCE, intensity: 0 }, [leaf], { restart: 'transient' })),
  ])

  await leaf.crash()
  await bench.quiet()

  expect(root.list()).toMatchObject([{ state: 'running', incarnation: 2 }])
})

test('one for all above: a supervisor that gives up takes its siblings round, and what its parent brings back comes back', async () => {
  const bench = rig()
  const [a, b, job] = [bench.child('a'), bench.child('b'), bench.child('job', { vital: true })]
  const journal = ['x', 'y']
  const begun = async (sup: Supervisor): Promise<void> => {
    for (const id of journal) await sup.startChild({ id })
  }
  const root = await bench.up({ ...AT_ONCE, strategy: 'one-for-all' }, [
    wrapped(below(bench, 's1', AT_ONCE, [a, b])),
    wrapped(
      below(bench, 's2', { ...AT_ONCE, strategy: 'dynamic', intensity: 0 }, [job], { begun: begun as never }),
    ),
  ])
  const jobs = root.ref('s2') as Supervisor
  await jobs.startChild({ id: 'volatile' })
  expect(jobs.counts().active).toBe(3)

  await job.crash()
  await bench.quiet()

  expect([a.starts(), b.starts(), a.alive(), b.alive()]).toEqual([2, 2, [1], [1]])
  expect((root.ref('s2') as Supervisor).list().map(({ id }) => id)).toEqual(['x', 'y'])
})

test('a leaf that always fails is started as often as the budgets above it multiply to, and then the top gives up', async () => {
  const bench = rig()
  const leaf = bench.child('leaf', {
    vital: true,
    start: ({ exit }) => {
      starts += 1
      bench.clock.setTimeout(() => exit(new Error('never')), 0)
      return { stop: () => {} }
    },
  })
  let starts = 0
  const root = await bench.up({ ...AT_ONCE, intensity: 3, periodMs: 1_000_000 }, [
    wrapped(
      below(bench, 'middle', { ...AT_ONCE, intensity: 5, periodMs: 1_000_000 }, [leaf], { vital: true }),
    ),
  ])
  await bench.clock.advance(0)

  expect(starts).toBe((3 + 1) * (5 + 1))
  expect(await root.ended).toMatchObject({
    type: 'escalation',
    child: 'middle',
    cause: { type: 'escalation', child: 'leaf', cause: { type: 'error' } },
  })
})

test('a supervisor below that is ended outright leaves no orphan, and never are there two of one name', async () => {
  const bench = rig()
  const leaf = bench.child('leaf', { shutdown: 'infinity' }, { onStop: 'ignore' })
  const root = await bench.up(AT_ONCE, [wrapped(below(bench, 's', AT_ONCE, [leaf], { shutdown: 'brutal' }))])

  await root.stopChild('s')
  expect([leaf.alive(), leaf.told]).toEqual([[], ['kill 1']])
  await root.restartChild('s')

  expect(leaf.alive()).toEqual([1])
})

test('a stop goes down the whole tree, the last first', async () => {
  const bench = rig()
  const [a, b, c, d] = [bench.child('a'), bench.child('b'), bench.child('c'), bench.child('d')]
  const root = await bench.up({}, [a, wrapped(below(bench, 's', {}, [b, c])), d])
  bench.clear()

  await root.stop()

  expect(bench.log('stopping', 'ended')).toEqual([
    'stopping d',
    'stopping s',
    'stopping c',
    'stopping b',
    'ended (shutdown)',
    'stopping a',
    'ended (shutdown)',
  ])
})

test('a stop while a supervisor below still starts calls that off', async () => {
  const bench = rig()
  const [a, b] = [bench.child('a', {}, { startDelayMs: 100 }), bench.child('b')]
  const root = bench.supervisor({}, [wrapped(below(bench, 's', {}, [a, b]))])
  const starting = expect(root.start()).rejects.toMatchObject({ code: 'CHILD_NOT_STARTED' })
  await bench.clock.advance(50)

  const stopping = root.stop()
  await bench.clock.advance(50)
  await stopping
  await starting

  expect([a.alive(), b.starts()]).toEqual([[], 0])
})

test('a child below that cannot be started is named at the top, with its cause', async () => {
  const bench = rig()
  const root = bench.supervisor({}, [
    wrapped(below(bench, 's', {}, [bench.child('leaf', {}, { failStarts: 1 })])),
  ])

  await expect(root.start()).rejects.toMatchObject({
    message: 's could not be started: leaf could not be started: leaf does not start',
    cause: { cause: new Error('leaf does not start') },
  })
})

test('the tree shows what is below what, where each is, and of very many children the first', async () => {
  const bench = rig()
  const leaf = bench.child('leaf')
  const root = await bench.up({ strategy: 'rest-for-one', ...AT_ONCE }, [
    bench.child('first'),
    wrapped(below(bench, 'jobs', { strategy: 'dynamic' }, [leaf])),
  ])
  const jobs = root.ref('jobs') as Supervisor
  for (let at = 0; at < 5; at += 1) await jobs.startChild({ id: `j${at}` })
  await bench.clock.advance(250)

  expect(root.tree()).toMatchObject({
    id: 'root',
    kind: 'supervisor',
    strategy: 'rest-for-one',
    state: 'running',
    sinceMs: 250,
    children: [
      {
        id: 'first',
        kind: 'worker',
        state: 'running',
        incarnation: 1,
        sinceMs: 250,
        restarts: { count: 0, intensity: 3 },
      },
      {
        id: 'jobs',
        kind: 'supervisor',
        strategy: 'dynamic',
        children: Array.from({ length: 5 }, () => ({})),
      },
    ],
  })
  expect(jobs.tree(2)).toMatchObject({ children: [{ id: 'j0' }, { id: 'j1' }], more: 3 })
})
