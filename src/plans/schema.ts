/**
 * What a plan may say: one strict schema per kind of job, with a description and examples on every key. Checking, the JSON Schema for
 * editors and the manual's table all come from here. The kind key chooses the schema first; no union is ever tried.
 */
import { z } from 'zod'
import { DURATION_MAX_MS, DURATION_PATTERN, durationHint, parseDuration } from './duration.ts'
import { describe } from './problem.ts'

/** Jobs of one plan. */
export const JOBS_MAX = 100_000
/** What a job may be called. */
export const JOB_NAME_PATTERN = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/
/** What a plan may be called. */
export const PLAN_NAME_PATTERN = /^[a-z0-9-]{1,64}$/

/** The keys that say what a job does, in this version. */
export const KINDS = ['run', 'exec', 'call', 'approve'] as const
/** A kind of job. */
export type Kind = (typeof KINDS)[number]
/** Kind keys of later versions. */
export const LATER_KINDS = ['fn', 'http', 'wait', 'agent', 'merge', 'plan', 'expand'] as const

/** Keys of later versions, refused by name. */
export const LATER_JOB_KEYS = [
  'if',
  'inputs',
  'matrix',
  'each',
  'verify',
  'repair',
  'budget',
  'workspace',
  'touches',
  'artifacts',
  'outputs',
  'priority',
  'pool',
  'concurrency',
] as const
/** Keys of later versions at the top of a plan, refused by name. */
export const LATER_PLAN_KEYS = [
  'inputs',
  'description',
  'budget',
  'concurrency',
  'triggers',
  'hooks',
] as const

/** Attempt outcomes after which a job may be tried again; `exit:CODE` means that exit code alone. */
export const RETRY_ON = ['exit', 'signal', 'timeout', 'stall', 'spawn-error', 'log-limit'] as const

/** The defaults of `retry`; `max` is how many retries follow the first attempt. */
export const RETRY_DEFAULTS = {
  max: 0,
  delay: '1s',
  factor: 2,
  maxDelay: '5m',
  jitter: 0.2,
  on: ['exit', 'signal', 'timeout', 'stall'],
} as const
/** Jobs at once in a plan that does not say. */
export const MAX_PARALLEL_DEFAULT = 10
/** Characters of what a person is asked. */
const GATE_CHARACTERS_MAX = 10_000
/** Between TERM and KILL for a job that does not say. */
export const GRACE_DEFAULT = '10s'

/** Names the runtime sets in the environment of a job. */
const OWN_NAMES: ReadonlySet<string> = new Set(
  ['PLAN', 'JOB', 'ATTEMPT', 'ATTEMPT_KEY', 'OUTPUT', 'ARTIFACTS', 'NEEDS'].map((name) => `TENUTO_${name}`),
)

const wrong = (context: z.RefinementCtx, message: string, hint: string): void => {
  context.addIssue({ code: 'custom', message, params: { hint } })
}

const duration = (description: string, examples: readonly string[], least: 0 | 1) =>
  z
    .unknown()
    .superRefine((value, context) => {
      const ms = typeof value === 'string' ? parseDuration(value) : undefined
      if (ms === undefined) wrong(context, `${describe(value)} is no duration`, durationHint(value))
      else if (ms < least) wrong(context, `${describe(value)} is too short`, 'write at least 1ms')
      else if (ms > DURATION_MAX_MS)
        wrong(context, `${describe(value)} is too long`, 'a year, 8760h, is the most')
    })
    .meta({ type: 'string', pattern: DURATION_PATTERN.source, description, examples: [...examples] })

const words = (value: string, context: z.RefinementCtx): void => {
  if (value.trim() === '') wrong(context, 'it is empty', 'write what to do, or leave the key out')
}

const env = z
  .record(
    z
      .string()
      .superRefine((name, context) => {
        if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
          wrong(context, `${describe(name)} is no name of a variable`, 'use letters, digits and `_`')
        } else if (OWN_NAMES.has(name)) wrong(context, `${name} is set by tenuto itself`, 'use another name')
      })
      .meta({ pattern: '^[A-Za-z_][A-Za-z0-9_]*$' }),
    z.string(),
  )
  .meta({
    description: 'Environment variables, as text. A job adds to those of the plan and may replace them.',
    examples: [{ CI: '1' }],
  })

