/**
 * Soak: a job that writes 2 GB without a newline (`--short`: 300 MB). The runner's memory stays flat, the log within its share
 * of the disk, offsets where they were, and the job is never held up. Prints the figures; exits 1 when one is out of bounds.
 */
import { strict as assert } from 'node:assert'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { processExecutor } from '../../src/actors/executor.ts'
import { runnerProgram } from '../../src/actors/runner-program.ts'
import {
  type AttemptReport,
  attemptDir,
  attemptKey,
  FILES,
  LOG_LIMITS,
  type Spec,
} from '../../src/attempt.ts'
import { systemClock } from '../../src/clock.ts'
import { readLog } from '../../src/log-file.ts'

const short = process.argv.includes('--short')
const bytes = short ? 300_000_000 : 2_000_000_000
const limits = short ? { logLimitBytes: 20_000_000, headBytes: 2_000_000 } : LOG_LIMITS
/** The log may be over its limit by what is written before the runner looks again. */
const DISK_BYTES_MAX = limits.logLimitBytes + 400_000_000
const MEMORY_GROWTH_BYTES_MAX = 30_000_000
/** Against the same writer without a runner. */
const SLOWER_MAX = 3

const home = mkdtempSync(join(tmpdir(), 'tenuto-soak-'))
const homeId = randomBytes(6).toString('hex')
const say = (line: string) => process.stdout.write(`${line}\n`)

const waiting = new Map<string, (report: AttemptReport) => void>()
const executor = processExecutor({
  home,
  homeId,
  epoch: 1,
  clock: systemClock,
  build: 'soak',
  program: runnerProgram(home),
  fail: (error) => {
    throw error
  },
  report: (report) => waiting.get(report.key)?.(report),
  stopping: () => {},
  found: () => {},
  begun: () => {},
  log: (level, fields, message) => say(`${level} ${message} ${JSON.stringify(fields)}`),
})
const specOf = (job: string, text: string): Spec => ({
  key: attemptKey(homeId, 'soak', job, 1),
  plan: 'soak',
  job,
  attempt: 1,
  generation: 1,
  dir: attemptDir(home, 'soak', job, 1),
  argv: ['sh', '-eu', '-c', text],
  cwd: home,
  env: { PATH: '/usr/local/bin:/usr/bin:/bin' },
  graceMs: 1_000,
  ...limits,
})
const run = (spec: Spec): Promise<AttemptReport> =>
  new Promise((resolve) => {
    waiting.set(spec.key, resolve)
    executor.ensure(spec)
  })
const memoryOf = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024

/** The bytes `offset mod 16` as letters: every byte says where it belongs. */
const writer = `yes abcdefghijklmnop | tr -d '\\n' | head -c ${bytes}`
const letterAt = (offset: number) => 'abcdefghijklmnop'.charCodeAt(offset % 16)
const mega = (value: number) => `${(value / 1e6).toFixed(1)} MB`

try {
  await run(specOf('warm', 'true'))
  const runnerPid = Number(
    readFileSync(join(attemptDir(home, 'soak', 'warm', 1), FILES.claim), 'utf8').match(/"pid":(\d+)/)?.[1],
  )
  const bare = await run(specOf('bare', `${writer} > bare; rm bare`))
  const before = memoryOf(runnerPid)
  const spec = specOf('flood', writer)
  const log = join(spec.dir, FILES.log)
  let disk = 0
  let memory = before
  const sampling = setInterval(() => {
    disk = Math.max(disk, (statSync(log, { throwIfNoEntry: false })?.blocks ?? 0) * 512)
    memory = Math.max(memory, memoryOf(runnerPid))
  }, 20)
  const { record } = await run(spec)
  clearInterval(sampling)
  const diskAfter = statSync(log).blocks * 512

  const markers: string[] = []
  let read = 0
  for (let offset = 0; ; ) {
    const { bytes: piece, next } = await readLog(log, offset, 8_000_000)
    if (next === offset) break
    if (piece[0] === 0x0a) markers.push(Buffer.from(piece).toString().trim())
    else {
      for (let i = 0; i < piece.length; i += 1)
        assert.equal(piece[i], letterAt(offset + i), `the byte at ${offset + i}`)
      read += piece.length
    }
    offset = next
  }

  say(
    `written            ${mega(bytes)} in ${record.durationMs} ms (without a runner's log ${bare.record.durationMs} ms)`,
  )
  say(
    `disk of the log    at most ${mega(disk)}, in the end ${mega(diskAfter)} (limit ${mega(limits.logLimitBytes)})`,
  )
  say(`runner memory      ${mega(before)} before, at most ${mega(memory)}`)
  say(`read back          ${mega(read)}, each byte at its offset; ${markers.join(' ')}`)
  assert.equal(record.outcome, 'succeeded')
  assert.equal(record.log.bytes, bytes, 'no byte was refused')
  assert(diskAfter <= limits.logLimitBytes, 'the log ends within its limit')
  assert(disk <= DISK_BYTES_MAX, 'the log stays near its limit while it grows')
  assert(memory - before <= MEMORY_GROWTH_BYTES_MAX, 'the memory of the runner is flat')
  assert.equal(markers.length, 1, 'one line stands for what is missing')
  const [slow, fast] = [record.durationMs ?? Number.POSITIVE_INFINITY, bare.record.durationMs ?? 0]
  assert(slow <= SLOWER_MAX * fast + 1_000, 'the job is not held up')
} catch (error) {
  say(`FAILED: ${(error as Error).message}`)
  process.exitCode = 1
} finally {
  await executor.close()
  rmSync(home, { recursive: true, force: true })
}
