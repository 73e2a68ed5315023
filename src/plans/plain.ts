/**
 * A plan as plain JSON, whatever it was made of: the first stage of every plan, and the only one that meets values no plan may hold.
 */
import type { Json, JsonObject } from '../json.ts'
import { describe, type Problem } from './problem.ts'

/** Deeper values than this are refused. */
const DEPTH_MAX = 100

/** Whether a value is a map of anything, and nothing that has a class. */
export const isMap = (value: unknown): value is Readonly<Record<string, unknown>> => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype || Object.getPrototypeOf(prototype) === null
}

/**
 * A copy of plain JSON, without what is ignored (`x-` keys of the plan and of jobs, keys without a value), and a problem for
 * everything that no plan may hold anywhere.
 */
export const copyPlan = (source: Readonly<Record<string, unknown>>, problems: Problem[]): JsonObject => {
  const path: (string | number)[] = []
  const found = (at: Problem['at'], message: string, hint?: string): null => {
    problems.push({ path: [...path], at, message, ...(hint === undefined ? {} : { hint }) })
    return null
  }
  const checkText = (text: string, at: Problem['at']): void => {
    if (text.includes('${{')) {
      found(at, 'expressions come in a later version', 'write the value itself instead of `${{ … }}`')
    }
    if (text.includes('\0')) found(at, 'it has a NUL character', 'remove it')
    if (!text.isWellFormed()) found(at, 'it has half a character (a lone surrogate)', 'remove it')
  }
  const copyMap = (map: Readonly<Record<string, unknown>>): JsonObject => {
    const copy: Record<string, Json> = {}
    const ignoring = path.length === 0 || (path.length === 2 && path[0] === 'jobs')
    for (const key of Object.keys(map)) {
      const value = map[key]
      if (value === undefined || (ignoring && key.startsWith('x-'))) continue
      path.push(key)
      if (key === '__proto__') {
        found('key', '`__proto__` cannot be a name', 'use another name')
      } else {
        checkText(key, 'key')
        copy[key] = copyValue(value)
      }
      path.pop()
    }
    return copy
  }
  const copyValue = (value: unknown): Json => {
    if (typeof value === 'string') {
      checkText(value, 'value')
      return value
    }
    if (typeof value === 'boolean' || value === null) return value
    if (typeof value === 'number' && Number.isFinite(value)) return value
    if (path.length > DEPTH_MAX) return found('value', `it is nested more than ${DEPTH_MAX} deep`)
    if (Array.isArray(value)) {
      return value.map((item: unknown, index) => {
        path.push(index)
        const copy =
          item === undefined ? found('value', 'there is nothing here', 'write a value') : copyValue(item)
        path.pop()
        return copy
      })
    }
    if (isMap(value)) return copyMap(value)
    return found(
      'value',
      `${typeof value === 'object' ? 'this' : describe(value)} is no JSON value`,
      'use text, numbers, true, false, lists and maps',
    )
  }
  return copyMap(source)
}
