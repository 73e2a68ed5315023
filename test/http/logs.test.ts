import { randomBytes } from 'node:crypto'
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { attemptDir, FILES } from '../../src/attempt.ts'
import type { HomeClient } from '../../src/http/client.ts'
import { seededRandom } from '../../src/ids.ts'
import { definePlan } from '../../src/plans/define-plan.ts'
import type { Runtime } from '../../src/runtime.ts'
import { cuttingProxy } from './cutting-proxy.ts'
import { ask, connect, folder, gates, hold } from './served.ts'

const API = '/api/v1'

/** A plan whose one job runs until its gate opens; its log is written by the test. */
const holdWriter = async (seen?: (runtime: Runtime) => Runtime) => {
  const gate = gates()
  const held = await hold({ handlers: { gate: gate.handler } }, seen)
  const id = await held.submit(definePlan({ name: 'writer', jobs: { w: { call: 'gate' } } }))
  await gate.begun('w')
  const log = join(attemptDir(held.home, id, 'w', 1), FILES.log)
  mkdirSync(dirname(log), { recursive: true })
  writeFileSync(log, '')
  const end = async () => {
    gate.open('w')
    await (await held.runtime.plan(id)).settled()
  }
  const url = `${API}/plans/${id}/jobs/w/attempts/1/log`
  return { ...held, gate, id, log, end, url }
}

/** Reads on until so many bytes are there, and says how to have the rest. */
const follower = (client: HomeClient, id: string, offset = 0) => {
  const pieces = client.followLog(id, 'w', 1, { offset })[Symbol.asyncIterator]()
  const seen: Buffer[] = []
  const next = async (): Promise<boolean> => {
    const { done, value } = await pieces.next()
    if (!done) seen.push(Buffer.from(value.bytes))
    return done !== true
  }
  return {
    seen: () => Buffer.concat(seen),
    has: async (bytes: number) => {
      while (Buffer.concat(seen).length < bytes) if (!(await next())) throw new Error('the log ended')
    },
    rest: async () => {
      while (await next()) continue
      return Buffer.concat(seen)
    },
  }
}

test('bytes are served by offset, unchanged, with where to read on', async () => {
  const { served, client, id, log, end, url } = await holdWriter()
  const bytes = randomBytes(2_500_000)
  writeFileSync(log, bytes)
  const at = (query: string) => ask(served.path, `GET ${url}?${query}`)

  expect((await at('offset=10&limit=5')).headers).toMatchObject({
    'content-type': 'application/octet-stream',
    'x-tenuto-next': '15',
    'x-tenuto-size': '2500000',
    'x-tenuto-end': 'false',
  })
  expect((await at('offset=2499990')).headers).toMatchObject({
    'x-tenuto-next': '2500000',
    'x-tenuto-end': 'false',
  })
  await end()
  expect((await at('offset=2499990')).headers).toMatchObject({
    'x-tenuto-next': '2500000',
    'x-tenuto-end': 'true',
  })
  expect((await at('offset=2499990&limit=3')).headers).toMatchObject({ 'x-tenuto-end': 'false' })
  expect((await at('offset=9000000')).headers).toMatchObject({
    'x-tenuto-next': '9000000',
    'x-tenuto-end': 'true',
  })

  const parts: Uint8Array[] = []
  for (let offset = 0; offset < bytes.length; ) {
    const chunk = await client.catalog.log(id, 'w', 1, offset, 3_000_000)
    parts.push(chunk.bytes)
    offset = chunk.next
  }
  expect(Buffer.concat(parts).equals(bytes)).toBe(true)
  expect(await client.catalog.log(id, 'w', 1, 100, 7)).toEqual({
    bytes: bytes.subarray(100, 107),
    next: 107,
    size: 2_500_000,
  })
})

test('a log that grows is followed to its very end, and the stream ends there', async () => {
  const { client, id, log, gate } = await holdWriter()
  const all = follower(client, id)
  const tail = follower(client, id, 6)

  appendFileSync(log, 'first\n')
  await all.has(6)
  appendFileSync(log, Buffer.from([0xff, 0x00, 0xc3, 0x0a]))
  await all.has(10)
  // What is written last and what ends the attempt come together; the end must not overtake it.
  appendFileSync(log, 'last, without a newline')
  gate.open('w')

  const expected = Buffer.concat([
    Buffer.from('first\n'),
    Buffer.from([0xff, 0x00, 0xc3, 0x0a]),
    Buffer.from('last, without a newline'),
  ])
  expect((await all.rest()).equals(expected)).toBe(true)
  expect((await tail.rest()).equals(expected.subarray(6))).toBe(true)
})

test('what an attempt writes just before it ends, after its log was looked at, is not missed', async () => {
  let between: (() => Promise<void>) | undefined
  const looked = (runtime: Runtime): Runtime => ({
    ...runtime,
    catalog: {
      ...runtime.catalog,
      log: async (plan, job, attempt, offset, limit) => {
        const chunk = await runtime.catalog.log(plan, job, attempt, offset, limit)
        const act = chunk.next === offset ? between : undefined
        if (act) between = undefined
        await act?.()
        return chunk
      },
    },
  })
  const { client, id, log, end } = await holdWriter(looked)
  between = async () => {
    appendFileSync(log, 'last words')
    await end()
  }

  expect((await follower(client, id).rest()).toString()).toBe('last words')
})

