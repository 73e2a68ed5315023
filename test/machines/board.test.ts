import { describe, expect, test } from 'vitest'
import {
  type Board,
  type BoardRow,
  type Change,
  graphOf,
  meets,
  openRows,
  PORTION,
  reopen,
  settle,
  type Work,
  walk,
} from '../../src/machines/board.ts'
import { type JobSketch, planOf } from '../support/definitions.ts'

const AT = 5_000

/** A board that is changed in place, as its owner would. */
const boardOf = (jobs: Readonly<Record<string, JobSketch>>) => {
  const graph = graphOf(planOf(jobs))
  const rows: BoardRow[] = [...openRows('p', graph, AT)]
  const board: Board = { graph, rows }
  const changes: Change[] = []
  const apply = (change: Change | null): Change => {
    if (!change) throw new Error('the board refused')
    for (const row of change.rows) rows[row.index] = row
    changes.push(change)
    return change
  }
  const row = (name: string): BoardRow => rows[graph.index.get(name) ?? -1] as BoardRow
  return {
    board,
    rows,
    row,
    changes,
    apply,
    /** Walks until nothing is left. */
    finish: (work: readonly Work[]) => {
      for (let left = work; left.length > 0; ) left = apply(walk(board, left, AT)).work
    },
    end: (name: string, state: 'succeeded' | 'failed' | 'skipped', spreads = true) =>
      apply(settle(board, { job: name, generation: row(name).generation, state }, [], spreads, AT)),
    places: () => Object.fromEntries(rows.map(({ name, place }) => [name, place])),
  }
}
const RELEASE: readonly Work[] = [{ do: 'release', from: 0 }]
const many = (count: number, sketch: JobSketch): Record<string, JobSketch> =>
  Object.fromEntries(Array.from({ length: count }, (_, at) => [`j${at}`, sketch]))

test('an end meets a need, or does not', () => {
  const ends = ['succeeded', 'failed', 'cancelled', 'skipped'] as const
  expect(ends.filter((end) => meets('success', end))).toEqual(['succeeded'])
  expect(ends.filter((end) => meets('any', end))).toEqual([...ends])
  expect(ends.filter((end) => meets('skipped-ok', end))).toEqual(['succeeded', 'skipped'])
})

test('a graph that names a job which is not there is refused', () => {
  expect(() => graphOf(planOf({ a: { needs: ['b'] } }))).toThrow('needs b')
})

test('the roots are released first, the others one need after the other', () => {
  const { row, end, finish, places } = boardOf({ a: {}, b: {}, c: { needs: ['a', 'b'] } })
  finish(RELEASE)

  expect(places()).toEqual({ a: 'released', b: 'released', c: 'held' })
  end('a', 'succeeded')
  expect(row('c')).toMatchObject({ place: 'held', unmet: 1 })
  end('b', 'succeeded')

  expect(row('c')).toMatchObject({ place: 'released', state: 'queued', reason: 'slot', unmet: 0, since: AT })
})

test('the end of an unknown job, of another generation, or told twice is a duplicate', () => {
  const { board, end, finish } = boardOf({ a: {} })
  finish(RELEASE)

  expect(settle(board, { job: 'x', generation: 1, state: 'failed' }, [], true, AT)).toBeNull()
  expect(settle(board, { job: 'a', generation: 2, state: 'failed' }, [], true, AT)).toBeNull()
  end('a', 'succeeded')
  expect(settle(board, { job: 'a', generation: 1, state: 'failed' }, [], true, AT)).toBeNull()
})

test('a job that cannot be is skipped, and so on down, while its other needs are still open', () => {
  const { row, end, finish } = boardOf({ a: {}, b: {}, c: { needs: ['a', 'b'] }, d: { needs: ['c'] } })
  finish(RELEASE)

  const { settled } = end('a', 'failed')

  expect(settled).toBe(3)
  expect(row('c')).toMatchObject({ place: 'settled', state: 'skipped', reason: 'need-failed' })
  expect(row('d')).toMatchObject({ place: 'settled', state: 'skipped', reason: 'need-failed' })
})

