/**
 * What a supervisor is told before it starts anything: how it treats its children (`Flags`), and what each child is (`ChildSpec`).
 * Both are checked whole: every mistake is told at once, a key nobody knows is one, and nothing has been started by then.
 */
import {
  aBoolean,
  aFunction,
  anything,
  aText,
  between,
  type Check,
  type Keys,
  oneOf,
  shown,
  whole,
  wrongIn,
} from '../checks.ts'
import { TenutoError } from '../errors.ts'
import type { Context, Started } from './ref.ts'

/**
 * Which children are started again when one fails. `one-for-one`: that one. `one-for-all`: all. `rest-for-one`: that one and those
 * after it. `dynamic`: that one; all children are made from one template.
 */
export type Strategy = 'one-for-one' | 'one-for-all' | 'rest-for-one' | 'dynamic'

/** `permanent`: always restarted. `transient`: restarted after an abnormal end. `temporary`: never, and then forgotten. */
export type Restart = 'permanent' | 'transient' | 'temporary'

/** How long a child may take to stop, in ms. `brutal`: it is not asked. */
export type Shutdown = number | 'brutal' | 'infinity'

/** A child, as its supervisor is told of it. */
export type ChildSpec<Args = unknown> = Readonly<{
  /** Unique within the supervisor. Of a template: the name of the kind. */
  id: string
  start: (context: Context<Args>) => Started | PromiseLike<Started>
  /** Default `permanent`. */
  restart?: Restart
  /** Default 5000; of a supervisor `infinity`. */
  shutdown?: Shutdown
  /** Default `worker`. */
  type?: 'worker' | 'supervisor'
  /** Whether giving it up ends its supervisor. Default: where siblings are restarted with it. */
  vital?: boolean
}>

/** One child of a dynamic supervisor. */
export type Instance<Args = unknown> = Readonly<{ id: string; args?: Args }>

/** How a supervisor treats its children. */
export type Flags = Readonly<{
  /** Default `one-for-one`. */
  strategy?: Strategy
  /** A child that would be restarted more often than this within the period is given up. Default 3; dynamic: 5. */
  intensity?: number
  /** Default 5000; dynamic: 60 000. A restart exactly so long ago still counts. */
  periodMs?: number
  /** The pause before a restart: `minMs`, doubled each time up to `maxMs`, and up to `jitter` of it more. */
  backoff?: Readonly<{
    /** Default 50, or `maxMs` if that is less. */
    minMs?: number
    /** Default 5000, or `minMs` if that is more. */
    maxMs?: number
    /** A share of the pause, 0 to 1. Default 0.2. */
    jitter?: number
    /** A child that ran so long begins at `minMs` again. Default: the mean of `minMs` and `maxMs`. */
    resetAfterMs?: number
  }>
  /** A start that takes longer has failed. Default 30 000. */
  startTimeoutMs?: number
  /** Of a dynamic supervisor. Default 1 000 000. */
  maxChildren?: number
  /**
   * So many different children given up within the period, more than this share of those that run, are not each one's own fault: the
   * supervisor gives up. Default 10 and 0.3.
   */
  ceiling?: Readonly<{ children?: number; share?: number }>
}>

/** Flags with nothing left out. */
export type Policy = Readonly<{
  strategy: Strategy
  intensity: number
  periodMs: number
  backoff: Readonly<{ minMs: number; maxMs: number; jitter: number; resetAfterMs: number }>
  startTimeoutMs: number
  maxChildren: number
  ceiling: Readonly<{ children: number; share: number }>
}>

/** What of a child spec is data, with nothing left out. */
export type Terms = Readonly<{
  restart: Restart
  shutdown: Shutdown
  type: 'worker' | 'supervisor'
  vital: boolean
}>

