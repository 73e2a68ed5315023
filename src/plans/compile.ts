/**
 * The last stage every plan goes through, wherever it was written: checks, defaults, durations, needs, cycles. It finds all that is
 * wrong, not only the first thing, and its result is the canonical plan.
 */
import type { z } from 'zod'
import type { Definition, JobDefinition, Need, RetryPolicy } from '../definition.ts'
import type { Json, JsonObject } from '../json.ts'
import { findCycles } from './cycles.ts'
import { parseDuration } from './duration.ts'
import { describe, type Path, type Problem, pathText } from './problem.ts'
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
  NEEDS,
  PLAN_SCHEMA,
  RETRY_DEFAULTS,
} from './schema.ts'

/** Where a plan was written: in a file (which begins with `plan: v1` and cannot call handlers) or in a program. */
export type Origin = 'file' | 'program'

/** A plan, or everything that is wrong with it. */
export type Compiled =
  | Readonly<{ ok: true; definition: Definition; warnings: readonly Problem[] }>
  | Readonly<{ ok: false; problems: readonly Problem[]; more: number }>

/** Deeper values than this are refused. */
const DEPTH_MAX = 100
/** Jobs of one cycle named in its error. */
const CYCLE_SHOWN_MAX = 20

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
  const definition: Definition = {
    version: 1,
    name: top.name ?? options.name,
    maxParallel: top.maxParallel ?? MAX_PARALLEL_DEFAULT,
    onFailure: top.onFailure ?? 'continue',
    env: top.env ?? {},
    jobs: Object.fromEntries(built),
  }
  return { ok: true, definition, warnings: warningsOf(plan, options.origin) }
}

const isMap = (value: unknown): value is Readonly<Record<string, unknown>> => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype || Object.getPrototypeOf(prototype) === null
}

/**
 * A copy of plain JSON, without what is ignored (`x-` keys of the plan and of jobs, keys without a value), and a problem for
 * everything that no plan may hold anywhere.
 */
const copyPlan = (source: Readonly<Record<string, unknown>>, problems: Problem[]): JsonObject => {
  const path: (string | number)[] = []
  const found = (at: Problem['at'], message: string, hint?: string): null => {
    problems.push({ path: [...path], at, message, ...(hint === undefined ? {} : { hint }) })
    return null
  }
  const checkText = (text: string, at: Problem['at']): void => {
    if (text.includes('${{')) {
      found(at, 'expressions come in a later version', 'write the value itself instead of `${{ … }}`')
    }
    if (text.includes('\0')) found(at, 'it has a NUL character', 'remove it')
    if (!text.isWellFormed()) found(at, 'it has half a character (a lone surrogate)', 'remove it')
  }
  const copyMap = (map: Readonly<Record<string, unknown>>): JsonObject => {
    const copy: Record<string, Json> = {}
    const ignoring = path.length === 0 || (path.length === 2 && path[0] === 'jobs')
    for (const key of Object.keys(map)) {
      const value = map[key]
      if (value === undefined || (ignoring && key.startsWith('x-'))) continue
      path.push(key)
      if (key === '__proto__') {
        found('key', '`__proto__` cannot be a name', 'use another name')
      } else {
        checkText(key, 'key')
        copy[key] = copyValue(value)
      }
      path.pop()
    }
    return copy
  }
  const copyValue = (value: unknown): Json => {
    if (typeof value === 'string') {
      checkText(value, 'value')
      return value
    }
    if (typeof value === 'boolean' || value === null) return value
    if (typeof value === 'number' && Number.isFinite(value)) return value
    if (path.length > DEPTH_MAX) return found('value', `it is nested more than ${DEPTH_MAX} deep`)
    if (Array.isArray(value)) {
      return value.map((item: unknown, index) => {
        path.push(index)
        const copy =
          item === undefined ? found('value', 'there is nothing here', 'write a value') : copyValue(item)
        path.pop()
        return copy
      })
    }
    if (isMap(value)) return copyMap(value)
    return found(
      'value',
      `${typeof value === 'object' ? 'this' : describe(value)} is no JSON value`,
      'use text, numbers, true, false, lists and maps',
    )
  }
  return copyMap(source)
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

type Keys = Readonly<{
  known: readonly string[]
  later: readonly string[]
  elsewhere?: (key: string) => Readonly<{ message: string; hint: string }> | undefined
}>

const defaultKeys: Keys = {
  known: Object.keys(DEFAULTS_SCHEMA.shape),
  later: LATER_JOB_KEYS,
  elsewhere: (key) =>
    [...KINDS, ...LATER_KINDS, 'needs', 'with'].includes(key)
      ? { message: `\`${key}\` has no default`, hint: 'write it in each job that has it' }
      : undefined,
}
const retryKeys: Keys = { known: Object.keys(RETRY_DEFAULTS), later: [] }
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
      hint: 'give it `run: …` or `exec: […]`',
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

const EXPECTED: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a map',
  record: 'a map',
}

