import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { definitionHash } from '../../src/definition.ts'
import { isTenutoError } from '../../src/errors.ts'
import { compile } from '../../src/plans/compile.ts'
import { checkDefinition } from '../../src/plans/define-plan.ts'
import { parsePlan } from '../../src/plans/plan-file.ts'
import type { PlanError } from '../../src/plans/problem.ts'
import { keyRows } from '../../src/plans/schema.ts'
import { planSourceArbitrary } from './arbitrary.ts'
import { define, errorsOf } from './mistakes.ts'

/** A plan in which a key of the manual can stand, by the place the manual names. */
const PLACES: Readonly<Record<string, (key: Readonly<Record<string, unknown>>) => unknown>> = {
  plan: (key) => ({ jobs: { a: { run: 'x' } }, ...key }),
  'every job': (key) => ({ jobs: { fetch: { run: 'x' }, a: { run: 'x', ...key } } }),
  '`run`, `exec` and `call` jobs': (key) => ({ jobs: { a: { run: 'x', ...key } } }),
  '`run` and `exec` jobs': (key) => ({ jobs: { a: { exec: ['x'], ...key } } }),
  '`run` jobs': (key) => ({ jobs: { a: { run: 'x', ...key } } }),
  '`exec` jobs': (key) => ({ jobs: { a: { exec: ['x'], ...key } } }),
  '`call` jobs (library)': (key) => ({ jobs: { a: { call: 'x', ...key } } }),
  '`approve` jobs': (key) => ({ jobs: { a: { approve: { prompt: 'x' }, ...key } } }),
  '`approve`': (key) => ({ jobs: { a: { approve: { prompt: 'x', timeout: '1m', ...key } } } }),
  '`retry`': (key) => ({ jobs: { a: { run: 'x', retry: { max: 1, ...key } } } }),
}

describe('no key of the manual is ignored:', () => {
  // The version of the format says how all others are read.
  test.each(keyRows().filter(({ key }) => key !== 'plan'))('$key of $where', ({ where, key, example }) => {
    const place = PLACES[where] as (typeof PLACES)[string]

    expect(define(place({ [key]: JSON.parse(example) as unknown }))).not.toEqual(define(place({})))
  })
})

describe('what a plan compiles to', () => {
  test('a small plan gets every default, and nothing that is absent by default', () => {
    const plan = define({ jobs: { a: { run: 'x' }, b: { call: 'y', needs: ['a'] } } })

    expect(plan).toEqual({
      version: 1,
      name: 'plan',
      maxParallel: 10,
      onFailure: 'continue',
      env: {},
      jobs: {
        a: { kind: 'run', needs: {}, run: 'x', graceMs: 10_000, onLost: 'hold' },
        b: { kind: 'call', needs: { a: 'success' }, call: 'y', graceMs: 10_000, onLost: 'retry' },
      },
    })
  })

  test('saying a default changes no hash', () => {
    const short = define({ jobs: { a: { run: 'x' } } })
    const long = define({
      name: 'plan',
      maxParallel: 10,
      onFailure: 'continue',
      env: {},
      jobs: {
        a: {
          run: 'x',
          shell: 'sh',
          needs: [],
          env: {},
          grace: '10000ms',
          onLost: 'hold',
          optional: false,
          retry: { max: 0, delay: '3s' },
          timeout: undefined,
        },
      },
    })

    expect(definitionHash(long)).toBe(definitionHash(short))
  })

  test('defaults are merged key by key, and inside env and retry', () => {
    const { jobs } = define({
      defaults: {
        timeout: '30m',
        env: { A: '1', B: '1' },
        retry: { max: 2, delay: '3s' },
        shell: 'bash',
        optional: true,
      },
      jobs: {
        plain: { run: 'x' },
        own: { run: 'x', timeout: '1m', env: { B: '2' }, retry: { max: 1 }, shell: 'sh', optional: false },
        never: { exec: ['x'], retry: { max: 0 } },
      },
    })

    expect(jobs['plain']).toEqual({
      kind: 'run',
      needs: {},
      run: 'x',
      shell: 'bash',
      env: { A: '1', B: '1' },
      timeoutMs: 1_800_000,
      graceMs: 10_000,
      retry: {
        max: 2,
        delayMs: 3000,
        factor: 2,
        maxDelayMs: 300_000,
        jitter: 0.2,
        on: ['exit', 'signal', 'timeout', 'stall'],
      },
      onLost: 'hold',
      optional: true,
    })
    expect(jobs['own']).toMatchObject({
      timeoutMs: 60_000,
      env: { A: '1', B: '2' },
      retry: { max: 1, delayMs: 3000 },
    })
    expect(jobs['own']).not.toHaveProperty('shell')
    expect(jobs['own']).not.toHaveProperty('optional')
    expect(jobs['never']).not.toHaveProperty('retry')
    expect(jobs['never']).not.toHaveProperty('shell')
  })

  test('a default that a call has no use for is passed over', () => {
    const { jobs } = define({
      defaults: { cwd: 'x', stall: '1s', env: { A: '1' }, shell: 'bash', timeout: '1s' },
      jobs: { a: { call: 'x' } },
    })

    expect(jobs['a']).toEqual({
      kind: 'call',
      needs: {},
      call: 'x',
      timeoutMs: 1000,
      graceMs: 10_000,
      onLost: 'retry',
    })
  })

  test('jobs keep the order of the plan, whatever they are called', () => {
    const names = ['zeta', 'constructor', 'alpha', 'toString', 'hasOwnProperty']
    const { jobs } = define({ jobs: Object.fromEntries(names.map((name) => [name, { run: name }])) })

    expect(Object.keys(jobs)).toEqual(names)
    expect(jobs['constructor']).toMatchObject({ run: 'constructor' })
  })
})

