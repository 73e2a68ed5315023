import { expect, test } from 'vitest'
import { definitionHash } from '../../src/definition.ts'
import { isTenutoError } from '../../src/errors.ts'
import { checkDefinition, definePlan } from '../../src/plans/define-plan.ts'
import { parsePlan } from '../../src/plans/plan-file.ts'
import type { PlanError } from '../../src/plans/problem.ts'
import { chooseSecrets, secretPlaces, secretsOf } from '../../src/secrets.ts'

const YAML = `plan: v1
name: p
secrets: [NPM_TOKEN]
defaults: { secrets: [SHARED] }
jobs:
  a: { run: x, secrets: [B_TOKEN, A_TOKEN, A_TOKEN] }
  b: { exec: [y] }
  ask: { approve: { prompt: Ship it? } }
`

const errorsOf = (text: string): readonly string[] => {
  try {
    parsePlan(text, { file: 'p.yaml' })
    return []
  } catch (error) {
    if (!isTenutoError(error, 'PLAN_INVALID')) throw error
    return (error.fields['errors'] as readonly PlanError[]).map(
      ({ line, column, path, message }) => `${line}:${column} ${path}: ${message}`,
    )
  }
}

test('a plan and its jobs name secrets, alike in YAML, JSON and a program', () => {
  const { definition } = parsePlan(YAML)
  const json = JSON.stringify({
    plan: 'v1',
    name: 'p',
    secrets: ['NPM_TOKEN'],
    jobs: {
      a: { run: 'x', secrets: ['A_TOKEN', 'B_TOKEN'] },
      b: { exec: ['y'], secrets: ['SHARED'] },
      ask: { approve: { prompt: 'Ship it?' } },
    },
  })
  const defined = definePlan({
    name: 'p',
    secrets: ['NPM_TOKEN'],
    defaults: { secrets: ['SHARED'] },
    jobs: {
      a: { run: 'x', secrets: ['A_TOKEN', 'B_TOKEN'] },
      b: { exec: ['y'] },
      ask: { approve: { prompt: 'Ship it?' } },
    },
  })

  const { a, b, ask } = definition.jobs as Required<typeof definition.jobs>
  expect(secretsOf(definition, a as never)).toEqual(['NPM_TOKEN', 'A_TOKEN', 'B_TOKEN'])
  expect(secretsOf(definition, b as never)).toEqual(['NPM_TOKEN', 'SHARED'])
  expect(secretsOf(definition, ask as never)).toEqual([])
  expect(Object.fromEntries(secretPlaces(definition))).toEqual({
    NPM_TOKEN: 'secrets',
    A_TOKEN: 'jobs.a.secrets',
    B_TOKEN: 'jobs.a.secrets',
    SHARED: 'jobs.b.secrets',
  })
  expect(parsePlan(json).definition).toEqual(definition)
  expect(defined).toEqual(definition)
  expect(checkDefinition(structuredClone(definition))).toEqual(definition)
})

test('a plan that names no secrets is the definition that it always was', () => {
  const plain = definePlan({ name: 'p', jobs: { a: { run: 'x' } } })
  const empty = definePlan({ name: 'p', secrets: [], jobs: { a: { run: 'x', secrets: [] } } })

  expect(plain).not.toHaveProperty('secrets')
  expect(definitionHash(empty)).toBe(definitionHash(plain))
})

test('what is no name, what tenuto sets itself, and what has a value in the plan is refused at its place', () => {
  expect(errorsOf('plan: v1\nsecrets: [ghp-x, TENUTO_JOB, 3]\njobs:\n  a: { run: x }\n')).toEqual([
    '2:11 secrets[0]: "ghp-x" is no name of a variable',
    '2:18 secrets[1]: TENUTO_JOB is set by tenuto itself',
    '2:30 secrets[2]: expected text, found 3',
  ])
  expect(
    errorsOf('plan: v1\nenv: { A: "1" }\njobs:\n  a: { run: x, env: { B: "2" }, secrets: [A, B, C] }\n'),
  ).toEqual([
    '4:42 jobs.a.secrets: A is named here and has a value under `env`',
    '4:42 jobs.a.secrets: B is named here and has a value under `jobs.a.env`',
  ])
  expect(errorsOf('plan: v1\nsecrets: [A, A]\nenv: { A: "1" }\njobs:\n  a: { run: x }\n')).toEqual([
    '2:10 secrets: A is named here and has a value under `env`',
  ])
  expect(errorsOf('plan: v1\njobs:\n  a: { approve: { prompt: x }, secrets: [A] }\n')).toEqual([
    '3:32 jobs.a.secrets: `secrets` is for `run` and `exec` and `call` jobs',
  ])
})

test('every name that has no value is told, and nothing of any value', () => {
  const { definition } = parsePlan(YAML)
  const given = { A_TOKEN: '', SHARED: 'canary-7f3a', NPM_TOKEN: 'canary\u0000-7f3a', B_TOKEN: 'x' }

  expect(() => chooseSecrets(definition, { SHARED: given.SHARED }, 'p.yaml')).toThrow(
    'no value was given for the secret NPM_TOKEN, which secrets of p.yaml names; nor for A_TOKEN, B_TOKEN',
  )
  const { definition: few } = parsePlan('plan: v1\nsecrets: [NPM_TOKEN]\njobs: { a: { run: x } }\n')
  expect(() => chooseSecrets(few, given)).toThrow('has a NUL character, which no variable can hold')
  expect(() => chooseSecrets(few, { NPM_TOKEN: 'x'.repeat(70_000) })).toThrow(
    'has 70000 bytes; it may have 65536',
  )
  expect(chooseSecrets(few, { ...given, NPM_TOKEN: 'canary-7f3a' })).toEqual({ NPM_TOKEN: 'canary-7f3a' })
})

test('of two secrets without a value both are named', () => {
  const { definition } = parsePlan('plan: v1\nname: p\nsecrets: [A, B]\njobs: { a: { run: x } }\n')

  expect(() => chooseSecrets(definition, {})).toThrow('names; nor for B')
})