/** So many secrets may be named in one place. */
const SECRETS_MAX = 100
const secrets = z
  .array(
    z.string().superRefine((name, context) => {
      if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
        wrong(context, `${describe(name)} is no name of a variable`, 'name a variable, never write its value')
      else if (OWN_NAMES.has(name)) wrong(context, `${name} is set by tenuto itself`, 'use another name')
    }),
  )
  .max(SECRETS_MAX)
  .meta({
    description:
      'Names of variables of whoever submits the plan. Their values reach these jobs only, are stored in no journal, and are shown as `***`.',
    examples: [['NPM_TOKEN']],
  })

const retry = z
  .strictObject({
    max: z
      .number()
      .int()
      .min(0)
      .max(1_000_000)
      .optional()
      .meta({
        description: 'Retries after the first attempt; default 0.',
        examples: [2],
      }),
    delay: duration('Before the first retry; default 1s.', ['2s'], 0).optional(),
    factor: z
      .number()
      .min(1)
      .max(100)
      .optional()
      .meta({
        description: 'Each delay is the one before times this; default 2.',
        examples: [3],
      }),
    maxDelay: duration('No delay is longer, but for its random part; default 5m.', ['1m'], 0).optional(),
    jitter: z
      .number()
      .min(0)
      .max(1)
      .optional()
      .meta({
        description: 'Each delay is lengthened by a random part of at most this share of it; default 0.2.',
        examples: [0.5],
      }),
    on: z
      .array(
        z
          .string()
          .superRefine((value, context) => {
            if (
              (RETRY_ON as readonly string[]).includes(value) ||
              /^exit:([1-9]|[1-9]\d|1\d\d|2[0-4]\d|25[0-5])$/.test(value)
            )
              return
            if (value.startsWith('exit:'))
              wrong(context, `${describe(value)} names no exit code`, 'codes are 1 to 255')
            else
              context.addIssue({
                code: 'custom',
                message: `${describe(value)} is nothing to retry on`,
                params: { word: value, among: RETRY_ON, hint: `use ${RETRY_ON.join(', ')} or exit:CODE` },
              })
          })
          .meta({ examples: ['exit', 'exit:75'] }),
      )
      .min(1)
      .optional()
      .meta({
        description: `How an attempt must have ended to be tried again: ${RETRY_ON.join(', ')}, or \`exit:CODE\` for that code alone; default exit, signal, timeout, stall.`,
        examples: [['exit', 'timeout', 'exit:75']],
      }),
  })
  .meta({ description: 'When a failed attempt is tried again.', examples: [{ max: 2, delay: '2s' }] })

const cwd = z
  .string()
  .superRefine(words)
  .meta({
    description:
      'The folder to run in, absolute or relative to the folder of the plan file; default that folder.',
    examples: ['packages/web'],
  })
const shell = z.enum(['sh', 'bash']).meta({
  description: '`sh` runs `sh -eu`, `bash` runs `bash -euo pipefail`; default sh.',
  examples: ['bash'],
})

const optional = z
  .boolean()
  .optional()
  .meta({
    description: 'Its failure does not fail the plan; default false.',
    examples: [true],
  })

/** The keys of every job that has attempts, besides `needs` and `optional`. */
const anyAttempt = {
  timeout: duration('The longest time one attempt may take; default none.', ['10m'], 1).optional(),
  deadline: duration(
    'The longest time from release to the end, over all attempts and waits but those in a pause of the plan; default none.',
    ['2h'],
    1,
  ).optional(),
  grace: duration(
    'Between asking an attempt to stop (TERM) and making it (KILL); default 10s.',
    ['30s'],
    0,
  ).optional(),
  retry: retry.optional(),
  onLost: z
    .enum(['hold', 'retry', 'fail'])
    .optional()
    .meta({
      description:
        'What follows an attempt whose end nobody saw: wait for a person, try again, or fail; default hold, for `call` retry.',
      examples: ['retry'],
    }),
  secrets: secrets.optional(),
}

