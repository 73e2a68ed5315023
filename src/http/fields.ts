/**
 * What a query or a body may say: fields declared as data, each with the words that tell what it must be. Declared by hand, because
 * a schema library costs more at the start of a holder than everything else here together.
 */
import { TenutoError } from '../errors.ts'
import { isObject } from '../json.ts'
import { describe } from '../plans/problem.ts'

/** One field: what it must be, in words, and how it is read; undefined when it is something else. */
export type Field<Value> = Readonly<{ is: string; read: (given: unknown) => Value | undefined }>

type Fields = Readonly<Record<string, Field<unknown>>>
type Values<Of extends Fields> = {
  readonly [Name in keyof Of]?: Of[Name] extends Field<infer Value> ? Value : never
}

/** A text of at most so many characters. */
export const text = (charactersMax: number): Field<string> => ({
  is: `a text of at most ${charactersMax} characters`,
  read: (given) => (typeof given === 'string' && given.length <= charactersMax ? given : undefined),
})

/** A whole number in a query. */
export const whole = (least: number, most: number): Field<number> => ({
  is: `a whole number from ${least} to ${most}`,
  read: (given) => {
    const value = typeof given === 'string' && /^[0-9]{1,16}$/.test(given) ? Number(given) : Number.NaN
    return value >= least && value <= most ? value : undefined
  },
})

/** A whole number in a body. */
export const count: Field<number> = {
  is: 'a whole number of 0 or more',
  read: (given) => (Number.isSafeInteger(given) && (given as number) >= 0 ? (given as number) : undefined),
}

/** Yes or no: `true` and `false` of JSON, or the same words in a query. */
export const flag: Field<boolean> = {
  is: 'true or false',
  read: (given) =>
    given === true || given === 'true' ? true : given === false || given === 'false' ? false : undefined,
}

/** Words between commas in a query, each one that `isWord` knows. */
export const words = (is: string, isWord: (word: string) => boolean): Field<readonly string[]> => ({
  is,
  read: (given) => {
    const list = typeof given === 'string' ? given.split(',') : []
    return list.length > 0 && list.every(isWord) ? list : undefined
  },
})

/** An object of texts. */
export const texts: Field<Readonly<Record<string, string>>> = {
  is: 'an object of texts',
  read: (given) =>
    isObject(given) && Object.values(given).every((value) => typeof value === 'string')
      ? (given as Readonly<Record<string, string>>)
      : undefined,
}

/** Anything. */
export const anything: Field<unknown> = { is: 'anything', read: (given) => given }

/**
 * Reads what was given by its fields. Nothing given reads as no fields.
 * @throws {TenutoError} `USAGE` when it is no object, has another field, or a field is not what it must be.
 */
export const readFields = <Of extends Fields>(
  place: 'query' | 'body',
  given: unknown,
  fields: Of,
): Values<Of> => {
  if (given === undefined || given === null) return {}
  if (!isObject(given)) throw wrong(`the ${place} is ${describe(given)}; it must be an object`)
  const values: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(given)) {
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined
    if (!field)
      throw wrong(
        `the ${place} has ${describe(name)}; it may have ${Object.keys(fields).join(', ') || 'nothing'}`,
      )
    const read = field.read(value)
    if (read === undefined) throw wrong(`${name} is ${describe(value)}; it must be ${field.is}`)
    values[name] = read
  }
  return values as Values<Of>
}

const wrong = (what: string): TenutoError => new TenutoError('USAGE', { what })
