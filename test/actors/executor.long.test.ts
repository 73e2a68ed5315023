import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, renameSync, rmdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { RUNNER_SOCKET } from '../../src/actors/executor.ts'
import { type Claim, FILES, MARKER, readClaim, readExitRecord, type Spec } from '../../src/attempt.ts'
import { systemClock } from '../../src/clock.ts'
import { lineSender, onLines, socketPath } from '../../src/socket.ts'
import { virtualClock } from '../../src/testing/virtual-clock.ts'
import { fileThere, openHome, openStanding, pidsOf, processGone, STANDS, textThere } from '../runner/home.ts'
import { removeFolder } from '../support/folders.ts'

test('a runner that is killed in the middle: the next adopts what lives, and its end is lost, not guessed', async () => {
  const { shell, executor, runnerPid, home, main: mainOf } = openHome()
  const { ensure, ended, live, logs } = executor()
  const spec = shell('echo x >> ledger; : > there; until test -e go; do sleep 0.02; done; exit 0')
  ensure(spec)
  await fileThere(join(home, 'there'))
  const main = await mainOf(spec.key)
  const first = await runnerPid()

  process.kill(first, 'SIGKILL')
  await fileThere(join(home, 'runner.sock'))
  await adopted(home, spec.key)

  expect(await live()).toEqual([
    expect.objectContaining({ key: spec.key, pid: main, plan: 'plan', attempt: 1 }),
  ])
  expect(await runnerPid()).not.toBe(first)
  writeFileSync(join(home, 'go'), '')
  expect((await ended(spec.key)).record).toMatchObject({
    outcome: 'lost',
    code: null,
    pid: main,
    durationMs: null,
  })
  expect(readFileSync(join(home, 'ledger'), 'utf8')).toBe('x\n')
  expect(logs.some((line) => line.includes('asked for again'))).toBe(true)
})

test('an adopted attempt is stopped with its family, and its timeout goes on from its start', async () => {
  const { shell, executor, runnerPid, stopOf, home, marked } = openHome()
  const { ensure, ended, stop } = executor()
  const deaf = 'trap "" TERM; (setsid sleep 100 &) ; : > $TENUTO_JOB; while :; do sleep 0.05; done'
  const late = shell(deaf, { graceMs: 100 })
  const stopped = shell(deaf)
  ensure(late)
  ensure(stopped)
  await Promise.all([fileThere(join(home, late.job)), fileThere(join(home, stopped.job))])
  const first = await runnerPid()
  process.kill(first, 'SIGSTOP')
  // It is not up before another runner watches, however long that takes.
  limit(late, 1_500)

  process.kill(first, 'SIGKILL')
  await Promise.all([adopted(home, late.key), adopted(home, stopped.key)])
  stop(stopOf(stopped, { graceMs: 100 }))
  const [timeout, cancelled] = await Promise.all([ended(late.key), ended(stopped.key)])

  expect(timeout?.record.outcome).toBe('timeout')
  const lastedMs = (timeout?.record.endedAt ?? 0) - (timeout?.record.startedAt ?? 0)
  expect(lastedMs).toBeGreaterThanOrEqual(1_500)
  expect(cancelled?.record.outcome).toBe('cancelled')
  expect(marked()).toEqual([])
})

test('a daemon that was away when a grace began is told when it asks, each time it asks', async () => {
  const { shell, executor, stopOf, home } = openStanding()
  const before = executor(1)
  const spec = shell(
    `trap ": > asked" TERM; : > there; until test -e away; do sleep 0.02; done; ${STANDS}; while :; do sleep 0.05 || :; done`,
    { timeoutMs: 600, graceMs: 1_000_000 },
  )
  before.ensure(spec)
  await fileThere(join(home, 'there'))
  await before.close()
  writeFileSync(join(home, 'away'), '')
  await fileThere(join(home, 'asked'))

  const { ensure, stopping, stop, ended } = executor(2)
  ensure(spec)
  const first = await stopping(spec.key)
  ensure(spec)
  const second = await stopping(spec.key)
  stop(stopOf(spec, { graceMs: 0 }))

  expect([first, second]).toEqual(['timeout', 'timeout'])
  expect(before.stops).toEqual([])
  expect((await ended(spec.key)).record.outcome).toBe('timeout')
})

