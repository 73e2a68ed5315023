/**
 * What comes in, held to the schemas of its operation. Checked by ourselves and not by Ajv: that costs a quarter of a second of every
 * start that serves a home, and says less of what is wrong. A test holds both to the same answers.
 */
import { TenutoError } from '../errors.ts'
import { isObject } from '../json.ts'
import type { JsonSchema } from '../json-schema.ts'
import { describe } from '../plans/problem.ts'

/** Where something stands in a request. */
export type Part = 'query' | 'body' | 'headers'

/**
 * A value as its schema describes it. What is not there reads as nothing given; numbers, flags and lists of a query and of headers are
 * read from their text.
 * @throws {TenutoError} `USAGE`, with its place and value.
 */
export const readInput = (part: Part, schema: JsonSchema, given: unknown): unknown =>
  read({ part, path: [] }, schema, given ?? {})

type Place = Readonly<{ part: Part; path: readonly string[] }>

const read = (place: Place, schema: JsonSchema, given: unknown): unknown => {
  const value = place.part === 'body' || place.path.length === 0 ? given : spoken(schema, given)
  const is = (): string => (place.path.length === 0 ? 'an object' : wordsOf(schema, given))
  if (!fits(schema, value)) throw wrong(place, schema.writeOnly === true ? HIDDEN : given, `must be ${is()}`)
  if (isObject(value)) return readObject(place, schema, value)
  const { items } = schema
  if (!Array.isArray(value) || items === undefined) return value
  if (place.part === 'body') return value.map((each, at) => read(inside(place, String(at)), items, each))
  // Of a list in a query the whole text is what was said.
  if (!value.every((each) => fits(items, each))) throw wrong(place, given, `must be ${is()}`)
  return value
}

const readObject = (place: Place, schema: JsonSchema, value: Readonly<Record<string, unknown>>): unknown => {
  const { properties = {}, required = [], additionalProperties: others = true } = schema
  const missing = required.find((name) => !Object.hasOwn(value, name))
  if (missing !== undefined) {
    const why = properties[missing]?.description
    const what = `${nameOf(inside(place, missing))} is missing${why === undefined ? '' : `: ${why}`}`
    throw new TenutoError('USAGE', { what, place: nameOf(inside(place, missing)) })
  }
  const known = Object.entries(value).map(([name, each]): readonly [string, unknown] => {
    const of = Object.hasOwn(properties, name) ? properties[name] : others
    const at = inside(place, name)
    if (of === false) {
      const may = Object.keys(properties).join(', ') || 'nothing'
      const where = place.path.length === 0 ? `the ${place.part}` : nameOf(place)
      // Beside secrets, what nobody knows may be one whose name is mistyped.
      const isSecret = Object.values(properties).some(({ writeOnly }) => writeOnly === true)
      throw new TenutoError('USAGE', {
        what: `${where} has ${describe(name)}; it may have ${may}`,
        place: nameOf(at),
        ...(isSecret ? {} : { value: describe(each) }),
      })
    }
    return [name, typeof of === 'object' ? read(at, of, each) : each]
  })
  return Object.fromEntries(known)
}

/** What the text in a query or a header says; the text itself where it says nothing of that type. */
export const spoken = ({ type, items }: JsonSchema, given: unknown): unknown => {
  if (typeof given !== 'string') return given
  if (type === 'integer' && /^[0-9]{1,16}$/.test(given)) return Number(given)
  if (type === 'boolean' && (given === 'true' || given === 'false')) return given === 'true'
  if (type === 'array' && items !== undefined) return given.split(',').map((each) => spoken(items, each))
  return given
}

const TYPES: Readonly<Record<string, (value: unknown) => boolean>> = {
  string: (value) => typeof value === 'string',
  integer: (value) => typeof value === 'number' && Number.isSafeInteger(value),
  number: (value) => typeof value === 'number',
  boolean: (value) => typeof value === 'boolean',
  array: (value) => Array.isArray(value),
  object: (value) => isObject(value),
  null: (value) => value === null,
}

/** Whether a value is what its schema says, without what is in it. */
const fits = (schema: JsonSchema, value: unknown): boolean => {
  const { type, enum: words, pattern, anyOf } = schema
  if (anyOf !== undefined && !anyOf.some((each) => fits(each, value))) return false
  if (type !== undefined && ![type].flat().some((each) => TYPES[each]?.(value))) return false
  if (words !== undefined && !words.some((each) => each === value)) return false
  if (typeof value === 'number') return isWithin(value, schema.minimum, schema.maximum)
  if (Array.isArray(value)) return isWithin(value.length, schema.minItems, undefined)
  if (typeof value !== 'string') return true
  if (pattern !== undefined && !new RegExp(pattern, 'u').test(value)) return false
  const { minLength, maxLength } = schema
  if (minLength === undefined && maxLength === undefined) return true
  // As JSON Schema counts: characters of Unicode.
  return isWithin(Array.from(value).length, minLength, maxLength)
}

const isWithin = (value: number, least = Number.NEGATIVE_INFINITY, most = Number.POSITIVE_INFINITY) =>
  value >= least && value <= most

/** What a pattern is meant to be. */
const FORMATS: Readonly<Record<string, string>> = {
  topic: 'plans, plan:ID, daemon',
  'absolute-path': 'an absolute path',
  'without-nul': 'a text without a NUL character',
}

/** What a value must be, in words. */
const wordsOf = (
  { type, enum: words, format = '', items, ...schema }: JsonSchema,
  given: unknown,
): string => {
  if (words !== undefined) return words.length === 1 ? JSON.stringify(words[0]) : `one of ${words.join(', ')}`
  if (type === 'array') {
    const each = items?.enum?.join(', ') ?? FORMATS[items?.format ?? '']
    return each === undefined ? 'a list' : `one or more of ${each}`
  }
  const { minimum = 0, maximum, minLength, maxLength } = schema
  if (type === 'integer')
    // Nobody comes near that one, but who has, or means something else.
    return maximum === undefined || (maximum === Number.MAX_SAFE_INTEGER && !(Number(given) > maximum))
      ? `a whole number of ${minimum} or more`
      : `a whole number from ${minimum} to ${maximum}`
  if (type === 'boolean') return 'true or false'
  if (type === 'object') return 'an object'
  // What is no text is told that.
  const known = typeof given === 'string' ? FORMATS[format] : undefined
  if (known !== undefined) return known
  if (maxLength === undefined) return 'a text'
  return minLength === undefined
    ? `a text of at most ${maxLength} characters`
    : `a text of ${minLength} to ${maxLength} characters`
}

const inside = ({ part, path }: Place, name: string): Place => ({ part, path: [...path, name] })

/** What a place is called: a field by its name, since no two parts of a request have the same. */
const nameOf = ({ part, path }: Place): string =>
  path.length === 0
    ? `the ${part}`
    : path.map((name) => (/^[\w-]{1,80}$/.test(name) ? name : describe(name))).join('.')

const wrong = (place: Place, value: unknown, must: string): TenutoError => {
  const what =
    value === HIDDEN ? `${nameOf(place)} ${must}` : `${nameOf(place)} is ${describe(value)}; it ${must}`
  const shown = value === HIDDEN ? {} : { value: describe(value) }
  return new TenutoError('USAGE', { what, place: nameOf(place), ...shown })
}

/** In the place of a value of which nothing is said. */
const HIDDEN = Symbol('hidden')
