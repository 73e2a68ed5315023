/**
 * What stock XState does that this house builds around. Each is shown on XState as it comes; an upgrade that changes one says so,
 * and perhaps something here can become simpler. Run by itself, as `pins.ts`; with the name of a crash it runs only that.
 */
import assert from 'node:assert/strict'
import {
  type AnyActorRef,
  assign,
  createActor,
  createMachine,
  fromCallback,
  fromPromise,
  initialTransition,
  SimulatedClock,
  type Snapshot,
  sendParent,
  sendTo,
  setup,
  spawnChild,
  transition,
} from 'xstate'

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
/** Errors of roots are thrown in a timer; an observer with `error` takes them. */
const watched = <A extends { subscribe: (observer: { error: () => void }) => unknown }>(actor: A): A => {
  actor.subscribe({ error: () => {} })
  return actor
}
const statusOf = (actor: { getSnapshot: () => unknown }): string =>
  (actor.getSnapshot() as { status: string }).status
const stored = (actor: { getPersistedSnapshot: () => unknown }): Snapshot<unknown> =>
  JSON.parse(JSON.stringify(actor.getPersistedSnapshot())) as Snapshot<unknown>
const failing = createMachine({
  initial: 'on',
  states: {
    on: {
      on: {
        fail: {
          actions: () => {
            throw new Error('it broke')
          },
        },
      },
    },
  },
})
const builds = { development: process.execArgv.some((flag) => flag.includes('development')) }

