import { Buffer } from 'node:buffer'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { MASK, masking } from '../src/masking.ts'

const TOKEN = 'npm_a1B2c3+/D4 e5"F6'

test('a secret is masked as it is, and in the forms in which programs print it', () => {
  const { text } = masking([TOKEN])
  const basic = Buffer.from(`user:${TOKEN}:x`).toString('base64')

  const told = [
    `before ${TOKEN} behind`,
    JSON.stringify({ token: TOKEN }),
    `https://host/?t=${encodeURIComponent(TOKEN)}&u=1`,
    `t=${encodeURIComponent(TOKEN).replaceAll('%20', '+')}`,
    `Authorization: Basic ${basic}`,
    Buffer.from(`ab${TOKEN}`).toString('base64url'),
    Buffer.from(TOKEN).toString('hex'),
    Buffer.from(TOKEN).toString('hex').toUpperCase(),
  ].map(text)

  expect(told.slice(0, 4)).toEqual([
    'before *** behind',
    '{"token":"***"}',
    'https://host/?t=***&u=1',
    't=***',
  ])
  for (const each of told) expect(each).toContain(MASK)
  const [, , , , header = '', url = '', ...hex] = told
  expect(header.length + url.length).toBeLessThan(60)
  expect(hex).toEqual([MASK, MASK])
})

test('of a secret with several lines each line is masked, also indented; short lines are left', () => {
  const key = '-----BEGIN KEY-----\r\nMIIEvQIBADANBg\n  kqhkiG9w0BAQEF\n}\n-----END KEY-----\n'
  const { text } = masking([key])

  expect(text(key)).toBe(MASK)
  expect(text('    MIIEvQIBADANBg\n  2: kqhkiG9w0BAQEF\n}\n')).toBe('    ***\n  2: ***\n}\n')
  expect(text(JSON.stringify({ key }))).toBe('{"key":"***"}')
})

test('secrets that overlap, touch or contain one another leave nothing of either', () => {
  const { text } = masking(['abcdefgh', 'fghijkl', 'abcdefghijklmno'])

  expect(text('-abcdefghijkl-')).toBe('-***-')
  expect(text('-abcdefghabcdefgh-')).toBe('-***-')
  expect(text('-abcdefghijklmno-')).toBe('-***-')
  expect(text('-abcdefg-')).toBe('-abcdefg-')
})

test('a JSON value keeps its shape; texts, keys and numbers with a secret do not show it', () => {
  const { value } = masking(['hunter22', '12345678'])

  expect(
    value({ a: 'hunter22', list: ['x hunter22 y', 12345678, 3, true, null], hunter22: { deep: 'ok' } }),
  ).toEqual({ a: MASK, list: [`x ${MASK} y`, MASK, 3, true, null], [MASK]: { deep: 'ok' } })
  const deep = JSON.parse(`${'['.repeat(2_000)}"hunter22"${']'.repeat(2_000)}`) as never
  expect(JSON.stringify(value(deep))).not.toContain('hunter22')
})

test('without a secret every text stays the very same, also one that is no proper text', () => {
  const broken = 'a\ud800b\uFFFD'

  expect(masking([]).text(broken)).toBe(broken)
  expect(masking([TOKEN]).text(broken)).toBe(broken)
  expect(masking([]).reach).toBe(0)
})

test('what may be the beginning or the end of a secret is found, whatever repeats in it', () => {
  const words = fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 6, maxLength: 9 })
  fc.assert(
    fc.property(words, fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 12 }), (secret, text) => {
      const { begun, ending } = masking([secret])
      const lengths = Array.from({ length: secret.length }, (_, length) => length)
      const begins = lengths.filter((length) => text.endsWith(secret.slice(0, length))).at(-1)
      const ends = lengths.filter((length) => text.startsWith(secret.slice(secret.length - length))).at(-1)
      // Other forms of these words are written with other letters too.
      expect(begun(Buffer.from(text))).toBe(begins)
      expect(ending(Buffer.from(text))).toBe(ends)
    }),
  )
})

test('a secret is masked in every way in which programs write URLs, forms and JSON', () => {
  const secret = `p*(a)s!s'w~o/r d+ö<😀&"q\\z`
  const { text } = masking([secret])
  const strict = encodeURIComponent(secret).replace(
    /[!'()*]/g,
    (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`,
  )
  const lower = (url: string): string => url.replace(/%../g, (hex) => hex.toLowerCase())
  // What `json.dumps` of Python makes of it.
  const python = `p*(a)s!s'w~o/r d+\\u00f6<\\ud83d\\ude00&\\"q\\\\z`
  expect(JSON.parse(`"${python}"`)).toBe(secret)

  const told = [
    new URLSearchParams({ t: secret }).toString().slice(2),
    strict,
    strict.replaceAll('%20', '+'),
    // What `quote` of Python leaves.
    strict.replaceAll('%2F', '/'),
    encodeURI(secret),
    lower(encodeURIComponent(secret)),
    lower(strict),
    lower(encodeURI(secret)),
    python,
    JSON.stringify(python).slice(1, -1),
    JSON.stringify(JSON.stringify(secret)).slice(3, -3),
    JSON.stringify(secret).slice(1, -1).replaceAll('/', '\\/'),
    JSON.stringify(secret).slice(1, -1).replace('<', '\\u003c').replace('&', '\\u0026'),
  ]

  expect(told.map((form) => text(`<${form}>`))).toEqual(told.map(() => '<***>'))
})
