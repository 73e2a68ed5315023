/**
 * The route of events: a stream for those who follow, a list for those who ask for JSON.
 */
import type { FastifyInstance } from 'fastify'
import { TenutoError } from '../errors.ts'
import type { Runtime } from '../runtime.ts'
import { PAGE, page } from './plans.ts'
import { type Asked, operate } from './routing.ts'
import { type Ending, type EventChoice, eventText, type Streams, storageText } from './streams.ts'
import { HEADERS } from './wire.ts'

/** How whoever holds the home is, beside what happens to plans. */
const DAEMON = 'daemon'
type Query = Asked<'GET /api/v1/events'>['query']

/** Adds `GET /events`. */
export const eventRoute = (app: FastifyInstance, runtime: Runtime, streaming: Streams): void => {
  operate(app, 'GET /api/v1/events', async ({ query, headers, request, reply }) => {
    if (request.headers.accept?.includes('application/json')) return list(query)
    const { after = 0, topics = [], plan, ...others } = query
    const [ofLists] = Object.keys(others)
    if (ofLists !== undefined)
      throw new TenutoError('USAGE', {
        what: `${ofLists} is for a list; a stream has topics, after and plan`,
      })
    const inJournal = topics.filter((topic) => topic !== DAEMON)
    const isOnly = topics.length > 0 && inJournal.length === 0 && plan === undefined
    const choice = isOnly ? { wants: () => false } : await choose({ plan, topics: inJournal })
    const from = headers[HEADERS.lastEvent] ?? after
    const text = (ending: Ending) => eventText(runtime, choice, from, ending)
    return inJournal.length === topics.length
      ? streaming.send(reply, text)
      : streaming.send(reply, text, (say) => storageText(runtime, say))
  })

  const list = async ({ after = 0, cursor, limit = PAGE, job, topics, plan: of }: Query) => {
    const { plan, wants } = await choose({ topics, plan: of })
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
  }: Readonly<{
    topics?: readonly string[] | undefined
    plan?: string | undefined
  }>): Promise<EventChoice> => {
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