/** A number far out of bounds is told by one of them, the nearest. */
const fromIssues = (
  issues: readonly z.core.$ZodIssue[],
  path: Path,
  source: JsonObject,
  keys: Keys,
): Problem[] => {
  const bounds = issues.filter(({ code }) => code === 'too_big' || code === 'too_small')
  const last = new Map(bounds.map((issue) => [pathText(issue.path as Path), issue]))
  const told = issues.filter(
    (issue) => !bounds.includes(issue) || last.get(pathText(issue.path as Path)) === issue,
  )
  return told.flatMap((issue) => fromIssue(issue, path, source, keys))
}

/** What zod found, in our words. `source` is what was checked and `path` where it stands. */
const fromIssue = (issue: z.core.$ZodIssue, path: Path, source: JsonObject, keys: Keys): Problem[] => {
  const inner = issue.path as Path
  const here = [...path, ...inner]
  const value = valueAt(source, inner)
  if (issue.code === 'unrecognized_keys') {
    const last = inner.at(-1)
    const among = last === undefined ? keys : last === 'defaults' ? defaultKeys : retryKeys
    return issue.keys.map((key) => unknownKey(key, [...here, key], among))
  }
  if (issue.code === 'invalid_key') {
    return issue.issues.map((one) => ({ ...fromCustom(one, here), at: 'key' as const }))
  }
  if (issue.code === 'custom') return [fromCustom(issue, here)]
  if (issue.code === 'invalid_type') {
    const expected = EXPECTED[issue.expected] ?? issue.expected
    const hint = typeHint(issue.expected, value, inner.at(-1))
    return [
      {
        path: here,
        at: 'value',
        message: `expected ${expected}, found ${describe(value)}`,
        ...(hint === undefined ? {} : { hint }),
      },
    ]
  }
  if (issue.code === 'invalid_value') {
    const among = issue.values.map(String)
    const message = `expected ${among.join(', ').replace(/, ([^,]*)$/, ' or $1')}, found ${describe(value)}`
    return [{ path: here, at: 'value', message, guess: { word: String(value), among } }]
  }
  if (issue.code === 'too_small' || issue.code === 'too_big') {
    const bound = issue.code === 'too_small' ? `at least ${issue.minimum}` : `at most ${issue.maximum}`
    const message =
      issue.origin === 'array' ? 'the list is empty' : `it must be ${bound}, and is ${describe(value)}`
    return [{ path: here, at: 'value', message }]
  }
  return [{ path: here, at: 'value', message: `${describe(value)} does not fit: ${issue.message}` }]
}

const fromCustom = (issue: z.core.$ZodIssue, path: Path): Problem => {
  const params: Readonly<Record<string, unknown>> = (issue.code === 'custom' ? issue.params : undefined) ?? {}
  const { hint, word, among } = params as { hint?: string; word?: string; among?: readonly string[] }
  return {
    path,
    at: 'value',
    message: issue.message,
    ...(hint === undefined ? {} : { hint }),
    ...(word === undefined || among === undefined ? {} : { guess: { word, among } }),
  }
}

const unknownKey = (key: string, path: Path, keys: Keys): Problem => {
  if (keys.later.includes(key)) {
    return { path, at: 'key', message: `\`${key}\` is not in this version`, hint: 'leave it out' }
  }
  const elsewhere = keys.elsewhere?.(key)
  if (elsewhere !== undefined) return { path, at: 'key', ...elsewhere }
  return {
    path,
    at: 'key',
    message: `unknown key ${describe(key)}`,
    hint: `known here: ${keys.known.join(', ')}`,
    guess: { word: key, among: keys.known },
  }
}

/** Words as the list that was meant. */
const listed = (words: string): string => `[${words.trim().replaceAll(/[\s,]+/g, ', ')}]`

const typeHint = (expected: string, value: unknown, key: unknown): string | undefined => {
  if (value === null) return 'write a value, or leave the key out'
  if (expected === 'string' && (typeof value === 'number' || typeof value === 'boolean'))
    return `quote it: "${value}"`
  if (expected === 'array' && typeof value === 'string') {
    return key === 'exec'
      ? 'list the program and each argument, or use `run` for shell text'
      : `write ${listed(value)}`
  }
  if (key === 'retry' && typeof value === 'number') return `write { max: ${value} }`
  if (key === 'run' && Array.isArray(value))
    return 'use `exec` for a program and its arguments, or `run: |` for several lines'
  return undefined
}

