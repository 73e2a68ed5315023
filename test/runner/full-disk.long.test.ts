import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { FILES, readExitRecord, readProcessRecord } from '../../src/attempt.ts'
import { fileThere, openHome, processGone, textThere } from './home.ts'

const program = fileURLToPath(new URL('main-killed.ts', import.meta.url))

/** A home in which writing this file fails as long as `full` is there. */
const openFull = (point: string) => {
  const opened = openHome({ program })
  const full = join(opened.home, 'full')
  writeFileSync(join(opened.home, 'kill-at'), `${point}\n`)
  writeFileSync(full, '')
  return { ...opened, empty: () => rmSync(full) }
}

/** What becomes of an end that the disk does not take at first. */
const unwritten = async (code: string): Promise<void> => {
  const { home, shell, executor, runnerPid, empty } = openFull(`${code} writeFileSync exit.json.tmp`)
  const daemon = executor(1)
  const spec = shell('exit 3')
  const exit = join(spec.dir, FILES.exit)

  const { record } = await daemon.run(spec)
  expect(record).toMatchObject({ outcome: 'exit', code: 3 })
  await textThere(join(home, 'runner.log'), `${spec.key}: its end cannot be written: ${code}`)
  expect(existsSync(exit)).toBe(false)
  const again = await daemon.run(spec)
  expect(again.record).toEqual(record)
  const runner = await runnerPid()
  await daemon.close()
  empty()
  await fileThere(exit)
  await processGone(runner)

  expect(readExitRecord(readFileSync(exit, 'utf8'))).toEqual(record)
  const after = executor(2)
  after.ensure({ ...spec, recovered: true })
  expect((await after.ended(spec.key)).record).toEqual(record)
  expect(after.finds).toEqual([])
}

test('an end that the disk does not take is told all the same, kept, and written when it can be; then the runner leaves', async () => {
  await Promise.all(['ENOSPC', 'EDQUOT', 'EIO'].map(unwritten))
})

test.each([
  'ENOSPC mkdirSync artifacts',
  'ENOSPC writeFileSync claim',
  'EDQUOT writeFileSync needs.json',
  'ENOSPC openSync log',
])(
  'a start that the disk does not take (%s) has not begun; the next attempt begins when it can',
  async (point) => {
    const { home, shell, executor, ref, empty } = openFull(point)
    const { run } = executor()
    const spec = shell('echo x >> ledger')

    const { record } = await run(spec)
    empty()
    const next = await run({ ...spec, ...ref(spec.job, 2) })
    const same = await run(spec)

    expect(record).toMatchObject({ outcome: 'never-started', startedAt: null, pid: null })
    expect(record.error).toContain(point.split(' ')[0])
    expect(same.record).toEqual(record)
    expect(next.record.outcome).toBe('succeeded')
    expect(readFileSync(join(home, 'ledger'), 'utf8')).toBe('x\n')
  },
)

test('the identity of a process that the disk does not take is written when it can be', async () => {
  const { home, shell, executor, main, empty } = openFull('ENOSPC writeFileSync process.json')
  const { ensure, ended } = executor()
  const spec = shell(': > there; until test -e go; do sleep 0.02; done')
  ensure(spec)
  await textThere(join(home, 'runner.log'), 'ENOSPC')
  const pid = await main(spec.key)

  empty()
  await expect
    .poll(() => readProcessRecord(readFileSync(join(spec.dir, FILES.process), 'utf8'))?.pid)
    .toBe(pid)
  writeFileSync(join(home, 'go'), '')

  expect((await ended(spec.key)).record.outcome).toBe('succeeded')
})
