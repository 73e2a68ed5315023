/**
 * The document of the API, OpenAPI 3.1: made of the table of operations, of the schemas they name, and of an example for each.
 */
import { ERRORS, type ErrorCode, TenutoError } from '../errors.ts'
import { type JsonSchema, text, whole } from '../json-schema.ts'
import { envelope, errorSchema } from './envelope.ts'
import { ERROR_FIELDS, ERROR_FIELDS_OF, EXAMPLE_PARAMS, EXAMPLES, type Example } from './examples.ts'
import { spoken } from './inputs.ts'
import { type Answer, OPERATIONS, type Operation, type OperationName, retrySeconds } from './operations.ts'
import { HEADERS, RETRY_AFTER, SCHEMA } from './wire.ts'

/** A part of the document. */
export type Node = { readonly [key: string]: unknown }

/** How every route may refuse whoever calls it. */
const ANY_ERRORS = [
  'USAGE',
  'UNAUTHENTICATED',
  'NOT_ALLOWED',
  'TOO_SLOW',
  'EXPECTATION_UNMET',
  'TOO_MANY',
  'HEADERS_TOO_BIG',
  'STOPPED',
  'INTERNAL',
] as const
/** And those that tell of the home. */
const INSIDE_ERRORS = ['SCHEMA_MISMATCH', 'STORE_BROKEN', 'CORE_GONE'] as const

/** The codes with which an operation may refuse. */
export const errorsOf = ({ asks, params, body, errors = [] }: Operation): readonly ErrorCode[] => [
  ...new Set<ErrorCode>([
    ...ANY_ERRORS,
    ...(asks === 'open' || asks === 'link' ? [] : INSIDE_ERRORS),
    ...(body === undefined ? [] : (['BODY_TOO_BIG'] as const)),
    ...(params?.properties?.['plan'] === undefined ? [] : (['REF_MISPLACED'] as const)),
    ...errors,
  ]),
]

/** The document of a version of the program. */
export const openapi = (version: string): Node => {
  const schemas = new Map<string, JsonSchema>()
  const codes = new Set<ErrorCode>()

  /** A schema as the document has it: what has a title stands among the components, once. */
  const refer = (schema: JsonSchema): JsonSchema => {
    const { title, ...whole } = schema
    if (title === undefined) return inside(whole)
    // What is said of a thing in its place is no part of the thing.
    const { description, ...rest } = whole
    if (!schemas.has(title)) {
      schemas.set(title, {})
      schemas.set(title, inside(rest))
    }
    return { $ref: `#/components/schemas/${title}`, ...(description === undefined ? {} : { description }) }
  }
  const inside = (schema: JsonSchema): JsonSchema => {
    const { items, properties, additionalProperties, anyOf } = schema
    return {
      ...schema,
      ...(items === undefined ? {} : { items: refer(items) }),
      ...(properties === undefined ? {} : { properties: mapped(properties, refer) }),
      ...(typeof additionalProperties === 'object'
        ? { additionalProperties: refer(additionalProperties) }
        : {}),
      ...(anyOf === undefined ? {} : { anyOf: anyOf.map(refer) }),
    }
  }

  const parameter = (
    place: 'path' | 'query' | 'header',
    name: string,
    of: JsonSchema,
    required: boolean,
    example?: unknown,
  ): Node => {
    const { description = '', ...schema } = of
    return {
      name,
      in: place,
      description,
      required,
      ...(schema.type === 'array' ? { style: 'form', explode: false } : {}),
      schema: refer(schema),
      ...(example === undefined ? {} : { example }),
    }
  }
  const parameters = (
    { asks, params, query, headers }: Operation,
    { query: asked = {} }: Example,
  ): readonly Node[] => [
    ...Object.entries(params?.properties ?? {}).map(([name, of]) =>
      parameter('path', name, of, true, spoken(of, EXAMPLE_PARAMS[name])),
    ),
    ...Object.entries(query?.properties ?? {}).map(([name, of]) =>
      parameter('query', name, of, query?.required?.includes(name) ?? false, spoken(of, asked[name])),
    ),
    ...Object.entries(headers?.properties ?? {}).map(([name, of]) => parameter('header', name, of, false)),
    ...(asks === 'open' || asks === 'link' ? [] : [{ $ref: '#/components/parameters/AcceptSchema' }]),
  ]

  const content = ({ schema, type }: Answer, example: unknown): Node => ({
    ...(schema === undefined ? {} : { 'application/json': { schema: refer(schema), example } }),
    ...(type === undefined
      ? {}
      : {
          [type]: {
            schema: { type: 'string' },
            ...(schema === undefined ? { example } : {}),
          },
        }),
  })
  const answer = (of: Answer, isInside: boolean, example: unknown): Node => ({
    description: of.about,
    headers: {
      ...mapped(of.headers ?? {}, ({ description = '', ...schema }) => ({ description, schema })),
      ...(isInside ? ANSWER_HEADERS : {}),
    },
    ...(of.schema === undefined && of.type === undefined ? {} : { content: content(of, example) }),
  })
  const refusals = (operation: Operation): Node => {
    const all = errorsOf(operation)
    for (const code of all) codes.add(code)
    const byStatus = Map.groupBy(all, (code) => ERRORS[code].http)
    const nodes = [...byStatus].sort(([a], [b]) => a - b)
    return Object.fromEntries(
      nodes.map(([status, some]) => [
        String(status),
        {
          description: some.join(', '),
          ...(status === 429 || status === 503 ? { headers: { [RETRY_AFTER]: RETRY } } : {}),
          content: {
            'application/json': {
              schema: refer(errorSchema),
              examples: Object.fromEntries(
                some.map((code) => [code, { $ref: `#/components/examples/${code}` }]),
              ),
            },
          },
        },
      ]),
    )
  }
  /** How what is no route is refused. */
  const unrouted = (code: ErrorCode, headers: Node = {}): Node => {
    codes.add(code)
    const examples = { [code]: { $ref: `#/components/examples/${code}` } }
    const content = { 'application/json': { schema: refer(errorSchema), examples } }
    return { description: ERRORS[code].message, headers, content }
  }
  const responses = {
    NoRoute: unrouted('ROUTE_UNKNOWN'),
    NoMethod: unrouted('METHOD_UNKNOWN', {
      allow: { description: 'The methods that the path has.', required: true, schema: text() },
    }),
  }
  const operationNode = (name: OperationName, operation: Operation): Node => {
    const { asks, tag, summary, body, answers } = operation
    const example: Example = EXAMPLES[name]
    const isInside = asks !== 'open' && asks !== 'link'
    return {
      operationId: idOf(name),
      tags: [tag],
      summary,
      security:
        asks === 'open' || asks === 'link'
          ? []
          : [{ token: [asks] }, ...(asks === 'admin' ? [] : [{ session: [asks] }])],
      parameters: parameters(operation, example),
      ...(body === undefined
        ? {}
        : {
            requestBody: {
              required: example.body !== undefined && name === 'POST /api/v1/plans',
              content: { 'application/json': { schema: refer(body), example: example.body ?? {} } },
            },
          }),
      responses: Object.entries(answers).reduce<Node>((all, [status, of]) => {
        const said = answer(of, isInside, example.answers[Number(status)])
        const refused = all[status] as Node | undefined
        // The same status may be a refusal as well.
        const content = { ...(refused?.['content'] as Node | undefined), ...(said['content'] as Node) }
        return { ...all, [status]: { ...said, content } }
      }, refusals(operation)),
    }
  }

  const paths = new Map<string, Record<string, Node>>()
  for (const [name, operation] of Object.entries(OPERATIONS)) {
    const [method = '', path = ''] = name.split(' ')
    const place = path.replaceAll(/:(\w+)/g, '{$1}')
    paths.set(place, {
      ...paths.get(place),
      [method.toLowerCase()]: operationNode(name as OperationName, operation),
    })
  }
  const tags = [...new Set(Object.values(OPERATIONS).map(({ tag }) => tag))]
  return {
    openapi: '3.1.1',
    info: { title: 'Tenuto', version, description: DESCRIPTION },
    servers: [{ url: '/' }],
    tags: tags.map((name) => ({ name })),
    paths: Object.fromEntries(paths),
    components: {
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'What the file `token` of the home holds.' },
        session: {
          type: 'apiKey',
          in: 'cookie',
          name: 'tenuto-PORT',
          description:
            'The cookie that a link of `tenuto open` is exchanged for; its name has the port in it.',
        },
      },
      parameters: {
        AcceptSchema: parameter(
          'header',
          HEADERS.acceptSchema,
          { ...text(), description: 'The schema that the client knows; another is answered with 406.' },
          false,
        ),
      },
      responses,
      examples: Object.fromEntries([...codes].sort().map((code) => [code, errorExample(code)])),
      schemas: Object.fromEntries([...schemas].sort(([a], [b]) => (a < b ? -1 : 1))),
    },
  }
}

