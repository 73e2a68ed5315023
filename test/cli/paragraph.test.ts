import fc from 'fast-check'
import { expect, test } from 'vitest'
import { brokenAtBlanks, paragraph, widthOf } from '../../src/cli/paragraph.ts'

test('a line that is too long goes on in the next ones, set in; without a terminal it stays', () => {
  const text = 'tenuto: the home /h is held by pid 7 (tenuto run, since noon)\n  use another'

  expect(paragraph(text, 40)).toBe(
    `tenuto: the home /h is held by pid 7
  (tenuto run, since noon)
  use another`,
  )
  expect(paragraph(`    ${'word '.repeat(7).trimEnd()}`, 20)).toBe(
    '    word word word\n      word word word\n      word',
  )
  expect(paragraph(text, Number.POSITIVE_INFINITY)).toBe(text)
})

/** Broken on purpose once, and seen: an item of a list whose further lines begin before its text. */
test('the further lines of an item of a list stand below its text', () => {
  expect(paragraph(`  2. ${'word '.repeat(5).trimEnd()}`, 20)).toBe('  2. word word word\n     word word')
  expect(paragraph(`  12. ${'word '.repeat(5).trimEnd()}`, 20)).toBe('  12. word word word\n      word word')
  expect(paragraph(`2.5 ${'word '.repeat(5).trimEnd()}`, 20)).toBe('2.5 word word word\n  word word')
})

test('a command is not broken, in backticks or behind a colon, and two of them are parted by a line', () => {
  expect(paragraph('  to run again what failed: `tenuto retry p-abcdef --failed --home h`', 40)).toBe(
    '  to run again what failed:\n`tenuto retry p-abcdef --failed --home h`',
  )
  expect(
    paragraph('p-abcdef goes on.  follow: tenuto resume p-abcdef  cancel: tenuto cancel p-abcdef', 40),
  ).toBe(
    `p-abcdef goes on.  follow:
  tenuto resume p-abcdef  cancel:
  tenuto cancel p-abcdef`,
  )
  // One that has a line of its own.
  expect(paragraph('     tenuto secret set p-abcdef TOKEN --home h', 40)).toBe(
    'tenuto secret set p-abcdef TOKEN --home h',
  )
  expect(brokenAtBlanks('decide: tenuto skip p/a, then tenuto resume p', 24)).toEqual([
    'decide: tenuto skip p/a,',
    'then tenuto resume p',
  ])
})

test('a command that is longer than the terminal is one line, which begins at the left', () => {
  const command = '`tenuto retry a-plan-with-a-long-name-abcdef --failed`'

  expect(paragraph(`  again: ${command}, or not`, 30)).toBe(`  again:\n${command},\n    or not`)
})

test('whatever is said, no line is wider than the terminal but for a word that is, and no word is lost', () => {
  const word = fc.oneof(
    fc.constantFrom('a', 'tenuto', 'resume:', '日本語', '', '`tenuto ls`', 'x'.repeat(30)),
    fc.string(),
  )
  fc.assert(
    fc.property(fc.array(word, { maxLength: 40 }), fc.integer({ min: 1, max: 100 }), (words, width) => {
      const text = words.join(' ').replaceAll(/[\p{Cc}\n]/gu, '')
      const lines = paragraph(text, width).split('\n')

      const bare = (line: string): string => line.replaceAll(' ', '')
      expect(bare(lines.join(''))).toBe(bare(text))
      for (const line of lines) {
        const [shown] = [line.trim()]
        const isOne = !shown.includes(' ') || /`[^`]+`|tenuto /.test(shown)
        if (!isOne) expect(widthOf(line)).toBeLessThanOrEqual(width)
      }
    }),
    { numRuns: 2000 },
  )
})
