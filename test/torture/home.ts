/**
 * A home of the packed program, with its processes: commands, the daemon, the runner. Only what was started here, what runs the
 * runner's program of this home, or what carries its marker is ever signalled, by pid. Linux only: it looks into /proc.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '../../src/clock.ts'
import { markedProcesses, sendSignal } from '../../src/process.ts'

/** What a command said, and how it ended; `code` is null after a signal. */
export type Said = Readonly<{ code: number | null; out: string; err: string }>

/** A daemon that was started. */
export type Daemon = Readonly<{
  pid: number
  /** True when it serves; false when it ended before. */
  serving: Promise<boolean>
  ended: Promise<Readonly<{ code: number | null; signal: NodeJS.Signals | null }>>
  hasEnded: () => boolean
  signal: (signal: NodeJS.Signals) => void
  err: () => string
}>

/** A home and everything that runs in it. */
export type PackedHome = Readonly<{
  folder: string
  home: string
  ledger: string
  /** Runs a command to its end. @throws {Error} when it does not end within a minute. */
  tenuto: (...args: readonly string[]) => Promise<Said>
  up: () => Daemon
  /** The runners of this home that live, found by their command line. */
  runners: () => readonly number[]
  /** The processes of attempts. */
  marked: () => readonly Readonly<{ pid: number; key: string }>[]
  /** Ends whatever was started here and still lives. */
  close: () => Promise<void>
}>

const COMMAND_ENDS_WITHIN_MS = 60_000

/** A home in a folder, not made yet. */
export const packedHome = (folder: string, bin: string): PackedHome => {
  const home = join(folder, 'home')
  const ledger = join(folder, 'ledger')
  const children = new Set<ChildProcess>()
  const start = (args: readonly string[]): ChildProcess => {
    const child = spawn(process.execPath, [bin, ...args, '--home', home], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    children.add(child)
    child.once('close', () => children.delete(child))
    return child
  }
  const tenuto = async (...args: readonly string[]): Promise<Said> => {
    const child = start(args)
    const [out, err] = [gathered(child.stdout), gathered(child.stderr)]
    let isLate = false
    const cancel = systemClock.setTimeout(() => {
      isLate = true
      child.kill('SIGKILL')
    }, COMMAND_ENDS_WITHIN_MS)
    const [code] = (await once(child, 'close')) as [number | null]
    cancel()
    if (isLate) throw new Error(`tenuto ${args.join(' ')} did not end: ${out()}${err()}`)
    return { code, out: out(), err: err() }
  }
  const up = (): Daemon => {
    const child = start(['up', '--no-parent', '--json', '--port', '0', '--max-parallel', '8'])
    const [out, err] = [gathered(child.stdout), gathered(child.stderr)]
    let over = false
    const ended = once(child, 'close').then(([code, signal]) => {
      over = true
      return { code: code as number | null, signal: signal as NodeJS.Signals | null }
    })
    const served = new Promise<boolean>((resolve) => {
      child.stdout?.on('data', () => {
        if (out().includes('\n')) resolve(true)
      })
    })
    return {
      pid: child.pid ?? 0,
      serving: Promise.race([served, ended.then(() => false)]),
      ended,
      hasEnded: () => over,
      signal: (signal) => void child.kill(signal),
      err,
    }
  }
  const marked = () => {
    const [key] = linesOf(ledger)
    return key === undefined ? [] : markedProcesses(key.slice(0, key.indexOf('/') + 1))
  }
  const close = async (): Promise<void> => {
    for (const child of [...children]) {
      child.kill('SIGKILL')
      if (children.has(child)) await once(child, 'close')
    }
    for (const pid of [...runnersOf(home), ...marked().map(({ pid }) => pid)]) sendSignal(pid, 'SIGKILL')
  }
  return { folder, home, ledger, tenuto, up, runners: () => runnersOf(home), marked, close }
}

/** The whole lines of a file; none where it is not there. */
export const linesOf = (path: string): readonly string[] => {
  const text = textOf(path) ?? ''
  return text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .slice(0, -1)
}

/** How many descriptors a process has open; undefined when it is gone. */
export const descriptorsOf = (pid: number): number | undefined => {
  try {
    return readdirSync(`/proc/${pid}/fd`).length
  } catch {
    return undefined
  }
}

/** The children of a process that have ended and that it has not taken notice of. */
export const unnoticedOf = (parent: number): readonly number[] =>
  pids().filter((pid) => {
    const stat = textOf(`/proc/${pid}/stat`)
    const [state, ppid] = stat?.slice(stat.lastIndexOf(')') + 2).split(' ') ?? []
    return state === 'Z' && Number(ppid) === parent
  })

const runnersOf = (home: string): readonly number[] =>
  pids().filter((pid) => {
    const words = (textOf(`/proc/${pid}/cmdline`) ?? '').split('\0')
    return words.some((word, at) => word.startsWith(join(home, 'runner/')) && words[at + 1] === home)
  })

const pids = (): readonly number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)

const textOf = (path: string): string | undefined => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

const gathered = (stream: NodeJS.ReadableStream | null): (() => string) => {
  let text = ''
  stream?.on('data', (bytes: Buffer) => {
    text += bytes.toString()
  })
  return () => text
}
