/**
 * The journal on a file: SQLite in WAL mode, one writer, one transaction for each commit. What `commit` has answered is on the
 * medium (`full`) or at least survives the death of this process (`normal`).
 */

import { statSync } from 'node:fs'
import { parseAddress } from '../address.ts'
import { isTenutoError, TenutoError } from '../errors.ts'
import { base32, systemRandom } from '../ids.ts'
import { giveToHome, renewedHome } from './another-home.ts'
import { type Head, headAfter } from './batch.ts'
import { writeCopy } from './draft.ts'
import { type Driver, type OpenDriver, openNodeSqlite, storeError } from './driver.ts'
import type { Batch, Boot, Journal, Opening } from './journal.ts'
import { checkMark, openMark, readMark, type Stamp } from './mark.ts'
import { makeFile, migrate, sealMeta } from './migrate.ts'
import { journalPlace } from './place.ts'
import { pruningOn } from './pruning.ts'
import { readerOn } from './reader.ts'
import {
  ACTOR_COLUMNS,
  actorValues,
  DEAD_LETTER_COLUMNS,
  deadLetterValues,
  JOB_COLUMNS,
  jobValues,
  MAIL_COLUMNS,
  mailOf,
  mailValues,
  metaCrc,
  OUTPUT_COLUMNS,
  outputValues,
  PLAN_COLUMNS,
  planValues,
  REVISION_COLUMNS,
  revisionValues,
  STEP_COLUMNS,
  stepValues,
} from './rows.ts'
import { SCHEMA, type Schema } from './schema.ts'
import { checkStructure, inspectFile, openingError, readHead } from './structure.ts'
import { both, come, TALLY_SET, tallyOfBatch, tallyOn, tallyValues, went } from './tally.ts'

/** `full`: every commit is synced to the medium. `normal`: a power cut may lose the last moments. */
export type Durability = 'full' | 'normal'

/** How a journal's file is opened. */
export type SqliteOptions = Readonly<{
  file: string
  boot: Boot
  durability: Durability
  /** Another driver. */
  open?: OpenDriver
  /** Another schema. */
  schema?: Schema
  /** The file has come from another home, and becomes that of one of its own. */
  fromElsewhere?: boolean
  /** Goes on with this boot's epoch, on a connection of its own: the one before it failed. `FENCED` when another has begun since. */
  again?: Opening
}>

/** Older ones can damage a file in WAL mode that two connections use (https://www.sqlite.org/wal.html#walresetbug). */
const SQLITE_MIN = [3, 51, 3] as const
/**
 * Folding the log back seldom writes a page that many commits changed once: 32 MB of log more than double what 4 MB give, where
 * commits are large. Where they are small, it is folded after so many commits: a sync is a third cheaper in a file that does not grow.
 */
const WAL_FOLD_BYTES = 32 * 2 ** 20
const WAL_FOLD_COMMITS = 128
const WAL_LOOK_COMMITS = 8
const WAL_MAX_BYTES = 64 * 2 ** 20
const BOOTS_KEPT = 1_000

/**
 * Opens the journal, makes it if there is none, brings an older schema up, and begins this boot's epoch. The caller holds the
 * lock of the home.
 * @throws {TenutoError} `SCHEMA_NEWER`, the file untouched; `STORE_CORRUPT`; `STORE_BROKEN`; `STORE_FULL`.
 */
export const sqliteJournal = async (options: SqliteOptions): Promise<Journal> => {
  const { file, boot, durability, open = openNodeSqlite, schema = SCHEMA, again } = options
  const start = (driver: Driver): Opening =>
    again ? goOn(driver, again) : begin(driver, boot, schema.version, options.fromElsewhere ?? false)
  try {
    makeFile(open, file, base32(10, systemRandom), schema)
    return openFile(open, file, boot, durability, schema, start)
  } catch (error) {
    throw storeError(file, openingError(file, error))
  }
}

