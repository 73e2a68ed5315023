/**
 * The document of the API as it is served: as JSON, and as a page. The page is made here and has no script, so that it needs no network,
 * no more than the strict policy of the API grants, and no mouse: what is folded is opened with the keyboard as everywhere.
 */
import type { FastifyInstance } from 'fastify'
import type { Runtime } from '../runtime.ts'
import { type Node, openapi } from './openapi.ts'
import { operate } from './routing.ts'
import { BASE } from './wire.ts'

/** Adds the routes of the document. It is made when it is first asked for, and kept as text. */
export const referenceRoutes = (app: FastifyInstance, runtime: Pick<Runtime, 'build'>): void => {
  let made: Readonly<{ document: string; page: string }> | undefined
  const reference = () => {
    if (made === undefined) {
      const document = openapi(runtime.build().version)
      made = { document: JSON.stringify(document), page: referencePage(document) }
    }
    return made
  }
  operate(app, 'GET /api/v1/openapi.json', ({ reply }) =>
    reply.type('application/json; charset=utf-8').send(reference().document),
  )
  operate(app, 'GET /api/v1/openapi.html', ({ reply }) =>
    reply.type('text/html; charset=utf-8').send(reference().page),
  )
  operate(app, 'GET /api/v1/openapi.css', ({ reply }) => reply.type('text/css; charset=utf-8').send(STYLE))
}

/** The document as a page. */
export const referencePage = (document: Node): string => {
  const { info, paths, components, tags } = document as Document
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  )
  const sections = tags.map(({ name }) => {
    const own = operations.filter(({ operation }) => operation.tags[0] === name)
    return `<section aria-labelledby="${anchor(name)}"><h2 id="${anchor(name)}">${escaped(name)}</h2>\n${own
      .map(operationText)
      .join('\n')}</section>`
  })
  const schemas = Object.entries(components.schemas).map(
    ([name, schema]) =>
      `<details id="schema-${name}"><summary><code>${name}</code></summary>${jsonText(schema)}</details>`,
  )
  const errors = Object.entries(components.examples).map(
    ([code, { value }]) =>
      `<details id="error-${code}"><summary><code>${code}</code></summary>${jsonText(value)}</details>`,
  )
  const links = [...tags.map(({ name }) => name), 'schemas', 'errors']
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(info.title)} API</title>
<link rel="stylesheet" href="${BASE}/openapi.css">
</head>
<body>
<header><h1>${escaped(info.title)} API <small>${escaped(info.version)}</small></h1>
<p>${prose(info.description)} The same for programs: <a href="${BASE}/openapi.json">openapi.json</a>.</p>
<nav aria-label="Parts">${links.map((name) => `<a href="#${anchor(name)}">${escaped(name)}</a>`).join(' ')}</nav></header>
<main>
${sections.join('\n')}
<section aria-labelledby="schemas"><h2 id="schemas">schemas</h2>\n${schemas.join('\n')}</section>
<section aria-labelledby="errors"><h2 id="errors">errors</h2>\n${errors.join('\n')}</section>
</main>
</body>
</html>
`
}

type Media = Readonly<{ schema?: unknown; example?: unknown; examples?: Readonly<Record<string, unknown>> }>
type OperationNode = Readonly<{
  operationId: string
  tags: readonly string[]
  summary: string
  security: readonly Readonly<Record<string, readonly string[]>>[]
  parameters: readonly Readonly<{
    name?: string
    in?: string
    description?: string
    required?: boolean
    schema?: unknown
  }>[]
  requestBody?: Readonly<{ content: Readonly<Record<string, Media>> }>
  responses: Readonly<
    Record<string, Readonly<{ description: string; content?: Readonly<Record<string, Media>> }>>
  >
}>
type Document = Readonly<{
  info: Readonly<{ title: string; version: string; description: string }>
  tags: readonly Readonly<{ name: string }>[]
  paths: Readonly<Record<string, Readonly<Record<string, OperationNode>>>>
  components: Readonly<{
    schemas: Readonly<Record<string, unknown>>
    examples: Readonly<Record<string, Readonly<{ value: unknown }>>>
  }>
}>
type Route = Readonly<{ path: string; method: string; operation: OperationNode }>

const operationText = ({ path, method, operation }: Route): string => {
  const { operationId, summary, security, parameters, requestBody, responses } = operation
  const asks = Object.values(security[0] ?? {})[0]?.[0] ?? 'nothing'
  const rows = parameters.flatMap(({ name, in: place = '', description = '', required, schema }) =>
    name === undefined
      ? []
      : [
          `<tr><td><code>${escaped(name)}</code></td><td>${place}${required === true ? ', required' : ''}</td><td>${prose(description)}</td><td><code>${escaped(JSON.stringify(schema))}</code></td></tr>`,
        ],
  )
  const table =
    rows.length === 0
      ? ''
      : `<table><thead><tr><th scope="col">parameter</th><th scope="col">in</th><th scope="col">meaning</th><th scope="col">schema</th></tr></thead><tbody>${rows.join('')}</tbody></table>`
  const body =
    requestBody === undefined ? '' : `<h4>Body</h4>${mediaText(requestBody.content['application/json'])}`
  const answers = Object.entries(responses).map(([status, { description, content = {} }]) => {
    const text = Object.entries(content).map(([type, media]) => `<p>${type}</p>${mediaText(media)}`)
    return `<h4>${status}</h4><p>${prose(description)}</p>${text.join('')}`
  })
  return `<details id="${operationId}"><summary><b>${method}</b> <code>${escaped(path)}</code> <span>${prose(summary)}</span></summary>
<p>Asks for <code>${asks}</code>.</p>${table}${body}${answers.join('\n')}</details>`
}

const mediaText = ({ schema, example, examples }: Media = {}): string => {
  const name = /#\/components\/schemas\/(\w+)"/.exec(JSON.stringify(schema) ?? '')?.[1]
  const of = name === undefined ? '' : `<p><a href="#schema-${name}">${name}</a></p>`
  const codes = Object.keys(examples ?? {})
  const links = codes.map((code) => `<a href="#error-${code}">${code}</a>`).join(' ')
  if (codes.length > 0) return `<p>${links}</p>`
  return `${of}${typeof example === 'string' ? `<pre>${escaped(example)}</pre>` : jsonText(example)}`
}

/** A sentence; what stands in backticks is code. */
const prose = (text: string): string => escaped(text).replace(/`([^`]+)`/g, '<code>$1</code>')

const jsonText = (value: unknown): string =>
  value === undefined ? '' : `<pre>${escaped(JSON.stringify(value, null, 2))}</pre>`
const anchor = (name: string): string => name.replaceAll(' ', '-')
const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
const escaped = (text: string): string => text.replace(/[&<>"]/g, (character) => ENTITIES[character] ?? '')

const STYLE = `:root { color-scheme: light dark }
body { max-width: 70rem; margin: 2rem auto; padding: 0 1rem; font: 1rem/1.5 system-ui, sans-serif }
nav a { margin-right: .7rem }
h2 { margin-top: 2.5rem; text-transform: capitalize }
details { border-top: 1px solid #8886 }
summary { padding: .4rem; cursor: pointer }
summary:focus-visible, a:focus-visible { outline: 3px solid #48f; outline-offset: 1px }
summary b { display: inline-block; min-width: 3.2rem }
summary span { opacity: .75 }
details > :not(summary) { margin-left: 1.5rem }
pre { overflow-x: auto; padding: .6rem; background: #8881 }
table { border-collapse: collapse; font-size: .9rem }
th, td { padding: .2rem .8rem .2rem 0; text-align: left; vertical-align: top }
`
