/**
 * The last stage every plan goes through, wherever it was written: checks, defaults, durations, needs, cycles. It finds all that is
 * wrong, not only the first thing, and its result is the canonical plan.
 */
import type { z } from 'zod'
import type { Definition, Gate, JobDefinition, Need, RetryPolicy } from '../definition.ts'
import type { Json, JsonObject } from '../json.ts'
import { formatDuration, parseDuration } from './duration.ts'
import { fromIssues, type Keys } from './issue.ts'
import { checkCycles, readNeeds } from './needs.ts'
import { copyPlan, isMap } from './plain.ts'
import { describe, type Problem, pathText } from './problem.ts'
import {
  ANY_JOB_SCHEMA,
  DEFAULTS_SCHEMA,
  GRACE_DEFAULT,
  JOB_NAME_PATTERN,
  JOB_SCHEMAS,
  JOBS_MAX,
  KINDS,
  type Kind,
  LATER_JOB_KEYS,
  LATER_KINDS,
  LATER_PLAN_KEYS,
  MAX_PARALLEL_DEFAULT,
  PLAN_SCHEMA,
  RETRY_DEFAULTS,
} from './schema.ts'

/** Where a plan was written: in a file (which begins with `plan: v1` and cannot call handlers) or in a program. */
export type Origin = 'file' | 'program'

/** A plan, or everything that is wrong with it. */
export type Compiled =
  | Readonly<{ ok: true; definition: Definition; warnings: readonly Problem[] }>
  | Readonly<{ ok: false; problems: readonly Problem[]; more: number }>

/**
 * Compiles what a plan says. `name` is taken when it says none. Problems come in the order they were met; `more` counts those that
 * were not kept.
 */
export const compile = (source: unknown, options: Readonly<{ origin: Origin; name: string }>): Compiled => {
  const problems: Problem[] = []
  if (!isMap(source)) {
    problems.push({
      path: [],
      at: 'value',
      message: `a plan is a map, not ${describe(source)}`,
      hint: 'begin with `plan: v1`',
    })
    return { ok: false, problems, more: 0 }
  }
  const plan = copyPlan(source, problems)
  const told = problems.length
  const toldAt = new Set(problems.filter(({ at }) => at === 'value').map(({ path }) => pathText(path)))
  const top = readTop(plan, options.origin, problems)
  const jobs = readJobs(plan['jobs'], options.origin, problems)
  const needs = new Map<string, ReadonlyMap<string, Need>>()
  const names = [...jobs.keys()].filter((name) => JOB_NAME_PATTERN.test(name))
  for (const [name, job] of jobs) needs.set(name, readNeeds(name, job, jobs, names, problems))
  const more = checkCycles(needs, jobs, problems)
  if (problems.length > 0) {
    // What was copied as nothing because it is no JSON would be told again, as nothing, by its schema.
    const once = ({ path }: Problem, index: number): boolean => index < told || !toldAt.has(pathText(path))
    return { ok: false, problems: toldAt.size === 0 ? problems : problems.filter(once), more }
  }

  const built: [string, JobDefinition][] = []
  for (const [name, job] of jobs) {
    built.push([name, buildJob(kindOf(job), merge(top.defaults, job), needs.get(name) ?? new Map())])
  }
  const doubled = builtTwice(top, jobs, built)
  if (doubled.length > 0) return { ok: false, problems: doubled, more: 0 }
  const definition: Definition = {
    version: 1,
    name: top.name ?? options.name,
    maxParallel: top.maxParallel ?? MAX_PARALLEL_DEFAULT,
    onFailure: top.onFailure ?? 'continue',
    env: top.env ?? {},
    ...namesOf(top.secrets),
    jobs: Object.fromEntries(built),
  }
  return { ok: true, definition, warnings: [...warningsOf(plan, options.origin), ...cutDelays(plan, built)] }
}

