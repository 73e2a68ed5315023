/**
 * The routes of the mode of a home: whether anything new starts in it, and plans are taken in.
 */
import type { FastifyInstance } from 'fastify'
import type { Runtime } from '../runtime.ts'
import { flag, readFields } from './fields.ts'
import { WHY } from './plans.ts'

const DRAIN = { ...WHY, until_stop: flag }

/** Adds `POST /daemon/{pause,resume,drain}`. */
export const daemonRoutes = (app: FastifyInstance, runtime: Runtime): void => {
  for (const order of ['pause', 'resume'] as const) {
    app.post(`/daemon/${order}`, ({ body }) => {
      const { reason, by } = readFields('body', body, WHY)
      return runtime.order({ do: order, ...saying(reason, by) })
    })
  }
  app.post('/daemon/drain', ({ body }) => {
    const { reason, by, until_stop: untilStop = false } = readFields('body', body, DRAIN)
    return runtime.order({ do: 'drain', untilStop, ...saying(reason, by) })
  })
}

const saying = (why: string | undefined, by: string | undefined) => ({
  ...(why === undefined ? {} : { why }),
  ...(by === undefined ? {} : { by }),
})
