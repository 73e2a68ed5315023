/**
 * Text in the cells of a terminal: how wide it is, how it is cut, how rows become columns, and how what a job or a file says is
 * kept from steering the terminal.
 */
import { stripVTControlCharacters } from 'node:util'
import { widthOf } from './paragraph.ts'
import { spelled } from './screen.ts'

export { widthOf } from './paragraph.ts'

const GAP = 2
/** The last column is worth this much before the first one gives way. */
const LAST_MIN = 12
/** The first column, which names the row, gives way to these in turn. */
const FIRST_MIN = 10
const FIRST_LEAST = 6
/** What is left of a cell when there is less room than this says nothing. */
const SENSIBLE = 4

const ASCII = /^[ -~]*$/
const ESCAPE = String.fromCharCode(27)
const COLOR = new RegExp(`(${ESCAPE}\\[[\\d;]*m)`)
const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' })

/** A text on one line: colours and movements are left out, what else would steer a terminal is spelled out. */
export const plain = (text: string): string =>
  ASCII.test(text) ? text : spelled(stripVTControlCharacters(text).replace(/\s*[\n\t]+\s*/g, ' '))

/** A text on one line that keeps its colours and nothing else that steers, and ends without any. */
export const colorful = (text: string): string => {
  const parts = text.split(COLOR)
  const kept = parts.map((part, at) => (at % 2 === 1 ? part : plain(part))).join('')
  return parts.length > 1 ? `${kept}${ESCAPE}[0m` : kept
}

/** A line as a terminal would have shown it in the end: of what was written over with carriage returns, what came last. */
export const lastWritten = (line: string): string =>
  line.includes('\r') ? (line.split('\r').findLast((part) => part.trim() !== '') ?? '') : line

const clip = (parts: readonly string[], width: number): readonly string[] => {
  const kept: string[] = []
  let left = width
  for (const part of parts) {
    left -= widthOf(part)
    if (left < 0) break
    kept.push(part)
  }
  return kept
}
const partsOf = (text: string): readonly string[] =>
  ASCII.test(text) ? text.split('') : [...graphemes.segment(text)].map(({ segment }) => segment)

/** A text of at most so many columns; `sign` says that something is missing at the end. */
export const cut = (text: string, width: number, sign = '…'): string => {
  if (widthOf(text) <= width) return text
  const room = width - widthOf(sign)
  return room < 1 ? clip(partsOf(text), width).join('') : clip(partsOf(text), room).join('').trimEnd() + sign
}

/** A text of at most so many columns; `sign` stands for what is missing in its middle: names differ at their ends. */
export const shorten = (text: string, width: number, sign = '…'): string => {
  if (widthOf(text) <= width) return text
  const room = width - widthOf(sign)
  if (room < FIRST_LEAST) return cut(text, width, sign)
  const parts = partsOf(text)
  const tail = clip(parts.toReversed(), Math.floor(room / 2)).toReversed()
  return clip(parts, Math.ceil(room / 2)).join('') + sign + tail.join('')
}

/** A text filled to a width with spaces. */
export const fill = (text: string, width: number): string =>
  text + ' '.repeat(Math.max(0, width - widthOf(text)))

/** A text in lines of at most so many columns. */
export const wrapped = (text: string, width: number): readonly string[] => {
  if (widthOf(text) <= width) return [text]
  const lines: string[] = []
  let parts = partsOf(text)
  while (parts.length > 0) {
    const line = clip(parts, width)
    // What is wider than the line alone still has to go somewhere.
    const taken = Math.max(1, line.length)
    lines.push(parts.slice(0, taken).join(''))
    parts = parts.slice(taken)
  }
  return lines
}

/** How rows become columns. */
export type Layout = Readonly<{
  /** No line is wider. */
  width: number
  /** What stands for something left out. */
  sign: string
  /** The first column is something to copy: it is cut when nothing else is left to cut. */
  whole?: boolean
  /** What columns take at least, so that rows that are drawn again and again stand still. */
  least?: readonly number[]
  /** Colours a cell that has been cut to its width. */
  paint?: (cell: string, column: number, row: number) => string
}>

/**
 * Rows as lines, each column as wide as its widest cell. Where that is too wide, the last column is cut, then the middle of the
 * first; then columns are left out from the right.
 */
export const columns = (rows: readonly (readonly string[])[], layout: Layout): readonly string[] => {
  const { sign, whole = false, least = [], paint = (cell: string) => cell } = layout
  const widths = fitting(naturalWidths(rows, least), layout.width, whole)
  return rows.map((row, at) => {
    const last = row.findLastIndex((cell, column) => cell !== '' && widths[column] !== 0)
    return row
      .slice(0, last + 1)
      .flatMap((cell, column) => {
        const width = widths[column] ?? 0
        if (width === 0) return []
        const shown = column === 0 ? shorten(cell, width, sign) : cut(cell, width, sign)
        const space = ' '.repeat(column === last ? 0 : width - widthOf(shown))
        return [shown === '' ? space : paint(shown, column, at) + space]
      })
      .join(' '.repeat(GAP))
  })
}

const naturalWidths = (rows: readonly (readonly string[])[], least: readonly number[]): readonly number[] => {
  const widths = [...least]
  for (const row of rows) {
    row.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, widthOf(cell))
    })
  }
  return widths
}

const fitting = (natural: readonly number[], width: number, whole: boolean): readonly number[] => {
  const widths = [...natural]
  const last = widths.findLastIndex((each) => each > 0)
  const over = (): number => {
    const taken = widths.filter((each) => each > 0)
    return taken.reduce((sum, each) => sum + each, 0) + GAP * Math.max(0, taken.length - 1) - width
  }
  const narrow = (column: number, least: number): void => {
    const have = widths[column] ?? 0
    if (over() > 0) widths[column] = Math.min(have, Math.max(least, have - over()))
  }
  narrow(last, LAST_MIN)
  if (!whole) narrow(0, FIRST_MIN)
  if (last > 1) {
    narrow(last, 0)
    if ((widths[last] ?? 0) < Math.min(SENSIBLE, natural[last] ?? 0)) widths[last] = 0
    for (let column = last - 1; column > 1 && over() > 0; column--) widths[column] = 0
  }
  narrow(0, FIRST_LEAST)
  for (let column = last; column >= 0; column--) narrow(column, column === 0 ? 1 : 0)
  // What was left out may have made more room than was missing.
  widths[0] = Math.min(natural[0] ?? 0, (widths[0] ?? 0) + Math.max(0, -over()))
  return widths
}
