/**
 * The directory: which plans are in memory, and the live actors of each. Everything in it can be thrown away and loaded again
 * from the journal; nothing in it is the only copy of anything.
 */
import type { AnyStateMachine } from 'xstate'
import { type Address, jobAddress, planAddress } from '../address.ts'
import type { Definition } from '../definition.ts'
import { TenutoError } from '../errors.ts'
import type { ActorRow, JobRow, Journal, MailRow, PlanRow } from '../journal/journal.ts'
import type { JsonObject } from '../json.ts'
import { type BoardRow, type Graph, graphOf } from '../machines/board.ts'
import { type Asks, NOTHING } from '../machines/effect.ts'
import { JOB_VERSION, type JobSnapshot, jobAsks, jobMachine } from '../machines/job.ts'
import { MIGRATIONS, type Migration, migrateContext } from '../machines/migrations.ts'
import { PLAN_VERSION, planMachine } from '../machines/plan.ts'
import { isJobEnd, isJobState } from '../states.ts'
import type { FlatSystem, LiveActor } from './system.ts'

/** A live actor, with what the next commit needs to know of it. */
export type Entry = {
  readonly address: Address
  readonly kind: 'plan' | 'job'
  readonly resident: Resident
  /** The index of the job on its board; -1 for the plan. */
  readonly index: number
  actor: LiveActor
  value: string
  context: JsonObject
  seq: number
  /** The seq of its row in the journal. */
  savedSeq: number
  /** The version of the machine that wrote its row; absent while it has none. */
  readonly writtenBy?: string
}

/** A plan in memory: its definition, its board, and its live actors. */
export type Resident = {
  readonly id: string
  readonly row: PlanRow
  readonly definition: Definition
  readonly graph: Graph
  readonly environment: Readonly<Record<string, string>>
  readonly rows: BoardRow[]
  readonly actors: Map<Address, Entry>
  /** Addresses of embodied jobs whose actor has no row yet. */
  readonly fresh: Set<Address>
  /** The latest attempt of each job of which it is on record that it had begun, by the job's name. */
  readonly begun: Map<string, number>
}

/** A plan that was just read, and what waits for it. */
export type Loaded = Readonly<{ resident: Resident; mail: readonly MailRow[] }>

const MACHINES: Readonly<Record<Entry['kind'], Readonly<{ machine: AnyStateMachine; version: string }>>> = {
  plan: { machine: planMachine, version: PLAN_VERSION },
  job: { machine: jobMachine, version: JOB_VERSION },
}

/** The machine of a kind of actor, and its version. */
export const machineOf = (kind: Entry['kind']): Readonly<{ machine: AnyStateMachine; version: string }> =>
  MACHINES[kind]

/** A plan that is not in the journal yet, or whose rows were just read. */
export const resident = (
  row: PlanRow,
  definition: Definition,
  graph: Graph,
  rows: readonly BoardRow[],
): Resident => ({
  id: row.id,
  row,
  definition,
  graph,
  environment: JSON.parse(row.environment) as Record<string, string>,
  rows: [...rows],
  actors: new Map(),
  fresh: new Set(),
  begun: new Map(),
})

/** The plan's own actor; undefined before its first step. */
export const planEntry = (of: Resident): Entry | undefined => of.actors.get(planAddress(of.id))

/** What a live job asks for, by its own machine; a state that the machine does not explain asks for nothing. */
export const asksOf = (entry: Entry): Asks =>
  entry.kind === 'job'
    ? jobAsks({ value: entry.value, context: entry.context } as unknown as JobSnapshot)
    : NOTHING

/**
 * Brings one actor back from its row, through migrations where an older machine wrote it. Throws when the machine cannot take it, or
 * nothing leads on from the version of the row.
 */
export const restoreEntry = (
  system: FlatSystem,
  of: Resident,
  row: ActorRow,
  migrations: readonly Migration[] = MIGRATIONS,
): Entry => {
  const { machine, version } = machineOf(row.kind)
  const stored = JSON.parse(row.snapshot) as { value: string; context: JsonObject }
  const { value } = stored
  const context = migrateContext(migrations, { ...stored, state: value, version: row.version }, version)
  const job = row.kind === 'job' ? row.address.slice(row.address.indexOf('/') + 1) : null
  return {
    address: row.address,
    kind: row.kind,
    resident: of,
    index: job === null ? -1 : (of.graph.index.get(job) ?? -1),
    actor: system.restore(machine, row.address, { value, context }),
    value,
    context,
    seq: row.seq,
    savedSeq: row.seq,
    writtenBy: row.version,
  }
}

const damaged = (address: Address, why: string): TenutoError =>
  new TenutoError('STORE_CORRUPT', { path: 'journal', why, address })

/** The board has one row for each job of the definition, in its order, in a state that this version knows. */
const checkBoard = (address: Address, definition: Definition, rows: readonly JobRow[]): void => {
  const names = Object.keys(definition.jobs)
  if (rows.length !== names.length)
    throw damaged(address, `${rows.length} of its ${names.length} jobs have a row`)
  for (const [at, { name, index, state }] of rows.entries()) {
    if (name !== names[at] || index !== at)
      throw damaged(address, `the row of job ${name} is not in its place`)
    if (!isJobState(state))
      throw damaged(address, `job ${name} is ${state}, which this version does not know`)
  }
}

/** Reads a plan with its board, its live actors and its mail. Jobs that have ended stay rows. Undefined: no such plan. */
export const loadPlan = async (
  journal: Journal,
  system: FlatSystem,
  id: string,
  migrations: readonly Migration[] = MIGRATIONS,
): Promise<Loaded | undefined> => {
  const [row, revision] = [await journal.plan(id), await journal.revision(id)]
  if (!row) return undefined
  const address = planAddress(id)
  if (row.damaged) throw damaged(address, 'its row is damaged')
  if (!revision) throw damaged(address, 'its definition is not there')
  const definition = JSON.parse(revision.definition) as Definition
  const rows = await journal.jobs(id)
  checkBoard(address, definition, rows)
  const of = resident(row, definition, graphOf(definition), rows)
  const live = of.rows
    .filter((job) => job.embodied && !isJobEnd(job.state))
    .map((job) => jobAddress(id, job.name))
  for (const address of [planAddress(id), ...live]) {
    const actor = await journal.actor(address)
    if (actor) of.actors.set(address, restoreEntry(system, of, actor, migrations))
    else of.fresh.add(address)
  }
  for (const { index, value } of of.actors.values()) {
    const name = of.rows[index]?.name
    if (name === undefined || (value !== 'running' && value !== 'stopping')) continue
    const attempt = (await journal.lastNote(id, name, 'begun'))?.attempt
    if (attempt) of.begun.set(name, attempt)
  }
  return { resident: of, mail: await journal.mail(id) }
}
