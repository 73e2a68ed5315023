/**
 * Bodies: UTF-8 and JSON, or refused with the place.
 *
 * Mutations that were planted once, and each found: bytes read as text without a look; the place counted in characters; the place
 * where a broken character ends; keys compared as they are spelled; a text that ends at a quote behind a backslash.
 */
import { TextDecoder } from 'node:util'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isTenutoError } from '../../src/errors.ts'
import { readBody } from '../../src/http/body.ts'
import { holdOutside } from './outside.ts'
import { ask } from './served.ts'

const API = '/api/v1'

/** What reading says: the value, or in words why not. */
const read = (bytes: Buffer): unknown => {
  try {
    return readBody(bytes)
  } catch (error) {
    if (!isTenutoError(error, 'USAGE')) throw error
    return error.message
  }
}

test('a plan with a byte that is no UTF-8 is refused with its place, as JSON and as YAML, and nothing is stored', async () => {
  const { ask: askIn, served, runtime } = await holdOutside()
  const bodies = [
    ['{"yaml":"plan: v1\\nname: caf', '\\njobs: { a: { run: echo } }"}'],
    ['{"plan":{"jobs":{"a":{"run":"echo café caf', '"}}}}'],
  ]

  for (const [before = '', after = ''] of bodies) {
    const raw = Buffer.concat([Buffer.from(before), Buffer.from([0xe9]), Buffer.from(after)])
    const place = Buffer.byteLength(before)
    for (const { status, json } of [
      await askIn(`POST ${API}/plans`, { raw }),
      await ask(served.path, `POST ${API}/plans`, { raw }),
    ]) {
      const message = `the body is no UTF-8: it goes wrong at byte ${place}`
      expect([status, json]).toEqual([400, { error: expect.objectContaining({ code: 'USAGE', message }) }])
    }
  }
  expect(await runtime.catalog.plans()).toEqual([])

  const yaml = 'plan: v1\nname: p\njobs: { a: { approve: { prompt: "☃ 🦊 \ufffd é" } } }'
  const { status, json } = await askIn(`POST ${API}/plans`, { body: { yaml } })
  expect(status).toBe(201)
  const definition = await runtime.catalog.definition((json as { id: string }).id)
  expect(JSON.stringify(definition)).toContain('☃ 🦊 \ufffd é')
})

test('a body in another encoding is refused as that, over TCP and on the socket, and one that says it has none is read', async () => {
  const { ask: askIn, served } = await holdOutside()
  const raw = gzipSync('{"reason":"new disk"}')

  for (const asks of [askIn, (...asked: Parameters<typeof askIn>) => ask(served.path, ...asked)]) {
    const refused = await asks(`POST ${API}/sweep`, { raw, headers: { 'content-encoding': 'gzip' } })
    const taken = await asks(`POST ${API}/sweep`, {
      raw: '{"reason":"new disk"}',
      headers: { 'content-encoding': 'identity' },
    })

    const message = 'the header Content-Encoding is "gzip"; a body is sent as it is'
    expect([refused.status, refused.json]).toEqual([
      400,
      { error: expect.objectContaining({ code: 'USAGE', message }) },
    ])
    expect(taken.status).toBe(200)
  }
})

test('whatever is broken, the first place of it is told; whatever is not is read', () => {
  const seed = Math.floor(Math.random() * 2 ** 31)
  const unit = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 4 }).map((text) => Buffer.from(text)),
    fc.uint8Array({ maxLength: 3 }).map((bytes) => Buffer.from(bytes)),
    fc
      .constantFrom([0xef, 0xbf], [0xef, 0xbf, 0xbd], [0xef], [0xc0, 0x80], [0xed, 0xa0, 0x80])
      .map((bytes) => Buffer.from(bytes)),
  )
  /** The longest beginning that is text: what no decoder finds fault with, ended anywhere within a character. */
  const longest = (bytes: Buffer): number => {
    let whole = 0
    for (let end = 1; end <= bytes.length; end += 1)
      try {
        new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, end))
        whole = end
      } catch {
        // Within a character, or after one that is none.
      }
    return whole
  }

  fc.assert(
    fc.property(fc.array(unit, { maxLength: 8 }), (parts) => {
      const bytes = Buffer.concat([Buffer.from('"'), ...parts])
      const said = String(read(bytes))
      const whole = longest(bytes)
      expect(said.startsWith(`the body is no UTF-8: it goes wrong at byte ${whole}`)).toBe(
        whole < bytes.length,
      )
    }),
    { seed, numRuns: 3_000 },
  )
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = JSON.stringify(value)
      expect(read(Buffer.from(text))).toEqual(JSON.parse(text))
    }),
    { seed },
  )
  expect(read(Buffer.alloc(0))).toBeUndefined()
})

test('half a character is refused however it is escaped, a whole one is not', () => {
  const half = (position: number) => `the body has half a character at position ${position}`

  expect(read(Buffer.from('{"a":"\\ud83e"}'))).toBe(half(6))
  expect(read(Buffer.from('["\\uD83E\\uDD8A\\udd8a"]'))).toBe(half(14))
  expect(read(Buffer.from('["\\ud83e\\ud83e\\udd8a"]'))).toBe(half(2))
  expect(read(Buffer.from('["\\ud83e\\udd8a", "\\\\ud83e", "\\ud7ff"]'))).toEqual(['🦊', '\\ud83e', '\ud7ff'])
})

test('a key that an object says twice is refused with its place, however it is spelled; elsewhere it may stand again', () => {
  const twice = (key: string, position: number) =>
    `the body has "${key}" twice in one object, the second time at position ${position}`

  expect(read(Buffer.from('{"definition":1,"definition":2}'))).toBe(twice('definition', 16))
  expect(read(Buffer.from('{"a":{"b":[{}],"c":{"b":1}},"a":1}'))).toBe(twice('a', 28))
  expect(read(Buffer.from('[{"a":1,"b":{"x":1},"\\u0061":2}]'))).toBe(twice('a', 20))
  expect(read(Buffer.from('{"\\\\":1,"\\"":2,"\\\\":3}'))).toBe(twice('\\\\', 15))
  expect(read(Buffer.from('{"":1,"x":"\\\\", "": 2}'))).toBe(twice('', 16))
  for (const text of [
    '{"a":"a","b":["a","a",{"a":1},{"a":2}],"c":{"a":{"a":"a\\""}},"A":",\\"a\\":"}',
    '["a","a",[],{},[[]]]',
    '"a"',
  ])
    expect(read(Buffer.from(text))).toEqual(JSON.parse(text))
})

test('what is no JSON is told with its place and not quoted, since it may be a secret', () => {
  expect(read(Buffer.from('{"secrets":{"A":"canary-1"'))).toBe(
    'the body is no JSON: it goes wrong at position 26',
  )
  expect(read(Buffer.from('{"secrets":{"A":canary-1}'))).not.toContain('canary')
})
