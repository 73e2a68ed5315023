/**
 * A debugger is open to every program on the machine that reaches its port, without a token: what serves a home, or runs plans, has none by
 * accident.
 */
import { url } from 'node:inspector'
import { TenutoError } from '../errors.ts'
import type { Globals } from './screen.ts'

/** The flag that takes it all the same. */
export type DebuggerFlags = Globals & Readonly<{ allowDebugger?: boolean }>

/**
 * Refuses to hold a home in a process that listens for a debugger, as `NODE_OPTIONS=--inspect` makes it.
 * @throws {TenutoError} `DEBUGGER_OPEN`.
 */
export const refuseDebugger = (command: string, { allowDebugger = false }: DebuggerFlags): void => {
  const at = url()
  if (at === undefined || allowDebugger) return
  throw new TenutoError('DEBUGGER_OPEN', { at: new URL(at).host, command })
}
