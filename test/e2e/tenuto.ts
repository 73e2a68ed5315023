/** Runs the built `tenuto` as a user would, in a folder of its own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { sendSignal } from '../../src/process.ts'
import { readHome } from '../../src/unserved.ts'
import type { EventShape } from '../../src/views/shapes.ts'
import { pidsAbout, readOr } from '../runner/home.ts'
import { removeFolder } from '../support/folders.ts'

export const bin = join(import.meta.dirname, '../../bin/tenuto.cjs')

/** What a command said, and how it ended. */
export type Said = Readonly<{ code: number | null; out: string; err: string }>

/**
 * A command that runs. `said` resolves with its end; `heard` when its stderr or stdout has a text; `killed` when a SIGKILL has ended
 * it, and rejects for one that had ended by itself.
 */
export type Running = Readonly<{
  child: ChildProcess
  said: Promise<Said>
  heard: (text: string) => Promise<void>
  killed: () => Promise<void>
}>

/** A folder with a home; what still runs in it is killed when the test ends. */
export const openFolder = (launcher = bin) => {
  const folder = mkdtempSync(join(tmpdir(), 'tenuto-e2e-'))
  const home = join(folder, 'home')
  const children: ChildProcess[] = []
  const stories: (() => string)[] = []
  onTestFinished(async ({ task }) => {
    // A test that waited too long names what it waited for in no other way.
    if (task.result?.state === 'fail') {
      const logs = ['daemon.log', 'runner.log', 'watchdog.log'].map(
        (name) => `${name}: ${readOr(join(home, name), '').slice(-4000)}`,
      )
      process.stderr.write(`${[task.name, ...stories.map((story) => story()), ...logs].join('\n')}\n`)
    }
    for (const child of children) {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGKILL')
        await once(child, 'close')
      }
    }
    // A test that failed has left what it had stopped, and what waits for a file that will never be there.
    for (const pid of pidsAbout(folder)) sendSignal(pid, 'SIGKILL')
    removeFolder(folder)
  })
  const startAs = (program: string, args: readonly string[]): Running => {
    // Tests run beside each other, and beside a daemon of whoever runs them.
    const port = args[0] === 'up' && !args.includes('--port') ? ['--port', '0'] : []
    const child = spawn(process.execPath, [program, ...args, ...port, '--home', home], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    children.push(child)
    let [out, err] = ['', '']
    const listeners = new Set<() => void>()
    const hear = (): void => {
      for (const listener of listeners) listener()
    }
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      out += text
      hear()
    })
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      err += text
      hear()
    })
    const begun = performance.now()
    stories.push(() => {
      const how = child.signalCode ?? child.exitCode ?? 'still running'
      const since = Math.round(performance.now() - begun)
      return `${args.join(' ')} (began ${since} ms ago): ${how}\n${out.slice(-2000)}${err.slice(-2000)}`
    })
    const said = once(child, 'close').then(([code]) => ({ code: code as number | null, out, err }))
    const heard = (text: string): Promise<void> =>
      new Promise((resolve, reject) => {
        const listener = (): void => {
          if (!out.includes(text) && !err.includes(text)) return
          listeners.delete(listener)
          resolve()
        }
        listeners.add(listener)
        listener()
        said.then(
          () => reject(new Error(`ended without saying "${text}": ${out}${err}`)),
          () => {},
        )
      })
    const killed = async (): Promise<void> => {
      if (child.exitCode !== null)
        throw new Error(`ended before it was killed, with ${child.exitCode}: ${out}${err}`)
      const gone = once(child, 'exit')
      child.kill('SIGKILL')
      await gone
    }
    return { child, said, heard, killed }
  }
  const commands = (program: string) => ({
    start: (...args: string[]): Running => startAs(program, args),
    run: (...args: string[]): Promise<Said> => startAs(program, args).said,
  })
  const made = commands(launcher)
  return {
    folder,
    home,
    ...made,
    /** The same folder and home, with another launcher. */
    as: commands,
    /** The events of the home so far, read by this process: to look again and again costs no command each time. */
    events: async (): Promise<readonly EventShape[]> => {
      const catalog = await readHome(home)
      try {
        return await catalog.events({ after: 0, limit: 100_000 })
      } finally {
        await catalog.close()
      }
    },
    /** What `tenuto doctor --audit` has against the home; whatever the machine is like, that is nothing. */
    unsound: async (): Promise<readonly object[]> => {
      const { out, err } = await made.run('doctor', '--audit', '--json')
      const { checks } = JSON.parse(out) as {
        checks: readonly Readonly<{ name: string; findings?: object[] }>[]
      }
      if (!checks.some(({ name }) => name === 'audit')) throw new Error(`there was no audit: ${out}${err}`)
      return checks.flatMap(({ findings = [] }) => findings)
    },
    file: (name: string, text: string): string => {
      writeFileSync(join(folder, name), text)
      return join(folder, name)
    },
    read: (name: string): string => readFileSync(join(folder, name), 'utf8'),
  }
}