/** A variable has one value: what `env` says and what a secret is would hide each other. */
const builtTwice = (
  top: Top,
  jobs: ReadonlyMap<string, JsonObject>,
  built: readonly (readonly [string, JobDefinition])[],
): Problem[] => {
  const problem = (path: Problem['path'], name: string, where: string): Problem => ({
    path,
    at: 'value',
    message: `${name} is named here and has a value under \`${where}\``,
    hint: 'keep one of them: a value that stands in the plan is no secret',
  })
  const problems = [...new Set(top.secrets ?? [])]
    .filter((name) => Object.hasOwn(top.env ?? {}, name))
    .map((name) => problem(['secrets'], name, 'env'))
  for (const [job, { env = {}, secrets = [] }] of built) {
    const path = Object.hasOwn(jobs.get(job) ?? {}, 'secrets') ? ['jobs', job, 'secrets'] : ['jobs', job]
    for (const name of new Set([...(top.secrets ?? []), ...secrets])) {
      if (Object.hasOwn(env, name)) problems.push(problem(path, name, `jobs.${job}.env`))
      else if (secrets.includes(name) && Object.hasOwn(top.env ?? {}, name))
        problems.push(problem(path, name, 'env'))
    }
  }
  return problems
}

type Top = z.output<typeof PLAN_SCHEMA>

const readTop = (plan: JsonObject, origin: Origin, problems: Problem[]): Top => {
  const { plan: version, jobs: _, ...rest } = plan
  if (version === undefined ? origin === 'file' : version !== 'v1') {
    problems.push(
      version === undefined
        ? {
            path: ['plan'],
            at: 'key',
            message: 'the version is missing',
            hint: 'begin the file with `plan: v1`',
          }
        : {
            path: ['plan'],
            at: 'value',
            message: `version ${describe(version)} is not known here`,
            hint: 'this tenuto reads `plan: v1`',
          },
    )
  }
  const result = PLAN_SCHEMA.safeParse(rest)
  if (result.success) return result.data
  problems.push(...fromIssues(result.error.issues, [], rest, topKeys))
  return {}
}

const topKeys: Keys = {
  known: ['plan', 'jobs', ...Object.keys(PLAN_SCHEMA.shape)],
  later: [...LATER_PLAN_KEYS, ...LATER_JOB_KEYS],
  elsewhere: (key) =>
    Object.hasOwn(DEFAULTS_SCHEMA.shape, key)
      ? { message: `\`${key}\` belongs to jobs or \`defaults\``, hint: 'move it there or leave it out' }
      : undefined,
}
const jobKeys = (kind: Kind | undefined): Keys => ({
  known: ['needs', ...Object.keys((kind === undefined ? ANY_JOB_SCHEMA : JOB_SCHEMAS[kind]).shape)],
  later: [...LATER_KINDS, ...LATER_JOB_KEYS],
  elsewhere: (key) => {
    if (kind === undefined || !Object.hasOwn(ANY_JOB_SCHEMA.shape, key)) return undefined
    const kinds = KINDS.filter((other) => Object.hasOwn(JOB_SCHEMAS[other].shape, key))
    const message = `\`${key}\` is for ${kinds.map((other) => `\`${other}\``).join(' and ')} jobs`
    return { message, hint: 'leave it out' }
  },
})
const JOB_KEYS = {
  run: jobKeys('run'),
  exec: jobKeys('exec'),
  call: jobKeys('call'),
  approve: jobKeys('approve'),
  any: jobKeys(undefined),
}

const readJobs = (value: Json | undefined, origin: Origin, problems: Problem[]): Map<string, JsonObject> => {
  const jobs = new Map<string, JsonObject>()
  if (!isMap(value) || Object.keys(value).length === 0) {
    problems.push(
      value === undefined
        ? {
            path: ['jobs'],
            at: 'key',
            message: 'there are no jobs',
            hint: 'add `jobs:` with at least one job',
          }
        : isMap(value)
          ? { path: ['jobs'], at: 'value', message: 'there are no jobs', hint: 'add at least one' }
          : {
              path: ['jobs'],
              at: 'value',
              message: `jobs are a map, not ${describe(value)}`,
              hint: 'write `jobs:` and under it each job by its name',
            },
    )
    return jobs
  }
  const names = Object.keys(value)
  if (names.length > JOBS_MAX) {
    problems.push({
      path: ['jobs'],
      at: 'key',
      message: `there are ${names.length} jobs; a plan may have ${JOBS_MAX}`,
      hint: 'split the plan',
    })
    return jobs
  }
  for (const name of names) {
    const job = value[name] as Json
    if (!JOB_NAME_PATTERN.test(name)) {
      problems.push({
        path: ['jobs', name],
        at: 'key',
        message: `${describe(name)} cannot be the name of a job`,
        hint: 'use letters, digits, `_`, `.` and `-`, at most 64, and begin with a letter, digit or `_`',
      })
    }
    if (isMap(job)) {
      jobs.set(name, job as JsonObject)
      checkJob(name, job as JsonObject, origin, problems)
    } else {
      jobs.set(name, {})
      problems.push({
        path: ['jobs', name],
        at: 'value',
        message: `a job is a map, not ${describe(job)}`,
        hint:
          typeof job === 'string'
            ? `write \`${name}: { run: … }\``
            : 'write `run:` and what to run under its name',
      })
    }
  }
  return jobs
}

