/**
 * Who follows what happens in a home outlives its daemons.
 *
 * Mutations that were planted once, and each found: a client of ours that gives up while a parent is about to start the next daemon;
 * a stream that begins one event too late.
 */
import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, onTestFinished, test } from 'vitest'
import type { HolderRecord } from '../../src/holder.ts'
import { frames } from '../../src/http/sse.ts'
import type { EventShape } from '../../src/views/shapes.ts'
import { openFolder } from './tenuto.ts'

const JOBS = 60
const chain = Array.from(
  { length: JOBS },
  (_, n) => `  j${n}: { run: sleep 0.1${n === 0 ? '' : `, needs: [j${n - 1}]`} }`,
)
const RESTARTS = 5
const settles = ({ job, to }: EventShape): boolean => job === undefined && to === 'succeeded'

/** A client as any program is one: where its connection breaks, it asks again with the last id it had. */
const ownClient = (where: () => Readonly<{ url: string; token: string }> | undefined) => {
  const seen: EventShape[] = []
  let last = ''
  let connections = 0
  const once = async (): Promise<void> => {
    const at = where()
    if (at === undefined) return
    const answer = await new Promise<AsyncIterable<string>>((resolve, reject) => {
      const headers = {
        authorization: `Bearer ${at.token}`,
        ...(last === '' ? {} : { 'last-event-id': last }),
      }
      const sent = request(`${at.url}/api/v1/events`, { agent: false, headers }, (reply) => {
        if (reply.statusCode !== 200) return reject(new Error(`answered ${reply.statusCode}`))
        reply.setEncoding('utf8')
        resolve(reply as AsyncIterable<string>)
      })
      onTestFinished(() => void sent.destroy())
      sent.on('error', reject)
      sent.end()
    })
    connections += 1
    for await (const { id, event, data } of frames(answer)) {
      if (event !== undefined || id === undefined) throw new Error(`a stream says ${event}: ${data}`)
      last = id
      seen.push(JSON.parse(data) as EventShape)
      if (settles(seen.at(-1) as EventShape)) return
    }
  }
  const done = (async () => {
    while (!seen.some(settles)) {
      await once().catch((error: NodeJS.ErrnoException) => {
        if (!['ECONNREFUSED', 'ECONNRESET'].includes(error.code ?? '')) throw error
      })
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    return { seen, connections }
  })()
  return { done, count: () => seen.length }
}

test('over five daemons that are killed while jobs run, followers see every event once and in order', async () => {
  const { home, run, start, file, unsound } = openFolder()
  const says = (): HolderRecord | undefined => {
    try {
      return JSON.parse(readFileSync(join(home, 'daemon.json'), 'utf8')) as HolderRecord
    } catch {
      return undefined
    }
  }
  file('chain.plan.yaml', `plan: v1\njobs:\n${chain.join('\n')}\n`)
  const up = start('up')
  onTestFinished(async () => void (await run('down')))
  await up.heard('serving')
  const token = readFileSync(join(home, 'token'), 'utf8').trim()
  const own = ownClient(() => {
    const url = says()?.url
    return url ? { url, token } : undefined
  })
  const plan = (await run('run', 'chain.plan.yaml', '--detach')).out.trim()
  const following = start('events', plan, '-f', '--json')
  const told: EventShape[] = []
  createInterface({ input: following.child.stdout as NodeJS.ReadableStream }).on('line', (line) =>
    told.push(JSON.parse(line) as EventShape),
  )

  for (let restart = 0; restart < RESTARTS; restart += 1) {
    const [heard, listed] = [own.count(), told.length]
    await expect.poll(() => own.count() > heard + 3 && told.length > listed + 3, { interval: 20 }).toBe(true)
    const { pid } = says() as HolderRecord
    process.kill(pid, 'SIGKILL')
    await expect
      .poll(() => says()?.pid !== pid && (says()?.url ?? null) !== null, { interval: 20 })
      .toBe(true)
  }

  const { seen, connections } = await own.done
  expect((await following.said).code).toBe(0)
  const all = (await run('events', '--json')).out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as EventShape)
  expect(connections).toBeGreaterThan(RESTARTS)
  expect(seen).toEqual(all.slice(0, seen.length))
  expect(all.slice(seen.length).filter(({ job }) => job !== undefined)).toEqual([])
  expect(told).toEqual(seen.filter((event) => event.plan === plan))
  expect(new Set(seen.filter(({ to }) => to === 'succeeded').map(({ job }) => job)).size).toBe(JOBS + 1)
  expect(await unsound()).toEqual([])
})
