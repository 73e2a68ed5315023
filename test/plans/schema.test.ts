import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { pages } from '../../scripts/docs.ts'
import { ERRORS } from '../../src/errors.ts'
import { parsePlan } from '../../src/plans/plan-file.ts'
import { ANY_JOB_SCHEMA, keyRows, planSchema } from '../../src/plans/schema.ts'

type Schema = Readonly<{ [key: string]: unknown }>

/** The keys of every object of a JSON Schema, by the path to it. */
const properties = (schema: unknown, path: string): [string, Schema][] => {
  if (typeof schema !== 'object' || schema === null) return []
  return Object.entries(schema).flatMap(([key, value]): [string, Schema][] => {
    const below = properties(value, `${path}/${key}`)
    if (key !== 'properties') return below
    return [
      ...Object.entries(value as Record<string, Schema>).map(([name, one]): [string, Schema] => [
        `${path}/${name}`,
        one,
      ]),
      ...below,
    ]
  })
}

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')

describe('the JSON Schema of a plan file', () => {
  const schema = planSchema()

  test('is draft-07, strict, and leaves room for x- keys', () => {
    expect(schema['$schema']).toBe('http://json-schema.org/draft-07/schema#')
    expect(schema).toMatchObject({ type: 'object', required: ['plan', 'jobs'], additionalProperties: false })
    expect(schema['patternProperties']).toHaveProperty('^x-')
    expect(JSON.stringify(schema)).not.toContain('"call"')
  })

  test('has a description and an example for every key', () => {
    const all = properties(schema, '')

    expect(all.length).toBeGreaterThan(40)
    for (const [path, one] of all) {
      expect(one['description'], path).toMatch(/\w/)
      expect(one['examples'], path).toHaveProperty('0')
    }
  })

  test('knows the pattern of a duration and the choices of a word', () => {
    const all = new Map(properties(schema, ''))

    expect(all.get('/onFailure')).toMatchObject({ enum: ['continue', 'stop', 'pause'] })
    expect(all.get('/properties/defaults/timeout')?.['pattern']).toContain('(ms|s|m|h)')
  })
})

describe('the manual', () => {
  test('its pages are what the source says: npm run docs', () => {
    for (const [path, text] of pages(read)) expect(read(path), path).toBe(text)
  })

  test('has an anchor for every error, for the JSON of an error names it', () => {
    const page = read('docs/errors.md')

    for (const code of Object.keys(ERRORS)) expect(page).toContain(`<a id="${code.toLowerCase()}"></a>`)
  })

  test('its table has every key, and each example is good', () => {
    const rows = keyRows()

    expect(rows.map(({ key }) => key)).toEqual(expect.arrayContaining(Object.keys(ANY_JOB_SCHEMA.shape)))
    for (const { where, key, example } of rows) {
      const value: unknown = JSON.parse(example)
      const needed = { fetch: { run: 'x' }, gate: { run: 'x' }, docs: { run: 'x' } }
      const job = { run: 'x', ...(where === '`retry`' ? { retry: { [key]: value } } : { [key]: value }) }
      if (key === 'exec' || key === 'approve') Reflect.deleteProperty(job, 'run')
      const asks = { approve: { prompt: 'x', timeout: '1h', [key]: value } }
      const text =
        where === 'plan'
          ? { jobs: needed, [key]: value }
          : { jobs: { ...needed, job: where === '`approve`' ? asks : job } }
      if (where.startsWith('`call`')) continue
      expect(() => parsePlan(JSON.stringify({ plan: 'v1', ...text })), key).not.toThrow()
    }
  })

  test('the plan it shows is good', () => {
    const page = read('docs/plan-file.md')
    const [, yaml = ''] = /```yaml\n([\s\S]*?)```/.exec(page) ?? []

    expect(Object.keys(parsePlan(yaml).definition.jobs)).toEqual([
      'fetch',
      'lint',
      'unit',
      'docs',
      'gate',
      'ship',
    ])
  })
})
