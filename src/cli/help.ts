/**
 * How `--help` is laid out: what each thing is beside its name, or under it where the terminal is narrow.
 */
import type { Help, HelpConfiguration } from 'commander'
import { brokenAtBlanks, widthOf } from './paragraph.ts'

/** Narrower than this, a description stands under what it describes. */
const BESIDE_MIN = 30
const INDENT = 2
const UNDER = 6

const formatItem = (
  term: string,
  termWidth: number,
  description: string,
  { helpWidth = Number.POSITIVE_INFINITY }: Help,
): string => {
  const margin = INDENT + termWidth + INDENT
  const isBeside = helpWidth - margin >= BESIDE_MIN
  const [indent, head] = isBeside
    ? [margin, term + ' '.repeat(margin - INDENT - widthOf(term))]
    : [UNDER, `${term}\n${' '.repeat(UNDER)}`]
  const said = brokenAtBlanks(description, helpWidth - indent).join(`\n${' '.repeat(indent)}`)
  return `${' '.repeat(INDENT)}${description === '' ? term : head + said}`
}

/** The layout of every command's help. */
export const helpLayout: HelpConfiguration = {
  formatItem,
  boxWrap: (text, width) => brokenAtBlanks(text, width).join('\n'),
}
