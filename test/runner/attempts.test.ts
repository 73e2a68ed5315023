import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { FILES, MARKER, readClaim, readExitRecord } from '../../src/attempt.ts'
import { bootId, identityOf } from '../../src/process.ts'
import { fileThere, openHome, openStanding, processGone, STANDS } from './home.ts'

const exitOf = (dir: string) => readExitRecord(readFileSync(join(dir, FILES.exit), 'utf8'))

test('an attempt that exits 0 has succeeded; its record, log and environment are as promised', async () => {
  const { shell, executor, home } = openHome()
  const spec = shell('echo out; echo err >&2; env > env; cat "$TENUTO_NEEDS"; test -d "$TENUTO_ARTIFACTS"', {
    needs: '{"a":{"result":"succeeded","outputs":{}}}',
    env: { PATH: '/usr/bin:/bin', WHO: 'me' },
  })

  const { record, outputs, warnings, generation } = await executor().run(spec)

  expect(record).toMatchObject({ outcome: 'succeeded', code: 0, signal: null, leftovers: 0, key: spec.key })
  expect(exitOf(spec.dir)).toEqual(record)
  expect(outputs).toBeUndefined()
  expect(warnings).toEqual([])
  expect(generation).toBe(1)
  expect(record.durationMs).toBeGreaterThanOrEqual(0)
  expect(record.endedAt).toBeGreaterThanOrEqual(record.startedAt as number)
  const log = readFileSync(join(spec.dir, FILES.log), 'utf8')
  expect(log).toBe('out\nerr\n{"a":{"result":"succeeded","outputs":{}}}')
  expect(record.log).toEqual({ bytes: log.length })
  const names = readFileSync(join(home, 'env'), 'utf8')
    .split('\n')
    .map((line) => line.split('=')[0])
  expect(
    new Set(names.filter((name) => !['', 'PWD', '_', 'SHLVL', 'OLDPWD'].includes(name as string))),
  ).toEqual(
    new Set([
      'PATH',
      'TENUTO_ARTIFACTS',
      'TENUTO_ATTEMPT',
      'TENUTO_ATTEMPT_KEY',
      'TENUTO_JOB',
      'TENUTO_NEEDS',
      'TENUTO_OUTPUT',
      'TENUTO_PLAN',
      'WHO',
    ]),
  )
})

test('a code other than 0 is `exit` and a signal is `signal`, each with its value', async () => {
  const { shell, executor } = openHome()
  const { run } = executor()

  const [left, killed] = await Promise.all([run(shell('exit 75')), run(shell('kill -9 $$'))])

  expect(left?.record).toMatchObject({ outcome: 'exit', code: 75, signal: null })
  expect(killed?.record).toMatchObject({ outcome: 'signal', code: null, signal: 'SIGKILL' })
})

test('outputs are read at the end; what is no output is a warning and changes nothing', async () => {
  const { shell, executor } = openHome()
  const text = 'printf "by=me\\n{\\"n\\": 1}\\nnonsense\\n" > "$TENUTO_OUTPUT"'

  const { outputs, warnings, record } = await executor().run(shell(text))

  expect(record.outcome).toBe('succeeded')
  expect(outputs).toEqual({ by: 'me', n: 1 })
  expect(warnings).toEqual(['outputs: line 3 is neither key=value nor a JSON object'])
})

test('an outputs file that became a pipe is a warning; nobody waits for it', async () => {
  const { shell, executor } = openHome()

  const { outputs, warnings } = await executor().run(shell('mkfifo "$TENUTO_OUTPUT"'))

  expect(outputs).toBeUndefined()
  expect(warnings).toEqual(['outputs: not a file'])
})

test.runIf(existsSync('/proc/self/oom_score_adj'))(
  'a job, and what it starts, is ended before its runner where memory runs out',
  async () => {
    const { shell, executor } = openHome()
    const own = Number(readFileSync('/proc/self/oom_score_adj', 'utf8'))
    const wanted = Math.max(own, 500)

    const { record } = await executor().run(
      shell(`until grep -qx ${wanted} /proc/self/oom_score_adj; do sleep 0.02; done`, { timeoutMs: 20_000 }),
    )

    expect(record.outcome).toBe('succeeded')
  },
)

