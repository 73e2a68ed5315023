/**
 * The board of a plan: one row per job, and what the end of one job means for the others. Pure: every function says what would
 * change and changes nothing; whoever applies the change replaces the rows.
 *
 *   held ──all needs met──▶ released ──ended──▶ settled
 *     └──a need cannot be met, or withdrawn──────▲
 *
 * A change touches at most `PORTION` rows. What is left over is work, which the plan takes up again with its next message to
 * itself, so that no step costs more in a large plan than in a small one.
 */
import type { Definition, Need } from '../definition.ts'
import { isJobEnd, type JobEnd, type Reason } from '../states.ts'

/** At most this many rows change in one step. */
export const PORTION = 256

/** One job on the board; the journal's row says the same in its own words. */
export type BoardRow = Readonly<{
  plan: string
  name: string
  index: number
  place: 'held' | 'released' | 'settled'
  state: string
  reason: string | null
  unmet: number
  generation: number
  attempt: number
  since: number
  embodied: boolean
}>

/** One end of a need: the index of the other job, and what is asked of the one that comes first. */
export type Edge = Readonly<{ of: number; need: Need }>

/** The part of a board that never changes: who needs whom. By index of the job. */
export type Graph = Readonly<{
  names: readonly string[]
  index: ReadonlyMap<string, number>
  needs: readonly (readonly Edge[])[]
  dependants: readonly (readonly Edge[])[]
  optional: readonly boolean[]
  hasDeadline: readonly boolean[]
  /** A question to a person: it takes no slot, and has an actor from its release on. */
  isGate: readonly boolean[]
  /** At most this many rows change in one step. */
  portion: number
}>

/** A graph and its rows, in the order of the definition. */
export type Board = Readonly<{ graph: Graph; rows: readonly BoardRow[] }>

/** What is left to do on a board, last first. `from` is where it goes on. */
export type Work =
  | Readonly<{ do: 'release'; from: number }>
  | Readonly<{ do: 'spread'; job: number; from: number }>
  | Readonly<{ do: 'withdraw'; as: 'skipped' | 'cancelled'; now: boolean; from: number }>
  | Readonly<{ do: 'tell'; event: 'plan.paused' | 'plan.continued'; from: number }>

/** What the plan tells a job that has an actor. */
export type BoardPost = Readonly<{
  job: string
  event: Readonly<
    | { type: 'released' | 'plan.paused' | 'plan.continued' }
    | { type: 'withdrawn'; reason: 'need-failed' | 'on-failure-stop' }
    | { type: 'cancel.requested'; now: boolean }
    | { type: 'reopened'; generation: number; place: 'held' | 'released' }
  >
}>

/** What would change. `settled` counts the jobs that reach their end by it, less those that are opened again. */
export type Change = Readonly<{
  rows: readonly BoardRow[]
  posts: readonly BoardPost[]
  settled: number
  work: readonly Work[]
}>

/** Whether an end satisfies a need. */
export const meets = (need: Need, end: JobEnd): boolean =>
  need === 'any' || end === 'succeeded' || (need === 'skipped-ok' && end === 'skipped')

/** The graph of a definition. Linear in jobs and needs. */
export const graphOf = (definition: Definition, portion = PORTION): Graph => {
  const entries = Object.entries(definition.jobs)
  const index = new Map(entries.map(([name], at) => [name, at]))
  const dependants: Edge[][] = entries.map(() => [])
  const needs = entries.map(([, job], at) =>
    Object.entries(job.needs).map(([name, need]) => {
      const of = index.get(name)
      if (of === undefined)
        throw new RangeError(`job ${entries[at]?.[0]} needs ${name}, which the definition does not have`)
      dependants[of]?.push({ of: at, need })
      return { of, need }
    }),
  )
  return {
    names: entries.map(([name]) => name),
    index,
    needs,
    dependants,
    optional: entries.map(([, job]) => job.optional === true),
    hasDeadline: entries.map(([, job]) => job.deadlineMs !== undefined),
    isGate: entries.map(([, job]) => job.kind === 'approve'),
    portion,
  }
}

