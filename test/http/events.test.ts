import { once } from 'node:events'
import { connect as connectSocket } from 'node:net'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { noteAddress } from '../../src/address.ts'
import { systemClock } from '../../src/clock.ts'
import { homePaths } from '../../src/home.ts'
import { LOOKED_AT_MAX } from '../../src/http/events.ts'
import { frames } from '../../src/http/sse.ts'
import { EVENTS_AT_ONCE, eventText, STREAMS_AT_ONCE, turns } from '../../src/http/streams.ts'
import { seededRandom } from '../../src/ids.ts'
import { EMPTY_BATCH } from '../../src/journal/journal.ts'
import { sqliteJournal } from '../../src/journal/sqlite.ts'
import { definePlan } from '../../src/plans/define-plan.ts'
import type { Runtime } from '../../src/runtime.ts'
import type { EventShape } from '../../src/views/shapes.ts'
import { cuttingProxy } from './cutting-proxy.ts'
import { ask, connect, folder, gates, hold, until } from './served.ts'

const API = '/api/v1'
const noop = () => ({})

const fan = (name: string, width: number) =>
  definePlan({
    name,
    maxParallel: 100,
    jobs: Object.fromEntries(Array.from({ length: width }, (_, index) => [`job-${index}`, { call: 'noop' }])),
  })
const settles = ({ job, to }: EventShape) => job === undefined && to === 'succeeded'
const positions = (events: readonly EventShape[]) => events.map(({ position }) => position)
const upTo = (last: number, first = 1) =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index)

test('a follower sees every event from its position on, the old and the new', async () => {
  const gate = gates()
  const { client, runtime, submit } = await hold({ handlers: { gate: gate.handler } })
  const id = await submit(
    definePlan({ name: 'one', jobs: { a: { call: 'gate' }, b: { call: 'gate', needs: ['a'] } } }),
  )
  await gate.begun('a')

  const all = until(client.events(), settles)
  const late = until(client.events({ after: 3, plan: id }), settles)
  gate.open('a')
  gate.open('b')

  const local = await until(runtime.events(), settles)
  expect(await all).toEqual(local)
  expect(await late).toEqual(local.slice(3))
  expect(positions(local)).toEqual(upTo(local.length))
})

test('without following, a list of any length ends where the journal does', async () => {
  const { client, runtime, submit } = await hold({ handlers: { noop } })
  const id = await submit(fan('fan', 120))
  await (await runtime.plan(id)).settled()

  const listed: EventShape[] = []
  for await (const event of client.events({ after: 7, follow: false })) listed.push(event)

  expect(listed).toEqual(await runtime.catalog.events({ after: 7, limit: 10_000 }))
  expect(listed.length).toBeGreaterThan(400)
  expect(await client.catalog.events({ after: 10, limit: 250, plan: id })).toEqual(listed.slice(3, 253))
  expect(await client.catalog.events({ after: 0, limit: 50, plan: id, job: 'job-7' })).toEqual(
    await runtime.catalog.events({ after: 0, limit: 50, plan: id, job: 'job-7' }),
  )
})

test('topics choose: plans themselves, one plan with its jobs, or several', async () => {
  const { served, runtime, submit } = await hold({ handlers: { noop } })
  const [one, two, three] = [
    await submit(fan('one', 2)),
    await submit(fan('two', 2)),
    await submit(fan('three', 2)),
  ]
  for (const id of [one, two, three]) await (await runtime.plan(id)).settled()
  const all = await runtime.catalog.events({ after: 0, limit: 1000 })
  const listed = async (query: string) => {
    const path = `GET ${API}/events?limit=200&${query}`
    const { json } = await ask(served.path, path, { headers: { accept: 'application/json' } })
    return (json as { items: EventShape[] }).items
  }

  expect(await listed('')).toEqual(all)
  expect(await listed('topics=plans')).toEqual(all.filter(({ job }) => job === undefined))
  expect(await listed(`topics=plan:${two}`)).toEqual(all.filter(({ plan }) => plan === two))
  expect(await listed(`plan=${two}`)).toEqual(all.filter(({ plan }) => plan === two))
  expect(await listed(`topics=plan:${one},plan:${three}`)).toEqual(all.filter(({ plan }) => plan !== two))
  expect(await listed(`topics=plans,plan:${one}`)).toEqual(
    all.filter(({ plan, job }) => job === undefined || plan === one),
  )
})