describe('what a program may not say', () => {
  test('values that are no JSON are refused where they stand, once', () => {
    const circle: Record<string, unknown> = {}
    circle['self'] = circle

    expect(
      errorsOf(() =>
        define({
          jobs: {
            a: { run: () => 'x' },
            b: { call: 'x', with: { at: new Date(0), many: 10n, not: Number.NaN } },
            c: { run: 'half \ud800', needs: [undefined] },
          },
        }),
      ),
    ).toEqual([
      'jobs.a.run: a function is no JSON value (use text, numbers, true, false, lists and maps)',
      'jobs.b.with.at: this is no JSON value (use text, numbers, true, false, lists and maps)',
      'jobs.b.with.many: 10 is no JSON value (use text, numbers, true, false, lists and maps)',
      'jobs.b.with.not: NaN is no JSON value (use text, numbers, true, false, lists and maps)',
      'jobs.c.run: it has half a character (a lone surrogate) (remove it)',
      'jobs.c.needs[0]: there is nothing here (write a value)',
    ])
    expect(errorsOf(() => define({ jobs: { a: { call: 'x', with: circle } } }))[0]).toMatch(
      /nested more than 100 deep$/,
    )
  })

  test('a plan that is no plan is refused', () => {
    for (const wrong of [undefined, null, 5, 'x', [], new Date(0), () => 1]) {
      expect(errorsOf(() => define(wrong))).toHaveLength(1)
    }
  })

  test('a job called __proto__ is refused and touches no prototype', () => {
    const jobs: unknown = JSON.parse(
      '{"a":{"run":"x","needs":{"__proto__":"any"}},"__proto__":{"run":"evil"}}',
    )

    expect(errorsOf(() => define({ jobs }))).toEqual([
      'jobs.a.needs.__proto__: `__proto__` cannot be a name (use another name)',
      'jobs.__proto__: `__proto__` cannot be a name (use another name)',
    ])
    expect({}).not.toHaveProperty('run')
  })

  test('a name that every object has is no job', () => {
    expect(
      errorsOf(() => define({ jobs: { a: { run: 'x', needs: ['constructor', 'toString'] } } })),
    ).toHaveLength(2)
  })

  test('a definition from elsewhere is checked by the same rules', () => {
    const good = define({ jobs: { a: { run: 'x', retry: { max: 2 }, timeout: '90s' } } })

    expect(checkDefinition(JSON.parse(JSON.stringify(good)))).toEqual(good)
    expect(errorsOf(() => checkDefinition({ ...good, version: 2, surprise: 1 }))).toEqual([
      'plan: version 2 is not known here (this tenuto reads `plan: v1`)',
      'surprise: unknown key "surprise" (known here: plan, jobs, name, maxParallel, onFailure, env, secrets, defaults)',
    ])
    expect(
      errorsOf(() => checkDefinition({ ...good, jobs: { a: { ...good.jobs['a'], timeoutMs: -1 } } })),
    ).toHaveLength(1)
    for (const wrong of [
      null,
      1,
      [],
      { jobs: 1 },
      { jobs: { a: null } },
      { version: 1, jobs: { a: { retry: 'often' } } },
    ]) {
      expect(errorsOf(() => checkDefinition(wrong)).length).toBeGreaterThan(0)
    }
  })
})