/** The rows of a new plan: every job held. */
export const openRows = (plan: string, graph: Graph, at: number): readonly BoardRow[] =>
  graph.names.map((name, index) => ({
    plan,
    name,
    index,
    place: 'held',
    state: 'held',
    reason: 'needs',
    unmet: graph.needs[index]?.length ?? 0,
    generation: 1,
    attempt: 0,
    since: at,
    embodied: false,
  }))

/** A board being changed: the rows touched so far over the rows as they are. */
const draft = (board: Board, at: number) => {
  const touched = new Map<number, BoardRow>()
  const posts: BoardPost[] = []
  let settled = 0
  const row = (index: number): BoardRow => touched.get(index) ?? (board.rows[index] as BoardRow)
  const put = (index: number, change: Partial<BoardRow>): void => {
    touched.set(index, { ...row(index), ...change })
  }
  return {
    row,
    put,
    post: (index: number, event: BoardPost['event']): void => {
      posts.push({ job: row(index).name, event })
    },
    /** A job with a deadline is told, so that its clock runs from here, and so is a question; else a row is enough until it has a slot. */
    release: (index: number): void => {
      if (row(index).embodied || board.graph.hasDeadline[index] || board.graph.isGate[index]) {
        put(index, { place: 'released', unmet: 0, embodied: true })
        posts.push({ job: row(index).name, event: { type: 'released' } })
      } else put(index, { place: 'released', unmet: 0, state: 'queued', reason: 'slot', since: at })
    },
    /** Ends a job that has no actor; one that has an actor ends itself and says so. */
    end: (index: number, state: JobEnd, reason: Reason): void => {
      put(index, { place: 'settled', state, reason, since: at })
      settled += 1
    },
    settle: (index: number): void => {
      put(index, { place: 'settled' })
      settled += 1
    },
    count: (by: number): void => {
      settled += by
    },
    done: (work: readonly Work[]): Change => ({ rows: [...touched.values()], posts, settled, work }),
  }
}
type Draft = ReturnType<typeof draft>

/** A job one of whose needs cannot be met any more ends, and so tells its own dependants. */
const endDoomed = (board: Board, into: Draft, index: number, work: Work[]): void => {
  if (into.row(index).embodied) return into.post(index, { type: 'withdrawn', reason: 'need-failed' })
  into.end(index, 'skipped', 'need-failed')
  if ((board.graph.dependants[index]?.length ?? 0) > 0) work.push({ do: 'spread', job: index, from: 0 })
}

/** Tells the dependants of a settled job; returns how many rows it looked at and whether it came to the end. */
const spread = (
  board: Board,
  into: Draft,
  job: number,
  from: number,
  budget: number,
  work: Work[],
): number => {
  const dependants = board.graph.dependants[job] ?? []
  const end = into.row(job).state as JobEnd
  const upTo = Math.min(dependants.length, from + budget)
  if (upTo < dependants.length) work.push({ do: 'spread', job, from: upTo })
  for (let at = from; at < upTo; at += 1) {
    const { of: dependant, need } = dependants[at] as Edge
    const row = into.row(dependant)
    if (row.place !== 'held') continue
    if (meets(need, end)) {
      if (row.unmet === 1) into.release(dependant)
      else into.put(dependant, { unmet: row.unmet - 1 })
    } else endDoomed(board, into, dependant, work)
  }
  return upTo - from
}

/** Goes over the rows from `from`; returns how many it looked at. */
const sweepRows = (
  board: Board,
  from: number,
  budget: number,
  visit: (row: BoardRow, index: number) => void,
  into: Draft,
): number => {
  const upTo = Math.min(board.rows.length, from + budget)
  for (let index = from; index < upTo; index += 1) visit(into.row(index), index)
  return upTo - from
}

const withdraw = (
  into: Draft,
  row: BoardRow,
  index: number,
  { as, now }: Extract<Work, { do: 'withdraw' }>,
): void => {
  if (row.place === 'settled') return
  if (!row.embodied) into.end(index, as, as === 'cancelled' ? 'operator' : 'on-failure-stop')
  else if (as === 'cancelled') into.post(index, { type: 'cancel.requested', now })
  // An open row in an end is about to be opened again, or its end is on its way; the job knows which.
  else if (row.state === 'held' || row.state === 'queued' || isJobEnd(row.state))
    into.post(index, { type: 'withdrawn', reason: 'on-failure-stop' })
}

