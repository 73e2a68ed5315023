import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { readPlainYaml } from '../../src/plans/plain-yaml.ts'
import { readYaml } from '../../src/plans/yaml-source.ts'
import { planSourceArbitrary } from './arbitrary.ts'

/** What is read quickly must be what the whole parser reads, without a fault. */
const agree = (text: string): boolean => {
  const quick = readPlainYaml(text)
  if (quick === undefined) return false
  const whole = readYaml(text)
  expect(whole.faults).toEqual([])
  expect(quick).toEqual(whole.value)
  return true
}

const PLAIN = `
plan: v1   # the version
name: fan-out
maxParallel: 4
x-note: { ratio: 0.25, empty: {}, none: [] }

jobs:
  # first
  start: { run: "echo \\"hi\\" # no comment", env: { A: '', B: 'it''s' } }
  build:
    needs:
    - start
    run: |
      set -x

      make all
        indented
    timeout: 10m
  url: { run: curl http://example.com/a#b, needs: [ start , build ] }
  exec:
    exec:
      - ./ship
      - --now
      - "1"
  "quoted": {exec: [a, 'b, c']}
  later:
  strip:
    run: |-
      last
`

describe('the plain part of YAML', () => {
  test('a usual plan file is read quickly, and rightly', () => {
    expect(agree(PLAIN.replace('      - --now\n', ''))).toBe(true)
    expect(
      agree(
        JSON.stringify({ plan: 'v1', jobs: { a: { run: 'x', retry: { max: 2 }, optional: true } } }, null, 2),
      ),
    ).toBe(true)
    expect(agree(PLAIN)).toBe(false)
  })

  test.each([
    ['duplicate keys', 'a: 1\na: 2\n'],
    ['an anchor', 'a: &x 1\nb: *x\n'],
    ['a tag', 'a: !!str 1\n'],
    ['a folded text', 'a: >\n  x\n'],
    ['a scalar on two lines', 'a: x\n  y\n'],
    ['a key that is no text', '1: x\n'],
    ['a number with an exponent', 'a: 1e3\n'],
    ['a tab', 'a:\t1\n'],
    ['a prototype', '__proto__: { a: 1 }\n'],
    ['a document end', 'a: 1\n...\n'],
    ['an open bracket', 'a: [1\n'],
    ['a colon in a scalar', 'a: b: c\n'],
    ['bad indentation', 'a:\n    b: 1\n  c: 2\n'],
    ['nothing', '\n# only\n'],
  ])('%s is left to the whole parser', (_, text) => {
    expect(readPlainYaml(text)).toBeUndefined()
  })

  test('random plans in random layouts are read as the whole parser reads them', () => {
    let quick = 0
    const layout = fc.record({
      lineWidth: fc.constantFrom(0, 30, 80),
      indent: fc.constantFrom(1, 2, 4),
      indentSeq: fc.boolean(),
      flowCollectionPadding: fc.boolean(),
      collectionStyle: fc.constantFrom('any' as const, 'block' as const, 'flow' as const),
      aliasDuplicateObjects: fc.constant(false),
    })
    fc.assert(
      fc.property(planSourceArbitrary, layout, (source, options) => {
        if (agree(stringify(source, options))) quick += 1
        if (agree(JSON.stringify(source, null, options.indent))) quick += 1
      }),
      { numRuns: 100 },
    )
    expect(quick).toBeGreaterThan(20)
  })

  test('random damage to a plain text never makes them disagree', () => {
    let quick = 0
    const put = fc.oneof(
      fc.constantFrom(
        ' ',
        '  ',
        '\n',
        '\n  ',
        ': ',
        ':',
        '- ',
        '-',
        '{',
        '}',
        '[',
        ']',
        ',',
        ', ',
        '"',
        "'",
        '#',
        ' #',
        '|',
        '1',
        '0.5',
        '\\',
        'null',
        '~',
        'a: b',
        '\n\n',
        '.',
        '+1',
        '=',
        '? ',
        '@',
        '!',
        '&',
        '*',
        '%',
        '>',
        '|-\n',
        '   \n',
      ),
      fc.string({ unit: 'grapheme', maxLength: 3 }),
    )
    const cuts = fc.array(fc.tuple(fc.nat(), fc.nat(5), put), { minLength: 1, maxLength: 3 })
    fc.assert(
      fc.property(cuts, fc.boolean(), (all, asJson) => {
        let text = asJson
          ? '{ "plan": "v1",\n "jobs": { "a": { "run": "x", "n": 2\n }, b: { exec: [a, 1, true] } }\n}\n'
          : PLAIN.replace('      - --now\n', '')
        for (const [at, length, what] of all) {
          const from = at % (text.length + 1)
          text = text.slice(0, from) + what + text.slice(from + length)
        }
        if (agree(text)) quick += 1
      }),
      // Of a thousand only 94 were still plain once.
      { numRuns: 2000 },
    )
    expect(quick).toBeGreaterThan(100)
  })
})
