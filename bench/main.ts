/**
 * The benchmarks: each row is a ratio against a baseline measured in the same run, the median of several rounds. `--short` runs less
 * and decides nothing; `--write` puts the table into docs/benchmarks.md.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { systemClock } from '../src/clock.ts'
import type { Definition, JobDefinition, Need } from '../src/definition.ts'
import type { serveHome as ServeHome } from '../src/http/server.ts'
import type { createRuntime as CreateRuntime } from '../src/runtime.ts'
import type { supervisor as Supervisor } from '../src/supervisor/index.ts'
import { looksInto, stateBeside } from './answers.ts'
import { type Lives, livesIn, rawHops, rawRows } from './raw.ts'

/** What is measured is what is shipped: the build. */
const built = (path: string): string => pathToFileURL(join(import.meta.dirname, '..', 'dist', path)).href
const { createRuntime } = (await import(built('runtime.js'))) as { createRuntime: typeof CreateRuntime }
const { serveHome } = (await import(built('http/server.js'))) as { serveHome: typeof ServeHome }
const { supervisor } = (await import(built('supervisor/index.js'))) as { supervisor: typeof Supervisor }

const short = process.argv.includes('--short')
const rounds = short ? 1 : 3

type Row = Readonly<{
  what: string
  measured: string
  baseline: string
  ratio: number
  wanted: string
  holds: boolean
}>

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
/** Folders are removed in the end: on ext4 making files is several times dearer right after many were deleted. */
const folders: string[] = []
process.on('exit', () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})
const inFolder = async <T>(act: (folder: string) => T | Promise<T>): Promise<T> => {
  const folder = mkdtempSync(join(tmpdir(), 'tenuto-bench-'))
  folders.push(folder)
  return act(folder)
}
const repeat = async (measure: () => Promise<number>, times = rounds): Promise<number> => {
  const found: number[] = []
  for (let round = 0; round < times; round += 1) found.push(await measure())
  return median(found)
}

const call = (needs: Record<string, Need>): JobDefinition => ({
  kind: 'call',
  call: 'nothing',
  needs,
  graceMs: 1000,
  onLost: 'retry',
})
const planOf = (jobs: Record<string, JobDefinition>, maxParallel: number): Definition => ({
  version: 1,
  name: 'bench',
  maxParallel,
  onFailure: 'continue',
  env: {},
  jobs,
})
/** One job, n after it, one after all of these. */
const fan = (
  n: number,
  middle: (needs: Record<string, Need>) => JobDefinition,
  maxParallel: number,
): Definition => {
  const names = Array.from({ length: n }, (_, at) => `j${at}`)
  const jobs: Record<string, JobDefinition> = { first: middle({}) }
  for (const name of names) jobs[name] = middle({ first: 'success' })
  jobs['last'] = middle(Object.fromEntries(names.map((name) => [name, 'success'])))
  return planOf(jobs, maxParallel)
}

/** Runs a plan and answers how long it took from its submission to its end, in ms. */
const lifeOf = (definition: Definition): Promise<number> =>
  inFolder(async (home) => {
    const runtime = await createRuntime({ home, handlers: { nothing: () => null } })
    const began = performance.now()
    const plan = await runtime.submit(definition)
    const { state } = await plan.settled()
    const took = performance.now() - began
    await runtime.stop()
    if (state !== 'succeeded') throw new Error(`the plan ${state}`)
    return took
  })

/** The rows of one job of a chain, as a runtime leaves them. */
const livesOfChain = (): Promise<Lives> =>
  inFolder(async (home) => {
    const runtime = await createRuntime({ home, handlers: { nothing: () => null } })
    const chain = planOf({ j0: call({}), j1: call({ j0: 'success' }), j2: call({ j1: 'success' }) }, 10)
    await (await runtime.submit(chain)).settled()
    await runtime.stop()
    return livesIn(join(home, 'journal.db'), 'j1')
  })

/** A chain of calls: the p50 of the time between the ends of two neighbours, in ms. */
const hop = (length: number): Promise<number> =>
  inFolder(async (home) => {
    const jobs: Record<string, JobDefinition> = {}
    for (let at = 0; at < length; at += 1)
      jobs[`j${at}`] = call(at === 0 ? {} : { [`j${at - 1}`]: 'success' })
    const begun: number[] = []
    const nothing = (): null => {
      begun.push(performance.now())
      return null
    }
    const runtime = await createRuntime({ home, handlers: { nothing } })
    await (await runtime.submit(planOf(jobs, 10))).settled()
    await runtime.stop()
    return median(begun.slice(1).map((at, index) => at - (begun[index] ?? at)))
  })

