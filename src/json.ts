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