/** The keys of every job that has attempts, besides `needs`. */
const anyKind = { ...anyAttempt, optional }

/** The further keys of a job that is a process. */
const process = {
  env: env.optional(),
  cwd: cwd.optional(),
  stall: duration(
    'The longest time in which one attempt writes nothing to its output, also when it only computes; default none.',
    ['5m'],
    1,
  ).optional(),
}

const runKey = z
  .string()
  .superRefine(words)
  .meta({ description: 'Shell text.', examples: ['npm test'] })
const execKey = z
  .array(z.string())
  .min(1)
  .superRefine((argv, context) => {
    if (argv[0] === '') wrong(context, 'the program is empty', 'write its name or path first')
  })
  .meta({ description: 'A program and its arguments, without a shell.', examples: [['./ship', '--now']] })
const callKey = z
  .string()
  .superRefine(words)
  .meta({
    description: 'The name of a handler that the embedding program registered.',
    examples: ['thumb'],
  })
const withKey = z
  .json()
  .meta({ description: 'The input of the handler, any JSON value.', examples: [{ id: 1 }] })

const gate = z
  .strictObject({
    prompt: z
      .string()
      .max(GATE_CHARACTERS_MAX)
      .superRefine(words)
      .meta({ description: 'What is asked.', examples: ['Ship it?'] }),
    timeout: duration(
      'How long an answer is waited for, also while the plan is paused; default for ever.',
      ['24h'],
      1,
    ).optional(),
    onTimeout: z
      .enum(['reject', 'approve'])
      .optional()
      .meta({
        description: 'What no answer means when that time is over; default reject.',
        examples: ['approve'],
      }),
  })
  .superRefine(({ timeout, onTimeout }, context) => {
    if (onTimeout !== undefined && timeout === undefined)
      wrong(context, '`onTimeout` is never asked without `timeout`', 'add `timeout`, or leave it out')
  })
const approveKey = gate.meta({
  description: 'A question to a person: `tenuto approve` and `tenuto reject` answer it. No process, no slot.',
  examples: [{ prompt: 'Ship it?', timeout: '24h' }],
})

/** The schema of a job of each kind, without `needs`, which is read beside it. */
export const JOB_SCHEMAS = {
  run: z.strictObject({ run: runKey, shell: shell.optional(), ...process, ...anyKind }),
  exec: z.strictObject({ exec: execKey, ...process, ...anyKind }),
  call: z.strictObject({ call: callKey, with: withKey.optional(), ...anyKind }),
  approve: z.strictObject({ approve: approveKey, optional }),
} as const satisfies Record<Kind, z.ZodType>

/** Every key of every kind, none of them required: for a job whose kind is not known. */
export const ANY_JOB_SCHEMA = z.strictObject({
  run: runKey.optional(),
  shell: shell.optional(),
  exec: execKey.optional(),
  call: callKey.optional(),
  with: withKey.optional(),
  approve: approveKey.optional(),
  ...process,
  ...anyKind,
})

/** What `defaults` may hold: what a job may, but its kind and its needs. */
export const DEFAULTS_SCHEMA = z.strictObject({ shell: shell.optional(), ...process, ...anyKind }).meta({
  description:
    'Merged key by key into each job that has no such key; `env` and `retry` are merged inside too.',
  examples: [{ timeout: '30m', retry: { max: 2 } }],
})

/** What a need may ask for. */
export const NEEDS = ['success', 'any', 'skipped-ok'] as const

const needs = z
  .union([
    z.array(z.string()).meta({ description: 'The jobs that must have succeeded.' }),
    z.record(z.string(), z.enum(NEEDS)).meta({
      description: 'For each job `success`, `any` (ended, however) or `skipped-ok` (succeeded or skipped).',
    }),
  ])
  .meta({
    description:
      'The jobs before this one: a list (all must succeed), or a map with `success`, `any` (ended, however) or `skipped-ok` (succeeded or skipped).',
    examples: [['fetch'], { gate: 'success', docs: 'any' }],
  })

