/** The document of the API: it is whole, its examples are true, and what it says of inputs is what is checked. */
import { copyFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { OUTCOMES } from '../../src/attempt.ts'
import { ERRORS, isTenutoError } from '../../src/errors.ts'
import { EVENT_TYPES } from '../../src/event-types.ts'
import { homePaths } from '../../src/home.ts'
import { type Part, readInput } from '../../src/http/inputs.ts'
import { openapi } from '../../src/http/openapi.ts'
import { OPERATIONS } from '../../src/http/operations.ts'
import { referencePage } from '../../src/http/reference.ts'
import type { JsonSchema } from '../../src/json-schema.ts'
import { REASONS } from '../../src/states.ts'
import { inputsOf, judge } from './document.ts'
import { ask, folder, hold } from './served.ts'

const { document, routes, wrongWith, compile } = await judge()
const EVENT = {
  position: 1,
  at: '2026-03-14T08:00:00.000Z',
  plan: 'p-aaaaaa',
  address: 'plan:p-aaaaaa',
  seq: 1,
  from: null,
  to: 'running',
}

describe('the document', () => {
  test('names every operation once, and refers to nothing that is not in it', () => {
    const text = JSON.stringify(document)
    const references = [...text.matchAll(/"\$ref":"#\/components\/(\w+)\/(\w+)"/g)]
    const { components } = document as unknown as { components: Record<string, Record<string, unknown>> }

    expect(document.openapi).toMatch(/^3\.1\./)
    expect(routes.map(({ name }) => name)).toEqual(Object.keys(OPERATIONS))
    expect(new Set(routes.map(({ node }) => node.operationId)).size).toBe(routes.length)
    for (const [, kind = '', name = ''] of references) expect(components[kind]).toHaveProperty(name)
    // A component that nothing refers to would be a thing that no route knows.
    const used = new Set(references.map(([, kind, name]) => `${kind}/${name}`))
    for (const name of Object.keys(document.components.schemas)) expect(used).toContain(`schemas/${name}`)
  })

  test('has an example of each parameter in a path, of each body and of each answer, true to its schema', () => {
    for (const { name, node } of routes) {
      for (const { in: place, example, schema } of node.parameters) {
        if (place === 'path') expect(example, name).toBeDefined()
        if (example !== undefined) expect(wrongWith(schema, example), name).toBeUndefined()
      }
      const body = node.requestBody?.content['application/json']
      if (body) expect(wrongWith(body.schema, body.example), name).toBeUndefined()
      for (const [status, { content = {} }] of Object.entries(node.responses))
        for (const [type, { schema, example, examples }] of Object.entries(content)) {
          // A stream has its example with its route, or is told of in JSON beside.
          const isBeside = content['application/json'] !== undefined && type !== 'application/json'
          if (examples === undefined && !isBeside)
            expect(wrongWith(schema, example), `${name} ${status} ${type}`).toBeUndefined()
        }
    }
  })

  test('says of reasons, outcomes and types of events which there are, and no record has another', async () => {
    const { Event = {}, Reason = {}, EventType = {}, Attempt = {} } = document.components.schemas
    expect(Reason['enum']).toEqual(REASONS)
    expect(EventType['enum']).toEqual(EVENT_TYPES)
    expect(Attempt['properties']).toMatchObject({ outcome: { enum: [...OUTCOMES, null] } })
    const shape = { ...EVENT, type: 'recovered', reason: 'lost' }
    expect(wrongWith(Event, shape)).toBeUndefined()
    expect(wrongWith(Event, { ...shape, reason: 'unchanged' })).toBeDefined()
    expect(wrongWith(Event, { ...shape, type: 'weather.changed' })).toBeDefined()
    // What past versions wrote, too.
    const fixtures = join(import.meta.dirname, '../journal/fixtures')
    for (const file of readdirSync(fixtures)) {
      const home = folder()
      copyFileSync(join(fixtures, file), homePaths(home).journal)
      const { runtime } = await hold({ home })
      const events = await runtime.catalog.events({ after: 0, limit: 1_000 })
      expect(events.length).toBeGreaterThan(5)
      for (const event of events) expect(wrongWith(Event, event), JSON.stringify(event)).toBeUndefined()
    }
  })

  test('has an example of each refusal, with what is wrong and what to do', () => {
    const error = document.components.schemas['Error'] ?? {}
    for (const [code, { value }] of Object.entries(document.components.examples)) {
      const told = (value as { error: { code: string; message: string; hint: string } }).error
      expect(wrongWith(error, value), code).toBeUndefined()
      expect(told.code).toBe(code)
      expect(Object.keys(ERRORS)).toContain(code)
      expect(`${told.message}${told.hint}`, code).not.toMatch(/\{\w+\}/)
      expect(told.hint, code).not.toBe('')
    }
  })

  test('is served as it was made, and as a page that needs no script and no network', async () => {
    const { served, runtime } = await hold()
    const json = await ask(served.path, 'GET /api/v1/openapi.json')
    const page = await ask(served.path, 'GET /api/v1/openapi.html')
    const style = await ask(served.path, 'GET /api/v1/openapi.css')

    expect(json.json).toEqual(JSON.parse(JSON.stringify(openapi(runtime.build().version))))
    expect(page.headers['content-type']).toBe('text/html; charset=utf-8')
    expect(style.headers['content-type']).toBe('text/css; charset=utf-8')
    for (const { name, path, node } of routes) {
      expect(page.text, name).toContain(`<details id="${node.operationId}">`)
      expect(page.text, name).toContain(`<code>${path}</code>`)
    }
    expect(page.text).not.toMatch(/<script|<style|\son\w+=|style=|javascript:|https?:\/\/(?!127\.0\.0\.1)/i)
    const anchors = [...page.text.matchAll(/href="#([^"]+)"/g)].map(([, name]) => name)
    for (const anchor of anchors) expect(page.text).toContain(`id="${anchor}"`)
    expect([...page.text.matchAll(/(?:src|href)="(?!#)([^"]+)"/g)].map(([, url]) => url)).toEqual([
      '/api/v1/openapi.css',
      '/api/v1/openapi.json',
    ])
  })

  test('a page shows what is said as it is said', () => {
    const made = openapi('<1>') as unknown as { info: { version: string; description: string } }
    const page = referencePage({ ...made, info: { ...made.info, title: '<b>"&' } })

    expect(page).toContain('&lt;b&gt;&quot;&amp; API')
    expect(page).not.toContain('<1>')
    // What stands in backticks is code, and no more than that.
    expect(page).toContain('<code>degraded</code> when a section does not')
    expect(page.replaceAll(/<pre>[^]*?<\/pre>/g, '')).not.toContain('`')
  })
})

