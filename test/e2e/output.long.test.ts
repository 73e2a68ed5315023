import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { openFolder } from './tenuto.ts'

const bin = join(import.meta.dirname, '../../bin/tenuto.cjs')
const full = '/dev/full'
const onePlan = "plan: v1\nname: p\njobs:\n  a: { run: 'true' }\n"

/** Runs a line of shell in which `$T` is tenuto with this home. */
const shell = (home: string, cwd: string, line: string): ChildProcess => {
  const text = `T() { '${process.execPath}' '${bin}' "$@" --home '${home}'; }; ${line}`
  const child = spawn('sh', ['-c', text], { cwd, stdio: ['ignore', 'pipe', 'pipe'] })
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'close')
  })
  return child
}
const said = async (child: ChildProcess): Promise<Readonly<{ code: number; out: string; err: string }>> => {
  let [out, err] = ['', '']
  child.stdout?.on('data', (bytes: Buffer) => (out += bytes.toString()))
  child.stderr?.on('data', (bytes: Buffer) => (err += bytes.toString()))
  const [code] = (await once(child, 'close')) as [number]
  return { code, out, err }
}

const hasScript = spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout?.includes('util-linux')

test.skipIf(!hasScript)(
  'the end of its terminal cancels a run in order: nothing of it lives on',
  async () => {
    const { folder, home, file, run } = openFolder()
    file('p.yaml', 'plan: v1\nname: p\njobs:\n  a: { run: ": > up; sleep 60", grace: 1s }\n')
    const { CI: _, ...environment } = process.env
    const command = `exec '${process.execPath}' '${bin}' run p.yaml --home '${home}'`
    const terminal = spawn('script', ['-qec', command, '/dev/null'], {
      cwd: folder,
      env: { ...environment, TERM: 'xterm' },
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    onTestFinished(() => {
      terminal.kill('SIGKILL')
    })
    let drawn = ''
    terminal.stdout.on('data', (bytes: Buffer) => (drawn += bytes.toString()))
    await expect.poll(() => existsSync(join(folder, 'up'))).toBe(true)
    await expect.poll(() => drawn).toContain('running')

    terminal.kill('SIGKILL')

    const shown = async (): Promise<unknown> => JSON.parse((await run('show', 'p', '--json')).out)
    await expect
      .poll(shown)
      .toMatchObject({ state: 'cancelled', reason: 'operator', counts: { cancelled: 1 } })
    await expect.poll(() => existsSync(join(home, 'daemon.json'))).toBe(false)
    expect((await run('doctor', '--audit', '-q')).out).toBe('Nothing is wrong.\n')
  },
)

test.skipIf(!existsSync(full))('talk that cannot be written ends nothing', async () => {
  const { home, folder, file } = openFolder()
  file('p.yaml', onePlan)

  const { code, out } = await said(shell(home, folder, `T run p.yaml 2>${full}`))

  expect(out).toMatch(/^p-\w{6} succeeded\n$/)
  expect(code).toBe(0)
})

test.skipIf(!existsSync(full))(
  'an answer that cannot be written is told by its name, after the plan has gone to its end',
  async () => {
    const { home, folder, file, run } = openFolder()
    file('p.yaml', onePlan)

    const ran = await said(shell(home, folder, `T run p.yaml --json >${full}`))
    const listed = await said(shell(home, folder, `T ls >${full}`))
    const helped = await said(shell(home, folder, `T --help >${full}`))

    for (const each of [ran, listed, helped]) {
      expect(each.code).toBe(2)
      expect(each.err).toContain('could not be written to stdout')
    }
    expect(ran.err).toContain('OUTPUT_UNWRITTEN')
    expect(JSON.parse((await run('ls', '--json')).out)).toMatchObject([{ name: 'p', state: 'succeeded' }])
  },
)

test.each(['logs p/a -f', 'logs p -f', 'events -f', 'events p -f'])(
  '%s ends when its reader has gone, and the plan goes on',
  async (command) => {
    const { home, folder, file, start, run } = openFolder()
    const writes = 'until test -e stop; do echo more; sleep 0.05; done'
    file(
      'p.yaml',
      `plan: v1\nname: p\nonFailure: continue\njobs:\n  a: { run: "${writes}" }\n  b: { run: "test -e stop", retry: { max: 9999, delay: 50ms, factor: 1 } }\n`,
    )
    const running = start('run', 'p.yaml')
    await running.heard('/a #1 running')
    await expect.poll(async () => (await run('logs', 'p/a')).out).toContain('more')

    const { code, out } = await said(shell(home, folder, `T ${command} | head -n 1`))
    const then = await run('show', 'p', '--json')
    file('stop', '')
    const end = await running.said

    expect(code).toBe(0)
    expect(out.trim().split('\n')).toHaveLength(1)
    expect(JSON.parse(then.out)).toMatchObject({ state: 'running' })
    expect(end.code).toBe(0)
  },
)

test.skipIf(process.platform !== 'linux').each(['logs p/a -f', 'logs p -f', 'events -f'])(
  '%s ends when its reader has gone while there is nothing to write',
  async (command) => {
    const { home, folder, file, start } = openFolder()
    file(
      'p.yaml',
      'plan: v1\nname: p\njobs:\n  a: { run: "echo one; until test -e stop; do sleep 0.05; done" }\n',
    )
    const running = start('run', 'p.yaml')
    await running.heard('/a #1 running')

    const { code, out } = await said(shell(home, folder, `T ${command} | head -n 1`))
    file('stop', '')

    expect(code).toBe(0)
    expect(out.trim().split('\n')).toHaveLength(1)
    expect((await running.said).code).toBe(0)
  },
)

test('a signal in the last moments of a run changes nothing of its end', async () => {
  const { file, start } = openFolder()
  file('p.yaml', onePlan)
  const running = start('run', 'p.yaml')
  await running.heard(' succeeded\n')
  const again = setInterval(() => running.child.kill('SIGTERM'), 1)

  const { code } = await running.said
  clearInterval(again)

  expect(code).toBe(0)
})
