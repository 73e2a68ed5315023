/**
 * What is wrong in a plan: found as a problem at a path, told as an error at a line and column.
 */
import { TenutoError } from '../errors.ts'
import { about, named, type Of, object, orNull, text, whole } from '../json-schema.ts'

/** The keys and list positions that lead to a value. */
export type Path = readonly (string | number)[]

/** Something wrong at a path of a plan, before anybody knows its line. */
export type Problem = Readonly<{
  path: Path
  /** Whether the key is meant, or the value under it. */
  at: 'key' | 'value'
  message: string
  hint?: string
  /** A word nobody knows, and the words it may have been meant to be. */
  guess?: Readonly<{ word: string; among: readonly string[] }>
}>

/** What one error of a plan is. */
export const planError = named(
  'PlanError',
  object({
    file: about('Null where there is none; then line and column may be, too.', orNull(text())),
    line: about('From 1.', orNull(whole())),
    column: about('From 1, in UTF-16 units.', orNull(whole())),
    path: text(),
    message: text(),
    hint: orNull(text()),
  }),
)

/** One error of a plan, as people and programs get it. Without a file, `file`, `line` and `column` are null. */
export type PlanError = Of<typeof planError>

/** Of more errors than this only the number is told. */
export const ERRORS_SHOWN_MAX = 100

/** A path as text: `jobs.build.needs[0]`, `jobs["v1.2"].run`. */
export const pathText = (path: Path): string =>
  path
    .map((part, index) => {
      if (typeof part === 'number') return `[${part}]`
      const short = part.length > 80 ? `${part.slice(0, 79)}…` : part
      if (!/^[A-Za-z0-9_-]+$/.test(part)) return `[${JSON.stringify(short)}]`
      return index === 0 ? short : `.${short}`
    })
    .join('')

/** A value as an error names it, cut to a readable length. */
export const describe = (value: unknown): string => {
  if (value === null || value === undefined) return 'nothing'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'a map'
  if (typeof value === 'function') return 'a function'
  if (typeof value !== 'string') return cut(String(value), 60)
  const text = JSON.stringify(value)
  return text.length > 60 ? `"${cut(text.slice(1, -1), 58)}"` : text
}

/** Whole characters and whole escapes only. */
const cut = (text: string, most: number): string => {
  if (text.length <= most) return text
  const kept = text.slice(0, most - 1).replace(/\\(?:u[0-9a-f]{0,3})?$|[\ud800-\udbff]$/, '')
  return `${kept}…`
}

/** The edit distance of two words (insert, delete, replace, swap of neighbours), or `limit` + 1 when it is greater. */
export const editDistance = (a: string, b: string, limit: number): number => {
  if (Math.abs(a.length - b.length) > limit) return limit + 1
  let before: number[] = []
  let above = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    let least = i
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      let cost = Math.min((above[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (above[j - 1] ?? 0) + (same ? 0 : 1))
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, (before[j - 2] ?? 0) + 1)
      }
      row.push(cost)
      least = Math.min(least, cost)
    }
    if (least > limit) return limit + 1
    before = above
    above = row
  }
  return Math.min(above[b.length] ?? 0, limit + 1)
}

/** Words compared by one guesser; after them it guesses no more, so that a wrong plan of any size is told quickly. */
const COMPARISONS_MAX = 300_000

/** Makes a function that finds the nearest of some words: at most a third of the letters differ, or one, and at most two. */
export const guesser = (): ((word: string, among: readonly string[]) => string | undefined) => {
  let left = COMPARISONS_MAX
  return (word, among) => {
    if (word.length > 100 || left < among.length) return undefined
    left -= among.length
    const lower = word.toLowerCase()
    let limit = word.length < 2 ? 0 : Math.min(2, Math.max(1, Math.floor(word.length / 3)))
    let best: string | undefined
    for (const candidate of among) {
      const distance = editDistance(lower, candidate.toLowerCase(), limit)
      if (distance > limit || candidate === word) continue
      if (distance < limit || best === undefined) best = candidate
      limit = distance
      if (distance === 0) break
    }
    return best
  }
}

/** Gives a problem its place. Guesses belong to one guesser, since they are bounded together. */
export const toPlanError = (
  problem: Problem,
  place: Readonly<{ file: string | null; line: number | null; column: number | null }>,
  guess: ReturnType<typeof guesser>,
): PlanError => {
  const meant = problem.guess && guess(problem.guess.word, problem.guess.among)
  const hint = meant === undefined ? (problem.hint ?? null) : `did you mean \`${meant}\`?`
  return { ...place, path: pathText(problem.path), message: problem.message, hint }
}

/** An error on one line: `file:line:column path: what is wrong (what to do)`. */
export const formatPlanError = (error: PlanError): string => {
  const place = [error.file, error.line, error.column].filter((part) => part !== null).join(':')
  const what = error.hint === null ? error.message : `${error.message} (${error.hint})`
  const where = [place, error.path].filter((part) => part !== '').join(' ')
  return where === '' ? what : `${where}: ${what}`
}

/** The error that carries them all. `total` counts also those that are not shown. */
export const planInvalid = (errors: readonly PlanError[], total = errors.length): TenutoError => {
  const [first] = errors
  return new TenutoError('PLAN_INVALID', {
    count: total,
    errors_in_words: total === 1 ? '1 error' : `${total} errors; the first`,
    first: first === undefined ? 'not shown' : formatPlanError(first),
    errors: errors.slice(0, ERRORS_SHOWN_MAX),
  })
}
