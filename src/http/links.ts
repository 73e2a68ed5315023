/**
 * The routes by which somebody gets in, and those that ask for nobody.
 */
import type { FastifyInstance } from 'fastify'
import { TenutoError } from '../errors.ts'
import type { Runtime } from '../runtime.ts'
import type { Access } from './access.ts'
import { sessionWho, unauthenticated } from './entrance.ts'
import { nextTry } from './retry-after.ts'
import { operate } from './routing.ts'
import { BASE, RETRY_AFTER } from './wire.ts'

/** Where a browser goes that was let in. */
const LANDING = `${BASE}/state`

/** Adds `POST /links`: a link that lets one browser in. */
export const linkRoute = (app: FastifyInstance, way: Access | null): void => {
  operate(app, 'POST /api/v1/links', () => {
    const base = way?.url() ?? null
    if (way === null || base === null)
      throw new TenutoError('WRONG_STATE', {
        ref: 'this home',
        state: 'served on its socket alone',
        what: 'no browser can reach it',
        remedy: 'a daemon can be reached: `tenuto up`',
      })
    const { link, expiresAt } = way.sessions.draw()
    return { url: `${base}/open/${link}`, expires_at: new Date(expiresAt).toISOString() }
  })
}

/** Adds `GET /open/LINK`: lets in who brings a link, once. */
export const openRoute = (app: FastifyInstance, { sessions, cookie, entrance }: Access): void => {
  operate(app, 'GET /open/:link', async ({ params, request, reply }) => {
    const entered = sessions.exchange(params.link)
    if (entered === undefined)
      throw await entrance.failing(request, unauthenticated('that link was used, is too old, or is none'))
    request.who = sessionWho(entered.session)
    return reply
      .header('set-cookie', `${cookie()}=${entered.cookie}; HttpOnly; SameSite=Strict; Path=/`)
      .redirect(LANDING, 303)
  })
}

/** Adds the routes that ask for nobody, and say nothing but that. */
export const lookRoutes = (app: FastifyInstance, { storage }: Pick<Runtime, 'storage'>): void => {
  operate(app, 'GET /livez', ({ reply }) => reply.type('text/plain').send('ok\n'))
  operate(app, 'GET /readyz', ({ reply }) => {
    const now = storage()
    const isReady = now.status === 'ok'
    const seconds = nextTry(now)
    if (seconds !== undefined) reply.header(RETRY_AFTER, seconds)
    return reply
      .type('text/plain')
      .code(isReady ? 200 : 503)
      .send(isReady ? 'ok\n' : 'not ready\n')
  })
}
