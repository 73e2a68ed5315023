import fc from 'fast-check'
import stringWidth from 'string-width'
import { expect, test } from 'vitest'
import {
  colorful,
  columns,
  cut,
  fill,
  lastWritten,
  plain,
  shorten,
  widthOf,
  wrapped,
} from '../../src/cli/cells.ts'

const family = '👨‍👩‍👧'
const wide = '日本語の名前'
const text = fc
  .array(fc.constantFrom('a', 'b', ' ', 'é', 'e\u0301', '日', '語', '🚀', family, '🇩🇪', '…'), {
    maxLength: 30,
  })
  .map((parts) => parts.join(''))

test('a text is cut between characters, whatever their width, and says that it was cut', () => {
  expect(cut('release', 7)).toBe('release')
  expect(cut('release', 6)).toBe('relea…')
  expect(cut('release', 6, '..')).toBe('rele..')
  expect(cut(wide, 6)).toBe('日本…')
  expect(cut(`${family}${family}${family}`, 5)).toBe(`${family}${family}…`)
  expect(cut('release', 1)).toBe('r')
  expect(cut('release', 0)).toBe('')
})

test('a long name keeps its beginning and its end', () => {
  expect(shorten('test-integration-package-a', 15)).toBe('test-in…ckage-a')
  expect(shorten('test-integration-package-b', 15).endsWith('-b')).toBe(true)
  expect(shorten('release', 7)).toBe('release')
  expect(shorten('release', 5)).toBe('rele…')
})

test('cutting, shortening and wrapping never exceed the width, and wrapping loses nothing', () => {
  fc.assert(
    fc.property(text, fc.nat(40), (value, width) => {
      expect(stringWidth(cut(value, width))).toBeLessThanOrEqual(width)
      expect(stringWidth(shorten(value, width))).toBeLessThanOrEqual(width)
      expect(wrapped(value, width).join('')).toBe(value)
      if (width >= 2)
        for (const line of wrapped(value, width)) expect(stringWidth(line)).toBeLessThanOrEqual(width)
      expect(widthOf(fill(value, width))).toBe(Math.max(width, widthOf(value)))
    }),
  )
})

test('rows of any cells stay within any width, and each column begins at one place', () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(text, { minLength: 5, maxLength: 5 }), { minLength: 1, maxLength: 6 }),
      fc.integer({ min: 1, max: 120 }),
      fc.boolean(),
      (rows, width, whole) => {
        for (const line of columns(rows, { width, sign: '…', whole })) {
          expect(stringWidth(line)).toBeLessThanOrEqual(width)
        }
      },
    ),
  )
  const rows = [
    ['a', 'running', '', '1.0s', 'x'],
    [wide, 'held', '#2', '', 'needs b'],
    [family, '', '', '', ''],
  ]
  expect(columns(rows, { width: 80, sign: '…' })).toEqual([
    'a             running      1.0s  x',
    '日本語の名前  held     #2        needs b',
    family,
  ])
})

test('where there is too little room the last column gives way, then the first in its middle, then columns are left out', () => {
  const rows = [['a-job-with-a-long-name', 'succeeded', '#12', '1m 00s', 'needs this, that and the other']]
  const at = (width: number, whole = false) => columns(rows, { width, sign: '…', whole })[0]

  expect([at(79), at(70), at(50), at(40), at(24), at(18), at(10)]).toEqual([
    'a-job-with-a-long-name  succeeded  #12  1m 00s  needs this, that and the other',
    'a-job-with-a-long-name  succeeded  #12  1m 00s  needs this, that and…',
    'a-job-…-name  succeeded  #12  1m 00s  needs this,…',
    'a-job…name  succeeded  #12  1m 00s  nee…',
    'a-job-…g-name  succeeded',
    'a-j…ame  succeeded',
    'a-job…  s…',
  ])
  expect([at(50, true), at(40, true), at(24, true)]).toEqual([
    'a-job-with-a-long-name  succeeded  #12  1m 00s',
    'a-job-with-a-long-name  succeeded  #12',
    'a-job-…g-name  succeeded',
  ])
})

test('colour goes around what was cut, and costs no room', () => {
  const paint = (cell: string, column: number) => (column === 1 ? `\u001b[31m${cell}\u001b[39m` : cell)

  expect(columns([['a', 'failed', 'exit 1']], { width: 15, sign: '…', paint })).toEqual([
    'a  \u001b[31mfailed\u001b[39m  exi…',
  ])
})

test('what steers a terminal is left out or spelled, so that a text can only be read', () => {
  expect(plain('plain ASCII - unchanged')).toBe('plain ASCII - unchanged')
  expect(plain('日本 🚀')).toBe('日本 🚀')
  expect(
    plain('\u001b[31mred\u001b[0m \u001b]8;;http://x\u0007link\u001b]8;;\u0007 \u001b[2J\u001b[1A!'),
  ).toBe('red link !')
  expect(plain('two\r\n  lines\tand a tab')).toBe('two lines and a tab')
  expect(plain('a\bb\u0007c\u009bd\u007f')).not.toMatch(/\p{Cc}/u)
  expect(plain('abc\u202egnp.exe')).toBe('abc\\u202egnp.exe')
  expect(plain('\u001b')).toBe('\\u001b')
})

test('no text whatever puts a control character on the screen', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (value) => {
      expect(plain(value)).not.toMatch(/\p{Cc}|\p{Bidi_Control}/u)
      const bare = colorful(value)
        .split(/\u001b\[[\d;]*m/)
        .join('')
      expect(bare).not.toMatch(/\p{Cc}|\p{Bidi_Control}/u)
    }),
  )
})

test('a line of a log keeps its colours, gives them back at its end, and moves nothing', () => {
  expect(colorful('\u001b[1;31merror\u001b[0m\u001b[2K here')).toBe(
    '\u001b[1;31merror\u001b[0m here\u001b[0m',
  )
  expect(colorful('\u001b[31mred')).toBe('\u001b[31mred\u001b[0m')
  expect(colorful('no colour')).toBe('no colour')
})

test('of a line that was written over, the last is kept', () => {
  expect(lastWritten('10%\r50%\r100%')).toBe('100%')
  expect(lastWritten('done\r')).toBe('done')
  expect(lastWritten('done')).toBe('done')
})
