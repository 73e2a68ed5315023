/**
 * Tenuto as a library: take a home, submit plans, follow them.
 */
export type { Call, Handler, Needs } from './actors/calls.ts'
export type { HostCounts } from './actors/memory.ts'
export type { Catalog } from './catalog.ts'
export type { Definition, JobDefinition } from './definition.ts'
export { type ErrorCode, TenutoError } from './errors.ts'
export type { Figures, Numbers } from './guest.ts'
export { definePlan, type JobSource, type PlanSource } from './plans/define-plan.ts'
export {
  type Command,
  type CommandOptions,
  type CommandReceipt,
  createRuntime,
  type EventsQuery,
  type GcOptions,
  type PlanHandle,
  type RetentionOptions,
  type Runtime,
  type RuntimeOptions,
  type Settled,
  type SubmitOptions,
} from './runtime.ts'
export type {
  AnalyticsShape,
  AttemptShape,
  BuildShape,
  EventShape,
  GcShape,
  JobShape,
  PlanShape,
  StorageShape,
} from './views/shapes.ts'
