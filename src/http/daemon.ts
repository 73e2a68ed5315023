/**
 * The routes of the mode of a home: whether anything new starts in it, and plans are taken in.
 */
import type { FastifyInstance } from 'fastify'
import type { Runtime } from '../runtime.ts'
import { orderedBy } from './plans.ts'
import { operate } from './routing.ts'

/** Adds `POST /daemon/{pause,resume,drain}`. */
export const daemonRoutes = (app: FastifyInstance, runtime: Runtime): void => {
  for (const order of ['pause', 'resume'] as const)
    operate(app, `POST /api/v1/daemon/${order}`, ({ body, request }) =>
      runtime.order({ do: order, ...orderedBy(request, body) }),
    )
  operate(app, 'POST /api/v1/daemon/drain', ({ body, request }) =>
    runtime.order({ do: 'drain', untilStop: body.until_stop ?? false, ...orderedBy(request, body) }),
  )
}
