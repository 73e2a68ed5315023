/**
 * The canonical plan: what a plan file or `definePlan` compiles to, what the journal stores, and what runs. Everything is
 * decided in it: defaults merged, durations in milliseconds, needs checked, no cycle.
 */
import { createHash } from 'node:crypto'
import { TenutoError } from './errors.ts'
import { canonical, type Json } from './json.ts'

/** What a job asks of one of its needs: success; any end; or success or skipped. */
export type Need = 'success' | 'any' | 'skipped-ok'

/** When a failed attempt is tried again. `max` counts retries after the first attempt, within a generation. */
export type RetryPolicy = Readonly<{
  max: number
  delayMs: number
  factor: number
  maxDelayMs: number
  /** Each delay is multiplied by 1 + random × jitter. */
  jitter: number
  /** Attempt outcomes, or `exit:CODE`. */
  on: readonly string[]
}>

/** What follows an attempt whose end was not seen. */
export type OnLost = 'hold' | 'retry' | 'fail'

/** A question that only a person answers. */
export type Gate = Readonly<{
  prompt: string
  /** How long an answer is waited for, from the release of the job; absent: for ever. */
  timeoutMs?: number
  /** What the lack of an answer means then; absent: no. */
  onTimeout?: 'approve'
}>

/** One job. Optional fields are absent when they have their default. */
export type JobDefinition = Readonly<{
  kind: 'run' | 'exec' | 'call' | 'approve'
  needs: Readonly<Record<string, Need>>
  /** Shell text; `kind` is `run`. */
  run?: string
  /** `bash` runs `bash -euo pipefail`; absent runs `sh -eu`. */
  shell?: 'sh' | 'bash'
  /** Program and arguments; `kind` is `exec`. */
  exec?: readonly string[]
  /** The name of a handler of the embedding program; `kind` is `call`. */
  call?: string
  with?: Json
  /** Asked of a person; `kind` is `approve`. Such a job has no attempts and takes no slot. */
  approve?: Gate
  env?: Readonly<Record<string, string>>
  /** Names of secrets it gets beside those of the plan, sorted. */
  secrets?: readonly string[]
  /** Absolute, or relative to the plan's base folder. */
  cwd?: string
  timeoutMs?: number
  deadlineMs?: number
  stallMs?: number
  graceMs: number
  /** Absent: never retried. */
  retry?: RetryPolicy
  onLost: OnLost
  optional?: true
}>

/** A compiled plan. */
export type Definition = Readonly<{
  version: 1
  name: string
  maxParallel: number
  onFailure: 'continue' | 'stop' | 'pause'
  env: Readonly<Record<string, string>>
  /** Names of secrets that every job gets, sorted. */
  secrets?: readonly string[]
  /** In the order of the file. */
  jobs: Readonly<Record<string, JobDefinition>>
}>

/** The hash of a compiled plan: equal plans have equal hashes, whatever the order of keys in their files. */
export const definitionHash = (definition: Definition): string =>
  createHash('sha256')
    .update(canonical(definition as unknown as Json))
    .digest('hex')

/** The longest idempotency key, in characters. */
const KEY_MAX = 200

/** Why a value cannot be the idempotency key of a plan; undefined when it can. */
export const badKey = (key: unknown): TenutoError | undefined => {
  if (typeof key === 'string' && key !== '' && key.length <= KEY_MAX) return undefined
  const what = `key is ${JSON.stringify(key)}; it must be a text of 1 to ${KEY_MAX} characters`
  return new TenutoError('USAGE', { what })
}
