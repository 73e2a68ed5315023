/**
 * Removing what is kept no longer from a journal's file, a few rows at a time. A plan is gone for everybody with the first of these
 * transactions; its other rows follow, and that they do is on record until they have. What was removed is counted, so that an auditor
 * can tell it from what was lost.
 */
import { HOME, noteAddress, parseAddress } from '../address.ts'
import { isPlanEnd } from '../states.ts'
import { type Driver, type Row, type Statement, storeError, type Value } from './driver.ts'
import type { Pruning } from './journal.ts'
import { addressesOf, FROM_PLANS } from './reader.ts'
import { crcOfRow, HEAD_COLUMNS, headOf, MAIL_COLUMNS } from './rows.ts'
import { tallyOn, went } from './tally.ts'

/** Everything at the addresses of a plan: its own, its jobs', and the notes about both. */
const AT_ADDRESSES = `address = ?1 OR (address > ?2 AND address < ?3) OR address = ?4 OR (address > ?5 AND address < ?6)`
const allAddressesOf = (plan: string): Value[] => [
  ...addressesOf(plan),
  `note:${plan}`,
  `note:${plan}/`,
  `note:${plan}0`,
]
const HOME_NOTES = noteAddress(HOME, null)
const HOME_NOTES_AT_ONCE = 200
/** 2^32: sums of positions are kept below what a number can hold. */
const SUM_MODULUS = 4_294_967_296

