/**
 * The runtime as a program uses it: it stays while there is something to wait for, refuses what is no plan without harm to others,
 * and leaves alone what belongs to another program.
 *
 * Mutations that were planted once, and each found: a runtime that does not stay for an open plan; a definition taken unchecked; a
 * plan that cannot be made given up together with the host; a plan with foreign handlers taken up.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import type { Definition } from '../src/definition.ts'
import { TenutoError } from '../src/errors.ts'
import { createRuntime, definePlan } from '../src/index.ts'
import { memoryJournal } from '../src/journal/memory.ts'
import { memoryDisk } from '../src/journal/memory-disk.ts'
import { markerOf } from '../src/process.ts'
import { failsWith } from './support/failing.ts'

const folder = (): string => {
  const path = mkdtempSync(join(tmpdir(), 'tenuto-runtime-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true, maxRetries: 3 }))
  return path
}
const open = async (options: Parameters<typeof createRuntime>[0] = {}) => {
  const runtime = await createRuntime({ home: join(folder(), 'home'), ...options })
  onTestFinished(() => runtime.stop())
  return runtime
}
/** Runs a program that uses the library; answers its exit code and what it printed. */
const program = async (text: string): Promise<Readonly<{ code: number | null; out: string }>> => {
  const path = join(folder(), 'program.ts')
  const library = pathToFileURL(join(import.meta.dirname, '../src/index.ts')).href
  writeFileSync(path, `import { createRuntime, definePlan } from '${library}'\n${text}`)
  const child = spawn(process.execPath, [path], {
    stdio: ['ignore', 'pipe', 'inherit'],
    cwd: join(path, '..'),
  })
  let out = ''
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString()
  })
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, out }
}

test.each([
  [
    'a retry in its backoff',
    `flaky: async ({ attempt }) => { if (attempt < 2) throw new Error('no') }`,
    `{ call: 'flaky', retry: { max: 1, delay: '30ms' } }`,
    'succeeded',
  ],
  [
    'a handler that only waits for its signal, until its timeout',
    `flaky: ({ signal }) => new Promise((_, no) => signal.addEventListener('abort', () => no(signal.reason)))`,
    `{ call: 'flaky', timeout: '30ms' }`,
    'failed',
  ],
])('a program stays for %s', async (_, handler, job, state) => {
  const { code, out } = await program(`
    const runtime = await createRuntime({ handlers: { ${handler} } })
    const plan = await runtime.submit(definePlan({ name: 'p', jobs: { a: ${job} } }))
    console.log((await plan.settled()).state)
    await runtime.stop()`)

  expect([code, out.trim()]).toEqual([0, state])
})

test('a program stays for an open plan that nobody waits for, and leaves when it is stopped', async () => {
  const { code, out } = await program(`
    const seen = []
    const handlers = {
      first: () => { seen.push(1) },
      last: ({ attempt }) => { if (attempt < 2) throw new Error('no'); seen.push(2); console.log(seen.join()); setImmediate(() => runtime.stop()) },
    }
    const runtime = await createRuntime({ handlers })
    await runtime.submit(definePlan({ name: 'p', jobs: {
      a: { call: 'first' }, b: { call: 'last', needs: ['a'], retry: { max: 1, delay: '30ms' } } } }))`)

  expect([code, out.trim()]).toEqual([0, '1,2'])
})

test('a program without an open plan is not kept', async () => {
  const { code } = await program(`await createRuntime({})`)

  expect(code).toBe(0)
})

test('what is no plan is refused with every error, and the runtime goes on', async () => {
  const runtime = await open({ handlers: { work: () => ({ n: 1 }) } })
  const raw = (value: unknown) => runtime.submit(value as Definition)

  await failsWith('PLAN_INVALID', raw({ name: 'raw', jobs: { a: { call: 'work', oops: 1 } } }))
  await failsWith('PLAN_INVALID', raw({ jobs: { a: { call: 'work', needs: ['z'] } } }))
  await failsWith('PLAN_INVALID', raw(null))
  const plan = definePlan({ name: 'good', jobs: { a: { call: 'work' } } })
  for (const key of [{}, 5, '', 'x'.repeat(201)])
    await failsWith('USAGE', runtime.submit(plan, { key: key as string }))

  const { state } = await (await runtime.submit(plan, { key: 'k' })).settled()
  expect(state).toBe('succeeded')
})

