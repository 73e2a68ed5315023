/**
 * From the table of operations to the routes of a server: what comes in is read by its schemas before a handler sees it, and a handler
 * has the types of its operation.
 */
import assert from 'node:assert'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { TenutoError } from '../errors.ts'
import { type JsonSchema, type Of, options } from '../json-schema.ts'
import { type Part, readInput } from './inputs.ts'
import { OPERATIONS, type OperationName, operationOf } from './operations.ts'

type Table = typeof OPERATIONS
type PartOf<Name extends OperationName, Key extends string> =
  Table[Name] extends Readonly<Record<Key, infer S>> ? Of<S> : Readonly<{}>
type AnswersOf<Name extends OperationName> = Table[Name]['answers'][keyof Table[Name]['answers']]
type ValueOf<A> = A extends Readonly<{ schema: infer S }> ? Of<S> : never

/** What a handler is given. */
export type Asked<Name extends OperationName> = Readonly<{
  /** Texts of the path; what names nothing is not found. */
  params: Readonly<Record<keyof PartOf<Name, 'params'>, string>>
  query: PartOf<Name, 'query'>
  headers: PartOf<Name, 'headers'>
  body: PartOf<Name, 'body'>
  request: FastifyRequest
  reply: FastifyReply
}>

/** What a handler answers: a value of a schema of its operation, or a reply that it has sent. */
export type Handled<Name extends OperationName> = ValueOf<AnswersOf<Name>> | FastifyReply

/** Adds the route of an operation. A value is answered with the first status of its answers. */
export const operate = <const Name extends OperationName>(
  app: FastifyInstance,
  name: Name,
  handler: (asked: Asked<Name>) => Handled<Name> | Promise<Handled<Name>>,
): void => {
  const [method = '', path = ''] = name.split(' ')
  const [status = 200] = Object.keys(OPERATIONS[name].answers).map(Number)
  app.route({
    method,
    url: path.startsWith(`${app.prefix}/`) ? path.slice(app.prefix.length) : path,
    // A HEAD, as those who preview links send it, would use a link up.
    exposeHeadRoute: method === 'GET' && OPERATIONS[name].asks !== 'link',
    handler: async (request, reply) => {
      const { params, query, headers, body } = request
      const named = params as Readonly<Record<string, unknown>>
      const empty = ['plan', 'job'].find((part) => named[part] === '')
      if (empty !== undefined) throw unnamed(empty)
      reply.code(status)
      // Read by the schemas of this very operation, which is what the types say.
      return await handler({ params, query, headers, body, request, reply } as unknown as Asked<Name>)
    },
  })
}

/** The name of a plan or a job that is empty names nothing. */
const unnamed = (part: string): TenutoError =>
  new TenutoError('REF_NOT_FOUND', { ref: `"": the ${part} in the path is empty` })

const NOTHING = options({})

/** The methods of a path, as it came; none where nothing is. */
export type MethodsOf = (path: string) => readonly string[]

/**
 * Refuses, from now on, to add a route that the table does not know, and reads by the table what comes in on the others. Answers what
 * methods a path has among those that were added.
 */
export const declareRoutes = (app: FastifyInstance): MethodsOf => {
  const places: Readonly<{ method: string; parts: readonly string[] }>[] = []
  app.addHook('onRoute', (route) => {
    for (const method of [route.method].flat()) {
      places.push({ method, parts: route.url.split('/') })
      const operation = operationOf(method, route.url)
      assert(operation, `${method} ${route.url} does not say what it asks; add it to src/http/operations.ts`)
      const { asks, query = NOTHING, headers, body } = operation
      route.schema = {
        // Those who look whether somebody is there add what they like.
        ...(asks === 'open' || asks === 'link' ? {} : { querystring: query }),
        ...(headers === undefined ? {} : { headers: { ...headers, additionalProperties: true } }),
        ...(body === undefined ? {} : { body }),
      }
    }
  })
  app.setValidatorCompiler<JsonSchema>(({ schema, httpPart }) => {
    const part = (httpPart === 'querystring' ? 'query' : httpPart) as Part
    return (given: unknown) => {
      try {
        return { value: readInput(part, schema, given) }
      } catch (error) {
        return { error: error as Error }
      }
    }
  })
  return (path) => {
    const asked = path.split('/').map(plain)
    const fitting = places.filter(
      ({ parts }) =>
        parts.length === asked.length &&
        parts.every((part, at) => (part.startsWith(':') ? asked[at] !== '' : part === asked[at])),
    )
    return [...new Set(fitting.map(({ method }) => method))].sort()
  }
}

/** A part of a path without its escapes; one that is none names nothing. */
const plain = (part: string): string => {
  try {
    return decodeURIComponent(part)
  } catch {
    return ''
  }
}
