/**
 * How long a holder takes to answer those who look: with many jobs that live and many who follow, and with many plans in its journal.
 */
import { spawn } from 'node:child_process'
import { Agent, request } from 'node:http'
import type { Definition, JobDefinition } from '../src/definition.ts'
import type { serveHome as ServeHome } from '../src/http/server.ts'
import type { createRuntime as CreateRuntime } from '../src/runtime.ts'

/** What is measured is the build. */
export type Built = Readonly<{ createRuntime: typeof CreateRuntime; serveHome: typeof ServeHome }>

const waiting = (kind: string): JobDefinition => ({
  kind: 'call',
  call: kind,
  needs: {},
  graceMs: 1000,
  onLost: 'retry',
})
const planOf = (name: string, jobs: Definition['jobs'], maxParallel: number): Definition => ({
  version: 1,
  name,
  maxParallel,
  onFailure: 'continue',
  env: {},
  jobs,
})

/** The time of each of so many answers, one after another, in ms, sorted. */
const answers = async (socketPath: string, path: string, times: number): Promise<readonly number[]> => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const once = (): Promise<number> =>
    new Promise((resolve, reject) => {
      const began = performance.now()
      const sent = request({ socketPath, path, agent }, (answer) => {
        answer.resume()
        answer.on('end', () =>
          answer.statusCode === 200
            ? resolve(performance.now() - began)
            : reject(new Error(`${path}: ${answer.statusCode}`)),
        )
      })
      sent.on('error', reject)
      sent.end()
    })
  const took: number[] = []
  for (let at = 0; at < times; at += 1) took.push(await once())
  agent.destroy()
  return took.sort((a, b) => a - b)
}
const p99 = (sorted: readonly number[]): number => sorted[Math.ceil(sorted.length * 0.99) - 1] ?? Number.NaN

/** So many clients that follow all events, in a process of their own; says `.` for each that hears something. */
const FOLLOWERS = `
  const [socketPath, count] = process.argv.slice(1)
  for (let at = 0; at < Number(count); at += 1)
    require('node:http').request({ socketPath, path: '/api/v1/events', agent: false }, (answer) => {
      answer.once('data', () => process.stdout.write('.'))
      answer.resume()
    }).end()`
const followers = async (socketPath: string, count: number): Promise<() => void> => {
  const child = spawn(process.execPath, ['-e', FOLLOWERS, socketPath, String(count)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let heard = 0
  await new Promise<void>((resolve) => {
    child.stdout.on('data', (chunk: Buffer) => {
      heard += chunk.length
      if (heard >= count) resolve()
    })
  })
  return () => void child.kill()
}

/** The p99 of the state, in ms, while so many jobs live, others come and go, and so many clients follow all events. */
export const stateBeside = async (
  { createRuntime, serveHome }: Built,
  home: string,
  { live, clients, times }: Readonly<{ live: number; clients: number; times: number }>,
): Promise<number> => {
  let left = live
  const begun = Promise.withResolvers<void>()
  const wait = ({ signal }: { signal: AbortSignal }): Promise<void> => {
    left -= 1
    if (left === 0) begun.resolve()
    return new Promise((resolve) => signal.addEventListener('abort', () => resolve()))
  }
  const runtime = await createRuntime({ home, handlers: { wait, nothing: () => null } })
  const served = await serveHome(runtime)
  const jobs = Object.fromEntries(Array.from({ length: live }, (_, at) => [`j${at}`, waiting('wait')]))
  await runtime.submit(planOf('live', jobs, live))
  await begun.promise
  await runtime.idle()
  const leave = await followers(served.path, clients)
  let going = true
  const traffic = (async () => {
    while (going) {
      await (await runtime.submit(planOf('traffic', { a: waiting('nothing') }, 1))).settled()
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  })()
  await answers(served.path, '/api/v1/state', 20)
  const took = await answers(served.path, '/api/v1/state', times)
  const { counts, sections } = await runtime.state()
  if (sections.http.data?.streams !== clients || (counts.jobs['running'] ?? 0) < live)
    throw new Error(`${sections.http.data?.streams} streams and ${counts.jobs['running']} jobs were there`)
  going = false
  await traffic
  leave()
  await served.close()
  await runtime.stop()
  return p99(took)
}

/** What it costs to look into a journal with so many plans of five jobs. */
export type Looks = Readonly<{
  startMs: number
  state: number
  ls: number
  failed: number
  /** Plans that have not ended: there are none, so that all of them must be looked for. */
  open: number
  jobs: number
}>

/** The p99 of each look, and how long a start takes. One plan in a hundred has failed. */
export const looksInto = async (
  { createRuntime, serveHome }: Built,
  home: string,
  plans: number,
): Promise<Looks> => {
  const handlers = {
    nothing: () => null,
    fail: () => {
      throw new Error('no')
    },
  }
  const first = await createRuntime({ home, handlers, durability: 'normal', retention: { everyMs: 0 } })
  for (let at = 0; at < plans; at += 100) {
    const some = Array.from({ length: Math.min(100, plans - at) }, (_, n) =>
      first.submit(
        planOf(
          'many',
          Object.fromEntries(
            ['a', 'b', 'c', 'd', 'e'].map((name) => [
              name,
              waiting(n === 50 && name === 'c' ? 'fail' : 'nothing'),
            ]),
          ),
          5,
        ),
      ),
    )
    for (const plan of await Promise.all(some)) await plan.settled()
  }
  await first.stop()
  const began = performance.now()
  const runtime = await createRuntime({ home, handlers, retention: { everyMs: 0 } })
  const startMs = performance.now() - began
  const served = await serveHome(runtime)
  const look = async (path: string): Promise<number> =>
    p99(await answers(served.path, `/api/v1/${path}`, 100))
  const found = {
    startMs,
    state: await look('state'),
    ls: await look('plans?limit=50'),
    failed: await look('plans?limit=50&state=failed'),
    open: await look('plans?limit=50&state=running,paused,cancelling,quarantined'),
    jobs: await look('jobs?limit=50&state=failed'),
  }
  await served.close()
  await runtime.stop()
  return found
}