/** The longest time a timer can be set to, some 24 days. */
const LONGEST_MS = 2 ** 31 - 1
const INTENSITY_MAX = 1000
const STRATEGIES: readonly Strategy[] = ['one-for-one', 'one-for-all', 'rest-for-one', 'dynamic']
const RESTARTS: readonly Restart[] = ['permanent', 'transient', 'temporary']
const TYPES: readonly Terms['type'][] = ['worker', 'supervisor']

const aName = aText(256)
const shutdown: Check = (value) =>
  value === 'brutal' || value === 'infinity' || whole(0, LONGEST_MS)(value) === null
    ? null
    : `must be brutal, infinity, or milliseconds up to ${LONGEST_MS}`

const SPEC_KEYS: Keys = {
  id: aName,
  start: aFunction,
  restart: oneOf(RESTARTS),
  shutdown,
  type: oneOf(TYPES),
  vital: aBoolean,
}
const NESTED_KEYS: Keys = { make: aFunction, begun: aFunction }
const INSTANCE_KEYS: Keys = { id: aName, args: anything }
const BACKOFF_KEYS: Keys = {
  minMs: whole(0, LONGEST_MS / 2),
  maxMs: whole(0, LONGEST_MS / 2),
  jitter: between(0, 1),
  resetAfterMs: whole(1, LONGEST_MS),
}
const CEILING_KEYS: Keys = { children: whole(1, LONGEST_MS), share: between(0, 1) }
const FLAG_KEYS: Keys = {
  strategy: oneOf(STRATEGIES),
  intensity: whole(0, INTENSITY_MAX),
  periodMs: whole(1, LONGEST_MS),
  backoff: anything,
  startTimeoutMs: whole(1, LONGEST_MS),
  maxChildren: whole(1, LONGEST_MS),
  ceiling: anything,
}

const wrongInSpec = (spec: unknown, at: string): string[] => {
  const { id, restart, vital } = (spec ?? {}) as Partial<ChildSpec>
  const what = typeof id === 'string' && id !== '' ? `child ${shown(id)}` : at
  const wrong = wrongIn(what, spec, SPEC_KEYS, ['id', 'start'])
  // Giving up is refusing a restart, and it never has one.
  if (restart === 'temporary' && vital === true)
    wrong.push(`${what} is vital and temporary; what is never restarted is never given up`)
  return wrong
}

const PORT_KEYS: Keys = {
  clock: anything,
  random: aFunction,
  report: aFunction,
  inspect: aFunction,
  name: aName,
}
const CLOCK_KEYS: Keys = { monotonic: aFunction, setTimeout: aFunction, soon: aFunction }

const wrongInFlags = (flags: Flags): string[] => {
  const wrong = [
    ...wrongIn('the supervisor', flags, FLAG_KEYS),
    ...(flags?.backoff === undefined ? [] : wrongIn('backoff', flags.backoff, BACKOFF_KEYS)),
    ...(flags?.ceiling === undefined ? [] : wrongIn('ceiling', flags.ceiling, CEILING_KEYS)),
  ]
  if (wrong.length > 0) return wrong
  const { minMs, maxMs } = policyOf(flags).backoff
  if (minMs > maxMs) wrong.push(`minMs of backoff is ${minMs} and must not be above maxMs, which is ${maxMs}`)
  if (flags.maxChildren !== undefined && flags.strategy !== 'dynamic')
    wrong.push('the supervisor has maxChildren, which only a dynamic one may have')
  return wrong
}

const wrongInAll = (strategy: Strategy | undefined, specs: unknown): string[] => {
  if (!Array.isArray(specs)) return [`the children are ${shown(specs)} and must be a list`]
  const ids = specs.map((spec) => (spec as Partial<ChildSpec> | null | undefined)?.id)
  const twice = new Set(ids.filter((id, at) => id !== undefined && ids.indexOf(id) !== at))
  return [
    ...(strategy === 'dynamic' && specs.length !== 1
      ? [`a dynamic supervisor has one template, and this one has ${specs.length}`]
      : []),
    ...specs.flatMap((spec, at) => wrongInSpec(spec, `child ${at + 1}`)),
    ...[...twice].map((id) => `two children are called ${shown(id)}`),
  ]
}