test('an attempt that is adopted after its time says that it is being stopped, unless a stop was ordered', async () => {
  const { shell, executor, runnerPid, stopOf, home } = openHome()
  const { ensure, stop, stops, stopping, ended } = executor()
  const deaf = 'trap "" TERM; : > $TENUTO_JOB; while :; do sleep 0.05; done'
  const late = shell(deaf, { graceMs: 1_000_000 })
  const cancelled = shell(deaf, { graceMs: 1_000_000 })
  ensure(late)
  ensure(cancelled)
  await Promise.all([fileThere(join(home, late.job)), fileThere(join(home, cancelled.job))])
  const first = await runnerPid()
  process.kill(first, 'SIGSTOP')
  for (const each of [late, cancelled]) limit(each, 1)
  stop(stopOf(cancelled, { graceMs: 1_000_000 }))

  process.kill(first, 'SIGKILL')
  const why = await stopping(late.key)
  await adopted(home, cancelled.key)
  for (const each of [late, cancelled]) stop(stopOf(each, { graceMs: 0 }))
  const ends = await Promise.all([ended(late.key), ended(cancelled.key)])

  expect(why).toBe('timeout')
  expect(ends.map(({ record }) => record.outcome)).toEqual(['timeout', 'cancelled'])
  expect(stops.filter(({ key }) => key === cancelled.key)).toEqual([])
})

test('an order about a plan is on its way until it is answered, also where the end of its attempt was told before', async () => {
  const { shell, executor } = openHome()
  const { ensure, ended, awaitsPlan } = executor()
  const spec = shell('true')

  for (const _ of ['first', 'again']) {
    ensure(spec)
    expect(awaitsPlan(spec.plan)).toBe(true)
    expect(awaitsPlan('another-bbbbbb')).toBe(false)
    await ended(spec.key)
    expect(awaitsPlan(spec.plan)).toBe(false)
  }
})

test('an attempt that ended while no runner lived is lost', async () => {
  const { shell, executor, runnerPid, home, main: mainOf } = openHome()
  const before = executor(1)
  const spec = shell(': > there; until test -e go; do sleep 0.02; done')
  before.ensure(spec)
  await fileThere(join(home, 'there'))
  const main = await mainOf(spec.key)
  const pid = await runnerPid()
  await before.close()
  process.kill(pid, 'SIGKILL')
  writeFileSync(join(home, 'go'), '')
  await processGone(main)

  const { record } = await executor(2).run(spec)

  expect(record).toMatchObject({ outcome: 'lost', startedAt: null })
})

test('attempts go on without a daemon: the end, and a timeout, are told to the next one', async () => {
  const { shell, executor, home } = openStanding()
  const before = executor(1)
  // The runner takes up the second when the first stands, which is when the daemon is gone.
  const ends = shell(`: > there; until test -e away; do sleep 0.02; done; ${STANDS}; exit 7`)
  const late = shell(`${STANDS}; sleep 100`, { timeoutMs: 300 })
  before.ensure(ends)
  before.ensure(late)
  await fileThere(join(home, 'there'))

  await before.close()
  writeFileSync(join(home, 'away'), '')
  await Promise.all([fileThere(join(ends.dir, FILES.exit)), fileThere(join(late.dir, FILES.exit))])
  const after = executor(2)
  const [first, second] = await Promise.all([after.run(ends), after.run(late)])

  expect(first?.record).toMatchObject({ outcome: 'exit', code: 7 })
  expect(second?.record).toMatchObject({ outcome: 'timeout', signal: 'SIGTERM' })
  expect(before.reports).toEqual([])
})

test('a daemon that comes back adopts through the runner that kept watching, and sees the true end', async () => {
  const { shell, executor, home } = openHome()
  const before = executor(1)
  const spec = shell('echo x >> ledger; : > there; until test -e go; do sleep 0.02; done; exit 5')
  before.ensure(spec)
  await fileThere(join(home, 'there'))
  await before.close()

  const after = executor(2)
  after.ensure(spec)
  writeFileSync(join(home, 'go'), '')

  expect((await after.ended(spec.key)).record).toMatchObject({ outcome: 'exit', code: 5 })
  expect(readFileSync(join(home, 'ledger'), 'utf8')).toBe('x\n')
})

