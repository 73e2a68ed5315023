/**
 * The runner as it is, killed once at a named point of its work: `kill-at` in its home says before, after or in the middle of which
 * call. Runs in the place of `src/runner/main.ts`; `killed` in the home tells that the point was reached, and who was.
 */
import childProcess from 'node:child_process'
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { basename, join } from 'node:path'

const home = process.argv[2] as string
const { readFileSync, writeFileSync, existsSync } = fs
const plan = join(home, 'kill-at')
/** `[before|torn|after] [call] [name of the file]`, one a line; the first that was not reached yet is due. */
const points = existsSync(plan) ? readFileSync(plan, 'utf8').trim().split('\n') : []
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
      if (due === `torn ${point}`) {
        half(args)
        die()
      }
      const result = whole(...args)
      if (due === `after ${point}`) die()
      return result
    },
  })
}

const nameOf = ([path]: readonly unknown[]) => basename(String(path))
wrap(fs as never, 'mkdirSync', nameOf)
wrap(fs as never, 'openSync', nameOf)
wrap(fs as never, 'renameSync', ([, to]) => basename(String(to)))
wrap(fs as never, 'writeFileSync', nameOf, ([path, text, options]) => {
  writeFileSync(path as string, String(text).slice(0, String(text).length / 2), options as object)
})
wrap(childProcess as never, 'spawn', ([program]) => basename(String(program)))
syncBuiltinESMExports()
await import('../../src/runner/main.ts')
