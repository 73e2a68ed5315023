/**
 * The machine of a world: attempt directories and processes, as they outlive whoever made them. What a process does follows a script
 * that its attempt key decides.
 */
import { EventEmitter } from 'node:events'
import {
  type Claim,
  type ExitRecord,
  type Identity,
  MARKER,
  type ProcessRecord,
  parseAttemptKey,
  type StopRecord,
} from '../../src/attempt.ts'
import { type Random, seededRandom } from '../../src/ids.ts'
import { pick, seedOf } from './choices.ts'
import type { Life, Timeline } from './timeline.ts'

/** What an attempt does when it is started. */
export type Script = Readonly<{
  does: 'ends' | 'hangs' | 'is refused' | 'is not found'
  code: number | null
  signal: NodeJS.Signals | null
  ms: number
  /** How long after the fork it takes until the process carries its marker. */
  unmarkedMs: number
  ignoresTerm: boolean
  leavesOneBehind: boolean
}>

/** The script of an attempt. */
export type Scripts = (key: string) => Script

/** A process of the machine. */
type Process = {
  readonly identity: Identity
  readonly group: number
  readonly parent: number | null
  readonly key: string
  readonly markedAt: number
  readonly ignoresTerm: boolean
  readonly exited: (code: number | null, signal: NodeJS.Signals | null) => void
  alive: boolean
}

/** The files of one attempt. A claim that was cut off in writing is there and says nothing. */
export type Directory = {
  claim?: Claim | 'cut off'
  main?: number
  log?: true
  process?: ProcessRecord
  stop?: StopRecord
  exit?: ExitRecord
  /** When the exit record was written, on the wall. */
  exitAt?: number
  /** When the folder was made, on the wall. */
  readonly madeAt: number
}

/** The machine of a world. */
export type Premises = Readonly<{
  bootId: string
  /** What is in the folder of an attempt; nothing where there is none. */
  directory: (dir: string) => Readonly<Partial<Directory>>
  /** The folder of an attempt, to be written to; undefined: there is none. */
  writable: (dir: string) => Directory | undefined
  /** The same, made where there is none. */
  made: (dir: string) => Directory
  /** Somebody removes the folder of an attempt. */
  remove: (dir: string) => void
  /** The folders that somebody has removed. */
  removed: ReadonlySet<string>
  /** Retention moves one aside. */
  moveAside: (dir: string) => void
  /** The folders of attempts there are, by their paths. */
  directories: ReadonlyMap<string, Readonly<Directory>>
  /** How often each attempt was executed, by its key. */
  executions: ReadonlyMap<string, number>
  /** Attempts whose end a full disk has kept from being recorded at least once. */
  unrecorded: Set<string>
  fork: (key: string, parent: Life) => Readonly<{ child: EventEmitter; pid: number }>
  /** The runners that live, by their pids. */
  runners: Set<number>
  /** An identity nobody had before. */
  identityOfNext: () => Identity
  living: () => readonly Process[]
  find: (pid: number) => Process | undefined
  isMarked: (process: Process) => boolean
  signal: (of: Process, signal: NodeJS.Signals) => void
}>

const BOOT = 'boot'
const ORDINARY: Script = {
  does: 'ends',
  code: 0,
  signal: null,
  ms: 20,
  unmarkedMs: 0,
  ignoresTerm: false,
  leavesOneBehind: false,
}

/** Scripts drawn by a seed. */
export const randomScripts = (seed: number): Scripts => {
  const made = new Map<string, Script>()
  const make = (random: Random): Script => {
    const kind = pick(random(), [
      'succeeds',
      'succeeds',
      'succeeds',
      'succeeds',
      'succeeds',
      'fails',
      'fails',
      'crashes',
      'hangs',
      'is refused',
      'is not found',
    ] as const)
    return {
      does: kind === 'hangs' || kind === 'is refused' || kind === 'is not found' ? kind : 'ends',
      code: kind === 'fails' ? 1 + Math.floor(random() * 2) : kind === 'crashes' ? null : 0,
      signal: kind === 'crashes' ? 'SIGSEGV' : null,
      ms: random() < 0.4 ? 0 : random() * 800,
      unmarkedMs: random() < 0.5 ? 0 : random() * 80,
      ignoresTerm: random() < 0.1,
      leavesOneBehind: random() < 0.1,
    }
  }
  return (key) => {
    const known = made.get(key) ?? make(seededRandom(seedOf(seed, `script ${key}`)))
    made.set(key, known)
    return known
  }
}