const pitfalls: Readonly<Record<string, () => unknown>> = {
  'an action runs before the state it belongs to can be seen': () => {
    let seen: unknown
    const actor: AnyActorRef = createActor(
      createMachine({
        initial: 'a',
        states: {
          a: {
            on: {
              go: {
                target: 'b',
                actions: () => {
                  seen = (actor.getSnapshot() as { value: unknown }).value
                },
              },
            },
          },
          b: {},
        },
      }),
    ).start()
    actor.send({ type: 'go' })
    assert.equal(seen, 'a')
  },
  'an action that throws undoes no effect before it, loses the context, and leaves the actor deaf': () => {
    const effects: string[] = []
    const actor = watched(
      createActor(
        createMachine({
          context: { count: 0 },
          on: {
            fail: {
              actions: [
                () => effects.push('done'),
                assign({ count: 1 }),
                () => {
                  throw new Error('it broke')
                },
              ],
            },
            count: { actions: assign({ count: 9 }) },
          },
        }),
      ).start(),
    )
    actor.send({ type: 'fail' })
    actor.send({ type: 'count' })
    assert.deepEqual(
      [effects, statusOf(actor), actor.getSnapshot().context],
      [['done'], 'error', { count: 0 }],
    )
  },
  'a child that fails, and whose failure nobody handles, fails its parent and stops its siblings':
    async () => {
      const parent = watched(
        createActor(
          setup({ actors: { failing, sibling: createMachine({}) } }).createMachine({
            invoke: [
              { id: 'bad', src: 'failing' },
              { id: 'good', src: 'sibling' },
            ],
          }),
        ).start(),
      )
      const { bad, good } = parent.getSnapshot().children as Record<string, AnyActorRef>
      bad?.send({ type: 'fail' })
      await turn()
      assert.deepEqual([statusOf(parent), good && statusOf(good)], ['error', 'stopped'])
    },
  'a machine that fails leaves its own children running': async () => {
    let aborted = false
    let disposed = false
    const parent = watched(
      createActor(
        setup({
          actors: {
            work: fromPromise(
              ({ signal }) =>
                new Promise<void>(() => {
                  signal.addEventListener('abort', () => {
                    aborted = true
                  })
                }),
            ),
            listen: fromCallback(() => () => {
              disposed = true
            }),
          },
        }).createMachine({
          invoke: [
            { src: 'work', id: 'work' },
            { src: 'listen', id: 'listen' },
          ],
          on: {
            fail: {
              actions: () => {
                throw new Error('it broke')
              },
            },
          },
        }),
      ).start(),
    )
    const { work } = parent.getSnapshot().children as Record<string, AnyActorRef>
    parent.send({ type: 'fail' })
    parent.stop()
    await turn()
    assert.deepEqual(
      [statusOf(parent), work && statusOf(work), aborted, disposed],
      ['error', 'active', false, false],
    )
  },
  'stopping runs no exit action; reaching an end does': () => {
    const left: string[] = []
    const machine = createMachine({
      initial: 'on',
      states: { on: { exit: () => left.push('left'), on: { end: 'off' } }, off: { type: 'final' } },
    })
    createActor(machine).start().stop()
    assert.deepEqual(left, [])
    createActor(machine).start().send({ type: 'end' })
    assert.deepEqual(left, ['left'])
  },
  'an actor with a parent cannot be stopped from outside': () => {
    const parent = createActor(
      setup({ actors: { child: createMachine({}) } }).createMachine({ invoke: { id: 'c', src: 'child' } }),
    ).start()
    const child = (parent.getSnapshot().children as Record<string, { stop: () => void }>)['c']
    assert.throws(() => child?.stop())
  },
  'a message to an actor that has stopped is dropped': () => {
    const got: string[] = []
    const actor = createActor(createMachine({ on: { hear: { actions: () => got.push('heard') } } })).start()
    actor.stop()
    actor.send({ type: 'hear' })
    assert.deepEqual(got, [])
  },
  'a message to a child that is not there fails its sender': () => {
    const actor = watched(
      createActor(createMachine({ on: { go: { actions: sendTo('nobody', { type: 'x' }) } } })).start(),
    )
    actor.send({ type: 'go' })
    assert.equal(statusOf(actor), 'error')
  },
  'a message whose target is undefined goes to its sender': () => {
    const got: string[] = []
    const actor = createActor(
      createMachine({
        on: {
          go: { actions: sendTo(({ system }) => system.get('gone') as AnyActorRef, { type: 'hear' }) },
          hear: { actions: () => got.push('myself') },
        },
      }),
    ).start()
    actor.send({ type: 'go' })
    assert.deepEqual(got, ['myself'])
  },
  'a message to the parent of a root fails the root': () => {
    const actor = watched(
      createActor(createMachine({ on: { go: { actions: sendParent({ type: 'x' }) } } })).start(),
    )
    actor.send({ type: 'go' })
    assert.equal(statusOf(actor), 'error')
  },
  'a chain of messages through different actors grows the stack until it breaks': () => {
    const count = 20_000
    let reached = 0
    const actors: AnyActorRef[] = []
    const link = createMachine({
      context: ({ input }) => ({ at: input as number }),
      on: {
        go: {
          actions: [
            ({ context }) => {
              reached = (context as { at: number }).at
            },
            sendTo(({ context }) => actors[(context as { at: number }).at + 1] as AnyActorRef, {
              type: 'go',
            }),
          ],
        },
      },
    })
    for (let at = 0; at < count; at += 1)
      actors.push(watched(createActor(link, { input: at } as never)).start() as AnyActorRef)
    actors[0]?.send({ type: 'go' })
    assert.ok(reached > 100 && reached < count - 1, `it came to ${reached}`)
    assert.ok(actors.some((actor) => statusOf(actor) === 'error'))
  },
  'its simulated clock jumps first and fires then, so that a chain of timers comes late': () => {
    const clock = new SimulatedClock()
    const actor = createActor(
      createMachine({
        initial: 'a',
        states: { a: { after: { 1000: 'b' } }, b: { after: { 500: 'c' } }, c: {} },
      }),
      { clock },
    ).start()
    clock.increment(2000)
    assert.equal(actor.getSnapshot().value, 'b')
    clock.increment(500)
    assert.equal(actor.getSnapshot().value, 'c')
  },
  'a loop of transitions ends only because the machine says after how many': () => {
    const loop = createMachine({
      options: { maxIterations: 50 },
      initial: 'a',
      states: { a: { on: { go: 'b' } }, b: { always: 'c' }, c: { always: 'b' } },
    } as never)
    const actor = watched(createActor(loop).start())
    actor.send({ type: 'go' } as never)
    assert.equal(statusOf(actor), 'error')
  },
  'children begin before the first entry actions run, and after those of every later state': () => {
    const order: string[] = []
    const child = fromCallback(() => {
      order.push('child')
    })
    const actor = createActor(
      setup({ actors: { child } }).createMachine({
        initial: 'a',
        states: {
          a: { invoke: { src: 'child' }, entry: () => order.push('entry'), on: { go: 'b' } },
          b: { invoke: { src: 'child' }, entry: () => order.push('entry') },
        },
      }),
    ).start()
    actor.send({ type: 'go' })
    assert.deepEqual(order, ['child', 'entry', 'entry', 'child'])
  },
  'an inspector that throws at a message throws to its sender; at a microstep it fails the actor; at a snapshot it leaves it deaf':
    () => {
      const broken = (at: string) => {
        let armed = false
        const actor = createActor(
          createMachine({ context: { n: 0 }, on: { go: { actions: assign({ n: 1 }) } } }),
          {
            inspect: (event) => {
              if (armed && event.type === at) throw new Error('the inspector broke')
            },
          },
        )
        watched(actor).start()
        armed = true
        let thrown = false
        try {
          actor.send({ type: 'go' })
        } catch {
          thrown = true
        }
        armed = false
        actor.send({ type: 'go' })
        return [thrown, statusOf(actor), actor.getSnapshot().context.n]
      }
      assert.deepEqual(broken('@xstate.event'), [true, 'active', 1])
      assert.deepEqual(broken('@xstate.microstep'), [false, 'error', 0])
      const [thrown, status] = broken('@xstate.snapshot')
      assert.deepEqual([thrown, status], [true, 'active'])
    },
  'a timer is lost when a machine comes back from its snapshot': () => {
    const machine = createMachine({ initial: 'a', states: { a: { after: { 1000: 'b' } }, b: {} } })
    const clock = new SimulatedClock()
    const snapshot = stored(createActor(machine, { clock: new SimulatedClock() }).start())
    const again = createActor(machine, { snapshot, clock } as never).start()
    clock.increment(100_000)
    assert.equal(again.getSnapshot().value, 'a')
  },
  'a promise that was pending runs again when a machine comes back from its snapshot': () => {
    let runs = 0
    const machine = setup({
      actors: {
        work: fromPromise(() => {
          runs += 1
          return new Promise<void>(() => {})
        }),
      },
    }).createMachine({ initial: 'a', states: { a: { invoke: { id: 'w', src: 'work' } } } })
    const snapshot = stored(createActor(machine).start())
    createActor(machine, { snapshot } as never).start()
    assert.equal(runs, 2)
  },
  'a snapshot taken after a stop is of no use': () => {
    const actor = createActor(createMachine({ initial: 'a', states: { a: {} } })).start()
    actor.stop()
    assert.equal((stored(actor) as { status: string }).status, 'stopped')
  },
  'a child whose source the machine no longer has is dropped without a word': () => {
    const machine = (sources: object) =>
      createMachine({ invoke: { id: 'c', src: 'child' } }).provide({ actors: sources } as never)
    const snapshot = stored(createActor(machine({ child: createMachine({}) })).start())
    const later = createMachine({})
    const again = createActor(later, { snapshot } as never).start()
    assert.deepEqual([statusOf(again), Object.keys(again.getSnapshot().children)], ['active', []])
  },
  'a state that the machine no longer has makes an actor that has failed': () => {
    const snapshot = stored(createActor(createMachine({ initial: 'a', states: { a: {} } })).start())
    const later = createMachine({ initial: 'b', states: { b: {} } })
    assert.equal(statusOf(watched(createActor(later, { snapshot } as never))), 'error')
  },
  'an error in a context is empty after JSON, and a BigInt is none': () => {
    const actor = (value: unknown) => createActor(createMachine({ context: { value } })).start()
    const { context } = stored(actor(new Error('lost'))) as unknown as { context: unknown }
    assert.deepEqual(context, { value: {} })
    assert.throws(() => stored(actor(1n)), TypeError)
  },
  'a persisted snapshot holds the live context itself': () => {
    const actor = createActor(createMachine({ context: { n: 0 } })).start()
    const { context } = actor.getPersistedSnapshot() as unknown as { context: unknown }
    assert.equal(context, actor.getSnapshot().context)
  },
  'an inline child cannot be persisted: development says so, production writes nothing in its place': () => {
    const inline = fromPromise(() => new Promise<void>(() => {}))
    const actor = createActor(createMachine({ entry: spawnChild(inline, { id: 'c' } as never) })).start()
    if (builds.development) assert.throws(() => stored(actor), /inline child/i)
    else {
      const { children } = stored(actor) as unknown as { children: Record<string, { src: unknown }> }
      assert.deepEqual(children['c']?.src, {})
    }
  },
  'a child that has ended stays in its parent’s snapshot': async () => {
    const parent = createActor(
      setup({ actors: { done: fromPromise(async () => 1) } }).createMachine({
        invoke: { id: 'c', src: 'done' },
      }),
    ).start()
    await turn()
    const { children } = stored(parent) as unknown as {
      children: Record<string, { snapshot: { status: string } }>
    }
    assert.equal(children['c']?.snapshot.status, 'done')
  },
  'a message that waits is in no snapshot': () => {
    const machine = createMachine({ context: { n: 0 }, on: { count: { actions: assign({ n: 1 }) } } })
    const actor = createActor(machine)
    actor.send({ type: 'count' })
    const snapshot = stored(actor)
    actor.start()
    const again = createActor(machine, { snapshot } as never).start()
    assert.deepEqual([actor.getSnapshot().context.n, again.getSnapshot().context.n], [1, 0])
  },
  'a pure transition makes the first context anew each time, without its input': () => {
    const inputs: unknown[] = []
    const machine = createMachine({
      context: ({ input }) => {
        inputs.push(input)
        return { n: 0 }
      },
      on: { count: { actions: assign({ n: 1 }) } },
    })
    const [first] = initialTransition(machine, 7 as never)
    const before = inputs.length
    transition(machine, first, { type: 'count' })
    transition(machine, first, { type: 'count' })
    assert.deepEqual(inputs.slice(before), [undefined, undefined])
  },
  '`resolveState` of a stored snapshot drops its children': () => {
    const machine = setup({ actors: { child: createMachine({}) } }).createMachine({
      initial: 'a',
      states: { a: { invoke: { id: 'c', src: 'child' } } },
    })
    const snapshot = stored(createActor(machine).start())
    assert.deepEqual(Object.keys(machine.resolveState(snapshot as never).children), [])
    assert.deepEqual(Object.keys(createActor(machine, { snapshot } as never).getSnapshot().children), ['c'])
  },
}

