/**
 * A thread beside the loop of a daemon that sees it stand still, and writes down which function it stands in: a stuck loop can say
 * nothing itself, and nobody outside the process can see its JavaScript.
 */
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { BEAT_MS, STUCK_MS } from './heartbeat.ts'
import type { LookoutTask } from './lookout-main.ts'

/** Enough time to write before the parent ends the process. */
const LOOKS = (STUCK_MS - 2_000) / BEAT_MS

/**
 * Begins to look; what is answered is to be called at each turn of the loop, every second. It does not keep the process alive, and one
 * that fails is not missed: the parent still sees the silence.
 */
export const lookout = (path: string): (() => void) => {
  const turns = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
  const task: LookoutTask = { turns, everyMs: BEAT_MS, looks: LOOKS, path }
  const beside = new URL('./lookout-main.ts', import.meta.url)
  const thread = new Worker(fileURLToPath(beside).replace(/\.ts$/, extname(import.meta.url)), {
    workerData: task,
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2 },
  })
  thread.once('error', () => {})
  thread.unref()
  return () => Atomics.add(turns, 0, 1)
}
