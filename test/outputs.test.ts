import { expect, test } from 'vitest'
import { masking } from '../src/masking.ts'
import { OUTPUTS_LIMIT_BYTES, parseOutputs } from '../src/outputs.ts'

const read = (text: string) => parseOutputs(Buffer.from(text))

test('outputs are lines of key=value or JSON objects, a later line wins', () => {
  expect(read('a=1\n{"b":{"c":[2]},"a":"x"}\r\nd=e=f \n\nempty=')).toEqual({
    outputs: { a: 'x', b: { c: [2] }, d: 'e=f ', empty: '' },
    warnings: [],
  })
  expect(read('')).toEqual({ outputs: undefined, warnings: [] })
  // Nothing is trimmed, and a key with a blank beside it was meant as something else.
  expect(read('b = 2')).toEqual({
    outputs: undefined,
    warnings: ['outputs: line 1 is neither key=value nor a JSON object'],
  })
})

test('a line that is no output is left out and named; many are counted', () => {
  const { outputs, warnings } = read(`x\n=y\n[1]\n{"a":\nb=1\n${'bad\n'.repeat(30)}`)

  expect(outputs).toEqual({ b: '1' })
  expect(warnings[3]).toBe('outputs: line 4 is neither key=value nor a JSON object')
  expect(warnings).toHaveLength(21)
  expect(warnings[20]).toBe('outputs: 14 more such lines')
})

test('what lies past the limit is left out, the line across it too', () => {
  const kept = 'first=1\n'
  const long = `long=${'x'.repeat(OUTPUTS_LIMIT_BYTES)}\n`

  expect(read(`${kept}${long}last=1\n`)).toEqual({
    outputs: { first: '1' },
    warnings: [`outputs: everything past ${OUTPUTS_LIMIT_BYTES} bytes was left out`],
  })
  expect(read(long).outputs).toBeUndefined()
})

test('no key of an output is special', () => {
  const { outputs } = read('__proto__=a\n{"constructor": 1}\n{"__proto__": {"polluted": true}}')

  expect(Object.keys(outputs ?? {})).toEqual(['__proto__', 'constructor'])
  expect(Object.getPrototypeOf(outputs)).toBe(Object.prototype)
  expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
})

test('a secret is masked before lines are cut at a `=` or read as JSON', () => {
  const padded = 'YS12ZXJ5LXNlY3JldC1rZXktMTY='
  const whole = '{"private_key":"MIIEcanary","n":1}'
  const { text } = masking([padded, whole, '12345678', 'p=MIIE\nq=rS1\n'])
  const masked = (lines: string) => parseOutputs(Buffer.from(lines), text)

  expect(masked(`${padded}\n${whole}\np=MIIE\nq=rS1\n`)).toMatchObject({ outputs: undefined })
  expect(masked(`my token: ${padded}`).outputs).toBeUndefined()
  expect(masked(`t=x${padded}y\n{"n":12345678,"deep":{"of":${whole}},"k":"${padded}"}\nlast=1`)).toEqual({
    outputs: { t: 'x***y', n: '***', deep: { of: '***' }, k: '***', last: '1' },
    warnings: [],
  })
})
