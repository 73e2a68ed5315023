/**
 * What the flat system leans on in XState and XState does not promise. Each pin is a sentence and the code that makes it true
 * today; an upgrade that changes one fails with the sentence. Run by itself, so that both builds of XState can be tried: prints one
 * JSON line, each sentence with what went wrong or null.
 */
import assert from 'node:assert/strict'
import { assign, createActor, setup } from 'xstate'

const performed: string[] = []
const machine = setup({
  types: { context: {} as { count: number }, events: {} as { type: string }, input: {} as number },
  actions: {
    shout: (_, word: string) => {
      performed.push(word)
    },
    count: assign(({ context }) => ({ count: context.count + 1 })),
    fail: assign(() => {
      throw new Error('it broke')
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
      entry: { type: 'shout', params: 'entering' },
      on: {
        count: { actions: ['count', { type: 'shout', params: 'counting' }] },
        fail: { actions: ['count', 'fail'] },
        end: 'over',
      },
    },
    over: { type: 'final' },
  },
})

type Call = readonly [member: string, ...unknown[]]
type Sent = Readonly<{ _send: (event: unknown) => void }>
type Scope = {
  actionExecutor: (action: { type: string; params: unknown }) => void
  defer: (run: () => void) => void
}
type Open = {
  transition: (snapshot: unknown, event: unknown, scope: Scope) => unknown
  getInitialSnapshot: (scope: Scope, input: unknown) => unknown
  restoreSnapshot: (snapshot: unknown, scope: Scope) => unknown
}
type Actor = ReturnType<typeof createActor<typeof machine>> & Sent

/** A system of our own that notes what it is asked, its silent parent, and the way to make an actor on it. */
const hosted = () => {
  const calls: Call[] = []
  const note =
    (member: string, answer?: unknown) =>
    (...given: unknown[]) => {
      calls.push([member, ...given])
      return answer
    }
  const system = {
    _bookId: note('_bookId', 's1'),
    _register: note('_register', 's1'),
    _unregister: note('_unregister'),
    _set: note('_set'),
    get: note('get'),
    getAll: note('getAll', {}),
    inspect: note('inspect'),
    start: note('start'),
    getSnapshot: note('getSnapshot', { _scheduledEvents: {} }),
    _sendInspectionEvent: note('_sendInspectionEvent'),
    _relay: (source: unknown, target: Sent, event: unknown) => {
      calls.push(['_relay', source, target, event])
      target._send(event)
    },
    scheduler: { schedule: note('schedule'), cancel: note('cancel'), cancelAll: note('cancelAll') },
    _clock: { setTimeout: note('setTimeout'), clearTimeout: note('clearTimeout') },
    _logger: note('_logger'),
  }
  const heard: unknown[] = []
  const parent = {
    id: 'host',
    sessionId: 'host',
    system,
    _send: (event: unknown) => heard.push(event),
    getSnapshot: () => ({ status: 'active' }),
  }
  /** The machine with an executor that only collects. */
  const collected: { type: string; params: unknown }[] = []
  const asked: string[] = []
  const real = machine as unknown as Open
  const silent = (scope: Scope): Scope => ({
    ...scope,
    actionExecutor: ({ type, params }) => collected.push({ type, params }),
    defer: () => {},
  })
  const deciding = Object.assign(Object.create(machine) as Open, {
    transition: (snapshot: unknown, event: unknown, scope: Scope) => {
      asked.push('transition')
      return real.transition(snapshot, event, silent(scope))
    },
    getInitialSnapshot: (scope: Scope, input: unknown) => {
      asked.push('getInitialSnapshot')
      return real.getInitialSnapshot(silent(scope), input)
    },
  })
  const make = (options: object): Actor =>
    createActor(deciding as unknown as typeof machine, { id: 'a', parent, ...options } as never) as Actor
  return { calls, system, parent, heard, collected, asked, make }
}
const members = (calls: readonly Call[]) => [...new Set(calls.map(([member]) => member))].sort()

const pins: Readonly<Record<string, () => void>> = {
  'an actor made with a parent takes that parent’s system, and makes none of its own': () => {
    const { make, system } = hosted()
    assert.equal(make({ input: 1 }).system as unknown, system)
  },
  'an actor books its session with `_bookId`, once, and is known by the id it was given': () => {
    const { make, calls } = hosted()
    const actor = make({ input: 1 })
    assert.deepEqual(
      [calls.filter(([member]) => member === '_bookId').length, actor.id, actor.sessionId],
      [1, 'a', 's1'],
    )
  },
  'the first transition runs when an actor is made, in the logic’s `getInitialSnapshot`, and not again when it starts':
    () => {
      const { make, asked } = hosted()
      make({ input: 1 }).start()
      assert.deepEqual(asked, ['getInitialSnapshot'])
    },
  'logic that inherits from a machine is asked for each transition, with a scope whose executor can be replaced':
    () => {
      const { make, asked } = hosted()
      make({ input: 1 }).start()._send({ type: 'count' })
      assert.deepEqual(asked, ['getInitialSnapshot', 'transition'])
    },
  'a replaced executor gets every action with its parameters, those of the first transition too, and nothing runs':
    () => {
      const { make, collected } = hosted()
      performed.length = 0
      make({ input: 1 }).start()._send({ type: 'count' })
      assert.deepEqual(collected, [
        { type: 'shout', params: 'entering' },
        { type: 'shout', params: 'counting' },
      ])
      assert.deepEqual(performed, [])
    },
  '`assign` is applied to the snapshot and never reaches the executor': () => {
    const { make, collected } = hosted()
    const actor = make({ input: 1 }).start()
    actor._send({ type: 'count' })
    assert.equal(actor.getSnapshot().context.count, 2)
    assert.equal(
      collected.some(({ type }) => type.includes('assign') || type === 'count'),
      false,
    )
  },
  'a message is delivered by `_send`, at once, without the scheduler or the clock': () => {
    const { make, calls } = hosted()
    const actor = make({ input: 1 }).start()
    actor._send({ type: 'count' })
    assert.equal(actor.getSnapshot().context.count, 2)
    assert.deepEqual(
      members(calls).filter((member) => !member.startsWith('_')),
      [],
    )
  },
  '`send` goes through the system’s `_relay`, and nowhere else': () => {
    const { make, calls } = hosted()
    const actor = make({ input: 1 }).start()
    actor.send({ type: 'count' })
    const [relayed] = calls.filter(([member]) => member === '_relay')
    assert.deepEqual([relayed?.[2] === actor, relayed?.[3]], [true, { type: 'count' }])
  },
  'a machine that throws ends as a snapshot with status `error` and the error itself; `_send` does not throw':
    () => {
      const { make } = hosted()
      const actor = make({ input: 1 }).start()
      actor._send({ type: 'fail' })
      const { status, error } = actor.getSnapshot() as { status: string; error: unknown }
      assert.deepEqual([status, (error as Error).message], ['error', 'it broke'])
    },
  'the failure of an actor with a parent is told to the parent by `_relay`, and is no uncaught exception':
    () => {
      const { make, heard } = hosted()
      make({ input: 1 }).start()._send({ type: 'fail' })
      assert.deepEqual(
        heard.map((event) => (event as { type: string }).type),
        ['xstate.error.actor.a'],
      )
    },
  'a failure asks the system for nothing but to drop the actor’s timers and its name': () => {
    const { make, calls } = hosted()
    const actor = make({ input: 1 }).start()
    calls.length = 0
    actor._send({ type: 'fail' })
    assert.deepEqual(members(calls), ['_relay', '_unregister', 'cancelAll'])
  },
  'an actor that cannot begin is made with a snapshot of status `error`; making it does not throw': () => {
    const { make } = hosted()
    const { status, error } = make({ input: -1 }).getSnapshot() as { status: string; error: unknown }
    assert.deepEqual([status, (error as Error).message], ['error', 'no such beginning'])
  },
  'an actor made with a snapshot is there at once, without a first transition and without an action': () => {
    const { make, asked, collected } = hosted()
    const snapshot = { status: 'active', value: 'one', context: { count: 9 }, children: {}, historyValue: {} }
    const actor = make({ snapshot }).start()
    assert.deepEqual([asked, collected], [[], []])
    assert.deepEqual([actor.getSnapshot().value, actor.getSnapshot().context], ['one', { count: 9 }])
    actor._send({ type: 'count' })
    assert.equal(actor.getSnapshot().context.count, 10)
  },
  'a snapshot whose state the machine does not have makes an actor with status `error`': () => {
    const { make } = hosted()
    const snapshot = { status: 'active', value: 'gone', context: {}, children: {}, historyValue: {} }
    assert.equal((make({ snapshot }).getSnapshot() as { status: string }).status, 'error')
  },
  'a message that is not handled leaves the very same context, so that nothing happened is `===`': () => {
    const { make } = hosted()
    const actor = make({ input: 1 }).start()
    const before = actor.getSnapshot()
    actor._send({ type: 'unknown' })
    assert.deepEqual(
      [actor.getSnapshot().context === before.context, actor.getSnapshot().value],
      [true, 'one'],
    )
  },
  'a live actor is registered under its session and leaves nothing else in the system: to forget it is enough':
    () => {
      const { make, calls } = hosted()
      make({ input: 1 }).start()._send({ type: 'count' })
      assert.deepEqual(members(calls), ['_bookId', '_register', '_sendInspectionEvent'])
      assert.equal(calls.find(([member]) => member === '_register')?.[1], 's1')
    },
  '`stop` of an actor with a parent throws, so it can only be forgotten': () => {
    const { make } = hosted()
    assert.throws(() => make({ input: 1 }).start().stop())
  },
  'an actor tells inspectors by `_sendInspectionEvent`: itself when made, then microsteps and a snapshot for each message':
    () => {
      const { make, calls } = hosted()
      const actor = make({ input: 1 }).start()
      actor._send({ type: 'count' })
      const seen = calls.flatMap(([member, event]) =>
        member === '_sendInspectionEvent' ? [event as { type: string; actorRef: unknown }] : [],
      )
      assert.deepEqual(
        seen.map(({ type }) => type),
        ['@xstate.actor', '@xstate.event', '@xstate.snapshot', '@xstate.microstep', '@xstate.snapshot'],
      )
      assert.equal(seen[0]?.actorRef, actor)
    },
  'the definition of the machine is found through logic that inherits from it': () => {
    const { make } = hosted()
    assert.equal((make({ input: 1 }).logic as { config?: unknown }).config, machine.config)
  },
  'an actor that reaches a final state tells its parent, and says so in its snapshot': () => {
    const { make, heard } = hosted()
    const actor = make({ input: 1 }).start()
    actor._send({ type: 'end' })
    assert.equal(actor.getSnapshot().status, 'done')
    assert.deepEqual(
      heard.map((event) => (event as { type: string }).type),
      ['xstate.done.actor.a'],
    )
  },
}

if (import.meta.main) {
  const found = Object.entries(pins).map(([sentence, pin]) => {
    try {
      pin()
      return [sentence, null] as const
    } catch (error) {
      return [sentence, error instanceof Error ? error.message : String(error)] as const
    }
  })
  process.stdout.write(`${JSON.stringify(Object.fromEntries(found))}\n`)
}

/** The sentences. */
export const sentences: readonly string[] = Object.keys(pins)
