/**
 * The daemon as a user meets it. Broken on purpose once, and seen: `run` that starts beside a daemon instead of submitting to it;
 * `down` that stops a foreground run; `up` that cancels what runs when it is told to stop.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { openFolder } from './tenuto.ts'

/** A folder whose daemon, however it was started, is down when the test ends. */
const withDaemon = () => {
  const made = openFolder()
  onTestFinished(async () => {
    await made.run('down')
  })
  return made
}
const GATED = `plan: v1
name: gated
jobs:
  gate: { run: 'echo begun >> ledger; : > up; while [ ! -e open ]; do sleep 0.02; done; echo ended >> ledger' }
  after: { run: 'echo after >> ledger', needs: [gate] }
`
const QUICK = "plan: v1\nname: quick\njobs:\n  a: { run: 'true' }\n"
const there = async (path: string): Promise<void> => {
  await expect.poll(() => existsSync(path), { interval: 20 }).toBe(true)
}

test('without a daemon: status says so with 5, down has nothing to do, run --detach is refused', async () => {
  const { run, file, home } = openFolder()
  file('q.yaml', QUICK)

  const status = await run('status')
  expect([status.code, status.out]).toEqual([5, `nobody serves ${home}\n`])
  expect(await run('down')).toMatchObject({ code: 0, out: `nobody serves ${home}\n` })
  const detached = await run('run', 'q.yaml', '--detach')
  expect(detached.code).toBe(5)
  expect(detached.err).toContain('start one with `tenuto up --home')
  expect(existsSync(home)).toBe(false)
})

test('up in the background answers when it serves; run submits to it and follows; down stops it', async () => {
  const { run, file, home, unsound } = withDaemon()
  file('q.yaml', QUICK)

  const up = await run('up', '--detach', '--json')
  expect(up.code).toBe(0)
  const { pid, url } = JSON.parse(up.out) as { pid: number; url: string }
  const again = await run('up', '--detach')
  expect(again.code).toBe(5)
  expect(again.err).toContain(`held by pid ${pid} (tenuto up)`)

  const first = await run('run', 'q.yaml', '--key', 'k')
  expect([first.code, /^quick-\w{6} succeeded\n$/.test(first.out)]).toEqual([0, true])
  const same = await run('run', 'q.yaml', '--key', 'k')
  expect([same.code, same.out]).toEqual([0, first.out])
  const detached = await run('run', 'q.yaml', '--detach')
  expect([detached.code, /^quick-\w{6}\n$/.test(detached.out)]).toEqual([0, true])
  const resumed = await run('resume', detached.out.trim())
  expect([resumed.code, resumed.out]).toEqual([0, `${detached.out.trim()} succeeded\n`])

  const status = await run('status', '--json')
  expect(status.code).toBe(0)
  expect(JSON.parse(status.out)).toMatchObject({
    home,
    url,
    degraded: false,
    daemon: { pid, command: 'tenuto up' },
    counts: {
      plans: { succeeded: 2 },
      jobs: { succeeded: 2 },
      attempts_live: 0,
      sweep_repairs: 0,
      dead_letters: 0,
    },
  })
  const down = await run('down')
  expect([down.code, down.out]).toEqual([0, `stopped pid ${pid}, which served ${home} and ${url}\n`])
  expect((await run('status')).code).toBe(5)
  expect(await unsound()).toEqual([])
})

test('attempts survive their daemon, told to stop or killed, and the next one adopts them', async () => {
  const { run, start, file, folder, home, read, unsound } = withDaemon()
  file('g.yaml', GATED)
  const first = start('up', '--no-parent')
  await first.heard('serving')
  const { out: plan } = await run('run', 'g.yaml', '--detach')
  await there(join(folder, 'up'))

  first.child.kill('SIGTERM')
  const stopped = await first.said
  expect(stopped.code).toBe(0)
  expect(stopped.err).toContain('1 attempt runs on')
  const second = start('up', '--no-parent')
  await second.heard('1 attempt still runs')
  await second.killed()
  const unserved = await run('status')
  const killed = `its last holder was killed: pid ${second.child.pid} (tenuto up), started `
  expect([unserved.code, unserved.out]).toEqual([
    5,
    expect.stringContaining(`nobody serves ${home}\n${killed}`),
  ])
  const said = JSON.parse((await run('status', '--json')).out) as object
  expect(said).toMatchObject({
    daemon: null,
    unsettled: 1,
    killed: { pid: second.child.pid, command: 'tenuto up' },
  })
  const third = start('up', '--no-parent')
  await third.heard('1 attempt still runs')
  file('open', '')
  const end = await run('resume', plan.trim())

  expect([end.code, end.out]).toEqual([0, `${plan.trim()} succeeded\n`])
  expect(read('ledger')).toBe('begun\nended\nafter\n')
  expect((await run('down')).code).toBe(0)
  expect((await run('status')).out).toBe(`nobody serves ${home}\n`)
  expect(await unsound()).toEqual([])
})