test('the log of an ended attempt is one stream with an end, with or without bytes', async () => {
  const { served, log, end, url } = await holdWriter()
  writeFileSync(log, 'all of it')
  await end()

  const { text } = await ask(served.path, `GET ${url}/stream`)
  const { text: rest } = await ask(served.path, `GET ${url}/stream?offset=2`, {
    headers: { 'last-event-id': '4' },
  })
  const { text: nothing } = await ask(served.path, `GET ${url}/stream?offset=9`)

  const base64 = (part: string) => Buffer.from(part).toString('base64')
  const ending = 'id: 9\nevent: end\ndata: {"offset":9,"outcome":"succeeded"}\n\n'
  expect(text).toBe(`:\n\nid: 9\nevent: chunk\ndata: ${base64('all of it')}\n\n${ending}`)
  expect(rest).toBe(`:\n\nid: 9\nevent: chunk\ndata: ${base64('of it')}\n\n${ending}`)
  expect(nothing).toBe(`:\n\n${ending}`)
})

test('a log that is asked for from beyond its end is answered with where that is, not with silence', async () => {
  const { served, client, runtime, id, log, end, url } = await holdWriter()
  writeFileSync(log, 'nine char')
  const at = async (offset: number) => (await ask(served.path, `GET ${url}/stream?offset=${offset}`)).text
  const reset = (offset: number) =>
    `id: 9\nevent: reset\ndata: {"offset":${offset},"size":9,"why":"beyond"}\n\n`

  expect(await at(10)).toBe(reset(10))
  await expect(follower(client, id, 10).rest()).rejects.toMatchObject({
    code: 'USAGE',
    message: `the log of ${id}/w#1 has 9 bytes; there is no offset 10`,
  })
  const tail = follower(client, id, 9)
  appendFileSync(log, ', and on')
  await end()
  expect((await tail.rest()).toString()).toBe(', and on')
  expect(await at(18)).toBe(reset(18).replaceAll('9', '17'))
  expect(await at(17)).toContain('event: end')
  expect((await runtime.state()).sections.http).toMatchObject({ data: { resets: 3 } })
})

test('a hole is one line, and offsets go on behind it', async () => {
  const { client, id, log, end } = await holdWriter()
  writeFileSync(log, Buffer.concat([Buffer.from('head\n'), Buffer.alloc(2_000), Buffer.from('tail\n')]))
  writeFileSync(join(dirname(log), FILES.hole), JSON.stringify({ from: 5, to: 2_005 }))
  await end()

  expect((await follower(client, id).rest()).toString()).toBe(
    'head\n\n[tenuto: 2.0 kB left out here]\ntail\n',
  )
  expect((await follower(client, id, 2_005).rest()).toString()).toBe('tail\n')
})

test('a connection that is cut anywhere costs no byte of a log and repeats none', async () => {
  const seed = Math.floor(Math.random() * 2 ** 31)
  const random = seededRandom(seed)
  const { served, id, log, end } = await holdWriter()
  const far = folder()
  const bytes = randomBytes(600_000)
  writeFileSync(log, bytes.subarray(0, 300_000))
  // The first connection lives long enough to say who serves: to be cut there is not to be connected.
  let least = 3_000
  const proxy = await cuttingProxy(join(far, 'sock'), served.path, 12, () => {
    const bytes = least + Math.floor(random() * 150_000)
    least = 500
    return bytes
  })
  const reader = follower(await connect(far), id)

  await reader.has(300_000)
  appendFileSync(log, bytes.subarray(300_000))
  await end()

  expect((await reader.rest()).equals(bytes), `seed ${seed}`).toBe(true)
  expect(proxy.cuts(), `seed ${seed}`).toBeGreaterThan(1)
})

test('a follower that goes leaves nothing behind, and the holder closes at once', async () => {
  const { client, served, id, log } = await holdWriter()
  appendFileSync(log, 'something')
  const controller = new AbortController()

  for await (const _ of client.followLog(id, 'w', 1, { signal: controller.signal })) controller.abort()
  const other = follower(client, id)
  await other.has(9)
  await served.close()

  await expect(other.rest()).rejects.toMatchObject({ code: 'NO_DAEMON' })
  expect(other.seen().toString()).toBe('something')
})

test('the log of an attempt of a process is followed as it runs', async () => {
  const { client, submit, runtime, home } = await hold()
  const text = 'echo one; until test -e go; do sleep 0.02; done; echo two'
  const id = await submit(definePlan({ name: 'writer', jobs: { w: { run: text } } }))
  for await (const event of runtime.events({ plan: id }))
    if (event.to === 'running' && event.job === 'w') break
  const reader = follower(client, id)

  await reader.has(4)
  writeFileSync(join(home, 'go'), '')

  expect((await reader.rest()).toString()).toBe('one\ntwo\n')
})
