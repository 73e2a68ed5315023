/**
 * The canonical plan: what a plan file or `definePlan` compiles to, what the journal stores, and what runs. Everything is
 * decided in it: defaults merged, durations in milliseconds, needs checked, no cycle.
 */
import { createHash } from 'node:crypto'
import { TenutoError } from './errors.ts'
import { canonical, type Json } from './json.ts'
import {
  about,
  json,
  list,
  named,
  number,
  type Of,
  object,
  oneOf,
  record,
  type Schema,
  text,
  whole,
  yes,
} from './json-schema.ts'

/** What a job asks of one of its needs: success; any end; or success or skipped. */
export type Need = (typeof NEEDS)[number]
const NEEDS = ['success', 'any', 'skipped-ok'] as const

const retryPolicy = about(
  'When a failed attempt is tried again; absent: never.',
  object({
    max: about('Retries after the first attempt, within a generation.', whole()),
    delayMs: number,
    factor: number,
    maxDelayMs: number,
    jitter: about('Each delay is multiplied by 1 + random × jitter.', number),
    on: about('Attempt outcomes, or `exit:CODE`.', list(text())),
  }),
)
/** When a failed attempt is tried again. `max` counts retries after the first attempt, within a generation. */
export type RetryPolicy = Of<typeof retryPolicy>

/** Whether a policy tries again what ended so, while it has retries left. */
export const isRetried = (
  { on }: RetryPolicy,
  { outcome, code }: Readonly<{ outcome: string | null; code: number | null }>,
): boolean => on.some((each) => each === outcome || (outcome === 'exit' && each === `exit:${code}`))

const onLost = about('What follows an attempt whose end was not seen.', oneOf(['hold', 'retry', 'fail']))
/** What follows an attempt whose end was not seen. */
export type OnLost = Of<typeof onLost>

const gate = about(
  'Asked of a person; `kind` is `approve`. Such a job has no attempts and takes no slot.',
  object(
    { prompt: text() },
    {
      timeoutMs: about(
        'How long an answer is waited for, from the release of the job; absent: for ever.',
        number,
      ),
      onTimeout: about('What the lack of an answer means then; absent: no.', oneOf(['approve'])),
    },
  ),
)
/** A question that only a person answers. */
export type Gate = Of<typeof gate>

const jobDefinition = named(
  'JobDefinition',
  object(
    {
      kind: oneOf(['run', 'exec', 'call', 'approve']),
      needs: record(oneOf(NEEDS)),
      graceMs: number,
      onLost,
    },
    {
      run: about('Shell text; `kind` is `run`.', text()),
      shell: about('`bash` runs `bash -euo pipefail`; absent runs `sh -eu`.', oneOf(['sh', 'bash'])),
      exec: about('Program and arguments; `kind` is `exec`.', list(text())),
      call: about('The name of a handler of the embedding program; `kind` is `call`.', text()),
      with: json,
      approve: gate,
      env: record(text()),
      secrets: about('Names of secrets it gets beside those of the plan, sorted.', list(text())),
      cwd: about("Absolute, or relative to the plan's base folder.", text()),
      timeoutMs: number,
      deadlineMs: number,
      stallMs: number,
      retry: retryPolicy,
      optional: yes,
    },
  ),
)
/** One job. Optional fields are absent when they have their default. */
export type JobDefinition = Of<typeof jobDefinition>

/** What a compiled plan is. */
export const definitionSchema = named(
  'Definition',
  object(
    {
      version: { type: 'integer', enum: [1] } as Schema<1>,
      name: text(),
      maxParallel: whole(),
      onFailure: oneOf(['continue', 'stop', 'pause']),
      env: record(text()),
      jobs: about('In the order of the file.', record(jobDefinition)),
    },
    { secrets: about('Names of secrets that every job gets, sorted.', list(text())) },
  ),
)
/** A compiled plan. */
export type Definition = Of<typeof definitionSchema>

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
