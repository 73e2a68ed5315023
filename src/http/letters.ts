/**
 * The routes of dead letters: reading them, and deciding what becomes of one.
 */
import type { FastifyInstance } from 'fastify'
import { TenutoError } from '../errors.ts'
import type { LetterOrder, Runtime } from '../runtime.ts'
import { askerOf } from './entrance.ts'
import { readFields, whole } from './fields.ts'
import { page, WHY } from './plans.ts'
import { PAGE_MAX } from './wire.ts'

type At = Readonly<{ Params: Readonly<{ id: string }> }>

const PAGE = 50
const LIST = { limit: whole(1, PAGE_MAX), cursor: whole(1, Number.MAX_SAFE_INTEGER) }
const ORDERS: readonly LetterOrder[] = ['redeliver', 'discard']

const idOf = ({ id }: At['Params']): number => {
  const read = whole(1, Number.MAX_SAFE_INTEGER).read(id)
  if (read === undefined) throw new TenutoError('LETTER_NOT_FOUND', { id })
  return read
}

/** Adds the routes of dead letters. */
export const letterRoutes = (app: FastifyInstance, runtime: Runtime): void => {
  const { catalog } = runtime

  app.get('/dead-letters', async ({ query }) => {
    const { limit = PAGE, cursor } = readFields('query', query, LIST)
    const found = await catalog.deadLetters({
      limit: limit + 1,
      ...(cursor === undefined ? {} : { before: cursor }),
    })
    return page(found, limit, ({ id }) => String(id))
  })

  app.get<At>('/dead-letters/:id', ({ params, query }) => {
    readFields('query', query, {})
    return catalog.deadLetter(idOf(params))
  })

  for (const order of ORDERS) {
    app.post<At>(`/dead-letters/:id/${order}`, async (request, reply) => {
      const { reason, by } = readFields('body', request.body, WHY)
      const receipt = await runtime.settleLetter(idOf(request.params), order, {
        by: askerOf(request, by),
        ...(reason === undefined ? {} : { why: reason }),
      })
      return reply.code(202).send(receipt)
    })
  }
}
