/**
 * The floor under a journal: the very rows that lives of jobs leave in it, written straight with `node:sqlite`, and nothing else done.
 * They are read from a journal that was really made, so that tables, columns and the size of each row are the same.
 */
import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'

/** A row to be written again and again: its values are changed in place, so that nothing is made anew while time is taken. */
type Row = Readonly<{ columns: readonly string[]; values: SQLInputValue[] }>

/** What lives of jobs leave in a journal. */
export type Lives = Readonly<{
  /** The statements that make its tables. */
  tables: readonly string[]
  /** The steps of one job, and the plan's by which it is told of its end. */
  steps: readonly Row[]
  told: Row
  /** What the actors of both, and the board, say in the end. */
  actor: Row
  plan: Row
  job: Row
}>

/** Reads the rows that job `name` left in a journal. */
export const livesIn = (file: string, name: string): Lives => {
  const db = new DatabaseSync(file, { readOnly: true })
  const all = (sql: string, ...of: string[]): Row[] =>
    db
      .prepare(sql)
      .all(...of)
      .map((row) => ({ columns: Object.keys(row), values: Object.values(row) as SQLInputValue[] }))
  const one = (sql: string, ...of: string[]): Row => all(sql, ...of)[0] as Row
  const address = `job:%/${name}`
  const lives: Lives = {
    tables: all(
      `SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND tbl_name IN ('meta', 'step', 'actor', 'job') ORDER BY rowid`,
    ).map(({ values }) => String(values[0])),
    steps: all('SELECT * FROM step WHERE address LIKE ? ORDER BY seq', address),
    told: one("SELECT * FROM step WHERE type = 'job.settled' ORDER BY position LIMIT 1"),
    actor: one('SELECT * FROM actor WHERE address LIKE ?', address),
    plan: one("SELECT * FROM actor WHERE kind = 'plan'"),
    job: one('SELECT * FROM job WHERE name = ?', name),
  }
  db.close()
  return lives
}

/** Changes some values of a row. */
const changer =
  ({ columns, values }: Row, ...names: readonly string[]) =>
  (...to: readonly SQLInputValue[]): SQLInputValue[] => {
    for (const [at, name] of names.entries()) values[columns.indexOf(name)] = to[at] as SQLInputValue
    return values
  }

/** Writes lives into a new file in `folder`, in the mode of a journal. */
const writerIn = (folder: string, lives: Lives) => {
  const db = new DatabaseSync(join(mkdtempSync(join(folder, 'raw-')), 'raw.db'))
  db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; ${lives.tables.join(';')}`)
  db.exec(
    "INSERT INTO meta (id, home, epoch, position, mail, dead, crc) VALUES (1, 'abcdefghij', 1, 0, 0, 0, 0)",
  )
  const insert = (table: string, { columns }: Row, key: readonly string[]): StatementSync => {
    const set = columns.filter((name) => !key.includes(name)).map((name) => `${name} = excluded.${name}`)
    const conflict = key.length === 0 ? '' : `ON CONFLICT (${key.join(', ')}) DO UPDATE SET ${set.join(', ')}`
    const marks = columns.map(() => '?').join(', ')
    return db.prepare(`INSERT INTO ${table} (${columns.join(', ')}) VALUES (${marks}) ${conflict}`)
  }
  const addStep = insert('step', lives.told, [])
  const putActor = insert('actor', lives.actor, ['address'])
  const putJob = insert('job', lives.job, ['plan', 'name'])
  const moveHead = db.prepare('UPDATE meta SET position = ?, crc = ? WHERE id = 1')
  const steps = lives.steps.map((row) => changer(row, 'position', 'address', 'seq'))
  const told = changer(lives.told, 'position', 'seq')
  const actor = changer(lives.actor, 'address', 'seq')
  const plan = changer(lives.plan, 'seq')
  const job = changer(lives.job, 'name')
  let position = 0
  let heard = 0
  /** The steps of a job up to the one before its end, or that one. */
  const life = (at: number, from: number, to: number): void => {
    const address = `job:bench-aaaaaa/j${at}`
    for (let seq = from; seq <= to; seq += 1) {
      position += 1
      addStep.run(...(steps[seq - 1]?.(position, address, seq) ?? []))
    }
    putActor.run(...actor(address, to))
    putJob.run(...job(`j${at}`))
  }
  return {
    release: (at: number): void => {
      putJob.run(...job(`j${at}`))
    },
    begin: (at: number): void => life(at, 1, steps.length - 1),
    end: (at: number): void => {
      life(at, steps.length, steps.length)
      position += 1
      heard += 1
      addStep.run(...told(position, heard))
    },
    /** One commit of what is written meanwhile; the plan and the head of the file are in each. */
    commit: (write: () => void): void => {
      db.exec('BEGIN IMMEDIATE')
      write()
      putActor.run(...plan(heard))
      moveHead.run(position, position)
      db.exec('COMMIT')
    },
    close: (): void => db.close(),
  }
}

/** Rows of one life in a fan: its steps and the plan's, the actor twice, the board three times. */
const ROWS = 9

/** Writes n lives, `each` begun and as many ended in a commit: rows a second. */
export const rawRows = (folder: string, lives: Lives, n: number, each: number): number => {
  const writer = writerIn(folder, lives)
  const began = performance.now()
  for (let at = 0; at < n; at += 4 * each) {
    writer.commit(() => {
      for (let next = at; next < Math.min(n, at + 4 * each); next += 1) writer.release(next)
    })
  }
  for (let from = 0; from < n + each; from += each) {
    writer.commit(() => {
      for (let at = Math.max(0, from - each); at < Math.min(n, from); at += 1) writer.end(at)
      for (let at = from; at < Math.min(n, from + each); at += 1) writer.begin(at)
    })
  }
  const took = performance.now() - began
  writer.close()
  return (n * ROWS) / (took / 1000)
}

/** The commits of a chain of n, each of which ends one job and begins the next: milliseconds of each. */
export const rawHops = (folder: string, lives: Lives, n: number): readonly number[] => {
  const writer = writerIn(folder, lives)
  const took = Array.from({ length: n }, (_, at) => {
    const began = performance.now()
    writer.commit(() => {
      if (at > 0) writer.end(at - 1)
      writer.begin(at)
    })
    return performance.now() - began
  })
  writer.close()
  return took
}