test('the topic of a plan and that of the home tell of both, and `plan` beside the latter leaves the home out', async () => {
  const { served, runtime, submit } = await hold({ handlers: { noop } })
  await runtime.order({ do: 'pause', by: 'ada' })
  await runtime.order({ do: 'resume', by: 'ada' })
  const [one, two] = [await submit(fan('one', 2)), await submit(fan('two', 2))]
  for (const id of [one, two]) await (await runtime.plan(id)).settled()
  await runtime.order({ do: 'pause', by: 'ada' })
  await runtime.idle()
  const all = await runtime.catalog.events({ after: 0, limit: 1000 })
  const both = all.filter(({ plan }) => plan === '' || plan === one)
  expect(both.filter(({ plan }) => plan === '')).toHaveLength(3)

  const inList = (await listed(served.path, `topics=daemon,plan:${one}&limit=200`)).items
  const besideOnly = (await listed(served.path, `topics=daemon&plan=${one}&limit=200`)).items
  const stream = ask(served.path, `GET ${API}/events?topics=daemon,plan:${one}`)
  // Closing lets streams send what is there and ends them.
  await streaming(served.path)
  await served.close()
  const inStream = []
  for await (const { id } of frames(pieces((await stream).text))) if (id !== undefined) inStream.push(id)

  expect(inList).toEqual(both)
  expect(besideOnly).toEqual(all.filter(({ plan }) => plan === one))
  expect(inStream).toEqual(both.map(({ position }) => String(position)))
})

test('a page of what is rare is filled from wherever it is, and pages follow each other without a hole', async () => {
  const { served, runtime, submit } = await hold({ handlers: { noop } })
  const [one, two] = [await submit(fan('one', 40)), await submit(fan('two', 2))]
  for (const id of [one, two]) await (await runtime.plan(id)).settled()
  await runtime.order({ do: 'pause', by: 'ada' })
  await runtime.order({ do: 'resume', by: 'ada' })
  await runtime.idle()
  const all = await runtime.catalog.events({ after: 0, limit: 1000 })
  const pages = async (query: string) => {
    const found: Page[] = []
    for (let cursor: string | null = '0'; cursor !== null; cursor = found.at(-1)?.next_cursor ?? null)
      found.push(await listed(served.path, `${query}&cursor=${cursor}`))
    return found
  }

  const daemon = all.filter(({ plan }) => plan === '')
  expect(daemon.map(({ type }) => type)).toEqual(['mode.changed', 'mode.changed'])
  expect(await pages('topics=daemon&limit=50')).toEqual([{ items: daemon, next_cursor: null }])
  expect(await pages('topics=daemon&limit=1')).toEqual([
    { items: daemon.slice(0, 1), next_cursor: String(daemon[0]?.position) },
    { items: daemon.slice(1), next_cursor: null },
  ])
  const plans = await pages('topics=plans&limit=7')
  expect(plans.flatMap(({ items }) => items)).toEqual(
    all.filter(({ plan, job }) => plan !== '' && job === undefined),
  )
  for (const { items, next_cursor } of plans) if (next_cursor !== null) expect(items).toHaveLength(7)
})

test('a page looks at so many steps and no more: what is beyond them comes with its cursor', async () => {
  const home = folder()
  const before = LOOKED_AT_MAX + 1_000
  await addNotes(home, before)
  const { served, runtime } = await hold({ home })
  await runtime.order({ do: 'pause', by: 'ada' })
  await runtime.idle()
  const { position } = await runtime.state()
  expect(position).toBe(before + 1)

  const first = await listed(served.path, 'topics=daemon')
  const second = await listed(served.path, `topics=daemon&cursor=${first.next_cursor}`)

  expect(first.items).toEqual([])
  expect(Number(first.next_cursor)).toBeGreaterThanOrEqual(LOOKED_AT_MAX)
  expect(Number(first.next_cursor)).toBeLessThan(before)
  expect(second.items.map(({ type }) => type)).toEqual(['mode.changed'])
  expect(second.next_cursor).toBeNull()
})

