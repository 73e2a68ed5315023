/**
 * The life of the guest: it asks for steps, counts them, asks again, and answers what it is asked meanwhile. It never looks at a clock
 * and waits for nothing but the house. When the house is gone it leaves.
 */
import type { Socket } from 'node:net'
import {
  BATCH_STEPS_MAX,
  type Batch,
  FIGURES_MAX,
  type FiguresQuery,
  type FromGuest,
  GUEST_LINE_CHARACTERS_MAX,
  GUEST_PROTOCOL,
  type Numbers,
  type Throughput,
  type ToGuest,
} from '../guest.ts'
import { onLines } from '../socket.ts'
import { type BucketSize, type Counted, count, type Known, markOf } from './count.ts'
import { isBroken, newStore, openStore, type Store } from './store.ts'
import { emptyTally, figuresOf } from './tally.ts'

/** What a guest is made of. */
export type GuestParts = Readonly<{
  /** The file of its numbers. */
  file: string
  /** The id of the home whose steps it counts. */
  home: string
  channel: Socket
  /** Called when the house has hung up. */
  leave: () => void
  /** How a batch is counted. */
  count?: (known: Known, batch: Batch) => Counted
}>

/** Counts for as long as the house is there. What goes wrong is thrown, and ends the process. */
export const runGuest = ({ file, home, channel, leave, ...parts }: GuestParts): void => {
  const counting = parts.count ?? count
  let store = openStore(file, home)
  /** The last step that was counted is looked at again: the house may have gone back to a backup. */
  let checking = store.standing().last

  const say = (message: FromGuest): void => {
    channel.write(`${JSON.stringify(message)}\n`)
  }
  const ask = (): void => {
    if (checking) say({ type: 'steps', after: checking.position - 1, limit: 1 })
    else say({ type: 'steps', after: store.standing().cursor, limit: BATCH_STEPS_MAX })
  }
  const anew = (): void => {
    store.close()
    store = newStore(file, home)
    checking = null
  }

  const tell = (): void => {
    const { cursor, missed } = store.standing()
    say({ type: 'counted', cursor, missed, total: totalOf(store) })
  }
  const check = ({ head, steps: [first] }: Batch, { position, mark }: NonNullable<typeof checking>): void => {
    const isOther = first?.position === position && markOf(first) !== mark
    if (isOther || head < store.standing().cursor) anew()
    checking = null
  }
  const take = (batch: Batch): void => {
    const { cursor } = store.standing()
    if (checking) {
      check(batch, checking)
      tell()
    } else if (batch.head < cursor) anew()
    else if (batch.after === cursor) {
      store.apply(batch.after, counting(store.known, batch))
      tell()
    }
    ask()
  }
  const heard = (message: ToGuest): void => {
    // What is written to a file that nobody finds is lost; the next life counts from what is there.
    if (!store.isInPlace()) throw new Error(`${file} was removed or replaced`)
    if (message.type === 'ping') say({ type: 'pong', id: message.id })
    else if (message.type === 'numbers')
      say({ type: 'numbers', id: message.id, numbers: numbersOf(store, message.query) })
    else take(message)
  }

  channel.on('close', leave)
  onLines(
    channel,
    (line) => {
      const message = JSON.parse(line) as ToGuest
      try {
        heard(message)
      } catch (error) {
        if (!isBroken(error)) throw error
        // What cannot be read is no loss: all of it is in the journal.
        anew()
        ask()
      }
    },
    GUEST_LINE_CHARACTERS_MAX,
  )
  say({ type: 'hello', v: GUEST_PROTOCOL, cursor: store.standing().cursor })
  // What it says before it has checked could be of another history.
  if (!checking) tell()
  ask()
}

const totalOf = (store: Store) => figuresOf(store.known.tally('', '') ?? emptyTally(), null, null)

/** The numbers that a question asks for. */
const numbersOf = (store: Store, { plan, limit = FIGURES_MAX }: FiguresQuery): Numbers => {
  const found = store.tallies(plan ?? null, Math.min(limit, FIGURES_MAX))
  const figures = found.map(({ plan: name, job, tally }) => figuresOf(tally, name, job === '' ? null : job))
  return {
    total: totalOf(store),
    plans: figures.filter(({ job }) => job === null),
    jobs: figures.filter(({ job }) => job !== null),
    per_minute: throughput(store, 'minute'),
    per_hour: throughput(store, 'hour'),
  }
}

const throughput = (store: Store, size: BucketSize): readonly Throughput[] =>
  store.buckets(size).map(({ start, bucket }) => ({ from: new Date(start).toISOString(), ended: bucket }))
