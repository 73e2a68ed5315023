/**
 * The machine of a world as one runner uses it: everything that its own life can end before, after or in the middle of. The order of
 * what is done here is that of `src/runner/attempts.ts`, which runs on it.
 */
import { EventEmitter } from 'node:events'
import type { Claim } from '../../src/attempt.ts'
import { RECORD_VERSION } from '../../src/attempt.ts'
import type { Child, Machine } from '../../src/runner/machine.ts'
import { keyIn, type Premises, type Scripts } from './premises.ts'
import type { Life, Timeline } from './timeline.ts'

/** What happens around each thing that a runner does to the machine. */
export type Around = Readonly<{
  /** May end the runner's life. */
  point: (where: string) => void
  /** Whether there is no room for a file. */
  isFull: (where: string) => boolean
  /** Whether nobody can say of a process whether it lives. */
  isBlind: () => boolean
}>

type Later = ReturnType<Machine['later']>

/** What is asked by one who is dead. */
export class Gone extends Error {}

const failure = (code: string): Error => Object.assign(new Error(code), { code })
const LOG_DESCRIPTOR = 3

/** The machine as the runner of this life has it. */
export const machineOf = (
  life: Life,
  of: Premises,
  time: Timeline,
  scripts: Scripts,
  { point, isFull, isBlind }: Around,
): Machine => {
  const living = (): void => {
    if (!life.alive) throw new Gone()
  }
  const step = <T>(what: string, act: () => T, halfway?: () => void): T => {
    living()
    point(`before ${what}`)
    if (!life.alive) throw new Gone()
    if (halfway) {
      point(`in the middle of ${what}`)
      if (!life.alive) {
        halfway()
        throw new Gone()
      }
    }
    const done = act()
    point(`after ${what}`)
    living()
    return done
  }
  const write = (what: string, act: () => void, full = (): void => {}): void =>
    step(what, () => {
      if (isFull(what)) {
        full()
        throw failure('ENOSPC')
      }
      act()
    })
  const within = (dir: string) => {
    const directory = of.writable(dir)
    if (directory === undefined) throw failure('ENOENT')
    return directory
  }
  const look = <T>(act: () => T): T => {
    living()
    return act()
  }
  const pause = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      time.at(ms, life, resolve)
    })
  const marked = (fits: (key: string) => boolean) =>
    look(() => of.living().filter((process) => of.isMarked(process) && fits(process.key)))
  const members = (group: number) => look(() => of.living().filter((process) => process.group === group))
  const isThere = (pid: number, start: string) => of.find(pid)?.identity.start === start
  /** TERM, and KILL for who is still there: who lives after that is found by the next look. */
  const endAll = async (those: () => ReturnType<Premises['living']>) => {
    const seen = new Set<number>()
    if (those().length === 0) return { found: 0, left: 0 }
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      for (const process of those()) {
        seen.add(process.identity.pid)
        of.signal(process, signal)
      }
      await pause(10)
    }
    return { found: seen.size, left: those().length }
  }

  return {
    takeClaim: (ref, claim) =>
      step(
        `the claim of ${ref.key}`,
        () => {
          const directory = of.made(ref.dir)
          if (directory.claim !== undefined) return false
          if (isFull(`the claim of ${ref.key}`)) throw failure('ENOSPC')
          directory.claim = { v: RECORD_VERSION, key: ref.key, ...claim } satisfies Claim
          return true
        },
        () => {
          of.made(ref.dir).claim ??= 'cut off'
        },
      ),
    claimOf: (dir) =>
      look(() => {
        const { claim } = of.directory(dir)
        return claim === 'cut off' ? undefined : claim
      }),
    writeNeeds: (dir) => write(`the needs of ${dir}`, () => void within(dir)),
    openLog: (dir) => {
      write(`the log of ${dir}`, () => {
        within(dir).log = true
      })
      return LOG_DESCRIPTOR
    },
    closeLog: () => {},
    mayHaveStarted: (dir) => look(() => of.directory(dir).log === true),
    logOf: (dir) => look(() => (of.directory(dir).log ? { bytes: 0, diskBytes: 0, inode: 1 } : undefined)),
    fullBlock: () => undefined,
    holeOf: () => undefined,
    punchOut: async () => false,
    noteMain: (dir, pid) =>
      look(() => {
        within(dir).main = pid
      }),
    mainOf: (dir) => look(() => of.directory(dir).main),
    writeProcess: (dir, key, identity, startedAt, startedMono) =>
      write(`the process of ${key}`, () => {
        within(dir).process = { v: RECORD_VERSION, key, ...identity, startedAt, startedMono }
      }),
    writeStop: (dir, stop) =>
      write(`the stop of ${stop.key}`, () => {
        within(dir).stop = { v: RECORD_VERSION, ...stop }
      }),
    stopOf: (dir) => look(() => of.directory(dir).stop),
    processOf: (dir) => look(() => of.directory(dir).process),
    writeExit: (dir, record) =>
      write(
        `the exit record of ${record.key}`,
        () => {
          const directory = of.made(dir)
          directory.exit = record
          directory.exitAt = time.wall()
        },
        () => of.unrecorded.add(record.key),
      ),
    exitOf: (dir) => look(() => of.directory(dir).exit),

    start: (_argv, { env }): Child => {
      const key = keyIn(env)
      return step(`the start of ${key}`, () => {
        const { does } = scripts(key)
        if (does === 'ends' || does === 'hangs') {
          const { child, pid } = of.fork(key, life)
          return Object.assign(child, { pid }) as unknown as Child
        }
        const child = new EventEmitter()
        const error = failure(does === 'is refused' ? 'EAGAIN' : 'ENOENT')
        time.at(0, life, () => child.emit('error', error))
        return child as unknown as Child
      })
    },
    bootId: () => of.bootId,
    identityOf: (pid) => look(() => of.find(pid)?.identity),
    isAlive: ({ pid, start }) =>
      look(() => {
        if (isBlind()) throw failure('EMFILE')
        return isThere(pid, start) || of.runners.has(pid)
      }),
    groupMembers: (group) =>
      members(group).map(({ identity, parent }) => ({
        pid: identity.pid,
        parent: parent ?? 0,
        group,
        start: identity.start,
      })),
    markedProcesses: (prefix) =>
      marked((key) => key.startsWith(prefix)).map(({ identity, key }) => ({ pid: identity.pid, key })),
    sendSignal: (pid, signal) =>
      look(() => {
        const those = pid < 0 ? members(-pid) : [of.find(pid)].filter((process) => process !== undefined)
        if (signal !== 0) for (const process of those) of.signal(process, signal)
        return those.length > 0
      }),
    strays: () => ({
      started: () => {},
      areLeft: ({ key }) => marked((other) => other === key).length > 0,
    }),
    isGroupEmpty: (group) => members(group).length === 0,
    sweepGroup: (group) => endAll(() => members(group)),
    sweepMarked: (fits) => endAll(() => marked(fits)),
    // A main process of this machine has children, and they have none.
    familyOf: (heads) =>
      look(() =>
        of
          .living()
          .filter(({ parent }) => heads.some(({ pid, start }) => pid === parent && isThere(pid, start)))
          .map(({ identity }) => identity),
      ),
    sweepFamily: (family) =>
      endAll(() =>
        look(() =>
          family.flatMap(({ pid, start }) => (isThere(pid, start) ? of.find(pid) : undefined) ?? []),
        ),
      ),

    wallMs: time.wall,
    machineMs: time.monotonic,
    later: (run, ms) => time.at(ms, life, run) as unknown as Later,
    cancelLater: (timer) => (timer as unknown as (() => void) | undefined)?.(),
    pause,
    soon: (run) => void time.at(0, life, run),
  }
}
