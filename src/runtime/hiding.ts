/**
 * What keeps the secrets of plans out of everything that is stored or told: what attempts report, and what people write, is masked
 * before it becomes a message.
 */
import type { AttemptNews, AttemptRef, TellAttempt } from '../actors/attempts.ts'
import type { Host } from '../actors/contract.ts'
import type { Catalog } from '../catalog.ts'
import type { Asker } from '../command.ts'
import type { JobDefinition } from '../definition.ts'
import { isTenutoError, TenutoError } from '../errors.ts'
import type { Json, JsonObject } from '../json.ts'
import {
  badSecret,
  blank,
  checkNotInClear,
  type SecretValues,
  secretPlaces,
  secretsOf,
  type Vault,
} from '../secrets.ts'
import type { Runtime } from './contract.ts'
import { checkSecrets } from './options.ts'

/** What hiding stands on. */
export type HidingPorts = Readonly<{
  vault: Vault
  reading: Pick<Catalog, 'definition' | 'secrets' | 'jobs'>
  residents: () => Host['residents']
}>

/** The secrets of the plans of a runtime. */
export type Hiding = Readonly<{
  /**
   * The values that a job gets.
   * @throws {TenutoError} `SECRETS_GONE`.
   */
  of: (ref: AttemptRef) => SecretValues
  /** Tells what attempts report, masked. */
  telling: (tell: TellAttempt) => TellAttempt
  /** What a job has written, before it is cut up. Where values are gone it is as it was, and nothing of it is told. */
  written: (plan: string, text: string) => string
  masked: Runtime['masked']
  /** Who asks something of the home itself, and why, without the secrets of any plan. */
  asker: <Asked extends Asker>(asked: Asked) => Asked
  give: Runtime['giveSecrets']
}>

const asItIs = (value: Json): Json => value

/** Of what an attempt reports, all that a job has written or may have. */
const WRITTEN = ['error', 'warnings', 'outputs'] as const

/** Hides the secrets of plans. */
export const hiding = ({ vault, reading, residents }: HidingPorts): Hiding => {
  /** Where a value is gone that may be in it, nothing of a text is shown. */
  const masker = (
    plan: string,
    definition: Parameters<Vault['masking']>[1],
    withoutValues = blank,
  ): ((value: Json) => Json) => {
    try {
      const mask = vault.masking(plan, definition)
      return mask.reach === 0 ? asItIs : mask.value
    } catch (error) {
      if (isTenutoError(error, 'SECRETS_GONE')) return withoutValues
      throw error
    }
  }
  const newsOf = (plan: string, job: string, news: AttemptNews): AttemptNews => {
    if (news.type !== 'attempt.ended') return news
    const definition = residents().get(plan)?.definition
    // No file is looked for where none can be: this is asked at every end of an attempt.
    if (definition !== undefined && secretPlaces(definition).size === 0) return news
    // What is said of an attempt that was never started are our own words.
    const withoutValues = news.outcome === 'never-started' ? asItIs : blank
    const mask = vault.isWithheld(plan, job, news.attempt)
      ? withoutValues
      : masker(plan, definition, withoutValues)
    if (mask === asItIs) return news
    const found = WRITTEN.flatMap((name) => (news[name] === undefined ? [] : [[name, mask(news[name])]]))
    return { ...news, ...(Object.fromEntries(found) as JsonObject) }
  }
  const checkGiven = async (plan: string, values: SecretValues): Promise<void> => {
    checkSecrets(values)
    const definition = await reading.definition(plan)
    const places = secretPlaces(definition)
    const unknown = Object.keys(values).find((name) => !places.has(name))
    if (unknown !== undefined) throw notNamed(plan, unknown, [...places.keys()])
    for (const [name, value] of Object.entries(values)) {
      const why = badSecret(value)
      if (why !== undefined) throw new TenutoError('SECRET_UNUSABLE', { name, place: places.get(name), why })
    }
    checkNotInClear(values, definition as unknown as Json)
  }
  /** The last attempts of jobs that may have had values which are lost. Whoever gives values may give others than those were. */
  const attemptsWithLost = async (plan: string): Promise<Readonly<Record<string, number>>> => {
    if ((await reading.secrets(plan)).every(({ kept }) => kept)) return {}
    const begun = (await reading.jobs(plan)).filter(({ attempt }) => attempt > 0)
    return Object.fromEntries(begun.map(({ name, attempt }) => [name, attempt]))
  }

  return {
    of: ({ resident: { id, definition }, job }) =>
      vault.values(id, secretsOf(definition, definition.jobs[job] as JobDefinition)),
    telling: (tell) => (plan, job, news) => tell(plan, job, newsOf(plan, job, news)),
    written: (plan, text) => masker(plan, residents().get(plan)?.definition, asItIs)(text) as string,
    masked: async (plan, text) => {
      if (plan === null) return vault.hide(text)
      const definition = await reading.definition(plan).catch(() => undefined)
      // It may be about another plan of the home, too.
      return vault.hide(masker(plan, definition)(text) as string)
    },
    asker: (asked) => ({
      ...asked,
      ...(asked.by === undefined ? {} : { by: vault.hide(asked.by) }),
      ...(asked.why === undefined ? {} : { why: vault.hide(asked.why) }),
    }),
    give: async (plan, values) => {
      await checkGiven(plan, values)
      if (Object.keys(values).length > 0) vault.keep(plan, values, await attemptsWithLost(plan))
      return reading.secrets(plan)
    },
  }
}

const notNamed = (plan: string, name: string, names: readonly string[]): TenutoError => {
  const named = names.length === 0 ? 'no secrets' : names.join(', ')
  return new TenutoError('USAGE', {
    what: `${plan} names ${named}; there is no secret ${JSON.stringify(name)} of it`,
  })
}
