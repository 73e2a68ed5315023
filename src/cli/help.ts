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

/** What the exit codes mean. */
export const EXITS: readonly (readonly [code: number, meaning: string])[] = [
  [0, 'succeeded'],
  [1, 'the plan or job failed; `doctor`: a check did'],
  [2, 'wrong usage; a file that cannot be used'],
  [3, 'the plan file is invalid'],
  [4, 'not found, or ambiguous'],
  [5, 'no daemon, home held by another, wrong version, stale build'],
  [6, 'not allowed'],
  [7, 'conflicts with its state'],
  [8, '--timeout passed, or left by Ctrl-C; it goes on'],
  [9, 'cancelled'],
  [10, 'waits for a person'],
  [11, 'paused'],
  [12, 'the store cannot be used'],
]

/** The exit codes as they stand under the help of a terminal of so many columns. */
export const exitsInHelp = (width: number): string => {
  const codeWidth = 2
  const margin = INDENT + codeWidth + INDENT
  const lines = EXITS.map(([code, meaning]) => {
    const said = brokenAtBlanks(meaning, width - margin).join(`\n${' '.repeat(margin)}`)
    return `${' '.repeat(INDENT)}${String(code).padEnd(codeWidth + INDENT)}${said}`
  })
  return `\nExit codes:\n${lines.join('\n')}`
}

/** The layout of every command's help. */
export const helpLayout: HelpConfiguration = {
  formatItem,
  boxWrap: (text, width) => brokenAtBlanks(text, width).join('\n'),
}
