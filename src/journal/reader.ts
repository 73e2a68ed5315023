/**
 * Reading a journal's file. A reader takes no lock and holds no transaction between two calls, so that it never keeps the
 * write-ahead log from being folded back; it works beside a holder, and after a dead one.
 */
import { existsSync } from 'node:fs'
import { noteAddress } from '../address.ts'
import { isTenutoError, TenutoError } from '../errors.ts'
import { bootId } from '../process.ts'
import { isPlanEnd, PLAN_STATES } from '../states.ts'
import {
  type Driver,
  type OpenDriver,
  openNodeSqlite,
  type Row,
  type Statement,
  storeError,
  type Value,
} from './driver.ts'
import type { JobRow, JournalReader } from './journal.ts'
import { checkMark, readMark } from './mark.ts'
import {
  ACTOR_COLUMNS,
  actorOf,
  addressOfMail,
  DEAD_LETTER_COLUMNS,
  deadLetterOf,
  HEAD_COLUMNS,
  headOf,
  JOB_COLUMNS,
  jobOf,
  MAIL_COLUMNS,
  mailOf,
  OUTPUT_COLUMNS,
  outputOf,
  REVISION_COLUMNS,
  revisionOf,
  STEP_COLUMNS,
  stepOf,
} from './rows.ts'
import { SCHEMA } from './schema.ts'
import { openToRead } from './still.ts'
import { inspectFile, readHead } from './structure.ts'
import { refuseGone } from './traces.ts'

/** What a home without a journal reads as. */
export const emptyReader: JournalReader = {
  plans: async () => [],
  plan: async () => undefined,
  planByKey: async () => undefined,
  plansByPrefix: async () => [],
  revision: async () => undefined,
  jobs: async () => [],
  job: async () => undefined,
  jobsIn: async () => [],
  counts: async () => ({}),
  totals: async () => ({ plans: {}, jobs: {}, deadLetters: 0, deadLettersEver: 0 }),
  outputs: async () => new Map(),
  actor: async () => undefined,
  actors: async () => [],
  steps: async () => [],
  notes: async () => [],
  lastNote: async () => undefined,
  latest: async () => [],
  mailOf: async () => [],
  mail: async () => [],
  addressed: async () => [],
  aside: async () => undefined,
  loading: async () => 0,
  deadLetters: async () => [],
  pruned: async () => ({ plans: 0, steps: 0, last: 0 }),
  close: async () => {},
}

/**
 * Opens a journal's file read-only. A file that is not there reads as empty, and nothing is made.
 * @throws {TenutoError} `SCHEMA_NEWER`; `STORE_CORRUPT`; `STORE_GONE`; `STORE_FULL` when it has a write-ahead log, which cannot be read
 * without room for an index; `STORE_BROKEN`, also when the schema is older, which only a holder mends.
 */
export const sqliteReader = async (
  file: string,
  open: OpenDriver = openNodeSqlite,
): Promise<JournalReader> => {
  // Read before the file, which is never behind it.
  const mark = readMark(file)
  if (!existsSync(file)) {
    refuseGone(file)
    return emptyReader
  }
  const begin = (driver: Driver): JournalReader => {
    try {
      const found = inspectFile(driver, file, SCHEMA)
      if (found < SCHEMA.version) {
        const why = `its schema ${found} is older than ${SCHEMA.version}; the next command that changes something migrates it`
        throw new TenutoError('STORE_BROKEN', { path: file, why })
      }
      checkMark(file, mark, readHead(driver, file, true, SCHEMA), bootId())
      return readerOn(driver, file)
    } catch (error) {
      driver.close()
      throw error
    }
  }
  return openToRead(file, open, begin)
}

const quoted = (states: readonly string[]): string => states.map((state) => `'${state}'`).join(', ')
/** A state that nobody has written is damage; the plan is found among those that wait for somebody. */
const STATE = `CASE WHEN s.why IS NULL AND coalesce(a.state, 'running') IN (${quoted(PLAN_STATES)})
  THEN coalesce(a.state, 'running') ELSE 'quarantined' END`

