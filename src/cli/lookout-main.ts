/**
 * The thread of the lookout. It asks the debugger of its own process, without a port, where the main thread stands; V8 answers even from
 * a loop that never ends, but not while the thread waits for the system.
 */
import { type Debugger, Session } from 'node:inspector'
import { workerData } from 'node:worker_threads'
import { pause, systemClock } from '../clock.ts'
import { noteIn } from './watchdog-log.ts'

/** What the thread is given. */
export type LookoutTask = Readonly<{
  /** Counts the turns of the loop. */
  turns: Int32Array<SharedArrayBuffer>
  /** Between two looks, ms. */
  everyMs: number
  /** So many looks without a turn, and the loop stands still. */
  looks: number
  /** Of `watchdog.log`. */
  path: string
}>

const { turns, everyMs, looks, path } = workerData as LookoutTask
const ANSWERS_WITHIN_MS = 1_000
const FRAMES_MAX = 30

/** The functions that the main thread is in, the innermost first; null when it runs no JavaScript that could be asked. */
const stack = async (): Promise<readonly string[] | null> => {
  const session = new Session()
  const answered = new AbortController()
  const scripts = new Map<string, string>()
  let frames: readonly string[] | null = null
  session.on('Debugger.scriptParsed', ({ params }) => {
    scripts.set(params.scriptId, params.url)
  })
  session.connectToMainThread()
  session.on('Debugger.paused', ({ params }) => {
    frames = params.callFrames.slice(0, FRAMES_MAX).map((frame) => inWords(frame, scripts))
    answered.abort()
  })
  session.post('Debugger.enable')
  session.post('Debugger.pause')
  await pause(ANSWERS_WITHIN_MS, answered.signal)
  session.disconnect()
  return frames
}

const inWords = (
  { functionName, location }: Debugger.CallFrame,
  scripts: ReadonlyMap<string, string>,
): string => {
  const where = `${scripts.get(location.scriptId) ?? ''}:${location.lineNumber + 1}:${(location.columnNumber ?? 0) + 1}`
  return `${functionName || '(anonymous)'} ${where}`
}

/** Says it once for each time that the loop stands still, however long. */
const tell = async (): Promise<void> => {
  const frames = await stack()
  noteIn(path, {
    at: new Date(systemClock.now()).toISOString(),
    pid: process.pid,
    still_ms: looks * everyMs,
    stack: frames,
    ...(frames === null
      ? { why: 'no JavaScript runs: it waits for the system, as for a file or a lock' }
      : {}),
  })
}

let seen = Atomics.load(turns, 0)
let silent = 0
for (;;) {
  // A timer of the clock would not keep the thread alive.
  await pause(everyMs)
  const now = Atomics.load(turns, 0)
  silent = now === seen ? silent + 1 : 0
  seen = now
  if (silent === looks) await tell()
}
