/**
 * The other end of a home's socket: how a command reaches whoever holds the home. What is read and asked here has the same names and
 * shapes as on the runtime itself.
 */
import { Agent, type ClientRequestArgs, type IncomingMessage, request } from 'node:http'
import { buildName } from '../artefact.ts'
import type { Catalog, Target } from '../catalog.ts'
import { pause } from '../clock.ts'
import type { Asker } from '../command.ts'
import { jobEnvironment, namedVariables } from '../config.ts'
import type { Definition } from '../definition.ts'
import { isTenutoError, TenutoError } from '../errors.ts'
import { noAnswer, parentOf } from '../holder.ts'
import type { LogChunk } from '../log-file.ts'
import type { ModeReceipt } from '../mode.ts'
import { isAlive } from '../process.ts'
import { runningBuild } from '../running-build.ts'
import type { CommandReceipt, GcOptions, PlanHandle, Runtime, SubmitOptions } from '../runtime.ts'
import { secretPlaces } from '../secrets.ts'
import { socketPath } from '../socket.ts'
import type { ExplainShape } from '../views/explain.ts'
import type {
  AttemptShape,
  DeadLetterShape,
  EventShape,
  GcShape,
  InspectionShape,
  JobShape,
  PlanShape,
  SecretShape,
  StorageShape,
  SweepShape,
  TreeShape,
  WholeLetterShape,
} from '../views/shapes.ts'
import type { StateShape } from '../views/state.ts'
import { openEnvelope } from './envelope.ts'
import type { LinkShape, VersionShape } from './operations.ts'
import { type Frame, frames } from './sse.ts'
import { BASE, HEADERS, LOG_BYTES_MAX, PAGE_MAX, type Page, SCHEMA, STREAM_TYPE } from './wire.ts'

/** A home that somebody else holds. Errors are those of its holder; without one any more, `NO_DAEMON`. */
export type HomeClient = Readonly<{
  catalog: Catalog
  /**
   * Committed steps, in order, without a gap or a repeat, whatever happens to the connection; ends when the signal is aborted.
   * @throws {TenutoError} `NO_DAEMON` when the holder has gone and nobody took its place; `USAGE` when `after` is past the journal.
   */
  events: (query?: EventsQuery) => AsyncIterable<EventShape>
  command: Runtime['command']
  settleLetter: Runtime['settleLetter']
  giveSecrets: Runtime['giveSecrets']
  /** What is not given is that of this process: the folder its jobs run in, their environment, and their secrets. */
  submit: (definition: Definition, options?: SubmitOptions) => Promise<Pick<PlanHandle, 'id' | 'replayed'>>
  /**
   * An attempt's log from an offset, piece by piece as it is written; ends with the attempt, or when the signal is aborted.
   * @throws {TenutoError} `NO_DAEMON` when the holder has gone and nobody took its place; `REF_NOT_FOUND`; `USAGE` when the offset is
   * beyond the end of the log.
   */
  followLog: (
    plan: string,
    job: string,
    attempt: number,
    options?: Readonly<{ offset?: number; signal?: AbortSignal }>,
  ) => AsyncIterable<Pick<LogChunk, 'bytes' | 'next'>>
  version: () => Promise<VersionShape>
  state: () => Promise<StateShape>
  explain: Runtime['explain']
  inspection: Runtime['inspection']
  tree: () => Promise<TreeShape>
  /**
   * A link that lets one browser in.
   * @throws {TenutoError} `WRONG_STATE` when the home is served on its socket alone.
   */
  link: () => Promise<LinkShape>
  order: Runtime['order']
  sweep: Runtime['sweep']
  /** Without `shrink`, which only who holds a home may do. */
  gc: (options?: Omit<GcOptions, 'shrink'> & Asker) => ReturnType<Runtime['gc']>
  /** Who holds the home, as it was when it was reached. */
  holder: VersionShape
  /** Lets go of the connections. Idempotent. */
  close: () => void
}>

/** Which events to follow. */
type EventsQuery = NonNullable<Parameters<Runtime['events']>[0]> &
  Readonly<{
    /** Hears when commits cannot be made there, and when they can again; a holder of an earlier build does not say. */
    storage?: (storage: StorageShape) => void
  }>

/** How long an answer may take to begin; a command waits for its commit, and that for a disk. */
const ANSWER_MS = { GET: 15_000, POST: 120_000 } as const
type Method = keyof typeof ANSWER_MS

/** Before the tries to find the holder of a broken stream again. */
const RECONNECT_MS = [50, 100, 200, 400, 800, 1600] as const
const GONE = new Set(['ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ENOTSOCK', 'ENOTDIR'])

