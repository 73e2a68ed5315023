/**
 * An attempt that is being stopped takes with it who descends from it, and goes on being stopped when its runner is gone.
 *
 * Mutations of `runner/life.ts` that were planted once, and each found: a grace that begins anew; a TERM that comes twice; the reason of
 * the later order; what another attempt has left taken for its own; no look at who descends from it before TERM, or before KILL.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { FILES, MARKER, parseAttemptKey, readStopRecord, type Spec } from '../../src/attempt.ts'
import { markerOf } from '../../src/process.ts'
import {
  fileThere,
  type Home,
  openHome,
  openStanding,
  pidsOf,
  processGone,
  STANDS,
  textThere,
} from './home.ts'

const LONG_MS = 600_000
/** Counts what it is asked, and goes on. */
const STUBBORN = `trap 'echo term >> ledger' TERM; : > there; until test -e go; do sleep 0.02 || :; done`

const recordOf = ({ dir }: Spec) => readStopRecord(readFileSync(join(dir, FILES.stop), 'utf8'))
const ledgerOf = ({ home }: Home): string => readFileSync(join(home, 'ledger'), 'utf8')

/** An attempt that has got its TERM, with a long grace, and whose runner and daemon are gone. */
const stopped = async (of: Home): Promise<Spec> => {
  const spec = of.shell(STUBBORN)
  const before = of.executor(1)
  before.ensure(spec)
  await fileThere(join(of.home, 'there'))
  before.stop(of.stopOf(spec, { graceMs: LONG_MS }))
  await textThere(join(of.home, 'ledger'), 'term\n')
  await textThere(join(spec.dir, FILES.stop), 'termMono')
  await before.close()
  const runner = await of.runnerPid()
  process.kill(runner, 'SIGKILL')
  await processGone(runner)
  return spec
}

test('the grace that was granted counts with the next runner, and nobody is asked to end twice', async () => {
  const of = openHome()
  const spec = await stopped(of)
  const record = recordOf(spec)
  expect(record).toMatchObject({ key: spec.key, why: 'cancelled', graceMs: LONG_MS })
  // As if all of that had been ten minutes ago.
  const early = { ...record, termMono: (record?.termMono ?? 0) - LONG_MS }
  writeFileSync(join(spec.dir, FILES.stop), JSON.stringify(early))

  const next = of.executor(2)
  next.stop(of.stopOf(spec, { graceMs: LONG_MS }))
  const end = await next.ended(spec.key)

  expect(end.record).toMatchObject({ outcome: 'cancelled' })
  expect(ledgerOf(of)).toBe('term\n')
  expect(of.marked(spec.key)).toEqual([])
})

test('a runner that is asked only for the attempt goes on stopping it, for the reason that was first', async () => {
  const of = openHome()
  const spec = await stopped(of)

  const next = of.executor(2)
  next.ensure({ ...spec, recovered: true })
  await next.found(spec.key)
  next.stop(of.stopOf(spec, { graceMs: LONG_MS, why: 'deadline' }))
  writeFileSync(join(of.home, 'go'), '')
  const end = await next.ended(spec.key)

  expect(end.record).toMatchObject({ outcome: 'cancelled' })
  expect(ledgerOf(of)).toBe('term\n')
})

test.each([
  ['was cut off', () => '{"v":1,"key":'],
  ['is of another', (spec: Spec) => JSON.stringify({ ...recordOf(spec), key: 'x', termMono: 0 })],
])('where what is on record %s, it is asked again and has its whole grace', async (_, text) => {
  const of = openHome()
  const spec = await stopped(of)
  writeFileSync(join(spec.dir, FILES.stop), text(spec))

  const next = of.executor(2)
  next.stop(of.stopOf(spec, { graceMs: LONG_MS }))
  await textThere(join(of.home, 'ledger'), 'term\nterm\n')
  expect(await next.live()).toMatchObject([{ key: spec.key }])
  next.stop(of.stopOf(spec, { graceMs: 0 }))

  expect((await next.ended(spec.key)).record).toMatchObject({ outcome: 'cancelled' })
})

test('a later order makes an earlier one only quicker, also where no runner had heard of it', async () => {
  const of = openHome()
  const spec = await stopped(of)
  rmSync(join(spec.dir, FILES.stop))
  const next = of.executor(2)

  // Nobody is connected yet: the next runner hears of both at once.
  next.stop(of.stopOf(spec, { graceMs: 0 }))
  next.stop(of.stopOf(spec, { graceMs: LONG_MS, why: 'deadline' }))

  expect((await next.ended(spec.key)).record).toMatchObject({ outcome: 'cancelled' })
})

