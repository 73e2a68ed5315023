/**
 * Mailboxes: the undelivered messages of each address, in order, and who has any.
 *
 * A message is in one of three conditions. *Posted*: made by a step of this drain; it is taken in the drain or goes to the mail
 * table with its commit. *Stored*: in the mail table. *Offered*: from outside; its source keeps it until the commit that took it.
 */
import type { Address } from '../address.ts'
import type { MailRow } from '../journal/journal.ts'

/** An event on its way: what it says, and what becomes of it. */
export type Message = {
  readonly event: Readonly<{ type: string; at?: number }> & Readonly<Record<string, unknown>>
  /** The actor that posted it, for inspectors; null for one from outside. */
  readonly from: Address | null
  /** The position of the step that posted it. */
  readonly postedBy: number | null
  /** Its id in the mail table; null while it is not there. */
  id: number | null
  /** How often its actor failed with it, or the process ended while it was being taken. */
  deliveries: number
  /** Whether this delivery is in `deliveries` already. */
  counted: boolean
  /** Set for one from outside: told once what became of it, after the commit. */
  readonly offer: Offer | null
  /** Whether it must survive; a hint (a granted slot, `recovered`) is made again from rows instead. */
  readonly durable: boolean
  /** Whether an actor has had it, in this drain or before. */
  taken: boolean
}

/** A message with an event, posted by nobody and delivered never, but for what is given. */
export const messageOf = (event: Message['event'], more: Partial<Message>): Message => ({
  event,
  from: null,
  postedBy: null,
  id: null,
  deliveries: 0,
  counted: false,
  offer: null,
  durable: true,
  taken: false,
  ...more,
})

/** A message as the mail table has kept it. */
export const storedMessage = ({ event, id, postedBy, deliveries }: MailRow): Message =>
  messageOf(JSON.parse(event) as Message['event'], { id, postedBy, deliveries })

/** What is made again from rows, and need not survive. */
export const hint = (type: string): Message => messageOf({ type }, { durable: false })

/** What became of a message from outside. */
export type Receipt = Readonly<{
  /** Whether a step took it. */
  taken: boolean
  /** The position of that step, or of the last step before. */
  position: number
  /** The state of the actor then; null where there is none. */
  state: string | null
}>

/** Who offered a message, and waits to hear of it. */
export type Offer = Readonly<{
  settle: (receipt: Receipt) => void
  fail: (error: unknown) => void
  /** Whether it waits for a store that is away; one that does not is refused, and can ask again. */
  waits: boolean
  /** Nobody listens: what cannot be delivered is kept as a dead letter instead of being refused. */
  unheard?: true
}>

/** The mailboxes of a host. */
export type Mailboxes = Readonly<{
  /** Puts a message last. */
  put: (address: Address, message: Message) => void
  /** Puts a message first: it was taken and could not be, or must come before all others. */
  putFirst: (address: Address, message: Message) => void
  /** The next address with something to take, in the order in which they became ready; undefined when all are idle. */
  next: () => Address | undefined
  /** Whether there is such an address. */
  hasNext: () => boolean
  /** The address that comes next; it stays. */
  peek: () => Address | undefined
  /** Takes the first message of an address. The address is ready again while it has more. */
  take: (address: Address) => Message | undefined
  /** Moves the first message that fits before all others; false when there is none. */
  prefer: (address: Address, fits: (message: Message) => boolean) => boolean
  /** An address whose messages must wait, until it is let go. Idempotent. */
  hold: (address: Address) => void
  letGo: (address: Address) => void
  /** The addresses with something waiting. */
  addresses: () => Iterable<Address>
  /** Removes and returns all messages of an address. */
  clear: (address: Address) => readonly Message[]
  depth: (address: Address) => number
  /** The first message of an address; it stays. */
  first: (address: Address) => Message | undefined
  /** Whether the message of this id of the mail table is in the mailbox. */
  has: (address: Address, id: number) => boolean
  /** Whether a message of this type is in the mailbox. */
  hasType: (address: Address, type: string) => boolean
}>

/** A queue whose first element is found without moving the others. */
type Box = { messages: Message[]; head: number }

const COMPACT_AT = 1024

/** Mailboxes with nothing in them. */
export const mailboxes = (): Mailboxes => {
  const boxes = new Map<Address, Box>()
  const held = new Set<Address>()
  const listed = new Set<Address>()
  let ready: Address[] = []
  let head = 0

  const wake = (address: Address): void => {
    if (listed.has(address) || held.has(address)) return
    listed.add(address)
    ready.push(address)
  }
  const box = (address: Address): Box => {
    let known = boxes.get(address)
    if (!known) {
      known = { messages: [], head: 0 }
      boxes.set(address, known)
    }
    return known
  }

  const first = (): Address | undefined => {
    for (let at = head; at < ready.length; at += 1) {
      const address = ready[at] as Address
      if (!held.has(address) && boxes.has(address)) return address
    }
    return undefined
  }

  return {
    put: (address, message) => {
      box(address).messages.push(message)
      wake(address)
    },
    putFirst: (address, message) => {
      const of = box(address)
      if (of.head > 0) {
        of.head -= 1
        of.messages[of.head] = message
      } else of.messages.unshift(message)
      wake(address)
    },
    next: () => {
      while (head < ready.length) {
        const address = ready[head] as Address
        head += 1
        if (head > COMPACT_AT && head * 2 > ready.length) {
          ready = ready.slice(head)
          head = 0
        }
        listed.delete(address)
        if (!held.has(address) && boxes.has(address)) return address
      }
      ready = []
      head = 0
      return undefined
    },
    hasNext: () => first() !== undefined,
    peek: first,
    take: (address) => {
      const of = boxes.get(address)
      if (!of) return undefined
      const message = of.messages[of.head]
      of.head += 1
      if (of.head >= of.messages.length) boxes.delete(address)
      else {
        if (of.head > COMPACT_AT && of.head * 2 > of.messages.length) {
          of.messages = of.messages.slice(of.head)
          of.head = 0
        }
        wake(address)
      }
      return message
    },
    prefer: (address, fits) => {
      const of = boxes.get(address)
      const at = of?.messages.findIndex((message, index) => index >= of.head && fits(message)) ?? -1
      if (!of || at < 0) return false
      of.messages.splice(of.head, 0, ...of.messages.splice(at, 1))
      return true
    },
    hold: (address) => {
      held.add(address)
    },
    letGo: (address) => {
      if (held.delete(address) && boxes.has(address)) wake(address)
    },
    addresses: () => boxes.keys(),
    clear: (address) => {
      const of = boxes.get(address)
      boxes.delete(address)
      return of ? of.messages.slice(of.head) : []
    },
    has: (address, id) => {
      const of = boxes.get(address)
      return of?.messages.some((message, at) => at >= of.head && message.id === id) === true
    },
    first: (address) => {
      const of = boxes.get(address)
      return of?.messages[of.head]
    },
    hasType: (address, type) => {
      const of = boxes.get(address)
      return of?.messages.some(({ event }, at) => at >= of.head && event.type === type) === true
    },
    depth: (address) => {
      const of = boxes.get(address)
      return of ? of.messages.length - of.head : 0
    },
  }
}
