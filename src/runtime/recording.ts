/**
 * What is asked of the home itself goes on record beside the steps: who, what, why. The order is what counts, and holds also where it
 * cannot be written down yet.
 */
import type { Host } from '../actors/contract.ts'
import { HOME } from '../address.ts'
import type { Asker } from '../command.ts'
import { isTenutoError } from '../errors.ts'
import type { Journal } from '../journal/journal.ts'
import type { Json } from '../json.ts'
import type { ModeName, Modes, Order } from '../mode.ts'

/** What the record stands on. */
export type RecordingPorts = Readonly<{
  journal: Pick<Journal, 'lastNote'>
  host: Pick<Host, 'record' | 'between'>
  mode: Pick<Modes, 'now'>
}>

/** The record of a home. All of it resolves with the commit, or at once while the store is away, which takes it when it is back. */
export type Recording = Readonly<{
  /** Puts an order on record that has changed the mode. */
  ordered: (order: Order) => Promise<void>
  /** Puts the mode on record where it is another than the last that is: nobody was there to do so when it changed. */
  found: () => Promise<void>
  /** Puts on record who asked for something, and what came of it; nothing where nobody is named. */
  asked: (
    type: 'sweep.requested' | 'gc.requested',
    asker: Asker,
    detail: Readonly<Record<string, Json>>,
  ) => Promise<void>
}>

/** Begins to keep the record of a home, from what is on it already. */
export const recording = async ({ journal, host, mode }: RecordingPorts): Promise<Recording> => {
  // A damaged row of the record costs that row alone.
  const last = await journal.lastNote(HOME, null, 'mode.changed').catch((error: unknown) => {
    if (!isTenutoError(error, 'STORE_CORRUPT')) throw error
  })
  let known = last?.to ?? 'running'
  const put = async (note: Parameters<Host['record']>[0]): Promise<void> => {
    // A host that takes nothing more has said why.
    await host.record(note).catch(() => {})
    // The first may still be of the drain in which it was noted; the second comes after the commit that has it.
    for (const _ of [1, 2]) await host.between(async () => {}).catch(() => {})
  }
  const changed = (now: ModeName, detail: Readonly<Record<string, Json>>): Promise<void> => {
    const from = known
    known = now
    return put({ type: 'mode.changed', plan: HOME, job: null, from, state: now, detail })
  }
  return {
    ordered: ({ untilStop, ...order }) =>
      changed(mode.now().mode, { ...saying(order), ...(untilStop ? { until_stop: true } : {}) }),
    found: async () => {
      const { mode: now, by, reason } = mode.now()
      if (now !== known)
        await changed(now, {
          ...saying({ ...(by === null ? {} : { by }), ...(reason === null ? {} : { why: reason }) }),
          found: true,
        })
    },
    asked: async (type, asker, detail) => {
      if (asker.by !== undefined)
        await put({
          type,
          plan: HOME,
          job: null,
          state: mode.now().mode,
          detail: { ...saying(asker), ...detail },
        })
    },
  }
}

const saying = ({ by, why }: Asker): Readonly<Record<string, Json>> => ({
  ...(by === undefined ? {} : { by }),
  ...(why === undefined ? {} : { why }),
})
