/** A daemon's home with plans and jobs in every state that commands ask for, and a way to ask it over TCP whatever one likes. */
import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync } from 'node:fs'
import { type IncomingHttpHeaders, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { planAddress } from '../../src/address.ts'
import type { Definition } from '../../src/definition.ts'
import { homePaths } from '../../src/home.ts'
import { serveHome } from '../../src/http/server.ts'
import { EMPTY_BATCH } from '../../src/journal/journal.ts'
import { sqliteJournal } from '../../src/journal/sqlite.ts'
import { definePlan } from '../../src/plans/define-plan.ts'
import { createRuntime, type Runtime, type RuntimeOptions } from '../../src/runtime.ts'
import { removeFolder } from '../support/folders.ts'
import type { Answer } from './document.ts'

/** What is sent, as it is: nothing is added but `Host` and what a body needs. */
export type Sent = Readonly<{
  method: string
  path: string
  headers?: Readonly<Record<string, string>>
  body?: string | Buffer
  /** The last part of the address of this machine it comes from, as 127.0.0.N or 127.0.N.N. */
  from?: string
}>

/** An answer with its headers. */
export type Said = Answer & Readonly<{ headers: IncomingHttpHeaders }>

const HANDLERS: NonNullable<RuntimeOptions['handlers']> = {
  /** Goes on until it is stopped. */
  gate: ({ signal }) => new Promise((resolve) => signal.addEventListener('abort', () => resolve({}))),
  quick: async () => ({ made: 1 }),
  fail: async () => {
    throw new Error('it fails')
  },
}

/** What nobody may ever hear. */
export const CANARY = 'canary-5f1d7c0b9e'

/** What is given with the plan of the lab. */
export const LAB_SECRETS = { LAB_SECRET: CANARY }

/** A plan with a job in each state that a command asks for. */
export const LAB_PLAN: Definition = definePlan({
  name: 'lab',
  secrets: ['LAB_SECRET'],
  jobs: {
    gate: { call: 'gate' },
    held: { call: 'quick', needs: ['gate'] },
    quick: { call: 'quick' },
    backoff: { call: 'fail', retry: { max: 3, delay: '1h', on: ['exit'] }, optional: true },
    failed: { call: 'fail', optional: true },
    asks: { approve: { prompt: 'Ship it?' }, optional: true },
    asksToo: { approve: { prompt: 'And this?' }, optional: true },
  },
})
/** A plan that ends. */
export const DONE_PLAN: Definition = definePlan({ name: 'done', jobs: { quick: { call: 'quick' } } })

const LETTERS = 8

/** Makes the home and serves it on its socket and over TCP. */
export const openLab = async () => {
  const home = mkdtempSync(join(tmpdir(), 'tenuto-lab-'))
  const options: RuntimeOptions = {
    home,
    handlers: HANDLERS,
    durability: 'normal',
    sweepMs: 0,
    maxParallel: 100,
    retention: { everyMs: 0 },
  }
  const before = await createRuntime(options)
  const lab = await before.submit(LAB_PLAN, { base: home, secrets: LAB_SECRETS })
  const done = await before.submit(DONE_PLAN, { base: home, key: 'done' })
  await done.settled()
  await reached(before, lab.id, { gate: 'running', backoff: 'backoff', failed: 'failed', asks: 'waiting' })
  await before.stop()
  await addLetters(home, lab.id)
  const runtime = await createRuntime(options)
  const served = await serveHome(runtime, { host: '127.0.0.1', port: 0 })
  const { url, path: socket } = served
  if (url === null) throw new Error('nothing listens')
  await reached(runtime, lab.id, { gate: 'running', backoff: 'backoff' })
  await runtime.idle()
  const port = Number(new URL(url).port)
  const token = readFileSync(homePaths(home).token, 'utf8').trim()
  const host = `127.0.0.1:${port}`

  const bearer = { authorization: `Bearer ${token}` }
  const ask = (sent: Sent): Promise<Said> =>
    send({ host: '127.0.0.1', port }, { ...sent, headers: { host, ...sent.headers } }, () =>
      hasMore(sent, (path) =>
        ask({ method: 'GET', path, headers: { ...bearer, accept: 'application/json' } }),
      ),
    )

  const journal = watchJournal(homePaths(home).journal)

  const quiet = async (): Promise<string> => {
    let last = ''
    for (;;) {
      await runtime.idle()
      for (let turn = 0; turn < 4; turn += 1) await new Promise((resolve) => setImmediate(resolve))
      const now = await digest()
      if (now === last) return now
      last = now
    }
  }
  /** All that is kept, as one text: of what changes nothing here nothing was made. */
  const digest = async (): Promise<string> => {
    const { mode, since } = runtime.mode()
    return JSON.stringify([journal.digest(), mode, since, namesIn(homePaths(home).work)])
  }
  let stopped: Promise<void> | undefined
  const stop = async (): Promise<void> => {
    await served.close()
    journal.close()
    await runtime.stop()
  }
  return {
    home,
    runtime,
    socket,
    port,
    host,
    token,
    bearer,
    lab: lab.id,
    done: done.id,
    send: ask,
    digest,
    /** The same when nothing moves any more. */
    quiet,
    reached: (plan: string, jobs: Readonly<Record<string, string>>) => reached(runtime, plan, jobs),
    /** Stops serving and running; what is in the home stays. Idempotent. */
    stop: (): Promise<void> => (stopped ??= stop()),
    remove: () => removeFolder(home),
  }
}

/** A home to ask. */
export type Lab = Awaited<ReturnType<typeof openLab>>

/** Every row of a journal as one text, made again only when somebody has committed. */
const watchJournal = (file: string) => {
  const database = new DatabaseSync(file, { readOnly: true })
  const tables = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all()
  const rows = tables.map(({ name }) => database.prepare(`SELECT * FROM "${String(name)}"`))
  const version = database.prepare('PRAGMA data_version')
  let known: Readonly<{ version: unknown; digest: string }> | undefined
  return {
    digest: (): string => {
      const now = version.get()?.['data_version']
      if (known?.version !== now) {
        const hash = createHash('sha256')
        for (const each of rows)
          for (const row of each.iterate()) hash.update(JSON.stringify(Object.values(row)))
        known = { version: now, digest: hash.digest('hex') }
      }
      return known?.digest ?? ''
    },
    close: () => database.close(),
  }
}

const namesIn = (folder: string): readonly string[] => {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

/** Resolves when these jobs are in these states. */
const reached = async (
  runtime: Runtime,
  plan: string,
  wanted: Readonly<Record<string, string>>,
): Promise<void> => {
  const are = async (): Promise<boolean> => {
    const jobs = new Map((await runtime.catalog.jobs(plan)).map(({ name, state }) => [name, state]))
    return Object.entries(wanted).every(([name, state]) => jobs.get(name) === state)
  }
  if (await are()) return
  for await (const _ of runtime.events({ plan })) if (await are()) return
}

/** Messages that no plan can take become dead letters when it is taken up. */
const addLetters = async (home: string, plan: string): Promise<void> => {
  const file = homePaths(home).journal
  const boot = { bootId: 'between', pid: process.pid, build: 'test', at: 0 }
  const journal = await sqliteJournal({ file, boot, durability: 'normal' })
  const { mail } = await journal.head()
  const added = Array.from({ length: LETTERS }, (_, at) => ({
    id: mail + at + 1,
    address: planAddress(plan),
    event: JSON.stringify({ type: 'weather.changed', at: 1 }),
    postedBy: null,
    deliveries: 0,
    at: 1,
  }))
  await journal.commit({ ...EMPTY_BATCH, mail: { ...EMPTY_BATCH.mail, added } })
  await journal.close()
}

/**
 * Whether the stream that was asked for has anything to say at once, besides that it is there: what lists and logs have of it, that it
 * has. One that ends by itself need not be known.
 */
const hasMore = async (
  { path: asked, headers = {} }: Sent,
  get: (path: string) => Promise<Said>,
): Promise<boolean> => {
  const [path = '', text = ''] = asked.split('?')
  const query = new URLSearchParams(text)
  const last = headers['last-event-id']
  if (path.endsWith('/log/stream')) {
    const offset = last ?? query.get('offset') ?? '0'
    const said = (await get(`${path.replace(/\/stream$/, '')}?offset=${offset}`)).headers
    return said['x-tenuto-end'] === 'true' || Number(said['x-tenuto-next']) > Number(offset)
  }
  // Whether commits can be made.
  if (query.get('topics')?.split(',').includes('daemon')) return true
  if (last !== undefined) query.set('cursor', last)
  for (;;) {
    const { json } = await get(`${path}?${query.toString()}`)
    const { items, next_cursor } = json as { items: readonly unknown[]; next_cursor: string | null }
    if (items.length > 0 || next_cursor === null) return items.length > 0
    query.set('cursor', next_cursor)
  }
}

/** How much of an answer that does not end is read, at most. */
const ENOUGH = 1_000
/** An event of a stream, and what it says where it has none: that it is there. */
const EVENT = /^data: .*\n\n/m
const THERE = /^:\n\n/m

const send = (
  place: Readonly<{ host: string; port: number }>,
  { method, path, headers = {}, body, from }: Sent,
  speaks: () => Promise<boolean>,
): Promise<Said> =>
  new Promise((resolve, reject) => {
    const asked = request({
      ...place,
      method,
      path,
      agent: false,
      headers: { ...headers, ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }) },
      ...(from === undefined ? {} : { localAddress: from }),
    })
    let isAnswered = false
    asked.on('error', (error) => {
      // Who is refused before all was sent is hung up on, and has its answer.
      if (!isAnswered) reject(error)
    })
    asked.on('response', (answer) => {
      isAnswered = true
      const type = answer.headers['content-type'] ?? ''
      const parts: Buffer[] = []
      const end = (): void => {
        const text = Buffer.concat(parts).toString()
        const isJson = text !== '' && type.startsWith('application/json')
        resolve({
          status: answer.statusCode ?? 0,
          type,
          headers: answer.headers,
          text,
          json: isJson ? (JSON.parse(text) as unknown) : undefined,
        })
      }
      // A stream is left when it has said what it must.
      const isStream = type.startsWith('text/event-stream')
      let said: RegExp | undefined
      const leave = (): void => {
        const text = Buffer.concat(parts).toString()
        if (said?.test(text) || text.length > ENOUGH) asked.destroy()
      }
      answer.on('data', (part: Buffer) => {
        parts.push(part)
        if (isStream) leave()
      })
      if (isStream)
        speaks().then((more) => {
          said = more ? EVENT : THERE
          leave()
        }, reject)
      answer.on('error', () => {})
      answer.on('close', end)
    })
    asked.end(body)
  })