test('what cannot be started is `spawn-error` and says what is wrong', async () => {
  const { shell, executor, home, runnerPid } = openHome()
  const { run } = executor()
  const beside = run(shell('until [ -e go ]; do sleep 0.02; done'))
  const runner = await runnerPid()
  symlinkSync('loop', join(home, 'loop'))
  writeFileSync(join(home, 'plain'), '')
  writeFileSync(join(home, 'bad'), '#!/no/such/interpreter\n')
  chmodSync(join(home, 'bad'), 0o755)

  const ends = await Promise.all([
    run(shell('', { argv: ['no-such-program'] })),
    run(shell('', { argv: [join(home, 'plain')] })),
    run(shell('', { argv: [join(home, 'bad')] })),
    run(shell('true', { cwd: join(home, 'nowhere') })),
    run(shell('true', { cwd: join(home, 'plain') })),
    run(shell('true', { cwd: join(home, 'loop') })),
    run(shell('true', { cwd: join(home, 'x'.repeat(300)) })),
    run(shell('true', { cwd: join(home, '\0') })),
  ])

  expect(ends.map(({ record }) => record.outcome)).toEqual(Array(8).fill('spawn-error'))
  expect(ends.map(({ record }) => record.error)).toEqual([
    'the program no-such-program was not found',
    expect.stringContaining('may not be executed'),
    expect.stringContaining('names an interpreter that does not exist'),
    `the folder ${home}/nowhere does not exist`,
    `${home}/plain is no folder`,
    expect.stringMatching(/loop cannot be reached: ELOOP/),
    expect.stringMatching(/x cannot be reached: ENAMETOOLONG/),
    expect.stringContaining('cannot be reached: '),
  ])
  // What one attempt is asked for costs no other its runner.
  writeFileSync(join(home, 'go'), '')
  expect((await beside).record.outcome).toBe('succeeded')
  expect(await runnerPid()).toBe(runner)
  expect(ends.every(({ record }) => record.startedAt === null && record.pid === null)).toBe(true)
})

test('a directory that cannot be made is `never-started`', async () => {
  const { shell, executor, home } = openHome()
  const { run } = executor()
  writeFileSync(join(home, 'attempts'), 'in the way')

  const { record } = await run(shell('true'))

  expect(record).toMatchObject({ outcome: 'never-started', startedAt: null })
  expect(record.error).toContain('ENOTDIR')
})

test('a child that ignores TERM is killed after its grace, and the end is still `timeout`', async () => {
  const { shell, executor, marked } = openStanding()
  const spec = shell(`trap "" TERM; ${STANDS}; while :; do sleep 0.1; done`, { timeoutMs: 150, graceMs: 150 })

  const { record } = await executor().run(spec)

  expect(record).toMatchObject({ outcome: 'timeout', signal: 'SIGKILL' })
  expect(record.durationMs).toBeGreaterThanOrEqual(300)
  expect(marked(spec.key)).toEqual([])
})

test('a child that exits 0 on TERM has still timed out; of timeout and deadline the nearer one decides', async () => {
  const { shell, executor } = openStanding()
  const { run } = executor()
  const polite = `trap "exit 0" TERM; ${STANDS}; while :; do sleep 0.05; done`

  const [timeout, deadline] = await Promise.all([
    run(shell(polite, { timeoutMs: 150, deadlineMs: 5_000 })),
    run(shell(polite, { timeoutMs: 5_000, deadlineMs: 150 })),
  ])

  expect(timeout?.record).toMatchObject({ outcome: 'timeout', code: 0 })
  expect(deadline?.record).toMatchObject({ outcome: 'deadline', code: 0 })
})

test.each([
  ['timeout', { timeoutMs: 600 }],
  ['deadline', { deadlineMs: 600, timeoutMs: 50_000 }],
  ['stall', { stallMs: 600 }],
] as const)(
  'a stop for its %s is told when the grace begins, and not again without being asked',
  async (why, limit) => {
    const { shell, executor, stopOf, home } = openStanding()
    const { ensure, stop, stopping, stops, ended } = executor()
    const spec = shell(`trap ": > asked" TERM; ${STANDS}; while :; do sleep 0.05 || :; done`, {
      ...limit,
      graceMs: 1_000_000,
    })
    ensure(spec)

    expect(await stopping(spec.key)).toBe(why)
    await fileThere(join(home, 'asked'))
    expect(existsSync(join(spec.dir, FILES.exit))).toBe(false)
    stop(stopOf(spec, { graceMs: 0, why }))

    expect((await ended(spec.key)).record).toMatchObject({ outcome: why, signal: 'SIGKILL' })
    expect(stops).toEqual([{ key: spec.key, why }])
  },
)

