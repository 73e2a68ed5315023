/**
 * The routes of dead letters: reading them, and deciding what becomes of one.
 */
import type { FastifyInstance } from 'fastify'
import { TenutoError } from '../errors.ts'
import type { Runtime } from '../runtime.ts'
import { orderedBy, PAGE, page } from './plans.ts'
import { operate } from './routing.ts'

const ORDERS = ['redeliver', 'discard'] as const

const idOf = (id: string): number => {
  const read = /^[1-9][0-9]{0,15}$/.test(id) ? Number(id) : Number.NaN
  if (!Number.isSafeInteger(read)) throw new TenutoError('LETTER_NOT_FOUND', { id })
  return read
}

/** Adds the routes of dead letters. */
export const letterRoutes = (app: FastifyInstance, runtime: Runtime): void => {
  const { catalog } = runtime

  operate(app, 'GET /api/v1/dead-letters', async ({ query: { limit = PAGE, cursor } }) => {
    const found = await catalog.deadLetters({
      limit: limit + 1,
      ...(cursor === undefined ? {} : { before: cursor }),
    })
    return page(found, limit, ({ id }) => String(id))
  })

  operate(app, 'GET /api/v1/dead-letters/:id', ({ params }) => catalog.deadLetter(idOf(params.id)))

  for (const order of ORDERS)
    operate(app, `POST /api/v1/dead-letters/:id/${order}`, ({ params, body, request }) =>
      runtime.settleLetter(idOf(params.id), order, orderedBy(request, body)),
    )
}
