/**
 * What a caller of `definePlan` sees: each `@ts-expect-error` is a mistake that must not compile.
 */
import { describe, expectTypeOf, test } from 'vitest'
import type { z } from 'zod'
import type { Definition } from '../../src/definition.ts'
import {
  type CallSource,
  definePlan,
  type ExecSource,
  type JobSource,
  type PlanSource,
  type RetrySource,
  type RunSource,
} from '../../src/plans/define-plan.ts'
import type { DEFAULTS_SCHEMA, JOB_SCHEMAS, PLAN_SCHEMA } from '../../src/plans/schema.ts'

describe('definePlan', () => {
  test('a good plan of every kind compiles', () => {
    const plan = definePlan({
      name: 'good',
      maxParallel: 4,
      onFailure: 'stop',
      env: { CI: '1' },
      defaults: { timeout: '30m', retry: { max: 2 }, shell: 'bash' },
      jobs: {
        fetch: { run: './fetch.sh', cwd: 'web', retry: { on: ['exit', 'exit:75'], delay: '1.5s' } },
        lint: { needs: ['fetch'], exec: ['npm', 'run', 'lint'], optional: true },
        thumb: { needs: { fetch: 'success', lint: 'any' }, call: 'thumb', with: { id: [1, null, 'x'] } },
      },
    })

    expectTypeOf(plan).toEqualTypeOf<Definition>()
  })

  test('a need that names no job does not compile', () => {
    definePlan({
      jobs: {
        build: { run: 'make' },
        // @ts-expect-error in a list
        list: { needs: ['biuld'], run: 'make test' },
        // @ts-expect-error in a map
        map: { needs: { biuld: 'success' }, run: 'make test' },
        // @ts-expect-error beside a good one
        both: { needs: { build: 'success', biuld: 'any' }, run: 'make test' },
      },
    })
  })

  test('a job with two kind keys, or none, does not compile', () => {
    definePlan({
      jobs: {
        // @ts-expect-error two
        two: { run: 'make', exec: ['make'] },
        // @ts-expect-error two, one of them a call
        call: { run: 'make', call: 'make' },
        // @ts-expect-error none
        none: { timeout: '1s' },
        // @ts-expect-error an empty program
        empty: { exec: [] },
      },
    })
  })

  test('what a key cannot hold does not compile', () => {
    definePlan({
      // @ts-expect-error no such policy
      onFailure: 'explode',
      jobs: {
        // @ts-expect-error no unit
        unit: { run: 'make', timeout: '30' },
        // @ts-expect-error a number
        number: { run: 'make', timeout: 30 },
        // @ts-expect-error an unknown key
        typo: { run: 'make', timeuot: '1s' },
        // @ts-expect-error nothing to retry on
        cause: { run: 'make', retry: { max: 1, on: ['sunshine'] } },
        // @ts-expect-error a call has no environment
        env: { call: 'x', env: { A: '1' } },
        // @ts-expect-error a program has no shell
        shell: { exec: ['x'], shell: 'bash' },
        // @ts-expect-error no such answer
        need: { needs: { unit: 'sometimes' }, run: 'make' },
      },
    })
  })

  test('jobs made by a program compile, whatever their names', () => {
    const names: string[] = ['a', 'b']
    const parts = names.map((name): [string, JobSource] => [name, { run: name }])
    const jobs: Record<string, JobSource> = {
      ...Object.fromEntries(parts),
      join: { needs: names, run: 'cat' },
    }
    const plan = definePlan({ jobs })

    expectTypeOf(plan).toEqualTypeOf<Definition>()
  })

  test('the types have the keys of the schemas', () => {
    // A key that is only forbidden (`never`) is not one.
    type Keys<T> = { [K in keyof T]-?: [Exclude<T[K], undefined>] extends [never] ? never : K }[keyof T]

    expectTypeOf<Exclude<Keys<RunSource>, 'needs'>>().toEqualTypeOf<keyof z.input<typeof JOB_SCHEMAS.run>>()
    expectTypeOf<Exclude<Keys<ExecSource>, 'needs'>>().toEqualTypeOf<keyof z.input<typeof JOB_SCHEMAS.exec>>()
    expectTypeOf<Exclude<Keys<CallSource>, 'needs'>>().toEqualTypeOf<keyof z.input<typeof JOB_SCHEMAS.call>>()
    expectTypeOf<Keys<RetrySource>>().toEqualTypeOf<
      keyof NonNullable<z.input<typeof JOB_SCHEMAS.run>['retry']>
    >()
    expectTypeOf<Exclude<Keys<PlanSource>, 'plan' | 'jobs'>>().toEqualTypeOf<
      keyof z.input<typeof PLAN_SCHEMA>
    >()
    expectTypeOf<Keys<NonNullable<PlanSource['defaults']>>>().toEqualTypeOf<
      keyof z.input<typeof DEFAULTS_SCHEMA>
    >()
  })
})
