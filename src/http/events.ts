/**
 * The route of events: a stream for those who follow, a list for those who ask for JSON.
 */
import type { FastifyInstance } from 'fastify'
import { TenutoError } from '../errors.ts'
import type { Runtime } from '../runtime.ts'
import type { EventShape } from '../views/shapes.ts'
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
    const choice = await choose({ ...asked, topics })
    const from = lastEventId(request) ?? after
    const text = (ending: Ending) => eventText(runtime, choice, from, ending)
    return !topics.includes(DAEMON)
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

  /** `plans` is what happens to plans themselves, `plan:ID` one plan and its jobs, `daemon` what is asked of the home; none is everything. */
  const choose = async ({
    topics = [],
    plan,
  }: Readonly<{ topics?: readonly string[]; plan?: string }>): Promise<EventChoice> => {
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
