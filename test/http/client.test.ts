import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createServer as createSocketServer } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, onTestFinished, test } from 'vitest'
import { connectHome } from '../../src/http/client.ts'
import { definePlan } from '../../src/plans/define-plan.ts'
import { ask, connect, folder, gates, hold } from './served.ts'

const one = (name = 'one') =>
  definePlan({ name, jobs: { a: { call: 'gate' }, b: { call: 'gate', needs: ['a'] } } })

const holdOne = async () => {
  const gate = gates()
  const held = await hold({ handlers: { gate: gate.handler } })
  const { id } = await held.client.submit(one(), { base: held.home, key: 'k' })
  await gate.begun('a')
  return { ...held, gate, id }
}

test('what is read from afar is what the holder reads', async () => {
  const { client, runtime, id } = await holdOne()
  const near = runtime.catalog
  const far = client.catalog

  expect(await far.resolve('one/a#1')).toEqual(await near.resolve('one/a#1'))
  expect(await far.plans()).toEqual(await near.plans())
  expect(await far.plan(id)).toEqual(await near.plan(id))
  expect(await far.jobs(id)).toEqual(await near.jobs(id))
  expect(await far.job(id, 'a')).toEqual(await near.job(id, 'a'))
  expect(await far.attempts(id, 'a')).toEqual(await near.attempts(id, 'a'))
  expect(await far.definition(id)).toEqual(await near.definition(id))
  expect(await far.events({ after: 1, limit: 2 })).toEqual(await near.events({ after: 1, limit: 2 }))
  expect(await far.log(id, 'a', 1, 0, 10)).toEqual({ bytes: Buffer.alloc(0), next: 0, size: 0 })
})

test('lists of more than a page are read to their limit', async () => {
  const { client, submit, runtime, id } = await holdOne()
  const ids: string[] = []
  for (let made = 0; made < 230; made += 1) ids.push(await submit(one(`n${made % 2}`)))
  const newest = ids.toReversed()
  const listed = async (query: Parameters<typeof client.catalog.plans>[0]) =>
    (await client.catalog.plans(query)).map((plan) => plan.id)

  expect(await listed({})).toEqual(newest.slice(0, 50))
  expect(await listed({ limit: 300 })).toEqual([...newest, id])
  expect(await listed({ limit: 210 })).toEqual(newest.slice(0, 210))
  expect(await listed({ limit: 300, before: ids[3] as string })).toEqual([ids[2], ids[1], ids[0], id])
  expect(await listed({ limit: 5, name: 'n0', states: ['running'] })).toEqual(
    (await runtime.catalog.plans({ limit: 5, name: 'n0', states: ['running'] })).map((plan) => plan.id),
  )
  expect(await listed({ states: [] })).toEqual([])
})

test('submitting twice under a key is one plan; commands answer as the holder does', async () => {
  const { client, runtime, home, gate, id } = await holdOne()

  expect(await client.submit(one(), { base: home, key: 'k' })).toEqual({ id, replayed: true })
  expect(await client.command(id, null, { do: 'pause' }, { by: 'tester', why: 'a test' })).toMatchObject({
    changed: true,
  })
  expect(await client.command(id, null, { do: 'pause' })).toMatchObject({ changed: false })
  expect(await client.command(id, null, { do: 'continue' })).toMatchObject({ changed: true })
  expect(await client.command(id, 'b', { do: 'skip' })).toMatchObject({ changed: true })
  gate.open('a')
  expect(await (await runtime.plan(id)).settled()).toMatchObject({
    state: 'succeeded',
    jobs: { b: { state: 'skipped' } },
  })
})

test('errors come with code, words, fields and exit code of the holder', async () => {
  const { client, runtime, id } = await holdOne()
  const both = async (
    run: (of: { catalog: typeof client.catalog; command: typeof client.command }) => Promise<unknown>,
  ) => {
    const [far, near] = await Promise.all(
      [client, runtime].map((of) =>
        run(of).then(
          () => null,
          (error: unknown) => error,
        ),
      ),
    )
    const { code, message, hint, exit, http, fields } = far as Record<string, unknown>
    expect({ code, message, hint, exit, http, fields }).toEqual(
      (({ code, message, hint, exit, http, fields }) => ({ code, message, hint, exit, http, fields }))(
        near as Record<string, unknown>,
      ),
    )
    return code
  }

  expect(await both(({ catalog }) => catalog.plan('nope'))).toBe('REF_NOT_FOUND')
  expect(await both(({ catalog }) => catalog.job(id, 'c/d e'))).toBe('REF_NOT_FOUND')
  expect(await both(({ catalog }) => catalog.resolve('one/c'))).toBe('REF_NOT_FOUND')
  expect(await both(({ command }) => command(id, 'a', { do: 'skip' }))).toBe('WRONG_STATE')
  expect(await both(({ command }) => command('nope', null, { do: 'cancel' }))).toBe('REF_NOT_FOUND')
  await expect(client.submit({ ...one(), maxParallel: 0 })).rejects.toMatchObject({
    code: 'PLAN_INVALID',
    exit: 3,
    fields: { count: 1, errors: [{ path: 'maxParallel' }] },
  })
  await expect(client.submit(one('other'), { key: 'k' })).rejects.toMatchObject({
    code: 'KEY_CONFLICT',
    fields: { key: 'k', plan: id },
  })
})

