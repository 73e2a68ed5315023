/**
 * A supervisor as a child: its giving up is an abnormal end to the one above, and its children end with it in any case.
 */
import { KILLED } from './reason.ts'
import type { Context } from './ref.ts'
import type { ChildSpec } from './spec.ts'
import type { Supervisor } from './supervisor.ts'

/** A supervisor below another. */
export type Nested<Args> = Omit<ChildSpec, 'start' | 'type'> &
  Readonly<{
    /** Makes it, anew for each incarnation. It is started here. */
    make: (context: Context) => Supervisor<Args>
    /** Brings back children that were not in its specs, once it is up; its start is done when this is. */
    begun?: (supervisor: Supervisor<Args>) => Promise<void> | void
  }>

/** The child spec of a supervisor. What runs under its name (`ref`) is the supervisor itself. */
export const supervisorChild = <Args = unknown>({ make, begun, ...terms }: Nested<Args>): ChildSpec => ({
  ...terms,
  type: 'supervisor',
  start: async (context) => {
    const below = make(context)
    const { signal } = context
    const leave = (): void => (signal.reason === KILLED ? below.kill() : void below.stop())
    signal.addEventListener('abort', leave, { once: true })
    void below.ended.then(context.exit)
    await below.start()
    await begun?.(below)
    return below
  },
})
