/**
 * An attempt of which it is on record that it had begun is never started again, whatever has become of its folder.
 *
 * Mutations of `runner/attempts.ts` and `executor.ts` that were planted once, and each found: `begun` ignored by the runner; by the
 * ruling alone; no look for processes where the claim was made just now; an executor that forgets that an attempt had begun.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { FILES, readClaim, readExitRecord, type Spec } from '../../src/attempt.ts'
import { fileThere, type Home, openHome, processGone, textThere } from './home.ts'

const GONE = 'the folder of an attempt that had begun is gone'
const ledgerOf = ({ home }: Home): string => readFileSync(join(home, 'ledger'), 'utf8')
const claimOf = ({ dir }: Spec) => readClaim(readFileSync(join(dir, FILES.claim), 'utf8'))
const exitOf = ({ dir }: Spec) => readExitRecord(readFileSync(join(dir, FILES.exit), 'utf8'))
const WAITS = 'echo x >> ledger; : > there; until test -e go; do sleep 0.02; done'

/** An attempt that runs, and whose runner is gone. */
const orphan = async (of: Home, text = WAITS): Promise<Readonly<{ spec: Spec; pid: number }>> => {
  const spec = of.shell(text)
  const before = of.executor(1)
  before.ensure(spec)
  await fileThere(join(of.home, 'there'))
  const pid = await of.main(spec.key)
  await before.close()
  const runner = await of.runnerPid()
  process.kill(runner, 'SIGKILL')
  await processGone(runner)
  return { spec, pid }
}

test('an attempt is said to have begun once it has lived for a second, and one that is shorter never is', async () => {
  const of = openHome()
  const { run, begun, begins, ensure, ended } = of.executor()
  const long = of.shell(WAITS)

  ensure(long)
  const short = await run(of.shell('true'))
  const pid = await begun(long.key)
  const shorter = await run(of.shell('true'))
  writeFileSync(join(of.home, 'go'), '')
  const { record } = await ended(long.key)

  expect(begins).toEqual([{ key: long.key, pid: record.pid }])
  expect(pid).toBe(record.pid)
  expect(record.durationMs).toBeGreaterThanOrEqual(1_000)
  expect([short, shorter].map((end) => end.record.outcome)).toEqual(['succeeded', 'succeeded'])
})

test('who asks again and does not know that an attempt has begun is told, and who knows is not', async () => {
  const of = openHome()
  const before = of.executor(1)
  const spec = of.shell(WAITS)
  before.ensure(spec)
  await before.begun(spec.key)
  await before.close()

  const knows = of.executor(2)
  knows.ensure({ ...spec, recovered: true, begun: true })
  await knows.found(spec.key)
  await knows.run(of.shell('true'))
  await knows.close()
  const asks = of.executor(3)
  asks.ensure({ ...spec, recovered: true })
  await asks.begun(spec.key)
  writeFileSync(join(of.home, 'go'), '')
  await asks.ended(spec.key)

  expect(knows.begins).toEqual([])
  expect(asks.begins).toHaveLength(1)
  expect(before.begins).toHaveLength(1)
})

test('one that had begun and whose folder is gone is lost, says why, and is not started by anybody who knows less', async () => {
  const of = openHome()
  const spec = of.shell('echo x >> ledger')
  const { run } = of.executor()

  const { record } = await run({ ...spec, begun: true, recovered: true })
  const late = await run(spec)

  expect(record).toMatchObject({ outcome: 'lost', error: GONE, pid: null, startedAt: null })
  expect(exitOf(spec)).toEqual(record)
  expect(claimOf(spec)?.by).toBe('sweep')
  expect(late.record).toEqual(record)
  expect(() => ledgerOf(of)).toThrow('ENOENT')
})

test('one that had begun and has neither folder nor process ends as lost, also when it is to be stopped', async () => {
  const of = openHome()
  const spec = of.shell('echo x >> ledger')
  const { stop, ended } = of.executor()

  stop(of.stopOf(spec, { begun: true, recovered: true }))

  expect((await ended(spec.key)).record).toMatchObject({ outcome: 'lost', error: GONE })
})