const checkJob = (name: string, job: JsonObject, origin: Origin, problems: Problem[]): void => {
  const { needs: _, ...rest } = job
  const path = ['jobs', name]
  const kinds = KINDS.filter((kind) => Object.hasOwn(job, kind))
  const later = LATER_KINDS.filter((kind) => Object.hasOwn(job, kind))
  const [kind, second] = [...kinds, ...later]
  if (kind === undefined) {
    problems.push({
      path,
      at: 'key',
      message: `job \`${name}\` has no kind key`,
      hint: 'give it `run: …`, `exec: […]` or `approve: { prompt: … }`',
    })
  } else if (second !== undefined) {
    const inOrder = Object.keys(job).filter((key) => [...kinds, ...later].some((one) => one === key))
    const all = inOrder.map((key) => `\`${key}\``).join(' and ')
    problems.push({
      path: [...path, inOrder[1] ?? second],
      at: 'key',
      message: `job \`${name}\` has more than one kind key: ${all}`,
      hint: 'keep one; make the other a job of its own',
    })
  }
  const [only] = kinds
  if (only === 'call' && origin === 'file') {
    problems.push({
      path: [...path, 'call'],
      at: 'key',
      message: '`call` needs a program that registered the handler',
      hint: 'submit the plan with definePlan and createRuntime, or use `run` or `exec`',
    })
  }
  const clear = only !== undefined && kinds.length + later.length === 1
  const result = (clear ? JOB_SCHEMAS[only] : ANY_JOB_SCHEMA).safeParse(rest)
  if (result.success) return
  const keys = clear ? JOB_KEYS[only] : JOB_KEYS.any
  problems.push(...fromIssues(result.error.issues, path, rest, keys))
}

const warningsOf = (plan: JsonObject, origin: Origin): Problem[] => {
  const [first] = Object.keys(plan)
  if (origin !== 'file' || first === 'plan') return []
  return [
    { path: ['plan'], at: 'key', message: '`plan: v1` is not the first line', hint: 'move it to the top' },
  ]
}

/** A delay that is never waited in full, since `maxDelay` is shorter, also where only its default is. Told once, where it was written. */
const cutDelays = (plan: JsonObject, built: readonly (readonly [string, JobDefinition])[]): Problem[] => {
  const told = new Map<string, Problem>()
  for (const [job, { retry }] of built) {
    if (retry === undefined || retry.delayMs <= retry.maxDelayMs) continue
    const own = ['jobs', job, 'retry']
    const isOwn = valueAt(plan, [...own, 'delay']) !== undefined
    // A job that bounds what it did not write itself means to.
    if (!isOwn && valueAt(plan, [...own, 'maxDelay']) !== undefined) continue
    const path = [...(isOwn ? own : ['defaults', 'retry']), 'delay']
    const delay = valueAt(plan, path)
    if (typeof delay !== 'string') continue
    told.set(pathText(path), {
      path,
      at: 'value',
      message: `${delay} is longer than \`maxDelay\`, so that ${formatDuration(retry.maxDelayMs)} is waited`,
      hint: `write \`maxDelay: ${delay}\` beside it`,
    })
  }
  return [...told.values()]
}