const DESCRIPTION = `A home that is held: its plans, jobs and attempts, and whoever holds it. Schema ${SCHEMA}: fields and routes are only ever added.
Over TCP programs send the token of the home, browsers a cookie; on the socket of the home nothing is asked. Every refusal is an \`Error\`: what is no path here is answered as \`NoRoute\` (404), a method that a path has not as \`NoMethod\` (405). A \`HEAD\` is what its \`GET\` is.`

const ANSWER_HEADERS = {
  [HEADERS.build]: { description: 'The hash of the source of whoever answers.', schema: text() },
  [HEADERS.schema]: { description: 'The schema that is served.', schema: whole() },
}

const { description: retryWords = '', ...retrySchema } = retrySeconds
const RETRY = { description: retryWords, schema: retrySchema }

/** \`POST /api/v1/plans/:plan/jobs/:job/retry\` as \`postPlansPlanJobsJobRetry\`. */
const idOf = (name: OperationName): string =>
  name
    .replace('/api/v1', '')
    .split(/[^A-Za-z]+/)
    .filter((word) => word !== '')
    .map((word, at) => (at === 0 ? word.toLowerCase() : `${word[0]?.toUpperCase()}${word.slice(1)}`))
    .join('')

/** An error of the table as it is answered. */
const errorExample = (code: ErrorCode): Node => {
  const { message, hint } = ERRORS[code]
  const names = [...`${message} ${hint}`.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name)
  const fields = { ...ERROR_FIELDS, ...ERROR_FIELDS_OF[code] }
  const given = {
    ...Object.fromEntries(names.map((name) => [name, fields[name] ?? name])),
    ...ERROR_FIELDS_OF[code],
  }
  return {
    summary: message,
    value: envelope(new TenutoError(code, given), 'req-1'),
  }
}

const mapped = <From, To>(of: Readonly<Record<string, From>>, to: (from: From) => To): Record<string, To> =>
  Object.fromEntries(Object.entries(of).map(([name, each]) => [name, to(each)]))
