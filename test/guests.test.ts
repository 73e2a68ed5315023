/**
 * Observers cannot hurt: whatever a guest does, only the guest is dropped; the plan ends as without it, and the journal is equal.
 *
 * Mutations that were planted once, and each found: a listener's rejection that nobody hears; an inspector called within the drain
 * and unguarded; one that is slow never dropped; a handler's rejection put into words without care.
 */
import { connect } from 'node:net'
import { afterEach, expect, onTestFinished, test } from 'vitest'
import { projector } from '../src/actors/projector.ts'
import { feed } from '../src/feed.ts'
import { serveHome } from '../src/http/server.ts'
import { seededRandom } from '../src/ids.ts'
import { memoryJournal } from '../src/journal/memory.ts'
import { type MemoryDisk, memoryDisk } from '../src/journal/memory-disk.ts'
import { memoryReader } from '../src/journal/memory-reader.ts'
import { definePlan } from '../src/plans/define-plan.ts'
import { createRuntime, type Runtime, type RuntimeOptions } from '../src/runtime.ts'
import { ask, folder } from './http/served.ts'

const DIAMOND = definePlan({
  name: 'diamond',
  jobs: {
    top: { call: 'work' },
    left: { call: 'work', needs: ['top'] },
    right: { call: 'work', needs: ['top'], retry: { max: 1, delay: '1ms', on: ['exit'] } },
    bottom: { call: 'work', needs: ['left', 'right'] },
  },
})
/** `right` fails once, so that a plan has some of everything. */
const work = ({ job, attempt }: { job: string; attempt: number }) => {
  if (job === 'right' && attempt === 1) throw new Error('the first time')
  return { of: job }
}

const unheard: unknown[] = []
const note = (error: unknown): void => {
  unheard.push(error)
}
process.on('unhandledRejection', note)
afterEach(() => {
  expect(unheard.splice(0)).toEqual([])
})

const open = async (disk: MemoryDisk, more: RuntimeOptions = {}): Promise<Runtime> => {
  const runtime = await createRuntime({
    home: folder(),
    handlers: { work },
    sweepMs: 0,
    ...more,
    ports: {
      random: seededRandom(7),
      journal: () => memoryJournal(disk, { bootId: 'boot', pid: 1, build: 'test', at: 0 }),
    },
  })
  onTestFinished(() => runtime.stop())
  return runtime
}
/** Everything in a journal but the moments at which it happened. */
const story = async (disk: MemoryDisk): Promise<readonly string[]> => {
  const steps = await memoryReader(disk).steps({ after: 0, limit: 10_000 })
  return steps.map(
    ({ position, address, seq, type, from, to, reason, attempt }) =>
      `${position} ${address} ${seq} ${type} ${from} ${to} ${reason} ${attempt}`,
  )
}
const quiet = async (runtime: Runtime): Promise<void> => {
  await runtime.idle()
  // A rejection that nobody hears is told a turn later.
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}
/** The same plan, alone and with a guest; answers both stories. */
const withAndWithout = async (
  guest: (runtime: Runtime) => unknown,
  more: RuntimeOptions = {},
): Promise<readonly [readonly string[], readonly string[], string]> => {
  const [alone, visited] = [memoryDisk('home'), memoryDisk('home')]
  const first = await open(alone)
  await (await first.submit(DIAMOND)).settled()
  const second = await open(visited, more)
  guest(second)
  const { state } = await (await second.submit(DIAMOND)).settled()
  await quiet(second)
  return [await story(alone), await story(visited), state]
}

test.each([
  [
    'throws',
    () => {
      throw new Error('a guest broke')
    },
  ],
  ['rejects', () => Promise.reject(new Error('a guest broke'))],
  [
    'throws what cannot be written',
    () => {
      throw Object.create(null)
    },
  ],
] as const)(
  'an inspector that %s is dropped, and says why; another sees everything',
  async (_, inspector) => {
    const dropped: string[] = []
    const seen: string[] = []
    let called = 0

    const [alone, visited, state] = await withAndWithout((runtime) => {
      runtime.inspect(
        () => {
          called += 1
          return inspector()
        },
        (why) => dropped.push(why),
      )
      runtime.inspect(({ type }) => seen.push(type))
    })

    expect([state, visited]).toEqual(['succeeded', alone])
    expect(dropped).toHaveLength(1)
    // A rejection is heard after the turn in which it came.
    expect(called).toBeLessThan(seen.length)
    expect(seen.filter((type) => type === '@xstate.actor')).toHaveLength(5)
  },
)