/** What a plan has at a path; undefined where it has nothing. */
const valueAt = (plan: JsonObject, path: readonly string[]): unknown =>
  path.reduce<unknown>((value, key) => (isMap(value) ? value[key] : undefined), plan)

const kindOf = (job: JsonObject): Kind => KINDS.find((kind) => Object.hasOwn(job, kind)) ?? 'run'

/** The keys of a job after its defaults were merged in. It has passed its schema. */
type Merged = z.output<typeof ANY_JOB_SCHEMA>

const merge = (defaults: Top['defaults'], job: JsonObject): Merged => {
  const own = job as Merged
  if (defaults === undefined) return own
  const merged = { ...defaults, ...own }
  if (defaults.env !== undefined && own.env !== undefined) merged.env = { ...defaults.env, ...own.env }
  if (defaults.retry !== undefined && own.retry !== undefined)
    merged.retry = { ...defaults.retry, ...own.retry }
  return merged
}

const ms = (duration: unknown): number => parseDuration(duration as string) ?? 0

const retryPolicy = (retry: Merged['retry']): RetryPolicy | undefined => {
  const max = retry?.max ?? RETRY_DEFAULTS.max
  if (max === 0) return undefined
  return {
    max,
    delayMs: ms(retry?.delay ?? RETRY_DEFAULTS.delay),
    factor: retry?.factor ?? RETRY_DEFAULTS.factor,
    maxDelayMs: ms(retry?.maxDelay ?? RETRY_DEFAULTS.maxDelay),
    jitter: retry?.jitter ?? RETRY_DEFAULTS.jitter,
    on: [...new Set<string>(retry?.on ?? RETRY_DEFAULTS.on)],
  }
}

/** Nothing where nothing is named, so that plans without secrets have the hashes that they always had. */
const namesOf = (names: readonly string[] = []): Readonly<{ secrets?: readonly string[] }> =>
  names.length === 0 ? {} : { secrets: [...new Set(names)].toSorted() }

const gateOf = ({ prompt, timeout, onTimeout }: NonNullable<Merged['approve']>): Gate => ({
  prompt,
  ...(timeout === undefined ? {} : { timeoutMs: ms(timeout) }),
  ...(onTimeout === 'approve' ? { onTimeout } : {}),
})

const buildJob = (kind: Kind, job: Merged, needs: ReadonlyMap<string, Need>): JobDefinition => {
  const isOptional = job.optional === true ? { optional: true as const } : {}
  // What `defaults` say of attempts says nothing about a question.
  if (job.approve !== undefined)
    return {
      kind: 'approve',
      needs: Object.fromEntries(needs),
      approve: gateOf(job.approve),
      graceMs: 0,
      onLost: 'hold',
      ...isOptional,
    }
  const retry = retryPolicy(job.retry)
  const isProcess = kind !== 'call'
  return {
    kind,
    needs: Object.fromEntries(needs),
    ...(job.run === undefined ? {} : { run: job.run }),
    ...(kind === 'run' && job.shell === 'bash' ? { shell: job.shell } : {}),
    ...(job.exec === undefined ? {} : { exec: job.exec }),
    ...(job.call === undefined ? {} : { call: job.call }),
    ...(job.with === undefined ? {} : { with: job.with as Json }),
    ...(isProcess && job.env !== undefined && Object.keys(job.env).length > 0 ? { env: job.env } : {}),
    ...namesOf(job.secrets),
    ...(isProcess && job.cwd !== undefined ? { cwd: job.cwd } : {}),
    ...(job.timeout === undefined ? {} : { timeoutMs: ms(job.timeout) }),
    ...(job.deadline === undefined ? {} : { deadlineMs: ms(job.deadline) }),
    ...(isProcess && job.stall !== undefined ? { stallMs: ms(job.stall) } : {}),
    graceMs: ms(job.grace ?? GRACE_DEFAULT),
    ...(retry === undefined ? {} : { retry }),
    onLost: job.onLost ?? (kind === 'call' ? 'retry' : 'hold'),
    ...isOptional,
  }
}