/** Takes up work, last first, until it is done or a portion is used up. */
const goOn = (board: Board, into: Draft, pending: readonly Work[], rows: number): Change => {
  const work = [...pending]
  let budget = rows
  while (budget > 0) {
    const item = work.pop()
    if (item === undefined) break
    if (item.do === 'spread') {
      budget -= Math.max(1, spread(board, into, item.job, item.from, budget, work))
      continue
    }
    const looked = sweepRows(
      board,
      item.from,
      budget,
      (row, index) => {
        if (item.do === 'withdraw') withdraw(into, row, index, item)
        else if (item.do === 'release') {
          if (row.place === 'held' && row.unmet === 0) into.release(index)
        } else if (board.graph.hasDeadline[index] && row.embodied && !isJobEnd(row.state)) {
          into.post(index, { type: item.event })
        }
      },
      into,
    )
    if (item.from + looked < board.rows.length) work.push({ ...item, from: item.from + looked })
    budget -= Math.max(1, looked)
  }
  return into.done(work)
}

/** A portion of the work that is left. */
export const walk = (board: Board, work: readonly Work[], at: number): Change =>
  goOn(board, draft(board, at), work, board.graph.portion)

/**
 * What the end of a job means. Null when the board does not know the job or this end of it is old: a duplicate.
 * With `spreads` false nothing is released and nobody is skipped: the plan is withdrawing everything anyway.
 */
export const settle = (
  board: Board,
  settled: Readonly<{ job: string; generation: number; state: JobEnd }>,
  pending: readonly Work[],
  spreads: boolean,
  at: number,
): Change | null => {
  const index = board.graph.index.get(settled.job)
  const row = index === undefined ? undefined : board.rows[index]
  if (
    index === undefined ||
    row === undefined ||
    row.place === 'settled' ||
    row.generation !== settled.generation
  )
    return null
  const into = draft(board, at)
  into.put(index, { state: settled.state })
  into.settle(index)
  const leaf = (board.graph.dependants[index]?.length ?? 0) === 0
  if (!spreads || leaf) return into.done(pending)
  return goOn(board, into, [...pending, { do: 'spread', job: index, from: 0 }], board.graph.portion - 1)
}

/** What a retry asks for: one job, or all that did not succeed; with everything after them, or only what never ran. */
export type Retry = Readonly<{ job: string | null; downstream: boolean }>

const NEVER_RAN = new Set(['need-failed', 'on-failure-stop'])

/** The jobs a retry opens again: its seeds, what was skipped because of them, and on demand everything after them. */
const reopened = (
  graph: Graph,
  rows: readonly BoardRow[],
  { job, downstream }: Retry,
): ReadonlySet<number> => {
  const seeds = rows.filter((row) =>
    job === null
      ? row.state === 'failed' ||
        row.state === 'cancelled' ||
        (row.state === 'skipped' && NEVER_RAN.has(row.reason ?? ''))
      : row.name === job,
  )
  const chosen = new Set<number>()
  const queue = seeds.filter((row) => row.place === 'settled').map((row) => row.index)
  for (let index = queue.pop(); index !== undefined; index = queue.pop()) {
    if (chosen.has(index)) continue
    chosen.add(index)
    for (const { of: dependant } of graph.dependants[index] ?? []) {
      const row = rows[dependant] as BoardRow
      if (row.place !== 'settled') continue
      if (downstream || (row.state === 'skipped' && row.reason === 'need-failed')) queue.push(dependant)
    }
  }
  // A job some other need of which failed for good would only be skipped again; so would what follows it.
  const doomed = (index: number): boolean =>
    (graph.needs[index] ?? []).some(({ of, need }) => {
      const row = rows[of] as BoardRow
      return !chosen.has(of) && row.place === 'settled' && !meets(need, row.state as JobEnd)
    })
  const suspects = [...chosen]
  for (let index = suspects.pop(); index !== undefined; index = suspects.pop()) {
    if (!chosen.has(index) || !doomed(index)) continue
    chosen.delete(index)
    suspects.push(...(graph.dependants[index] ?? []).map(({ of }) => of))
  }
  return chosen
}