const valueAt = (source: Json, path: Path): Json | undefined => {
  let value: Json | undefined = source
  for (const part of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined
    value = (value as Readonly<Record<string | number, Json>>)[part]
  }
  return value
}

const readNeeds = (
  name: string,
  job: JsonObject,
  jobs: ReadonlyMap<string, JsonObject>,
  names: readonly string[],
  problems: Problem[],
): ReadonlyMap<string, Need> => {
  const found = new Map<string, Need>()
  const value = job['needs']
  const path = ['jobs', name, 'needs']
  const add = (need: string, asks: Need, place: Problem['path'], at: Problem['at']): void => {
    if (found.has(need)) {
      problems.push({ path: place, at, message: `\`${need}\` is named twice`, hint: 'name it once' })
    } else if (jobs.has(need)) {
      found.set(need, asks)
    } else {
      const message = `job \`${name}\` needs \`${need.length > 80 ? `${need.slice(0, 79)}…` : need}\`, which is not in the plan`
      problems.push({
        path: place,
        at,
        message,
        hint: 'name a job of this plan',
        guess: { word: need, among: names },
      })
    }
  }
  if (value === undefined) return found
  if (Array.isArray(value)) {
    for (const [index, need] of (value as readonly Json[]).entries()) {
      if (typeof need === 'string') add(need, 'success', [...path, index], 'value')
      else {
        const hint =
          typeof need === 'number' || typeof need === 'boolean' ? { hint: `quote it: "${need}"` } : {}
        problems.push({
          path: [...path, index],
          at: 'value',
          message: `expected the name of a job, found ${describe(need)}`,
          ...hint,
        })
      }
    }
  } else if (isMap(value)) {
    for (const [need, asks] of Object.entries(value)) {
      if ((NEEDS as readonly unknown[]).includes(asks)) add(need, asks as Need, [...path, need], 'key')
      else {
        add(need, 'success', [...path, need], 'key')
        const message = `expected success, any or skipped-ok, found ${describe(asks)}`
        problems.push({
          path: [...path, need],
          at: 'value',
          message,
          guess: { word: String(asks), among: NEEDS },
        })
      }
    }
  } else {
    const hint = typeof value === 'string' ? `write ${listed(value)}` : 'write [job, job]'
    problems.push({
      path,
      at: 'value',
      message: `expected a list or a map of jobs, found ${describe(value)}`,
      hint,
    })
  }
  return found
}

const checkCycles = (
  needs: ReadonlyMap<string, ReadonlyMap<string, Need>>,
  jobs: ReadonlyMap<string, JsonObject>,
  problems: Problem[],
): number => {
  const { cycles, more } = findCycles(new Map([...needs].map(([name, of]) => [name, [...of.keys()]])))
  for (const { jobs: names, closing } of cycles) {
    const value = jobs.get(closing.job)?.['needs']
    const listed = Array.isArray(value)
    const [first = ''] = names
    const shown =
      names.length <= CYCLE_SHOWN_MAX
        ? names
        : [
            ...names.slice(0, CYCLE_SHOWN_MAX - 1),
            `… ${names.length - CYCLE_SHOWN_MAX} more …`,
            names.at(-1) ?? '',
          ]
    const circle = [...shown, first].join(' → ')
    problems.push({
      path: [
        'jobs',
        closing.job,
        'needs',
        listed ? (value as readonly Json[]).indexOf(closing.need) : closing.need,
      ],
      at: listed ? 'value' : 'key',
      message:
        names.length === 1
          ? `job \`${first}\` needs itself: ${circle}`
          : `the jobs need each other: ${circle}`,
      hint: 'remove one of these needs',
    })
  }
  return more
}

const warningsOf = (plan: JsonObject, origin: Origin): Problem[] => {
  const [first] = Object.keys(plan)
  if (origin !== 'file' || first === 'plan') return []
  return [
    { path: ['plan'], at: 'key', message: '`plan: v1` is not the first line', hint: 'move it to the top' },
  ]
}

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

const buildJob = (kind: Kind, job: Merged, needs: ReadonlyMap<string, Need>): JobDefinition => {
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
    ...(isProcess && job.cwd !== undefined ? { cwd: job.cwd } : {}),
    ...(job.timeout === undefined ? {} : { timeoutMs: ms(job.timeout) }),
    ...(job.deadline === undefined ? {} : { deadlineMs: ms(job.deadline) }),
    ...(isProcess && job.stall !== undefined ? { stallMs: ms(job.stall) } : {}),
    graceMs: ms(job.grace ?? GRACE_DEFAULT),
    ...(retry === undefined ? {} : { retry }),
    onLost: job.onLost ?? (kind === 'call' ? 'retry' : 'hold'),
    ...(job.optional === true ? { optional: true as const } : {}),
  }
}
