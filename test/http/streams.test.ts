/**
 * What many streams share, and which of them is sent away.
 *
 * Mutations that were planted once, and each found: an event written anew for each stream; a shape made anew for each follower; a client
 * that has taken something since, taken for one that reads nothing.
 */
import { EventEmitter } from 'node:events'
import type { Readable } from 'node:stream'
import { expect, test } from 'vitest'
import type { Feed } from '../../src/feed.ts'
import { HEARTBEAT_MS } from '../../src/http/limits.ts'
import { eventText, streams } from '../../src/http/streams.ts'
import type { StepRow } from '../../src/journal/journal.ts'
import { following } from '../../src/runtime/following.ts'
import type { Runtime } from '../../src/runtime.ts'
import { virtualClock } from '../../src/testing.ts'

const STEP: StepRow = {
  position: 1,
  address: 'plan:p-aaaaaa',
  seq: 1,
  at: 0,
  type: 'created',
  event: '{"type":"created"}',
  from: null,
  to: 'running',
  reason: null,
  attempt: null,
} as unknown as StepRow
const staying = { until: <T>(promise: Promise<T>): Promise<T> => promise }

test('an event that many are sent is made once, and written once', async () => {
  let written = 0
  const steps: Pick<Feed, 'pages'> = {
    pages: async function* () {
      yield [STEP]
    },
  }
  const follow = following(steps, staying as never, () => false)
  const events: Runtime['events'] = async function* (query = {}) {
    for await (const event of follow(query)) {
      if (!('toJSON' in event))
        Object.defineProperty(event, 'toJSON', {
          value: () => {
            written += 1
            return { ...event }
          },
        })
      yield event
    }
  }
  const runtime = { events, prunedTo: async () => 0, catalog: { events: async () => [] } }
  const never = {
    signal: new AbortController().signal,
    isClosing: () => false,
    reset: () => {},
    turn: async () => {},
  }
  const read = async (): Promise<string> => {
    let text = ''
    for await (const piece of eventText(runtime as never, { wants: () => true }, 0, never)) text += piece
    return text
  }

  const told = await Promise.all([read(), read(), read()])

  expect(new Set(told).size).toBe(1)
  expect(told[0]).toMatch(/id: 1\ndata: \{.*"type":"created"/)
  expect(written).toBe(1)
})

test('a client that reads slowly stays; one that has taken nothing for a whole minute is sent away', async () => {
  const clock = virtualClock()
  const dropped: unknown[] = []
  const streaming = streams(clock, (request) => dropped.push(request))
  const raw = Object.assign(new EventEmitter(), {
    writableNeedDrain: true,
    destroy: () => void raw.emit('close'),
  })
  const sent: Readable[] = []
  const reply = {
    request: { who: null },
    raw,
    type: () => reply,
    header: () => reply,
    send: (text: Readable) => {
      sent.push(text)
      return reply
    },
  }
  streaming.send(reply as never, async function* ({ signal }) {
    yield 'first'
    await new Promise((resolve) => signal.addEventListener('abort', resolve))
  })

  for (let minute = 0; minute < 5; minute += 1) {
    await clock.advance(HEARTBEAT_MS)
    raw.emit('drain')
  }
  expect([dropped.length, streaming.counts().dropped]).toEqual([0, 0])
  await clock.advance(HEARTBEAT_MS)
  expect(streaming.counts().dropped).toBe(0)
  await clock.advance(HEARTBEAT_MS)

  expect([dropped.length, streaming.counts()]).toMatchObject([1, { dropped: 1, open: 0 }])
  sent[0]?.destroy()
})
