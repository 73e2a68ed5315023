/**
 * The runner: one process per home that starts, watches and records its attempts and outlives the daemon. Started by the
 * executor as `main HOME SOCKET BUILD`; of several started at once exactly one serves, the others leave.
 */
import { strict as assert } from 'node:assert'
import { chmodSync, existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { appendBounded } from '../bounded-file.ts'
import { homePlace } from '../home-place.ts'
import { identityOf } from '../process.ts'
import { watchAttempts } from './attempts.ts'
import { cancelLater, every, type Later, later, wallText } from './clock.ts'
import { openDoor } from './connections.ts'

/** How long it stays with nothing to watch and no daemon. */
const IDLE_MS = 5_000
/** How often it looks whether its home is still there, and whether it can leave. */
const LOOK_AROUND_MS = 1_000

const [home, socket, build] = process.argv.slice(2)
assert(home !== undefined && socket !== undefined && build !== undefined, 'usage: main HOME SOCKET BUILD')

const ownLog = join(home, 'runner.log')
const log = (message: string): void => appendBounded(ownLog, `${wallText()} ${process.pid} ${message}\n`)

/** The right to serve: a lock the kernel releases when its holder dies, however. Undefined when another runner has it. */
const takeLock = (path: string): DatabaseSync | undefined => {
  const lock = new DatabaseSync(path)
  try {
    // What SQLite makes beside it takes its mode from it.
    chmodSync(path, 0o600)
    lock.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE')
    return lock
  } catch (error) {
    lock.close()
    if ((error as { errcode?: number }).errcode === 5) return undefined
    throw error
  }
}

// It was there when this was started: one that has gone is not made again.
if (!existsSync(home)) process.exit(0)
const lockPath = join(home, 'runner.lock')
const lock = takeLock(lockPath)
if (lock === undefined) process.exit(0)
const place = homePlace(home, lockPath)

const self = identityOf(process.pid)
assert(self !== undefined, 'a running process finds itself')
const door = openDoor({
  build,
  log,
  take: (request, answer) => {
    if (request.type === 'ensure') attempts.ensure(request.spec)
    else if (request.type === 'stop') attempts.stop(request.order)
    else if (request.type === 'live') answer({ type: 'live', id: request.id, attempts: attempts.live() })
    else {
      const { prefix } = request
      attempts
        .sweep(prefix)
        .then((leftovers) => answer({ type: 'swept', prefix, leftovers }))
        .catch((error: unknown) => log(`sweep of ${prefix}: ${String(error)}`))
        // Who asked may have gone long ago.
        .finally(leaveWhenIdle)
    }
    leaveWhenIdle()
  },
  changed: () => leaveWhenIdle(),
})
const attempts = watchAttempts({
  self,
  epoch: door.epoch,
  log,
  stopping: (key, why) => door.tell({ type: 'stopping', key, why }),
  found: (key, how, pid) => door.tell({ type: 'found', key, how, pid }),
  begun: (key, pid) => door.tell({ type: 'begun', key, pid }),
  ended: (record) => {
    door.tell({ type: 'ended', record })
    leaveWhenIdle()
  },
})

let leaving: Later | undefined
const isIdle = () => attempts.isIdle() && !door.isConnected()
const leaveWhenIdle = (): void => {
  if (!isIdle()) {
    cancelLater(leaving)
    leaving = undefined
  } else leaving ??= later(leave, IDLE_MS)
}

/** The socket goes while the lock is held, so that it is never a successor's. */
const leave = (): void => {
  if (place.look() === null) rmSync(socket, { force: true })
  lock.close()
  process.exit(0)
}

/**
 * A home that was moved is whole: its attempts go on, and whoever opens it where it is now adopts them. Of one that was removed nothing
 * can be recorded, and nobody would ever know of them.
 */
const lookAtHome = (): void => {
  const gone = place.look()
  if (gone === null) return
  if (gone.how === 'moved') {
    if (!existsSync(home)) rmSync(socket, { force: true })
    process.exit(0)
  }
  attempts.abandon()
  if (attempts.isIdle()) process.exit(0)
}

/** Whatever it was that was waited for, as the end that a full disk did not take. */
const lookAround = (): void => {
  lookAtHome()
  leaveWhenIdle()
}

// Ctrl-C and a closed terminal are for the daemon. A machine that shuts down ends the jobs, and their ends are to be recorded.
for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    if (signal === 'SIGTERM' && isIdle()) leave()
  })
}
process.on('uncaughtException', (error) => {
  // The next runner adopts what lives; going on in an unknown state could do worse.
  log(`stopped by ${error.stack ?? error.message}`)
  process.exit(70)
})

rmSync(socket, { force: true })
// The socket is made in this very call, and never open to others; attempts keep the usual mask.
const mask = process.umask(0o177)
door.server.listen(socket)
process.umask(mask)
every(lookAround, LOOK_AROUND_MS)
leaveWhenIdle()
