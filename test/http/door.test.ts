/**
 * The socket of a home, and what says who holds it: made again where somebody removes them, and told where they cannot be.
 *
 * Mutations that were planted once, and each found: a socket that is not looked for again; one that is made where a folder was put by
 * removing it; connections that end with the old door.
 */
import { existsSync, mkdirSync, readFileSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { TenutoError } from '../../src/errors.ts'
import { DAEMON, noAnswer, readHolder } from '../../src/holder.ts'
import { homePaths } from '../../src/home.ts'
import { serveHome } from '../../src/http/server.ts'
import { definePlan } from '../../src/plans/define-plan.ts'
import { createRuntime } from '../../src/runtime.ts'
import { socketPath } from '../../src/socket.ts'
import { connect, folder, gates, hold } from './served.ts'

const soon = { interval: 20 }
const isSocket = (path: string): boolean =>
  statSync(path, { throwIfNoEntry: false })?.isSocket() === true && (statSync(path).mode & 0o777) === 0o600

test('a socket and a daemon.json that are removed are made again; who is connected notices nothing', async () => {
  const gate = gates()
  const { home, served, client, submit } = await hold({ handlers: { wait: gate.handler } })
  const { daemon, log } = homePaths(home)
  const id = await submit(definePlan({ name: 'p', jobs: { a: { call: 'wait' } } }))
  const events = client.events({ plan: id, after: 0 })[Symbol.asyncIterator]()
  const first = await events.next()

  rmSync(daemon)
  rmSync(served.path)
  await expect.poll(() => isSocket(served.path) && existsSync(daemon), soon).toBe(true)

  expect(readHolder(daemon)).toMatchObject({ pid: process.pid, sock: served.path })
  const again = await connect(home)
  expect((await again.state()).counts.plans).toEqual({ running: 1 })
  gate.open('a')
  let last = first.value
  for await (const event of { [Symbol.asyncIterator]: () => events }) {
    last = event
    if (event.to === 'succeeded' && event.job === undefined) break
  }
  expect(last).toMatchObject({ plan: id, to: 'succeeded' })
  expect(readFileSync(log, 'utf8')).toContain('the socket was gone and is made again')
  await served.close()
  expect(existsSync(served.path)).toBe(false)
})

test('a file in the place of the socket makes way; a folder stays as it is, and the socket comes when it is gone', async () => {
  const { home, served } = await hold()
  const logged = (): string => readFileSync(homePaths(home).log, 'utf8')

  rmSync(served.path)
  writeFileSync(served.path, 'mine')
  await expect.poll(() => isSocket(served.path), soon).toBe(true)
  rmSync(served.path)
  mkdirSync(served.path)
  await expect.poll(logged, soon).toContain('a folder is in its place')
  expect(statSync(served.path).isDirectory()).toBe(true)
  rmdirSync(served.path)
  await expect.poll(() => isSocket(served.path), soon).toBe(true)

  expect((await (await connect(home)).version()).pid).toBe(process.pid)
  expect(logged().split('cannot be made again')).toHaveLength(2)
})

test('a home is let go of also while its socket cannot be made', async () => {
  const { home, runtime, served } = await hold()
  rmSync(served.path)
  mkdirSync(served.path)
  await expect
    .poll(() => readFileSync(homePaths(home).log, 'utf8'), soon)
    .toContain('a folder is in its place')

  await served.close()
  await runtime.stop()

  expect(existsSync(homePaths(home).daemon)).toBe(false)
})

test('a home is let go of also while a full disk does not take that it is served no more', async () => {
  const full = new TenutoError('STORE_FULL', { path: 'daemon.json', why: 'ENOSPC' })
  const { home, runtime, served } = await hold({}, (runtime) => ({
    ...runtime,
    describe: (more) => {
      if (more.sock === null) throw full
      runtime.describe(more)
    },
  }))

  await served.close()
  await runtime.stop()

  expect(existsSync(served.path)).toBe(false)
  expect(existsSync(homePaths(home).daemon)).toBe(false)
})

test('a folder in the place of the socket refuses the service in words, and is not touched', async () => {
  const home = folder()
  const runtime = await createRuntime({ home })
  const path = socketPath(home, 'sock')
  mkdirSync(path)
  writeFileSync(join(path, 'mine'), '')

  await expect(serveHome(runtime)).rejects.toMatchObject({
    code: 'SOCKET_UNMADE',
    message: expect.stringContaining(`${path}, the socket of the home, cannot be made: a folder`) as string,
  })

  expect(existsSync(join(path, 'mine'))).toBe(true)
  await runtime.stop()
})

test('who meets a daemon without a socket hears that it makes it again, and that stopping it costs no attempt', async () => {
  const home = folder()
  const runtime = await createRuntime({ home, command: DAEMON })

  const { hint } = noAnswer(home)

  expect(hint).toContain(`its socket ${socketPath(home, 'sock')} is not there`)
  expect(hint).toContain(`what runs goes on also when it is stopped: \`kill ${process.pid}\``)
  await runtime.stop()
})