test.each<readonly [unknown, RegExp]>([
  [null, /options is null and must be an object/],
  [{ home: 5 }, /home of options is 5 and must be a text/],
  [{ maxParallel: 0 }, /maxParallel of options is 0 and must be 1 or more/],
  [{ durability: 'fast', resume: 'yes' }, /durability of options is "fast" .*; resume of options is "yes"/],
  [{ maxParalel: 3 }, /options has maxParalel, which is none of home, maxParallel/],
  [{ handlers: { work: 5 } }, /work of options.handlers is 5 and must be a function/],
  [{ handlers: null }, /options.handlers is null and must be an object/],
  [{ retention: { plans: -1, keep: 3 } }, /retention has keep, .*; plans of options.retention is -1/],
  [{ ports: { journal: {} } }, /journal of options.ports is an object and must be a function/],
  [{ inspect: 5 }, /inspect of options is 5 and must be a function/],
  [{ sweepMs: Number.NaN }, /sweepMs of options is NaN and must be 0 or more/],
])(
  'options that are none are refused with place and value, and no home is made: %j',
  async (options, says) => {
    const home = join(folder(), 'home')
    const given = options === null ? null : { home, ...(options as object) }

    const refused = createRuntime(given as never)

    await expect(refused).rejects.toMatchObject({ code: 'USAGE', message: expect.stringMatching(says) })
    expect(existsSync(home)).toBe(false)
  },
)

test('what a runtime cannot call, find or follow is refused with its value, and it goes on', async () => {
  const runtime = await open({ handlers: { work: () => ({}) } })
  const odd = 5 as never

  expect(() => runtime.inspect(odd)).toThrow('the inspector is 5 and must be a function')
  expect(() => runtime.inspect(() => {}, odd)).toThrow('dropped is 5 and must be a function')
  expect(() => runtime.onStorage(odd)).toThrow('the listener is 5 and must be a function')
  expect(() => runtime.events({ after: 'now', plans: 1 } as never)).toThrow(
    'the query has plans, which is none of after, plan, follow, signal; after of the query is "now"',
  )
  await expect(runtime.plan(odd)).rejects.toThrow('the ref is 5 and must be an object')
  await expect(runtime.plan({} as never)).rejects.toThrow('the ref has no key')
  await expect(runtime.command('p', null, odd)).rejects.toThrow('the command is 5 and must be an object')
  await expect(runtime.command('p', null, { do: 'explode' } as never)).rejects.toThrow(
    'do of the command is "explode" and must be one of cancel, pause',
  )
  const plan = await runtime.submit(definePlan({ name: 'good', jobs: { a: { call: 'work' } } }))
  expect((await plan.settled()).state).toBe('succeeded')
})

test('a definition that was compiled elsewhere is checked and taken', async () => {
  const runtime = await open({ handlers: { work: () => ({ n: 1 }) } })
  const copy = structuredClone(definePlan({ name: 'good', jobs: { a: { call: 'work' } } }))

  expect((await (await runtime.submit(copy)).settled()).state).toBe('succeeded')
})

test('a plan that calls handlers of another program is left to it', async () => {
  const home = join(folder(), 'home')
  const owner = await createRuntime({ home, handlers: { hang: () => new Promise(() => {}) } })
  const { id } = await owner.submit(definePlan({ name: 'theirs', jobs: { a: { call: 'hang' } } }))
  await owner.stop()

  const other = await createRuntime({ home })
  expect((await other.catalog.job(id, 'a')).state).toBe('running')
  await failsWith('UNKNOWN_HANDLER', other.takeUp(id))
  await other.stop()

  const again = await createRuntime({ home, handlers: { hang: () => ({ done: true }) } })
  expect((await (await again.plan(id)).settled()).state).toBe('succeeded')
  await again.stop()
})

test('a submit that finds its plan by key takes it up, also where nothing was taken up at the start', async () => {
  const home = join(folder(), 'home')
  const plan = definePlan({ name: 'keyed', jobs: { a: { call: 'work' } } })
  const first = await createRuntime({ home, handlers: { work: () => new Promise(() => {}) } })
  const { id } = await first.submit(plan, { key: 'k' })
  await first.stop()
  const again = await open({ home, resume: false, sweepMs: 0, handlers: { work: () => ({ n: 1 }) } })

  const handle = await again.submit(plan, { key: 'k' })

  expect(handle).toMatchObject({ id, replayed: true })
  expect((await handle.settled()).state).toBe('succeeded')
})

