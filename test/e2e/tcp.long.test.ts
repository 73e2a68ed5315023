/** A daemon over TCP, as a user starts it, reaches it, and meets it where it cannot be. */
import { chmodSync, existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { openFolder } from './tenuto.ts'

const PRINTS =
  'plan: v1\nname: prints\njobs:\n  a: { run: env; id; tr "\\0" "\\n" < /proc/$PPID/environ || true }\n'

const withDaemon = () => {
  const opened = openFolder()
  onTestFinished(async () => {
    await opened.run('down')
  })
  return opened
}

const upOf = (out: string) => JSON.parse(out) as { pid: number; url: string }

test('a daemon in the background is reached by its token and by a browser that was let in; no job and no argument has the token', async () => {
  const { run, home, file } = withDaemon()
  file('p.yaml', PRINTS)
  const { pid, url } = upOf((await run('up', '--detach', '--json')).out)
  const token = readFileSync(join(home, 'token'), 'utf8').trim()
  const headers = { authorization: `Bearer ${token}` }

  const state = await fetch(`${url}/api/v1/state`, { headers })
  expect([state.status, ((await state.json()) as { daemon: { pid: number } }).daemon.pid]).toEqual([200, pid])
  expect((await fetch(`${url}/api/v1/state`)).status).toBe(401)
  expect((await run('status')).out).toContain(url)
  const link = (await run('open')).out.trim()
  expect(link.startsWith(`${url}/open/`)).toBe(true)
  const entered = await fetch(link, { redirect: 'manual' })
  expect([entered.status, entered.headers.get('set-cookie')]).toEqual([
    303,
    expect.stringContaining('HttpOnly') as string,
  ])
  expect((await fetch(link, { redirect: 'manual' })).status).toBe(401)

  const { out } = await run('run', 'p.yaml')
  const log = (await run('logs', `${out.split(' ')[0]}/a`)).out
  expect(log).toContain('PATH=')
  expect(log).not.toContain(token)
  expect(
    readFileSync(`/proc/${pid}/cmdline`, 'latin1') + readFileSync(`/proc/${pid}/environ`, 'latin1'),
  ).not.toContain(token)
  for (const name of ['daemon.log', 'daemon.out', 'daemon.json'])
    expect(existsSync(join(home, name)) && readFileSync(join(home, name), 'utf8').includes(token)).toBe(false)
})

test.skipIf(process.platform !== 'linux')(
  'open --browser gives the link to the browser of the system, and says where it could not',
  async () => {
    const { run, file, folder, read } = withDaemon()
    await run('up', '--detach')
    mkdirSync(join(folder, 'bin'))
    const opener = (script: string): void => chmodSync(file('bin/xdg-open', `#!/bin/sh\n${script}\n`), 0o755)
    vi.stubEnv('PATH', `${join(folder, 'bin')}:${process.env['PATH']}`)
    onTestFinished(() => void vi.unstubAllEnvs())

    opener('echo "$1" > opened')
    const opened = await run('open', '--browser')
    opener('exit 3')
    const failed = await run('open', '--browser')

    expect([opened.code, read('opened')]).toEqual([0, opened.out])
    expect(opened.err).not.toContain('no browser')
    expect([failed.code, failed.err]).toEqual([
      0,
      expect.stringContaining('no browser could be opened') as string,
    ])
  },
)

test('a port that is taken is told before anything is made, in the foreground and behind; a held home is told first', async () => {
  const first = withDaemon()
  const second = openFolder()
  const { pid, url } = upOf((await first.run('up', '--detach', '--json')).out)
  const { port } = new URL(url)

  for (const args of [['up'], ['up', '--detach']]) {
    const taken = await second.run(...args, '--port', port)
    expect([taken.code, taken.out]).toEqual([5, ''])
    expect(taken.err).toContain(`127.0.0.1:${port} cannot be listened on: another process listens there`)
    expect(taken.err).toContain('--port 0')
    const held = await first.run(...args, '--port', port)
    expect([held.code, held.err]).toEqual([5, expect.stringContaining(`held by pid ${pid}`) as string])
  }
  expect(existsSync(second.home)).toBe(false)
})

test('what would let other machines in needs a word, and says so; a token that others may know is refused', async () => {
  const { run, home } = withDaemon()

  const wide = await run('up', '--detach', '--host', '0.0.0.0')
  expect([wide.code, existsSync(home)]).toEqual([6, false])
  expect(wide.err).toContain('--allow-remote')
  const allowed = await run('up', '--detach', '--host', '0.0.0.0', '--allow-remote')
  expect([allowed.code, allowed.err]).toEqual([0, expect.stringContaining('nothing is encrypted') as string])
  await run('down')

  const { chmodSync } = await import('node:fs')
  chmodSync(join(home, 'token'), 0o644)
  const open = await run('up')
  expect([open.code, open.err]).toEqual([6, expect.stringContaining('open to other users') as string])
})