/** The reason of the job that failed its plan first; null if none does. */
const firstFailure = (
  graph: Graph,
  rows: readonly BoardRow[],
  except: ReadonlySet<number>,
): Reason | null => {
  let first: BoardRow | undefined
  for (const row of rows) {
    const { index, place, state, since } = row
    if (place !== 'settled' || except.has(index) || graph.optional[index]) continue
    if (state !== 'failed' && state !== 'cancelled') continue
    if (first === undefined || since < first.since) first = row
  }
  return (first?.reason as Reason | undefined) ?? null
}

/**
 * What a retry would change, and which failure would be left. Null when there is nothing to open again. The work that is left is
 * brought to its end first: who has been told of which end must not be half true. So this alone has no bound but the plan's size.
 */
export const reopen = (
  board: Board,
  retry: Retry,
  pending: readonly Work[],
  at: number,
): Readonly<{ change: Change; failed: Reason | null }> | null => {
  const { graph } = board
  const into = draft(board, at)
  goOn(board, into, pending, Number.POSITIVE_INFINITY)
  const rows = board.rows.map((_, index) => into.row(index))
  const chosen = reopened(graph, rows, retry)
  if (chosen.size === 0) return null
  for (const index of chosen) {
    const row = rows[index] as BoardRow
    const unmet = (graph.needs[index] ?? []).filter(({ of, need }) => {
      const other = rows[of] as BoardRow
      return chosen.has(of) || other.place !== 'settled' || !meets(need, other.state as JobEnd)
    }).length
    const place = unmet === 0 ? 'released' : 'held'
    const generation = row.generation + 1
    into.put(index, { place, unmet, generation })
    if (row.embodied) into.post(index, { type: 'reopened', generation, place })
    else {
      into.put(index, { state: 'held', reason: 'needs', since: at })
      if (place === 'released') into.release(index)
    }
    into.count(-1)
    // A dependant that still waits has counted this need as met, and waits for it once more.
    for (const { of: dependant, need } of graph.dependants[index] ?? []) {
      const { place: where, unmet: left } = into.row(dependant)
      if (where === 'held' && !chosen.has(dependant) && meets(need, row.state as JobEnd))
        into.put(dependant, { unmet: left + 1 })
    }
  }
  return { change: into.done([]), failed: firstFailure(graph, rows, chosen) }
}

/** What a plan does with jobs that wait and that nobody walks to: releases them, or withdraws them. */
export type Walking = 'release' | 'skip' | 'cancel'

/**
 * Counts a board anew, for the sweep: whose needs are all met is released, whose need cannot be met is skipped, and what is open is
 * counted again; `open` is what the plan believes. While work is left the counts are not at rest, and only the walk goes on.
 * Changes nothing on a board that is right.
 */
export const recheck = (
  board: Board,
  pending: readonly Work[],
  open: number,
  walking: Walking,
  at: number,
): Change => {
  if (pending.length > 0) return walk(board, pending, at)
  const { graph, rows } = board
  const into = draft(board, at)
  const held = rows.filter(({ place }) => place === 'held')
  into.count(open - rows.filter(({ place }) => place !== 'settled').length)
  if (walking !== 'release') {
    const as = walking === 'skip' ? 'skipped' : 'cancelled'
    const work: Work[] = held.length > 0 ? [{ do: 'withdraw', as, now: false, from: 0 }] : []
    return goOn(board, into, work, graph.portion)
  }
  const work: Work[] = []
  for (const { index, unmet } of held.slice(0, graph.portion)) {
    const needs = graph.needs[index] ?? []
    const left = needs.filter(({ of, need }) => !isMet(rows[of] as BoardRow, need)).length
    if (left !== unmet) into.put(index, { unmet: left })
    const doomed = needs.find(({ of, need }) => isFailed(rows[of] as BoardRow, need))
    // Whoever failed it tells all that follow; those that were told are no longer held.
    if (doomed) endDoomed(board, into, index, work)
  }
  return goOn(board, into, [{ do: 'release', from: 0 }, ...work], graph.portion)
}

const isMet = ({ place, state }: BoardRow, need: Need): boolean =>
  place === 'settled' && meets(need, state as JobEnd)
const isFailed = ({ place, state }: BoardRow, need: Need): boolean =>
  place === 'settled' && !meets(need, state as JobEnd)
