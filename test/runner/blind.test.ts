/**
 * A look that fails says nothing: while it cannot be seen whether a process lives, nothing is decided about its attempt, and nothing that
 * was decided is forgotten.
 *
 * Mutations of `runner/life.ts` that were planted once, and each found: what cannot be looked at is gone; a signal that could not be sent
 * is not sent.
 */
import { spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import {
  attemptVariables,
  type ExitRecord,
  type Identity,
  type RunnerLimit,
  type Spec,
} from '../../src/attempt.ts'
import { identityOf } from '../../src/process.ts'
import { watchAttempts } from '../../src/runner/attempts.ts'
import { type Machine, thisMachine } from '../../src/runner/machine.ts'
import { fileThere, type Home, openHome } from './home.ts'

/** What a machine fails with that has no descriptor left. */
const failure = () => Object.assign(new Error('EMFILE: too many open files'), { code: 'EMFILE' })
/** As many as there are in three seconds. */
const LOOKS = 12

/** The attempts of a runner that from some moment cannot say who lives until it has tried so often. */
const blindRunner = (from: 'the start' | 'adoption') => {
  let left = from === 'the start' ? LOOKS : 0
  let wasBlind = left > 0
  let sees = (): void => {}
  const seeing = new Promise<void>((resolve) => {
    sees = resolve
  })
  const machine: Machine = {
    ...thisMachine,
    isAlive: (identity) => {
      if (left > 0) {
        left -= 1
        throw failure()
      }
      if (wasBlind) sees()
      return thisMachine.isAlive(identity)
    },
    later: (run, ms) => thisMachine.later(run, ms / 10),
  }
  const heard: string[] = []
  let adopted = (): void => {}
  const adoption = new Promise<void>((resolve) => {
    adopted = resolve
  })
  let over = (_: ExitRecord): void => {}
  const ended = new Promise<ExitRecord>((resolve) => {
    over = resolve
  })
  const attempts = watchAttempts(
    {
      self: identityOf(process.pid) as Identity,
      epoch: () => 1,
      stopping: (_, why: RunnerLimit) => heard.push(`stopping ${why}`),
      found: (_, how) => {
        heard.push(how)
        if (from === 'adoption') left = LOOKS
        wasBlind = true
        adopted()
      },
      begun: () => heard.push('begun'),
      ended: (record) => {
        heard.push(record.outcome)
        over(record)
      },
      log: (message) => heard.push(message),
    },
    machine,
  )
  /** What the daemon was told, and what was logged of the failure. */
  const told = () => heard.filter((word) => !/^begun$|process|EMFILE/.test(word))
  const warnings = () => heard.filter((word) => word.includes('EMFILE')).length
  return { attempts, told, warnings, ended, seeing, adoption }
}

/** An attempt whose runner has gone, while its process goes on until there is a file `go`. */
const orphaned = async (of: Home, holder: Identity): Promise<Spec> => {
  const spec = {
    ...of.shell(': > there; until test -e go; do sleep 0.02 || :; done'),
    recovered: true,
  } as const
  const [program = '', ...args] = spec.argv
  const env = { ...spec.env, ...attemptVariables(spec) }
  const child = spawn(program, args, { cwd: spec.cwd, env, detached: true, stdio: 'ignore' })
  thisMachine.takeClaim(spec, { by: 'runner', holder, epoch: 1, at: Date.now(), limits: spec })
  thisMachine.closeLog(thisMachine.openLog(spec.dir))
  await fileThere(join(of.home, 'there'))
  thisMachine.writeProcess(spec.dir, spec.key, identityOf(child.pid ?? 0) as Identity, 1, 1)
  return spec
}
const nobody = (): Identity => ({ ...(identityOf(process.pid) as Identity), start: '0' })

test('while it cannot be seen whether a process lives its attempt neither ends nor is stopped, and afterwards all goes on', async () => {
  const of = openHome()
  const spec = await orphaned(of, nobody())
  const { attempts, told, warnings, ended, seeing } = blindRunner('adoption')

  attempts.ensure(spec)
  await seeing

  expect(told()).toEqual(['adopted'])
  expect(warnings()).toBe(LOOKS)
  expect(attempts.live().map(({ key }) => key)).toEqual([spec.key])
  expect(thisMachine.exitOf(spec.dir)).toBeUndefined()
  mkdirSync(join(of.home, 'go'))
  expect((await ended).outcome).toBe('lost')
  expect(told()).toEqual(['adopted', 'lost'])
})

test('a claim is judged when it can be seen who lives, and not before', async () => {
  const of = openHome()
  const spec = await orphaned(of, nobody())
  const { attempts, told, warnings, ended, seeing, adoption } = blindRunner('the start')

  attempts.ensure(spec)
  await seeing

  expect(told()).toEqual([])
  expect(warnings()).toBe(LOOKS)
  expect(thisMachine.exitOf(spec.dir)).toBeUndefined()
  await adoption
  mkdirSync(join(of.home, 'go'))
  expect((await ended).outcome).toBe('lost')
  expect(told()).toEqual(['adopted', 'lost'])
})

test.each([0, 20])(
  'a stop with a grace of %i ms that nobody could deliver is delivered at the first look that sees',
  async (graceMs) => {
    const of = openHome()
    const spec = await orphaned(of, nobody())
    const { attempts, told, ended, adoption } = blindRunner('adoption')

    attempts.ensure(spec)
    await adoption
    attempts.stop(of.stopOf(spec, { graceMs }))

    expect((await ended).outcome).toBe('cancelled')
    expect(told()).toEqual(['adopted', 'cancelled'])
    expect(of.marked(spec.key)).toEqual([])
  },
)