test('an inspector whose promises never settle, or that is dropped with a throw, hurts nobody', async () => {
  const [alone, visited, state] = await withAndWithout((runtime) => {
    runtime.inspect(() => new Promise(() => {}))
    runtime.inspect(
      () => {
        throw new Error('a guest broke')
      },
      () => {
        throw new Error('and did not take it well')
      },
    )
  })

  expect([state, visited]).toEqual(['succeeded', alone])
})

test('a listener of steps that rejects is dropped, and no other', async () => {
  const dropped: unknown[] = []
  const shown = projector((error) => dropped.push(error))
  const seen: number[] = []
  shown.listen(() => Promise.reject(new Error('a guest broke')))
  shown.listen((steps) => seen.push(steps.length))

  shown.show([])
  await Promise.resolve()
  shown.show([])

  expect([seen, dropped, shown.listeners()]).toEqual([[0, 0], [new Error('a guest broke')], 1])
})

test('one who follows events and throws, never asks again, or takes for ever, delays neither the plan nor the stop', async () => {
  const thrown: string[] = []
  const hanging: AsyncIterator<unknown>[] = []

  const [alone, visited, state] = await withAndWithout((runtime) => {
    const breaks = async (): Promise<void> => {
      for await (const { type } of runtime.events()) throw new Error(`broke at ${type}`)
    }
    const sleeps = async (): Promise<void> => {
      for await (const _ of runtime.events()) await new Promise(() => {})
    }
    breaks().catch((error: unknown) => thrown.push((error as Error).message))
    void sleeps()
    const idle = runtime.events()[Symbol.asyncIterator]()
    void idle.next()
    hanging.push(idle)
  })

  expect([state, visited]).toEqual(['succeeded', alone])
  expect(thrown).toEqual(['broke at created'])
})

test('a feed that cannot be read any more ends with its reader, and the plan goes on', async () => {
  const shown = projector(() => {})
  const broken = feed({ steps: () => Promise.reject(new Error('the store is away')) }, shown)
  const read = broken.pages({ after: 0, follow: true }).next()

  await expect(read).rejects.toThrow('the store is away')
  expect(shown.listeners()).toBe(0)
})

test('a handler that throws what cannot be written, or rejects after its end, fails its attempt and nothing else', async () => {
  const disk = memoryDisk('home')
  const runtime = await open(disk, {
    handlers: {
      work,
      odd: () => Promise.reject(Object.create(null)),
      late: ({ signal }) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => setImmediate(() => reject(new Error('too late'))))
        }),
    },
  })
  const plan = await runtime.submit(
    definePlan({
      name: 'odd',
      jobs: {
        odd: { call: 'odd' },
        late: { call: 'late', timeout: '1ms', grace: '0ms' },
        fine: { call: 'work' },
      },
    }),
  )

  const { jobs } = await plan.settled()
  await quiet(runtime)

  const ends = Object.values(jobs).map(({ name, state, reason }) => `${name} ${state} ${reason}`)
  expect(ends).toEqual(['odd failed exit', 'late failed timeout', 'fine succeeded null'])
})

test('followers of the socket that read nothing, go away amid an event, or are told garbage hurt nobody', async () => {
  const sockets: ReturnType<typeof connect>[] = []
  let path = ''
  const begin = async (runtime: Runtime): Promise<void> => {
    const served = await serveHome(runtime)
    onTestFinished(() => served.close())
    ;({ path } = served)
    for (const kind of ['deaf', 'gone', 'gone']) {
      const socket = connect(path)
      sockets.push(socket)
      socket.on('error', () => {})
      socket.write('GET /api/v1/events HTTP/1.1\r\nhost: h\r\naccept: text/event-stream\r\n\r\n')
      if (kind === 'deaf') socket.pause()
      else socket.once('data', () => socket.destroy())
    }
  }
  const disk = memoryDisk('home')
  const alone = memoryDisk('home')
  const first = await open(alone)
  await (await first.submit(DIAMOND)).settled()
  const runtime = await open(disk)
  await begin(runtime)

  const { state } = await (await runtime.submit(DIAMOND)).settled()
  await quiet(runtime)

  expect([state, await story(disk)]).toEqual(['succeeded', await story(alone)])
  expect((await ask(path, 'GET /api/v1/state')).status).toBe(200)
  for (const socket of sockets) socket.destroy()
})
