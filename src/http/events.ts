/**
 * The route of events: a stream for those who follow, a list for those who ask for JSON.
 */
import type { FastifyInstance } from 'fastify'
import { TenutoError } from '../errors.ts'
import type { Runtime } from '../runtime.ts'
import type { EventShape } from '../views/shapes.ts'
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
    const choice = await choose({ plan, topics })
    const from = headers[HEADERS.lastEvent] ?? after
    const text = (ending: Ending) => eventText(runtime, choice, from, ending)
    return !topics.includes(DAEMON)
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

  /** `plans` is what happens to plans themselves, `plan:ID` one plan and its jobs, `daemon` what is asked of the home; none is everything. */
  const choose = async ({
    topics = [],
    plan,
  }: Readonly<{
    topics?: readonly string[] | undefined
    plan?: string | undefined
  }>): Promise<EventChoice> => {
    const ids = topics
      .filter((topic) => topic.startsWith('plan:'))
      .map((topic) => topic.slice('plan:'.length))
    const all = new Set(plan === undefined ? ids : [...ids, plan])
    for (const id of all) await runtime.catalog.plan(id)
    const [only] = all
    const [ofHome, ofPlans] = [topics.includes(DAEMON), topics.includes('plans')]
    if (only === undefined && !ofHome && !ofPlans) return { wants: () => true }
    // Who follows a plan hears beside it how commits go, and nothing that happens elsewhere.
    if (all.size === 1 && only !== undefined && !ofPlans) return { plan: only, wants: () => true }
    const wants = ({ plan: of, job }: EventShape): boolean =>
      of === '' ? ofHome : all.has(of) || (ofPlans && job === undefined)
    return { wants }
  }
}
