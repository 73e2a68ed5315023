/**
 * Operating-system processes as others see them: who they are, whether they live, which attempt they belong to. A zombie is
 * dead. What cannot be read because the process is gone means gone; any other failure to look is thrown, never taken for dead.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs'
import { userInfo } from 'node:os'
import { type Identity, MARKER } from './attempt.ts'
import { codeOf } from './thrown.ts'

const linux = process.platform === 'linux'

/** A process of this machine that is no zombie. */
export type Seen = Readonly<{ pid: number; parent: number; group: number; start: string }>

/** A process that carries the marker of an attempt. */
export type Marked = Readonly<{ pid: number; key: string }>

let boot: string | undefined

/** The id of this boot of the machine. */
export const bootId = (): string => {
  boot ??= (
    linux
      ? readFileSync('/proc/sys/kernel/random/boot_id', 'utf8')
      : execFileSync('sysctl', ['-n', 'kern.bootsessionuuid'], { encoding: 'utf8' })
  ).trim()
  return boot
}

/** The identity of a living process; undefined when there is none. */
export const identityOf = (pid: number): Identity | undefined => {
  const seen = look(pid)
  return seen && { pid, start: seen.start, boot: bootId() }
}

/** Whether exactly this process lives: same pid, same start, same boot. */
export const isAlive = (identity: Identity): boolean =>
  identity.boot === bootId() && look(identity.pid)?.start === identity.start

/** The living members of a process group. */
export const groupMembers = (group: number): readonly Seen[] =>
  seenProcesses().filter((seen) => seen.group === group)

/** All living processes by the pids of their parents. Costs one look at every process. Linux only: elsewhere there are none. */
export const childrenByParent = (): ReadonlyMap<number, readonly Seen[]> =>
  linux ? Map.groupBy(seenProcesses(), ({ parent }) => parent) : new Map()

/** The living processes whose marker begins with `prefix`, this one not counted. Costs one look at every process. */
export const markedProcesses = (prefix: string): readonly Marked[] =>
  (linux ? environments() : environmentsByPs()).filter(({ key }) => key.startsWith(prefix))

/** The marker of a living process; undefined when it has none, is gone, or belongs to somebody else. Linux only. */
export const markerOf = (pid: number): string | undefined => {
  const environment = readProc(`/proc/${pid}/environ`)
  const at = environment === undefined ? -1 : `\0${environment}`.indexOf(`\0${MARKER}=`)
  if (environment === undefined || at < 0) return undefined
  const from = at + MARKER.length + 1
  const end = environment.indexOf('\0', from)
  return environment.slice(from, end < 0 ? undefined : end)
}

/** Whether a pid is anybody's, a zombie's too. The cheapest look there is. Linux only. */
export const isGiven = (pid: number): boolean => existsSync(`/proc/${pid}`)

/** The memory that a process has in RAM, in bytes; undefined where the system does not say. */
export const residentBytes = (pid: number): number | undefined => {
  const pages = linux ? Number(readProc(`/proc/${pid}/statm`)?.split(' ')[1]) : Number.NaN
  return Number.isInteger(pages) ? pages * PAGE_BYTES : undefined
}
/** Of x86; where pages are larger, more is allowed. */
const PAGE_BYTES = 4_096

let loadFile: number | undefined
const loadText = Buffer.alloc(128)

/**
 * The pid that was given last. Linux gives them in order and begins again at the end, so that what a process has started bears a pid
 * between its own and this one. Undefined where the system does not say.
 */
export const lastPid = (): number | undefined => {
  if (!linux) return undefined
  // Asked at the end of every attempt: opened once, it costs a third.
  loadFile ??= openSync('/proc/loadavg', 'r')
  const text = loadText.toString('latin1', 0, readSync(loadFile, loadText, 0, loadText.length, 0))
  const last = Number(text.slice(text.lastIndexOf(' ')))
  return last > 0 ? last : undefined
}

/** How the kernel sees a process, as one letter of ps(1); undefined where there is none. */
export const kernelState = (pid: number): string | undefined =>
  linux
    ? readProc(`/proc/${pid}/stat`)
        ?.replace(/^.*\) /s, '')
        .charAt(0)
    : ps(['-p', String(pid), '-o', 'stat='])[0]
        ?.trim()
        .charAt(0)