test.each([FILES.claim, FILES.log])('without its %s an attempt that had begun is lost', async (file) => {
  const of = openHome()
  const { spec, pid } = await orphan(of)
  process.kill(-pid, 'SIGKILL')
  await processGone(pid)
  rmSync(join(spec.dir, FILES.process), { force: true })
  rmSync(join(spec.dir, file))

  const { record } = await of.executor(2).run({ ...spec, begun: true })

  expect(record.outcome).toBe('lost')
  expect(ledgerOf(of)).toBe('x\n')
})

test('a log without a claim says that the attempt had begun, though nobody knows it', async () => {
  const of = openHome()
  const { spec, pid } = await orphan(of)
  rmSync(join(spec.dir, FILES.claim))
  rmSync(join(spec.dir, FILES.process), { force: true })

  const after = of.executor(2)
  after.ensure({ ...spec, recovered: true })

  expect(await after.found(spec.key)).toMatchObject({ how: 'adopted', pid })
  writeFileSync(join(of.home, 'go'), '')
  expect((await after.ended(spec.key)).record.outcome).toBe('lost')
  expect(ledgerOf(of)).toBe('x\n')
})

test('where no folder can be made one that had begun is lost, and not never started', async () => {
  const of = openHome()
  writeFileSync(join(of.home, 'attempts'), 'in the way')

  const { record } = await of.executor().run(of.shell('echo x >> ledger', { begun: true }))

  expect(record).toMatchObject({ outcome: 'lost', error: GONE })
})

test('one whose folder is gone and whose process lives is adopted, and can be stopped', async () => {
  const of = openHome()
  const { spec, pid } = await orphan(of)
  rmSync(join(of.home, 'attempts'), { recursive: true })

  const after = of.executor(2)
  after.ensure({ ...spec, begun: true, recovered: true })
  const found = await after.found(spec.key)
  const runner = await of.runnerPid()
  process.kill(runner, 'SIGKILL')
  await processGone(runner)
  after.stop(of.stopOf(spec, { begun: true, graceMs: 100 }))
  const { record } = await after.ended(spec.key)

  expect(found).toEqual({ key: spec.key, how: 'adopted', pid })
  expect(record).toMatchObject({ outcome: 'cancelled', pid })
  expect(of.marked()).toEqual([])
  expect(ledgerOf(of)).toBe('x\n')
})

test('a runner is killed after somebody has removed all folders: the daemon knows that the attempt had begun, and its end is told', async () => {
  const of = openHome()
  const spec = of.shell(WAITS)
  const { ensure, begun, ended } = of.executor()
  ensure(spec)
  const pid = await begun(spec.key)
  rmSync(join(of.home, 'attempts'), { recursive: true })
  const runner = await of.runnerPid()

  process.kill(runner, 'SIGKILL')
  await processGone(runner)
  await textThere(join(of.home, 'runner.log'), `${spec.key}: adopted process ${pid}`)
  writeFileSync(join(of.home, 'go'), '')

  expect((await ended(spec.key)).record).toMatchObject({ outcome: 'lost', pid })
  expect(ledgerOf(of)).toBe('x\n')
})

test('folders that are removed under a living runner cost the log and the outputs, not the end', async () => {
  const of = openHome()
  const spec = of.shell(`${WAITS}; exit 4`)
  const { ensure, begun, ended, run } = of.executor()
  ensure(spec)
  await begun(spec.key)
  rmSync(join(of.home, 'attempts'), { recursive: true })
  ensure({ ...spec, begun: true })
  writeFileSync(join(of.home, 'go'), '')

  const { record } = await ended(spec.key)

  expect(record).toMatchObject({ outcome: 'exit', code: 4 })
  expect(exitOf(spec)).toEqual(record)
  expect((await run({ ...spec, begun: true, recovered: true })).record).toEqual(record)
  expect(ledgerOf(of)).toBe('x\n')
})