/** Broken on purpose once, and seen: a Ctrl-C after which nothing is said on stdout; one that ends with 0. */
test('Ctrl-C lets go of a plan of the daemon: its line is printed, the exit code says that it goes on', async () => {
  const { run, start, file, home } = withDaemon()
  file('g.yaml', GATED)
  await run('up', '--detach')

  const followed = start('run', 'g.yaml')
  await followed.heard('#1 running')
  followed.child.kill('SIGINT')
  const left = await followed.said
  const [id] = left.out.split(' ')
  expect([left.code, left.out]).toEqual([8, `${id} running\n`])
  expect(left.err).toContain(`${id} goes on.  follow: tenuto resume ${id} --home ${home}`)

  // Of plans in which something happens all the time, so that it shows that it follows.
  file(
    'r.yaml',
    `plan: v1\njobs:\n  a: { run: test -e open, retry: { max: 1000, delay: 100ms, factor: 1, jitter: 0 } }\n`,
  )
  await run('run', 'r.yaml', '--detach')
  await run('cancel', id ?? '')
  // It is being cancelled; one that has not ended would be followed as well.
  expect((await run('resume', id ?? '')).code).toBe(9)
  const other = await run('run', 'r.yaml', '--detach')
  const both = start('resume', '--json')
  await both.heard('"attempt.ended"')
  both.child.kill('SIGINT')
  const { code, out } = await both.said
  const results = out.split('\n').filter((line) => line.includes('"result"'))
  expect([code, results.map((line) => JSON.parse(line) as object)]).toEqual([
    8,
    [{ type: 'result', plan: expect.stringMatching(/^r-/), state: 'running', exit: 8 }],
  ])

  file('open', '')
  expect((await run('resume')).code).toBe(0)
  expect((await run('resume', other.out.trim())).out).toBe(`${other.out.trim()} succeeded\n`)
})

test('a home whose socket is gone is held all the same: commands wait until it is there again', async () => {
  const { run, home } = withDaemon()
  const { pid } = JSON.parse((await run('up', '--detach', '--json')).out) as { pid: number }
  rmSync(join(home, 'sock'))
  rmSync(join(home, 'daemon.json'))

  const said = await run('status', '--json')

  expect(said.code).toBe(0)
  expect(JSON.parse(said.out)).toMatchObject({ daemon: { pid } })
})

test('a home whose socket cannot be made again is held all the same: status and down say by whom, and what can be done', async () => {
  const { run, home } = withDaemon()
  const { pid } = JSON.parse((await run('up', '--detach', '--json')).out) as { pid: number }
  rmSync(join(home, 'sock'))
  mkdirSync(join(home, 'sock'))

  for (const command of ['status', 'down']) {
    const said = await run(command)
    expect(said.code).toBe(5)
    expect(said.err).toContain(`is held by pid ${pid} (tenuto up, since 2`)
    expect(said.err).toContain(`\`kill ${pid}\`, then \`tenuto up --home`)
  }
  process.kill(pid, 'SIGTERM')
  await expect.poll(async () => (await run('down')).code).toBe(0)
})

test('whoever meets a foreground run is told who it is and what leads on, and not back to where it came from', async () => {
  const { start, run, file, folder } = openFolder()
  file('g.yaml', GATED)
  file('q.yaml', QUICK)
  const holder = start('run', 'g.yaml')
  await there(join(folder, 'up'))

  for (const args of [['up'], ['up', '--detach'], ['run', 'q.yaml'], ['run', 'q.yaml', '--detach']]) {
    const said = await run(...args)
    expect(said.code).toBe(5)
    expect(said.err).toContain(`is held by pid ${holder.child.pid} (tenuto run`)
    expect(said.err).toMatch(/wait until it has ended, or stop that \(`tenuto cancel REF --home [^`]+`\)/)
    expect(said.err).not.toContain('--detach')
  }
  file('open', '')
  expect((await holder.said).code).toBe(0)
})

test('ten daemons started at once: one serves, and the others say who', async () => {
  const { start, home } = withDaemon()
  const all = Array.from({ length: 10 }, () => start('up'))

  const said = await Promise.all(
    all.map((each) =>
      Promise.race([
        each.said,
        each.heard('serving').then(
          () => null,
          () => each.said,
        ),
      ]),
    ),
  )
  const serving = all.filter((_, at) => said[at] === null)
  expect(serving).toHaveLength(1)
  const [one] = serving
  for (const refused of said) {
    if (refused === null) continue
    expect(refused.code).toBe(5)
    expect(refused.err).toMatch(/is held by/)
  }
  const says = JSON.parse(readFileSync(join(home, 'daemon.json'), 'utf8')) as { parent_pid: number }
  expect(says.parent_pid).toBe(one?.child.pid)
})

test('a foreground run is no daemon: down refuses with 7, and another run with 5', async () => {
  const { run, start, file, folder } = openFolder()
  file('g.yaml', GATED)
  const running = start('run', 'g.yaml')
  await there(join(folder, 'up'))

  const down = await run('down')
  expect(down.code).toBe(7)
  expect(down.err).toContain('`tenuto cancel REF --home')
  const other = await run('run', 'g.yaml')
  expect(other.code).toBe(5)
  expect(other.err).toContain(`pid ${running.child.pid} (tenuto run`)
  expect(other.err).toContain('tenuto up')

  file('open', '')
  expect((await running.said).code).toBe(0)
})

test('a daemon that cannot start in the background says why, as it would in the foreground', async () => {
  const { run, file, home } = openFolder()
  await run('up', '--detach')
  await run('down')
  file('home/journal.db', 'this is no database')

  const up = await run('up', '--detach')

  expect(up.code).toBe(12)
  expect(up.err).toContain('is damaged')
  expect((await run('up')).code).toBe(12)
  expect(
    readdirSync(home).filter((name) => name.startsWith('daemon.out.') && name !== 'daemon.out.1'),
  ).toEqual([])
})
