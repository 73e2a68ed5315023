/**
 * The backups of a daemon: once a day a process of its own copies the journal, beside everything else, as `tenuto backup` does.
 */
import { spawn } from 'node:child_process'
import { constants, setPriority } from 'node:os'
import { join } from 'node:path'
import { backupsIn } from '../backup-place.ts'
import { packageRoot } from '../build.ts'
import { type Clock, systemClock } from '../clock.ts'
import { childEnvironment } from '../config.ts'
import { rounds } from '../rounds.ts'

/** A copy that is being made. */
export type Copying = Readonly<{
  /** Resolves when it is made. Rejects with why it is not. */
  made: Promise<void>
  /** Ends it, whatever it has come to. */
  end: () => void
}>

/** What is copied, and who hears of it. */
export type DailyBackupOptions = Readonly<{
  home: string
  /** How far the journal has come: where nothing has happened since the last copy, none is made. */
  steps: () => number
  /** Hears why none could be made, each time. */
  tell: (why: string) => void
  clock?: Clock
  copy?: (home: string) => Copying
}>

/** How old the newest one is when another is made. */
export const BACKUP_AGE_MS = 24 * 3_600_000
const LOOK_MS = 3_600_000
/** A daemon of a new home has other things to do first; one that is overdue makes it at once, since it may not live long either. */
const FIRST_MS = 60_000
const WORDS_MAX = 500

/** Makes backups from now on; the answer ends that, and one that is being made with it. */
export const dailyBackup = ({
  home,
  steps,
  tell,
  clock = systemClock,
  copy = copyBeside,
}: DailyBackupOptions): (() => Promise<void>) => {
  let copiedAt: number | undefined
  let copying: Copying | undefined
  let isOver = false
  const isDue = (): boolean => {
    if (steps() === copiedAt) return false
    const newest = backupsIn(home).whole.at(-1)
    const ageMs = newest === undefined ? BACKUP_AGE_MS : clock.now() - newest.at
    // One of the future is of a clock that was set back since.
    return ageMs >= BACKUP_AGE_MS || ageMs < 0
  }
  const alone = rounds({
    clock,
    firstMs: backupsIn(home).whole.length === 0 ? FIRST_MS : 0,
    everyMs: LOOK_MS,
    round: async () => {
      if (!isDue()) return undefined
      const reached = steps()
      copying = copy(home)
      try {
        await copying.made
        copiedAt = reached
      } catch (error) {
        if (!isOver) tell((error as Error).message)
      }
      copying = undefined
      return undefined
    },
  })
  // What a round fails with is told above.
  alone.start(() => {})
  return async () => {
    isOver = true
    alone.stop()
    copying?.end()
    await copying?.made.catch(() => {})
  }
}

/** Copies as the command does, in its process: that a journal is large delays nobody here. */
export const copyBeside = (home: string): Copying => {
  const program = join(packageRoot(), 'bin', 'tenuto.cjs')
  const child = spawn(process.execPath, [program, 'backup', '--home', home, '--no-color'], {
    cwd: '/',
    env: childEnvironment(),
    // Ctrl-C in a terminal is for the daemon.
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const made = new Promise<void>((resolve, reject) => {
    let said = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-WORDS_MAX)
    })
    child.once('error', reject)
    child.once('close', (code, signal) => {
      if (code === 0) resolve()
      else reject(new Error(said.trim() || `tenuto backup ended with ${signal ?? `exit ${code}`}`))
    })
  })
  try {
    if (child.pid !== undefined) setPriority(child.pid, constants.priority.PRIORITY_LOW)
  } catch {
    // It has ended, or the system does not have it: it copies all the same.
  }
  return { made, end: () => void child.kill('SIGKILL') }
}