describe('random plans', () => {
  test('through YAML, JSON, a program and their own definition they come to one hash', () => {
    fc.assert(
      fc.property(
        planSourceArbitrary,
        fc.constantFrom(0, 40, 80),
        fc.boolean(),
        (source, lineWidth, single) => {
          const hash = definitionHash(define(source))

          const yaml = stringify(source, { lineWidth, singleQuote: single, aliasDuplicateObjects: single })
          // The library writes a blank after a line break, at a fold, as what its own reader takes for a backslash.
          fc.pre(isDeepStrictEqual(parse(yaml), source))
          expect(definitionHash(parsePlan(yaml).definition)).toBe(hash)
          expect(definitionHash(parsePlan(JSON.stringify(source, null, 2)).definition)).toBe(hash)
          expect(definitionHash(checkDefinition(JSON.parse(JSON.stringify(define(source)))))).toBe(hash)
        },
      ),
      { numRuns: 100 },
    )
  })

  test('with random damage to their text they are good, or refused with a place in the text', () => {
    const damage = fc.array(
      fc.tuple(
        fc.nat(),
        fc.nat(12),
        fc.oneof(
          fc.constantFrom(
            '',
            ' ',
            '\n',
            '\t',
            ':',
            '- ',
            '{',
            '}',
            '[',
            ']',
            '"',
            "'",
            '&a',
            '*a',
            '<<: ',
            '#',
            '|',
            '>',
            '!x ',
            '%',
            '---\n',
            '\r',
            '${{',
            '? ',
            '~',
            '\u2028',
            '\ud800',
          ),
          fc.string({ maxLength: 4 }),
        ),
      ),
      { minLength: 1, maxLength: 4 },
    )

    fc.assert(
      fc.property(planSourceArbitrary, damage, (source, cuts) => {
        let text = stringify(source)
        for (const [at, length, put] of cuts) {
          const from = at % (text.length + 1)
          text = text.slice(0, from) + put + text.slice(from + length)
        }

        try {
          parsePlan(text)
        } catch (error) {
          if (!isTenutoError(error, 'PLAN_INVALID')) throw error
          const errors = error.fields['errors'] as PlanError[]
          const lines = text.split(/\r?\n/).length
          expect(errors.length).toBeGreaterThan(0)
          for (const { line, column, message } of errors) {
            expect(line).toBeGreaterThanOrEqual(1)
            expect(line).toBeLessThanOrEqual(lines + 1)
            expect(column).toBeGreaterThanOrEqual(1)
            expect(message).not.toMatch(/undefined|\[object/)
          }
          const places = errors.map(({ line, column }) => (line ?? 0) * 1e6 + (column ?? 0))
          expect(places).toEqual([...places].sort((a, b) => a - b))
        }
      }),
      { numRuns: 200 },
    )
  })

  test('any value at all is compiled or refused', () => {
    fc.assert(
      fc.property(
        fc.object({ withBigInt: true, withDate: true, withSparseArray: true, withNullPrototype: true }),
        (value) => {
          for (const source of [value, { plan: 'v1', jobs: value }, { plan: 'v1', jobs: { a: value } }]) {
            const compiled = compile(source, { origin: 'file', name: 'x' })
            expect(compiled.ok || compiled.problems.length > 0).toBe(true)
          }
        },
      ),
      { numRuns: 300 },
    )
  })
})
