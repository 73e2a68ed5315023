/**
 * Ending what an attempt left behind: the rest of its process group, everything that carries its marker, and what was seen to descend
 * from it.
 */
import type { Identity } from '../attempt.ts'
import { groupMembers, isAlive, type Marked, markedProcesses, sendSignal } from '../process.ts'
import { pause } from './clock.ts'
import { familyOf } from './family.ts'

/** Between TERM and KILL for what outlived its main process. */
const LEFTOVER_GRACE_MS = 2_000
/** How long a killed process may take to go; one that hangs in the kernel must not hang the runner. */
const KILLED_WITHIN_MS = 5_000
/** A family that forks faster than it is killed is given up after so many looks. */
const ROUNDS_MAX = 5

/** Whether the grace is cut short; asked again and again while a sweep waits. */
export type Hurry = () => boolean

/** What a sweep did. `left`: processes that could not be ended. */
export type Swept = Readonly<{ found: number; left: number }>

const NOTHING: Swept = { found: 0, left: 0 }

/** Whether nobody is left in a group, a zombie not counted. One system call when it is so. */
export const isGroupEmpty = (group: number): boolean =>
  !sendSignal(-group, 0) || groupMembers(group).length === 0

/** Ends a process group whose leader has exited: TERM at once, KILL after 2 s. */
export const sweepGroup = (group: number, hurry: Hurry): Promise<Swept> => {
  const members = () => (sendSignal(-group, 0) ? groupMembers(group).map(({ pid }) => pid) : [])
  return endAll(
    () => Promise.resolve(members()),
    (_, signal) => void sendSignal(-group, signal),
    hurry,
  )
}

/** Ends every process whose marker fits: TERM, KILL after 2 s, and looks again until none is left. */
export const sweepMarked = async (fits: (key: string) => boolean, hurry: Hurry): Promise<Swept> => {
  const look = async () => (await marked()).filter(({ key }) => fits(key)).map(({ pid }) => pid)
  let found = 0
  for (let round = 1; ; round += 1) {
    const swept = await endAll(look, signalEach, hurry)
    found += swept.found
    if (swept.found === 0 || swept.left > 0 || round === ROUNDS_MAX) return { found, left: swept.left }
  }
}

/** Ends those of these processes that still live, and what descends from them meanwhile: TERM, KILL after 2 s. Looks at no other. */
export const sweepFamily = (family: readonly Identity[], key: string, hurry: Hurry): Promise<Swept> => {
  const known = new Map(family.map((each) => [each.pid, each]))
  const look = async () => {
    const living = [...known.values()].filter(isAlive)
    if (living.length === 0) return []
    for (const each of familyOf(living, key)) known.set(each.pid, each)
    return [...known.values()].filter(isAlive).map(({ pid }) => pid)
  }
  return endAll(look, signalEach, hurry)
}

const signalEach = (pids: readonly number[], signal: NodeJS.Signals): void => {
  for (const pid of pids) sendSignal(pid, signal)
}

const endAll = async (
  look: () => Promise<readonly number[]>,
  signal: (pids: readonly number[], signal: NodeJS.Signals) => void,
  hurry: Hurry,
): Promise<Swept> => {
  let living = await look()
  if (living.length === 0) return NOTHING
  const seen = new Set(living)
  signal(living, 'SIGTERM')
  signal(living, 'SIGCONT')
  for (
    let waited = 0, step = 5;
    living.length > 0 && waited < LEFTOVER_GRACE_MS && !hurry();
    waited += step
  ) {
    step = Math.min(step * 2, 100)
    await pause(step)
    living = await look()
    for (const pid of living) seen.add(pid)
  }
  for (let waited = 0, step = 5; living.length > 0 && waited < KILLED_WITHIN_MS; waited += step) {
    signal(living, 'SIGKILL')
    step = Math.min(step * 2, 100)
    await pause(step)
    living = await look()
    for (const pid of living) seen.add(pid)
  }
  return { found: seen.size, left: living.length }
}

let looking: Promise<readonly Marked[]> | undefined

/** One look at all processes serves everybody who asked in the same turn; it happens after they asked. */
const marked = (): Promise<readonly Marked[]> => {
  looking ??= new Promise((resolve, reject) => {
    setImmediate(() => {
      looking = undefined
      try {
        resolve(markedProcesses(''))
      } catch (error) {
        reject(error as Error)
      }
    })
  })
  return looking
}