describe('inputs', () => {
  const parts = Object.keys(OPERATIONS).flatMap((name) =>
    Object.entries(inputsOf(name)).flatMap(([part, schema]) =>
      schema === undefined ? [] : [{ name, part: part as Part, schema }],
    ),
  )

  /** Values that a schema allows, and near misses. */
  const near = (schema: JsonSchema): fc.Arbitrary<unknown> => {
    const { type, enum: words, maximum = 1e16, minimum = 0, maxLength = 20, items, properties } = schema
    const some: fc.Arbitrary<unknown>[] = [fc.constant(null), fc.string(), fc.boolean(), fc.double()]
    if (words) some.push(fc.constantFrom(...words))
    if (type === 'integer')
      some.push(fc.constantFrom(minimum, minimum - 1, maximum, maximum + 1, 0.5, '1'), fc.maxSafeNat())
    if (type === 'string')
      some.push(
        fc.string({ maxLength: 30, unit: 'grapheme' }).map((text) => `/${text}`),
        fc.constantFrom('', 'plan:', 'plans', '😀'.repeat(maxLength), '😀'.repeat(maxLength + 1)),
      )
    if (type === 'boolean') some.push(fc.boolean(), fc.constantFrom('true', 1))
    if (items) some.push(fc.array(near(items), { maxLength: 3 }))
    if (properties) some.push(objects(properties))
    if (typeof schema.additionalProperties === 'object')
      some.push(fc.dictionary(fc.string(), near(schema.additionalProperties), { maxKeys: 3 }))
    return fc.oneof(...some)
  }
  const objects = (properties: NonNullable<JsonSchema['properties']>): fc.Arbitrary<unknown> =>
    fc
      .record(Object.fromEntries(Object.entries(properties).map(([name, of]) => [name, near(of)])), {
        requiredKeys: [],
      })
      .chain((made) => fc.constantFrom(made, made, made, { ...made, other: 1 }, [made], 'text', 1))

  test('are taken and refused as Ajv would, each field and all together', () => {
    const cases = parts.map((part) => ({ ...part, valid: compile({ ...part.schema }) }))
    fc.assert(
      fc.property(
        fc
          .constantFrom(...cases)
          .chain((one) => fc.tuple(fc.constant(one), objects(one.schema.properties ?? {}))),
        ([{ name, part, schema, valid }, value]) => {
          // In a query and in headers everything is text; what that means is ours to say.
          if (part !== 'body') return
          const byAjv = valid(value)
          let refused: unknown
          try {
            expect(readInput(part, schema, value)).toEqual(value)
          } catch (error) {
            if (!isTenutoError(error, 'USAGE')) throw error
            refused = error.message
          }
          expect(refused === undefined, `${name} ${part}: ${String(byAjv)} / ${String(refused)}`).toBe(
            byAjv === undefined,
          )
        },
      ),
      { numRuns: 3_000 },
    )
  })

  test('in text mean what they say, and are refused as Ajv would refuse that', () => {
    const said = fc.constantFrom(
      '0',
      '1',
      '200',
      '201',
      '-1',
      '1e2',
      ' 1',
      '01',
      'true',
      'false',
      '',
      'running',
    )
    const lists = fc.array(said, { maxLength: 3 }).map((words) => words.join(','))
    const texts = parts.filter(({ part }) => part !== 'body')
    const meaning = (text: string, { type, items }: JsonSchema): unknown => {
      if (type === 'array') return text.split(',').map((each) => meaning(each, items ?? {}))
      if (type === 'integer') return /^\d+$/.test(text) ? Number(text) : text
      return type === 'boolean' && /^(true|false)$/.test(text) ? text === 'true' : text
    }
    const cases = texts.flatMap(({ name, part, schema }) =>
      Object.entries(schema.properties ?? {}).map(([field, of]) => ({
        name,
        part,
        schema,
        field,
        of,
        valid: compile({ ...of }),
      })),
    )
    fc.assert(
      fc.property(fc.constantFrom(...cases), fc.oneof(said, lists, fc.string()), (one, text) => {
        const { name, part, schema, field, of, valid } = one
        const means = meaning(text, of)
        let read: unknown
        try {
          read = (readInput(part, { ...schema, required: [] }, { [field]: text }) as Record<string, unknown>)[
            field
          ]
        } catch (error) {
          if (!isTenutoError(error, 'USAGE')) throw error
          expect(error.fields).toMatchObject({
            place: expect.stringContaining(field),
            value: expect.any(String),
          })
        }
        const because = `${name} ${field}=${JSON.stringify(text)}: ${String(valid(means))}`
        expect(read, because).toEqual(valid(means) === undefined ? means : undefined)
      }),
      { numRuns: 3_000 },
    )
  })

  test('that are wrong are told with their place and their value', () => {
    const refusal = (part: Part, name: keyof typeof OPERATIONS, value: unknown): unknown => {
      try {
        return readInput(part, inputsOf(name)[part] ?? {}, value)
      } catch (error) {
        if (!isTenutoError(error, 'USAGE')) throw error
        return [error.message, error.fields['place'], error.fields['value']]
      }
    }

    expect(refusal('body', 'POST /api/v1/plans', { env: { 'A B': 1 } })).toEqual([
      'env."A B" is 1; it must be a text',
      'env."A B"',
      '1',
    ])
    expect(refusal('body', 'POST /api/v1/plans', { env: { PATH: '/bin\0' } })).toEqual([
      'env.PATH is "/bin\\u0000"; it must be a text without a NUL character',
      'env.PATH',
      '"/bin\\u0000"',
    ])
    expect(refusal('body', 'POST /api/v1/gc', { kep: 1 })).toEqual([
      'the body has "kep"; it may have dry_run, older_than_ms, keep, reason, by',
      'kep',
      '1',
    ])
    expect(refusal('query', 'GET /api/v1/resolve', {})).toEqual([
      'ref is missing: what is to be found',
      'ref',
      undefined,
    ])
    expect(refusal('headers', 'GET /api/v1/events', { 'last-event-id': 'x' })).toEqual([
      'last-event-id is "x"; it must be a whole number of 0 or more',
      'last-event-id',
      '"x"',
    ])
  })
})
