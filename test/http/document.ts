/** The document of the API as a judge of answers: each is held to it by Ajv, which shares no code with what made it. */
import { fastify } from 'fastify'
import { type Node, openapi } from '../../src/http/openapi.ts'
import { operationOf } from '../../src/http/operations.ts'

type Schema = Readonly<Record<string, unknown>>
type Media = Readonly<{ schema: Schema; example?: unknown; examples?: Readonly<Record<string, unknown>> }>
type Content = Readonly<Record<string, Media>>

/** A parameter, as far as tests need it; one that is a reference has no name. */
export type Parameter = Readonly<{
  name?: string
  in?: 'path' | 'query' | 'header'
  required?: boolean
  schema: Schema
  example?: unknown
}>

/** An operation of the document. */
export type OperationNode = Readonly<{
  operationId: string
  summary: string
  security: readonly Readonly<Record<string, readonly string[]>>[]
  parameters: readonly Parameter[]
  requestBody?: Readonly<{ content: Content }>
  responses: Readonly<Record<string, Readonly<{ description: string; content?: Content }>>>
}>

/** The document, with types. */
export type OpenApi = Readonly<{
  openapi: string
  paths: Readonly<Record<string, Readonly<Record<string, OperationNode>>>>
  components: Readonly<{
    schemas: Readonly<Record<string, Schema>>
    examples: Readonly<Record<string, Readonly<{ value: unknown }>>>
  }>
}>

/** A route of the document. */
export type Route = Readonly<{ name: string; method: string; path: string; node: OperationNode }>

/** An answer, as far as the document speaks of it. */
export type Answer = Readonly<{ status: number; type: string; text: string; json: unknown }>

/** Compiles schemas with the Ajv of Fastify; a validator answers what is wrong, in words. */
const compiler = async (): Promise<(schema: Schema) => (value: unknown) => string | undefined> => {
  const app = fastify({
    ajv: {
      customOptions: {
        coerceTypes: false,
        removeAdditional: false,
        useDefaults: false,
        allErrors: true,
        strict: false,
        logger: false,
        formats: { topic: true, 'absolute-path': true, 'without-nul': true },
      },
    },
  })
  let compile: ((schema: Schema) => ReturnType<ReturnType<typeof compiled>>) | undefined
  const compiled = (validate: (schema: Schema) => unknown) => (schema: Schema) => {
    const valid = validate(schema) as ((value: unknown) => boolean) & { errors?: unknown }
    return (value: unknown) => (valid(value) ? undefined : JSON.stringify(valid.errors))
  }
  app.get('/', (request) => {
    compile = compiled((schema) => request.compileValidationSchema(schema, 'body'))
    return ''
  })
  await app.inject('/')
  await app.close()
  if (compile === undefined) throw new Error('no compiler')
  return compile
}

/** What answers may have is what the document names: what it leaves open for later versions is closed for this one. */
const closed = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(closed)
  if (typeof value !== 'object' || value === null) return value
  const made = Object.fromEntries(Object.entries(value).map(([name, each]) => [name, closed(each)]))
  return made['type'] === 'object' && made['properties'] !== undefined && !('additionalProperties' in made)
    ? { ...made, additionalProperties: false }
    : made
}

/** The document of this source, and what may be asked of it. */
export const judge = async (made: Node = openapi('0.0.0')) => {
  const document = made as unknown as OpenApi
  const compile = await compiler()
  const components = closed(document.components) as Schema
  const known = new Map<Schema, (value: unknown) => string | undefined>()
  /** What is wrong with a value by a schema of the document; undefined when nothing is. */
  const wrongWith = (schema: Schema, value: unknown): string | undefined => {
    const check = known.get(schema) ?? compile({ ...(closed(schema) as Schema), components })
    known.set(schema, check)
    return check(value)
  }
  const routes: readonly Route[] = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, node]) => ({
      name: `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ':$1')}`,
      method: method.toUpperCase(),
      path,
      node,
    })),
  )
  return {
    document,
    routes,
    compile,
    wrongWith,
    /** What the document does not allow about an answer of a route; undefined when it is as promised. */
    wrongAnswer: (name: string, { status, type, text, json }: Answer): string | undefined => {
      const route = routes.find((each) => each.name === name)
      const said = route?.node.responses[status]
      if (!said) return `${name} answered ${status}, which its document does not name: ${text.slice(0, 300)}`
      const media = type.split(';')[0] ?? ''
      if (said.content === undefined || Object.keys(said.content).length === 0)
        return text === '' ? undefined : `${name} ${status} has a body, where none is promised`
      const of = said.content[media]
      if (of === undefined)
        return `${name} ${status} is ${media}, not ${Object.keys(said.content).join(', ')}`
      if (media !== 'application/json') return undefined
      const wrong = wrongWith(of.schema, json)
      if (wrong !== undefined)
        return `${name} ${status} does not fit its schema: ${wrong} ${text.slice(0, 300)}`
      return status < 400 ? undefined : wrongRefusal(name, of, json)
    },
  }
}

/** A judge of answers. */
export type Judge = Awaited<ReturnType<typeof judge>>

const wrongRefusal = (name: string, { examples = {} }: Media, json: unknown): string | undefined => {
  const { error } = json as { error: Record<string, unknown> }
  if (!Object.hasOwn(examples, String(error['code'])))
    return `${name} refuses with ${String(error['code'])}, which its document does not name: ${String(error['message'])}`
  const empty = ['message', 'hint', 'request_id'].filter((field) => error[field] === '')
  if (empty.length > 0) return `${name} refuses with no ${empty.join(', ')}`
  return /\{\w+\}/.test(String(error['message'])) ? `${name}: ${String(error['message'])}` : undefined
}

/** The schemas of what an operation takes, by part. */
export const inputsOf = (name: string) => {
  const [method = '', path = ''] = name.split(' ')
  const { query, body, headers } = operationOf(method, path) ?? {}
  return { query, body, headers }
}