/** What a supervisor stands on may be more than it needs. */
const wrongInPorts = (ports: unknown): string[] => {
  const wrong = wrongIn('ports', ports, PORT_KEYS, ['clock', 'random'], 'others')
  const { clock } = (ports ?? {}) as Readonly<{ clock?: unknown }>
  return clock === undefined
    ? wrong
    : [...wrong, ...wrongIn('clock of ports', clock, CLOCK_KEYS, Object.keys(CLOCK_KEYS), 'others')]
}

const refuse = (wrong: readonly string[]): void => {
  if (wrong.length > 0) throw new TenutoError('SUPERVISION_INVALID', { wrong: wrong.join('; '), all: wrong })
}

/**
 * Checks a supervisor before it starts anything.
 * @throws {TenutoError} `SUPERVISION_INVALID` with every mistake.
 */
export const checkSupervisor = (flags: Flags, specs: readonly ChildSpec<never>[], ports: unknown): void => {
  refuse([...wrongInFlags(flags), ...wrongInAll(flags?.strategy, specs), ...wrongInPorts(ports)])
}

/**
 * Checks a child before it is added.
 * @throws {TenutoError} `SUPERVISION_INVALID` with every mistake.
 */
export const checkChild = (strategy: Strategy, child: unknown): void => {
  refuse(
    strategy === 'dynamic'
      ? wrongIn('the child', child, INSTANCE_KEYS, ['id'])
      : wrongInSpec(child, 'the child'),
  )
}

/**
 * Checks a supervisor that is to be a child, but for its terms, which are checked with those of its siblings.
 * @throws {TenutoError} `SUPERVISION_INVALID` with every mistake.
 */
export const checkNested = (nested: unknown): void => {
  const { id } = (nested ?? {}) as Partial<ChildSpec>
  const what = typeof id === 'string' && id !== '' ? `child ${shown(id)}` : 'the child'
  refuse(wrongIn(what, nested, NESTED_KEYS, ['make'], 'others'))
}

/**
 * Checks what a supervisor is to call.
 * @throws {TenutoError} `SUPERVISION_INVALID`.
 */
export const checkFunction = (what: string, value: unknown): void => {
  const why = aFunction(value)
  if (why !== null) refuse([`${what} is ${shown(value)} and ${why}`])
}

/** Flags with their defaults. */
export const policyOf = (flags: Flags): Policy => {
  const { strategy = 'one-for-one' } = flags
  const [intensity, periodMs] = strategy === 'dynamic' ? [5, 60_000] : [3, 5_000]
  const { backoff = {} } = flags
  const minMs = backoff.minMs ?? Math.min(50, backoff.maxMs ?? 50)
  const maxMs = backoff.maxMs ?? Math.max(5_000, minMs)
  return {
    strategy,
    intensity: flags.intensity ?? intensity,
    periodMs: flags.periodMs ?? periodMs,
    backoff: {
      minMs,
      maxMs,
      jitter: backoff.jitter ?? 0.2,
      resetAfterMs: backoff.resetAfterMs ?? Math.max(1, (minMs + maxMs) / 2),
    },
    startTimeoutMs: flags.startTimeoutMs ?? 30_000,
    maxChildren: flags.maxChildren ?? 1_000_000,
    ceiling: { children: flags.ceiling?.children ?? 10, share: flags.ceiling?.share ?? 0.3 },
  }
}

/** The terms of a child with their defaults. */
export const termsOf = (strategy: Strategy, spec: Omit<ChildSpec<never>, 'start'>): Terms => {
  const { type = 'worker' } = spec
  return {
    restart: spec.restart ?? 'permanent',
    shutdown: spec.shutdown ?? (type === 'supervisor' ? 'infinity' : 5_000),
    type,
    vital: spec.vital ?? (strategy === 'one-for-all' || strategy === 'rest-for-one'),
  }
}