test('a runner that is stopped is let go of: what it was told last waits in its socket until it goes on', async () => {
  const { shell, executor, runnerPid, home, stopOf } = openHome()
  const first = executor(1)
  const spec = shell('trap "exit 3" TERM; : > there; while :; do sleep 0.02; done')
  first.ensure(spec)
  await fileThere(join(home, 'there'))
  await first.close()
  const clock = virtualClock()
  const before = executor(2, clock)
  before.ensure({ ...spec, recovered: true })
  await before.found(spec.key)
  const pid = await runnerPid()
  process.kill(pid, 'SIGSTOP')

  expect(before.silentSince()).toBeUndefined()
  const askedAt = clock.now()
  const living = before.live()
  await clock.advance(5_000)
  expect((await living).map(({ key }) => key)).toEqual([spec.key])
  // It is known to be silent by now, and is not asked again.
  expect(await before.live()).toHaveLength(1)
  expect(before.silentSince()).toBe(askedAt)
  before.stop(stopOf(spec))
  const closed = before.close()
  await clock.advance(1_000)
  await closed
  process.kill(pid, 'SIGCONT')
  await fileThere(join(spec.dir, FILES.exit))

  expect((await executor(3).run(spec)).record).toMatchObject({ outcome: 'cancelled', code: 3 })
})

test('the daemon with the highest epoch is obeyed; the older one lets go and stays away', async () => {
  const { shell, executor, home } = openHome()
  const old = executor(1)
  const spec = shell(': > there; until test -e go; do sleep 0.02; done')
  old.ensure(spec)
  await fileThere(join(home, 'there'))
  const young = executor(2)
  const first = await young.run(shell('true'))

  const older = executor(1)
  older.ensure(shell('echo x >> ledger'))
  young.ensure(spec)
  writeFileSync(join(home, 'go'), '')
  const end = await young.ended(spec.key)

  expect(first.record.outcome).toBe('succeeded')
  expect(end.record.outcome).toBe('succeeded')
  expect(old.reports).toEqual([])
  expect(old.logs.join()).toContain('a daemon with epoch 2 has taken over')
  expect(old.failures).toEqual([expect.objectContaining({ code: 'FENCED', exit: 5 })])
  await young.run(shell('sleep 0.1'))
  expect(older.logs.join()).toContain('epoch 1 is older')
  expect(existsSync(join(home, 'ledger'))).toBe(false)
})

test('a daemon that asks for what another began hears what it is: adopted, started now, or ended', async () => {
  const { shell, executor, stopOf, home, main } = openHome()
  const before = executor(1)
  const waits = (sign: string) => shell(`: > ${sign}; until test -e go; do sleep 0.02; done`)
  const [goes, stopped, ended] = [waits('one'), waits('two'), shell('true')]
  for (const spec of [goes, stopped]) before.ensure(spec)
  await before.run(ended)
  await Promise.all([fileThere(join(home, 'one')), fileThere(join(home, 'two'))])
  await before.close()
  const pid = await main(goes.key)
  const missing = shell('true', { argv: ['no-such-program'] })
  const fresh = shell('true')

  const after = executor(2)
  for (const spec of [goes, ended, fresh, missing]) after.ensure({ ...spec, recovered: true })
  after.stop(stopOf(stopped, { recovered: true }))
  const ends = await Promise.all([ended, fresh, missing, stopped].map(({ key }) => after.ended(key)))

  expect(await after.found(goes.key)).toMatchObject({ how: 'adopted', pid })
  const heard = (key: string) => after.finds.filter((each) => each.key === key).map(({ how }) => how)
  expect(heard(stopped.key)).toEqual(['adopted'])
  expect(heard(fresh.key)).toEqual(['requeued'])
  expect(after.finds.find(({ key }) => key === fresh.key)?.pid).toBe(ends[1]?.record.pid)
  expect(after.finds.find(({ key }) => key === missing.key)).toMatchObject({ how: 'requeued', pid: null })
  expect(heard(ended.key)).toEqual([])
  after.ensure(goes)
  writeFileSync(join(home, 'go'), '')
  await after.ended(goes.key)
  await after.run(shell('true'))
  expect(heard(goes.key)).toEqual(['adopted'])
  expect(before.finds).toEqual([])
})

