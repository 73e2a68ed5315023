/**
 * A daemon in the background: a process in a session of its own, which has said by the time that it serves, or does not, what there was
 * to say.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  closeSync,
  existsSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { packageRoot } from '../build.ts'
import { pause, systemClock } from '../clock.ts'
import { TenutoError } from '../errors.ts'
import { homeHeld, readHolder } from '../holder.ts'
import { homePaths, makeHome } from '../home.ts'
import { hasNoRoom } from '../thrown.ts'
import type { DebuggerFlags } from './debugger.ts'
import { holderOf } from './home.ts'
import type { InspectFlags } from './inspect.ts'
import { tellOfMode } from './mode.ts'
import { writeTalk } from './output.ts'
import { complain, type Globals, type Screen } from './screen.ts'
import { type TcpFlags, tcpArguments, tellOfUrl, urlOf } from './tcp.ts'

/** The flags that a daemon in the background is started with. */
export type BackgroundFlags = Globals &
  InspectFlags &
  TcpFlags &
  DebuggerFlags &
  Readonly<{
    maxParallel?: string
    /** False: nothing starts it again. */
    parent?: boolean
  }>

/** One that is started answers within this, or says why not. */
const ANSWERS_WITHIN_MS = 30_000
const LOOK_MS = 20

/** Starts it, and answers when it serves; answers the exit code. What it says goes to `daemon.out` in the home. */
export const startInBackground = async (
  home: string,
  flags: BackgroundFlags,
  on: Screen,
): Promise<number> => {
  const there = await holderOf(home)
  if (there) {
    const { holder } = there
    there.close()
    throw homeHeld(home, holder)
  }
  makeHome(home)
  const path = join(home, 'daemon.out')
  const draft = openDraft(path)
  const args = [
    join(packageRoot(), 'bin', 'tenuto.cjs'),
    'up',
    '--home',
    home,
    '--no-color',
    ...(on.json ? ['--json'] : []),
    ...(flags.maxParallel === undefined ? [] : ['--max-parallel', flags.maxParallel]),
    ...tcpArguments(flags),
    ...(flags.parent === false ? ['--no-parent'] : []),
    ...(flags.inspect ? [`--inspect=${flags.inspectPort ?? 0}`] : []),
    ...(flags.allowStaleBuild ? ['--allow-stale-build'] : []),
    ...(flags.allowDebugger ? ['--allow-debugger'] : []),
    // Its error is ours.
    ...(on.json ? ['--json'] : []),
  ]
  const child = spawn(process.execPath, args, {
    cwd: '/',
    detached: true,
    stdio: ['ignore', draft.handle, draft.handle],
  })
  closeSync(draft.handle)
  let ended: number | null | undefined
  child.once('exit', (code) => {
    ended = code
  })
  child.unref()
  for (const began = systemClock.monotonic(); systemClock.monotonic() - began < ANSWERS_WITHIN_MS; ) {
    const holder = await holderOf(home)
    if (holder) {
      const { pid } = holder.holder
      holder.close()
      // Another may have been faster: then this one has ended, or is about to.
      const parent = readHolder(homePaths(home).daemon)?.parent_pid ?? null
      if (pid !== child.pid && parent !== child.pid) break
      draft.keep()
      const url = urlOf(home, pid)
      on.tell(
        on.json
          ? JSON.stringify({ pid, parent_pid: parent, home, url, log: homePaths(home).log })
          : `serving ${home} as pid ${pid}`,
      )
      tellOfUrl(url, flags, on)
      tellOfMode(on, flags)
      if (flags.inspect) relay(readFileSync(path, 'utf8'), on, INSPECTING)
      return 0
    }
    if (ended !== undefined) break
    await pause(LOOK_MS)
  }
  // One that was not faster is about to say so.
  if (ended === undefined) await Promise.race([once(child, 'exit'), pause(ANSWERS_WITHIN_MS)])
  const said = draft.drop()
  if (typeof ended === 'number' && ended > 0 && (on.json ? /^\{"error":/m.test(said) : said !== '')) {
    // It has said it in the words of an error, which -q does not silence.
    if (on.json) relay(said, on)
    else complain(said)
    return ended
  }
  // One that has filled the last of the disk could not even say so.
  if (said === '') {
    const probe = openDraft(path)
    closeSync(probe.handle)
    probe.drop()
    if (probe.full !== null) throw probe.full
  }
  throw new TenutoError('DAEMON_FAILED', {
    home,
    why: said === '' ? 'it said nothing' : said,
    path: homePaths(home).log,
  })
}

/** What a daemon in the background says before it serves. */
type Draft = Readonly<{
  handle: number
  /** It serves: this is its `daemon.out` from now on. */
  keep: () => void
  /** It has ended: what it said. */
  drop: () => string
  /** Why nothing can be written in the home; null where it can. */
  full: TenutoError | null
}>

/** So much room has a file into which an error goes. */
const SAID_BYTES = 4_096

/**
 * Until a daemon serves it writes to a file of its own: what another one says that starts at the same moment is not its reason. Where
 * nothing can be written in the home, it can say that in a file elsewhere.
 */
const openDraft = (path: string): Draft => {
  const beside = `${path}.${process.pid}`
  try {
    return {
      handle: openRoomy(beside),
      keep: () => {
        if (existsSync(path)) renameSync(path, `${path}.1`)
        renameSync(beside, path)
      },
      drop: () => taken(beside),
      full: null,
    }
  } catch (error) {
    rmSync(beside, { force: true })
    if (!hasNoRoom(error)) throw error
    const full = new TenutoError('STORE_FULL', { path, why: (error as Error).message }, error)
    const folder = mkdtempSync(join(tmpdir(), 'tenuto-up-'))
    const drop = (): string => {
      const said = taken(join(folder, 'out'))
      rmSync(folder, { recursive: true, force: true })
      return said
    }
    try {
      return { handle: openRoomy(join(folder, 'out')), keep: drop, drop, full }
    } catch {
      drop()
      throw full
    }
  }
}

const openRoomy = (path: string): number => {
  const handle = openSync(path, 'a', 0o600)
  try {
    writeSync(handle, Buffer.alloc(SAID_BYTES))
    ftruncateSync(handle)
    return handle
  } catch (error) {
    closeSync(handle)
    throw error
  }
}

const taken = (path: string): string => {
  const said = existsSync(path) ? readFileSync(path, 'utf8').trim() : ''
  rmSync(path, { force: true })
  return said
}

/** Where the inspector of a daemon in the background is, or why there is none. */
const INSPECTING = /^(?:\{"note":")?(?:inspect: |warning: the inspector )/

/** Says what a daemon in the background has said. With `--json` it has said JSON, which is passed on as it is. */
const relay = (said: string, on: Screen, which = /./): void => {
  for (const line of said.split('\n').filter((each) => which.test(each)))
    if (!on.json) on.talk(line)
    else if (line.startsWith('{"note":')) on.talk((JSON.parse(line) as { note: string }).note)
    else if (line.startsWith('{"error":')) writeTalk(`${line}\n`)
}
