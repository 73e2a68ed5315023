/**
 * What one drain has done so far and no commit has made durable: the open transaction. It is either written whole, or thrown away
 * together with every plan it touched.
 */
import type { InspectionEvent } from 'xstate'
import { type Address, noteAddress } from '../address.ts'
import type { NoteType } from '../event-types.ts'
import type {
  ActorRow,
  AsideRow,
  Batch,
  DeadLetterRow,
  LoadingRow,
  MailRow,
  OutputsRow,
  PlanRow,
  RevisionRow,
  StepRow,
} from '../journal/journal.ts'
import type { Json } from '../json.ts'
import type { Effect } from '../machines/effect.ts'
import { type Entry, machineOf, type Resident } from './directory.ts'
import type { Message, Receipt } from './mailbox.ts'
import type { StoredEvent } from './step.ts'

/** An effect and the actor that asked for it. */
export type Asked = Readonly<{ entry: Entry; effect: Effect; recovered: boolean }>

/** A drain's work before its commit. */
export type Transaction = {
  readonly steps: StepRow[]
  /** Actors that took a step, with their seq in the journal. */
  readonly actors: Set<Entry>
  readonly jobs: Map<Resident, Set<number>>
  readonly plans: { plan: PlanRow; revision: RevisionRow }[]
  readonly outputs: OutputsRow[]
  /** Durable messages that were put into a mailbox and are not in the mail table. */
  readonly posted: [Address, Message][]
  readonly taken: number[]
  readonly failed: number[]
  readonly dead: DeadLetterRow[]
  /** How many messages said what was known, or came too late; counted with the commit, since a failed one lets them come again. */
  duplicates: number
  /** Plans that were set aside, or are so no more. */
  readonly aside: AsideRow[]
  readonly loading: LoadingRow[]
  readonly effects: Asked[]
  readonly receipts: (() => void)[]
  /** Messages from outside that were taken: after a failed commit they are offered again. */
  readonly offered: [Address, Message][]
  readonly touched: Set<Resident>
  /** What an inspector is shown after the commit. */
  readonly inspected: InspectionEvent[]
  /** Actors that were asked and refused: if they have ended, nobody needs them in memory. */
  readonly refused: Set<Entry>
  /** Addresses whose machine threw, and what; they are replaced after the commit. */
  readonly faulted: Map<Address, unknown>
}

/** A transaction in which nothing has happened. */
export const transaction = (): Transaction => ({
  steps: [],
  actors: new Set(),
  jobs: new Map(),
  plans: [],
  outputs: [],
  posted: [],
  taken: [],
  failed: [],
  dead: [],
  duplicates: 0,
  aside: [],
  loading: [],
  effects: [],
  receipts: [],
  offered: [],
  touched: new Set(),
  inspected: [],
  refused: new Set(),
  faulted: new Map(),
})

/** Notes a row of the board that changed. */
export const touchJob = (open: Transaction, of: Resident, index: number): void => {
  open.touched.add(of)
  const known = open.jobs.get(of)
  if (known) known.add(index)
  else open.jobs.set(of, new Set([index]))
}

/** Notes that a message has been dealt with, and what its source is told once that is durable. */
export const consume = (open: Transaction, address: Address, message: Message, receipt: Receipt): void => {
  message.taken = true
  if (message.id !== null) open.taken.push(message.id)
  const { offer } = message
  if (!offer) return
  open.offered.push([address, message])
  open.receipts.push(() => offer.settle(receipt))
}

/** Something that the runtime puts on record about a plan or a job, and that is no step of theirs. */
export type Note = Readonly<{
  type: NoteType
  /** `HOME` for what was asked of the home itself. */
  plan: string
  job: string | null
  attempt?: number
  /** What it was in before. */
  from?: string
  /** What it was found in, or is in now. */
  state: string
  reason?: string
  /** More, for whoever wants to know. */
  detail?: Readonly<Record<string, Json>>
}>

/** The row of a note. Its place in the journal is its seq too: notes have no life of their own. */
export const noteRow = (note: Note, position: number, at: number): StepRow => ({
  position,
  address: noteAddress(note.plan, note.job),
  seq: position,
  type: note.type,
  event: JSON.stringify({ type: note.type, at, ...note.detail }),
  from: note.from ?? null,
  to: note.state,
  reason: note.reason ?? null,
  attempt: note.attempt ?? null,
  at,
  version: NOTE_VERSION,
})
const NOTE_VERSION = 'note/1'

/** What an actor remembers that the journal has columns for. */
const noted = ({ context }: Entry): Pick<StepRow, 'reason' | 'attempt'> => {
  const reason = context['reason']
  const attempt = context['attempt']
  return {
    reason: typeof reason === 'string' ? reason : null,
    attempt: typeof attempt === 'number' ? attempt : null,
  }
}

/** The row of the step by which an actor has become what it now is. */
export const stepRow = (
  entry: Entry,
  event: StoredEvent,
  from: string | null,
  position: number,
): StepRow => ({
  position,
  address: entry.address,
  seq: entry.seq,
  type: event.type,
  event: JSON.stringify(event),
  from,
  to: entry.value,
  ...noted(entry),
  at: event.at,
  version: machineOf(entry.kind).version,
})

const actorRow = (entry: Entry): ActorRow => ({
  address: entry.address,
  kind: entry.kind,
  plan: entry.resident.id,
  state: entry.value,
  reason: noted(entry).reason,
  seq: entry.seq,
  snapshot: JSON.stringify({ value: entry.value, context: entry.context }),
  version: machineOf(entry.kind).version,
})

/** The batch that makes it durable. `mail` is what is posted and not taken. */
export const batchOf = (open: Transaction, mail: readonly MailRow[]): Batch => ({
  plans: open.plans,
  steps: open.steps,
  actors: [...open.actors].map((entry) => ({ row: actorRow(entry), was: entry.savedSeq })),
  jobs: [...open.jobs].flatMap(([of, indexes]) => [...indexes].flatMap((index) => of.rows[index] ?? [])),
  outputs: open.outputs,
  mail: { added: mail, taken: open.taken, failed: open.failed },
  dead: open.dead,
  raised: [],
  aside: open.aside,
  loading: open.loading,
})

/** Whether there is anything to write. */
export const isEmpty = (open: Transaction, mail: readonly MailRow[]): boolean =>
  open.steps.length === 0 &&
  open.plans.length === 0 &&
  open.jobs.size === 0 &&
  open.taken.length === 0 &&
  open.failed.length === 0 &&
  open.dead.length === 0 &&
  open.aside.length === 0 &&
  open.loading.length === 0 &&
  mail.length === 0
