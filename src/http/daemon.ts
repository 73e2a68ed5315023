/**
 * The routes of the mode of a home: whether anything new starts in it, and plans are taken in.
 */
import type { FastifyInstance } from 'fastify'
import type { Runtime } from '../runtime.ts'
import { askerOf } from './entrance.ts'
import { flag, readFields } from './fields.ts'
import { saying, WHY } from './plans.ts'

const DRAIN = { ...WHY, until_stop: flag }

/** Adds `POST /daemon/{pause,resume,drain}`. */
export const daemonRoutes = (app: FastifyInstance, runtime: Runtime): void => {
  for (const order of ['pause', 'resume'] as const) {
    app.post(`/daemon/${order}`, (request) => {
      const { reason, by } = readFields('body', request.body, WHY)
      return runtime.order({ do: order, ...saying(reason, askerOf(request, by)) })
    })
  }
  app.post('/daemon/drain', (request) => {
    const { reason, by, until_stop: untilStop = false } = readFields('body', request.body, DRAIN)
    return runtime.order({ do: 'drain', untilStop, ...saying(reason, askerOf(request, by)) })
  })
}