/** Steps of a plan before anybody holds the home. */
const addNotes = async (home: string, count: number): Promise<void> => {
  const boot = { bootId: 'before', pid: process.pid, build: 'test', at: 0 }
  const journal = await sqliteJournal({ file: homePaths(home).journal, boot, durability: 'normal' })
  const steps = Array.from({ length: count }, (_, at) => ({
    position: at + 1,
    address: noteAddress('gone-aaaaaa', null),
    seq: at + 1,
    type: 'recovered',
    event: '{"type":"recovered"}',
    from: null,
    to: 'running',
    reason: null,
    attempt: null,
    at: 1,
    version: '1',
  }))
  await journal.commit({ ...EMPTY_BATCH, steps })
  await journal.stop(true)
}

type Page = Readonly<{ items: readonly EventShape[]; next_cursor: string | null }>
const listed = async (path: string, query: string): Promise<Page> => {
  const { json } = await ask(path, `GET ${API}/events?${query}`, { headers: { accept: 'application/json' } })
  return json as Page
}

test('a stream says its positions as ids and goes on after the last one its client had', async () => {
  const { served, runtime, submit } = await hold({ handlers: { noop } })
  await (await runtime.plan(await submit(fan('fan', 3)))).settled()
  const stream = ask(served.path, `GET ${API}/events?after=1`, { headers: { 'last-event-id': '4' } })
  // Closing lets streams send what is there and ends them.
  await streaming(served.path)
  await served.close()

  const { headers, text } = await stream
  const all = await runtime.catalog.events({ after: 0, limit: 1000 })
  const sent = []
  for await (const frame of frames(pieces(text))) sent.push(frame)
  expect(headers['content-type']).toContain('text/event-stream')
  expect(sent).toEqual(
    all.slice(4).map((event) => ({ id: String(event.position), data: JSON.stringify(event) })),
  )
})

test('a connection that is cut anywhere, again and again, costs no event and repeats none', async () => {
  const seed = Math.floor(Math.random() * 2 ** 31)
  const random = seededRandom(seed)
  const { served, runtime, submit } = await hold({ handlers: { noop } })
  const far = folder()
  // The first connection lives long enough to say who serves: to be cut there is not to be connected.
  let least = 3_000
  const proxy = await cuttingProxy(join(far, 'sock'), served.path, 25, () => {
    const bytes = least + Math.floor(random() * 8_000)
    least = 400
    return bytes
  })
  const client = await connect(far)

  const seen = until(client.events({ after: 0 }), settles)
  const id = await submit(fan('fan', 150))
  await (await runtime.plan(id)).settled()

  expect(positions(await seen), `seed ${seed}`).toEqual(upTo((await seen).length))
  expect(proxy.cuts(), `seed ${seed}`).toBeGreaterThan(5)
})

test('a follower outlives its holder: it goes on with the next one, without a hole', async () => {
  const home = folder()
  const first = await hold({ home, handlers: { noop } })
  let ended = 0
  const twoEnded = Promise.withResolvers<void>()
  const seen = until(
    (async function* () {
      for await (const event of first.client.events()) {
        if (settles(event) && (ended += 1) === 1) twoEnded.resolve()
        yield event
      }
    })(),
    () => ended === 2,
  )
  await first.submit(fan('one', 5))
  await twoEnded.promise

  await first.served.close()
  await first.runtime.stop()
  const second = await hold({ home, handlers: { noop } })
  await second.submit(fan('two', 5))

  expect(positions(await seen)).toEqual(upTo((await seen).length))
})

test('a holder that closes first sends what is committed, and then its followers say that nobody serves', async () => {
  const { served, runtime, client, submit, home } = await hold({ handlers: { noop } })
  await (await runtime.plan(await submit(fan('fan', 800)))).settled()
  const last = (await runtime.catalog.events({ after: 0, limit: 10_000 })).length
  const seen: number[] = []
  const following = (async () => {
    for await (const { position } of client.events()) {
      if (seen.push(position) === 1) void served.close()
    }
  })()

  await expect(following).rejects.toMatchObject({ code: 'NO_DAEMON', exit: 5, fields: { home } })
  expect(seen).toEqual(upTo(last))
})