test('a later order makes an earlier one only quicker, also while the attempt is looked for', async () => {
  const of = openHome()
  const spec = await stopped(of)
  rmSync(join(spec.dir, FILES.stop))
  const next = of.executor(2)
  await next.run(of.shell('true'))

  next.stop(of.stopOf(spec, { graceMs: 0 }))
  next.stop(of.stopOf(spec, { graceMs: LONG_MS, why: 'deadline' }))

  expect((await next.ended(spec.key)).record).toMatchObject({ outcome: 'cancelled' })
})

/** Says its pid in a file of this name, in a session of its own and without its environment, and goes on. */
const escaped = (sign: string, traps = ''): string =>
  `env -i setsid sh -c "${traps} echo \\$\\$ > ${sign}.new; mv ${sign}.new ${sign}; while :; do sleep 0.05; done" &`
const waitFor = (sign: string): string => `until test -e ${sign}; do sleep 0.02; done;`
/** A home whose escaped processes are gone after the test in any case: nothing else would find them. */
const openWithEscapes = (...signs: readonly string[]): Home => {
  const of = openStanding()
  const { home } = of
  const pids = () =>
    signs.flatMap((sign) => (existsSync(join(home, sign)) ? [Number(readFileSync(join(home, sign)))] : []))
  let known: readonly number[] = []
  onTestFinished(() => {
    for (const pid of known.filter((each) => pidsOf((line) => line.includes('.new; mv ')).includes(each)))
      process.kill(pid, 'SIGKILL')
  })
  onTestFinished(() => {
    known = pids()
  })
  return of
}
const pidIn = (of: Home, sign: string): number => {
  const pid = Number(readFileSync(join(of.home, sign), 'utf8'))
  expect(pid).toBeGreaterThan(0)
  return pid
}
const there = (text: string): string => `${text} : > there; ${STANDS}; while :; do sleep 0.05 || :; done`

test('who has left the group and dropped the marker is ended with an attempt that is stopped, and counted', async () => {
  const of = openWithEscapes('polite', 'deaf')
  const executor = of.executor()
  const spec = of.shell(
    there(`${escaped('polite')} ${escaped('deaf', "trap '' TERM;")} ${waitFor('polite')} ${waitFor('deaf')}`),
  )
  executor.ensure(spec)
  await fileThere(join(of.home, 'there'))

  executor.stop(of.stopOf(spec))
  const { record } = await executor.ended(spec.key)

  expect(record.outcome).toBe('cancelled')
  expect(record.leftovers).toBeGreaterThanOrEqual(2)
  expect(record.warnings).toBeUndefined()
  for (const sign of ['polite', 'deaf']) await processGone(pidIn(of, sign))
})

test('who escapes during the grace is ended as well, and so is one that a limit stops', async () => {
  const of = openWithEscapes('late', 'overdue')
  const executor = of.executor()
  const late = of.shell(there(`trap '${escaped('late')}' TERM;`))
  const overdue = of.shell(
    `${escaped('overdue')} ${waitFor('overdue')} ${STANDS}; while :; do sleep 0.05; done`,
    { timeoutMs: 1_000 },
  )
  executor.ensure(late)
  executor.ensure(overdue)
  await fileThere(join(of.home, 'there'))

  executor.stop(of.stopOf(late, { graceMs: LONG_MS }))
  await fileThere(join(of.home, 'late'))
  executor.stop(of.stopOf(late, { graceMs: 0 }))
  const ends = [await executor.ended(late.key), await executor.ended(overdue.key)]

  expect(ends.map(({ record }) => record.outcome)).toEqual(['cancelled', 'timeout'])
  for (const { record } of ends) expect(record.leftovers).toBeGreaterThan(0)
  for (const sign of ['late', 'overdue']) await processGone(pidIn(of, sign))
})

test('what descends from an attempt and bears the marker of another home is left alone', async () => {
  const of = openWithEscapes('own', 'others')
  const other = openHome()
  const executor = of.executor()
  const key = `${other.homeId}/plan/a/1`
  const spec = of.shell(
    there(
      `${escaped('own')} ${escaped('others').replace('env -i', `env -i ${MARKER}=${key}`)} ${waitFor('own')} ${waitFor('others')}`,
    ),
  )
  executor.ensure(spec)
  await fileThere(join(of.home, 'there'))

  executor.stop(of.stopOf(spec))
  await executor.ended(spec.key)

  await processGone(pidIn(of, 'own'))
  expect(other.marked(key)).toContain(pidIn(of, 'others'))
})

test('a runner bears a marker that is no attempt’s', async () => {
  const of = openHome()
  const executor = of.executor()
  await executor.run(of.shell('true'))

  const marker = markerOf(await of.runnerPid())

  expect(marker).toBe(`runner/${of.homeId}`)
  expect(parseAttemptKey(marker ?? '')).toBeUndefined()
})