test('a job with an actor is told and ends by itself; one without is a row and ends there', () => {
  const { rows, row, end, finish } = boardOf({ a: {}, b: { needs: ['a'] }, c: { needs: ['a'] } })
  finish(RELEASE)
  rows[1] = { ...row('b'), embodied: true }

  const { posts, settled } = end('a', 'failed')

  expect(posts).toEqual([{ job: 'b', event: { type: 'withdrawn', reason: 'need-failed' } }])
  expect(row('b').place).toBe('held')
  expect(row('c').state).toBe('skipped')
  expect(settled).toBe(2)
})

test('a job with a deadline is told of its release, so that its clock runs', () => {
  const { row, changes, finish } = boardOf({ a: { deadlineMs: 1 }, b: {} })
  finish(RELEASE)

  expect(changes.flatMap(({ posts }) => posts)).toEqual([{ job: 'a', event: { type: 'released' } }])
  expect(row('a')).toMatchObject({ place: 'released', state: 'held', embodied: true })
  expect(row('b')).toMatchObject({ place: 'released', state: 'queued', embodied: false })
})

test('a plan that withdraws everything anyway spreads nothing', () => {
  const { row, end, finish } = boardOf({ a: {}, b: { needs: ['a'] } })
  finish(RELEASE)
  end('a', 'succeeded', false)

  expect(row('b')).toMatchObject({ place: 'held', unmet: 1 })
})

test('withdrawing to cancel ends rows, asks actors, and leaves alone what has settled', () => {
  const { rows, row, changes, end, finish } = boardOf({ a: {}, b: {}, c: {}, d: { needs: ['b'] } })
  finish(RELEASE)
  end('a', 'succeeded')
  rows[1] = { ...row('b'), embodied: true, state: 'running' }
  rows[2] = { ...row('c'), embodied: true, state: 'failed' }
  finish([{ do: 'withdraw', as: 'cancelled', now: true, from: 0 }])

  expect(row('a').state).toBe('succeeded')
  expect(row('d')).toMatchObject({ state: 'cancelled', reason: 'operator', place: 'settled' })
  // c may be about to be opened again; it is asked too, and refuses when it has ended for good.
  const event = { type: 'cancel.requested', now: true }
  expect(changes.at(-1)?.posts).toEqual([
    { job: 'b', event },
    { job: 'c', event },
  ])
})

test('withdrawing to stop leaves what runs alone', () => {
  const { rows, row, changes, finish } = boardOf({ a: {}, b: {}, c: {} })
  finish(RELEASE)
  rows[0] = { ...row('a'), embodied: true, state: 'running' }
  rows[1] = { ...row('b'), embodied: true, state: 'queued' }
  finish([{ do: 'withdraw', as: 'skipped', now: false, from: 0 }])

  expect(changes.at(-1)?.posts).toEqual([
    { job: 'b', event: { type: 'withdrawn', reason: 'on-failure-stop' } },
  ])
  expect(row('c')).toMatchObject({ state: 'skipped', reason: 'on-failure-stop' })
})

describe('nothing changes more rows than a portion', () => {
  test('10 000 dependants of one job', () => {
    const { row, rows, changes, end, finish } = boardOf({ a: {}, ...many(10_000, { needs: ['a'] }) })
    finish(RELEASE)
    changes.length = 0

    finish(end('a', 'succeeded').work)

    expect(Math.max(...changes.map((change) => change.rows.length))).toBe(PORTION)
    expect(changes.length).toBe(Math.ceil(10_001 / PORTION))
    expect(rows.filter(({ place }) => place === 'released')).toHaveLength(10_000)
    expect(row('j9999').state).toBe('queued')
  })

  test('10 000 jobs that are skipped one because of the other', () => {
    const chain = Object.fromEntries(
      Array.from({ length: 10_000 }, (_, at) => [`j${at}`, at === 0 ? {} : { needs: [`j${at - 1}`] }]),
    )
    const { rows, changes, end, finish } = boardOf(chain)
    finish(RELEASE)
    changes.length = 0

    finish(end('j0', 'failed').work)

    expect(Math.max(...changes.map((change) => change.rows.length))).toBeLessThanOrEqual(PORTION)
    expect(rows.filter(({ state }) => state === 'skipped')).toHaveLength(9_999)
    expect(changes.reduce((sum, { settled }) => sum + settled, 0)).toBe(10_000)
  })

  test('10 000 roots, and their withdrawal', () => {
    const { rows, changes, finish } = boardOf(many(10_000, {}))
    finish(RELEASE)
    expect(rows.every(({ place }) => place === 'released')).toBe(true)
    finish([{ do: 'withdraw', as: 'cancelled', now: false, from: 0 }])

    expect(Math.max(...changes.map((change) => change.rows.length))).toBe(PORTION)
    expect(rows.every(({ state }) => state === 'cancelled')).toBe(true)
  })
})

