/**
 * How rows that an older machine wrote become rows of this one. The states of plans and jobs are the outside contract's and are never
 * renamed; what is remembered beside them may change, and each change is one migration, kept for ever.
 */
import type { JsonObject } from '../json.ts'

/** Leads from one version of a machine to the next. Pure; what it throws quarantines the plan, and the row stays as it was. */
export type Migration = Readonly<{
  from: string
  to: string
  migrate: (context: JsonObject, state: string) => JsonObject
}>

/** Every migration there is; none yet, as these are the first machines. */
export const MIGRATIONS: readonly Migration[] = []

/**
 * Brings what an actor remembers from the version that wrote it to the one asked for, through as many migrations as lie between.
 * @throws {RangeError} when none leads there, or one makes nothing of it.
 */
export const migrateContext = (
  migrations: readonly Migration[],
  row: Readonly<{ version: string; state: string; context: JsonObject }>,
  to: string,
): JsonObject => {
  let { version, context } = row
  for (let steps = 0; version !== to; steps += 1) {
    const next = migrations.find(({ from }) => from === version)
    if (!next || steps >= migrations.length)
      throw new RangeError(`it was written by machine ${row.version}, and nothing leads from there to ${to}`)
    context = next.migrate(context, row.state)
    if (typeof context !== 'object' || context === null)
      throw new RangeError(`the migration from ${next.from} to ${next.to} made ${String(context)} of it`)
    version = next.to
  }
  return context
}
