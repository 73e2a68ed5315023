/**
 * Who holds a home, asked from outside and without getting in anybody's way.
 */
import { existsSync, readFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { homePaths } from '../home.ts'
import { sendSignal } from '../process.ts'

/** What is known of the holder. */
export type HolderLook = Readonly<{
  /** Whether somebody has the lock, which is the truth. */
  held: boolean
  /** What the file beside it says, which is a hint; undefined when there is none that can be read. */
  says: Readonly<{ pid: number } & Record<'command' | 'since' | 'boot' | 'build', string | null>> | undefined
  /** Whether a process with the pid of the hint lives. */
  lives: boolean
}>

const BUSY = 5

/** Looks who holds the home. A holder that begins meanwhile waits for this look at most some milliseconds. */
export const lookAtHolder = (home: string): HolderLook => {
  const { lock, daemon } = homePaths(home)
  const says = readHint(daemon)
  return { held: isHeld(lock), says, lives: says !== undefined && sendSignal(says.pid, 0) }
}

/**
 * A holder keeps an exclusive transaction open, which a reader meets as "busy". A shared lock for the length of one read is what
 * this costs others.
 */
const isHeld = (lock: string): boolean => {
  if (!existsSync(lock)) return false
  const database = new DatabaseSync(lock, { readOnly: true, timeout: 0 })
  try {
    database.prepare('SELECT count(*) FROM sqlite_schema').get()
    return false
  } catch (error) {
    const code = error instanceof Error && 'errcode' in error ? Number(error.errcode) & 0xff : undefined
    if (code === BUSY) return true
    throw error
  } finally {
    database.close()
  }
}

const readHint = (path: string): HolderLook['says'] => {
  try {
    const hint = JSON.parse(readFileSync(path, 'utf8')) as Readonly<Record<string, unknown>>
    const { pid, command, started_at: since, boot_id: boot, build } = hint
    if (!Number.isSafeInteger(pid) || (pid as number) <= 0) return undefined
    return {
      pid: pid as number,
      command: textOf(command),
      since: textOf(since),
      boot: textOf(boot),
      build: textOf(build),
    }
  } catch {
    // It is a hint: one that is missing or cut off says nothing.
    return undefined
  }
}

/** What is not there, or no text, is not said. */
const textOf = (value: unknown): string | null => (typeof value === 'string' ? value : null)
