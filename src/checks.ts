/**
 * Checks of what a program hands over: whole, so that every mistake is told at once, each with its place and its value, and a key nobody
 * knows is one.
 */

/** What is wrong with a value, as the end of a sentence; null when nothing is. */
export type Check = (value: unknown) => string | null

/** The keys of an object, each with its check. */
export type Keys = Readonly<Record<string, Check>>

/** A whole number within these bounds. */
export const whole =
  (least: number, most: number): Check =>
  (value) =>
    Number.isInteger(value) && (value as number) >= least && (value as number) <= most
      ? null
      : `must be a whole number from ${least} to ${most}`

/** A number within these bounds. */
export const between =
  (least: number, most: number): Check =>
  (value) =>
    typeof value === 'number' && value >= least && value <= most ? null : `must be from ${least} to ${most}`

/** One of these words. */
export const oneOf =
  (words: readonly string[]): Check =>
  (value) =>
    (words as readonly unknown[]).includes(value) ? null : `must be one of ${words.join(', ')}`

/** A text that is not empty, and not longer than so many characters. */
export const aText =
  (longest: number): Check =>
  (value) =>
    typeof value === 'string' && value !== '' && value.length <= longest
      ? null
      : `must be a text of 1 to ${longest} characters`

/** Anything that can be called. */
export const aFunction: Check = (value) => (typeof value === 'function' ? null : 'must be a function')

/** True or false. */
export const aBoolean: Check = (value) => (typeof value === 'boolean' ? null : 'must be true or false')

/** What is checked elsewhere. */
export const anything: Check = () => null

/** What is wrong with the keys of a value, a sentence each. A key that is undefined is not there. */
export const wrongIn = (
  what: string,
  value: unknown,
  keys: Keys,
  required: readonly string[] = [],
  beyond: 'nothing' | 'others' = 'nothing',
): string[] => {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return [`${what} is ${shown(value)} and must be an object`]
  const given = value as Readonly<Record<string, unknown>>
  const missing = required.filter((key) => given[key] === undefined)
  const unknown = beyond === 'others' ? [] : Object.keys(given).filter((key) => !Object.hasOwn(keys, key))
  const wrong = Object.entries(keys).flatMap(([key, check]) => {
    const why = given[key] === undefined ? null : check(given[key])
    return why === null ? [] : [`${key} of ${what} is ${shown(given[key])} and ${why}`]
  })
  return [
    ...missing.map((key) => `${what} has no ${key}`),
    ...unknown.map((key) => `${what} has ${key}, which is none of ${Object.keys(keys).join(', ')}`),
    ...wrong,
  ]
}

/** A value in a sentence. */
export const shown = (value: unknown): string => {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 59)}…` : value)
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object' && value !== null) return 'an object'
  return typeof value === 'function' ? 'a function' : String(value)
}