test('a holder that closes hangs up on a follower that takes nothing', async () => {
  const { served, runtime, submit } = await hold({ handlers: { noop } })
  await (await runtime.plan(await submit(fan('fan', 800)))).settled()
  const socket = connectSocket(served.path)
  socket.write('GET /api/v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n')
  await once(socket, 'readable')

  await served.close()

  let taken = 0
  const last = (await runtime.catalog.events({ after: 0, limit: 10_000 })).length
  const ended = once(socket, 'close')
  socket.on('error', () => {})
  socket.on('data', (part: Buffer) => {
    taken += part.toString().split('\nid: ').length - 1
  })
  await ended
  expect(taken).toBeGreaterThan(0)
  expect(taken).toBeLessThan(last)
})

test('following ends at once when its signal is aborted, before and while it waits', async () => {
  const { client, submit } = await hold({ handlers: { noop } })
  await submit(fan('fan', 1))
  const controller = new AbortController()
  const seen: EventShape[] = []
  for await (const event of client.events({ signal: controller.signal })) {
    seen.push(event)
    if (settles(event)) controller.abort()
  }
  for await (const _ of client.events({ signal: controller.signal })) throw new Error('it was aborted before')

  expect(seen.some(settles)).toBe(true)
})

test('a position the journal does not have is refused, not waited for', async () => {
  const { served, client, submit, runtime } = await hold({ handlers: { noop } })
  await (await runtime.plan(await submit(fan('fan', 1)))).settled()

  const { text } = await ask(served.path, `GET ${API}/events?after=99999`)

  const { position } = await runtime.state()
  expect(text).toBe(`id: ${position}\nevent: reset\ndata: {"after":99999,"why":"beyond"}\n\n`)
  // A browser comes back with that id, and then hears what happens.
  const back = until(client.events({ after: position }), settles)
  await submit(fan('fan', 1))
  expect((await back)[0]?.position).toBe(position + 1)
  await expect(until(client.events({ after: 99999 }), () => true)).rejects.toMatchObject({ code: 'USAGE' })
})

test('one who stands before what was removed is told so; of a plan that is kept nothing is missing', async () => {
  const { served, client, submit, runtime } = await hold({ handlers: { noop } })
  const kept = await submit(fan('kept', 1))
  await (await runtime.plan(kept)).settled()
  const before = (await runtime.catalog.events({ after: 0, limit: 1_000 })).length
  const gone = await submit(fan('gone', 1))
  await (await runtime.plan(gone)).settled()
  const after = (await runtime.catalog.events({ after: 0, limit: 1_000 })).length
  const last = await submit(fan('last', 1))
  await (await runtime.plan(last)).settled()
  const all = await runtime.catalog.events({ after: 0, limit: 1_000 })

  const { plans } = await client.gc({ keep: 1 })

  expect(plans.map(({ id }) => id)).toEqual([kept, gone])
  const { text } = await ask(served.path, `GET ${API}/events?after=${before}`)
  const removed = await runtime.prunedTo()
  expect(text).toBe(`id: ${removed}\nevent: reset\ndata: {"after":${before},"why":"removed"}\n\n`)
  expect(positions(await until(client.events({ after: removed }), settles))[0]).toBe(removed + 1)
  await expect(until(client.events({ after: before }), () => true)).rejects.toMatchObject({ code: 'USAGE' })
  const ofLast = all.filter(({ plan }) => plan === last)
  expect(await until(client.events({ after: after + 1, plan: last }), settles)).toEqual(ofLast.slice(1))
  expect((await until(client.events(), settles)).map(({ plan }) => plan)).toEqual(ofLast.map(() => last))
})

