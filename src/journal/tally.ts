/**
 * The tally: how many rows the tables have that no index stands beside, and the sum of their numbers. It is kept in the file's own row, in
 * the transaction of each change. A page of such a table that comes to be empty is a sound page, and every row that is left has a checksum
 * that fits: without a tally nobody would know that there had been more. Of a table with an index SQLite's own look finds it.
 */

import type { Driver, Value } from './driver.ts'
import type { Batch } from './journal.ts'

/** How many rows came (less those that went), and the sum of their numbers. */
type Counted = Readonly<{ rows: number; sum: number }>

/** What a transaction changes of the tally; what is left out stays. Actors and jobs have no numbers to be summed. */
export type TallyChange = Readonly<{
  boot?: Counted
  mail?: Counted
  dead?: Counted
  actors?: number
  jobs?: number
}>

/** 2^32: sums of numbers are kept below what a number can hold. */
const SUM_MODULUS = 4_294_967_296

type Column = Readonly<{ name: string; of: string; isSum: boolean; counts: string }>
const counting = (name: string, of: string): Column => ({
  name,
  of,
  isSum: false,
  counts: `(SELECT count(*) FROM ${of})`,
})
const summing = (name: string, of: string, key: string): Column => ({
  name,
  of,
  isSum: true,
  counts: `(SELECT coalesce(sum(${key} % ${SUM_MODULUS}), 0) % ${SUM_MODULUS} FROM ${of})`,
})
/** In the order of `tallyValues`. */
const COLUMNS: readonly Column[] = [
  counting('boot_rows', 'boot'),
  summing('boot_sum', 'boot', 'epoch'),
  counting('mail_rows', 'mail'),
  summing('mail_sum', 'mail', 'id'),
  counting('dead_rows', 'dead_letter'),
  summing('dead_sum', 'dead_letter', 'id'),
  counting('actor_rows', 'actor'),
  counting('job_rows', 'job'),
]

/** Columns of `meta`, as a table is made with them or given them. */
export const TALLY_COLUMNS: readonly string[] = COLUMNS.map(
  ({ name }) => `${name} INTEGER NOT NULL DEFAULT 0`,
)

/** What an UPDATE of `meta` sets, with the values of `tallyValues`. */
export const TALLY_SET = COLUMNS.map(({ name, isSum }) =>
  isSum ? `${name} = (${name} + ? + ${SUM_MODULUS}) % ${SUM_MODULUS}` : `${name} = ${name} + ?`,
).join(', ')

/** The change as values for `TALLY_SET`. */
export const tallyValues = ({ boot, mail, dead, actors = 0, jobs = 0 }: TallyChange): Value[] => [
  boot?.rows ?? 0,
  boot?.sum ?? 0,
  mail?.rows ?? 0,
  mail?.sum ?? 0,
  dead?.rows ?? 0,
  dead?.sum ?? 0,
  actors,
  jobs,
]

/** The rows with these numbers, as having come. The sum is above -2^32 and below 2^32. */
export const come = (numbers: readonly number[]): Counted => {
  let sum = 0
  for (const number of numbers) sum = (sum + number) % SUM_MODULUS
  return { rows: numbers.length, sum }
}

/** The rows with these numbers, as having gone. */
export const went = (numbers: readonly number[]): Counted => {
  const { rows, sum } = come(numbers)
  return { rows: -rows, sum: -sum }
}

/** What a batch changes of the tally, but for jobs: whether a row of the board is a new one shows when it is written. */
export const tallyOfBatch = ({ mail, dead, raised, actors }: Batch): TallyChange => ({
  mail: both(come(mail.added.map(({ id }) => id)), went(mail.taken)),
  dead: both(come(dead.map(({ id }) => id)), went(raised)),
  actors: actors.filter(({ was }) => was === 0).length,
})

/** Two changes as one. */
export const both = (one: Counted, other: Counted): Counted => ({
  rows: one.rows + other.rows,
  sum: one.sum + other.sum,
})

/** Adds changes to the tally, inside a transaction of the caller. */
export const tallyOn = (driver: Driver): ((change: TallyChange) => void) => {
  const add = driver.prepare(`UPDATE meta SET ${TALLY_SET} WHERE id = 1`)
  return (change) => void add.run(...tallyValues(change))
}

/** Counts everything anew, for a migration. */
export const countTally = (driver: Driver): void => {
  driver.exec(`UPDATE meta SET ${COLUMNS.map(({ name, counts }) => `${name} = ${counts}`).join(', ')}`)
}

/** What the file has not as the tally says, in a sentence; undefined when all is there. Reads the tables whole, at one moment. */
export const lostRows = (driver: Driver): string | undefined => {
  const columns = COLUMNS.flatMap(({ name, counts }) => [name, counts]).join(', ')
  const row = driver.prepare(`SELECT (SELECT count(*) FROM pruned), ${columns} FROM meta WHERE id = 1`).get()
  // A file without a row of its own is refused for that.
  if (row === undefined) return undefined
  if (row[0] !== 1) return 'the row that says what was removed on purpose is gone'
  for (const [at, { of, isSum }] of COLUMNS.entries()) {
    const [told, there] = [row[1 + 2 * at], row[2 + 2 * at]]
    if (told === there) continue
    return isSum
      ? `the rows of ${of} are not those that were written`
      : `${of} has ${there} of its ${told} rows`
  }
  return undefined
}
