/**
 * Undoing: nothing of a drain whose commit failed has happened. What it touched is forgotten and read again, however long the store is
 * away; unless the commit happened after all, and only nobody saw its end.
 */
import { type Address, jobAddress, parseAddress } from '../address.ts'
import type { Clock } from '../clock.ts'
import { isTenutoError } from '../errors.ts'
import type { Journal } from '../journal/journal.ts'
import type { AttemptBegun } from './attempts.ts'
import type { Loading } from './loading.ts'
import type { Message } from './mailbox.ts'
import { forgetPlan, type Memory } from './memory.ts'
import type { Note, Transaction } from './transaction.ts'

/** What undoing needs from outside. */
export type UndoingPorts = Readonly<{
  journal: Journal
  clock: Clock
  /** Whether nobody waits any more. */
  isStopped: () => boolean
  loading: Loading
  note: (note: Note) => void
  /** Told of what is to be noted again, if it is still so. */
  found: (address: Address, news: AttemptBegun) => void
}>

/** A drain whose commit failed: what it did, what it would have put into the mail, and how far the head had come. */
export type Attempted = Readonly<{
  done: Transaction
  stored: readonly Message[]
  reached: Readonly<{ position: number; mail: number; dead: number }>
}>

/** What has become of it: whether it happened after all, and the messages that waited for the plans it touched. */
export type TakenBack = Readonly<{ happened: boolean; waiting: readonly (readonly [Address, Message])[] }>

/** Between two tries to read what must be read. */
const READ_AGAIN_MS = 250

/** Takes back what a drain did in memory. What cannot even be read fails for whoever offered it, and rejects. */
export const undoing = (
  memory: Memory,
  { journal, clock, isStopped, loading, note, found }: UndoingPorts,
): ((attempted: Attempted) => Promise<TakenBack>) => {
  const { boxes, residents, aside } = memory

  /** Reads what must be read, however long the store is away. */
  const insist = async <T>(read: () => Promise<T>): Promise<T> => {
    for (;;) {
      try {
        return await read()
      } catch (error) {
        if (isStopped() || !isTenutoError(error, 'STORE_FULL')) throw error
        await new Promise<void>((resolve) => void clock.setTimeout(resolve, READ_AGAIN_MS))
      }
    }
  }
  /** Whether the head, which was read again, is what the commit would have made of it. */
  const hasHappened = (
    done: Transaction,
    stored: readonly Message[],
    reached: Attempted['reached'],
  ): boolean =>
    done.steps.length + stored.length + done.dead.length > 0 &&
    (['position', 'mail', 'dead'] as const).every((what) => memory.head[what] === reached[what])
  /** What was noted of recovery is found out only once; the notes go with the next commit. */
  const noteAgain = (done: Transaction): void => {
    for (const row of done.aside) {
      if (row.why === null) continue
      memory.open.aside.push(row)
      aside.set(row.plan, row.why)
    }
    for (const { address, type, from, to, reason, attempt, event } of done.steps) {
      const place = parseAddress(address)
      if (place.kind !== 'note') continue
      const { type: _, at: __, ...detail } = JSON.parse(event) as { type: string; at: number }
      if (place.job !== null && attempt !== null && type === 'recovered' && to !== 'running')
        memory.recovering.set(jobAddress(place.plan, place.job), attempt)
      else if (place.job !== null && attempt !== null && type === 'begun') {
        // It may have ended with the commit, or be known from it after all.
        const { pid } = JSON.parse(event) as { pid: number }
        residents.get(place.plan)?.begun.delete(place.job)
        found(jobAddress(place.plan, place.job), { type: 'attempt.begun', attempt, pid })
      } else
        note({
          type: type as Note['type'],
          plan: place.plan,
          job: place.job,
          state: to,
          ...(from === null ? {} : { from }),
          ...(reason === null ? {} : { reason }),
          ...(attempt === null ? {} : { attempt }),
          detail,
        })
    }
  }

  return async ({ done, stored, reached }) => {
    const waiting: [Address, Message][] = []
    for (const of of done.touched) {
      for (const [address, messages] of loading.waitingFor(of.id)) {
        for (const message of messages) waiting.push([address, message])
        boxes.letGo(address)
      }
      forgetPlan(memory, of.id)
    }
    try {
      memory.head = { ...(await insist(() => journal.head())) }
      const happened = hasHappened(done, stored, reached)
      if (!happened) for (const message of stored) message.id = null
      for (const { id } of done.touched) await insist(() => loading.bringIn(id, false))
      if (!happened) noteAgain(done)
      return { happened, waiting }
    } catch (worse) {
      for (const [, { offer }] of [...done.offered, ...waiting]) offer?.fail(worse)
      throw worse
    }
  }
}