const planKeys = {
  name: z
    .string()
    .superRefine((name, context) => {
      if (PLAN_NAME_PATTERN.test(name)) return
      const better = name
        .toLowerCase()
        .replace(/[^a-z0-9-]/g, '-')
        .slice(0, 64)
      wrong(
        context,
        `${describe(name)} cannot be the name of a plan`,
        better === '' ? 'use a-z, 0-9 and `-`, at most 64' : `write ${better}`,
      )
    })
    .optional()
    .meta({
      pattern: PLAN_NAME_PATTERN.source,
      description: 'The name of the plan; default the name of the file.',
      examples: ['release'],
    }),
  maxParallel: z
    .number()
    .int()
    .min(1)
    .max(100_000)
    .optional()
    .meta({
      description: `Jobs of this plan that run at once; default ${MAX_PARALLEL_DEFAULT}.`,
      examples: [4],
    }),
  onFailure: z
    .enum(['continue', 'stop', 'pause'])
    .optional()
    .meta({
      description:
        'After a job that is not optional has failed: go on with what can, skip all that has not started, or pause; default continue.',
      examples: ['stop'],
    }),
  env: env.optional(),
  secrets: secrets.optional(),
  defaults: DEFAULTS_SCHEMA.optional(),
}

/** The top of a plan, without `plan` and `jobs`, which are read beside it. */
export const PLAN_SCHEMA = z.strictObject(planKeys)

const ignored = {
  patternProperties: { '^x-': { description: 'Ignored; a place for YAML anchors and notes.' } },
}

const fileJobs = [
  z
    .strictObject({ needs: needs.optional(), ...JOB_SCHEMAS.run.shape })
    .meta({ ...ignored, description: 'A job that runs shell text.' }),
  z
    .strictObject({ needs: needs.optional(), ...JOB_SCHEMAS.exec.shape })
    .meta({ ...ignored, description: 'A job that runs a program.' }),
  z
    .strictObject({ needs: needs.optional(), ...JOB_SCHEMAS.approve.shape })
    .meta({ ...ignored, description: 'A question to a person.' }),
] as const

const fileSchema = z
  .strictObject({
    plan: z
      .literal('v1')
      .meta({ description: 'The version of this format; the first line.', examples: ['v1'] }),
    ...planKeys,
    jobs: z.record(z.string().regex(JOB_NAME_PATTERN), z.union(fileJobs)).meta({
      minProperties: 1,
      maxProperties: JOBS_MAX,
      description: 'The jobs by name. Each has exactly one kind key, `run`, `exec` or `approve`.',
      examples: [{ build: { run: 'make' }, test: { needs: ['build'], run: 'make test' } }],
    }),
  })
  .meta({ ...ignored, title: 'A tenuto plan, version 1', description: 'A graph of jobs.' })

/** The draft-07 JSON Schema of a plan file, for editors. */
export const planSchema = (): Readonly<Record<string, unknown>> =>
  z.toJSONSchema(fileSchema, { target: 'draft-7', io: 'input' })

/** One row of the manual's table of keys. */
export type KeyRow = Readonly<{ where: string; key: string; description: string; example: string }>

const rows = (where: string, shape: Readonly<Record<string, z.ZodType>>): KeyRow[] =>
  Object.entries(shape).map(([key, schema]) => {
    const told =
      schema.meta() ?? (schema instanceof z.ZodOptional ? (schema.unwrap() as z.ZodType).meta() : undefined)
    if (told?.description === undefined) throw new Error(`the key ${key} has no description`)
    const [example] = (told['examples'] ?? []) as readonly unknown[]
    return { where, key, description: told.description, example: JSON.stringify(example) ?? '' }
  })

/** Every key of a plan with its description and an example, in the order of the manual. */
export const keyRows = (): readonly KeyRow[] => [
  ...rows('plan', fileSchema.shape),
  ...rows('every job', { needs, optional }),
  ...rows('`run`, `exec` and `call` jobs', anyAttempt),
  ...rows('`run` and `exec` jobs', process),
  ...rows('`run` jobs', { run: runKey, shell }),
  ...rows('`exec` jobs', { exec: execKey }),
  ...rows('`call` jobs (library)', { call: callKey, with: withKey }),
  ...rows('`approve` jobs', { approve: approveKey }),
  ...rows('`approve`', gate.shape),
  ...rows('`retry`', retry.shape),
]
