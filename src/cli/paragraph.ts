/**
 * Sentences on a terminal: broken between words where they are wider than it, with the lines that follow set in. What is to be copied
 * stays on one line.
 */
import { createRequire } from 'node:module'
import type stringWidth from 'string-width'

const require = createRequire(import.meta.url)
const ASCII = /^[ -~]*$/
/** How far the lines after the first are set in. */
const HANG = 2
/** What an item of a list begins with: its further lines stand below its text. */
const ITEM = /^\d+\. /
/** A command stands in backticks, behind a colon, or on a line of its own; there it ends with two blanks, a mark, or the line. */
const COMMAND = /`[^`]+`|(?<=^|: |\bthen |\bor )tenuto [a-z].*?(?= {2}|[,;.)](?: |$)|$)/g
/** Stands for a blank within a command; no text that is shown has one. */
const GLUE = '\u0000'

let measure: typeof stringWidth | undefined
/** Loads what knows the widths of characters, once. It takes as long as all else of a short command, and most texts are ASCII. */
export const loadWidths = (): typeof stringWidth => {
  measure ??= (require('string-width') as typeof import('string-width')).default
  return measure
}

/** How many columns a text takes. */
export const widthOf = (text: string): number => (ASCII.test(text) ? text.length : loadWidths()(text))

/** The words of a line; a command is one word. */
const wordsOf = (line: string): readonly string[] =>
  line
    .replace(COMMAND, (command) => command.replaceAll(' ', GLUE))
    .split(' ')
    .map((word) => word.replaceAll(GLUE, ' '))

/**
 * A text in lines of at most so many columns, broken at blanks. A word, and a command, that is longer stays whole, so that it can be
 * copied. `first` is the room of the first line, where that is another.
 */
export const brokenAtBlanks = (text: string, width: number, first = width): readonly string[] => {
  const lines: string[] = []
  for (const word of wordsOf(text)) {
    const longer = lines.length === 0 ? word : `${lines.at(-1)} ${word}`
    const room = lines.length < 2 ? first : width
    // Two blanks between sentences are none at the end of a line.
    if (lines.length > 0 && word !== '' && widthOf(longer) > room) lines.push(word)
    else lines.splice(-1, 1, longer)
  }
  return lines.map((line) => line.trimEnd())
}

/**
 * A text as it stands on a terminal of so many columns: what fits is left as it is, a longer line goes on in the next ones, set in by
 * `hang` more than it is itself, or an item of a list to where its text begins. What is longer than a line even alone begins at the left,
 * and is the terminal's to break.
 */
export const paragraph = (text: string, width: number, hang = HANG): string =>
  width === Number.POSITIVE_INFINITY
    ? text
    : text
        .split('\n')
        .map((line) => (widthOf(line) <= width ? line : hanging(line, width, hang)))
        .join('\n')

const hanging = (line: string, width: number, hang: number): string => {
  const rest = line.trimStart()
  const lead = Math.min(line.length - rest.length, Math.floor(width / 2))
  const indent = Math.min(lead + (ITEM.exec(rest)?.[0].length ?? hang), Math.floor(width / 2))
  return brokenAtBlanks(rest, width - indent, width - lead)
    .map((part, at) => {
      const room = Math.max(0, width - widthOf(part))
      return ' '.repeat(Math.min(at === 0 ? lead : indent, room)) + part
    })
    .join('\n')
}
