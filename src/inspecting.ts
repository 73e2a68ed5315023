/**
 * Looking into one actor from what is on record: its machine, what it remembers, what waits for it, and what it did last. Read row by
 * row, so that one that is damaged costs what it holds and no more.
 */
import { type Address, jobAddress, planAddress } from './address.ts'
import type { Catalog } from './catalog.ts'
import { isTenutoError } from './errors.ts'
import type { JobRow, JournalReader } from './journal/journal.ts'
import type { Json, JsonObject } from './json.ts'
import { type JobSnapshot, jobAsks } from './machines/job.ts'
import { vault } from './secrets.ts'
import { eventShape, type InspectionShape, iso, type TreeShape } from './views/shapes.ts'

/** Looks into a plan, or a job of it. @throws {TenutoError} `REF_NOT_FOUND`. */
export type Inspecting = (plan: string, job: string | null) => Promise<InspectionShape>

/** So much of what waits, and of what happened last, is told. */
const SHOWN = 20

/** Looks on a reader of the journal of a home. */
export const inspecting =
  (reader: JournalReader, catalog: Catalog, home: string): Inspecting =>
  async (plan, job) => {
    const address: Address = job === null ? planAddress(plan) : jobAddress(plan, job)
    const about = job === null ? await catalog.plan(plan) : await catalog.job(plan, job)
    const wrong: string[] = []
    const sound = async <Value>(read: () => Promise<Value>, otherwise: Value): Promise<Value> => {
      try {
        return await read()
      } catch (error) {
        if (!isTenutoError(error, 'STORE_CORRUPT') && !isTenutoError(error, 'SECRETS_GONE')) throw error
        wrong.push(error.message)
        return otherwise
      }
    }
    const row = await sound(() => reader.actor(address), undefined)
    const snapshot =
      row && (JSON.parse(row.snapshot) as Readonly<{ value: string; context: Record<string, Json> }>)
    const board = job === null ? undefined : await reader.job(plan, job)
    const mail = await sound(() => reader.mailOf(address, SHOWN + 1), [])
    const steps = await sound(() => reader.latest(address, SHOWN), [])
    return {
      ref: job === null ? plan : `${plan}/${job}`,
      kind: job === null ? 'plan' : 'job',
      address,
      state: about.state,
      reason: about.reason,
      generation: about.generation,
      machine: row?.version ?? null,
      seq: row?.seq ?? 0,
      context: snapshot ? await sound(() => seen(snapshot.context, catalog, home, plan), null) : null,
      timers: snapshot && job !== null ? timersOf(snapshot) : [],
      mailbox: {
        items: mail.slice(0, SHOWN).map(({ id, event, at, deliveries }) => ({
          id,
          type: String((JSON.parse(event) as JsonObject)['type']),
          since: iso(at),
          deliveries,
        })),
        more: mail.length > SHOWN,
      },
      steps: steps.map(eventShape),
      attempt: job === null ? null : ((await sound(() => catalog.attempts(plan, job), [])).at(-1) ?? null),
      board: board === undefined ? null : boardShape(board),
      path: ['root', job === null ? 'plans' : 'jobs', address],
      live: null,
      wrong,
    }
  }

/** What it remembers, without the secrets of its plan. */
const seen = async (
  context: JsonObject,
  catalog: Catalog,
  home: string,
  plan: string,
): Promise<JsonObject> => {
  const definition = await catalog.definition(plan).catch(() => undefined)
  return vault(home).masking(plan, definition).value(context) as JsonObject
}

const timersOf = (snapshot: object): InspectionShape['timers'] =>
  jobAsks(snapshot as JobSnapshot).timers.map(({ name, at }) => ({ name, due: iso(at) }))

const boardShape = ({ index, place, state, reason, unmet, attempt, since, embodied }: JobRow) => ({
  index,
  place,
  state,
  reason,
  unmet,
  attempt,
  since: iso(since),
  actor: embodied,
})

/** The node that stands at a path of a tree, without what is below it; null where none is shown there. */
export const nodeAt = (root: TreeShape, [id, ...below]: readonly string[]): InspectionShape['live'] => {
  if (root.id !== id) return null
  const [next] = below
  if (next === undefined) {
    const { children: _, ...node } = root
    return node
  }
  const child = root.children.find((each) => each.id === next)
  return child === undefined ? null : nodeAt(child, below)
}
