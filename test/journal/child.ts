/** Real processes for tests of the journal. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { onTestFinished } from 'vitest'

/** A started process: its lines of stdout as they come, and its end. */
export type Child = Readonly<{
  process: ChildProcess
  lines: AsyncIterator<string>
  /** Kills it with SIGKILL and waits until it is gone. */
  kill: () => Promise<void>
}>

/** Starts a script of this folder with this Node; it is killed when the test has finished. */
export const start = (script: string, args: readonly string[], nodeFlags: readonly string[] = []): Child => {
  const child = spawn(process.execPath, [...nodeFlags, join(import.meta.dirname, script), ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const gone = once(child, 'exit')
  const kill = async () => {
    child.kill('SIGKILL')
    await gone
  }
  onTestFinished(kill)
  return { process: child, lines: createInterface({ input: child.stdout })[Symbol.asyncIterator](), kill }
}