/**
 * Whether nothing keeps this process from reading its terminal: to who reads it behind another group of processes, the system says so by
 * stopping it. True where there is no terminal, or the system does not say.
 */
export const isInForeground = (): boolean => {
  const stat = linux ? readProc('/proc/self/stat') : undefined
  if (stat === undefined) return true
  // proc_pid_stat(5): after the command in brackets come state, parent, group, session, terminal, its foreground group.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const [group, foreground] = [Number(fields[2]), Number(fields[5])]
  return foreground === NO_TERMINAL || foreground === group
}
const NO_TERMINAL = -1

/** Sends a signal; whether there was anybody to get it. A negative pid names a group. */
export const sendSignal = (pid: number, signal: NodeJS.Signals | 0): boolean => {
  try {
    process.kill(pid, signal)
    return true
  } catch (error) {
    // EPERM: somebody is there and may not be signalled (a set-uid program).
    return codeOf(error) === 'EPERM'
  }
}

const look = (pid: number): Seen | undefined => (linux ? lookAtProc(pid) : seenByPs(['-p', String(pid)])[0])

const seenProcesses = (): readonly Seen[] => {
  if (!linux) return seenByPs(['-A'])
  return pids().flatMap((pid) => lookAtProc(pid) ?? [])
}

const pids = (): readonly number[] =>
  readdirSync('/proc')
    .filter((name) => name.charCodeAt(0) <= 0x39 && name.charCodeAt(0) >= 0x30)
    .map(Number)

/** proc_pid_stat(5): after the command in brackets, which may hold anything, come state, parent, group; start is field 22. */
const lookAtProc = (pid: number): Seen | undefined => {
  const stat = readProc(`/proc/${pid}/stat`)
  if (stat === undefined) return undefined
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const state = fields[0]
  if (state === 'Z' || state === 'X') return undefined
  return { pid, parent: Number(fields[1]), group: Number(fields[2]), start: fields[19] ?? '' }
}

const environments = (): readonly Marked[] =>
  pids().flatMap((pid) => {
    const key = pid === process.pid ? undefined : markerOf(pid)
    return key === undefined ? [] : [{ pid, key }]
  })

/** Undefined where the process is gone or belongs to somebody else, who then is none of ours. */
const readProc = (path: string): string | undefined => {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const code = codeOf(error)
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'EACCES' || code === 'EPERM') return undefined
    throw error
  }
}

/** macOS has no /proc. Best effort: `ps` shows the environment of one's own processes, joined by spaces. */
const environmentsByPs = (): readonly Marked[] =>
  ps(['-A', '-E', '-ww', '-o', 'pid=,command=']).flatMap((line) => {
    const pid = Number.parseInt(line, 10)
    const key = new RegExp(` ${MARKER}=(\\S+)`).exec(line)?.[1]
    return key === undefined || pid === process.pid ? [] : [{ pid, key }]
  })

const seenByPs = (which: readonly string[]): readonly Seen[] =>
  ps([...which, '-o', 'pid=,ppid=,pgid=,stat=,lstart=']).flatMap((line) => {
    const [pid, parent, group, state, ...start] = line.trim().split(/\s+/)
    return state === undefined || state.startsWith('Z')
      ? []
      : [{ pid: Number(pid), parent: Number(parent), group: Number(group), start: start.join(' ') }]
  })

const ps = (args: readonly string[]): readonly string[] => {
  try {
    const text = execFileSync('ps', args, {
      encoding: 'utf8',
      maxBuffer: 2 ** 28,
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    return text.split('\n').filter((line) => line.trim() !== '')
  } catch (error) {
    // `ps` ends with 1 when nothing fits.
    if ((error as { status?: number }).status === 1) return []
    throw error
  }
}

/** The name of whoever runs this process; its number where the system has no name for it. */
export const operator = (): string => {
  try {
    return userInfo().username
  } catch {
    return `uid ${process.getuid?.() ?? '?'}`
  }
}
