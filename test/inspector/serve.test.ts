/**
 * The inspector of a real runtime, seen by real web sockets.
 *
 * Mutations that were planted once, and each found: every interface listened on; any origin let in; any path let in; actors that live
 * already not shown; a client that does not read kept.
 */
import { request } from 'node:http'
import { createServer } from 'node:net'
import { createWebSocketReceiver, type StatelyInspectionEvent } from '@statelyai/inspect'
import { expect, onTestFinished, test } from 'vitest'
import { WebSocket } from 'ws'
import { type Inspector, inspecting } from '../../src/actors/inspecting.ts'
import { systemClock } from '../../src/clock.ts'
import { type ServedInspector, serveInspector } from '../../src/inspector/serve.ts'
import { definePlan } from '../../src/plans/define-plan.ts'
import { createRuntime, type Runtime } from '../../src/runtime.ts'
import { folder, gates } from '../http/served.ts'

type Seen = Readonly<{
  type: string
  sessionId: string
  sourceId?: string
  name?: string
  definition?: string
}> &
  Readonly<{ snapshot?: Readonly<{ value?: string; context?: object }>; event?: Readonly<{ type: string }> }>

const DIAMOND = definePlan({
  name: 'diamond',
  jobs: {
    top: { call: 'gate' },
    left: { call: 'gate', needs: ['top'] },
    right: { call: 'gate', needs: ['top'] },
    bottom: { call: 'gate', needs: ['left', 'right'] },
  },
})

/** A runtime whose inspector is served, and a diamond whose first job waits at its gate. */
const inspected = async (): Promise<
  Readonly<{
    runtime: Runtime
    served: ServedInspector
    gate: ReturnType<typeof gates>
    id: string
    settled: () => Promise<{ state: string }>
  }>
> => {
  const gate = gates()
  const runtime = await createRuntime({ home: folder(), handlers: { gate: gate.handler } })
  onTestFinished(() => runtime.stop())
  const served = await serveInspector(runtime, 0, () => {})
  onTestFinished(() => served.close())
  const { id, settled } = await runtime.submit(DIAMOND)
  await gate.begun('top')
  return { runtime, served, gate, id, settled }
}
const openAll = ({ open }: ReturnType<typeof gates>): void => {
  for (const job of ['top', 'left', 'right', 'bottom']) open(job)
}
const wsOf = (url: string): string => url.replace('http:', 'ws:')
/** Everything a client of the inspector's own making sees until something passes. */
const receive = (url: string, passes: (seen: readonly Seen[]) => boolean): Promise<readonly Seen[]> =>
  new Promise((resolve) => {
    const seen: Seen[] = []
    createWebSocketReceiver({ server: wsOf(url) }).subscribe((event: StatelyInspectionEvent) => {
      seen.push(event as unknown as Seen)
      if (passes(seen)) resolve(seen)
    })
  })
const statusOf = (url: string, headers: Readonly<Record<string, string>> = {}): Promise<number> =>
  new Promise((resolve, reject) => {
    request(url, { headers, agent: false }, (answer) => {
      answer.resume()
      resolve(answer.statusCode ?? 0)
    })
      .on('error', reject)
      .end()
  })
/** Whether a web socket is let in, and with which status not. */
const knock = (url: string, headers: Readonly<Record<string, string>> = {}): Promise<number> =>
  new Promise((resolve) => {
    const socket = new WebSocket(wsOf(url), { headers })
    socket.on('open', () => {
      socket.terminate()
      resolve(101)
    })
    socket.on('unexpected-response', (_, answer) => resolve(answer.statusCode ?? 0))
    socket.on('error', () => {})
  })

