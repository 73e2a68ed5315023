/**
 * The route of events: a stream for those who follow, a list for those who ask for JSON.
 */
import type { FastifyInstance } from 'fastify'
import { turn } from '../clock.ts'
import { TenutoError } from '../errors.ts'
import type { Runtime } from '../runtime.ts'
import type { EventShape } from '../views/shapes.ts'
import { PAGE, page } from './plans.ts'
import { type Asked, operate } from './routing.ts'
import { type Ending, type EventChoice, eventText, type Streams, storageText } from './streams.ts'
import { HEADERS } from './wire.ts'

/** How whoever holds the home is, beside what happens to plans. */
const DAEMON = 'daemon'

/** Steps that a list looks at before others have their turn. */
const LOOKED_AT_ONCE = 500
/** Steps that one page looks at for what was asked for. */
export const LOOKED_AT_MAX = 10_000

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
    const query = { ...(plan === undefined ? {} : { plan }), ...(job === undefined ? {} : { job }) }
    const found: EventShape[] = []
    let last = cursor ?? after
    let atOnce = limit + 1
    for (let looked = 0; looked < LOOKED_AT_MAX; ) {
      const events = await runtime.catalog.events({ ...query, after: last, limit: atOnce })
      found.push(...events.filter(wants))
      if (found.length > limit || events.length < atOnce)
        return page(found, limit, ({ position }) => String(position))
      last = events.at(-1)?.position ?? last
      looked += events.length
      atOnce = LOOKED_AT_ONCE
      await turn()
    }
    // What is wanted is rare here: the next page goes on where this one stopped looking.
    return { items: found, next_cursor: String(last) }
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
    // Who follows a `plan` hears beside it how commits go, and nothing that happens elsewhere; a topic leaves out no other.
    const isHomeLeftOut = !ofHome || ids.length === 0
    if (all.size === 1 && only !== undefined && !ofPlans && isHomeLeftOut)
      return { plan: only, wants: () => true }
    const wants = ({ plan: of, job }: EventShape): boolean =>
      of === '' ? ofHome : all.has(of) || (ofPlans && job === undefined)
    return { wants }
  }
}
