/**
 * The routes by which somebody gets in, and those that ask for nobody.
 */
import type { FastifyInstance } from 'fastify'
import { TenutoError } from '../errors.ts'
import type { Runtime } from '../runtime.ts'
import type { Access } from './access.ts'
import { sessionWho, unauthenticated } from './entrance.ts'
import { readFields } from './fields.ts'
import { BASE, type LinkShape } from './wire.ts'

/** Where a browser goes that was let in. */
const LANDING = `${BASE}/state`

/** Adds `POST /links`: a link that lets one browser in. */
export const linkRoute = (app: FastifyInstance, way: Access | null): void => {
  app.post('/links', async ({ body }, reply): Promise<LinkShape> => {
    readFields('body', body, {})
    const base = way?.url() ?? null
    if (way === null || base === null)
      throw new TenutoError('WRONG_STATE', {
        ref: 'this home',
        state: 'served on its socket alone',
        what: 'no browser can reach it',
        remedy: 'a daemon can be reached: `tenuto up`',
      })
    const { link, expiresAt } = way.sessions.draw()
    reply.code(201)
    return { url: `${base}/open/${link}`, expires_at: new Date(expiresAt).toISOString() }
  })
}

/** Adds `GET /open/LINK`: lets in who brings a link, once. */
export const openRoute = (app: FastifyInstance, { sessions, cookie, entrance }: Access): void => {
  app.get<{ Params: Readonly<{ link: string }> }>(
    '/open/:link',
    // A HEAD, as those who preview links send it, would use it up.
    { exposeHeadRoute: false },
    async (request, reply) => {
      const entered = sessions.exchange(request.params.link)
      if (entered === undefined)
        throw await entrance.failing(request, unauthenticated('that link was used, is too old, or is none'))
      request.who = sessionWho(entered.session)
      return reply
        .header('set-cookie', `${cookie()}=${entered.cookie}; HttpOnly; SameSite=Strict; Path=/`)
        .redirect(LANDING, 303)
    },
  )
}

/** Adds the routes that ask for nobody, and say nothing but that. */
export const lookRoutes = (app: FastifyInstance, { storage }: Pick<Runtime, 'storage'>): void => {
  app.get('/livez', (_, reply) => reply.type('text/plain').send('ok\n'))
  app.get('/readyz', (_, reply) => {
    const isReady = storage().status === 'ok'
    return reply
      .type('text/plain')
      .code(isReady ? 200 : 503)
      .send(isReady ? 'ok\n' : 'not ready\n')
  })
}
