/**
 * A supervisor as a child: its giving up is an abnormal end to the one above, and its children end with it in any case.
 */
import { KILLED } from './reason.ts'
import type { Context } from './ref.ts'
import { type ChildSpec, checkNested } from './spec.ts'
import type { Supervisor } from './supervisor.ts'

/** A supervisor below another. */
export type Nested<Args> = Omit<ChildSpec, 'start' | 'type'> &
  Readonly<{
    /** Makes it, anew for each incarnation. It is started here. */
    make: (context: Context) => Supervisor<Args>
    /** Brings back children that were not in its specs, once it is up; its start is done when this is. */
    begun?: (supervisor: Supervisor<Args>) => Promise<void> | void
  }>

/**
 * The child spec of a supervisor. What runs under its name (`ref`) is the supervisor itself.
 * @throws {TenutoError} `SUPERVISION_INVALID` when it cannot be made.
 */
export const supervisorChild = <Args = unknown>(nested: Nested<Args>): ChildSpec => {
  checkNested(nested)
  const { make, begun, ...terms } = nested
  return { ...terms, type: 'supervisor', start: (context) => begin(context, make, begun) }
}

const begin = async <Args>(
  context: Context,
  make: Nested<Args>['make'],
  begun: Nested<Args>['begun'],
): Promise<Supervisor<Args>> => {
  const below = make(context)
  const { signal } = context
  const leave = (): void => (signal.reason === KILLED ? below.kill() : void below.stop())
  signal.addEventListener('abort', leave, { once: true })
  void below.ended.then(context.exit)
  await below.start()
  await begun?.(below)
  return below
}
