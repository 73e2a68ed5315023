import { expect, test } from 'vitest'
import { isTenutoError } from '../../src/errors.ts'
import {
  type ChildSpec,
  type Flags,
  supervisor,
  supervisorChild,
  systemPorts,
} from '../../src/supervisor/index.ts'
import { rig } from './rig.ts'

const start = (): ChildSpec['start'] => () => ({})
const wrongIn = (flags: unknown, specs: unknown): string => {
  const { ports } = rig()
  try {
    supervisor(flags as Flags, specs as ChildSpec[], ports)
  } catch (error) {
    if (isTenutoError(error, 'SUPERVISION_INVALID')) return error.message
    throw error
  }
  return 'nothing'
}

test.each<[string, unknown, RegExp]>([
  ['no id', { start: start() }, /child 1 has no id/],
  ['an id that is no text', { id: 7, start: start() }, /id of child 1 is 7 and must be a text/],
  ['no start', { id: 'a' }, /child "a" has no start/],
  [
    'a start that is no function',
    { id: 'a', start: 'go' },
    /start of child "a" is "go" and must be a function/,
  ],
  [
    'a restart nobody knows',
    { id: 'a', start: start(), restart: 'prmanent' },
    /restart of child "a" is "prmanent" and must be one of permanent, transient, temporary/,
  ],
  [
    'a negative time',
    { id: 'a', start: start(), shutdown: -10 },
    /shutdown of child "a" is -10 and must be brutal/,
  ],
  ['a type nobody knows', { id: 'a', start: start(), type: 'wrker' }, /type of child "a" is "wrker"/],
  [
    'a key nobody knows',
    { id: 'a', start: start(), restrat: 'permanent' },
    /child "a" has restrat, which is none of/,
  ],
  ['nothing at all', null, /child 1 is null and must be an object/],
  [
    'a claim to be vital that nothing could come of',
    { id: 'a', start: start(), restart: 'temporary', vital: true },
    /child "a" is vital and temporary; what is never restarted is never given up/,
  ],
])('a child spec with %s is refused, with the field and the value', (_what, spec, says) => {
  expect(wrongIn({}, [spec])).toMatch(says)
})

test.each<[string, unknown, RegExp]>([
  ['a strategy nobody knows', { strategy: 'none_for_one' }, /strategy of the supervisor is "none_for_one"/],
  ['a negative intensity', { intensity: -1 }, /intensity of the supervisor is -1/],
  [
    'an intensity without end',
    { intensity: Number.POSITIVE_INFINITY },
    /intensity of the supervisor is Infinity/,
  ],
  ['no period', { periodMs: 0 }, /periodMs of the supervisor is 0/],
  ['a period without end', { periodMs: Number.POSITIVE_INFINITY }, /periodMs of the supervisor is Infinity/],
  [
    'a pause that shrinks',
    { backoff: { minMs: 9, maxMs: 3 } },
    /minMs of backoff is 9 and must not be above maxMs/,
  ],
  ['jitter above one', { backoff: { jitter: 2 } }, /jitter of backoff is 2/],
  ['an unknown key', { intensty: 3 }, /the supervisor has intensty, which is none of strategy, intensity/],
  [
    'a limit for children it does not make',
    { maxChildren: 3 },
    /maxChildren, which only a dynamic one may have/,
  ],
  ['nothing at all', undefined, /the supervisor is undefined and must be an object/],
])('flags with %s are refused, with the field and the value', (_what, flags, says) => {
  expect(wrongIn(flags, [])).toMatch(says)
})

test.each<[string, unknown, RegExp]>([
  ['no children', undefined, /the children are undefined and must be a list/],
  ['children that are no list', { a: 1 }, /the children are an object and must be a list/],
])('a supervisor with %s is refused', (_what, specs, says) => {
  expect(wrongIn({}, specs)).toMatch(says)
})

test.each<[string, unknown, RegExp]>([
  ['none', undefined, /ports is undefined and must be an object/],
  ['no clock', { random: Math.random }, /ports has no clock/],
  ['half a clock', { random: Math.random, clock: { soon: setImmediate } }, /clock of ports has no monotonic/],
  ['no chance', { clock: systemPorts.clock, random: 5 }, /random of ports is 5 and must be a function/],
  [
    'a report nobody can call',
    { ...systemPorts, report: [] },
    /report of ports is a list and must be a function/,
  ],
  ['a name that is none', { ...systemPorts, name: '' }, /name of ports is "" and must be a text/],
])('ports are checked, too: %s', (_what, ports, says) => {
  expect(() => supervisor({}, [], ports as never)).toThrow(says)
})

test.each<[string, unknown, RegExp]>([
  ['nothing', undefined, /the child is undefined and must be an object/],
  ['what makes nothing', { id: 's' }, /child "s" has no make/],
  ['what cannot be called', { id: 's', make: supervisor, begun: 1 }, /begun of child "s" is 1/],
])('a supervisor below another of %s is refused', (_what, nested, says) => {
  expect(() => supervisorChild(nested as never)).toThrow(says)
})

test('a watcher that cannot be called is refused at once', async () => {
  const { child, up } = rig()
  const sup = await up({}, [child('a')])

  expect(() => sup.watch('a', 5 as never)).toThrow(/the watcher of a is 5 and must be a function/)
  expect(() => sup.watch(null, undefined as never)).toThrow(/the watcher of every child is undefined/)
})

test('every mistake is told at once, and nothing was started', () => {
  const { child } = rig()
  const good = child('good')

  const wrong = wrongIn({ intensity: -1 }, [good.spec, { id: 'b' }, { id: 'good', start: start(), vital: 1 }])

  expect(wrong.split('; ')).toEqual([
    expect.stringContaining('intensity of the supervisor is -1'),
    'child "b" has no start',
    'vital of child "good" is 1 and must be true or false',
    'two children are called "good"',
  ])
  expect(good.starts()).toBe(0)
})

test('a dynamic supervisor has exactly one template, of which nothing runs', async () => {
  const { child, up, quiet } = rig()
  const [a, b] = [child('a'), child('b')]

  expect(wrongIn({ strategy: 'dynamic' }, [])).toMatch(/has one template, and this one has 0/)
  expect(wrongIn({ strategy: 'dynamic' }, [a.spec, b.spec])).toMatch(/has one template, and this one has 2/)

  await up({ strategy: 'dynamic' }, [a])
  await quiet()
  expect(a.starts()).toBe(0)
})

test('a child that is added later is checked like one that was there from the beginning', async () => {
  const { child, up } = rig()
  const fixed = await up({}, [child('a')])
  const dynamic = await up({ strategy: 'dynamic' }, [child('t')])

  await expect(fixed.startChild({ id: 'b', start: start(), restrat: 1 } as never)).rejects.toThrow(
    /child "b" has restrat/,
  )
  await expect(dynamic.startChild({ id: 'x', start: start() } as never)).rejects.toThrow(
    /the child has start/,
  )
  await expect(dynamic.startChild({ id: '' })).rejects.toThrow(/id of the child is "" and must be a text/)
  expect(fixed.list().map(({ id }) => id)).toEqual(['a'])
})
