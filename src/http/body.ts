/**
 * The body of a request: JSON in UTF-8, or nothing. What it says is for the schemas of its route.
 */
import { isUtf8 } from 'node:buffer'
import { TenutoError } from '../errors.ts'
import { wordsOf } from '../thrown.ts'

/**
 * What a body says; undefined when there is none.
 * @throws {TenutoError} `USAGE`, with the place.
 */
export const readBody = (bytes: Buffer): unknown => {
  if (bytes.length === 0) return undefined
  const text = bytes.toString('utf8')
  if (!isUtf8(bytes))
    throw new TenutoError('USAGE', {
      what: `the body is no UTF-8: it goes wrong at byte ${brokenAt(bytes, text)}`,
    })
  let said: unknown
  try {
    said = JSON.parse(text)
  } catch (error) {
    throw new TenutoError('USAGE', { what: `the body is no JSON${placeIn(error)}` })
  }
  for (const { 1: alone, index } of HALVES.test(text) ? text.matchAll(ESCAPES) : [])
    if (alone !== undefined)
      throw new TenutoError('USAGE', { what: `the body has half a character at position ${index}` })
  return said
}

/** Whether a text may have half a character: few have any escape like it. */
const HALVES = /\\u[dD][89a-fA-F]/
/** The escapes of a JSON text, pairs of surrogates as one; one that is alone, and so no character, is its first group. */
const ESCAPES = /\\(?:u[dD][89abAB]\w\w\\u[dD][c-fC-F]\w\w|u([dD][89a-fA-F]\w\w)|[^])/g

/** Where the first character begins that is none, from 0: there the text has another in its place. */
const brokenAt = (bytes: Buffer, text: string): number => {
  const back = Buffer.from(text)
  let at = 0
  while (bytes[at] === back[at]) at += 1
  // What is wrong may begin as the one in its place does.
  while (isInside(back[at])) at -= 1
  return at
}

/** Whether a byte of UTF-8 goes on with a character. */
const isInside = (byte = 0): boolean => byte >= 0x80 && byte < 0xc0

/** Where a text is no JSON. Node quotes it in its message, and what is quoted may be a secret. */
const placeIn = (error: unknown): string => {
  const [place] = /at position \d+/.exec(wordsOf(error)) ?? []
  return place === undefined ? '' : `: it goes wrong ${place}`
}