test('a client sees every actor of a diamond, those that live already with their state, and the arrows between them', async () => {
  const { served, gate, id, settled } = await inspected()
  const [plan, jobs] = [`plan:${id}`, ['top', 'left', 'right', 'bottom'].map((job) => `job:${id}/${job}`)]

  const all = receive(served.url, (seen) =>
    seen.some(({ type, sessionId, snapshot }) => {
      return type === '@xstate.snapshot' && sessionId === plan && snapshot?.value === 'succeeded'
    }),
  )
  const known = await receive(served.url, (seen) => seen.some(({ sessionId }) => sessionId === jobs[0]))
  openAll(gate)
  const seen = await all
  const { state } = await settled()

  const first = (id: string): Seen | undefined =>
    known.find(({ type, sessionId }) => type === '@xstate.actor' && sessionId === id)
  expect([first(plan)?.snapshot?.value, first(jobs[0] ?? '')?.snapshot?.value]).toEqual([
    'running',
    'running',
  ])
  const actors = seen.filter(({ type }) => type === '@xstate.actor')
  expect(new Set(actors.map(({ sessionId }) => sessionId))).toEqual(new Set(['host', plan, ...jobs]))
  expect(actors.find(({ sessionId }) => sessionId === plan)?.name).toBe(plan)
  expect(JSON.parse(first(plan)?.definition ?? '{}')).toMatchObject({
    initial: 'created',
    states: { paused: {} },
  })
  const arrows = seen.flatMap(({ type, sourceId, sessionId, event }) =>
    type === '@xstate.event' ? [`${sourceId} ${event?.type} ${sessionId}`] : [],
  )
  for (const job of jobs) {
    expect(arrows).toContain(`host attempt.ended ${job}`)
    expect(arrows).toContain(`${job} job.settled ${plan}`)
  }
  expect(state).toBe('succeeded')
})

test('only this machine, this address and pages of this address are let in', async () => {
  const { served } = await inspected()
  const { url } = served
  const { host, origin, port, pathname } = new URL(url)

  expect([host, pathname.length > 20]).toEqual([`127.0.0.1:${port}`, true])
  expect([await statusOf(url), await knock(url), await knock(url, { origin })]).toEqual([200, 101, 101])
  expect(await knock(url, { origin: 'https://stately.ai' })).toBe(403)
  expect(await knock(url, { origin: 'null' })).toBe(403)
  expect(await knock(url, { host: `evil.example:${port}` })).toBe(403)
  expect(await statusOf(url, { host: `evil.example:${port}` })).toBe(403)
  expect([await statusOf(`${origin}/`), await knock(`${origin}/`), await knock(`${origin}/x/`)]).toEqual([
    404, 404, 404,
  ])
  // Nobody listens on another address of this machine.
  const other = createServer()
  const taken = await new Promise<string | undefined>((resolve) => {
    other.once('error', (error: NodeJS.ErrnoException) => resolve(error.code))
    other.listen(Number(port), '127.0.0.2', () => resolve(undefined))
  })
  other.close()
  expect(taken).not.toBe('EADDRINUSE')
})

test('a client that does not read is dropped, and said to be; another one misses nothing', async () => {
  const room = inspecting({ clock: systemClock, log: { warn: () => {} }, looking: () => {} })
  const dropped = Promise.withResolvers<string>()
  const inspect = (inspector: Inspector, drop: (why: string) => void = () => {}) =>
    room.join(inspector, [], drop)
  const served = await serveInspector({ inspect }, 0, dropped.resolve, 1_000_000)
  onTestFinished(() => served.close())
  const deaf = new WebSocket(wsOf(served.url))
  const other = new WebSocket(wsOf(served.url))
  let heard = 0
  other.on('message', () => {
    heard += 1
  })
  await Promise.all([deaf, other].map((socket) => new Promise((resolve) => socket.once('open', resolve))))
  // It reads nothing more; the buffers of the system are filled first.
  deaf.pause()

  let said: string | undefined
  void dropped.promise.then((line) => {
    said = line
  })
  const actorRef = { id: 'job:p/a' }
  const event = { type: 'attempt.ended', outputs: 'x'.repeat(50_000) }
  let shown = 0
  for (; said === undefined && shown < 10_000; shown += 1) {
    room.show([{ type: '@xstate.event', rootId: 'host', actorRef, sourceRef: undefined, event } as never])
    await new Promise((resolve) => setImmediate(resolve))
  }
  // What was shown to all, and the root.
  while (heard < shown + 1) await new Promise((resolve) => other.once('message', resolve))

  expect(said).toBe('inspect: a client was dropped: it does not read what it is shown')
  expect(other.readyState).toBe(WebSocket.OPEN)
  deaf.terminate()
  other.terminate()
})

test('closing lets every client go, and the plan goes on', async () => {
  const { served, gate, settled } = await inspected()
  const socket = new WebSocket(wsOf(served.url))
  await new Promise((resolve) => socket.once('open', resolve))
  const gone = new Promise((resolve) => socket.once('close', resolve))

  await served.close()
  await served.close()
  await gone
  openAll(gate)

  expect((await settled()).state).toBe('succeeded')
})

test('a port that is taken is refused to whoever asks for it', async () => {
  const { runtime, served } = await inspected()

  await expect(serveInspector(runtime, Number(new URL(served.url).port), () => {})).rejects.toThrow(
    'EADDRINUSE',
  )
})