const openFile = (
  open: OpenDriver,
  file: string,
  boot: Boot,
  durability: Durability,
  schema: Schema,
  start: (driver: Driver) => Opening,
): Journal => {
  const mark = readMark(file)
  const found = closing(open(file, 'read'), (driver) => {
    const version = inspectFile(driver, file, schema)
    // What is wrong with it is found before a connection is made that may fold its log back.
    const isPresent = version === schema.version
    checkStructure(open, driver, file, schema, isPresent, () => wasClean(driver))
    checkMark(file, mark, readHead(driver, file, isPresent, schema), boot.bootId)
    return version
  })
  const driver = open(file, 'write')
  try {
    configure(driver, file, durability)
    migrate(driver, file, found, schema)
    const opening = start(driver)
    const stamp = {
      home: opening.home,
      epoch: opening.epoch,
      boot: boot.bootId,
      synced: durability === 'full',
    }
    return journalOn(driver, file, opening, schema.version, stamp)
  } catch (error) {
    driver.close()
    throw error
  }
}

const wasClean = (driver: Driver): boolean => {
  const last = driver.prepare('SELECT clean FROM boot ORDER BY epoch DESC LIMIT 1').get()
  return last === undefined || last[0] === 1
}

const closing = <R>(driver: Driver, use: (driver: Driver) => R): R => {
  try {
    return use(driver)
  } finally {
    driver.close()
  }
}

/** Sets what durability rests on, and reads each setting back: SQLite ignores what it does not know. */
const configure = (driver: Driver, path: string, durability: Durability): void => {
  const version = String(driver.prepare('SELECT sqlite_version()').get()?.[0])
  if (older(version)) {
    throw new TenutoError('STORE_BROKEN', {
      path,
      why: `SQLite ${version} is older than ${SQLITE_MIN.join('.')}`,
    })
  }
  for (const [name, value] of settings(durability)) {
    driver.exec(`PRAGMA ${name} = ${value}`)
    const is = driver.prepare(`PRAGMA ${name}`).get()?.[0]
    // Where memory mapping is compiled out, there is nothing to read back.
    if (is !== value && !(name === 'mmap_size' && is === undefined)) {
      throw new TenutoError('STORE_BROKEN', { path, why: `PRAGMA ${name} is ${is}, not ${value}` })
    }
  }
}

const settings = (durability: Durability): readonly (readonly [string, string | number])[] => [
  ['journal_mode', 'wal'],
  ['synchronous', durability === 'full' ? 2 : 1],
  ['fullfsync', 1],
  ['checkpoint_fullfsync', 1],
  ['foreign_keys', 1],
  ['trusted_schema', 0],
  ['cell_size_check', 1],
  ['mmap_size', 0],
  // SQLite keeps to itself what goes wrong when it folds the log back by itself.
  ['wal_autocheckpoint', 0],
  ['journal_size_limit', WAL_MAX_BYTES],
]

const older = (version: string): boolean => {
  const parts = version.split('.').map(Number)
  for (const [i, least] of SQLITE_MIN.entries()) {
    const part = parts[i] ?? 0
    if (part !== least) return part < least
  }
  return false
}

const begin = (driver: Driver, boot: Boot, version: number, isFromElsewhere: boolean): Opening =>
  transaction(driver, () => {
    if (isFromElsewhere) giveToHome(driver, renewedHome(readHome(driver)))
    const [epoch, position, mail, dead, home] = driver
      .prepare('UPDATE meta SET epoch = epoch + 1 WHERE id = 1 RETURNING epoch, position, mail, dead, home')
      .all()[0] as readonly [number, number, number, number, string]
    sealMeta(driver, version)
    const last = driver.prepare('SELECT clean FROM boot WHERE epoch = ?').get(epoch - 1)
    driver
      .prepare('INSERT INTO boot (epoch, boot_id, pid, build, at, clean) VALUES (?, ?, ?, ?, ?, 0)')
      .run(epoch, boot.bootId, boot.pid, boot.build, boot.at)
    const bootedSince = machineBootedSince(driver, epoch, boot.bootId)
    const forgotten = driver
      .prepare('DELETE FROM boot WHERE epoch <= ? RETURNING epoch')
      .all(epoch - BOOTS_KEPT)
      .map(([old]) => old as number)
    tallyOn(driver)({ boot: both(come([epoch]), went(forgotten)) })
    const clean = last === undefined || last[0] === 1
    return Object.freeze({ epoch, position, mail, dead, home, clean, bootedSince })
  })