/** Scripts that say of each job what its attempts do; what they do not say is ordinary. */
export const fixedScripts =
  (of: (job: string, attempt: number) => Partial<Script>): Scripts =>
  (key) => {
    const name = parseAttemptKey(key)
    return { ...ORDINARY, ...(name ? of(name.job, name.attempt) : {}) }
  }

/** A hang that nobody ends ends by itself, or a plan that waits for it would never settle. */
const HANGS_MS = 20_000
const WORLD: Life = { alive: true }

/** An empty machine. `wrong` is told what must never happen on it. */
export const premises = (time: Timeline, scripts: Scripts, wrong: (what: string) => void): Premises => {
  const directories = new Map<string, Directory>()
  const removed = new Set<string>()
  const processes = new Map<number, Process>()
  const executions = new Map<string, number>()
  let lastPid = 100

  const made = (dir: string): Directory => {
    const known = directories.get(dir) ?? { madeAt: time.wall() }
    directories.set(dir, known)
    return known
  }
  const identityOfNext = (): Identity => {
    lastPid += 1
    return { pid: lastPid, start: String(lastPid), boot: BOOT }
  }
  const end = (process: Process, code: number | null, signal: NodeJS.Signals | null): void => {
    if (!process.alive) return
    process.alive = false
    processes.delete(process.identity.pid)
    process.exited(code, signal)
  }
  const start = (process: Process): void => {
    processes.set(process.identity.pid, process)
  }
  const fork: Premises['fork'] = (key, parent) => {
    const script = scripts(key)
    const name = parseAttemptKey(key)
    const times = (executions.get(key) ?? 0) + 1
    executions.set(key, times)
    if (times > 1) wrong(`${key} is executed ${times} times`)
    for (const other of processes.values()) {
      const of = parseAttemptKey(other.key)
      if (of?.plan === name?.plan && of?.job === name?.job && other.identity.pid === other.group)
        wrong(`${key} is executed while ${other.key} lives`)
    }
    const child = new EventEmitter()
    const identity = identityOfNext()
    const main: Process = {
      identity,
      group: identity.pid,
      parent: null,
      key,
      markedAt: time.monotonic() + script.unmarkedMs,
      ignoresTerm: script.ignoresTerm,
      // Only a living parent hears of it.
      exited: (code, signal) => void time.at(0, parent, () => child.emit('exit', code, signal)),
      alive: true,
    }
    start(main)
    if (script.leavesOneBehind)
      start({ ...main, identity: identityOfNext(), parent: identity.pid, exited: () => {} })
    const ms = script.does === 'hangs' ? HANGS_MS : script.ms
    time.at(script.unmarkedMs + ms, WORLD, () => end(main, script.code, script.signal))
    return { child, pid: identity.pid }
  }
  return {
    bootId: BOOT,
    directory: (dir) => directories.get(dir) ?? {},
    writable: (dir) => directories.get(dir),
    made,
    directories,
    remove: (dir) => {
      removed.add(dir)
      directories.delete(dir)
    },
    removed,
    moveAside: (dir) => void directories.delete(dir),
    executions,
    unrecorded: new Set(),
    runners: new Set(),
    fork,
    identityOfNext,
    living: () => [...processes.values()],
    find: (pid) => processes.get(pid),
    isMarked: ({ markedAt, key }) => key.length > 0 && time.monotonic() >= markedAt,
    signal: (process, signal) => {
      if (signal === 'SIGKILL' || (signal === 'SIGTERM' && !process.ignoresTerm)) end(process, null, signal)
    },
  }
}

/** The key that an environment carries. */
export const keyIn = (env: Readonly<Record<string, string>>): string => env[MARKER] ?? ''
