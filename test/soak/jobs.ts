/**
 * Soak: a healthy life. Many plans of `call` and process jobs through one runtime, with retention on. Nothing is repaired, memory and
 * the journal are flat after a warm-up, only what retention keeps is left, the auditor finds nothing, and the home is soon taken up
 * again. `--jobs N` (20 000; `--short`: 4 000) says how many; prints the figures; exits 1 when one is out of bounds.
 */
import { strict as assert } from 'node:assert'
import { mkdtempSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { auditHome } from '../../src/audit/home.ts'
import { definePlan, type JobSource } from '../../src/plans/define-plan.ts'
import { createRuntime, type Runtime } from '../../src/runtime.ts'
import { removeFolder } from '../support/folders.ts'

const { argv } = process
const at = argv.indexOf('--jobs')
const jobs = at === -1 ? (argv.includes('--short') ? 4_000 : 20_000) : Number(argv[at + 1])
assert(Number.isInteger(jobs) && jobs >= 1_000, '--jobs must be 1000 or more')
const PLANS_AT_ONCE = 12
const CALLS = 16
const PROCESSES = 4
const plans = Math.ceil(jobs / (CALLS + PROCESSES))
/** Of the plans, before memory is looked at. */
const WARM_UP = 0.4
const LOOKS = 10
/** A short life is still half warming up. */
const GROWTH_MAX = jobs < 10_000 ? 0.2 : 0.1
/** Garbage that waits to be collected is bounded by the flags it is started with; there is no more to it. */
const RUNNER_GROWTH_BYTES_MAX = 5_000_000
/** Of this many jobs without retention it would be more. */
const JOURNAL_BYTES_MAX = 8_000_000
const RESTART_MS_MAX = 2_000
const KEPT_MS = 1_500

const home = join(mkdtempSync(join(tmpdir(), 'tenuto-soak-')), 'home')
const say = (line: string): void => void process.stdout.write(`${line}\n`)
const mega = (value: number): string => `${(value / 1e6).toFixed(1)} MB`

const many = <T>(count: number, make: (i: number) => T): T[] =>
  Array.from({ length: count }, (_, i) => make(i))
/** A fan of calls and processes, each process after two of the calls, and one that comes after all. */
const fan: Readonly<Record<string, JobSource>> = Object.fromEntries([
  ...many(CALLS - 1, (i) => [`call-${i}`, { call: 'noop', with: { i } }]),
  ...many(PROCESSES, (i) => [
    `process-${i}`,
    { exec: ['/bin/echo', `${i}`], needs: [`call-${i}`, `call-${i + 4}`] },
  ]),
  ['last', { call: 'noop', needs: many(PROCESSES, (i) => `process-${i}`) }],
])
const plan = definePlan({ name: 'soak', maxParallel: 16, jobs: fan })
const open = (): Promise<Runtime> =>
  createRuntime({
    home,
    sweepMs: 1_000,
    retention: { plansMs: KEPT_MS, everyMs: 200 },
    handlers: { noop: async ({ input }) => ({ input }) },
  })

type Look = Readonly<{ rss: number; heap: number; journal: number; kept: number }>
const look = async (): Promise<Look> => {
  const { gc } = globalThis
  assert(gc !== undefined, 'run with --expose-gc')
  await gc({ execution: 'async' })
  gc()
  const { rss, heapUsed } = process.memoryUsage()
  const journal = statSync(join(home, 'journal.db')).size
  return { rss, heap: heapUsed, journal, kept: readdirSync(join(home, 'attempts')).length }
}
const runnerMemory = (): number => {
  const found = readdirSync('/proc').flatMap((pid) => {
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
      if (!words.includes(home)) return []
      return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024
    } catch {
      return []
    }
  })
  return Math.max(0, ...found)
}

let runtime = await open()
try {
  const began = performance.now()
  let submitted = 0
  const lane = async (until: number): Promise<void> => {
    while (submitted < until) {
      submitted += 1
      const { state } = await (await runtime.submit(plan)).settled()
      assert.equal(state, 'succeeded')
    }
  }
  const stretch = async (until: number): Promise<Look> => {
    await Promise.all(Array.from({ length: PLANS_AT_ONCE }, () => lane(until)))
    return look()
  }
  const warm = Math.round(plans * WARM_UP)
  const base = await stretch(warm)
  const runnerBase = runnerMemory()
  const looks: Look[] = []
  for (let n = 1; n <= LOOKS; n += 1)
    looks.push(await stretch(warm + Math.round(((plans - warm) * n) / LOOKS)))
  const seconds = (performance.now() - began) / 1000
  const runner = runnerMemory()
  const most = (of: (look: Look) => number): number => Math.max(...looks.map(of))
  const grown = (of: (look: Look) => number): number => most(of) / of(base) - 1
  const percent = (share: number): string => `${share < 0 ? '' : '+'}${(100 * share).toFixed(1)} %`
  const { repairs, commits, dead, faults, failedCommits } = runtime.counts()
  const removed = await runtime.prunedTo()
  const { findings } = await auditHome(home)
  const state = await runtime.state()
  const failed = runtime.tree().children.filter(({ last_error: error }) => error !== null)
  await runtime.stop()

  const again = performance.now()
  runtime = await open()
  const restartMs = performance.now() - again
  const total = submitted * (CALLS + PROCESSES)
  say(
    `jobs               ${total} in ${submitted} plans, ${seconds.toFixed(1)} s, ${(total / seconds).toFixed(0)} jobs/s, ${commits} commits`,
  )
  say(
    `repairs            ${repairs}; ${faults} faults, ${failedCommits} failed commits, ${dead} dead letters`,
  )
  say(
    `memory             ${mega(base.rss)} after ${warm} plans, then at most ${mega(most(({ rss }) => rss))} (${percent(grown(({ rss }) => rss))})`,
  )
  say(
    `of it the heap     ${mega(base.heap)}, then at most ${mega(most(({ heap }) => heap))} (${percent(grown(({ heap }) => heap))})`,
  )
  say(`runner memory      ${mega(runnerBase)}, in the end ${mega(runner)}`)
  say(
    `journal            ${mega(base.journal)}, then at most ${mega(most(({ journal }) => journal))}; position ${state.position}, removed up to ${removed}`,
  )
  say(`kept               at most ${most(({ kept }) => kept)} plans with folders, of those of ${KEPT_MS} ms`)
  say(`audit              ${findings.length} findings`)
  for (const part of failed) say(`part that failed   ${part.id}, ${part.state}: ${part.last_error}`)
  say(`restart            ${restartMs.toFixed(0)} ms`)
  assert.equal(repairs, 0, 'a healthy life is repaired nowhere')
  assert.equal(faults + failedCommits + dead + failed.length, 0, 'nothing failed')
  assert(grown(({ rss }) => rss) < GROWTH_MAX, 'memory is flat after the warm-up')
  assert(runner - runnerBase < RUNNER_GROWTH_BYTES_MAX, 'the memory of the runner is flat')
  assert(removed > 0 && most(({ journal }) => journal) < JOURNAL_BYTES_MAX, 'the journal is bounded')
  assert.deepEqual(findings, [], 'the auditor finds nothing')
  assert(restartMs < RESTART_MS_MAX, 'the home is soon taken up again')
} catch (error) {
  say(`FAILED: ${(error as Error).message}`)
  process.exitCode = 1
} finally {
  await runtime.stop()
  removeFolder(join(home, '..'))
}
