import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { createConnection, type Socket } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { MARKER } from '../../src/attempt.ts'
import { type FromRunner, PROTOCOL_VERSION, readFromRunner } from '../../src/protocol.ts'
import { onLines, SOCKET_PATH_BYTES_MAX, socketPath } from '../../src/socket.ts'
import { codeOf } from '../../src/thrown.ts'
import { fileThere, openHome } from './home.ts'

const main = fileURLToPath(new URL('../../src/runner/main.ts', import.meta.url))
const startRunner = (home: string): ChildProcess =>
  spawn(process.execPath, [main, home, socketPath(home, 'runner.sock'), 'test'], { stdio: 'ignore' })

/** A socket is in its place a moment before anybody listens on it: only trying again can tell. */
const connected = async (path: string): Promise<Socket> => {
  for (;;) {
    const socket = createConnection(path)
    try {
      await once(socket, 'connect')
      return socket
    } catch (error) {
      if (codeOf(error) !== 'ECONNREFUSED') throw error
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }
}
/** Says these lines to the runner and resolves with the first answers. */
const talk = async (
  path: string,
  lines: readonly unknown[],
  answers: number,
): Promise<readonly FromRunner[]> => {
  const socket = await connected(path)
  const heard: FromRunner[] = []
  await new Promise<void>((resolve, reject) => {
    socket.on('error', reject)
    onLines(socket, (line) => {
      const message = readFromRunner(line)
      if (message !== undefined) heard.push(message)
      if (heard.length === answers) resolve()
    })
    socket.write(lines.map((line) => `${typeof line === 'string' ? line : JSON.stringify(line)}\n`).join(''))
  })
  socket.destroy()
  return heard
}

test('of five runners started at once one serves; it leaves when it is idle, and the socket goes with it', async () => {
  const { home, runnerPid } = openHome()
  // Left by a runner that was killed.
  writeFileSync(join(home, 'runner.sock'), '')
  const runners = Array.from({ length: 5 }, () => startRunner(home))
  const ends = runners.map(async (runner) => {
    const [code] = await once(runner, 'exit')
    return { pid: runner.pid, code: code as unknown, at: performance.now() }
  })

  const first = await runnerPid()
  const all = await Promise.all(ends)

  expect(all.map(({ code }) => code)).toEqual([0, 0, 0, 0, 0])
  const [last] = [...all].sort((a, b) => b.at - a.at)
  expect(all.some(({ pid }) => pid === first)).toBe(true)
  expect(runners.some(({ pid }) => pid === last?.pid)).toBe(true)
  expect(existsSync(join(home, 'runner.sock'))).toBe(false)
})

test('a runner whose daemon went away while it ended strays leaves when they are gone', async () => {
  const { home, homeId, runnerPid, marked } = openHome()
  const deaf = 'trap "" TERM; : > there; while :; do sleep 0.05; done'
  const env = { ...process.env, [MARKER]: `${homeId}/plan/a/1` }
  const stray = spawn('sh', ['-c', deaf], { cwd: home, env, stdio: 'ignore' })
  const gone = once(stray, 'exit')
  await fileThere(join(home, 'there'))
  const runner = startRunner(home)
  const left = once(runner, 'exit')
  await runnerPid()

  const hello = { type: 'hello', v: PROTOCOL_VERSION, epoch: 1, build: 'test' }
  await talk(socketPath(home, 'runner.sock'), [hello, { type: 'sweep', prefix: `${homeId}/plan/` }], 1)

  expect(await gone).toEqual([null, 'SIGKILL'])
  expect(await left).toEqual([0, null])
  expect(marked()).toEqual([])
})

test('a runner obeys nobody who has not said hello in its own protocol, and survives nonsense', async () => {
  const { home, runnerPid, shell } = openHome()
  const runner = startRunner(home)
  await runnerPid()
  const path = socketPath(home, 'runner.sock')
  expect(statSync(path).mode & 0o777).toBe(0o600)
  const hello = { type: 'hello', v: PROTOCOL_VERSION, epoch: 7, build: 'test' }
  const spec = shell('echo x >> ledger')

  const nonsense = ['', '{', '[]', '{"type":"ensure","spec":{}}', { type: 'ensure', spec }]
  const [welcome, live] = await talk(path, [...nonsense, hello, { type: 'live', id: 3 }], 2)
  const [foreign] = await talk(path, [{ ...hello, v: 99 }], 1)
  const [older] = await talk(path, [{ ...hello, epoch: 6 }], 1)

  expect(welcome).toMatchObject({ type: 'welcome', v: PROTOCOL_VERSION, pid: runner.pid })
  expect(live).toEqual({ type: 'live', id: 3, attempts: [] })
  expect(foreign).toMatchObject({ type: 'refused', why: 'protocol' })
  expect(older).toMatchObject({
    type: 'refused',
    why: 'epoch',
    message: expect.stringContaining('epoch 6 is older'),
  })
  expect(existsSync(join(home, 'ledger'))).toBe(false)
  runner.kill('SIGTERM')
  expect(await once(runner, 'exit')).toEqual([0, null])
})

test('a home whose path is too long for a socket has it in a closed folder of its user', async () => {
  const { home, executor, shell } = openHome()
  const deep = join(home, 'd'.repeat(120))
  mkdirSync(deep)

  const path = socketPath(deep, 'runner.sock')

  expect(socketPath(home, 'runner.sock')).toBe(join(home, 'runner.sock'))
  expect(Buffer.byteLength(path)).toBeLessThanOrEqual(SOCKET_PATH_BYTES_MAX)
  expect(socketPath(deep, 'runner.sock')).toBe(path)
  expect(socketPath(deep, 'sock')).not.toBe(path)
  expect(statSync(join(path, '..')).mode & 0o777).toBe(0o700)
  expect((await executor().run(shell('true'))).record.outcome).toBe('succeeded')
})