const trueProcess = (needs: Record<string, Need>): JobDefinition => ({
  kind: 'run',
  run: 'true',
  needs,
  graceMs: 1000,
  onLost: 'hold',
})
const processes = async (n: number): Promise<Readonly<{ ours: number; xargs: number }>> => {
  const ours = await repeat(() => lifeOf(fan(n, trueProcess, 16)))
  const xargs = await repeat(async () => {
    const began = performance.now()
    const input = Array.from({ length: n + 2 }, (_, at) => at).join('\n')
    spawnSync('xargs', ['-P16', '-I{}', 'sh', '-eu', '-c', 'true'], { input })
    return performance.now() - began
  })
  return { ours, xargs }
}

/** The start and stop of one child beside so many siblings, in µs of CPU: the mean of many. */
const oneChild = async (siblings: number): Promise<number> => {
  const template = { id: 'child', start: () => ({ stop: () => {} }) }
  const sup = supervisor({ strategy: 'dynamic' }, [template], { clock: systemClock, random: Math.random })
  await sup.start()
  for (let at = 0; at < siblings; at += 1) await sup.startChild({ id: `s${at}` })
  const times = 20_000
  const began = process.cpuUsage()
  for (let at = 0; at < times; at += 1) {
    await sup.startChild({ id: `c${at}` })
    await sup.stopChild(`c${at}`)
  }
  const { user, system } = process.cpuUsage(began)
  await sup.stop()
  return (user + system) / times
}

type Cost = Readonly<{ ms: number; cpuMs: number }>
/** What a plan takes until its end, and all that this process does for it, until everything is counted where it has analytics. */
const costOf = (definition: Definition, analytics: boolean): Promise<Cost> =>
  inFolder(async (home) => {
    const runtime = await createRuntime({ home, analytics, handlers: { nothing: () => null } })
    // Asked of analytics alone: the whole state looks at every process of the machine where no runner serves.
    const counted = async (): Promise<void> => {
      while (analytics && (await runtime.analytics({ limit: 1 })).data?.behind !== 0)
        await new Promise((resolve) => setTimeout(resolve, 20))
    }
    await counted()
    const began = performance.now()
    const used = process.cpuUsage()
    await (await runtime.submit(definition)).settled()
    const ms = performance.now() - began
    await counted()
    const { user, system } = process.cpuUsage(used)
    await runtime.stop()
    return { ms, cpuMs: (user + system) / 1_000 }
  })
/** The same plan in turns without analytics and with it, so that whatever else the machine does falls on both. */
const withGuest = async (plan: Definition, times: number) => {
  await costOf(plan, true)
  const costs: Readonly<{ alone: Cost; beside: Cost }>[] = []
  for (let round = 0; round < times; round += 1)
    costs.push({ alone: await costOf(plan, false), beside: await costOf(plan, true) })
  return (key: keyof Cost) => {
    const [alone, beside] = (['alone', 'beside'] as const).map((who) =>
      median(costs.map((each) => each[who][key])),
    )
    return { alone: alone ?? Number.NaN, beside: beside ?? Number.NaN }
  }
}

/** CPU milliseconds, user and system, of one run of Node. */
const cpuOf = (args: readonly string[]): number => {
  const out = execFileSync(
    'sh',
    [
      '-c',
      'times=$( { "$@" >/dev/null 2>&1; } ; times ); printf %s "$times"',
      'sh',
      process.execPath,
      ...args,
    ],
    { encoding: 'utf8' },
  )
  const seconds = [...out.matchAll(/(\d+)m([\d.]+)s/g)].map(
    ([, minutes, rest]) => Number(minutes) * 60 + Number(rest),
  )
  return seconds.slice(-2).reduce((sum, value) => sum + value, 0) * 1000
}

const rows: Row[] = []
const add = (
  what: string,
  measured: string,
  baseline: string,
  ratio: number,
  wanted: string,
  holds: boolean,
): void => {
  rows.push({ what, measured, baseline, ratio, wanted, holds })
  console.log(
    `${what}: ${measured} against ${baseline}, ratio ${ratio.toFixed(3)} (wanted ${wanted})${holds ? '' : '  MISSED'}`,
  )
}
const rate = (jobs: number, ms: number): number => jobs / (ms / 1000)