/** Retention on a connection. `within` runs something in a transaction of this epoch, `usable` throws when nothing may be tried. */
export const pruningOn = (
  driver: Driver,
  path: string,
  within: <R>(act: () => R) => R,
  usable: () => void,
): Pruning => {
  const head = driver.prepare(`SELECT ${HEAD_COLUMNS} ${FROM_PLANS} WHERE p.id = ?`)
  const mailed = driver.prepare(`SELECT ${MAIL_COLUMNS} FROM mail`)
  const isLeaving = driver.prepare('SELECT 1 FROM leaving WHERE plan = ?')
  const heads = ['plan WHERE id = ?', 'plan_revision WHERE plan = ?', 'loading WHERE plan = ?'].map((which) =>
    driver.prepare(`DELETE FROM ${which}`),
  )
  const unclear = driver.prepare('DELETE FROM cleared WHERE plan = ?')
  const leave = driver.prepare(
    'INSERT INTO leaving (number, plan) VALUES ((SELECT coalesce(max(number), 0) + 1 FROM leaving), ?)',
  )
  const count = driver.prepare(
    `INSERT INTO pruned (id, plans, steps, sum, last) VALUES (1, ?1, ?2, ?3, ?4) ON CONFLICT (id) DO UPDATE SET
     plans = plans + excluded.plans, steps = steps + excluded.steps, sum = (sum + excluded.sum) % ${SUM_MODULUS},
     last = max(last, excluded.last)`,
  )
  const positions = driver.prepare(`SELECT position FROM step WHERE ${AT_ADDRESSES} LIMIT ?7`)
  const dropSteps = driver.prepare('DELETE FROM step WHERE position IN (SELECT value FROM json_each(?))')
  const tally = tallyOn(driver)
  const dropLetters = driver.prepare(`DELETE FROM dead_letter WHERE ${AT_ADDRESSES} RETURNING id`)
  const [dropJobs, dropOutputs] = (['job', 'output'] as const).map((table) =>
    driver.prepare(
      `DELETE FROM ${table} WHERE plan = ?1 AND name IN (SELECT name FROM ${table} WHERE plan = ?1 LIMIT ?2)`,
    ),
  ) as [Statement, Statement]
  const dropActors = driver.prepare(
    `DELETE FROM actor WHERE address IN
     (SELECT address FROM actor WHERE address = ?1 OR (address > ?2 AND address < ?3) LIMIT ?4)`,
  )
  const isBare = driver.prepare(
    `SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM step WHERE ${AT_ADDRESSES})
     AND NOT EXISTS (SELECT 1 FROM actor WHERE address = ?1 OR (address > ?2 AND address < ?3))
     AND NOT EXISTS (SELECT 1 FROM job WHERE plan = ?7) AND NOT EXISTS (SELECT 1 FROM output WHERE plan = ?7)`,
  )
  const forget = driver.prepare('DELETE FROM leaving WHERE plan = ?')
  const clear = driver.prepare(
    `INSERT INTO cleared (plan, position) SELECT ?, position FROM meta WHERE true
     ON CONFLICT (plan) DO UPDATE SET position = excluded.position`,
  )
  const oldHomeNotes = driver.prepare(
    `SELECT position FROM step WHERE address = '${HOME_NOTES}' ORDER BY seq DESC LIMIT ${HOME_NOTES_AT_ONCE} OFFSET ?`,
  )
  const oldLetters = `FROM dead_letter
    WHERE at < ?2 OR id <= (SELECT id FROM dead_letter ORDER BY id DESC LIMIT 1 OFFSET ?1)`
  const countOldLetters = driver.prepare(`SELECT count(*) ${oldLetters}`)
  const dropOldLetters = driver.prepare(`DELETE ${oldLetters} RETURNING id`)
  /** Removes dead letters; answers how many. */
  const drop = (letters: Statement, ...values: Value[]): number => {
    const gone = letters.all(...values).map(([id]) => id as number)
    if (gone.length > 0) tally({ dead: went(gone) })
    return gone.length
  }

  const isThere = (plan: string): boolean => head.get(plan) !== undefined
  const mayGo = (plan: string, waitedFor: ReadonlySet<string> | null): boolean => {
    const row = head.get(plan)
    if (row === undefined || waitedFor === null || waitedFor.has(plan)) return false
    // A damaged row reads as quarantined.
    return isPlanEnd(headOf(row).state)
  }
  /** Null when a message is damaged: whose it is cannot be known, and nothing goes. */
  const plansWithMail = (): ReadonlySet<string> | null => {
    const rows = mailed.all()
    const isSound = (row: Row): boolean => crcOfRow(row.slice(0, -1)) === row.at(-1)
    return rows.every(isSound) ? new Set(rows.map((row) => parseAddress(String(row[1])).plan)) : null
  }

  const begin = (plan: string): void => {
    for (const drop of heads) drop.run(plan)
    unclear.run(plan)
    drop(dropLetters, ...allAddressesOf(plan))
    leave.run(plan)
    count.run(1, 0, 0, 0)
  }
  const dropPositions = (gone: readonly number[]): void => {
    if (gone.length === 0) return
    dropSteps.run(JSON.stringify(gone))
    const sum = gone.reduce((all, position) => (all + position) % SUM_MODULUS, 0)
    count.run(0, gone.length, sum, Math.max(...gone))
  }
  /** Removes rows of a plan; answers how many. */
  const dropRows = (plan: string, rows: number): number => {
    const gone = positions.all(...allAddressesOf(plan), rows).map(([position]) => position as number)
    dropPositions(gone)
    let dropped = gone.length
    const jobs = dropped < rows ? dropJobs.run(plan, rows - dropped) : 0
    dropped += jobs
    if (dropped < rows) dropped += dropOutputs.run(plan, rows - dropped)
    const actors = dropped < rows ? dropActors.run(...addressesOf(plan), rows - dropped) : 0
    if (jobs + actors > 0) tally({ jobs: -jobs, actors: -actors })
    return dropped + actors
  }

  /** SQLite takes no number that is not finite. */
  const whole = (limit: number): number =>
    Math.max(-Number.MAX_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, limit))
  const old = (keep: number, before: number): number => {
    usable()
    try {
      return countOldLetters.get(whole(keep), whole(before))?.[0] as number
    } catch (error) {
      throw storeError(path, error)
    }
  }

  return {
    remove: async (plans, rows) =>
      within(() => {
        const waitedFor = plansWithMail()
        const begun: string[] = []
        const done: string[] = []
        const kept: string[] = []
        let left = rows
        for (const plan of plans) {
          if (left <= 0) break
          if (!isLeaving.get(plan)) {
            if (!mayGo(plan, waitedFor)) {
              kept.push(plan)
              continue
            }
            begin(plan)
            begun.push(plan)
            left -= 3
          }
          // A plan that is there is not leaving, whatever a damaged row says.
          else if (isThere(plan)) {
            kept.push(plan)
            continue
          }
          const most = Math.max(1, left)
          const dropped = dropRows(plan, most)
          if (dropped < most) done.push(plan)
          left -= dropped
        }
        return { begun, done, kept }
      }),
    leaving: async () => {
      usable()
      try {
        return driver
          .prepare('SELECT plan FROM leaving ORDER BY number')
          .all()
          .map(([plan]) => plan as string)
      } catch (error) {
        throw storeError(path, error)
      }
    },
    forget: async (plans) =>
      within(() => {
        for (const plan of plans) if (isBare.get(...allAddressesOf(plan), plan)) forget.run(plan)
      }),
    clear: async (plan) =>
      within(() => {
        if (!mayGo(plan, plansWithMail())) return false
        clear.run(plan)
        return true
      }),
    oldDeadLetters: async (keep, before) => old(keep, before),
    dropDeadLetters: async (keep, before) =>
      old(keep, before) === 0 ? 0 : within(() => drop(dropOldLetters, whole(keep), whole(before))),
    dropHomeNotes: async (keep) => {
      usable()
      let gone: readonly number[]
      try {
        gone = oldHomeNotes.all(whole(keep)).map(([position]) => position as number)
      } catch (error) {
        throw storeError(path, error)
      }
      if (gone.length > 0) within(() => dropPositions(gone))
      return gone.length
    },
    room: async () => {
      usable()
      const pragma = (name: string): number => Number(driver.prepare(`PRAGMA ${name}`).get()?.[0])
      const page = pragma('page_size')
      return { bytes: pragma('page_count') * page, free: pragma('freelist_count') * page }
    },
    shrink: async () => {
      usable()
      try {
        driver.exec('VACUUM')
        driver.exec('PRAGMA wal_checkpoint(TRUNCATE)')
      } catch (error) {
        throw storeError(path, error)
      }
    },
  }
}
