/**
 * What runs under a supervisor: how it is started, how it is stopped, how it is shown.
 */

/** What a supervisor knows of a child that runs. Anything with `stop` will do: an XState actor, another supervisor. */
export type Ref = Readonly<{
  /** Asks for the end. When it returns, or what it returns settles, the child has ended. Without it, the child ends by `exit`. */
  stop?: () => unknown
  /** Ends at once what can be ended at once. What the child does later is ignored in any case. */
  kill?: () => void
  /** What is below it, if it is a supervisor. */
  tree?: () => Tree
}>

/** What a start function gets. */
export type Context<Args = unknown> = Readonly<{
  id: string
  /** What `startChild` of a dynamic supervisor was given. */
  args: Args
  /** From 1; one more with each start. */
  incarnation: number
  /** Aborted when this incarnation is to stop, also before its start has settled. */
  signal: AbortSignal
  /** Says that this incarnation has ended. Nothing: normally. What is no `Reason` is an error. Heard once. */
  exit: (reason?: unknown) => void
}>

/** What a start function answers. `ignore`: there is nothing to run now. A throw or a rejection: it could not be started. */
export type Started = Ref | Readonly<{ ref: Ref; info: unknown }> | 'ignore'

/** A child as it is shown, with what is below it. */
export type Tree = Readonly<{
  id: string
  kind: 'supervisor' | 'worker'
  /** Of a supervisor that is up. */
  strategy: string | null
  state: string
  incarnation: number
  /** Restarts within the period, against how many are allowed; null for the topmost. */
  restarts: Readonly<{ count: number; intensity: number; periodMs: number }> | null
  /** Why it last ended abnormally. */
  lastError: string | null
  /** For how long it has been in its state. */
  sinceMs: number
  /** Its last ends, the newest last. */
  history: readonly Readonly<{ agoMs: number; incarnation: number; reason: string }>[]
  children: readonly Tree[]
  /** Children that are not shown. */
  more: number
}>
