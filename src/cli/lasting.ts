/**
 * A holder as something to follow to the end. It may let go of its home as soon as the last of what is followed is committed, before
 * that has been told: what was not heard from it is read from the home, which has it.
 */
import { isTenutoError } from '../errors.ts'
import type { HomeClient } from '../http/client.ts'
import type { LogChunk } from '../log-file.ts'
import { awaitHolder, type Catalog, readIn } from './home.ts'

const PAGE = 500
const LOG_CHUNK = 256 * 1024

/**
 * The same holder, whose home answers for it once it has gone. Following it ends as before, with `NO_DAEMON`, when what was committed has
 * been told and it was not the end.
 */
export const lasting = (home: string, holder: HomeClient): HomeClient => ({
  ...holder,
  catalog: lastingCatalog(home, holder.catalog),
  events: async function* (query = {}) {
    const { plan, signal, follow = true } = query
    let after = query.after ?? 0
    try {
      for await (const event of holder.events(query)) {
        after = event.position
        yield event
      }
    } catch (error) {
      if (!hasGone(error)) throw error
      const of = plan === undefined ? {} : { plan }
      while (!signal?.aborted) {
        const page = await readIn(home, (catalog) => catalog.events({ ...of, after, limit: PAGE }))
        yield* page
        after = page.at(-1)?.position ?? after
        if (page.length === PAGE) continue
        if (!follow) return
        throw error
      }
    }
  },
  followLog: async function* (plan, job, attempt, options = {}) {
    let offset = options.offset ?? 0
    try {
      for await (const piece of holder.followLog(plan, job, attempt, options)) {
        offset = piece.next
        yield piece
      }
    } catch (error) {
      if (!hasGone(error)) throw error
      // Asked before its log is read: what it has written by then is all of it.
      const isOver = await readIn(home, async (catalog) => {
        const attempts = await catalog.attempts(plan, job)
        return attempts.find(({ n }) => n === attempt)?.outcome != null
      })
      yield* restOfLog(home, { plan, job, attempt }, offset, options.signal)
      if (!isOver) throw error
    }
  },
})

/** What the home has of the log of an attempt from an offset on, piece by piece. */
export async function* restOfLog(
  home: string,
  { plan, job, attempt }: Readonly<{ plan: string; job: string; attempt: number }>,
  from: number,
  signal?: AbortSignal,
): AsyncGenerator<LogChunk> {
  for (let offset = from; !signal?.aborted; ) {
    const piece = await readIn(home, (catalog) => catalog.log(plan, job, attempt, offset, LOG_CHUNK))
    if (piece.next === offset) return
    offset = piece.next
    yield piece
  }
}

/** Whoever holds the home, to be followed; undefined as of `awaitHolder`. */
export const awaitLasting = async (home: string): Promise<HomeClient | undefined> => {
  const holder = await awaitHolder(home)
  return holder && lasting(home, holder)
}

const lastingCatalog = (home: string, catalog: Catalog): Catalog => ({
  ...catalog,
  resolve: (ref) => lastingRead(home, catalog, (of) => of.resolve(ref)),
  plans: (query) => lastingRead(home, catalog, (of) => of.plans(query)),
  plan: (id) => lastingRead(home, catalog, (of) => of.plan(id)),
  jobs: (plan) => lastingRead(home, catalog, (of) => of.jobs(plan)),
  job: (plan, job) => lastingRead(home, catalog, (of) => of.job(plan, job)),
  attempts: (plan, job) => lastingRead(home, catalog, (of) => of.attempts(plan, job)),
  events: (query) => lastingRead(home, catalog, (of) => of.events(query)),
  log: (plan, job, attempt, offset, limit) =>
    lastingRead(home, catalog, (of) => of.log(plan, job, attempt, offset, limit)),
})

const lastingRead = async <T>(
  home: string,
  catalog: Catalog,
  read: (of: Catalog) => Promise<T>,
): Promise<T> => {
  try {
    return await read(catalog)
  } catch (error) {
    if (!hasGone(error)) throw error
    return readIn(home, read)
  }
}

/** Whether an error says that the holder has gone. */
export const hasGone = (error: unknown): boolean =>
  isTenutoError(error, 'NO_DAEMON') || isTenutoError(error, 'STOPPED')
