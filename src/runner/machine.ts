/**
 * Everything that watching attempts asks of the machine, as one port: files of the attempt directory, processes and time. A simulation
 * brings its own, so that the order of what the runner does is the real one there too.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync } from 'node:fs'
import { bootId, groupMembers, identityOf, isAlive, markedProcesses, sendSignal } from '../process.ts'
import { cancelLater, later, machineMs, pause, wallMs } from './clock.ts'
import {
  claimOf,
  exitOf,
  fullBlock,
  holeOf,
  logOf,
  mainOf,
  mayHaveStarted,
  noteMain,
  openLog,
  processOf,
  stopOf,
  takeClaim,
  writeExit,
  writeNeeds,
  writeProcess,
  writeStop,
} from './directory.ts'
import { familyOf } from './family.ts'
import { punchOut } from './log-bound.ts'
import { yieldMemory } from './memory-order.ts'
import { strays } from './strays.ts'
import { isGroupEmpty, sweepFamily, sweepGroup, sweepMarked } from './sweep.ts'

/** The main process of an attempt, as its parent sees it. */
export type Child = Pick<ChildProcess, 'pid' | 'on' | 'once'>

/** What a process is started with. */
export type Start = Readonly<{ cwd: string; env: Readonly<Record<string, string>>; log: number }>

/** The machine of this process. */
export const thisMachine = {
  // Files.
  takeClaim,
  claimOf,
  writeNeeds,
  openLog,
  closeLog: closeSync,
  mayHaveStarted,
  logOf,
  fullBlock,
  holeOf,
  punchOut,
  noteMain,
  mainOf,
  writeProcess,
  processOf,
  writeStop,
  stopOf,
  writeExit,
  exitOf,
  // Processes.
  /** Its own session and group: a signal to the group reaches the family, and no terminal reaches it. */
  start: ([program, ...args]: readonly string[], { cwd, env, log }: Start): Child => {
    const child = spawn(program as string, args, { cwd, env, detached: true, stdio: ['ignore', log, log] })
    if (child.pid !== undefined) yieldMemory(child.pid)
    return child
  },
  bootId,
  identityOf,
  isAlive,
  groupMembers,
  markedProcesses,
  sendSignal,
  strays,
  isGroupEmpty,
  sweepGroup,
  sweepMarked,
  familyOf,
  sweepFamily,
  // Time.
  wallMs,
  machineMs,
  later,
  cancelLater,
  pause,
  soon: (run: () => void): void => void setImmediate(run),
} as const

/** A machine on which attempts are watched. */
export type Machine = typeof thisMachine
