/**
 * What a program hands to a runtime, checked before anything is made of it: a mistake is told with its place and its value.
 */
import {
  aBoolean,
  aFunction,
  anything,
  aText,
  type Check,
  type Keys,
  oneOf,
  shown,
  wrongIn,
} from '../checks.ts'
import { TenutoError } from '../errors.ts'
import { MODE_ORDERS } from '../mode.ts'

const atLeast =
  (least: number): Check =>
  (value) =>
    typeof value === 'number' && value >= least ? null : `must be ${least} or more`

const text: Check = (value) => (typeof value === 'string' ? null : 'must be a text')

const OPTIONS: Keys = {
  home: aText(4096),
  maxParallel: atLeast(1),
  durability: oneOf(['full', 'normal']),
  resume: aBoolean,
  starts: aBoolean,
  restarted: aBoolean,
  sweepMs: atLeast(0),
  retention: anything,
  analytics: aBoolean,
  handlers: anything,
  inspect: aFunction,
  command: aText(4096),
  ports: anything,
}
const RETENTION: Keys = Object.fromEntries(
  ['plansMs', 'plans', 'attemptsMs', 'attemptBytes', 'deadLettersMs', 'deadLetters', 'everyMs'].map((key) => [
    key,
    atLeast(0),
  ]),
)
const PORTS: Keys = {
  clock: anything,
  random: aFunction,
  journal: aFunction,
  attempts: aFunction,
  faults: aFunction,
  analytics: anything,
}
const EVENTS: Keys = { after: atLeast(0), plan: aText(4096), follow: aBoolean, signal: anything }

const orNull =
  (check: Check): Check =>
  (value) =>
    value === null ? null : check(value)
/** No path, and no variable of a process, can have a NUL character in it. */
const withoutNul =
  (check: Check): Check =>
  (value) =>
    check(value) ?? (String(value).includes('\0') ? 'must have no NUL character' : null)
const variables: Check = (value) => {
  if (typeof value !== 'object' || value === null) return 'must be an object of texts'
  const bad = Object.entries(value).find((entry) => entry.some((part) => withoutNul(text)(part) !== null))
  return bad === undefined ? null : `must be texts without a NUL character, which ${shown(bad[0])} is not`
}
const SUBMIT: Keys = {
  key: withoutNul(aText(200)),
  base: orNull(withoutNul(aText(4096))),
  environment: variables,
  secrets: anything,
  by: text,
  why: text,
}
const COMMAND: Keys = {
  do: oneOf(['cancel', 'pause', 'continue', 'skip', 'now', 'approve', 'reject', 'retry']),
  now: aBoolean,
  downstream: aBoolean,
  failed: aBoolean,
}

const ORDER: Keys = { do: oneOf(MODE_ORDERS), by: text, why: text, untilStop: aBoolean }

const refuse = (wrong: readonly string[]): void => {
  if (wrong.length > 0) throw new TenutoError('USAGE', { what: wrong.join('; '), all: wrong })
}

/**
 * Checks the options of a runtime.
 * @throws {TenutoError} `USAGE` with every mistake.
 */
export const checkOptions = (options: unknown): void => {
  const { retention, handlers, ports } = (options ?? {}) as Readonly<Record<string, unknown>>
  const wrong = wrongIn('options', options, OPTIONS)
  if (retention !== undefined) wrong.push(...wrongIn('options.retention', retention, RETENTION))
  if (ports !== undefined) wrong.push(...wrongIn('options.ports', ports, PORTS))
  if (handlers !== undefined) {
    const names = Object.fromEntries(Object.keys(handlers ?? {}).map((name) => [name, aFunction]))
    wrong.push(...wrongIn('options.handlers', handlers, names))
  }
  refuse(wrong)
}

/**
 * Checks what is to be called.
 * @throws {TenutoError} `USAGE`.
 */
export const checkCallable = (what: string, value: unknown): void => {
  const why = aFunction(value)
  if (why !== null) refuse([`${what} is ${shown(value)} and ${why}`])
}

/**
 * Checks what a plan is asked for by: a text, or a key.
 * @throws {TenutoError} `USAGE`.
 */
export const checkPlanRef = (ref: unknown): void => {
  if (typeof ref !== 'string') refuse(wrongIn('the ref', ref, { key: aText(200) }, ['key']))
}

/**
 * Checks which events are asked for.
 * @throws {TenutoError} `USAGE` with every mistake.
 */
export const checkEventsQuery = (query: unknown): void => refuse(wrongIn('the query', query, EVENTS))

/**
 * Checks what is asked of a plan or a job.
 * @throws {TenutoError} `USAGE` with every mistake.
 */
export const checkCommand = (asked: unknown): void => refuse(wrongIn('the command', asked, COMMAND, ['do']))

/**
 * Checks what is ordered of a home.
 * @throws {TenutoError} `USAGE` with every mistake.
 */
export const checkOrder = (order: unknown): void => refuse(wrongIn('the order', order, ORDER, ['do']))

/**
 * Checks how a plan is submitted.
 * @throws {TenutoError} `USAGE` with every mistake.
 */
export const checkSubmitOptions = (options: unknown): void => {
  const { environment, secrets } = (options ?? {}) as Readonly<{ environment?: unknown; secrets?: unknown }>
  const wrong = wrongIn('the options of submit', options, SUBMIT)
  if (environment !== undefined) {
    const names = Object.fromEntries(Object.keys(environment ?? {}).map((name) => [name, text]))
    wrong.push(...wrongIn('environment', environment, names))
  }
  if (secrets !== undefined) wrong.push(...wrongInSecrets(secrets))
  refuse(wrong)
}

/** Says of no value what it is. */
const wrongInSecrets = (secrets: unknown): readonly string[] =>
  typeof secrets !== 'object' || secrets === null || Array.isArray(secrets)
    ? ['secrets must be an object']
    : Object.entries(secrets).flatMap(([name, value]) =>
        typeof value === 'string' ? [] : [`${name} of secrets must be a text`],
      )

/**
 * Checks the values of secrets that are given.
 * @throws {TenutoError} `USAGE` with every mistake.
 */
export const checkSecrets = (secrets: unknown): void => refuse(wrongInSecrets(secrets))
