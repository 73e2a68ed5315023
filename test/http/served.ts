/** A home in a temporary folder that this process holds and serves, and ways to speak to it. */
import { mkdtempSync } from 'node:fs'
import { type IncomingHttpHeaders, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { Definition } from '../../src/definition.ts'
import { connectHome, type HomeClient } from '../../src/http/client.ts'
import { type Served, serveHome, type TcpOptions } from '../../src/http/server.ts'
import { createRuntime, type Runtime, type RuntimeOptions } from '../../src/runtime.ts'
import { removeFolder } from '../support/folders.ts'

/** An empty folder, removed when the test has finished. */
export const folder = (): string => {
  const path = mkdtempSync(join(tmpdir(), 'tenuto-http-'))
  onTestFinished(() => removeFolder(path))
  return path
}

/** A handler that waits until the test opens the gate of its job, and says when it began. */
export const gates = () => {
  const open = new Map<string, PromiseWithResolvers<void>>()
  const begun = new Map<string, PromiseWithResolvers<void>>()
  const of = (map: typeof open, job: string) => {
    const known = map.get(job) ?? Promise.withResolvers<void>()
    map.set(job, known)
    return known
  }
  return {
    handler: async ({ job, signal }: { job: string; signal: AbortSignal }) => {
      of(begun, job).resolve()
      await Promise.race([
        of(open, job).promise,
        new Promise((resolve) => signal.addEventListener('abort', resolve)),
      ])
      return { of: job }
    },
    begun: (job: string) => of(begun, job).promise,
    open: (job: string) => of(open, job).resolve(),
  }
}

export type Holding = Readonly<{
  home: string
  runtime: Runtime
  served: Served
  client: HomeClient
  submit: (definition: Definition) => Promise<string>
}>

/** Holds and serves a home, and connects to it; all of it ends with the test. `seen` may stand before the runtime. */
export const hold = async (
  options: RuntimeOptions = {},
  seen: (runtime: Runtime) => Runtime = (runtime) => runtime,
  tcp?: TcpOptions,
): Promise<Holding> => {
  const home = options.home ?? folder()
  const runtime = await createRuntime({ ...options, home })
  onTestFinished(() => runtime.stop())
  const served = await serveHome(seen(runtime), tcp)
  onTestFinished(() => served.close())
  const client = await connect(home)
  const submit = async (definition: Definition) => (await runtime.submit(definition, { base: home })).id
  return { home, runtime, served, client, submit }
}

/** Connects to a home that is served. */
export const connect = async (home: string): Promise<HomeClient> => {
  const client = await connectHome(home)
  if (!client) throw new Error(`nobody serves ${home}`)
  onTestFinished(() => client.close())
  return client
}

export type Reply = Readonly<{ status: number; headers: IncomingHttpHeaders; text: string; json: unknown }>
type Asked = Readonly<{
  headers?: Readonly<Record<string, string | readonly string[]>>
  body?: unknown
  raw?: string | Buffer
}>

/** Asks as any program would: `ask(path of the socket, 'GET /version')`, or of a port of this machine. */
export const ask = (at: string | number, what: string, { headers, body, raw }: Asked = {}): Promise<Reply> =>
  new Promise((resolve, reject) => {
    const [method = '', path = ''] = what.split(' ')
    const sent = request({
      ...(typeof at === 'string' ? { socketPath: at } : { host: '127.0.0.1', port: at }),
      method,
      path,
      agent: false,
      headers: { 'content-type': 'application/json', ...headers },
    })
    sent.on('error', reject)
    sent.on('response', (answer) => {
      const parts: Buffer[] = []
      answer.on('data', (part: Buffer) => parts.push(part))
      answer.on('error', reject)
      answer.on('end', () => {
        const text = Buffer.concat(parts).toString()
        const isJson = text !== '' && answer.headers['content-type']?.startsWith('application/json') === true
        resolve({
          status: answer.statusCode ?? 0,
          headers: answer.headers,
          text,
          json: isJson ? JSON.parse(text) : undefined,
        })
      })
    })
    sent.end(raw ?? (body === undefined ? undefined : JSON.stringify(body)))
  })

/** The first event that passes, and all before it. */
export const until = async <Event>(
  events: AsyncIterable<Event>,
  passes: (event: Event) => boolean,
): Promise<Event[]> => {
  const seen: Event[] = []
  for await (const event of events) {
    seen.push(event)
    if (passes(event)) return seen
  }
  throw new Error('the events ended before what was waited for')
}
