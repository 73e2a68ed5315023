/**
 * Who may hold a home: one process at a time, by an exclusive transaction held open on a lock database. The kernel gives the lock
 * back when the process ends, however it ends. `daemon.json` says who it is; it is a hint, the lock is the truth.
 */
import { chmodSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { TenutoError } from '../errors.ts'
import { type HolderRecord, homeHeld, readHolder } from '../holder.ts'
import { type HomePaths, makeHome } from '../home.ts'
import { folderNumber } from '../home-folder.ts'
import { type HomePlace, homePlace } from '../home-place.ts'
import { resultCode, storeError } from './driver.ts'

/** A home that is held. */
export type Hold = Readonly<{
  /**
   * Says more about the holder, once it is known.
   * @throws {TenutoError} `HOME_GONE`; `STOPPED` when it was given up.
   */
  describe: (more: Partial<Pick<HolderRecord, 'url' | 'sock' | 'parent_pid' | 'parent_start'>>) => void
  /** Writes `daemon.json` again where it is gone or is another's; whether it was. What a full disk does not take is left for the next time. */
  renew: () => boolean
  /** How the home has gone from where it was taken, if it has. */
  look: HomePlace['look']
  /** Removes `daemon.json` and gives the home up. Idempotent. */
  release: () => void
}>

/** Long enough for a holder that is dying to die, and for one that is new to write its record. */
const PATIENCE_MS = 250
const BUSY = 5

/** Held locks. A handle that nobody refers to is collected, and its lock is lost with it. */
const held = new Set<DatabaseSync>()

/**
 * Takes the home, making it if there is none, and writes `daemon.json`. Comes before the journal and the socket.
 * @throws {TenutoError} `HOME_HELD` naming the holder; `NOT_ALLOWED` when the folder cannot be a home.
 */
export const holdHome = (home: string, holder: HolderRecord): Hold => {
  const paths = makeHome(home)
  const lock = take(paths.lock, () => homeHeld(paths.home))
  held.add(lock)
  const place = placeOf(paths, lock)
  let record: HolderRecord = { ...holder, folder: folderNumber(paths.home) }
  const write = (): void => {
    const draft = `${paths.daemon}.new`
    try {
      writeFileSync(draft, `${JSON.stringify(record, null, 2)}\n`, { mode: 0o600 })
      renameSync(draft, paths.daemon)
    } catch (error) {
      rmSync(draft, { force: true })
      throw error
    }
  }
  const letGo = (): void => {
    place.close()
    held.delete(lock)
    lock.close()
  }
  const release = (): void => {
    if (!held.has(lock)) return
    // Where it was, somebody else may hold another by now.
    if (place.look() === null) rmSync(paths.daemon, { force: true })
    letGo()
  }
  const refuseGone = (): void => {
    const gone = place.look()
    if (gone !== null) throw new TenutoError('HOME_GONE', { home: paths.home, why: gone.why })
  }
  try {
    write()
  } catch (error) {
    // What is there was written by a holder that was killed, and says so.
    letGo()
    throw storeError(paths.daemon, error)
  }
  return {
    describe: (more) => {
      if (!held.has(lock)) throw new TenutoError('STOPPED')
      refuseGone()
      record = { ...record, ...more }
      try {
        write()
      } catch (error) {
        refuseGone()
        throw storeError(paths.daemon, error)
      }
    },
    renew: () => {
      if (!held.has(lock) || readHolder(paths.daemon)?.pid === record.pid || place.look() !== null)
        return false
      try {
        write()
        return true
      } catch {
        return false
      }
    },
    look: place.look,
    release,
  }
}

const placeOf = ({ home, lock: file }: HomePaths, lock: DatabaseSync): HomePlace => {
  try {
    return homePlace(home, file)
  } catch (error) {
    held.delete(lock)
    lock.close()
    throw storeError(file, error)
  }
}

const take = (file: string, refuse: () => TenutoError): DatabaseSync => {
  const database = new DatabaseSync(file, { timeout: PATIENCE_MS })
  try {
    chmodSync(file, 0o600)
    database.exec('BEGIN EXCLUSIVE')
    return database
  } catch (error) {
    database.close()
    const code = resultCode(error)
    throw code !== undefined && (code & 0xff) === BUSY ? refuse() : storeError(file, error)
  }
}