/** What most plans and jobs of a home come to in the end: those that are so are near wherever one looks. */
const COMMON = 'succeeded'

/**
 * The ids of all plans that may be in one of the states of the JSON list `?`, and of a few that are not: the rows of the actors of plans
 * lie side by side, so that to look for what is rare there costs a tenth of a look at each plan.
 */
const maybeIn = (states: readonly string[]): string => {
  const inRow = `state IN (SELECT value FROM json_each(?))`
  const isStrange = states.includes('quarantined') ? `OR state NOT IN (${quoted(PLAN_STATES)})` : ''
  const rows = `SELECT substr(address, 6) FROM actor WHERE address > 'plan:' AND address < 'plan;' AND (${inRow} ${isStrange})`
  const aside = states.includes('quarantined') ? 'UNION ALL SELECT plan FROM aside' : ''
  const begun = `SELECT 1 FROM actor WHERE address = 'plan:' || id`
  const rowless = states.includes('running')
    ? `UNION ALL SELECT id FROM plan WHERE NOT EXISTS (${begun})`
    : ''
  return `${rows} ${aside} ${rowless}`
}

/** The plans, with what `HEAD_COLUMNS` reads. */
export const FROM_PLANS = `FROM plan p LEFT JOIN actor a ON a.address = 'plan:' || p.id LEFT JOIN aside s ON s.plan = p.id`
const JOBS_OF_PLANS = JOB_COLUMNS.replace(/\w+/g, 'j.$&')
const HEADS = `SELECT ${HEAD_COLUMNS} ${FROM_PLANS}`

/**
 * The steps of a plan lie between its own first and, once it has ended, its own last. An index by plan would cost every step a
 * quarter more, for readers that mostly ask for what has just happened.
 */
const STEPS_OF_PLAN = `
  SELECT ${STEP_COLUMNS} FROM step WHERE plan = ?1
    AND position > max(?2, coalesce((SELECT position FROM step WHERE address = 'plan:' || ?1 AND seq = 1), 1) - 1)
    AND position <= coalesce(
      (SELECT s.position FROM actor a JOIN step s ON s.address = a.address AND s.seq = a.seq
        WHERE a.address = 'plan:' || ?1 AND a.state IN (${quoted(PLAN_STATES.filter(isPlanEnd))})),
      9223372036854775807)
  ORDER BY position LIMIT ?3`

