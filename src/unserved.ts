/**
 * A home that nobody serves, read from its files. Nothing of it is held, made or changed.
 */
import { type Catalog, catalog } from './catalog.ts'
import { systemClock } from './clock.ts'
import { explaining } from './explaining.ts'
import { homePaths } from './home.ts'
import { inspecting } from './inspecting.ts'
import type { PlanHead } from './journal/journal.ts'
import { emptyReader, sqliteReader } from './journal/reader.ts'
import { type Mode, readMode } from './mode.ts'
import type { Holding } from './views/evidence.ts'
import type { ExplainShape } from './views/explain.ts'
import type { InspectionShape } from './views/shapes.ts'

/** What an explanation says of a mode. */
export const modeFacts = ({
  mode,
  reason,
  since,
}: Mode): Pick<Holding, 'mode' | 'modeReason' | 'modeSince'> => ({
  mode,
  modeReason: reason,
  modeSince: since,
})

/** Explains in a home that this process does not hold. */
export const explainIn = async (home: string, ref: string, holding: Holding): Promise<ExplainShape> => {
  const paths = homePaths(home)
  const reader = await sqliteReader(paths.journal)
  try {
    const mode = readMode(paths.mode)
    const reading = catalog(reader, paths.home, () => mode.mode)
    const { plan, job } = await reading.resolve(ref)
    return await explaining(reader, reading, systemClock)(plan, job, { ...holding, ...modeFacts(mode) })
  } finally {
    await reader.close()
  }
}

/** Looks into an actor of a home that this process does not hold. */
export const inspectIn = async (home: string, ref: string): Promise<InspectionShape> => {
  const paths = homePaths(home)
  const reader = await sqliteReader(paths.journal)
  try {
    const reading = catalog(reader, paths.home, () => readMode(paths.mode).mode)
    const { plan, job } = await reading.resolve(ref)
    return await inspecting(reader, reading, paths.home)(plan, job)
  } finally {
    await reader.close()
  }
}

/** The plan that was submitted to a home under a key, as its journal has it. */
export const planOfKey = async (home: string, key: string): Promise<PlanHead | undefined> => {
  const reader = await sqliteReader(homePaths(home).journal)
  try {
    return await reader.planByKey(key)
  } finally {
    await reader.close()
  }
}

/** Reads a home without holding it. A home or journal that is not there reads as empty and is not made. */
export const readHome = async (home: string): Promise<Catalog> => {
  const paths = homePaths(home)
  return catalog(await sqliteReader(paths.journal), paths.home, () => readMode(paths.mode).mode)
}

/** The catalog of a home that does not exist. */
export const emptyCatalog = (home: string): Catalog => catalog(emptyReader, home)