const readHome = (driver: Driver): string =>
  String(driver.prepare('SELECT home FROM meta WHERE id = 1').get()?.[0])

/** The opening of a connection that goes on where one of the same epoch failed. */
const goOn = (driver: Driver, { epoch, ...same }: Opening): Opening => {
  const row = driver.prepare('SELECT position, mail, dead FROM meta WHERE id = 1 AND epoch = ?').get(epoch)
  if (!row) throw ended(epoch)
  const [position, mail, dead] = row as readonly [number, number, number]
  return Object.freeze({ ...same, epoch, position, mail, dead })
}

const machineBootedSince = (driver: Driver, epoch: number, bootId: string): number | null => {
  const first = driver
    .prepare(
      'SELECT epoch, at FROM boot WHERE epoch > (SELECT max(epoch) FROM boot WHERE boot_id <> ?) ORDER BY epoch LIMIT 1',
    )
    .get(bootId)
  if (first === undefined) return null
  return first[0] === epoch ? Number.POSITIVE_INFINITY : Number(first[1])
}

/** Runs `act` in one transaction; whatever fails, the connection is out of it afterwards. */
const transaction = <R>(driver: Driver, act: () => R): R => {
  driver.exec('BEGIN IMMEDIATE')
  try {
    const result = act()
    driver.exec('COMMIT')
    return result
  } catch (error) {
    // SQLite itself has rolled back after some errors (disk full, I/O).
    if (driver.inTransaction()) driver.exec('ROLLBACK')
    throw error
  }
}

const journalOn = (
  driver: Driver,
  file: string,
  opening: Opening,
  version: number,
  stamp: Stamp,
): Journal => {
  const write = writerOn(driver, file, opening, version)
  const reader = readerOn(driver, file)
  const readHead = driver.prepare('SELECT position, mail, dead FROM meta WHERE id = 1 AND epoch = ?')
  let head: Head = { position: opening.position, mail: opening.mail, dead: opening.dead }
  const mark = openMark(file, stamp)
  mark.write(head)
  const displaced = journalPlace(file)
  let open = true
  /** After an I/O error or damage a later commit may be reported that is not there: nothing is tried again in this process. */
  let broken: TenutoError | undefined
  let commits = 0
  const isGrave = (error: unknown): error is TenutoError =>
    isTenutoError(error, 'STORE_BROKEN') || isTenutoError(error, 'STORE_CORRUPT')
  /** A log that cannot be looked at, as in a folder without leave, is folded by its turn: the commit before stands. */
  const isLong = (): boolean => {
    try {
      return (statSync(`${file}-wal`, { throwIfNoEntry: false })?.size ?? 0) > WAL_FOLD_BYTES
    } catch {
      return false
    }
  }
  /** What went wrong, in our words; what is grave is not tried past. */
  const wrong = (cause: unknown): unknown => {
    const error = storeError(file, cause)
    if (isGrave(error)) broken = error
    return error
  }
  const fold = (): void => {
    try {
      driver.exec('PRAGMA wal_checkpoint(PASSIVE)')
    } catch (cause) {
      // The commit stands, in the log. A full disk is tried again; but a sync that failed once and then works has lost what it was for.
      wrong(cause)
    }
  }
  const usable = (): void => {
    if (!open) throw new TenutoError('STOPPED')
    if (broken) throw broken
  }

  const epochIs = driver.prepare('SELECT 1 FROM meta WHERE id = 1 AND epoch = ?')
  /** One transaction of this epoch, besides the commits of the host. */
  const within = <R>(act: () => R): R => {
    usable()
    try {
      const result = transaction(driver, () => {
        if (!epochIs.get(opening.epoch)) throw ended(opening.epoch)
        return act()
      })
      commits += 1
      if (commits % WAL_FOLD_COMMITS === 0 || isLong()) fold()
      return result
    } catch (cause) {
      throw wrong(cause)
    }
  }

  return {
    ...reader,
    opening,
    pruning: pruningOn(driver, file, within, usable),
    displaced,
    salvage: (to) => {
      usable()
      try {
        const [busy] =
          displaced() === 'log' ? (driver.prepare('PRAGMA wal_checkpoint(FULL)').get() ?? []) : []
        if (busy === 0) return null
        writeCopy(driver, to, () => {})
        return to
      } catch (cause) {
        throw wrong(cause)
      }
    },
    head: async () => {
      usable()
      try {
        const row = readHead.get(opening.epoch)
        if (!row) throw ended(opening.epoch)
        const [position, mail, dead] = row as readonly [number, number, number]
        head = { position, mail, dead }
        return head
      } catch (error) {
        throw storeError(file, error)
      }
    },
    commit: async (batch) => {
      usable()
      const next = headAfter(head, batch)
      try {
        transaction(driver, () => write(batch, next))
        head = next
        mark.write(head)
        commits += 1
        if (commits % WAL_FOLD_COMMITS === 0 || (commits % WAL_LOOK_COMMITS === 0 && isLong())) fold()
      } catch (cause) {
        throw wrong(cause)
      }
    },
    stop: async (clean) => {
      if (!open) return
      open = false
      try {
        if (clean && !broken) driver.prepare('UPDATE boot SET clean = 1 WHERE epoch = ?').run(opening.epoch)
      } catch (cause) {
        const error = storeError(file, cause)
        // What cannot be written down for want of room is only that the end was in order: the next start looks more closely.
        if (!isTenutoError(error, 'STORE_FULL')) throw error
      } finally {
        mark.close()
        await reader.close()
      }
    },
    close: async () => {
      open = false
      mark.close()
      await reader.close()
    },
  }
}