test('a client that reads nothing costs a page, delays nobody, and misses nothing when it reads again', async () => {
  const pulled: number[] = []
  const counted = (runtime: Runtime): Runtime => ({
    ...runtime,
    events: async function* (query) {
      const stream = pulled.push(0) - 1
      for await (const event of runtime.events(query)) {
        pulled[stream] = (pulled[stream] ?? 0) + 1
        yield event
      }
    },
  })
  const { served, client, runtime, submit } = await hold({ handlers: { noop } }, counted)
  const stuck = connectSocket(served.path)
  await new Promise<void>((resolve) => stuck.once('connect', resolve))
  stuck.pause()
  stuck.write(`GET ${API}/events HTTP/1.1\r\nhost: x\r\n\r\n`)
  const stuckStream = streaming(served.path, () => pulled.length === 1)
  await stuckStream

  const seen = until(client.events(), settles)
  const id = await submit(fan('fan', 2_500))
  await (await runtime.plan(id)).settled()

  const total = (await seen).length
  expect(positions(await seen)).toEqual(upTo(total))
  expect(pulled).toEqual([expect.any(Number), total])
  expect(pulled[0]).toBeLessThan(total / 2)
  expect(total).toBeGreaterThan(7_500)

  let text = ''
  stuck.setEncoding('utf8')
  for await (const piece of stuck as AsyncIterable<string>) {
    text += piece
    if (text.includes(`id: ${total}\n`)) break
  }
  const ids = [...text.matchAll(/^id: ([0-9]+)$/gm)].map(([, position]) => Number(position))
  expect(ids).toEqual(upTo(total))
})

test('a client that reads as fast as it can leaves the holder its turns', async () => {
  const { runtime, submit } = await hold({ handlers: { noop } })
  await (await runtime.plan(await submit(fan('fan', 500)))).settled()
  const total = (await runtime.catalog.events({ after: 0, limit: 10_000 })).length
  let passed = 0
  let counting = true
  const count = (): void => {
    passed += 1
    if (counting) setImmediate(count)
  }
  setImmediate(count)

  let sent = 0
  const choice = { wants: () => true }
  const never = {
    signal: new AbortController().signal,
    isClosing: () => false,
    reset: () => {},
    turn: turns(systemClock),
  }
  for await (const text of eventText(runtime, choice, 0, never)) {
    if (text.startsWith('id: ')) sent += 1
    if (sent === total) break
  }
  counting = false

  expect(passed).toBeGreaterThan(total / 100)
})

test('two hundred clients that read as fast as they can leave the holder as many turns as one', async () => {
  const { runtime, submit } = await hold({ handlers: { noop } })
  await (await runtime.plan(await submit(fan('fan', 100)))).settled()
  const total = (await runtime.catalog.events({ after: 0, limit: 10_000 })).length
  let sent = 0
  /** What was sent in each turn of the loop. */
  const inTurn: number[] = []
  const count = (): void => {
    inTurn.push(sent - inTurn.reduce((all, each) => all + each, 0))
    if (sent < 200 * total) setImmediate(count)
  }
  setImmediate(count)

  const choice = { wants: () => true }
  const turn = turns(systemClock)
  const never = { signal: new AbortController().signal, isClosing: () => false, reset: () => {}, turn }
  const read = async (): Promise<void> => {
    let mine = 0
    for await (const text of eventText(runtime, choice, 0, never)) {
      if (!text.startsWith('id: ')) continue
      sent += 1
      mine += 1
      if (mine === total) return
    }
  }
  await Promise.all(Array.from({ length: 200 }, read))

  expect(sent).toBe(200 * total)
  expect(Math.max(...inTurn)).toBeLessThanOrEqual(2 * EVENTS_AT_ONCE * STREAMS_AT_ONCE)
})

/** Resolves when the server has taken what was asked before, and a condition holds. */
const streaming = async (path: string, holds: () => boolean = () => true): Promise<void> => {
  do await ask(path, 'GET /version')
  while (!holds())
}

async function* pieces(text: string): AsyncGenerator<string> {
  yield text
}

test('a client that has gone is followed no more, also when nothing happens', async () => {
  const followed = Promise.withResolvers<AbortSignal | undefined>()
  const seen = (runtime: Runtime): Runtime => ({
    ...runtime,
    events: (query = {}) => {
      followed.resolve(query.signal)
      return runtime.events(query)
    },
  })
  const { served } = await hold({}, seen)
  const socket = connectSocket(served.path)
  socket.write(`GET ${API}/events HTTP/1.1\r\nhost: h\r\naccept: text/event-stream\r\n\r\n`)
  const signal = await followed.promise
  if (!signal) throw new Error('it is followed without an end')
  const gone = new Promise((resolve) => signal.addEventListener('abort', resolve))

  socket.destroy()
  await gone

  expect(signal.aborted).toBe(true)
})
