/**
 * Homes for the auditor: real ones, made by running plans, which a test then damages as it likes.
 */
import { cpSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { crc32 } from 'node:zlib'
import { onTestFinished } from 'vitest'
import { attemptDir } from '../../src/attempt.ts'
import type { Definition } from '../../src/definition.ts'
import { homePaths } from '../../src/home.ts'
import { createRuntime, type Runtime, type RuntimeOptions } from '../../src/runtime.ts'
import { type JobSketch, planOf } from '../support/definitions.ts'
import { removeFolder } from '../support/folders.ts'

/** A plan of jobs that run as processes. */
export const shellPlan = (
  jobs: Readonly<Record<string, JobSketch & Readonly<{ run: string }>>>,
): Definition => {
  const sketches = Object.entries(jobs).map(([name, job]) => [name, { kind: 'run', ...job }] as const)
  const { jobs: made, ...plan } = planOf(Object.fromEntries(sketches))
  const without = Object.entries(made).map(([name, { call: _, ...job }]) => [name, job] as const)
  return { ...plan, jobs: Object.fromEntries(without) }
}

/** A folder that goes when the test ends. */
export const openFolder = (): string => {
  const path = mkdtempSync(join(tmpdir(), 'tenuto-audit-'))
  onTestFinished(() => removeFolder(path))
  return path
}

/** A runtime on a home; it stops when the test ends, if it has not yet. */
export const holdHome = async (home: string, options: RuntimeOptions = {}): Promise<Runtime> => {
  const runtime = await createRuntime({ home, durability: 'normal', ...options })
  onTestFinished(() => runtime.stop())
  return runtime
}

/** A home that nobody holds, and its one plan. */
export type Crafted = Readonly<{
  home: string
  plan: string
  homeId: string
  /** Changes rows; steps and actors that are changed get a crc that fits, and rows are counted, unless `as` says that they are damaged. */
  edit: (sql: string, as?: 'written' | 'damaged') => void
  /** The first value of a row. */
  ask: (sql: string) => unknown
  dir: (job: string, attempt: number) => string
  /** Changes a JSON file in the folder of an attempt. */
  change: (job: string, attempt: number, name: string, more: Readonly<Record<string, unknown>>) => void
}>

/** What stays in a home: its runner leaves soon after the last attempt has ended, and takes its files with it. */
export const isKept = (path: string): boolean => !/^runner\.|sock$/.test(basename(path))

/** A home of the same content in the place of another, to damage: nothing in it says that it is a copy. */
export const copyOf = (home: string): Crafted => {
  const copy = join(openFolder(), 'home')
  cpSync(home, copy, {
    recursive: true,
    filter: (path) => isKept(path) && path !== homePaths(home).place,
  })
  return crafted(copy)
}

/** A home as something to damage. */
export const crafted = (home: string): Crafted => {
  const open = <T>(use: (database: DatabaseSync) => T): T => {
    const database = new DatabaseSync(join(home, 'journal.db'), { defensive: false })
    try {
      return use(database)
    } finally {
      database.close()
    }
  }
  const ask = (sql: string): unknown =>
    open((database) => Object.values(database.prepare(sql).get() ?? {})[0])
  const plan = String(ask('SELECT id FROM plan ORDER BY number DESC LIMIT 1'))
  const dir = (job: string, attempt: number): string => attemptDir(home, plan, job, attempt)
  return {
    home,
    plan,
    homeId: String(ask('SELECT home FROM meta')),
    ask,
    dir,
    edit: (sql, as = 'written') =>
      open((database) => {
        database.exec(sql.replaceAll('PLAN', plan))
        if (as === 'damaged') return
        for (const table of ['step', 'actor'] as const) sealed(database, table)
        database.exec(COUNTED)
        sealHead(database)
      }),
    change: (job, attempt, name, more) => {
      const path = join(dir(job, attempt), name)
      writeFileSync(path, JSON.stringify({ ...(JSON.parse(readFileSync(path, 'utf8')) as object), ...more }))
    },
  }
}

/** As the journal counts what it writes. */
const COUNTED = `
  UPDATE meta SET boot_rows = (SELECT count(*) FROM boot), boot_sum = (SELECT total(epoch) FROM boot),
    mail_rows = (SELECT count(*) FROM mail), mail_sum = (SELECT total(id) FROM mail),
    dead_rows = (SELECT count(*) FROM dead_letter), dead_sum = (SELECT total(id) FROM dead_letter),
    actor_rows = (SELECT count(*) FROM actor), job_rows = (SELECT count(*) FROM job)`

const sealHead = (database: DatabaseSync): void => {
  const head = database.prepare(
    'SELECT home, epoch, position, mail, dead, (SELECT user_version FROM pragma_user_version) FROM meta',
  )
  head.setReturnArrays(true)
  const values = (head.get() ?? []) as unknown as (string | number)[]
  database.prepare('UPDATE meta SET crc = ?').run(crc32(values.join('\n')))
}

const COLUMNS = {
  step: 'position, address, seq, plan, type, event, came_from, went_to, reason, attempt, at, version',
  actor: 'address, kind, plan, state, reason, seq, snapshot, version',
} as const

const sealed = (database: DatabaseSync, table: keyof typeof COLUMNS): void => {
  const key = table === 'step' ? 'position' : 'address'
  const rows = database.prepare(`SELECT ${COLUMNS[table]} FROM ${table}`)
  rows.setReturnArrays(true)
  const seal = database.prepare(`UPDATE ${table} SET crc = ? WHERE ${key} = ?`)
  for (const row of rows.all() as unknown as (string | number | null)[][])
    seal.run(crc32(row.join('\n')), row[0] ?? null)
}