test.runIf(process.platform === 'linux')(
  'a program may make many runtimes: none leaves a file open',
  async () => {
    const open = () => readdirSync('/proc/self/fd').length
    const home = join(folder(), 'home')
    const once = async (): Promise<void> => {
      const runtime = await createRuntime({ home })
      await runtime.stop()
    }
    await once()
    const before = open()

    for (let n = 0; n < 5; n += 1) await once()

    expect(open()).toBe(before)
  },
)

test('a process that carries the mark of an ended plan is ended by the sweep, on record', async () => {
  const runtime = await open()
  const { id } = await runtime.submit(definePlan({ name: 'p', jobs: { a: { run: 'true' } } }))
  await (await runtime.plan(id)).settled()
  const homeId = new DatabaseSync(join(runtime.home, 'journal.db'), { readOnly: true })
    .prepare('SELECT home FROM meta')
    .get()?.['home']
  const stray = spawn('sleep', ['60'], {
    env: { TENUTO_ATTEMPT_KEY: `${String(homeId)}/${id}/a/1` },
    stdio: 'ignore',
  })
  const gone = once(stray, 'exit')
  onTestFinished(() => void stray.kill('SIGKILL'))
  await once(stray, 'spawn')
  // It may not have come as far as to have its environment.
  await expect.poll(() => markerOf(stray.pid as number)).toBeDefined()

  const { repaired } = await runtime.sweep()

  expect(repaired).toEqual([{ kind: 'stray-process', plan: id, job: 'a', age_ms: expect.any(Number) }])
  expect(await gone).toEqual([null, 'SIGTERM'])
  const events: string[] = []
  for await (const { type, detail } of runtime.events({ follow: false }))
    if (type === 'sweep.repaired') events.push(String(detail?.['kind']))
  expect(events).toEqual(['stray-process'])
  expect((await runtime.state()).counts.sweep_repairs).toBe(1)
})

test('a plan that could not be taken up at the start is taken up by a sweep that nobody asks for', async () => {
  const home = join(folder(), 'home')
  const disk = memoryDisk()
  const boot = { bootId: 'b', pid: 1, build: 'x', at: 0 }
  const handlers = { hang: () => new Promise(() => {}) }
  const plan = definePlan({ name: 'p', jobs: { a: { call: 'hang' } } })
  const first = await createRuntime({ home, handlers, ports: { journal: () => memoryJournal(disk, boot) } })
  const { id } = await first.submit(plan)
  await first.stop()
  let away = true
  const journal = async () => {
    const real = await memoryJournal(disk, boot)
    const revision: typeof real.revision = (...asked) => {
      if (away) throw new TenutoError('STORE_FULL', { path: 'memory', why: 'the test says so' })
      return real.revision(...asked)
    }
    return { ...real, revision }
  }

  const second = await open({ home, sweepMs: 20, handlers: { hang: () => ({}) }, ports: { journal } })
  expect((await second.catalog.plan(id)).state).toBe('running')
  away = false
  const { state } = await (await second.plan(id)).settled()

  expect(state).toBe('succeeded')
  expect(second.counts().repairs).toBe(1)
})

test('a journal that is found damaged while plans are taken up ends the runtime, which says so; nothing waits for it', async () => {
  const disk = memoryDisk('home')
  const boot = { bootId: 'b', pid: 1, build: 'x', at: 0 }
  const first = await createRuntime({
    handlers: { hold: () => new Promise(() => {}) },
    ports: { journal: () => memoryJournal(disk, boot) },
  })
  await first.submit(definePlan({ name: 'open', jobs: { a: { call: 'hold' } } }))
  await first.stop()
  const damaged = async () => {
    const journal = await memoryJournal(disk, boot)
    const revision = (): Promise<never> =>
      Promise.reject(new TenutoError('STORE_CORRUPT', { path: 'memory', why: 'a page is malformed' }))
    return { ...journal, revision }
  }

  const runtime = await createRuntime({ handlers: { hold: () => {} }, ports: { journal: damaged } })
  onTestFinished(() => runtime.stop())

  expect(await runtime.failed).toMatchObject({ code: 'STORE_CORRUPT' })
})