test('a stop that was ordered is not told back, also when a limit passes in its grace', async () => {
  const { shell, executor, stopOf, home } = openHome()
  const { ensure, stop, stops, ended, run } = executor()
  const spec = shell('trap "" TERM; : > there; while :; do sleep 0.05; done', { timeoutMs: 1_500 })
  ensure(spec)
  await fileThere(join(home, 'there'))

  stop(stopOf(spec, { graceMs: 1_000_000 }))
  await run(shell('sleep 1.6'))
  stop(stopOf(spec, { graceMs: 0 }))

  expect((await ended(spec.key)).record.outcome).toBe('cancelled')
  expect(stops).toEqual([])
})

test('a stop finds the grandchild in its own session by its marker', async () => {
  const { shell, executor, stopOf, home, marked } = openHome()
  const { ensure, stop, ended } = executor()
  const spec = shell('setsid sh -c "trap \\"\\" TERM; : > there; while :; do sleep 0.1; done" & wait')
  ensure(spec)
  await fileThere(join(home, 'there'))
  expect(marked(spec.key).length).toBeGreaterThan(1)

  stop(stopOf(spec))
  const { record } = await ended(spec.key)

  expect(record.outcome).toBe('cancelled')
  expect(record.leftovers).toBeGreaterThan(0)
  expect(marked(spec.key)).toEqual([])
})

test('an attempt ends when its main process exits; what is left in its group is ended and counted', async () => {
  const { shell, executor, marked } = openHome()
  const { run } = executor()
  const polite = shell('sleep 100 & sleep 100 & sleep 0.1')
  const deaf = shell(
    '(trap "" TERM; : > ready; while :; do sleep 0.1; done) & until test -e ready; do sleep 0.02; done',
  )

  const [first, second] = await Promise.all([run(polite), run(deaf)])

  expect(first?.record).toMatchObject({ outcome: 'succeeded', leftovers: 2 })
  expect(first?.record.durationMs).toBeLessThan(60_000)
  expect(second?.record.outcome).toBe('succeeded')
  expect(second?.record.leftovers).toBeGreaterThan(0)
  expect([...marked(polite.key), ...marked(deaf.key)]).toEqual([])
})

test.each([
  ['of a moment', ''],
  ['that made many processes meanwhile', 'for i in $(seq 150); do /bin/true; done;'],
  ['of more than a second', 'sleep 1.1;'],
])('an attempt %s ends with what left its group, which is counted', async (_, first) => {
  const { shell, executor, marked } = openHome()
  const { run, live } = executor()
  const inItsOwnSession = (text: string, sign: string) =>
    `${first} setsid sh -c "${text}: > ${sign}; while :; do sleep 0.05; done" & until test -e ${sign}; do sleep 0.02; done`
  const polite = shell(inItsOwnSession('', 'one'))
  const deaf = shell(inItsOwnSession("trap '' TERM; ", 'two'))
  const daemon = shell(`(${inItsOwnSession('', 'three')}); exit 3`)
  const clean = shell(`${first} true`)

  const ends = await Promise.all([polite, deaf, daemon, clean].map(run))

  expect(ends.map(({ record }) => record.outcome)).toEqual(['succeeded', 'succeeded', 'exit', 'succeeded'])
  for (const { record } of ends.slice(0, 3)) expect(record.leftovers).toBeGreaterThan(0)
  expect(ends[3]?.record.leftovers).toBe(0)
  expect(marked()).toEqual([])
  expect(await live()).toEqual([])
})

test('what bears the marker of an ended attempt, wherever it came from, is ended with its plan and no other', async () => {
  const { shell, executor, marked, home } = openHome()
  const { run, sweepPlan } = executor()
  const spec = shell('true')
  await run(spec)
  const stray = spawn('sleep', ['100'], { env: { ...process.env, [MARKER]: spec.key }, stdio: 'ignore' })
  const gone = once(stray, 'exit')

  sweepPlan('another')
  const other = await run(shell(`test -e /proc/${stray.pid}`))
  expect(other.record).toMatchObject({ outcome: 'succeeded', leftovers: 0 })
  sweepPlan('plan')
  await gone

  expect(marked(spec.key)).toEqual([])
  expect(existsSync(home)).toBe(true)
})

