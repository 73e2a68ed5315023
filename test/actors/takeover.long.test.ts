import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createConnection, type Socket } from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { FILES, type Spec } from '../../src/attempt.ts'
import { PROTOCOL_VERSION, readFromRunner } from '../../src/protocol.ts'
import { lineSender, onLines, socketPath } from '../../src/socket.ts'
import { virtualClock } from '../../src/testing/virtual-clock.ts'
import { fileThere, openHome, processGone } from '../runner/home.ts'

const source = (name: string): string => new URL(`../../src/${name}`, import.meta.url).href

/** A daemon in a process of its own, as it can be stopped and continued: it ensures one attempt and says what it hears. */
const startDaemon = (home: string, homeId: string, epoch: number, spec: Spec) => {
  const program = `
    import { processExecutor } from ${JSON.stringify(source('actors/executor.ts'))}
    import { runnerProgram } from ${JSON.stringify(source('actors/runner-program.ts'))}
    import { systemClock as clock } from ${JSON.stringify(source('clock.ts'))}
    const say = (...words) => process.stdout.write(words.join(' ') + '\\n')
    processExecutor({
      home: ${JSON.stringify(home)}, homeId: '${homeId}', epoch: ${epoch}, clock, build: 'test', program: runnerProgram(''),
      report: ({ record }) => say('ended', record.outcome),
      found: (_, how) => say('found', how),
      begun: () => {},
      stopping: (_, why) => say('stopping', why),
      fail: ({ code }) => say('failed', code),
      log: () => {},
    }).ensure(${JSON.stringify(spec)})`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  let said = ''
  child.stdout.on('data', (text: Buffer) => {
    said += text.toString()
  })
  const ended = once(child, 'close').then(([code]) => ({ said, code: code as unknown }))
  return { child, ended }
}

test('a daemon that sleeps while a newer one takes over is refused when it wakes, says so, and stops', async () => {
  const { home, homeId, shell, executor } = openHome()
  const spec = shell('echo x >> ledger; : > there; until test -e go; do sleep 0.02; done')
  const old = startDaemon(home, homeId, 1, spec)
  await fileThere(join(home, 'there'))
  old.child.kill('SIGSTOP')

  const young = executor(2)
  young.ensure({ ...spec, recovered: true })
  expect((await young.found(spec.key)).how).toBe('adopted')
  writeFileSync(join(home, 'go'), '')
  expect((await young.ended(spec.key)).record.outcome).toBe('succeeded')
  old.child.kill('SIGCONT')

  expect(await old.ended).toEqual({ said: 'failed FENCED\n', code: 0 })
  expect((await young.run(shell('true'))).record.outcome).toBe('succeeded')
  expect(young.failures).toEqual([])
  expect(readFileSync(join(home, 'ledger'), 'utf8')).toBe('x\n')
})

test('daemon and runner that are stopped and continued, apart and together, lose nothing and do nothing twice', async () => {
  const { home, homeId, shell, runnerPid } = openHome()
  const text = 'echo x >> ledger; : > there; until test -e go; do sleep 0.02; done; : > gone; exit 3'
  const spec = shell(text, { stallMs: 2_500 })
  const { child, ended } = startDaemon(home, homeId, 1, spec)
  await fileThere(join(home, 'there'))
  const runner = await runnerPid()
  const both = (signal: NodeJS.Signals) => {
    for (const pid of [child.pid as number, runner]) process.kill(pid, signal)
  }
  const tick = shell('').env

  // Together longer than the silence that the job may keep.
  both('SIGSTOP')
  await once(spawn('sleep', ['3'], { env: tick }), 'exit')
  both('SIGCONT')
  child.kill('SIGSTOP')
  child.kill('SIGCONT')
  process.kill(runner, 'SIGSTOP')
  writeFileSync(join(home, 'go'), '')
  await fileThere(join(home, 'gone'))
  both('SIGSTOP')
  both('SIGCONT')

  expect(await ended).toEqual({ said: 'ended exit\n', code: 0 })
  expect(readFileSync(join(home, 'ledger'), 'utf8')).toBe('x\n')
})

test('a runner that is stopped is named, and what lives is seen without it; continued, it does what it was asked', async () => {
  const { home, shell, executor, runnerPid, main } = openHome()
  const before = executor(1)
  const spec = shell(': > there; until test -e go; do sleep 0.02; done')
  before.ensure(spec)
  await fileThere(join(home, 'there'))
  const runner = await runnerPid()
  await before.close()
  process.kill(runner, 'SIGSTOP')
  const clock = virtualClock()
  const { ensure, live, found, ended, logs } = executor(2, clock)

  ensure({ ...spec, recovered: true })
  // It is connected to at the next turns; the kernel takes the connection for a process that is stopped.
  while (clock.pending() === 0) await new Promise((resolve) => setImmediate(resolve))
  const asked = live()
  while (clock.pending() > 0) await clock.next()
  const seen = await asked

  expect(seen).toEqual([expect.objectContaining({ key: spec.key, pid: await main(spec.key) })])
  expect(logs.filter((line) => line.includes('the runner does not answer'))).toHaveLength(1)
  process.kill(runner, 'SIGCONT')
  expect((await found(spec.key)).how).toBe('adopted')
  writeFileSync(join(home, 'go'), '')
  expect((await ended(spec.key)).record.outcome).toBe('succeeded')
})