test('what an attempt was found to be is told once, also when the runner is replaced before and after', async () => {
  const { shell, executor, runnerPid, home, main: mainOf } = openHome()
  const before = executor(1)
  const spec = shell(': > there; until test -e go; do sleep 0.02; done')
  before.ensure(spec)
  await fileThere(join(home, 'there'))
  await before.close()
  const first = await runnerPid()
  process.kill(first, 'SIGKILL')
  await processGone(first)
  const main = await mainOf(spec.key)

  const after = executor(2)
  after.ensure({ ...spec, recovered: true })
  expect(await after.found(spec.key)).toMatchObject({ how: 'adopted', pid: main })
  const second = await runnerPid()
  process.kill(second, 'SIGKILL')
  await processGone(second)
  await expect.poll(() => logOf(home).split(`${spec.key}: adopted`).length - 1).toBe(2)
  writeFileSync(join(home, 'go'), '')

  expect((await after.ended(spec.key)).record.outcome).toBe('lost')
  expect(after.finds).toHaveLength(1)
})

test('the live attempts of a home are found with a runner and without one', async () => {
  const { shell, executor, runnerPid, home } = openHome()
  const one = executor()
  const spec = shell(': > there; exec sleep 100')
  expect(await one.live()).toEqual([])
  one.ensure(spec)
  await fileThere(join(home, 'there'))
  const watched = await one.live()
  const pid = await runnerPid()
  await one.close()
  process.kill(pid, 'SIGKILL')
  await processGone(pid)

  const scanned = await executor(2).live()

  expect(watched).toEqual([expect.objectContaining({ key: spec.key, job: spec.job })])
  expect(scanned).toEqual([{ ...watched[0], startedAt: null }])
})

test('a plan that never had a process is swept without a runner', async () => {
  const { executor, home } = openHome()
  const { sweepPlan, close } = executor()

  sweepPlan('plan')
  await close()

  expect(existsSync(join(home, 'runner.log'))).toBe(false)
})

test('several executors that start at once are served by one runner', async () => {
  const { shell, executor, home } = openHome()
  const executors = [executor(1), executor(2), executor(3), executor(4)]
  const last = executors[3]
  for (const each of executors) each.ensure(shell('true'))
  const { record } = await (last as NonNullable<typeof last>).run(shell('sleep 0.5'))

  expect(record.outcome).toBe('succeeded')
  // One that was started beside it, and has not seen yet that another serves, is about to leave.
  await expect
    .poll(() => pidsOf((line) => line.includes('runner/main.ts') && line.includes(home)).length)
    .toBe(1)
})

test('a runner whose home is gone ends its attempts, makes nothing anew, and leaves', async () => {
  const { shell, executor, runnerPid, home, marked } = openHome()
  const one = executor()
  one.ensure(
    shell('trap "" HUP; exec sleep 100', {
      cwd: '/tmp',
      env: { PATH: '/usr/bin:/bin', AT: home },
    }),
  )
  const pid = await runnerPid()
  await one.live()
  await one.close()

  removeFolder(home)
  await processGone(pid)

  expect(marked()).toEqual([])
  expect(existsSync(home)).toBe(false)
})

test('a daemon whose home is removed is told nothing of its attempts, makes nothing anew, and fails', async () => {
  const { shell, executor, runnerPid, home, marked } = openHome()
  const { ensure, reports, failures } = executor()
  const outside = { cwd: '/tmp', env: { PATH: '/usr/bin:/bin', AT: home } }
  ensure(shell(': > $AT/there; exec sleep 100', outside))
  await fileThere(join(home, 'there'))
  const pid = await runnerPid()

  removeFolder(home)
  await processGone(pid)
  await expect.poll(() => failures.length).toBe(1)

  expect(reports).toEqual([])
  expect(failures[0]).toMatchObject({ code: 'HOME_GONE', exit: 12 })
  expect(failures[0]?.message).toBe(`the home ${home} has been removed`)
  expect(marked()).toEqual([])
  expect(existsSync(home)).toBe(false)
})

