/**
 * Dead letters and what becomes of them: a message that could not be delivered is kept with the reason until somebody lets it be
 * delivered again, or decides that it need not be. Either is one commit, in which the letter goes and what was decided is noted.
 */
import { type Address, parseAddress, planAddress } from '../address.ts'
import type { CommandOptions, LetterOrder } from '../command.ts'
import { TenutoError } from '../errors.ts'
import {
  type DeadLetterRow,
  EMPTY_BATCH,
  type Journal,
  type MailRow,
  type StepRow,
} from '../journal/journal.ts'
import { isStoreAway } from '../journal/restarting.ts'
import { isPlanEnd } from '../states.ts'
import { storedMessage } from './mailbox.ts'
import type { Memory } from './memory.ts'
import { isEmpty, noteRow } from './transaction.ts'

/** What dead letters need from outside. */
export type DeadLetterPorts = Readonly<{
  journal: Journal
  now: () => number
  log: Readonly<Record<'info', (fields: object, message: string) => void>>
  /** Shown what was noted, once it is durable. */
  show: (steps: readonly StepRow[]) => void
}>

/**
 * Settles one dead letter, between two drains; undefined when the open transaction must be committed first. Answers the position of
 * its note, or the last one where there is no plan to note it at.
 * @throws {TenutoError} `LETTER_NOT_FOUND`; `WRONG_STATE` when it says something that its plan must hear, or nobody is there to hear it.
 */
export type DeadLetters = (
  id: number,
  order: LetterOrder,
  options: CommandOptions,
) => Promise<number | undefined>

/** The reason of a dead letter is cut at this many characters. */
const REASON_CHARACTERS_MAX = 8_000

/** A message that cannot be delivered, as it is kept. */
export const deadLetter = (
  id: number,
  address: Address,
  event: object,
  error: string,
  at: number,
): DeadLetterRow => ({
  id,
  address,
  event: JSON.stringify(event),
  error: error.slice(0, REASON_CHARACTERS_MAX),
  at,
})

const FACTS_PAGE = 1000

/** A plan that never hears of the end of one of its jobs waits for it for ever. */
const isFact = (type: string): boolean => type === 'job.settled'
/** What its plan takes when it goes on: facts, and that it has been made. */
const isOwed = (type: string): boolean => isFact(type) || type === 'created'

/**
 * The dead letters that say something their plan must hear, oldest first: what is waited for while the plan is quarantined.
 * Reads every dead letter that is kept.
 */
export const factsFor = async (journal: Pick<Journal, 'deadLetters'>, plan: string): Promise<number[]> => {
  const own = planAddress(plan)
  const facts: number[] = []
  for (let before = Number.POSITIVE_INFINITY; ; ) {
    const page = await journal.deadLetters(FACTS_PAGE, before)
    for (const { id, address, event } of page)
      if (address === own && isOwed((JSON.parse(event) as { type: string }).type)) facts.unshift(id)
    const last = page.at(-1)
    if (last === undefined || page.length < FACTS_PAGE) return facts
    before = last.id
  }
}

const wrong = (id: number, state: string, what: string, remedy: string): TenutoError =>
  new TenutoError('WRONG_STATE', { ref: `dead letter ${id}`, state, what, remedy })

/** Settles dead letters on a memory. */
export const deadLetters = (memory: Memory, { journal, now, log, show }: DeadLetterPorts): DeadLetters => {
  const find = async (id: number): Promise<DeadLetterRow> => {
    const [letter] = await journal.deadLetters(1, id + 1)
    if (letter?.id !== id) throw new TenutoError('LETTER_NOT_FOUND', { id })
    return letter
  }
  const check = (id: number, order: LetterOrder, type: string, state: string | undefined): void => {
    if (order === 'redeliver' && state === undefined)
      throw wrong(id, 'undeliverable', 'its plan is not there', `\`tenuto dead discard ${id}\` lets it go`)
    if (order === 'redeliver' && state !== undefined && isPlanEnd(state) && isOwed(type))
      throw wrong(id, 'undeliverable', 'its plan has ended', `\`tenuto dead discard ${id}\` lets it go`)
    if (order === 'discard' && isFact(type) && state !== undefined && !isPlanEnd(state))
      throw wrong(
        id,
        'a fact',
        'its plan must hear that the job has ended',
        `\`tenuto dead redeliver ${id}\` tells it`,
      )
  }
  /** A commit whose end was not seen may have happened: the letter is gone then. */
  const hasHappened = async (id: number): Promise<boolean> => {
    memory.head = { ...(await journal.head()) }
    return (await journal.deadLetters(1, id + 1))[0]?.id !== id
  }

  return async (id, order, options) => {
    if (!isEmpty(memory.open, [])) return undefined
    const letter = await find(id)
    const { address, event } = letter
    const place = parseAddress(address)
    const { plan } = place
    const { type } = JSON.parse(event) as { type: string }
    const state = (await journal.plan(plan))?.state
    check(id, order, type, state)
    const at = now()
    const note =
      state === undefined
        ? []
        : [
            noteRow(
              {
                type: order === 'redeliver' ? 'letter.redelivered' : 'letter.discarded',
                plan,
                job: place.kind === 'job' ? place.job : null,
                state,
                reason: 'operator',
                detail: { letter: id, event: type, ...options },
              },
              memory.head.position + 1,
              at,
            ),
          ]
    const mail: MailRow[] =
      order === 'redeliver'
        ? [{ id: memory.head.mail + 1, address, event, postedBy: null, deliveries: 0, at }]
        : []
    try {
      await journal.commit({
        ...EMPTY_BATCH,
        steps: note,
        mail: { ...EMPTY_BATCH.mail, added: mail },
        raised: [id],
      })
      memory.head = {
        ...memory.head,
        position: memory.head.position + note.length,
        mail: memory.head.mail + mail.length,
      }
    } catch (error) {
      if (!isStoreAway(error) || !(await hasHappened(id))) throw error
    }
    memory.counts.commits += 1
    log.info({ address, type, letter: id, order, ...options }, 'a dead letter was settled')
    if (note.length > 0) show(note)
    for (const row of mail) memory.boxes.put(row.address, storedMessage(row))
    return memory.head.position
  }
}