test('an error that only a newer holder knows keeps its words', async () => {
  const home = folder()
  const answer = {
    error: { code: 'NEWER', message: 'something new', hint: 'learn it', request_id: '1', fields: {} },
  }
  const worded = {
    error: {
      code: 'REF_NOT_FOUND',
      message: 'nowhere: x',
      hint: 'look',
      request_id: '1',
      fields: { ref: 'x' },
    },
  }
  const server = createServer(({ url }, reply) => {
    const [status, body] =
      url === '/version' ? [200, {}] : url?.endsWith('/x') ? [404, worded] : [418, answer]
    reply.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  })
  await new Promise<void>((resolve) => server.listen(join(home, 'sock'), resolve))
  onTestFinished(() => server.closeAllConnections())
  onTestFinished(() => void server.close())
  const client = await connect(home)

  await expect(client.catalog.plan('new')).rejects.toMatchObject({
    code: 'INTERNAL',
    message: 'unexpected: something new',
  })
  await expect(client.catalog.plan('x')).rejects.toMatchObject({
    code: 'REF_NOT_FOUND',
    message: 'nowhere: x',
    hint: 'look',
    exit: 4,
  })
})

test('where nobody serves there is no client', async () => {
  const home = folder()
  expect(await connectHome(join(home, 'not', 'there'))).toBeUndefined()
  expect(existsSync(join(home, 'not'))).toBe(false)
  expect(await connectHome(home)).toBeUndefined()

  writeFileSync(join(home, 'sock'), 'no socket')
  expect(await connectHome(home)).toBeUndefined()

  const hangsUp = join(folder(), 'h')
  mkdirSync(hangsUp)
  const server = createSocketServer((socket) => socket.destroy())
  await new Promise<void>((resolve) => server.listen(join(hangsUp, 'sock'), resolve))
  onTestFinished(() => void server.close())
  expect(await connectHome(hangsUp)).toBeUndefined()
})

test('a client whose holder has gone says so', async () => {
  const { client, served, home, id } = await holdOne()
  await served.close()

  await expect(client.catalog.plan(id)).rejects.toMatchObject({ code: 'NO_DAEMON', fields: { home } })
  await expect(client.command(id, null, { do: 'cancel' })).rejects.toMatchObject({ code: 'NO_DAEMON' })
  expect(await connectHome(home)).toBeUndefined()
})

test('the socket of a killed holder is replaced by the next, which has its plans', async () => {
  const home = folder()
  const { child, line } = holder(home)
  const id = await line()
  const client = await connect(home)
  expect(await client.version()).toMatchObject({ pid: child.pid })
  expect(await client.catalog.plan(id)).toMatchObject({ state: 'running' })

  child.kill('SIGKILL')
  await once(child, 'exit')
  expect(existsSync(join(home, 'sock'))).toBe(true)
  expect(await connectHome(home)).toBeUndefined()
  const { served } = await hold({ home, handlers: { gate: () => ({}) } })

  expect((await ask(served.path, 'GET /version')).json).toMatchObject({ pid: process.pid })
  expect(await client.version()).toMatchObject({ pid: process.pid })
  expect(await client.catalog.plan(id)).toMatchObject({ id })
})

test('a process with a client that nobody closed ends by itself', async () => {
  const { home, id } = await holdOne()
  const child = node('client-main.ts', [home])
  const [code] = (await once(child, 'exit')) as [number]

  expect(code).toBe(0)
  expect(id).toBeDefined()
})

const node = (script: string, args: readonly string[]): ChildProcess => {
  const child = spawn(process.execPath, [join(import.meta.dirname, script), ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  return child
}

const holder = (home: string) => {
  const child = node('holder-main.ts', [home])
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]()
  return { child, line: async () => ((await lines.next()) as { value: string }).value }
}
