/**
 * `tenuto down`: tells the daemon of a home to stop, and its parent not to start it again. What runs goes on, for the next to adopt, or
 * is waited for.
 */
import type { Identity } from '../attempt.ts'
import { pause, systemClock } from '../clock.ts'
import { TenutoError } from '../errors.ts'
import { DAEMON, noAnswer, parentOf } from '../holder.ts'
import type { HomeClient } from '../http/client.ts'
import { isAlive, sendSignal } from '../process.ts'
import { drain } from './draining.ts'
import { awaitHolder, homeFlag, homeOf, isHeldBy, refuseUnserved } from './home.ts'
import { type Globals, screen } from './screen.ts'
import { urlOf } from './tcp.ts'
import { counted } from './words.ts'

/** A daemon finishes a commit and lets go of its home within this. */
const STOPS_WITHIN_MS = 30_000
const LOOK_MS = 20
const INTERRUPTED = 9

/** Tells the daemon of a home to stop, and sees it go; answers the exit code. */
export const down = async (flags: Globals & Readonly<{ drain?: boolean }>): Promise<number> => {
  const on = screen(flags)
  const home = homeOf(flags)
  const holder = await awaitHolder(home, 0)
  if (!holder) {
    refuseUnserved(home)
    // One whose worker has just died is about to start it again.
    const parent = parentOf(home)
    if (parent !== undefined) await stopParent(parent, home)
    on.tell(on.json ? JSON.stringify({ home, stopped: null }) : `nobody serves ${home}`)
    return 0
  }
  const { pid, command } = holder.holder
  if (command !== DAEMON) {
    holder.close()
    throw new TenutoError('WRONG_STATE', {
      ref: home,
      state: `held by pid ${pid} (${command})`,
      what: 'that is no daemon',
      remedy: '`tenuto cancel REF` stops its plan',
    })
  }
  if (flags.drain) {
    const drained = await drain(home, holder, on)
    if (drained === 'interrupted') {
      on.talk(
        `it goes on draining, and is not stopped.  stop it now: tenuto down${homeFlag(flags)}  let all go on: tenuto daemon resume${homeFlag(flags)}`,
      )
      return INTERRUPTED
    }
    // Whoever answers now may be another than the one that was asked first.
    return down({ ...flags, drain: false })
  }
  const left = await liveAttempts(holder)
  const url = urlOf(home, pid)
  holder.close()
  const parent = parentOf(home)
  // Told by its parent it is not started again, even if it hears nothing and must be ended.
  sendSignal(parent?.pid ?? pid, 'SIGTERM')
  const began = systemClock.monotonic()
  while (isHeldBy(home, pid) || (parent && isAlive(parent))) {
    if (systemClock.monotonic() - began > STOPS_WITHIN_MS) throw noAnswer(home)
    await pause(LOOK_MS)
  }
  on.tell(
    on.json
      ? JSON.stringify({ home, stopped: pid, url, attempts: left })
      : `stopped pid ${pid}, which served ${home}${url === null ? '' : ` and ${url}`}`,
  )
  if (left > 0)
    on.talk(
      `${counted(left, 'attempt')} ${left === 1 ? 'runs' : 'run'} on; adopt ${left === 1 ? 'it' : 'them'}: tenuto up${homeFlag(flags)}, or tenuto resume${homeFlag(flags)}`,
    )
  return 0
}

const stopParent = async (parent: Identity, home: string): Promise<void> => {
  sendSignal(parent.pid, 'SIGTERM')
  const began = systemClock.monotonic()
  while (isAlive(parent)) {
    if (systemClock.monotonic() - began > STOPS_WITHIN_MS) throw noAnswer(home)
    await pause(LOOK_MS)
  }
}

const liveAttempts = async (holder: HomeClient): Promise<number> => {
  const { counts } = await holder.state()
  return counts.attempts_live
}