type Query = Readonly<Record<string, string | number | boolean | undefined>>
type Ask = Readonly<{ body?: unknown; query?: Query; accept?: string; signal?: AbortSignal | undefined }>
type Answer = Readonly<{ status: number; headers: IncomingMessage['headers']; bytes: Buffer }>

/**
 * Reaches whoever serves a home; undefined when nobody does.
 * @throws {TenutoError} `NO_ANSWER`, `SCHEMA_MISMATCH`, `NOT_ALLOWED`.
 */
export const connectHome = async (home: string): Promise<HomeClient | undefined> => {
  const client = homeClient(home, socketPath(home, 'sock'))
  try {
    return { ...client, holder: await client.version() }
  } catch (error) {
    client.close()
    if (isTenutoError(error, 'NO_DAEMON') || isTenutoError(error, 'STOPPED')) return undefined
    throw error
  }
}

const homeClient = (home: string, socket: string): Omit<HomeClient, 'holder'> => {
  const name = clientName()
  const agent = new Agent({ keepAlive: true })
  const gone = (cause: unknown): TenutoError => new TenutoError('NO_DAEMON', { home }, cause)

  // Asking.

  const refusal = (error: unknown): unknown => {
    const { code } = error as NodeJS.ErrnoException
    if (code !== undefined && GONE.has(code)) return gone(error)
    if (code !== 'EACCES' && code !== 'EPERM') return error
    const fields = {
      what: `the socket ${socket} is not open to this user`,
      remedy: 'act as the user that holds the home',
    }
    return new TenutoError('NOT_ALLOWED', fields, error)
  }
  const open = (
    method: Method,
    path: string,
    asked: Ask,
    more: ClientRequestArgs,
  ): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      const body = asked.body === undefined ? undefined : Buffer.from(JSON.stringify(asked.body))
      const sent = request({
        socketPath: socket,
        method,
        timeout: ANSWER_MS[method],
        path: path + queryText(asked.query),
        headers: {
          'user-agent': name,
          [HEADERS.acceptSchema]: SCHEMA,
          accept: asked.accept ?? 'application/json',
          ...(body === undefined
            ? {}
            : { 'content-type': 'application/json', 'content-length': body.length }),
        },
        ...more,
      })
      sent.once('response', resolve)
      sent.once('timeout', () => sent.destroy(noAnswer(home)))
      sent.on('error', (error) => {
        // The holder had closed this idle connection; it did not hear the question.
        const again =
          sent.reusedSocket && method === 'GET' && (error as NodeJS.ErrnoException).code === 'ECONNRESET'
        if (again) open(method, path, asked, more).then(resolve, reject)
        else reject(refusal(error))
      })
      sent.end(body)
    })
  const whole = async (answer: IncomingMessage): Promise<Buffer> => {
    const parts: Buffer[] = []
    try {
      for await (const part of answer) parts.push(part as Buffer)
    } catch (error) {
      throw refusal(error)
    }
    return Buffer.concat(parts)
  }
  const checked = async (answer: IncomingMessage): Promise<IncomingMessage> => {
    const status = answer.statusCode ?? 0
    if (status >= 200 && status < 300) return answer
    const text = (await whole(answer)).toString()
    throw (
      openEnvelope(text) ??
      new TenutoError('INTERNAL', { what: `the holder of ${home} answered ${status} ${text.slice(0, 200)}` })
    )
  }
  const ask = async (method: Method, path: string, asked: Ask = {}): Promise<Answer> => {
    const answer = await checked(await open(method, path, asked, { agent }))
    return { status: answer.statusCode ?? 0, headers: answer.headers, bytes: await whole(answer) }
  }
  const get = async <Shape>(path: string, query: Query = {}): Promise<Shape> =>
    json(await ask('GET', path, { query }))

  /** The items of a list that has parts, at most `limit`. */
  async function* items<Item>(
    path: string,
    limit: number,
    query: Query,
    cursor?: string,
  ): AsyncGenerator<Item> {
    let left = limit
    let next = cursor
    while (left > 0) {
      const page: Page<Item> = await get(path, { ...query, limit: Math.min(left, PAGE_MAX), cursor: next })
      yield* page.items
      left -= page.items.length
      if (page.next_cursor === null) return
      next = page.next_cursor
    }
  }

  // Reading.

  const catalog: Catalog = {
    resolve: (ref) => get<Target>(`${BASE}/resolve`, { ref }),
    plans: ({ name, states, limit = 50, before } = {}) => {
      if (states?.length === 0) return Promise.resolve([])
      return all(items<PlanShape>(`${BASE}/plans`, limit, { name, state: states?.join(',') }, before))
    },
    plan: (id) => get<PlanShape>(planPath(id)),
    definition: (plan) => get<Definition>(`${planPath(plan)}/definition`),
    jobs: async (plan) => (await get<PlanShape & { jobs: JobShape[] }>(planPath(plan), { jobs: true })).jobs,
    jobsIn: async ({ states, name, limit = 50 } = {}) => {
      if (states?.length === 0) return []
      const query = { state: states?.join(','), name, limit: Math.min(limit, PAGE_MAX) }
      return (await get<Page<JobShape>>(`${BASE}/jobs`, query)).items
    },
    job: async (plan, job) => {
      const { attempts: _, ...shape } = await get<JobShape & { attempts: unknown }>(jobPath(plan, job))
      return shape
    },
    attempts: async (plan, job) => (await get<{ attempts: AttemptShape[] }>(jobPath(plan, job))).attempts,
    notes: async (plan) => (await get<Page<EventShape>>(`${planPath(plan)}/notes`)).items,
    events: ({ after, limit, plan, job }) =>
      all(items<EventShape>(`${BASE}/events`, limit, { after, plan, job })),
    deadLetters: ({ limit = 50, before } = {}) =>
      all(
        items<DeadLetterShape>(
          `${BASE}/dead-letters`,
          limit,
          {},
          before === undefined ? undefined : String(before),
        ),
      ),
    deadLetter: (id) => get<WholeLetterShape>(`${BASE}/dead-letters/${id}`),
    secrets: async (plan) => (await get<Page<SecretShape>>(`${planPath(plan)}/secrets`)).items,
    log: async (plan, job, attempt, offset, limit) => {
      const query = { offset, limit: Math.min(limit, LOG_BYTES_MAX) }
      const { headers, bytes } = await ask('GET', `${jobPath(plan, job)}/attempts/${attempt}/log`, { query })
      return { bytes, next: Number(headers[HEADERS.next]), size: Number(headers[HEADERS.size]) }
    },
    close: async () => agent.destroy(),
  }

  // Following.

  /**
   * The events of a stream that `from` opens again where it broke. It gives up when the tries in `RECONNECT_MS` have found
   * nobody, and no parent of a daemon lives that will start it again; a stream that was opened starts them anew.
   */
  async function* follow(
    from: () => Readonly<{ path: string; query: Query }>,
    signal?: AbortSignal,
  ): AsyncGenerator<Frame> {
    let tries = 0
    let parent = parentOf(home)
    for (;;) {
      let broken: unknown
      try {
        const { path, query } = from()
        const stream = await checked(
          await open(
            'GET',
            path,
            { query, accept: STREAM_TYPE },
            { agent: false, ...(signal ? { signal } : {}) },
          ),
        )
        tries = 0
        parent = parentOf(home)
        // An event may come when it likes.
        stream.socket.setTimeout(0)
        stream.setEncoding('utf8')
        yield* frames(stream as AsyncIterable<string>)
      } catch (error) {
        broken = refusal(error)
        if (signal?.aborted) return
        if (!isTenutoError(broken, 'NO_DAEMON') && !isTenutoError(broken, 'STOPPED')) throw broken
      }
      if (signal?.aborted) return
      parent ??= parentOf(home)
      const wait = RECONNECT_MS[tries] ?? (parent && isAlive(parent) ? RECONNECT_MS.at(-1) : undefined)
      if (wait === undefined) throw gone(broken)
      tries += 1
      await pause(wait, signal)
      if (signal?.aborted) return
    }
  }

  async function* events({
    after = 0,
    plan,
    follow: on = true,
    signal,
    storage,
  }: EventsQuery = {}): AsyncGenerator<EventShape> {
    if (!on) {
      for await (const event of items<EventShape>(`${BASE}/events`, Number.POSITIVE_INFINITY, {
        after,
        plan,
      })) {
        if (signal?.aborted) return
        yield event
      }
      return
    }
    let position = after
    let topics = storage && 'daemon'
    const frames = () =>
      follow(() => ({ path: `${BASE}/events`, query: { after: position, plan, topics } }), signal)
    for (;;) {
      try {
        for await (const frame of frames()) {
          if (frame.event === 'reset') throw missed(position, frame)
          if (frame.event === 'storage') {
            storage?.(JSON.parse(frame.data) as StorageShape)
            continue
          }
          const event = JSON.parse(frame.data) as EventShape
          position = event.position
          yield event
        }
        return
      } catch (error) {
        // One of an earlier build knows no such topic.
        if (topics === undefined || !isTenutoError(error, 'NOT_YET')) throw error
        topics = undefined
      }
    }
  }

  /** A position after which there is not everything, or nothing. */
  const missed = (position: number, { data }: Frame): TenutoError => {
    const { why } = JSON.parse(data) as { why?: string }
    const what =
      why === 'removed'
        ? `not all that happened after position ${position} is kept in ${home}; begin again without a position`
        : `there is no position ${position} in the journal of ${home}`
    return new TenutoError('USAGE', { what })
  }

  const followLog: HomeClient['followLog'] = async function* (
    plan,
    job,
    attempt,
    { offset = 0, signal } = {},
  ) {
    let next = offset
    const path = `${jobPath(plan, job)}/attempts/${attempt}/log/stream`
    for await (const frame of follow(() => ({ path, query: { offset: next } }), signal)) {
      if (frame.event === 'end') return
      if (frame.event === 'reset') {
        const { size } = JSON.parse(frame.data) as { size: number }
        const what = `the log of ${plan}/${job}#${attempt} has ${size} bytes; there is no offset ${next}`
        throw new TenutoError('USAGE', { what })
      }
      next = Number(frame.id)
      yield { bytes: Buffer.from(frame.data, 'base64'), next }
    }
  }

  return {
    catalog,
    events,
    followLog,
    command: async (plan, job, { do: verb, ...options }, { by, why } = {}) => {
      const path = job === null ? planPath(plan) : jobPath(plan, job)
      return json<CommandReceipt>(
        await ask('POST', `${path}/${verb}`, { body: { ...options, by, reason: why } }),
      )
    },
    settleLetter: async (id, order, { by, why } = {}) =>
      json<CommandReceipt>(
        await ask('POST', `${BASE}/dead-letters/${id}/${order}`, { body: { by, reason: why } }),
      ),
    submit: async (
      plan,
      { key, base = process.cwd(), environment: env = jobEnvironment(), by, why, ...given } = {},
    ) => {
      const { secrets = namedVariables(secretPlaces(plan).keys()) } = given
      const body = { plan, key, base, env, secrets, by, reason: why }
      const answer = await ask('POST', `${BASE}/plans`, { body })
      return { id: json<PlanShape>(answer).id, replayed: answer.headers[HEADERS.replay] === 'true' }
    },
    giveSecrets: async (plan, values, { by } = {}) =>
      json<Page<SecretShape>>(
        await ask('POST', `${planPath(plan)}/secrets`, { body: { secrets: values, by } }),
      ).items,
    inspection: (plan, job) =>
      get<InspectionShape>(`${job === null ? planPath(plan) : jobPath(plan, job)}/inspect`),
    explain: (plan, job) =>
      get<ExplainShape>(`${job === null ? planPath(plan) : jobPath(plan, job)}/explain`),
    version: () => get<VersionShape>('/version'),
    order: async ({ do: what, by, why, untilStop }) =>
      json<ModeReceipt>(
        await ask('POST', `${BASE}/daemon/${what}`, {
          body: { by, reason: why, ...(untilStop === undefined ? {} : { until_stop: untilStop }) },
        }),
      ),
    sweep: async ({ by, why } = {}) =>
      json<SweepShape>(await ask('POST', `${BASE}/sweep`, { body: { by, reason: why } })),
    gc: async ({ dryRun, olderThanMs, keep, by, why } = {}) => {
      const body = { dry_run: dryRun, older_than_ms: olderThanMs, keep, by, reason: why }
      return json<GcShape>(await ask('POST', `${BASE}/gc`, { body }))
    },
    state: () => get<StateShape>(`${BASE}/state`),
    tree: () => get<TreeShape>(`${BASE}/tree`),
    link: async () => json<LinkShape>(await ask('POST', `${BASE}/links`, { body: {} })),
    close: () => agent.destroy(),
  }
}

/** A build that does not say what it is can still ask. */
const clientName = (): string => {
  try {
    return `tenuto ${buildName(runningBuild().build)}`
  } catch {
    return 'tenuto'
  }
}

const all = async <Item>(of: AsyncIterable<Item>): Promise<readonly Item[]> => {
  const found: Item[] = []
  for await (const item of of) found.push(item)
  return found
}
const json = <Shape>({ bytes }: Answer): Shape => JSON.parse(bytes.toString()) as Shape
const planPath = (plan: string): string => `${BASE}/plans/${encodeURIComponent(plan)}`
const jobPath = (plan: string, job: string): string => `${planPath(plan)}/jobs/${encodeURIComponent(job)}`
const queryText = (query: Query = {}): string => {
  const given = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) if (value !== undefined) given.set(name, String(value))
  return given.size === 0 ? '' : `?${given.toString()}`
}
