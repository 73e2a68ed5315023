/**
 * The values of secrets that plans name. They are in no journal: each plan has a file of its own in `secrets/` of the home, for its user
 * alone, as long as its logs are kept, since logs are masked by these values.
 */
import { lstatSync, readdirSync, rmSync, type Stats, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { folderName } from './attempt.ts'
import type { Definition, JobDefinition } from './definition.ts'
import { TenutoError } from './errors.ts'
import { homePaths } from './home.ts'
import { makeFolders } from './home-place.ts'
import { isObject, isString, type Json, readObject } from './json.ts'
import { joined, MASK, type Masking, masked, masking, SECRET_CHARACTERS_LEAST } from './masking.ts'
import { readWhole, unwritten, writeWhole } from './whole-file.ts'

/** Values by the names of their secrets. */
export type SecretValues = Readonly<Record<string, string>>

/** What is kept of one plan. */
type Kept = Readonly<{
  values: SecretValues
  /** Values that were replaced: they stand in older logs. */
  former: readonly string[]
  /** Of each job the last attempt that may have had values which are lost: nothing masks what it wrote. */
  withheld: Attempts
}>

/** Numbers of attempts by the names of their jobs. */
type Attempts = Readonly<Record<string, number>>

/** The largest value, in bytes; Linux takes variables of 128 kB. */
const VALUE_BYTES_MAX = 65_536
const VERSION = 1

/** Where the values of a plan are. */
export const secretsFile = (home: string, plan: string): string =>
  join(homePaths(home).secrets, `${folderName(plan)}.json`)

/** The names of secrets that a job gets: its own and the plan's. */
export const secretsOf = (definition: Definition, job: JobDefinition): readonly string[] =>
  job.kind === 'approve' ? [] : [...new Set([...(definition.secrets ?? []), ...(job.secrets ?? [])])]

/** Every secret that a plan names, with the place that names it first. */
export const secretPlaces = (definition: Definition): ReadonlyMap<string, string> => {
  const known = PLACES.get(definition)
  if (known !== undefined) return known
  const places = new Map<string, string>()
  for (const name of definition.secrets ?? []) places.set(name, 'secrets')
  for (const [job, { secrets = [] }] of Object.entries(definition.jobs))
    for (const name of secrets) if (!places.has(name)) places.set(name, `jobs.${job}.secrets`)
  PLACES.set(definition, places)
  return places
}
/** Asked at every end of an attempt. */
const PLACES = new WeakMap<Definition, ReadonlyMap<string, string>>()

/** Why a value cannot be a secret; undefined when it can. Says nothing of the value but its length. */
export const badSecret = (value: unknown): string | undefined => {
  if (typeof value !== 'string') return 'is no text'
  if (value.trim().length < SECRET_CHARACTERS_LEAST)
    return `has ${value.trim().length} characters, and fewer than ${SECRET_CHARACTERS_LEAST} cannot be masked`
  if (value.includes('\0')) return 'has a NUL character, which no variable can hold'
  if (value.includes('\uFFFD') || !value.isWellFormed()) return 'has bytes that are no UTF-8'
  const bytes = Buffer.byteLength(value)
  return bytes > VALUE_BYTES_MAX ? `has ${bytes} bytes; it may have ${VALUE_BYTES_MAX}` : undefined
}

/**
 * The values of what a plan names, out of those that were given. More may be given. `file` is where the plan stands.
 * @throws {TenutoError} `SECRET_MISSING` with the first name that has none, and how many others; `SECRET_UNUSABLE`.
 */
export const chooseSecrets = (
  definition: Definition,
  given: Readonly<Record<string, string | undefined>>,
  file?: string,
): SecretValues => {
  const named = [...secretPlaces(definition)]
  const places = new Map(named.map(([name, at]) => [name, file === undefined ? at : `${at} of ${file}`]))
  const valueOf = (name: string): string => (Object.hasOwn(given, name) ? (given[name] ?? '') : '')
  const missing = [...places.keys()].filter((name) => valueOf(name) === '')
  const [first] = missing
  if (first !== undefined)
    throw new TenutoError('SECRET_MISSING', {
      name: first,
      place: places.get(first),
      more: missing.length === 1 ? '' : `; nor for ${missing.slice(1).join(', ')}`,
      names: missing,
    })
  const chosen = Object.fromEntries([...places.keys()].map((name) => [name, valueOf(name)]))
  for (const [name, value] of Object.entries(chosen)) {
    const why = badSecret(value)
    if (why !== undefined) throw new TenutoError('SECRET_UNUSABLE', { name, place: places.get(name), why })
  }
  return chosen
}

/**
 * Refuses what would be stored in clear although it is a secret.
 * @throws {TenutoError} `SECRET_IN_CLEAR` with the name, and where its value stands.
 */
export const checkNotInClear = (values: SecretValues, stored: Json): void => {
  // In its text a value stands as JSON, which is one of the forms that are looked for. A large plan has many texts.
  if (masking(Object.values(values)).runs(Buffer.from(JSON.stringify(stored))).length === 0) return
  for (const [name, value] of Object.entries(values)) {
    const place = placeOf(masking([value]), stored, '')
    if (place !== undefined) throw new TenutoError('SECRET_IN_CLEAR', { name, place })
  }
}

const placeOf = (mask: Masking, value: Json, at: string): string | undefined => {
  if (typeof value !== 'object' || value === null)
    return mask.text(String(value)) === String(value) ? undefined : at
  for (const [key, item] of Object.entries(value)) {
    const named = mask.text(key)
    const inside = at === '' ? named : `${at}.${named}`
    const place = named === key ? placeOf(mask, item as Json, inside) : inside
    if (place !== undefined) return place
  }
  return undefined
}

/** The secrets of a home. */
export type Vault = Readonly<{
  /**
   * Keeps the values of a plan, on the medium when it returns; the values they replace stay masked. Where others were lost, `before`
   * are the last attempts of its jobs that may have had them.
   */
  keep: (plan: string, values: SecretValues, before?: Attempts) => void
  /** Whether an attempt may have had values that are lost. */
  isWithheld: (plan: string, job: string, attempt: number) => boolean
  /**
   * The values of these secrets of a plan.
   * @throws {TenutoError} `SECRETS_GONE` when one of them is not there.
   */
  values: (plan: string, names: readonly string[]) => SecretValues
  /** The names of the secrets of a plan that are there. */
  names: (plan: string) => readonly string[]
  /**
   * What masks the secrets of a plan; without its definition, those that are there.
   * @throws {TenutoError} `SECRETS_GONE` when one of those that the plan names is not there.
   */
  masking: (plan: string, definition?: Definition) => Masking
  /** A text without the secrets of any plan that is here, nor the token of the home. */
  hide: (text: string) => string
  /**
   * Refuses what would be stored in clear although it has the token of the home in it.
   * @throws {TenutoError} `TOKEN_IN_CLEAR` with its place.
   */
  checkNoToken: (stored: Json) => void
  /** Forgets the secrets of a plan. Idempotent. */
  drop: (plan: string) => void
}>

const NOTHING: Masking = masking([])

/** The plans that are asked for at once are few. */
const REMEMBERED_MAX = 64
/** So many values are looked for at once: what is looked for of each takes a few times its size. */
const HIDDEN_AT_ONCE = 256
/** What is looked for of all values of a home is kept up to this; of more it is found out anew each time. */
const KEPT_BYTES_MAX = 262_144

/** Of many values, so many at once; each time it is gone through anew. */
const masksOf = (values: readonly string[]): Iterable<Masking> => ({
  *[Symbol.iterator]() {
    for (let at = 0; at < values.length; at += HIDDEN_AT_ONCE)
      yield masking(values.slice(at, at + HIDDEN_AT_ONCE))
  },
})

/** More than any token has. */
const TOKEN_BYTES_MAX = 1_000

/**
 * What masks the token of a home: a secret of no plan, by which everything may be asked. Looked for anew each time, since whoever serves
 * the home makes it; nothing where there is none.
 */
export const tokenMasking = (home: string): (() => Masking) => {
  const path = homePaths(home).token
  let known: Readonly<{ stamp: string; mask: Masking }> | undefined
  return () => {
    const stats = statsOf(path)
    if (!stats?.isFile() || stats.size > TOKEN_BYTES_MAX) return NOTHING
    const stamp = `${stats.ino} ${stats.mtimeMs} ${stats.size}`
    if (known?.stamp !== stamp) known = { stamp, mask: masking([tokenIn(path)]) }
    return known.mask
  }
}

/** What cannot be read here lets nobody in, either. */
const tokenIn = (path: string): string => {
  try {
    return readWhole(path).trim()
  } catch {
    return ''
  }
}

/** The secrets of a home; nothing is made before there is something to keep. */
export const vault = (home: string): Vault => {
  const token = tokenMasking(home)
  type Remembered = Readonly<{ stamp: string; kept: Kept; mask: Masking }>
  const remembered = new Map<string, Remembered>()

  /** Another process may have written the file since. */
  const look = (plan: string): Remembered | undefined => {
    const path = secretsFile(home, plan)
    const stats = statsOf(path)
    if (stats === undefined) return undefined
    const stamp = `${stats.ino} ${stats.mtimeMs} ${stats.size}`
    const before = remembered.get(plan)
    if (before?.stamp === stamp) return before
    const kept = readKept(path)
    if (kept === undefined) return undefined
    const now = { stamp, kept, mask: masking([...Object.values(kept.values), ...kept.former]) }
    if (remembered.size >= REMEMBERED_MAX) remembered.clear()
    remembered.set(plan, now)
    return now
  }
  let all: Readonly<{ stamp: string; masks: Iterable<Masking> }> | undefined
  /** The masking of every value. Every file that is written is put in its place, which the folder tells. */
  const every = (): Iterable<Masking> => {
    const stats = statsOf(homePaths(home).secrets)
    if (stats === undefined) return []
    const stamp = `${stats.ino} ${stats.mtimeMs}`
    if (all?.stamp !== stamp) {
      const kept = secretPaths(home).slice(1).map(readKept)
      const values = kept.flatMap((each) => (each ? [...Object.values(each.values), ...each.former] : []))
      const masks = masksOf([...new Set(values)])
      const bytes = values.reduce((sum, value) => sum + Buffer.byteLength(value), 0)
      // What is looked for of a value takes a tenth of a millisecond to find out, and many times its size.
      all = { stamp, masks: bytes > KEPT_BYTES_MAX ? masks : [...masks] }
    }
    return all.masks
  }
  const gone = (plan: string, names: readonly string[]): TenutoError =>
    new TenutoError('SECRETS_GONE', { plan, names: names.join(', ') })
  const missing = (kept: Kept | undefined, names: readonly string[]): readonly string[] =>
    names.filter((name) => !Object.hasOwn(kept?.values ?? {}, name))

  return {
    keep: (plan, values, attempts = {}) => {
      const before = look(plan)?.kept ?? { values: {}, former: [], withheld: {} }
      const replaced = Object.entries(before.values).flatMap(([name, value]) =>
        Object.hasOwn(values, name) && values[name] !== value ? [value] : [],
      )
      const kept: Kept = {
        values: { ...before.values, ...values },
        former: [...new Set([...before.former, ...replaced])],
        withheld: { ...before.withheld, ...attempts },
      }
      writeKept(secretsFile(home, plan), kept)
      // Two writes may follow one another faster than the time of the folder goes on.
      all = undefined
    },
    isWithheld: (plan, job, attempt) => {
      const { withheld = {} } = look(plan)?.kept ?? {}
      return Object.hasOwn(withheld, job) && attempt <= (withheld[job] ?? 0)
    },
    values: (plan, names) => {
      if (names.length === 0) return {}
      const kept = look(plan)?.kept
      const lacking = missing(kept, names)
      if (lacking.length > 0) throw gone(plan, lacking)
      return Object.fromEntries(names.map((name) => [name, kept?.values[name] as string]))
    },
    names: (plan) => Object.keys(look(plan)?.kept.values ?? {}),
    masking: (plan, definition) => {
      if (definition === undefined) return look(plan)?.mask ?? NOTHING
      const names = [...secretPlaces(definition).keys()]
      if (names.length === 0) return NOTHING
      const found = look(plan)
      const lacking = missing(found?.kept, names)
      if (found === undefined || lacking.length > 0) throw gone(plan, lacking)
      return found.mask
    },
    hide: (text) => {
      const bytes = Buffer.from(text)
      const found: ReturnType<Masking['runs']>[number][] = []
      for (const mask of [token(), ...every()]) found.push(...mask.runs(bytes))
      return found.length === 0 ? text : masked(bytes, 0, joined(found)).toString()
    },
    checkNoToken: (stored) => {
      const mask = token()
      if (mask.reach === 0 || mask.runs(Buffer.from(JSON.stringify(stored))).length === 0) return
      throw new TenutoError('TOKEN_IN_CLEAR', { place: placeOf(mask, stored, '') })
    },
    drop: (plan) => {
      remembered.delete(plan)
      dropSecrets(home, plan)
    },
  }
}

/** Forgets the secrets of a plan. Idempotent. */
export const dropSecrets = (home: string, plan: string): void =>
  rmSync(secretsFile(home, plan), { force: true })

/**
 * The plans that have secrets here, and files that were never finished, by the names of their files; since when, in epoch ms. What else
 * lies among them is nobody's to remove.
 */
export const keptSecrets = (
  home: string,
): readonly Readonly<{ plan: string; path: string; since: number }>[] =>
  secretPaths(home)
    .slice(1)
    .flatMap((path) => {
      const stats = lstatSync(path, { throwIfNoEntry: false })
      if (!stats?.isFile() || !(isUnfinished(path) || (path.endsWith('.json') && readKept(path)))) return []
      return [{ plan: basename(path).replace(/\.json(?:\.new)?$/, ''), path, since: stats.mtimeMs }]
    })

/** A crash may have cut it off anywhere. */
const isUnfinished = (path: string): boolean => {
  if (!path.endsWith('.json.new')) return false
  const text = readWhole(path)
  return text.startsWith(BEGINNING) || BEGINNING.startsWith(text)
}
const BEGINNING = JSON.stringify({ v: VERSION }).replace(/}$/, ',')

