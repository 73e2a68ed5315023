/**
 * What a job gets from the jobs before it: how each of its ancestors ended, and what it gave.
 */
import type { JournalReader } from '../journal/journal.ts'
import type { JsonObject } from '../json.ts'
import type { Graph } from '../machines/board.ts'
import type { AttemptRef } from './attempts.ts'
import type { Needs } from './calls.ts'

/** All ancestors of a job, nearest first. */
export const ancestors = (graph: Graph, job: string): readonly number[] => {
  const start = graph.index.get(job)
  if (start === undefined) return []
  const seen = new Set<number>()
  const queue = [start]
  for (let at = 0; at < queue.length; at += 1) {
    for (const { of } of graph.needs[queue[at] as number] ?? []) {
      if (seen.has(of)) continue
      seen.add(of)
      queue.push(of)
    }
  }
  return [...seen]
}

/** Reads what an attempt gets. Only ended ancestors are in it. */
export const readNeeds = async (
  reader: Pick<JournalReader, 'outputs'>,
  { resident, job }: AttemptRef,
): Promise<Needs> => {
  const rows = ancestors(resident.graph, job).flatMap((index) => {
    const row = resident.rows[index]
    return row && row.place === 'settled' ? [row] : []
  })
  const outputs = await reader.outputs(
    resident.id,
    rows.map(({ name }) => name),
  )
  return Object.fromEntries(
    rows.map(({ name, state }) => {
      const given = outputs.get(name)
      return [name, { result: state, outputs: given === undefined ? {} : (JSON.parse(given) as JsonObject) }]
    }),
  )
}