test('a job that prints is not stalled, however long it runs; a silent one is', async () => {
  const { shell, executor } = openHome()
  const { run } = executor()

  const [talking, silent] = await Promise.all([
    run(shell('for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo $i; sleep 0.2; done', { stallMs: 1_000 })),
    run(shell('sleep 100', { stallMs: 1_000 })),
  ])

  expect(talking?.record.outcome).toBe('succeeded')
  expect(silent?.record).toMatchObject({ outcome: 'stall', signal: 'SIGTERM' })
  expect(silent?.record.durationMs).toBeGreaterThanOrEqual(1_000)
})

test('a pause of the runner does not count as silence of the job', async () => {
  const { shell, executor, runnerPid, home } = openHome()
  const { ensure, ended } = executor()
  // Silent for longer than its limit, but nearly all of that while nobody watched.
  const spec = shell(': > there; sleep 3; : > later; sleep 0.5; echo said', { stallMs: 2_000 })
  ensure(spec)
  await fileThere(join(home, 'there'))
  const pid = await runnerPid()

  process.kill(pid, 'SIGSTOP')
  await fileThere(join(home, 'later'))
  process.kill(pid, 'SIGCONT')

  expect((await ended(spec.key)).record.outcome).toBe('succeeded')
})

test('fifty ensures of one attempt are one execution, and each later one is told the same end', async () => {
  const { shell, executor, home } = openHome()
  const { ensure, ended, reports } = executor()
  const spec = shell('echo x >> ledger; sleep 0.1')
  for (let i = 0; i < 50; i += 1) ensure(spec)

  const first = await ended(spec.key)
  ensure(spec)
  const second = await ended(spec.key)

  expect(readFileSync(join(home, 'ledger'), 'utf8')).toBe('x\n')
  expect(second.record).toEqual(first.record)
  expect(reports).toHaveLength(2)
})

test('a stop that comes first takes the claim: nothing is ever started', async () => {
  const { shell, executor, stopOf, home } = openHome()
  const { stop, ended, run } = executor()
  const spec = shell('echo x >> ledger')

  stop(stopOf(spec))
  const stopped = await ended(spec.key)
  const ensured = await run(spec)

  expect(stopped.record).toMatchObject({ outcome: 'cancelled', startedAt: null, pid: null })
  expect(ensured.record).toEqual(stopped.record)
  expect(readClaim(readFileSync(join(spec.dir, FILES.claim), 'utf8'))?.by).toBe('cancel')
  expect(existsSync(join(home, 'ledger'))).toBe(false)
})

test('every order of stop and ensure gives one end: never started, or started and stopped', async () => {
  const { shell, executor, stopOf, marked } = openHome()
  const { ensure, stop, ended } = executor()
  const specs = Array.from({ length: 24 }, () => shell(': > "$TENUTO_OUTPUT"; exec sleep 100'))
  const turn = () => new Promise((resolve) => setImmediate(resolve))
  const moments = [FILES.claim, FILES.needs, FILES.log, FILES.outputs]

  for (const [index, spec] of specs.entries()) {
    if (index % 4 === 0) stop(stopOf(spec))
    ensure(spec)
    if (index % 4 === 2) await turn()
    if (index % 4 === 3) await fileThere(join(spec.dir, moments[(index >> 2) % 4] as string))
    stop(stopOf(spec))
  }
  const ends = await Promise.all(specs.map(({ key }) => ended(key)))

  for (const { record, dir } of ends) {
    expect(record.outcome).toBe('cancelled')
    const claim = readClaim(readFileSync(join(dir, FILES.claim), 'utf8'))
    expect(claim?.by).toBe(record.startedAt === null ? 'cancel' : 'runner')
    expect(exitOf(dir)).toEqual(record)
  }
  expect(ends.some(({ record }) => record.startedAt === null)).toBe(true)
  expect(marked()).toEqual([])
})

