/**
 * A thousand clients follow, and one of them reads nothing.
 *
 * Mutations that were planted once, and each found: what is kept for a client that falls behind without a bound; a client that is
 * never sent away.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, onTestFinished, test } from 'vitest'
import { homePaths } from '../../src/home.ts'
import { HEARTBEAT_MS } from '../../src/http/limits.ts'
import { definePlan } from '../../src/plans/define-plan.ts'
import { virtualClock } from '../../src/testing.ts'
import { holdOutside, type Outside } from './outside.ts'

const handlers = { noop: () => ({}) }
const fan = (name: string, width: number) =>
  definePlan({
    name,
    maxParallel: 100,
    jobs: Object.fromEntries(Array.from({ length: width }, (_, index) => [`job-${index}`, { call: 'noop' }])),
  })
const settleAll = async ({ runtime, submit }: Outside, name: string, width: number): Promise<number> => {
  await (await runtime.plan(await submit(fan(name, width)))).settled()
  await runtime.idle()
  return (await runtime.state()).position
}

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void
/** What this process holds in memory, without what nobody can reach. */
const held = async (): Promise<number> => {
  for (let turn = 0; turn < 3; turn += 1) {
    await new Promise((resolve) => setImmediate(resolve))
    collect()
  }
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
const KB = 1024
const MB = 1024 * KB

/** A client that follows from the beginning and reads nothing until it is told to. */
const unreading = async ({ dial, host, token }: Outside, from = 0) => {
  const { socket, closed, said } = await dial()
  socket.pause()
  const lines = [`GET /api/v1/events HTTP/1.1`, `Host: ${host}`, `Authorization: Bearer ${token}`]
  socket.write(`${[...lines, `Last-Event-ID: ${from}`].join('\r\n')}\r\n\r\n`)
  return {
    /** The positions of all it was sent, once it is hung up on, or has come so far. */
    read: async (until?: number): Promise<readonly number[]> => {
      const there = new Promise<void>((resolve) => {
        socket.on('data', () => {
          if (until !== undefined && said().endsWith('\n\n\r\n') && said().includes(`\nid: ${until}\n`))
            resolve()
        })
      })
      socket.resume()
      await Promise.race([closed, there])
      const text = said()
      return [...text.matchAll(/^id: ([0-9]+)$/gm)].map(([, id]) => Number(id))
    },
  }
}
const http = async ({ runtime }: Outside) => (await runtime.state()).sections.http.data
/** Resolves when the server has so many streams. */
const streams = async (outside: Outside, count: number): Promise<void> => {
  while ((await http(outside))?.streams !== count) await outside.ask('GET /version')
}
const heard = async (child: ChildProcess): Promise<unknown> =>
  ((await once(child, 'message')) as unknown[])[0]
const upTo = (last: number, first = 1) =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index)

test('of a thousand clients one reads nothing: each other one gets every event once and in order, and it is sent away', async () => {
  const clock = virtualClock()
  const outside = await holdOutside({ handlers }, { clock })
  // More than the buffers between two processes hold.
  const old = await settleAll(outside, 'old', 8_000)
  const before = await held()
  const stuck = await unreading(outside)
  await streams(outside, 1)
  const args = [String(outside.port), outside.token, '999', String(old)]
  const child = fork(join(import.meta.dirname, 'followers-main.ts'), args)
  onTestFinished(() => void child.kill('SIGKILL'))
  expect(await heard(child)).toEqual({ open: 999 })

  const last = await settleAll(outside, 'new', 100)
  child.send({ until: last })
  const told = await heard(child)

  expect(told).toEqual({ wrong: [] })
  expect(last - old).toBeGreaterThan(300)
  // A stream and its answer may each fill the buffer that Node gives them (64 KB, 16 KB); as much again is for the connection itself.
  expect((await held()) - before).toBeLessThan(1_000 * 160 * KB)
  expect(await http(outside)).toMatchObject({ streams: 1_000, dropped: 0 })

  // What waits for it may still be on its way there: then it has its minute from that moment on.
  for (let minutes = 0; minutes < 20 && (await http(outside))?.streams !== 999; minutes += 1) {
    await clock.advance(HEARTBEAT_MS)
    await outside.ask('GET /version')
  }
  expect(await http(outside)).toMatchObject({ dropped: 1 })
  expect((await outside.ask('GET /metrics')).text).toContain('\ntenuto_http_dropped_total 1\n')
  const log = readFileSync(homePaths(outside.home).log, 'utf8')
  expect(log).toMatch(/"by":"token".*"asked":"GET \/api\/v1\/events".*a stream was not read and is ended/)

  // It goes on where it was: nothing is missing, and nothing comes twice.
  const first = await stuck.read()
  expect(first.length).toBeGreaterThan(0)
  expect(first.length).toBeLessThan(old)
  const again = await unreading(outside, first.at(-1))
  await streams(outside, 1_000)
  expect([...first, ...(await again.read(last))]).toEqual(upTo(last))
})

test('what a client that reads nothing costs has a bound, however much happens', async () => {
  const outside = await holdOutside({ handlers })
  await unreading(outside)
  await streams(outside, 1)
  // The first thousands fill what is between the two, and what is kept for it.
  const first = await settleAll(outside, 'fill', 5_000)
  const before = await held()

  const last = await settleAll(outside, 'more', 10_000)

  // As text alone what happened since is twice as much.
  expect((last - first) * 250).toBeGreaterThan(9 * MB)
  expect((await held()) - before).toBeLessThan(4 * MB)
  expect(await http(outside)).toMatchObject({ streams: 1 })
})