const large = short ? 2_000 : 10_000
const lives = await livesOfChain()
const raw = await repeat(() => inFolder((folder) => rawRows(folder, lives, large, 256)))
const mid = rate(large, await repeat(() => lifeOf(fan(large, call, 256))))
add(
  `1 → ${large} → 1 of calls, durable`,
  `${mid.toFixed(0)} jobs/s`,
  `${raw.toFixed(0)} raw rows/s`,
  mid / raw,
  '≥ 0.035',
  mid / raw >= 0.035,
)
const small = rate(1_000, await repeat(() => lifeOf(fan(1_000, call, 256))))
// With the first and the last, as many jobs as a plan may have.
const huge = short ? 10_000 : 99_998
const big = rate(huge, await repeat(() => lifeOf(fan(huge, call, 256)), 1))
add(
  `jobs/s at ${huge} against 1000`,
  `${big.toFixed(0)} jobs/s`,
  `${small.toFixed(0)} jobs/s`,
  big / small,
  '≥ 0.7',
  big / small >= 0.7,
)
const length = short ? 200 : 1_000
const commit = await repeat(() => inFolder((folder) => median(rawHops(folder, lives, length))))
const oneHop = await repeat(() => hop(length))
add(
  'hop of a chain, p50',
  `${oneHop.toFixed(3)} ms`,
  `${commit.toFixed(3)} ms a synced commit of its rows`,
  oneHop / commit,
  '≤ 2',
  oneHop / commit <= 2,
)
const n = 1_000
const { ours, xargs } = await processes(n)
add(
  `${n} processes, 16 at once`,
  `${(ours / 1000).toFixed(2)} s`,
  `${(xargs / 1000).toFixed(2)} s of xargs -P16`,
  ours / xargs,
  '≤ 4',
  ours / xargs <= 4,
)
// Once unmeasured: what runs first pays for the compiler.
await oneChild(10)
const few = await repeat(() => oneChild(10))
const many = await repeat(() => oneChild(100_000))
add(
  'CPU of the start and stop of one child beside 100000 siblings',
  `${many.toFixed(1)} µs`,
  `${few.toFixed(1)} µs beside 10`,
  many / few,
  '≤ 2',
  many / few <= 2,
)
const turns = short ? 3 : 9
for (const [what, plan] of [
  ['calls', fan(short ? 500 : 3_000, call, 256)],
  ['processes', fan(short ? 50 : 500, trueProcess, 16)],
] as const) {
  const costs = await withGuest(plan, turns)
  for (const [key, of] of [
    ['ms', 'time'],
    ['cpuMs', 'CPU of the holder'],
  ] as const) {
    const { alone, beside } = costs(key)
    add(
      `${of} of ${Object.keys(plan.jobs).length} ${what} with analytics`,
      `${beside.toFixed(0)} ms`,
      `${alone.toFixed(0)} ms without, in turns`,
      beside / alone,
      '≤ 1.05',
      beside / alone <= 1.05,
    )
  }
}
const beside = { live: 1_000, clients: 200, times: short ? 100 : 500 }
const state = await repeat(() => inFolder((home) => stateBeside({ createRuntime, serveHome }, home, beside)))
add(
  'GET /state beside 1000 live jobs, 200 SSE clients and other plans, p99',
  `${state.toFixed(1)} ms`,
  '50 ms',
  state / 50,
  '≤ 1',
  state <= 50,
)
const kept = short ? 1_000 : 10_000
const small5 = await inFolder((home) => looksInto({ createRuntime, serveHome }, home, 100))
const large5 = await inFolder((home) => looksInto({ createRuntime, serveHome }, home, kept))
for (const [what, key] of [
  ['a start', 'startMs'],
  ['GET /state, p99', 'state'],
  ['ls, p99', 'ls'],
  ['ls --state failed, p99', 'failed'],
  ['plans that have not ended, p99', 'open'],
  ['ls jobs --state failed, p99', 'jobs'],
] as const)
  add(
    `${what}, with ${kept} plans of five jobs`,
    `${large5[key].toFixed(1)} ms`,
    `${small5[key].toFixed(1)} ms with 100`,
    large5[key] / small5[key],
    'within 200 ms',
    large5[key] - small5[key] <= 200,
  )
const bin = join(import.meta.dirname, '..', 'bin', 'tenuto.cjs')
const version = await repeat(async () => cpuOf([bin, 'version']), 5)
const nothing = await repeat(async () => cpuOf(['-e', '0']), 5)
add(
  'CPU of `tenuto version`',
  `${version.toFixed(0)} ms`,
  `${nothing.toFixed(0)} ms of node -e 0`,
  version / nothing,
  'within 150 ms',
  version - nothing <= 150,
)

if (process.argv.includes('--write')) {
  const table = rows.map(
    ({ what, measured, baseline, ratio, wanted, holds }) =>
      `| ${what} | ${measured} | ${baseline} | ${ratio.toFixed(3)} | ${wanted} | ${holds ? 'yes' : 'no'} |`,
  )
  const text = `# Benchmarks

The output of \`npm run bench -- --write\`. Each row is a ratio against a baseline measured in the same run; the absolute figures are those
of one small machine.

${new Date().toISOString().slice(0, 10)} · ${cpus().length} × ${cpus()[0]?.model.trim()} · Node ${process.versions.node}

| what | measured | baseline | ratio | wanted | holds |
|---|---|---|---|---|---|
${table.join('\n')}
`
  writeFileSync(join(import.meta.dirname, '..', 'docs', 'benchmarks.md'), text)
}
