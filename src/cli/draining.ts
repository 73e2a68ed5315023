/**
 * Letting what runs in a home come to its end before its daemon is stopped.
 */
import { pause } from '../clock.ts'
import { isTenutoError, TenutoError } from '../errors.ts'
import { parentOf } from '../holder.ts'
import type { HomeClient } from '../http/client.ts'
import { isAlive, operator } from '../process.ts'
import { awaitHolder } from './home.ts'
import type { Screen } from './screen.ts'
import { named } from './unheld.ts'
import { counted } from './words.ts'

const LOOK_MS = 250
/** So many are asked for, to be named. */
const NAMES = 10

/** How waiting ended: nothing runs any more; a signal ended the waiting. */
export type Drained = 'drained' | 'interrupted'

/**
 * Lets a home drain for a stop, and waits until no attempt lives, also over restarts of its daemon. Says what is left when that changes.
 * @throws {TenutoError} `WRONG_STATE` when somebody has ordered otherwise meanwhile, or its daemon ended and nobody took its place.
 */
export const drain = async (home: string, first: HomeClient, on: Screen): Promise<Drained> => {
  const interrupted = new AbortController()
  const stop = (): void => interrupted.abort()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, stop)
  let holder: HomeClient | undefined = first
  const parent = parentOf(home)
  let said = ''
  try {
    await first.order({ do: 'drain', untilStop: true, by: operator() })
    for (;;) {
      if (interrupted.signal.aborted) return 'interrupted'
      if (holder === undefined) throw ended(home)
      const left = await look(holder, home)
      if (left === 0) return 'drained'
      if (left !== undefined && left !== said) on.talk(left)
      said = left ?? said
      if (left !== undefined) await pause(LOOK_MS, interrupted.signal)
      if (left !== undefined) continue
      holder.close()
      holder = await awaitHolder(home, 0)
      while (holder === undefined && parent && isAlive(parent) && !interrupted.signal.aborted) {
        await pause(LOOK_MS, interrupted.signal)
        holder = await awaitHolder(home, 0)
      }
    }
  } finally {
    holder?.close()
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, stop)
  }
}

const ended = (home: string): TenutoError =>
  new TenutoError('WRONG_STATE', {
    ref: home,
    state: 'served by nobody',
    what: 'its daemon ended while it drained, and what ran in it may run on',
    remedy: '`tenuto up` takes it up again, and `tenuto down --drain` drains it',
  })

/** What still runs, in a sentence; 0 when nothing does, undefined when there was no answer. */
const look = async (holder: HomeClient, home: string): Promise<string | 0 | undefined> => {
  try {
    const { daemon, counts } = await holder.state()
    if (daemon.mode !== 'draining')
      throw new TenutoError('WRONG_STATE', {
        ref: home,
        state: daemon.mode,
        what: 'somebody has ended the draining, and it is not stopped',
        remedy: '`tenuto down` stops it as it is, `tenuto down --drain` drains it again',
      })
    const busy = (counts.jobs['running'] ?? 0) + (counts.jobs['stopping'] ?? 0)
    // A job whose attempt is about to be started has no process yet; a process may be of no job any more.
    const left = Math.max(busy, counts.attempts_live)
    if (left === 0) return 0
    const names = await busyJobs(holder)
    return `draining: ${counted(left, 'attempt')} left${names.length === 0 ? '' : ` (${named(names, busy)})`}`
  } catch (error) {
    if (isTenutoError(error, 'NO_DAEMON') || isTenutoError(error, 'STOPPED')) return undefined
    throw error
  }
}

const busyJobs = async ({ catalog }: HomeClient): Promise<readonly string[]> => {
  const jobs = await catalog.jobsIn({ states: ['running', 'stopping'], limit: NAMES })
  return jobs.map(({ plan, name }) => `${plan}/${name}`)
}
