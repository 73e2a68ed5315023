/**
 * Supervision with the semantics and the words of Erlang/OTP, for anything that can be started and stopped.
 */

export { startActor } from './actor.ts'
export type { Inspector } from './drawing.ts'
export { type ChildState, childMachine, type SupervisorState, supervisorMachine } from './machines.ts'
export { type Nested, supervisorChild } from './nested.ts'
export { type SupervisorPorts, systemPorts } from './ports.ts'
export { failure, isAbnormal, KILLED, NORMAL, type Reason, reasonText, SHUTDOWN } from './reason.ts'
export type { Context, Ref, Started, Tree } from './ref.ts'
export type { ChildSpec, Flags, Instance, Restart, Shutdown, Strategy, Terms } from './spec.ts'
export type { Ending, LifeRecord, Outcome, Refusal } from './state.ts'
export {
  type Listed,
  type StartOutcome,
  type Supervisor,
  supervisor,
} from './supervisor.ts'
export type { Ended, Watcher } from './watches.ts'
