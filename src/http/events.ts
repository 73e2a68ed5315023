/**
 * The route of events: a stream for those who follow, a list for those who ask for JSON.
 */
import type { FastifyInstance } from 'fastify'
import { TenutoError } from '../errors.ts'
import type { Runtime } from '../runtime.ts'
import { readFields, text, whole, words } from './fields.ts'
import { lastEventId, page } from './plans.ts'
import { type Ending, type EventChoice, eventText, type Streams, storageText } from './streams.ts'
import { PAGE_MAX } from './wire.ts'

const PAGE = 50
/** How whoever holds the home is, beside what happens to plans. */
const DAEMON = 'daemon'
const isTopic = (word: string): boolean => word === 'plans' || word === DAEMON || /^plan:./.test(word)
const FOLLOW = {
  topics: words('one or more of plans, plan:ID, daemon', isTopic),
  after: whole(0, Number.MAX_SAFE_INTEGER),
  plan: text(1000),
}
const LIST = {
  ...FOLLOW,
  job: text(1000),
  limit: whole(1, PAGE_MAX),
  cursor: whole(0, Number.MAX_SAFE_INTEGER),
}

/** Adds `GET /events`. */
export const eventRoute = (app: FastifyInstance, runtime: Runtime, streaming: Streams): void => {
  app.get('/events', async (request, reply) => {
    if (request.headers.accept?.includes('application/json')) return list(request.query)
    const { after = 0, topics = [], ...asked } = readFields('query', request.query, FOLLOW)
    const others = topics.filter((topic) => topic !== DAEMON)
    const isOnly = topics.length > 0 && others.length === 0 && asked.plan === undefined
    const choice = isOnly ? { wants: () => false } : await choose({ ...asked, topics: others })
    const from = lastEventId(request) ?? after
    const text = (ending: Ending) => eventText(runtime, choice, from, ending)
    return others.length === topics.length
      ? streaming.send(reply, text)
      : streaming.send(reply, text, (say) => storageText(runtime, say))
  })

  const list = async (query: unknown) => {
    const { after = 0, cursor, limit = PAGE, job, ...asked } = readFields('query', query, LIST)
    const { plan, wants } = await choose(asked)
    if (job !== undefined && plan === undefined)
      throw new TenutoError('USAGE', { what: 'job needs plan beside it' })
    const found = await runtime.catalog.events({
      after: cursor ?? after,
      limit: limit + 1,
      ...(plan === undefined ? {} : { plan }),
      ...(job === undefined ? {} : { job }),
    })
    const { items, next_cursor } = page(found, limit, ({ position }) => String(position))
    return { items: items.filter(wants), next_cursor }
  }

  /** `plans` is what happens to plans themselves, `plan:ID` one plan and its jobs, neither is everything. */
  const choose = async ({
    topics = [],
    plan,
  }: Readonly<{ topics?: readonly string[]; plan?: string }>): Promise<EventChoice> => {
    // It has no position, and nothing of it is kept.
    if (topics.includes(DAEMON))
      throw new TenutoError('NOT_YET', { what: 'a list of the topic `daemon`', remedy: 'follow it' })
    const ids = topics.filter((topic) => topic !== 'plans').map((topic) => topic.slice('plan:'.length))
    const all = new Set(plan === undefined ? ids : [...ids, plan])
    for (const id of all) await runtime.catalog.plan(id)
    const [only] = all
    if (topics.includes('plans')) return { wants: (event) => event.job === undefined || all.has(event.plan) }
    if (only === undefined) return { wants: () => true }
    return all.size === 1 ? { plan: only, wants: () => true } : { wants: (event) => all.has(event.plan) }
  }
}
