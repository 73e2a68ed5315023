/**
 * Who holds a home, as `daemon.json` says: a hint, since the lock is the truth. And what is said to whoever meets a holder.
 */
import { lstatSync } from 'node:fs'
import type { Identity } from './attempt.ts'
import { TenutoError } from './errors.ts'
import { homePaths } from './home.ts'
import { type FolderNumber, isOfFolder } from './home-folder.ts'
import { isString, type JsonRecord, readObject } from './json.ts'
import { isAlive, sendSignal } from './process.ts'
import { socketPath } from './socket.ts'
import { readWhole } from './whole-file.ts'

/** What a holder writes to `daemon.json`. */
export type HolderRecord = Readonly<{
  /** The process that holds the lock. */
  pid: number
  /** The process that starts it again when it dies; null when there is none. */
  parent_pid: number | null
  /** When that began, as the kernel counts: with it, the pid is nobody else's. */
  parent_start?: string
  /** What it does: `tenuto run`, `tenuto up`. */
  command: string
  /** The folder that it holds; a copy of this file elsewhere says nothing of that place. */
  folder?: FolderNumber
  /** ISO 8601 UTC. */
  started_at: string
  boot_id: string
  /** Scheme, host and port; null without TCP. */
  url: string | null
  /** The path of its socket; null until it listens. */
  sock: string | null
  /** The source hash of its build. */
  build: string
  /** Why its build was stale when it took the home; absent when it was not. */
  stale?: string
}>

/** What is known of a holder; the file may be older, or cut short. */
export type HolderHint = Readonly<{ pid: number }> & Partial<HolderRecord>

type Named = Pick<HolderHint, 'pid' | 'command' | 'started_at'>

/** What the daemon calls itself: who holds a home under this name takes plans in. */
export const DAEMON = 'tenuto up'

/** What the holder of a home says of itself; undefined when nobody has written it. Whether it still lives is not known. */
export const readHolder = (daemonFile: string): HolderHint | undefined => {
  try {
    return readObject(readWhole(daemonFile), (record) =>
      isHint(record) && isOfFolder(daemonFile, record.folder, record.boot_id) ? record : undefined,
    )
  } catch {
    // A hint that cannot be read is no hint.
    return undefined
  }
}

/** The parent of whoever holds, or held, a home; undefined when there is none that lives. */
export const parentOf = (home: string): Identity | undefined => {
  const { parent_pid: pid, parent_start: start, boot_id: boot } = readHolder(homePaths(home).daemon) ?? {}
  if (pid === undefined || pid === null || start === undefined || boot === undefined) return undefined
  return isAlive({ pid, start, boot }) ? { pid, start, boot } : undefined
}

/** That a home is held, by whom, and what to do then. Without a hint `daemon.json` is asked. */
export const homeHeld = (home: string, known?: Named): TenutoError => {
  const holder = known ?? livingHolder(home)
  const another = 'or use another home with `--home DIR`'
  const remedy =
    holder === undefined
      ? `try again; ${fuser(home)}; ${another}`
      : holder.command === DAEMON
        ? `it takes plans: \`tenuto run FILE\`; \`tenuto down\` stops it; ${another}`
        : BRIEF.test(holder.command ?? '')
          ? `it holds the home for a moment: try again; ${another}`
          : `it takes no plan besides its own: wait until it has ended, or stop that (\`tenuto cancel REF\`), and start a daemon for many plans (\`tenuto up\`); ${another}`
  const pid = holder === undefined ? {} : { pid: holder.pid }
  return new TenutoError('HOME_HELD', { home, holder: inWords(holder), remedy, ...pid })
}

/** Commands that hold a home for as long as they take to be committed. */
const BRIEF = /^tenuto (?!run\b|resume\b)/

/** That whoever holds a home does not answer: who that is, and what to do about it. */
export const noAnswer = (home: string): TenutoError => {
  const holder = livingHolder(home)
  const sock = socketPath(home, 'sock')
  const isServed = lstatSync(sock, { throwIfNoEntry: false })?.isSocket() === true
  const remedy =
    holder === undefined
      ? `try again; ${fuser(home)}`
      : !isServed && holder.command === DAEMON
        ? `its socket ${sock} is not there, and it makes it again when it can; what runs goes on also when it is stopped: \`kill ${holder.pid}\`, then \`tenuto up\``
        : `try again; \`kill -CONT ${holder.pid}\` lets it go on if it was stopped, and \`kill -9 ${holder.pid}\` ends it if it hangs: what is committed stays, what runs goes on, and the next \`tenuto up\` or \`tenuto resume\` adopts it`
  return new TenutoError('NO_ANSWER', { home, holder: inWords(holder), remedy })
}

/** Whether a daemon has a home, as far as it says so. */
export const isServedByDaemon = (home: string): boolean => livingHolder(home)?.command === DAEMON

/** That the daemon of a home has died and is about to be started again by its parent, who would find another in its place. */
export const restarting = (home: string, { pid }: Pick<Identity, 'pid'>): TenutoError =>
  new TenutoError('NO_ANSWER', {
    home,
    holder: `pid ${pid}, which is to start its daemon again`,
    remedy:
      'try again in some seconds; why it dies is in `daemon.log` of the home, and `tenuto down` ends the parent',
  })

const livingHolder = (home: string): HolderHint | undefined => {
  const holder = readHolder(homePaths(home).daemon)
  return holder !== undefined && sendSignal(holder.pid, 0) ? holder : undefined
}

const inWords = (holder: Named | undefined): string => {
  if (holder === undefined) return 'another process'
  const { pid, command, started_at: since } = holder
  const more = [command, since === undefined ? undefined : `since ${since}`].filter(
    (part) => part !== undefined,
  )
  return more.length === 0 ? `pid ${pid}` : `pid ${pid} (${more.join(', ')})`
}

const fuser = (home: string): string => `\`fuser ${homePaths(home).lock}\` names the process`

const TEXTS = ['command', 'started_at', 'boot_id', 'build'] as const

const isHint = (record: JsonRecord): record is JsonRecord & HolderHint =>
  Number.isSafeInteger(record['pid']) &&
  Number(record['pid']) > 0 &&
  TEXTS.every((name) => record[name] === undefined || isString(record[name]))