test('a second stop without grace cuts the first one short', async () => {
  const { shell, executor, stopOf, home } = openHome()
  const { ensure, stop, ended } = executor()
  const spec = shell('trap ": > asked" TERM; : > there; while :; do sleep 0.05 || :; done')
  ensure(spec)
  await fileThere(join(home, 'there'))

  stop(stopOf(spec, { graceMs: 1_000_000 }))
  await fileThere(join(home, 'asked'))
  stop(stopOf(spec, { graceMs: 0 }))

  expect((await ended(spec.key)).record).toMatchObject({ outcome: 'cancelled', signal: 'SIGKILL' })
})

test('of two stops that come before anybody watches the attempt the quicker one counts', async () => {
  const { shell, executor, stopOf, home, runnerPid } = openHome()
  const { ensure, stop, ended } = executor()
  const spec = shell('trap "" TERM; : > there; while :; do sleep 0.05 || :; done')
  ensure(spec)
  await fileThere(join(home, 'there'))

  process.kill(await runnerPid(), 'SIGKILL')
  stop(stopOf(spec, { graceMs: 0 }))
  stop(stopOf(spec, { graceMs: 1_000_000, why: 'timeout' }))

  expect((await ended(spec.key)).record).toMatchObject({ outcome: 'cancelled' })
})

test('a process that is stopped by a signal is stopped all the same', async () => {
  const { shell, executor, stopOf, home } = openHome()
  const { ensure, stop, ended } = executor()
  const spec = shell('trap "exit 3" TERM; : > there; kill -STOP $$; while :; do sleep 0.05; done')
  ensure(spec)
  await fileThere(join(home, 'there'))

  stop(stopOf(spec))

  expect((await ended(spec.key)).record).toMatchObject({ outcome: 'cancelled', code: 3 })
})

test.each([
  ['a claim that was cut off, nothing else', '', false, 'never-started'],
  ['a claim of a dead runner', 'dead', false, 'never-started'],
  ['a claim and a log of a dead runner', 'dead', true, 'lost'],
  ['a claim of another boot', 'boot', false, 'lost'],
])('%s: the attempt is ruled and not started', async (_, by, log, outcome) => {
  const { shell, executor, home } = openHome()
  const spec = shell('echo x >> ledger')
  mkdirSync(spec.dir, { recursive: true })
  const boot = by === 'boot' ? 'another' : bootId()
  const claim = {
    v: 1,
    key: spec.key,
    by: 'runner',
    holder: { pid: 4_000_000, start: '1', boot },
    epoch: 1,
    at: 1,
  }
  writeFileSync(join(spec.dir, FILES.claim), by === '' ? '{"v":1,' : JSON.stringify(claim))
  if (log) writeFileSync(join(spec.dir, FILES.log), '')

  const { record } = await executor().run(spec)

  expect(record.outcome).toBe(outcome)
  expect(exitOf(spec.dir)).toEqual(record)
  expect(existsSync(join(home, 'ledger'))).toBe(false)
})

test('an attempt asked for before the machine was booted is lost when its directory is empty', async () => {
  const { shell, executor, home } = openHome()
  const spec = shell('echo x >> ledger', { rebooted: true })

  const { record } = await executor().run(spec)

  expect(record.outcome).toBe('lost')
  expect(existsSync(join(home, 'ledger'))).toBe(false)
})

test('a recorded pid that belongs to a stranger now is neither adopted nor signalled', async () => {
  const { shell, executor, stopOf } = openHome()
  const stranger = spawn('sleep', ['100'], { stdio: 'ignore', detached: true })
  const identity = identityOf(stranger.pid as number)
  const specs = [shell('true'), shell('true')]
  for (const spec of specs) {
    mkdirSync(spec.dir, { recursive: true })
    const holder = { pid: 4_000_000, start: '1', boot: bootId() }
    writeFileSync(
      join(spec.dir, FILES.claim),
      JSON.stringify({ v: 1, key: spec.key, by: 'runner', holder, epoch: 1, at: 1 }),
    )
    writeFileSync(join(spec.dir, FILES.log), '')
    const forged = {
      v: 1,
      key: spec.key,
      ...identity,
      start: `${identity?.start}0`,
      startedAt: 1,
      startedMono: 1,
    }
    writeFileSync(join(spec.dir, FILES.process), JSON.stringify(forged))
  }
  const [ensured, stopped] = specs as [(typeof specs)[0], (typeof specs)[0]]
  const { ensure, stop, ended, live } = executor()

  ensure(ensured as never)
  stop(stopOf(stopped as never, { graceMs: 0 }))
  const ends = await Promise.all(specs.map(({ key }) => ended(key)))

  expect(ends.map(({ record }) => record.outcome)).toEqual(['lost', 'lost'])
  expect(await live()).toEqual([])
  expect(stranger.exitCode).toBeNull()
  expect(stranger.signalCode).toBeNull()
  stranger.kill('SIGKILL')
})