const crashes: Readonly<Record<string, () => void>> = {
  'a root that fails with nobody watching ends the process': () => {
    createActor(failing).start().send({ type: 'fail' })
  },
  'a child that fails unhandled ends the process of its parent': () => {
    const parent = createActor(
      setup({ actors: { failing } }).createMachine({ invoke: { id: 'bad', src: 'failing' } }),
    ).start()
    ;(parent.getSnapshot().children as Record<string, AnyActorRef>)['bad']?.send({ type: 'fail' })
  },
  'a subscriber of a child that has no `error` ends the process though the parent handles the failure':
    () => {
      const parent = createActor(
        setup({ actors: { failing } }).createMachine({
          invoke: { id: 'bad', src: 'failing', onError: { actions: () => {} } },
        }),
      ).start()
      const bad = (parent.getSnapshot().children as Record<string, AnyActorRef>)['bad']
      bad?.subscribe(() => {})
      bad?.send({ type: 'fail' })
    },
  'a subscriber that throws ends the process': () => {
    const actor = createActor(
      createMachine({ context: { n: 0 }, on: { go: { actions: assign({ n: 1 }) } } }),
    ).start()
    actor.subscribe(() => {
      throw new Error('the subscriber broke')
    })
    actor.send({ type: 'go' })
  },
}

/** The sentences that are shown, and those whose showing ends a process. */
export const shown: readonly string[] = Object.keys(pitfalls)
/** The sentences whose showing ends a process. */
export const crashing: readonly string[] = Object.keys(crashes)

if (import.meta.main) {
  const crash = process.argv[2]
  if (crash !== undefined) {
    crashes[crash]?.()
    // Whatever is thrown is thrown in a timer before this one.
    setTimeout(() => process.stdout.write('survived\n'), 20)
  } else {
    const found: Record<string, string | null> = {}
    for (const [sentence, show] of Object.entries(pitfalls)) {
      try {
        await show()
        found[sentence] = null
      } catch (error) {
        found[sentence] = error instanceof Error ? error.message : String(error)
      }
    }
    process.stdout.write(`${JSON.stringify(found)}\n`)
    process.exit(0)
  }
}
