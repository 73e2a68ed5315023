/**
 * JSON values, and the one canonical text of each: keys in order, no spaces. Hashes are made from it.
 */

/** A value that survives `JSON.stringify` unchanged. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject

/** An object of JSON values. */
export type JsonObject = { readonly [key: string]: Json }

/** The canonical text of a value: the same value always gives the same text, whatever the order of its keys. */
export const canonical = (value: Json): string => {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  const object = value as JsonObject
  const parts = Object.keys(object)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonical(object[key] as Json)}`)
  return `{${parts.join(',')}}`
}

/** An object of whatever JSON was read from outside: nothing is known of its values. */
export type JsonRecord = Readonly<Record<string, unknown>>

/** The value `read` makes of the JSON object in a text; undefined when there is none. */
export const readObject = <T>(text: string, read: (object: JsonRecord) => T | undefined): T | undefined => {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  return isObject(value) ? read(value) : undefined
}

/** Whether a value is an object with names: no list, and not null. */
export const isObject = (value: unknown): value is JsonRecord =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Whether a value is a text. */
export const isString = (value: unknown): value is string => typeof value === 'string'

/** Whether a value is a number as JSON has them: finite. */
export const isNumber = (value: unknown): value is number =>
  typeof value === 'number' && Number.isFinite(value)
