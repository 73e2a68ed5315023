/**
 * The body of a request: JSON in UTF-8, or nothing. What it says is for the schemas of its route.
 */
import { isUtf8 } from 'node:buffer'
import { TenutoError } from '../errors.ts'
import { describe } from '../plans/problem.ts'
import { wordsOf } from '../thrown.ts'

/**
 * What a body says; undefined when there is none. `encoding` is what `Content-Encoding` says of it.
 * @throws {TenutoError} `USAGE`, with the place.
 */
export const readBody = (bytes: Buffer, encoding = 'identity'): unknown => {
  if (bytes.length === 0) return undefined
  if (encoding.toLowerCase() !== 'identity')
    throw new TenutoError('USAGE', {
      what: `the header Content-Encoding is ${describe(encoding)}; a body is sent as it is`,
    })
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
  const again = repeated(text)
  if (again !== undefined)
    throw new TenutoError('USAGE', {
      what: `the body has ${describe(again.key)} twice in one object, the second time at position ${again.at}`,
    })
  for (const { 1: alone, index } of HALVES.test(text) ? text.matchAll(ESCAPES) : [])
    if (alone !== undefined)
      throw new TenutoError('USAGE', { what: `the body has half a character at position ${index}` })
  return said
}

/**
 * The first key that an object of a JSON text says again, and where; undefined where none does. A parser takes the last of them, and
 * another one, as of a proxy that looks on, the first.
 */
const repeated = (text: string): Readonly<{ key: string; at: number }> | undefined => {
  // Of each object that is open its keys so far; of a list none.
  const open: (Set<string> | undefined)[] = []
  let keys: Set<string> | undefined
  let isKeyNext = false
  for (let at = 0; at < text.length; at += 1)
    switch (text.charCodeAt(at)) {
      case QUOTE: {
        const end = endOfText(text, at)
        if (isKeyNext && keys !== undefined) {
          const said = text.slice(at + 1, end)
          const key = said.includes('\\') ? (JSON.parse(`"${said}"`) as string) : said
          if (keys.has(key)) return { key, at }
          keys.add(key)
          isKeyNext = false
        }
        at = end
        break
      }
      case COMMA:
        isKeyNext = keys !== undefined
        break
      case OBJECT:
      case LIST:
        open.push(keys)
        keys = text.charCodeAt(at) === OBJECT ? new Set() : undefined
        isKeyNext = keys !== undefined
        break
      case OBJECT_END:
      case LIST_END:
        keys = open.pop()
        isKeyNext = false
    }
  return undefined
}

// As numbers, since each character is compared with them.
const QUOTE = 0x22
const COMMA = 0x2c
const LIST = 0x5b
const BACKSLASH = 0x5c
const LIST_END = 0x5d
const OBJECT = 0x7b
const OBJECT_END = 0x7d

/** Where a text of JSON ends that begins with a quote: at the next one before which no odd number of backslashes stands. */
const endOfText = (json: string, from: number): number => {
  for (let at = json.indexOf('"', from + 1); ; at = json.indexOf('"', at + 1)) {
    let before = at - 1
    while (json.charCodeAt(before) === BACKSLASH) before -= 1
    if ((at - before) % 2 === 1) return at
  }
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
