import { expect, test } from 'vitest'
import { assign, type InspectionEvent, setup } from 'xstate'
import { type FlatSystem, flatSystem } from '../../src/actors/system.ts'

const performed: string[] = []
const machine = setup({
  types: { context: {} as { count: number }, events: {} as { type: string }, input: {} as number },
  actions: {
    shout: (_, word: string) => {
      performed.push(word)
    },
    count: assign(({ context }) => ({ count: context.count + 1 })),
    fail: assign(() => {
      throw new Error('the machine broke')
    }),
  },
}).createMachine({
  context: ({ input }) => {
    if (input < 0) throw new Error('no such beginning')
    return { count: input }
  },
  initial: 'one',
  states: {
    one: {
      entry: { type: 'shout', params: 'entering one' },
      exit: { type: 'shout', params: 'leaving one' },
      on: {
        go: { target: 'two', actions: ['count', { type: 'shout', params: 'going' }] },
        count: { actions: 'count' },
        say: { actions: { type: 'shout', params: 'staying' } },
        fail: { target: 'two', actions: [{ type: 'shout', params: 'too early' }, 'fail'] },
      },
    },
    two: { entry: { type: 'shout', params: 'entering two' }, always: { target: 'three' } },
    three: { on: { back: 'one' } },
  },
})
const A = 'job:p/a'
const made = (system: FlatSystem) => system.create(machine, A, 1)
const words = (actions: readonly { params: unknown }[]) => actions.map(({ params }) => params)

test('making an actor is a decision too: what its first state asks for is named, and nothing is done', () => {
  const { actor, decision } = made(flatSystem())

  expect(decision).toEqual({
    value: 'one',
    context: { count: 1 },
    actions: [{ type: 'shout', params: 'entering one' }],
    changed: true,
  })
  expect(actor.getSnapshot()).toMatchObject({ status: 'active', value: 'one' })
  expect(performed).toEqual([])
})

test('a message is decided with all actions on the way, in order, and none is done', () => {
  const system = flatSystem()
  const { actor } = made(system)

  const decision = system.take(actor, { type: 'go' }, null)

  expect(decision).toMatchObject({ value: 'three', context: { count: 2 }, changed: true })
  expect(words(decision.actions)).toEqual(['leaving one', 'going', 'entering two'])
  expect(performed).toEqual([])
})

test('a message that is not handled changes nothing; one that only asks for something does not change the state', () => {
  const system = flatSystem()
  const { actor } = made(system)

  expect(system.take(actor, { type: 'unknown' }, null)).toMatchObject({ changed: false, actions: [] })
  const asked = system.take(actor, { type: 'say' }, null)
  expect([asked.changed, words(asked.actions)]).toEqual([false, ['staying']])
  expect(system.take(actor, { type: 'count' }, null)).toMatchObject({ changed: true, context: { count: 2 } })
})

test('a machine that throws throws to the host; another actor of the same machine never notices', () => {
  const system = flatSystem()
  const { actor } = made(system)
  const other = system.create(machine, 'job:p/b', 5).actor

  expect(() => system.take(actor, { type: 'fail' }, null)).toThrow('the machine broke')

  expect(system.take(other, { type: 'count' }, null)).toMatchObject({ context: { count: 6 } })
  const again = system.restore(machine, A, { value: 'one', context: { count: 1 } })
  expect(system.take(again, { type: 'go' }, null)).toMatchObject({ value: 'three', context: { count: 2 } })
})

test('an actor that cannot begin throws to the host', () => {
  expect(() => flatSystem().create(machine, A, -1)).toThrow('no such beginning')
})

test('an actor that comes back asks for nothing by itself, and goes on from its state', () => {
  const system = flatSystem()
  const actor = system.restore(machine, A, { value: 'three', context: { count: 9 } })

  const decision = system.take(actor, { type: 'back' }, null)

  expect(decision).toMatchObject({ value: 'one', context: { count: 9 } })
  expect(words(decision.actions)).toEqual(['entering one'])
})

test('a stored state that the machine does not have is refused', () => {
  expect(() => flatSystem().restore(machine, A, { value: 'gone', context: {} })).toThrow('gone')
})

test('an inspector sees each actor, each message with its sender, and each state, in order', () => {
  const system = flatSystem()
  const seen: InspectionEvent[] = []
  system.inspect((event) => seen.push(event))

  const { actor } = made(system)
  const other = system.create(machine, 'job:p/b', 1).actor
  system.take(other, { type: 'count' }, actor)
  system.inspect(undefined)
  system.take(other, { type: 'count' }, actor)

  const beginning = ['@xstate.actor', '@xstate.event', '@xstate.snapshot']
  expect(seen.map(({ type }) => type)).toEqual([
    ...beginning,
    ...beginning,
    '@xstate.event',
    '@xstate.microstep',
    '@xstate.snapshot',
  ])
  const sent = seen.findLast((event) => event.type === '@xstate.event')
  expect([sent?.sourceRef === actor, sent?.actorRef === other, sent?.rootId]).toEqual([true, true, 'host'])
})

test('the definition that an inspector draws is that of the machine', () => {
  const { actor } = made(flatSystem())

  expect((actor as unknown as { logic: { config: unknown } }).logic.config).toBe(machine.config)
})

test('10 000 actors side by side cost each other nothing: the ten thousandth is as the first', () => {
  const system = flatSystem()
  const actors = Array.from({ length: 10_000 }, (_, at) => system.create(machine, `job:p/${at}`, at).actor)

  const counts = actors.map((actor) => system.take(actor, { type: 'count' }, null).context['count'])

  expect(counts).toEqual(actors.map((_, at) => at + 1))
})