test('a home that is moved takes its attempts along: the runner leaves them, and who opens it there adopts them', async () => {
  const { shell, executor, runnerPid, home, marked, main: mainOf } = openHome()
  const before = executor(1)
  const spec = shell(': > there; until test -e go; do sleep 0.02; done', {
    env: { PATH: '/usr/bin:/bin', AT: home },
  })
  before.ensure(spec)
  await fileThere(join(home, 'there'))
  const main = await mainOf(spec.key)
  const first = await runnerPid()

  renameSync(home, `${home}-moved`)
  onTestFinished(() => removeFolder(`${home}-moved`))
  await processGone(first)
  await expect.poll(() => before.failures.length).toBe(1)

  expect(before.failures[0]?.message).toBe(`the home ${home} has been moved to ${home}-moved`)
  expect(existsSync(home)).toBe(false)
  expect(marked(spec.key)).toContain(main)
  // Its folder is where it was again, as if it had been opened in its new place.
  renameSync(`${home}-moved`, home)
  const after = executor(2)
  after.ensure({ ...spec, recovered: true })
  expect(await after.found(spec.key)).toMatchObject({ how: 'adopted', pid: main })
  writeFileSync(join(home, 'go'), '')
  expect((await after.ended(spec.key)).record).toMatchObject({ outcome: 'lost', pid: main })
  expect(before.reports).toEqual([])
})

test('a program waits for what it asked for, also while its runner is being replaced, and then may end', async () => {
  const { shell, home, homeId, runnerPid } = openHome()
  const spec = shell(': > there; until test -e go; do sleep 0.02; done')
  const source = (name: string) => JSON.stringify(new URL(`../../src/${name}`, import.meta.url).href)
  const ports = `home: ${JSON.stringify(home)}, homeId: '${homeId}', epoch: 1, clock: systemClock, build: 'test'`
  const program = `
    import { processExecutor } from ${source('actors/executor.ts')}
    import { systemClock } from ${source('clock.ts')}
    const report = ({ record }) => process.stdout.write(record.outcome)
    import { runnerProgram } from ${source('actors/runner-program.ts')}
    const program = runnerProgram('')
    const nothing = () => {}
    processExecutor({ ${ports}, program, report, begun: nothing, fail: nothing, log: nothing }).ensure(${JSON.stringify(spec)})`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let said = ''
  child.stdout.on('data', (text: Buffer) => {
    said += text.toString()
  })
  await fileThere(join(home, 'there'))

  process.kill(await runnerPid(), 'SIGKILL')
  await adopted(home, spec.key)
  writeFileSync(join(home, 'go'), '')
  const [code] = await once(child, 'close')

  expect({ said, code }).toEqual({ said: 'lost', code: 0 })
})

test('a record on disk is what is told, word for word', async () => {
  const { shell, executor } = openHome()
  const spec = shell('exit 3')
  const { record } = await executor().run(spec)

  expect(readExitRecord(readFileSync(join(spec.dir, FILES.exit), 'utf8'))).toEqual(record)
})

/** Gives an attempt another limit of time, for runners to come. */
const limit = ({ dir }: Spec, timeoutMs: number): void => {
  const claim = readClaim(readFileSync(join(dir, FILES.claim), 'utf8')) as Claim
  writeFileSync(join(dir, FILES.claim), JSON.stringify({ ...claim, limits: { ...claim.limits, timeoutMs } }))
}

const logOf = (home: string): string => readFileSync(join(home, 'runner.log'), 'utf8')

/** Resolves when the runner of a home has written that it adopted an attempt. */
const adopted = (home: string, key: string): Promise<void> =>
  textThere(join(home, 'runner.log'), `${key}: adopted`)

/** A runner of another protocol: it takes the place of one, refuses whoever comes, and leaves when told. */
const stranger = async (home: string) => {
  const path = socketPath(home, RUNNER_SOCKET)
  const server = createServer((socket) => {
    const message = { type: 'refused', why: 'protocol', message: 'no', v: 7, build: 'f'.repeat(64) } as const
    const send = lineSender(socket)
    onLines(socket, () => {
      send(message)
      setImmediate(() => socket.end())
    })
    socket.on('error', () => {})
  })
  server.listen(path)
  await once(server, 'listening')
  const leave = async (): Promise<void> => {
    server.close()
    await once(server, 'close')
  }
  onTestFinished(() => void server.close())
  return { leave }
}

