/**
 * The flat system: live XState actors, side by side, that decide and do nothing.
 *
 * XState's own system delivers messages, runs actions, keeps timers and links parents to children. Here all of that is the
 * host's: a machine is wrapped so that a transition only collects the actions it names, and every actor has the same silent
 * parent, so that an actor's failure reaches nobody but the host that asked. The actors stay ordinary ones (`createActor`), and
 * an inspector draws each of them and the arrows between them.
 *
 * This is the one file that leans on members of XState which are marked internal. `test/xstate/contract.test.ts` pins each.
 */
import { type AnyActor, type AnyStateMachine, createActor, type InspectionEvent } from 'xstate'
import type { Address } from '../address.ts'
import type { JsonObject } from '../json.ts'

/** An action that a machine named, with its parameters. */
export type Named = Readonly<{ type: string; params: unknown }>

/** What a machine decided: the state after the message, and the actions it named on the way. */
export type Decision = Readonly<{
  value: string
  context: JsonObject
  actions: readonly Named[]
  /** Whether state or context differ from before. */
  changed: boolean
}>

/** A live actor of the system. */
export type LiveActor = AnyActor

/** A state as it is stored. */
export type Stored = Readonly<{ value: string; context: JsonObject }>

/** The part of an actor's scope that the wrapper replaces. */
type Scope = { actionExecutor: (action: Named) => void; defer: (run: () => void) => void }
type Machine = AnyStateMachine & {
  transition: (snapshot: unknown, event: unknown, scope: Scope) => unknown
  getInitialSnapshot: (scope: Scope, input: unknown) => unknown
}
type Snapshot = Readonly<{ status: string; value: string; context: JsonObject; error?: unknown }>
type Target = { _send: (event: unknown) => void }

/** The flat system. One per host. */
export type FlatSystem = Readonly<{
  /** Makes an actor; the decision is that of its first step. Throws what the machine throws. */
  create: (
    machine: AnyStateMachine,
    address: Address,
    input: unknown,
  ) => Readonly<{ actor: LiveActor; decision: Decision }>
  /** Brings an actor back from its stored state. Throws when the machine does not have that state. */
  restore: (machine: AnyStateMachine, address: Address, stored: Stored) => LiveActor
  /** Lets an actor take one message. Throws what the machine throws; the actor is of no use afterwards. */
  take: (actor: LiveActor, event: unknown, from: LiveActor | null) => Decision
  /** Hands what inspectors should see to `observer`, in order. `undefined` collects nothing. */
  inspect: (observer: ((event: InspectionEvent) => void) | undefined) => void
}>

/** A system without actors. */
export const flatSystem = (): FlatSystem => {
  let collected: Named[] = []
  let sessions = 0
  let observer: ((event: InspectionEvent) => void) | undefined
  const wrapped = new WeakMap<AnyStateMachine, AnyStateMachine>()

  const collect = (action: Named): void => {
    collected.push({ type: action.type, params: action.params })
  }
  const nothing = (): void => {}

  /** The machine with its decisions only: it inherits the definition, which is what an inspector draws. */
  const deciding = (machine: AnyStateMachine): AnyStateMachine => {
    const known = wrapped.get(machine)
    if (known) return known
    const real = machine as Machine
    // An actor has one scope for its life, made for it alone: it is changed in place, since a table of copies costs more than a step.
    const silenced = (scope: Scope): Scope => {
      scope.actionExecutor = collect
      scope.defer = nothing
      return scope
    }
    const logic = Object.assign(Object.create(machine) as Machine, {
      transition: (snapshot: unknown, event: unknown, scope: Scope) =>
        real.transition(snapshot, event, silenced(scope)),
      getInitialSnapshot: (scope: Scope, input: unknown) => real.getInitialSnapshot(silenced(scope), input),
    })
    wrapped.set(machine, logic)
    return logic
  }

  const system = {
    _bookId: () => {
      sessions += 1
      return `s${sessions}`
    },
    _register: (id: string) => id,
    _unregister: () => {},
    _set: () => {},
    get: () => undefined,
    getAll: () => ({}),
    inspect: () => ({ unsubscribe: () => {} }),
    _sendInspectionEvent: (event: object) => {
      observer?.({ ...event, rootId: 'host' } as InspectionEvent)
    },
    _relay: (source: unknown, target: Target, event: unknown) => {
      if (observer)
        system._sendInspectionEvent({ type: '@xstate.event', sourceRef: source, actorRef: target, event })
      target._send(event)
    },
    scheduler: { schedule: () => {}, cancel: () => {}, cancelAll: () => {} },
    getSnapshot: () => ({ _scheduledEvents: {} }),
    start: () => {},
    _clock: { setTimeout: () => 0, clearTimeout: () => {} },
    _logger: () => {},
  }
  /** Everybody's parent: it hears of ends and errors and does nothing, since the host asked and knows already. */
  const parent = {
    id: 'host',
    sessionId: 'host',
    system,
    _send: () => {},
    getSnapshot: () => ({ status: 'active' }),
  }

  const begin = (machine: AnyStateMachine, address: Address, options: object): LiveActor => {
    collected = []
    const actor = createActor(deciding(machine), { id: address, parent, ...options } as object)
    const { status, error } = actor.getSnapshot() as Snapshot
    if (status === 'error') throw error
    actor.start()
    return actor
  }
  const decision = (actor: LiveActor, before: Snapshot | null): Decision => {
    const { value, context } = actor.getSnapshot() as Snapshot
    const changed = before === null || value !== before.value || context !== before.context
    return { value, context, actions: collected, changed }
  }

  return {
    create: (machine, address, input) => {
      const actor = begin(machine, address, { input })
      return { actor, decision: decision(actor, null) }
    },
    restore: (machine, address, { value, context }) =>
      begin(machine, address, {
        snapshot: { status: 'active', value, context, children: {}, historyValue: {} },
      }),
    take: (actor, event, from) => {
      collected = []
      const before = actor.getSnapshot() as Snapshot
      system._relay(from ?? parent, actor as unknown as Target, event)
      const after = actor.getSnapshot() as Snapshot
      if (after.status === 'error') throw after.error
      return decision(actor, before)
    },
    inspect: (next) => {
      observer = next
    },
  }
}