describe('a retry', () => {
  const broken = () => {
    const made = boardOf({
      a: {},
      b: { needs: ['a'] },
      c: { needs: ['b'] },
      d: {},
      e: { needs: ['d', 'b'] },
      f: { needs: ['a'] },
    })
    made.finish(RELEASE)
    made.end('a', 'succeeded')
    made.end('f', 'succeeded')
    made.end('b', 'failed')
    return made
  }
  const opened = (made: ReturnType<typeof broken>, job: string | null, downstream = false) => {
    const found = reopen(made.board, { job, downstream }, [], AT)
    if (found) made.apply(found.change)
    return found?.change.rows
      .filter(({ generation }) => generation > 1)
      .map(({ name }) => name)
      .sort()
  }

  test('of what failed opens it and what was skipped because of it', () => {
    const made = broken()

    expect(opened(made, null)).toEqual(['b', 'c', 'e'])
    expect(made.row('b')).toMatchObject({ place: 'released', generation: 2, unmet: 0 })
    expect(made.row('c')).toMatchObject({ place: 'held', generation: 2, unmet: 1 })
    expect(made.row('e')).toMatchObject({ place: 'held', generation: 2, unmet: 2 })
  })

  test('of a job that succeeded opens it alone, or with everything after it', () => {
    expect(opened(broken(), 'f')).toEqual(['f'])
    const made = broken()
    expect(opened(made, 'a', true)).toEqual(['a', 'b', 'c', 'e', 'f'])
  })

  test('of a job that needs one which failed for good opens nothing', () => {
    const made = broken()
    expect(reopen(made.board, { job: 'c', downstream: false }, [], AT)).toBeNull()
    expect(reopen(made.board, { job: 'd', downstream: false }, [], AT)).toBeNull()
    expect(reopen(made.board, { job: 'x', downstream: false }, [], AT)).toBeNull()
  })

  test('says which failure is left', () => {
    const made = boardOf({ a: {}, b: {}, c: { optional: true }, d: {} })
    made.finish(RELEASE)
    for (const [at, name] of ['c', 'd', 'a', 'b'].entries()) {
      made.rows[made.row(name).index] = { ...made.row(name), reason: `because ${name}`, since: AT + at }
      made.end(name, 'failed')
    }

    // The one that came first, and not the one that is first in the plan.
    expect(reopen(made.board, { job: 'a', downstream: false }, [], AT)?.failed).toBe('because d')
    expect(reopen(made.board, { job: 'd', downstream: false }, [], AT)?.failed).toBe('because a')
    expect(reopen(made.board, { job: null, downstream: false }, [], AT)?.failed).toBeNull()
  })

  test('brings a walk that is under way to its end first', () => {
    const made = boardOf({ a: {}, ...many(1_000, { needs: ['a'] }) })
    made.finish(RELEASE)
    const { work } = made.end('a', 'failed')
    expect(work).not.toEqual([])

    const found = reopen(made.board, { job: 'a', downstream: false }, work, AT)
    made.apply(found?.change ?? null)

    expect(found?.change.work).toEqual([])
    expect(made.rows.filter(({ generation }) => generation === 2)).toHaveLength(1_001)
    expect(made.rows.filter(({ place, unmet }) => place === 'held' && unmet === 1)).toHaveLength(1_000)
  })
})