/** A zombie: its parent lives and never asks for its end, as the first process of a container may not. */
const zombie = async () => {
  // A shell asks for the end of a child that is there before it becomes something else.
  const child = `sh -c 'until [ "$(cat /proc/$PPID/comm)" = sleep ]; do :; done'`
  const parent = spawn('sh', ['-c', `${child} & echo $!; exec sleep 1000`], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  onTestFinished(() => void parent.kill('SIGKILL'))
  const [text] = (await once(parent.stdout, 'data')) as [Buffer]
  const pid = Number(text.toString())
  await processGone(pid)
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const start = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] as string
  expect(stat).toContain(') Z ')
  return { pid, start, boot: bootId() }
}

test('a zombie is dead: as the runner that holds a claim, and as the main process of an attempt', async () => {
  const { shell, executor } = openHome()
  const dead = await zombie()
  const nobody = { pid: 4_000_000, start: '1', boot: bootId() }
  const specs = [dead, nobody].map((holder) => {
    const spec = shell('true')
    mkdirSync(spec.dir, { recursive: true })
    const claim = { v: 1, key: spec.key, by: 'runner', holder, epoch: 1, at: 1 }
    writeFileSync(join(spec.dir, FILES.claim), JSON.stringify(claim))
    writeFileSync(join(spec.dir, FILES.log), '')
    const main = { v: 1, key: spec.key, ...dead, startedAt: 1, startedMono: 1 }
    if (holder === nobody) writeFileSync(join(spec.dir, FILES.process), JSON.stringify(main))
    return { ...spec, recovered: true as const }
  })
  const { ensure, ended, finds } = executor()

  for (const spec of specs) ensure(spec)
  const ends = await Promise.all(specs.map(({ key }) => ended(key)))

  expect(ends.map(({ record }) => record.outcome)).toEqual(['lost', 'lost'])
  expect(finds).toEqual([])
})

test('a directory that belongs to another attempt is left alone', async () => {
  const { shell, executor } = openHome()
  const { run } = executor()
  const first = shell('true')
  const second = shell('true', { dir: first.dir })
  const { record } = await run(first)

  const refused = await run(second)

  expect(refused.record.outcome).toBe('spawn-error')
  expect(refused.record.error).toContain(first.key)
  expect(exitOf(first.dir)).toEqual(record)
})

test('a directory that is removed while its attempt runs costs the log, not the end', async () => {
  const { shell, executor } = openHome()
  const spec = shell('rm -rf "$(dirname "$TENUTO_OUTPUT")"; exit 4')

  const { record } = await executor().run(spec)

  expect(record).toMatchObject({ outcome: 'exit', code: 4 })
  expect(exitOf(spec.dir)).toEqual(record)
})

test.each([
  ['a pipe', 'mkfifo'],
  ['a folder', 'mkdir'],
  ['a device', 'ln -s /dev/zero'],
  ['a link to itself', 'ln -s exit.json'],
])(
  'a job that puts %s in the place of its records ends as it did, and holds no other up',
  async (_, make) => {
    const { shell, executor } = openHome()
    const { run } = executor()
    const records = [FILES.exit, `${FILES.exit}.tmp`, FILES.stop, FILES.hole]
    const text = `cd "$(dirname "$TENUTO_OUTPUT")"; for at in ${records.join(' ')}; do ${make} "$at"; done`
    const spec = shell(`${text}; exit 4`)
    const stopped = shell(`${text}; sleep 60`, { timeoutMs: 300 })

    const ends = await Promise.all([run(spec), run(stopped)])
    const after = await run(shell('exit 5'))

    expect(ends.map(({ record }) => record.outcome)).toEqual(['exit', 'timeout'])
    expect(after.record).toMatchObject({ outcome: 'exit', code: 5 })
    expect([exitOf(spec.dir), exitOf(stopped.dir)]).toEqual(ends.map(({ record }) => record))
  },
)
