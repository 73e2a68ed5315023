import { expect, test } from 'vitest'
import { type Message, mailboxes, messageOf } from '../../src/actors/mailbox.ts'

const A = 'job:p/a'
const B = 'job:p/b'
const message = (type: string): Message => messageOf({ type }, {})

test('messages of one address are taken in the order in which they were put', () => {
  const boxes = mailboxes()
  for (const type of ['1', '2', '3']) boxes.put(A, message(type))

  expect(
    [boxes.take(A), boxes.take(A), boxes.take(A), boxes.take(A)].map((each) => each?.event.type),
  ).toEqual(['1', '2', '3', undefined])
  expect(boxes.depth(A)).toBe(0)
})

test('addresses take turns, each one message at a time', () => {
  const boxes = mailboxes()
  boxes.put(A, message('a1'))
  boxes.put(A, message('a2'))
  boxes.put(B, message('b1'))
  const order: string[] = []

  for (let address = boxes.next(); address; address = boxes.next())
    order.push(boxes.take(address)?.event.type ?? '')

  expect(order).toEqual(['a1', 'b1', 'a2'])
  expect(boxes.hasNext()).toBe(false)
})

test('what is put first is taken first, also where others were taken before', () => {
  const boxes = mailboxes()
  boxes.put(A, message('2'))
  boxes.putFirst(A, message('1'))
  expect(boxes.take(A)?.event.type).toBe('1')
  boxes.putFirst(A, message('1 again'))

  expect([boxes.take(A), boxes.take(A)].map((each) => each?.event.type)).toEqual(['1 again', '2'])
})

test('an address that is held is nobody’s turn until it is let go, and loses nothing', () => {
  const boxes = mailboxes()
  boxes.put(A, message('1'))
  boxes.hold(A)
  boxes.hold(A)
  boxes.put(A, message('2'))
  expect([boxes.next(), boxes.hasNext(), boxes.depth(A)]).toEqual([undefined, false, 2])

  boxes.letGo(A)
  boxes.letGo(A)

  expect(boxes.hasNext()).toBe(true)
  expect(boxes.next()).toBe(A)
  expect(boxes.take(A)?.event.type).toBe('1')
  expect(boxes.next()).toBe(A)
})

test('clearing gives back what is left, in order, and the address is idle', () => {
  const boxes = mailboxes()
  for (const type of ['1', '2', '3']) boxes.put(A, message(type))
  boxes.take(A)

  expect(boxes.clear(A).map(({ event }: Message) => event.type)).toEqual(['2', '3'])
  expect([...boxes.addresses()]).toEqual([])
  expect(boxes.next()).toBeUndefined()
  expect(boxes.clear(A)).toEqual([])
})

test('100 000 messages to one address, and one to each of 100 000, keep their order', () => {
  const boxes = mailboxes()
  const count = 100_000
  for (let at = 0; at < count; at += 1) boxes.put(A, message(`${at}`))
  for (let at = 0; at < count; at += 1) boxes.put(`job:p/${at}`, message(`${at}`))
  let taken = 0
  let mine = 0
  let others = 0

  for (let address = boxes.next(); address; address = boxes.next()) {
    const type = boxes.take(address)?.event.type
    if (address === A) {
      if (type !== `${mine}`) throw new Error(`${type} came in place of ${mine}`)
      mine += 1
    } else {
      if (type !== `${others}`) throw new Error(`${type} came in place of ${others}`)
      others += 1
    }
    taken += 1
  }

  expect(taken).toBe(2 * count)
})

test('the first message that fits is preferred to all others, which keep their order', () => {
  const boxes = mailboxes()
  for (const type of ['a', 'b', 'c', 'b']) boxes.put(A, message(type))

  const found = boxes.prefer(A, ({ event }: Message) => event.type === 'b')
  const missing = boxes.prefer(A, ({ event }: Message) => event.type === 'd')
  const taken = [1, 2, 3, 4].map(() => boxes.take(A)?.event.type)

  expect([found, missing]).toEqual([true, false])
  expect(taken).toEqual(['b', 'a', 'c', 'b'])
})