/** Reads through a connection that somebody opened; closing the reader closes it. Rows come as they are in the file. */
export const readerOn = (driver: Driver, path: string): JournalReader => {
  const statements = new Map<string, Statement>()
  let open = true

  /** The texts are few and fixed, so that each is prepared once. */
  const all = <R>(sql: string, values: Value[], decode: (row: Row) => R): R[] => {
    if (!open) throw new TenutoError('STOPPED')
    try {
      let statement = statements.get(sql)
      if (!statement) statements.set(sql, (statement = driver.prepare(sql)))
      return statement.all(...values).map(decode)
    } catch (error) {
      throw storeError(path, error)
    }
  }
  const one = <R>(sql: string, values: Value[], decode: (row: Row) => R): R | undefined =>
    all(sql, values, decode)[0]
  const step = (row: Row) => stepOf(path, row)
  const actor = (row: Row) => actorOf(path, row)
  const job = (row: Row) => jobOf(path, row)
  const sound = (row: Row): JobRow | undefined => {
    try {
      return job(row)
    } catch (error) {
      if (!isTenutoError(error, 'STORE_CORRUPT')) throw error
      return undefined
    }
  }
  const isPlan = (plan: string) => one('SELECT 1 FROM plan WHERE id = ?', [plan], () => true) === true

  return {
    plans: async ({ name, states, limit = -1, before } = {}) => {
      const terms = ['true']
      const values: Value[] = []
      if (name !== undefined) {
        terms.push('p.name = ?')
        values.push(name)
      }
      if (states !== undefined) {
        const list = JSON.stringify(states)
        if (!states.includes(COMMON)) {
          terms.push(`p.id IN (${maybeIn(states)})`)
          values.push(list)
        }
        terms.push(`${STATE} IN (SELECT value FROM json_each(?))`)
        values.push(list)
      }
      if (before !== undefined) {
        terms.push('p.number < (SELECT number FROM plan WHERE id = ?)')
        values.push(before)
      }
      // Their heads are read when it is known which ones are wanted.
      const wanted = `SELECT p.number ${FROM_PLANS} WHERE ${terms.join(' AND ')} ORDER BY p.number DESC LIMIT ?`
      const sql = `${HEADS} WHERE p.number IN (${wanted}) ORDER BY p.number DESC`
      return all(sql, [...values, bound(limit)], headOf)
    },
    plan: async (id) => one(`${HEADS} WHERE p.id = ?`, [id], headOf),
    planByKey: async (key) => one(`${HEADS} WHERE p.key = ?`, [key], headOf),
    plansByPrefix: async (prefix, limit) =>
      all(
        `${HEADS} WHERE p.id >= ? AND p.id < ? ORDER BY p.number DESC LIMIT ?`,
        [prefix, `${prefix}\u{10ffff}`, bound(limit)],
        headOf,
      ),
    revision: async (plan) =>
      one(
        `SELECT ${REVISION_COLUMNS} FROM plan_revision WHERE plan = ? ORDER BY revision DESC LIMIT 1`,
        [plan],
        (row) => revisionOf(path, row),
      ),
    jobs: async (plan) =>
      all(`SELECT ${JOB_COLUMNS} FROM job WHERE plan = ? ORDER BY place_in_plan, name`, [plan], job),
    job: async (plan, name) =>
      one(`SELECT ${JOB_COLUMNS} FROM job WHERE plan = ? AND name = ?`, [plan, name], job),
    jobsIn: async ({ states, name, limit = -1 }) => {
      // From plan to plan, so that a limit that is reached ends it; what is rare is looked for once before.
      const of = name === undefined ? '' : 'AND p.name = ?'
      const inState = 'state IN (SELECT value FROM json_each(?))'
      const rare = states.includes(COMMON) ? '' : `AND p.id IN (SELECT plan FROM job WHERE ${inState})`
      const sql = `SELECT ${JOBS_OF_PLANS} FROM plan p CROSS JOIN job j ON j.plan = p.id
        WHERE j.${inState} ${rare} ${of}
        ORDER BY p.number DESC, j.place_in_plan, j.name LIMIT ?`
      const list = JSON.stringify(states)
      const lists = rare === '' ? [list] : [list, list]
      const values = [...lists, ...(name === undefined ? [] : [name]), bound(limit)]
      return all(sql, values, sound).flatMap((row) => row ?? [])
    },
    counts: async (plan) =>
      Object.fromEntries(
        all('SELECT state, count(*) FROM job WHERE plan = ? GROUP BY state', [plan], ([state, count]) => [
          state as string,
          count as number,
        ]),
      ),
    totals: async () => {
      const counted = ([state, count]: Row) => [state as string, count as number] as const
      return {
        plans: Object.fromEntries(
          all(`SELECT ${STATE}, count(*) ${FROM_PLANS} GROUP BY 1 ORDER BY 1`, [], counted),
        ),
        jobs: Object.fromEntries(
          all('SELECT state, count(*) FROM job GROUP BY state ORDER BY state', [], counted),
        ),
        deadLetters: one('SELECT count(*) FROM dead_letter', [], ([count]) => count as number) ?? 0,
        deadLettersEver: one('SELECT dead FROM meta WHERE id = 1', [], ([dead]) => dead as number) ?? 0,
      }
    },
    outputs: async (plan, names) => {
      const some = names === undefined ? '' : 'AND name IN (SELECT value FROM json_each(?))'
      const sql = `SELECT ${OUTPUT_COLUMNS} FROM output WHERE plan = ? ${some} ORDER BY name`
      const values = names === undefined ? [plan] : [plan, JSON.stringify(names)]
      return new Map(all(sql, values, (row) => outputOf(path, row)))
    },
    actor: async (address) => {
      const found = one(`SELECT ${ACTOR_COLUMNS} FROM actor WHERE address = ?`, [address], actor)
      // One that has taken a step has a row; to begin anew what has begun would be to run it again.
      if (!found && one('SELECT 1 FROM step WHERE address = ? LIMIT 1', [address], () => true))
        throw new TenutoError('STORE_CORRUPT', { path, why: `the row of ${address} is gone`, address })
      return found
    },
    actors: async (plan) =>
      all(
        `SELECT ${ACTOR_COLUMNS} FROM actor WHERE address = ? OR (address > ? AND address < ?) ORDER BY address`,
        addressesOf(plan),
        actor,
      ),
    steps: async ({ after, limit, plan, address }) => {
      if (plan !== undefined && address === undefined) {
        return all(STEPS_OF_PLAN, [plan, after, bound(limit)], step)
      }
      const by = address === undefined ? '' : 'address = ? AND'
      const sql = `SELECT ${STEP_COLUMNS} FROM step WHERE ${by} position > ? ORDER BY position LIMIT ?`
      return all(sql, [...(address === undefined ? [] : [address]), after, bound(limit)], step)
    },
    notes: async (plan, limit) =>
      all(
        `SELECT ${STEP_COLUMNS} FROM step WHERE (address = ? OR (address > ? AND address < ?)) AND type <> 'begun'
          ORDER BY position DESC LIMIT ?`,
        [`note:${plan}`, `note:${plan}/`, `note:${plan}0`, bound(limit)],
        step,
      ),
    lastNote: async (plan, job, type) =>
      one(
        `SELECT ${STEP_COLUMNS} FROM step WHERE address = ? AND type = ? ORDER BY seq DESC LIMIT 1`,
        [noteAddress(plan, job), type],
        step,
      ),
    latest: async (address, limit) =>
      all(
        `SELECT ${STEP_COLUMNS} FROM step WHERE address = ? ORDER BY seq DESC LIMIT ?`,
        [address, bound(limit)],
        step,
      ),
    mailOf: async (address, limit) =>
      all(
        `SELECT ${MAIL_COLUMNS} FROM mail WHERE address = ? ORDER BY id LIMIT ?`,
        [address, bound(limit)],
        (row) => mailOf(path, row),
      ),
    mail: async (plan) => {
      const of = plan === undefined ? '' : 'WHERE address = ? OR (address > ? AND address < ?)'
      const sql = `SELECT ${MAIL_COLUMNS} FROM mail ${of} ORDER BY id`
      return all(sql, plan === undefined ? [] : addressesOf(plan), (row) => mailOf(path, row))
    },
    addressed: async () => {
      const rows = all(`SELECT ${MAIL_COLUMNS} FROM mail ORDER BY id`, [], (row) => row)
      return [...new Set(rows.map((row) => addressOfMail(path, row, isPlan)))]
    },
    aside: async (plan) =>
      one('SELECT why, at FROM aside WHERE plan = ?', [plan], ([why, at]) => ({
        why: why as string,
        at: at as number,
      })),
    loading: async (plan) =>
      one('SELECT times FROM loading WHERE plan = ?', [plan], ([times]) => times as number) ?? 0,
    deadLetters: async (limit, before = Number.MAX_SAFE_INTEGER) =>
      all(
        `SELECT ${DEAD_LETTER_COLUMNS} FROM dead_letter WHERE id < ? ORDER BY id DESC LIMIT ?`,
        [before, bound(limit)],
        (row) => deadLetterOf(path, row),
      ),
    pruned: async () =>
      one('SELECT plans, steps, last FROM pruned', [], ([plans, steps, last]) => ({
        plans: plans as number,
        steps: steps as number,
        last: last as number,
      })) ?? { plans: 0, steps: 0, last: 0 },
    close: async () => {
      if (!open) return
      open = false
      driver.close()
    },
  }
}

/** SQLite reads a negative limit as none. */
const bound = (limit: number): number => (Number.isFinite(limit) ? limit : -1)

/** The plan's own address, and the two texts between which lie those of its jobs ("0" follows "/"). */
export const addressesOf = (plan: string): Value[] => [`plan:${plan}`, `job:${plan}/`, `job:${plan}0`]
