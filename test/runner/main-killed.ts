/**
 * The runner as it is, but that a call of Node goes wrong at a named point: it is killed once before, after or in the middle of it, or
 * the call fails as on a full disk, or is slow. `kill-at` in its home says where. Runs in the place of `src/runner/main.ts`; `killed` in the home tells
 * that the point was reached, and who was.
 */
import childProcess from 'node:child_process'
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { basename, join } from 'node:path'

const home = process.argv[2] as string
const { readFileSync, writeFileSync, existsSync } = fs
const plan = join(home, 'kill-at')
/**
 * `[before|torn|after] [call] [name of the file]`, one a line; the first at which nobody was killed yet is due. With an error code in
 * place of the moment the call fails so, in the middle, as long as there is a file `full`. `held spawn [program]` returns when what was
 * started has put `stands` among its artifacts, so that no limit of time can pass before that.
 */
const points = existsSync(plan) ? readFileSync(plan, 'utf8').trim().split('\n') : []
const full = join(home, 'full')
const killed = join(home, 'killed')
const reached = existsSync(killed) ? readFileSync(killed, 'utf8').trim().split('\n').length : 0
const due = points[reached]

const die = (): never => {
  writeFileSync(killed, `${due} ${process.pid}\n`, { flag: 'a' })
  process.kill(process.pid, 'SIGKILL')
  // The signal is delivered before the call returns.
  throw new Error('unreachable')
}

type Call = (...args: never[]) => unknown

/** Wraps a call of Node; `nameOf` says which file it is about, `half` does half of it. */
const wrap = <T extends Record<string, unknown>>(
  module: T,
  call: keyof T & string,
  nameOf: (args: readonly unknown[]) => string,
  half: (args: readonly unknown[]) => void = () => {},
): void => {
  const whole = module[call] as Call
  Object.assign(module, {
    [call]: (...args: never[]) => {
      const point = `${call} ${nameOf(args)}`
      if (due === `before ${point}`) die()
      const [code] = due?.split(' ', 1) ?? []
      if (due === `${code} ${point}` && code?.startsWith('E') && existsSync(full)) {
        half(args)
        throw Object.assign(new Error(`${code}: the disk takes nothing, ${call}`), { code })
      }
      if (due === `torn ${point}`) {
        half(args)
        die()
      }
      const result = whole(...args)
      if (due === `after ${point}`) die()
      if (due === `held ${point}`) stands(args)
      return result
    },
  })
}

/** Stands still until a program that was just started says that it stands. */
const stands = ([, , options]: readonly unknown[]): void => {
  const { env } = options as { env: Readonly<Record<string, string>> }
  const sign = join(env['TENUTO_ARTIFACTS'] as string, 'stands')
  const never = new Int32Array(new SharedArrayBuffer(4))
  while (!existsSync(sign)) Atomics.wait(never, 0, 0, 2)
}

const nameOf = ([path]: readonly unknown[]) => basename(String(path))
wrap(fs as never, 'mkdirSync', nameOf)
wrap(fs as never, 'openSync', nameOf)
// The name of the process that was started is not known before.
wrap(fs as never, 'linkSync', ([, to]) => basename(String(to)).replace(/-\d+$/, ''))
wrap(fs as never, 'renameSync', ([, to]) => basename(String(to)))
wrap(fs as never, 'writeFileSync', nameOf, ([path, text, options]) => {
  writeFileSync(path as string, String(text).slice(0, String(text).length / 2), options as object)
})
wrap(childProcess as never, 'spawn', ([program]) => basename(String(program)))
syncBuiltinESMExports()
await import('../../src/runner/main.ts')