/** A connection to a socket that is there, and perhaps not listened to yet. */
const connected = async (path: string): Promise<Socket> => {
  for (;;) {
    const socket = createConnection(path)
    const isConnected = await Promise.race([
      once(socket, 'connect').then(() => true),
      once(socket, 'error').then(() => false),
    ]).catch(() => false)
    if (isConnected) return socket
  }
}

/** This runner with another protocol, as an older build would have left it; it has begun an attempt. */
const olderRunner = async (home: string, spec: Spec) => {
  const older = join(home, 'older')
  cpSync(new URL(source('runner')), join(older, 'runner'), { recursive: true })
  const around = new URL('..', source('runner/main.ts'))
  for (const name of readdirSync(around))
    if (name.endsWith('.ts')) cpSync(new URL(name, around), join(older, name))
  writeFileSync(join(older, 'package.json'), '{"type":"module"}')
  const protocol = join(older, 'protocol.ts')
  const now = `PROTOCOL_VERSION = ${PROTOCOL_VERSION}`
  const text = readFileSync(protocol, 'utf8')
  expect(text).toContain(now)
  writeFileSync(protocol, text.replace(now, 'PROTOCOL_VERSION = 0'))
  const path = socketPath(home, 'runner.sock')
  const runner = spawn(process.execPath, [join(older, 'runner/main.ts'), home, path, 'older'], {
    stdio: 'ignore',
    detached: true,
  })
  await fileThere(path)
  const socket = await connected(path)
  const send = lineSender(socket)
  const welcome = new Promise((resolve) => onLines(socket, (line) => resolve(readFromRunner(line))))
  send({ type: 'hello', v: 0, epoch: 1, build: 'older' })
  send({ type: 'ensure', spec })
  expect(await welcome).toMatchObject({ type: 'welcome', v: 0 })
  await fileThere(join(home, 'there'))
  socket.destroy()
  return runner
}

test('an attempt of a runner of an older protocol goes on to its end; a newer daemon is refused until then, waits for the runner to leave, and takes the end in', async () => {
  const { home, shell, executor } = openHome()
  const spec = shell('echo x >> ledger; : > there; until test -e go; do sleep 0.02; done; exit 3')
  const older = await olderRunner(home, spec)

  const early = executor(2)
  early.ensure({ ...spec, recovered: true })
  await expect.poll(() => early.failures.map(({ code }) => code)).toEqual(['RUNNER_MISMATCH'])
  writeFileSync(join(home, 'go'), '')
  await fileThere(join(spec.dir, FILES.exit))
  const { ensure, ended, found, finds, logs, failures } = executor(3)
  ensure({ ...spec, recovered: true })
  await expect.poll(() => logs.some((line) => line.includes('"why":"protocol"'))).toBe(true)
  // Not to wait until it leaves by itself.
  older.kill('SIGTERM')
  await processGone(older.pid as number)
  const { record } = await ended(spec.key)
  const fresh = shell('true')
  ensure({ ...fresh, recovered: true })

  expect(record).toMatchObject({ outcome: 'exit', code: 3 })
  expect((await found(fresh.key)).how).toBe('requeued')
  expect(finds).toHaveLength(1)
  expect(readFileSync(join(home, 'ledger'), 'utf8')).toBe('x\n')
  expect(failures).toEqual([])
})

test('200 launches of one attempt at once, by many daemons and runners: one execution', async () => {
  const { home, shell, executor } = openHome()
  const spec = shell('echo x >> ledger; until test -e go; do sleep 0.02; done')
  const daemons = Array.from({ length: 20 }, (_, at) => executor(at + 1))

  for (let launch = 0; launch < 10; launch += 1) for (const { ensure } of daemons) ensure(spec)
  await fileThere(join(home, 'ledger'))
  writeFileSync(join(home, 'go'), '')
  const youngest = daemons.at(-1)
  const end = await youngest?.ended(spec.key)

  expect(end?.record.outcome).toBe('succeeded')
  expect(readFileSync(join(home, 'ledger'), 'utf8')).toBe('x\n')
})

test('of 200 who take the claim of one attempt at once, in many processes, one has it', async () => {
  const { home, ref } = openHome()
  const { dir, ...rest } = ref()
  mkdirSync(join(home, 'ready'))
  const program = `
    import { existsSync, writeFileSync } from 'node:fs'
    import { takeClaim } from ${JSON.stringify(source('runner/directory.ts'))}
    import { identityOf } from ${JSON.stringify(source('process.ts'))}
    const holder = identityOf(process.pid)
    writeFileSync(${JSON.stringify(join(home, 'ready'))} + '/' + process.pid, '')
    while (!existsSync(${JSON.stringify(join(home, 'go'))}));
    let won = 0
    for (let at = 0; at < 50; at += 1)
      if (takeClaim(${JSON.stringify({ ...rest, dir })}, { by: 'runner', holder, epoch: 1, at: 1 })) won += 1
    process.exitCode = won`
  const takers = Array.from({ length: 4 }, () =>
    spawn(process.execPath, ['--input-type=module', '--eval', program], { stdio: 'inherit' }),
  )
  const ends = takers.map(async (taker) => (await once(taker, 'exit'))[0] as number)
  await Promise.all(takers.map(({ pid }) => fileThere(join(home, 'ready', String(pid)))))

  writeFileSync(join(home, 'go'), '')
  const won = await Promise.all(ends)

  expect(won.toSorted((a, b) => a - b)).toEqual([0, 0, 0, 1])
  expect(existsSync(join(dir, FILES.claim))).toBe(true)
})
