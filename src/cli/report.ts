/**
 * An error as it is told on stderr: what is wrong, with the value, and what to do; or the same as one line of JSON.
 */
import { isTenutoError, TenutoError } from '../errors.ts'
import type { PlanError } from '../plans/problem.ts'
import { wordsOf } from '../thrown.ts'

/** How an error is told. */
export type Telling = Readonly<{
  json: boolean
  verbose: boolean
  /** How the home is named in a suggested command, as `homeFlag` answers it. */
  homeFlag: string
}>

/** An error that was told: its lines, and the exit code. */
export type Told = Readonly<{ lines: readonly string[]; exit: number }>

/** Commands that touch no home. */
const HOMELESS = /^tenuto (?:-|help|version|validate|schema|machines)/

/** A text whose commands name the home that was asked for, so that they can be copied as they are. */
const atHome = (text: string, homeFlag: string): string =>
  text.replace(/`(tenuto [^`]+)`/g, (whole, command: string) =>
    homeFlag === '' || HOMELESS.test(command) || command.includes(' --home')
      ? whole
      : `\`${command}${homeFlag}\``,
  )

/** Whatever was thrown, as it is told. What the table of errors does not know is told as `INTERNAL`. */
export const tellError = (error: unknown, { json, verbose, homeFlag }: Telling): Told => {
  const known = isTenutoError(error) ? error : new TenutoError('INTERNAL', { what: wordsOf(error) }, error)
  const { code, exit, fields } = known
  const message = atHome(known.message, homeFlag)
  const hint = atHome(known.hint, homeFlag)
  const errors = fields['errors'] as readonly PlanError[] | undefined
  if (json) {
    const docs = `docs/errors.md#${code.toLowerCase()}`
    const told = { code, message, hint, docs, exit, ...(errors ? { errors } : {}) }
    return { lines: [JSON.stringify({ error: told })], exit }
  }
  const stack = verbose && known !== error && error instanceof Error ? [error.stack ?? ''] : []
  const what = errors ? placesOf(errors, Number(fields['count'] ?? errors.length)) : [`tenuto: ${message}`]
  return { lines: [...what, `  ${hint}`, ...stack], exit }
}

const placesOf = (errors: readonly PlanError[], count: number): readonly string[] => [
  ...errors.map(({ file, line, column, path, message, hint }) => {
    const place = [file, line, column].filter((part) => part !== null).join(':')
    return `${place}${path ? ` ${path}` : ''}: ${message}${hint ? ` (${hint})` : ''}`
  }),
  ...(count > errors.length ? [`… and ${count - errors.length} more`] : []),
]
