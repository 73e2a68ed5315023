/**
 * A log as it grows, also where whoever held the home is gone: an attempt has a process of its own, which writes on.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { attemptDir, FILES } from '../attempt.ts'
import { pause } from '../clock.ts'
import { TenutoError } from '../errors.ts'
import { standingOf } from '../home-folder.ts'
import type { HomeClient } from '../http/client.ts'
import { isAlive } from '../process.ts'
import { processAt } from '../record-file.ts'
import { awaitLasting, hasGone, restOfLog } from './lasting.ts'

/** An attempt whose log is followed. */
export type Followed = Readonly<{ plan: string; job: string; attempt: number }>

/** How following is bounded, and what is told of it. */
export type Growth = Readonly<{
  signal: AbortSignal
  /** Is told at each look that nobody holds the home while the attempt writes on. */
  unheld: () => void
}>

/** How often the log of an attempt that nobody watches is looked at. */
export const LOOK_MS = 500
/** Its process is gone before there is a record of its end, and begun before there is one of itself: it is not seen for so many looks. */
const UNSEEN_LOOKS = 4

/** Whether the process of an attempt lives, or its end is on record; what is on record elsewhere says nothing of this home. */
export const lifeOf = (home: string, { plan, job, attempt }: Followed): 'runs' | 'ended' | 'unseen' => {
  const dir = attemptDir(home, plan, job, attempt)
  const record = processAt(join(dir, FILES.process))
  if (record !== undefined && isAlive(record) && standingOf(home).how === 'own') return 'runs'
  return existsSync(join(dir, FILES.exit)) ? 'ended' : 'unseen'
}

/**
 * The log of an attempt piece by piece, by whoever holds the home, and while nobody does for as long as the process of the attempt lives.
 * @throws {TenutoError} `NO_DAEMON` when nobody does, and how the attempt ended is not on record either.
 */
export async function* growingLog(
  home: string,
  holder: HomeClient | undefined,
  of: Followed,
  { signal, unheld }: Growth,
): AsyncGenerator<Uint8Array> {
  const { plan, job, attempt } = of
  let [offset, unseen] = [0, 0]
  for (let by = holder; !signal.aborted; by = await awaitLasting(home)) {
    if (by !== undefined) {
      try {
        for await (const { bytes, next } of by.followLog(plan, job, attempt, { offset, signal })) {
          offset = next
          yield bytes
        }
        return
      } catch (error) {
        if (!hasGone(error)) throw error
      } finally {
        if (by !== holder) by.close()
      }
    }
    // Asked before its log is read: what was written by then is all of it.
    const life = lifeOf(home, of)
    if (life === 'runs') unheld()
    for await (const { bytes, next } of restOfLog(home, of, offset, signal)) {
      offset = next
      yield bytes
    }
    if (life === 'ended') return
    unseen = life === 'unseen' ? unseen + 1 : 0
    if (unseen === UNSEEN_LOOKS) throw new TenutoError('NO_DAEMON', { home })
    await pause(LOOK_MS, signal)
  }
}
