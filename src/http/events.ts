/**
 * The route of events: a stream for those who follow, a list for those who ask for JSON.
 */
import type { FastifyInstance } from 'fastify'
import { TenutoError } from '../errors.ts'
import type { Runtime } from '../runtime.ts'
import { readFields, text, whole, words } from './fields.ts'
import { lastEventId, page } from './plans.ts'
import { type EventChoice, eventText, type Streams } from './streams.ts'
import { PAGE_MAX } from './wire.ts'

const PAGE = 50
const isTopic = (word: string): boolean => word === 'plans' || word === 'daemon' || /^plan:./.test(word)
const FOLLOW = {
  topics: words('one or more of plans, plan:ID', isTopic),
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
    const { after = 0, ...asked } = readFields('query', request.query, FOLLOW)
    const choice = await choose(asked)
    const from = lastEventId(request) ?? after
    return streaming.send(reply, (ending) => eventText(runtime, choice, from, ending))
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
    if (topics.includes('daemon'))
      throw new TenutoError('NOT_YET', { what: 'the topic `daemon`', remedy: 'leave it out' })
    const ids = topics.filter((topic) => topic !== 'plans').map((topic) => topic.slice('plan:'.length))
    const all = new Set(plan === undefined ? ids : [...ids, plan])
    for (const id of all) await runtime.catalog.plan(id)
    const [only] = all
    if (topics.includes('plans')) return { wants: (event) => event.job === undefined || all.has(event.plan) }
    if (only === undefined) return { wants: () => true }
    return all.size === 1 ? { plan: only, wants: () => true } : { wants: (event) => all.has(event.plan) }
  }
}
