/**
 * Plans written in TypeScript: the keys of a plan file, with types that know the names of the jobs.
 */
import type { Definition, Need } from '../definition.ts'
import type { Json } from '../json.ts'
import { compile } from './compile.ts'
import type { Duration } from './duration.ts'
import { guesser, type PlanError, type Problem, planInvalid, toPlanError } from './problem.ts'
import { planSource } from './source.ts'

/** When a failed attempt is tried again. */
export type RetrySource = Readonly<{
  /** Retries after the first attempt; default 0. */
  max?: number
  /** Before the first retry; default `1s`. */
  delay?: Duration
  /** Each delay is the one before times this; default 2. */
  factor?: number
  /** No delay is longer, but for its random part; default `5m`. */
  maxDelay?: Duration
  /** Each delay is lengthened by a random part of at most this share of it; default 0.2. */
  jitter?: number
  /** How an attempt must have ended to be tried again; default exit, signal, timeout, stall. */
  on?: readonly RetryCause[]
}>

/** How an attempt ended that may be tried again. */
export type RetryCause =
  | 'exit'
  | 'signal'
  | 'timeout'
  | 'stall'
  | 'spawn-error'
  | 'log-limit'
  | `exit:${number}`

type EveryJob = Readonly<{
  /** The longest time one attempt may take; default none. */
  timeout?: Duration
  /** The longest time from release to the end, over all attempts and waits but those in a pause of the plan; default none. */
  deadline?: Duration
  /** Between asking an attempt to stop (TERM) and making it (KILL); default `10s`. */
  grace?: Duration
  retry?: RetrySource
  /** What follows an attempt whose end nobody saw; default `hold`, for `call` `retry`. */
  onLost?: 'hold' | 'retry' | 'fail'
  /** Its failure does not fail the plan; default false. */
  optional?: boolean
  /** Names of variables of whoever submits the plan: it gets their values, and nobody is shown them. They add to those of the plan. */
  secrets?: readonly string[]
}>

type ProcessJob = EveryJob &
  Readonly<{
    /** Environment variables; they add to those of the plan. */
    env?: Readonly<Record<string, string>>
    /** The folder to run in, absolute or relative to the plan's own. */
    cwd?: string
    /** The longest silence of one attempt; default none. */
    stall?: Duration
  }>

type NeedsOf<Name extends string> = Readonly<{
  /** The jobs before: a list (all must succeed), or a map that says for each what is asked of it. */
  needs?: readonly Name[] | Readonly<Partial<Record<Name, Need>>>
}>

/** A job that runs shell text. */
export type RunSource<Name extends string = string> = NeedsOf<Name> &
  ProcessJob &
  Readonly<{ run: string; shell?: 'sh' | 'bash'; exec?: never; call?: never; with?: never }>

/** A job that runs a program with its arguments. */
export type ExecSource<Name extends string = string> = NeedsOf<Name> &
  ProcessJob &
  Readonly<{ exec: readonly [string, ...string[]]; run?: never; shell?: never; call?: never; with?: never }>

/** A job that calls a handler of the embedding program. */
export type CallSource<Name extends string = string> = NeedsOf<Name> &
  EveryJob &
  Readonly<{
    call: string
    /** The handler's input. */
    with?: Json
    run?: never
    shell?: never
    exec?: never
    env?: never
    cwd?: never
    stall?: never
  }>

/** A question to a person. It has no attempts and takes no slot. */
export type ApproveSource<Name extends string = string> = NeedsOf<Name> &
  Readonly<{
    approve: Readonly<{
      /** What is asked, at most 10 000 characters. */
      prompt: string
      /** How long an answer is waited for; default for ever. */
      timeout?: Duration
      /** What no answer means when that time is over; default `reject`. */
      onTimeout?: 'reject' | 'approve'
    }>
    /** Its failure does not fail the plan; default false. */
    optional?: boolean
    secrets?: never
    run?: never
    exec?: never
    call?: never
  }>

/** A job: exactly one of `run`, `exec`, `call` and `approve`, and the jobs it needs. */
export type JobSource<Name extends string = string> =
  | RunSource<Name>
  | ExecSource<Name>
  | CallSource<Name>
  | ApproveSource<Name>

/** A plan as a program writes it. The keys of `Jobs` are the names of its jobs. */
export type PlanSource<Jobs = Readonly<Record<string, unknown>>> = Readonly<{
  plan?: 'v1'
  /** Default `plan`, or for a plan file the name of the file. */
  name?: string
  /** Jobs of this plan that run at once; default 10. */
  maxParallel?: number
  onFailure?: 'continue' | 'stop' | 'pause'
  env?: Readonly<Record<string, string>>
  /** Names of secrets that every job gets. */
  secrets?: readonly string[]
  /** Merged key by key into each job that has no such key. */
  defaults?: ProcessJob & Readonly<{ shell?: 'sh' | 'bash' }>
  jobs: { readonly [Job in keyof Jobs]: JobSource<NameIn<Jobs>> }
}>

/** The names of jobs as far as the compiler knows them; all names, where a program made some. */
type NameIn<Jobs> = string extends keyof Jobs ? string : keyof Jobs & string

/** Marks a definition whose plan had no name of its own, so that its file can name it. */
export const UNNAMED: unique symbol = Symbol.for('tenuto.unnamed')

const told = (problems: readonly Problem[], more: number): Error => {
  const guess = guesser()
  const nowhere = { file: null, line: null, column: null }
  const errors: PlanError[] = problems.slice(0, 1000).map((problem) => toPlanError(problem, nowhere, guess))
  return planInvalid(errors, problems.length + more)
}

/** What was compiled here needs no other check. */
const known = new WeakSet<object>()

/**
 * Compiles a plan written in a program. A need that names no job, and a job with two kind keys, are compile errors.
 * @throws {TenutoError} PLAN_INVALID with every error when the plan is wrong.
 * @example
 * const plan = definePlan({
 *   name: 'thumbs',
 *   jobs: { list: { run: 'ls > list' }, count: { needs: ['list'], exec: ['wc', '-l', 'list'] } },
 * })
 */
export const definePlan = <Jobs>(source: PlanSource<Jobs>): Definition => {
  const compiled = compile(source, { origin: 'program', name: 'plan' })
  if (!compiled.ok) throw told(compiled.problems, compiled.more)
  const { definition } = compiled
  known.add(definition)
  if (source.name === undefined) Object.defineProperty(definition, UNNAMED, { value: true })
  return definition
}

/**
 * Checks a definition that this process has not compiled, by the rules of plan files, and answers it.
 * @throws {TenutoError} PLAN_INVALID with every error when it is none.
 */
export const checkDefinition = (value: unknown): Definition => {
  if (typeof value === 'object' && value !== null && known.has(value)) return value as Definition
  const compiled = compile(planSource(value), { origin: 'program', name: 'plan' })
  if (!compiled.ok) throw told(compiled.problems, compiled.more)
  known.add(compiled.definition)
  return compiled.definition
}