/** What cannot be masked because a value is gone is not shown at all: its texts are `***`. */
export const blank = (value: Json): Json => {
  if (typeof value === 'string') return MASK
  if (typeof value !== 'object' || value === null) return value
  return Array.isArray(value) ? [MASK] : { [MASK]: MASK }
}

/** The folders and files of a home that hold secrets, and what lies among them. */
export const secretPaths = (home: string): readonly string[] => {
  const { secrets } = homePaths(home)
  if (statSync(secrets, { throwIfNoEntry: false })?.isDirectory() !== true) return []
  return [secrets, ...readdirSync(secrets).map((name) => join(secrets, name))]
}

/** What cannot be looked at is not there. */
const statsOf = (path: string): Stats | undefined => {
  try {
    return statSync(path, { throwIfNoEntry: false })
  } catch {
    return undefined
  }
}

const readKept = (path: string): Kept | undefined => {
  try {
    return readObject(readWhole(path), ({ v, values, former, withheld = {} }) => {
      if (v !== VERSION || !isObject(values) || !Array.isArray(former) || !isObject(withheld))
        return undefined
      if (![...Object.values(values), ...former].every(isString)) return undefined
      if (!Object.values(withheld).every(Number.isSafeInteger)) return undefined
      return {
        values: values as SecretValues,
        former: former as readonly string[],
        withheld: withheld as Attempts,
      }
    })
  } catch {
    return undefined
  }
}

/**
 * A plan that is there has its secrets, also after a power cut.
 * @throws {TenutoError} `STORE_FULL`, `FILE_UNWRITABLE`.
 */
const writeKept = (path: string, kept: Kept): void => {
  try {
    makeFolders(dirname(dirname(path)), dirname(path))
    writeWhole(path, JSON.stringify({ v: VERSION, ...kept }))
  } catch (error) {
    throw unwritten(path, error)
  }
}