test('a runner of another protocol that stays is told of with both identities, and never replaced', async () => {
  const { home, shell, executor } = openHome()
  const clock = virtualClock()
  const { ensure, failures, reports, logs } = executor(1, clock)
  await stranger(home)

  ensure(shell('true'))
  while (failures.length === 0) await clock.next()

  expect(failures[0]).toMatchObject({ code: 'RUNNER_MISMATCH', exit: 5 })
  expect(failures[0]?.message).toMatch(/of build ffffffffffff, speaks protocol 7; .* test and speaks 1$/)
  expect(clock.monotonic()).toBeGreaterThanOrEqual(8_000)
  expect(reports).toEqual([])
  expect(logs.filter((line) => line.includes('cannot be started'))).toEqual([])
  expect(clock.pending()).toBe(0)
})

test('a runner of another protocol that watches an attempt is told of at once, and the attempt goes on', async () => {
  const { home, homeId, shell, executor } = openHome()
  const clock = virtualClock()
  const { ensure, failures } = executor(1, clock)
  await stranger(home)
  const env = { ...process.env, [MARKER]: `${homeId}/plan/other/1` }
  const attempt = spawn('sh', ['-c', ': > there; until test -e go; do sleep 0.02; done'], { cwd: home, env })
  const gone = once(attempt, 'exit')
  await fileThere(join(home, 'there'))

  ensure(shell('true'))
  while (failures.length === 0) await clock.next()

  expect(failures[0]).toMatchObject({ code: 'RUNNER_MISMATCH', exit: 5 })
  expect(clock.monotonic()).toBeLessThan(1_000)
  writeFileSync(join(home, 'go'), '')
  expect(await gone).toEqual([0, null])
})

test('a runner of another protocol that leaves in time is waited for', async () => {
  const { home, shell, executor, runnerPid } = openHome()
  const clock = virtualClock()
  const { ensure, failures, logs, reports } = executor(1, clock)
  const { leave } = await stranger(home)
  ensure(shell('true'))
  while (!logs.some((line) => line.includes('"why":"protocol"'))) await clock.next()

  await leave()
  while (pidsOf((line) => line.includes('runner/main.ts') && line.includes(home)).length === 0)
    await clock.next()
  await runnerPid()
  while (reports.length === 0) await clock.next()

  expect(reports[0]?.record.outcome).toBe('succeeded')
  expect(failures).toEqual([])
})

test('a runner of another build that speaks the same protocol serves, and is named in the log', async () => {
  const { shell, executor, home } = openHome()
  const before = executor(1)
  before.ensure(shell(': > there; until test -e go; do sleep 0.02; done'))
  await fileThere(join(home, 'there'))
  await before.close()
  const server = executor(2, systemClock, 'another')

  const { record } = await server.run(shell('true'))
  writeFileSync(join(home, 'go'), '')

  expect(record.outcome).toBe('succeeded')
  const told = server.logs.filter((line) => line.includes('the runner is of another build'))
  expect(told).toHaveLength(1)
  expect(told[0]).toMatch(/^warn .*"runner":"test","build":"another"/)
})

test('a runner that ends again and again is told once, and once that one serves', async () => {
  const { shell, executor, home } = openHome()
  const socket = socketPath(home, RUNNER_SOCKET)
  mkdirSync(socket)
  const { ensure, ended, logs } = executor()
  const spec = shell('exit 0')
  const tries = (): number => {
    const log = join(home, 'runner.log')
    return existsSync(log) ? readFileSync(log, 'utf8').split('stopped by').length - 1 : 0
  }

  ensure(spec)
  await expect.poll(tries).toBeGreaterThan(3)
  rmdirSync(socket)

  expect((await ended(spec.key)).record.outcome).toBe('succeeded')
  expect(logs.filter((line) => line.includes('the runner ended'))).toHaveLength(1)
  expect(logs.filter((line) => line.includes('the runner serves'))).toHaveLength(1)
})