const ended = (epoch: number): TenutoError => new TenutoError('FENCED', { what: `epoch ${epoch} has ended` })

/** Writes batches, inside a transaction of the caller; its statements are prepared once. */
const writerOn = (
  driver: Driver,
  file: string,
  { epoch, home }: Opening,
  version: number,
): ((batch: Batch, next: Head) => void) => {
  const marks = (columns: string) => columns.replace(/\w+/g, '?')
  const insert = (table: string, columns: string) =>
    driver.prepare(`INSERT INTO ${table} (${columns}) VALUES (${marks(columns)})`)
  const moveHead = driver.prepare(
    `UPDATE meta SET position = ?, mail = ?, dead = ?, crc = ?, ${TALLY_SET} WHERE id = 1 AND epoch = ?`,
  )
  const addPlan = insert('plan', PLAN_COLUMNS)
  const addRevision = insert('plan_revision', REVISION_COLUMNS)
  const addStep = insert('step', STEP_COLUMNS)
  const addActor = insert('actor', ACTOR_COLUMNS)
  const moveActor = driver.prepare(
    'UPDATE actor SET state = ?, reason = ?, seq = ?, snapshot = ?, version = ?, crc = ? WHERE address = ? AND seq = ?',
  )
  const tally = tallyOn(driver)
  const addJob = driver.prepare(
    `INSERT INTO job (${JOB_COLUMNS}) VALUES (${marks(JOB_COLUMNS)}) ON CONFLICT (plan, name) DO NOTHING`,
  )
  const setJob = driver.prepare(
    `UPDATE job SET place_in_plan = ?3, place = ?4, state = ?5, reason = ?6, unmet = ?7, generation = ?8, attempt = ?9,
     since = ?10, embodied = ?11, crc = ?12 WHERE plan = ?1 AND name = ?2`,
  )
  const putOutputs = driver.prepare(
    `INSERT INTO output (${OUTPUT_COLUMNS}) VALUES (?, ?, ?, ?) ON CONFLICT (plan, name) DO UPDATE SET
     outputs = excluded.outputs, crc = excluded.crc`,
  )
  const dropOutputs = driver.prepare('DELETE FROM output WHERE plan = ? AND name = ?')
  const addMail = insert('mail', MAIL_COLUMNS)
  const readMail = driver.prepare(`SELECT ${MAIL_COLUMNS} FROM mail WHERE id = ?`)
  const failMail = driver.prepare('UPDATE mail SET deliveries = ?, crc = ? WHERE id = ?')
  const takeMail = driver.prepare('DELETE FROM mail WHERE id = ?')
  const addDead = insert('dead_letter', DEAD_LETTER_COLUMNS)
  const raise = driver.prepare('DELETE FROM dead_letter WHERE id = ?')
  const setAside = driver.prepare(
    'INSERT INTO aside (plan, why, at) VALUES (?, ?, ?) ON CONFLICT (plan) DO UPDATE SET why = excluded.why, at = excluded.at',
  )
  const takeBack = driver.prepare('DELETE FROM aside WHERE plan = ?')
  const setLoading = driver.prepare(
    'INSERT INTO loading (plan, times) VALUES (?, ?) ON CONFLICT (plan) DO UPDATE SET times = excluded.times',
  )
  const forgetLoading = driver.prepare('DELETE FROM loading WHERE plan = ?')

  /** One row must have changed; none means that somebody else was here. */
  const fence = (changed: number, what: string): void => {
    if (changed !== 1) throw new TenutoError('FENCED', { what })
  }

  const fail = (id: number): void => {
    const row = readMail.get(id)
    if (row === undefined) throw new TenutoError('FENCED', { what: `mail ${id} is not there` })
    const mail = mailOf(file, row)
    const values = mailValues({ ...mail, deliveries: mail.deliveries + 1 })
    failMail.run(...values.slice(-2), id)
  }

  /** Most rows of a board come with their plan, and all others change one that is there. */
  const putJobs = ({ plans, jobs }: Batch): void => {
    const [first, second] = plans.length > 0 ? [addJob, setJob] : [setJob, addJob]
    let added = 0
    for (const row of jobs) {
      const values = jobValues(row)
      const isFirst = first.run(...values) === 1
      if (!isFirst) second.run(...values)
      if (isFirst === (first === addJob)) added += 1
    }
    if (added > 0) tally({ jobs: added })
  }

  return (batch, { position, mail, dead }) => {
    const crc = metaCrc([home, epoch, position, mail, dead], version)
    const counted = tallyValues(tallyOfBatch(batch))
    if (moveHead.run(position, mail, dead, crc, ...counted, epoch) !== 1) throw ended(epoch)
    for (const { plan, revision } of batch.plans) {
      addPlan.run(...planValues(plan))
      addRevision.run(...revisionValues(revision))
    }
    for (const row of batch.steps) addStep.run(...stepValues(row, parseAddress(row.address).plan))
    for (const { row, was } of batch.actors) {
      const values = actorValues(row)
      if (was === 0) addActor.run(...values)
      else fence(moveActor.run(...values.slice(3), row.address, was), `${row.address} is not at seq ${was}`)
    }
    putJobs(batch)
    for (const { plan, name, outputs } of batch.outputs) {
      if (outputs === null) dropOutputs.run(plan, name)
      else putOutputs.run(...outputValues(plan, name, outputs))
    }
    for (const row of batch.mail.added) addMail.run(...mailValues(row))
    for (const id of batch.mail.failed) fail(id)
    for (const id of batch.mail.taken) fence(takeMail.run(id), `mail ${id} is not there`)
    for (const row of batch.dead) addDead.run(...deadLetterValues(row))
    for (const id of batch.raised) fence(raise.run(id), `dead letter ${id} is not there`)
    for (const { plan, why, at } of batch.aside) {
      if (why === null) takeBack.run(plan)
      else setAside.run(plan, why, at)
    }
    for (const { plan, times } of batch.loading) {
      if (times === 0) forgetLoading.run(plan)
      else setLoading.run(plan, times)
    }
  }
}
