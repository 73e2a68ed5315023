import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { FILES } from '../../src/attempt.ts'
import { readLog } from '../../src/log-file.ts'
import { holeFor } from '../../src/runner/log-bound.ts'
import { socketPath } from '../../src/socket.ts'
import { fileThere, openHome } from './home.ts'

const limits = { logLimitBytes: 2_000_000, headBytes: 200_000 }
/** 100 000 lines of 100 bytes: the line at offset o says o / 100. */
const lines = 'seq -f %099.0f 0 99999'

const readAll = async (path: string) => {
  const chunks: { offset: number; text: string }[] = []
  for (let offset = 0; ; ) {
    const { bytes, next } = await readLog(path, offset, 1_000_000)
    if (next === offset) return chunks
    chunks.push({ offset, text: Buffer.from(bytes).toString() })
    offset = next
  }
}

const isMarker = ({ text }: { text: string }) => text.startsWith('\n[tenuto: ')

const expectTrue = (chunks: readonly { offset: number; text: string }[]) => {
  const markers = chunks.filter(isMarker)
  expect(markers).toHaveLength(1)
  expect(markers[0]?.text).toMatch(/^\n\[tenuto: \d+\.\d MB left out here\]\n$/)
  for (const { offset, text } of chunks.filter((chunk) => !isMarker(chunk))) {
    const first = Math.ceil(offset / 100)
    const line = text.slice(first * 100 - offset, first * 100 - offset + 99)
    expect(Number(line)).toBe(first)
    expect(text.includes('\0')).toBe(false)
  }
}

test('a log past its limit loses its middle while its job writes on; no offset changes', async () => {
  const { shell, executor, home } = openHome()
  const { ensure, ended } = executor()
  const spec = shell(`${lines}; until test -e go; do sleep 0.02; done; echo end`, limits)
  mkdirSync(spec.dir, { recursive: true })
  ensure(spec)
  const log = join(spec.dir, FILES.log)
  await fileThere(join(spec.dir, FILES.hole))
  await expect.poll(() => statSync(log).blocks * 512).toBeLessThanOrEqual(limits.logLimitBytes)
  expectTrue(await readAll(log))
  writeFileSync(join(home, 'go'), '')

  const { record } = await ended(spec.key)

  expect(record.outcome).toBe('succeeded')
  expect(record.log.bytes).toBe(10_000_004)
  expect(record.log.hole).toMatchObject({ from: 262_144 })
  const chunks = await readAll(log)
  expectTrue(chunks)
  expect(chunks.at(-1)?.text.endsWith('99999\nend\n')).toBe(true)
})

test('a job that floods its log and ends before anybody looks leaves a bounded log', async () => {
  const { shell, executor } = openHome()
  const spec = shell(lines, limits)

  const { record } = await executor().run(spec)

  expect(record).toMatchObject({ outcome: 'succeeded', log: { bytes: 10_000_000, hole: { from: 262_144 } } })
  expect(statSync(join(spec.dir, FILES.log)).blocks * 512).toBeLessThanOrEqual(limits.logLimitBytes)
  expectTrue(await readAll(join(spec.dir, FILES.log)))
})

test('where the middle cannot be punched out the attempt is being stopped for that, and ends with `log-limit`', async () => {
  const { shell, executor, home, runnerPid } = openHome()
  const main = fileURLToPath(new URL('../../src/runner/main.ts', import.meta.url))
  const socket = socketPath(home, 'runner.sock')
  // A machine without the program that punches.
  const runner = spawn(process.execPath, [main, home, socket, 'test'], {
    env: { PATH: '/nowhere' },
    stdio: 'ignore',
  })
  expect(await runnerPid()).toBe(runner.pid)

  const { ensure, stopping, ended } = executor()
  const spec = shell(
    `trap ': > asked; until test -e go; do sleep 0.02; done; exit 1' TERM; ${lines}; while :; do sleep 0.05; done`,
    limits,
  )
  ensure(spec)
  expect(await stopping(spec.key)).toBe('log-limit')
  await fileThere(join(home, 'asked'))
  // Who asks during the grace is told again.
  ensure(spec)
  expect(await stopping(spec.key)).toBe('log-limit')
  writeFileSync(join(home, 'go'), '')
  const { record } = await ended(spec.key)

  expect(record.outcome).toBe('log-limit')
  expect(record.warnings?.join()).toContain('could not be punched out')
  // All that was written, with no hole: whoever wrote may have been asked to end before it had written all it meant to.
  expect(record.log).toEqual({ bytes: statSync(join(spec.dir, FILES.log)).size })
  expect(record.log.bytes).toBeGreaterThan(limits.logLimitBytes)
  runner.kill('SIGKILL')
  await once(runner, 'exit')
})

test('the hole lies between head and tail, on whole blocks, and only where there is something between', () => {
  expect(holeFor(1_000_000, limits)).toBeUndefined()
  const hole = holeFor(10_000_000, limits)
  expect(hole?.from).toBeGreaterThanOrEqual(limits.headBytes)
  expect((hole?.from ?? 1) % 4096).toBe(0)
  expect((hole?.to ?? 1) % 4096).toBe(0)
  expect(10_000_000 - (hole?.to ?? 0)).toBeGreaterThanOrEqual(900_000)
  expect(holeFor(10_000_000, { logLimitBytes: 100, headBytes: 200 })?.from).toBe(65_536)
})
