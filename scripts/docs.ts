/**
 * Writes the parts of the manual that come from the source: the table of keys in docs/plan-file.md, the table of findings in
 * docs/doctor.md, that of routes in docs/http.md, and all of docs/errors.md and docs/machines.md. With `--check` it writes nothing and fails when a page is out of date.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { FINDINGS } from '../src/audit/finding.ts'
import { ERRORS } from '../src/errors.ts'
import { openapi } from '../src/http/openapi.ts'
import { diagrams } from '../src/machines/diagram.ts'
import { keyRows } from '../src/plans/schema.ts'

const BEGIN = '<!-- keys: written by `npm run docs` -->'
const END = '<!-- end of keys -->'
const ROUTES_BEGIN = '<!-- routes: written by `npm run docs` -->'
const FINDINGS_BEGIN = '<!-- findings: written by `npm run docs` -->'

const cell = (text: string): string => text.replace(/\|/g, '\\|').replace(/\n/g, ' ')

/** The table of all keys of a plan. */
const keyTable = (): string => {
  const lines = ['| in | key | meaning | example |', '|---|---|---|---|']
  for (const { where, key, description, example } of keyRows()) {
    lines.push(`| ${cell(where)} | \`${key}\` | ${cell(description)} | \`${cell(example)}\` |`)
  }
  return lines.join('\n')
}

/** The table of everything an audit can find; the last thing on its page. */
const findingTable = (): string => {
  const lines = ['| finding | grade | meaning | what to do |', '|---|---|---|---|']
  for (const [kind, { grade, means, remedy }] of Object.entries(FINDINGS))
    lines.push(`| \`${kind}\` | ${grade} | ${cell(means)} | ${cell(remedy)} |`)
  return lines.join('\n')
}

type Route = Readonly<{
  summary: string
  security: readonly Readonly<{ token?: readonly string[] }>[]
  responses: Readonly<Record<string, unknown>>
}>

/** The table of routes, from the document of the API; the last thing on its page. */
const routeTable = (): string => {
  const { paths } = openapi('') as Readonly<{
    paths: Readonly<Record<string, Readonly<Record<string, Route>>>>
  }>
  const lines = ['| route | asks | what | answers |', '|---|---|---|---|']
  for (const [path, methods] of Object.entries(paths))
    for (const [method, { summary, security, responses }] of Object.entries(methods)) {
      const asks = security[0]?.token?.[0] ?? ''
      const statuses = Object.keys(responses).filter((status) => !EVERYWHERE.has(status))
      lines.push(
        `| \`${method.toUpperCase()} ${path}\` | ${asks} | ${cell(summary)} | ${statuses.join(' ')} |`,
      )
    }
  return lines.join('\n')
}
/** How every route may answer. */
const EVERYWHERE = new Set(['400', '401', '403', '406', '408', '417', '429', '431', '500', '503'])

/** The page of all errors. */
const errorsPage = (): string => {
  const lines = [
    '# Errors',
    '',
    'Every error has a code that never changes. With `--json` it comes on stderr as `{"error":{"code","message","hint","exit"}}`, and the exit code',
    'of the command is the one below; over HTTP it is the status. Written by `npm run docs` from `src/errors.ts`.',
    '',
    '| code | what is wrong | what to do | exit | HTTP |',
    '|---|---|---|---|---|',
  ]
  for (const [code, { message, hint, exit, http, ...more }] of Object.entries(ERRORS)) {
    const todo = 'api' in more ? `${hint}; over HTTP: ${more.api}` : hint
    // The anchor is what `docs` in an error's JSON names.
    lines.push(
      `| <a id="${code.toLowerCase()}"></a>\`${code}\` | ${cell(message)} | ${cell(todo)} | ${exit} | ${http} |`,
    )
  }
  return `${lines.join('\n')}\n`
}

/** The page of the machines. */
const machinesPage = (): string => {
  const lines = [
    '# Machines',
    '',
    'Every plan and every job is an actor with one of these machines. What stands in brackets must hold for the way to be taken; the first',
    'way that may be taken is. `always` is taken at once. A way from a state to itself changes what the actor knows or asks for and not where',
    'it is. `tenuto machines` prints the same, and with `--format json` also what is asked for on each way. Written by `npm run docs`.',
  ]
  for (const { name, json, mermaid } of diagrams) {
    lines.push('', `## ${name} (\`${json().version}\`)`, '', '```mermaid', mermaid(), '```')
  }
  return `${lines.join('\n')}\n`
}

/** The pages with what they should hold now. `read` gives the present text of a page by its path in the project. */
export const pages = (read: (path: string) => string): ReadonlyMap<string, string> => {
  const planFile = read('docs/plan-file.md')
  const [before, rest] = planFile.split(BEGIN)
  const after = rest?.split(END)[1]
  if (before === undefined || after === undefined)
    throw new Error('docs/plan-file.md has lost the markers of its table')
  const [doctor, findings] = read('docs/doctor.md').split(FINDINGS_BEGIN)
  if (doctor === undefined || findings === undefined)
    throw new Error('docs/doctor.md has lost the marker of its table')
  const [http, routes] = read('docs/http.md').split(ROUTES_BEGIN)
  if (http === undefined || routes === undefined)
    throw new Error('docs/http.md has lost the marker of its table')
  return new Map([
    ['docs/http.md', `${http}${ROUTES_BEGIN}\n\n${routeTable()}\n`],
    ['docs/doctor.md', `${doctor}${FINDINGS_BEGIN}\n\n${findingTable()}\n`],
    ['docs/plan-file.md', `${before}${BEGIN}\n\n${keyTable()}\n\n${END}${after}`],
    ['docs/errors.md', errorsPage()],
    ['docs/machines.md', machinesPage()],
  ])
}

if (import.meta.main) {
  const root = new URL('../', import.meta.url)
  const read = (path: string): string => {
    try {
      return readFileSync(new URL(path, root), 'utf8')
    } catch {
      return ''
    }
  }
  const old = [...pages(read)].filter(([path, text]) => read(path) !== text)
  if (process.argv.includes('--check')) {
    for (const [path] of old) process.stderr.write(`${path} is out of date: run \`npm run docs\`\n`)
    process.exitCode = old.length === 0 ? 0 : 1
  } else {
    for (const [path, text] of old) writeFileSync(new URL(path, root), text)
    for (const [path] of old) process.stdout.write(`wrote ${path}\n`)
  }
}
