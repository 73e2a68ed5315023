/**
 * What a schema found wrong with a plan, in our words: where it is, what was expected, what is there and what to write instead.
 */
import type { z } from 'zod'
import type { Json, JsonObject } from '../json.ts'
import { describe, type Path, type Problem, pathText } from './problem.ts'
import { DEFAULTS_SCHEMA, KINDS, LATER_JOB_KEYS, LATER_KINDS, RETRY_DEFAULTS } from './schema.ts'

/** The keys that a map may have, those that come later, and what to say of one that belongs elsewhere. */
export type Keys = Readonly<{
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
export const fromIssues = (
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
      issue.origin === 'array' && issue.code === 'too_small'
        ? 'the list is empty'
        : `it must be ${bound}, and is ${describe(value)}`
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
export const listed = (words: string): string => `[${words.trim().replaceAll(/[\s,]+/g, ', ')}]`

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
