/**
 * Masking by value: wherever the value of a secret stands in a text or in the bytes of a log, there is `***` instead. It holds against what a
 * job prints by accident, in the forms in which programs print: as it is, line by line, as JSON, in URLs, in base64 and hex. A job that
 * wants to give a secret away can.
 */
import type { Json } from './json.ts'

/** What stands in the place of a secret. */
export const MASK = '***'
/** The fewest characters of a secret. Shorter values stand in too many texts by chance, and are guessed from what is left of them. */
export const SECRET_CHARACTERS_LEAST = 6

/** Where some bytes must not be seen: `from` included, `to` not; in order, none touching the next. */
type Run = Readonly<{ from: number; to: number }>

/** The values of some secrets, ready to be looked for. */
export type Masking = Readonly<{
  /** The most bytes that one occurrence can have; 0 when there is nothing to mask. */
  reach: number
  text: (text: string) => string
  /** Every text and number of a JSON value, keys included. */
  value: (value: Json) => Json
  /** Where occurrences stand. Whether a byte is masked depends on no byte further away than `reach`. */
  runs: (bytes: Uint8Array) => readonly Run[]
  /** How many bytes at the end may be the beginning of an occurrence. */
  begun: (bytes: Uint8Array) => number
  /** How many bytes at the beginning may be the end of an occurrence. */
  ending: (bytes: Uint8Array) => number
}>

/** Deeper than this nothing is looked at, and nothing is shown. */
const DEPTH_MAX = 500

/** The masking of these values. */
export const masking = (values: Iterable<string>): Masking => {
  const forms = [...new Set([...values].flatMap(formsOf))].map((form) => Buffer.from(form))
  const reach = forms.reduce((longest, { length }) => Math.max(longest, length), 0)
  const backwards = forms.map((form) => Buffer.from(form).reverse())

  const runs: Masking['runs'] = (bytes) => {
    const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    return joined(forms.flatMap((form) => occurrences(view, form)))
  }
  const text: Masking['text'] = (given) => {
    const bytes = Buffer.from(given)
    const found = runs(bytes)
    // What is no proper text is not changed in passing.
    return found.length === 0 ? given : masked(bytes, 0, found).toString()
  }
  const value = (given: Json, depth = 0): Json => {
    if (typeof given === 'string') return text(given)
    if (typeof given === 'number') return text(String(given)) === String(given) ? given : MASK
    if (typeof given !== 'object' || given === null) return given
    if (depth === DEPTH_MAX) return MASK
    if (Array.isArray(given)) return given.map((item) => value(item as Json, depth + 1))
    return Object.fromEntries(
      Object.entries(given).map(([key, item]) => [text(key), value(item as Json, depth + 1)]),
    )
  }
  return {
    reach,
    text,
    value: (given) => value(given),
    runs,
    begun: (bytes) => overlap(forms, bytes.subarray(Math.max(0, bytes.length - reach + 1))),
    ending: (bytes) => overlap(backwards, Buffer.from(bytes.subarray(0, Math.max(0, reach - 1))).reverse()),
  }
}

/** Bytes of which the first has the offset `at`, with the runs left out. A run that began before them is not told again. */
export const masked = (bytes: Uint8Array, at: number, runs: readonly Run[]): Buffer => {
  const parts: Uint8Array[] = []
  let seen = at
  const end = at + bytes.length
  for (const { from, to } of runs) {
    if (to <= seen || from >= end) continue
    if (from >= seen) parts.push(bytes.subarray(seen - at, from - at), Buffer.from(MASK))
    seen = to
  }
  if (seen < end) parts.push(bytes.subarray(seen - at))
  return Buffer.concat(parts)
}

/** Runs that overlap or touch as one. */
export const joined = (runs: readonly Run[]): readonly Run[] => {
  const result: Run[] = []
  for (const run of runs.toSorted((a, b) => a.from - b.from)) {
    const last = result.at(-1)
    if (last === undefined || run.from > last.to) result.push(run)
    else if (run.to > last.to) result[result.length - 1] = { from: last.from, to: run.to }
  }
  return result
}

const occurrences = (bytes: Buffer, form: Buffer): Run[] => {
  const found: Run[] = []
  let last: { from: number; to: number } | undefined
  for (let at = bytes.indexOf(form); at !== -1; at = bytes.indexOf(form, at + 1)) {
    if (last !== undefined && at <= last.to) last.to = at + form.length
    else {
      last = { from: at, to: at + form.length }
      found.push(last)
    }
  }
  return found
}

/** The longest end of some bytes that is the beginning of a form, and not all of it. */
const overlap = (forms: readonly Buffer[], bytes: Uint8Array): number => {
  let longest = 0
  for (const form of forms) {
    const borders = bordersOf(form)
    let matched = 0
    for (const byte of bytes.subarray(Math.max(0, bytes.length - form.length + 1))) {
      while (matched > 0 && form[matched] !== byte) matched = borders[matched - 1] ?? 0
      if (form[matched] === byte) matched += 1
    }
    longest = Math.max(longest, matched)
  }
  return longest
}

/** Knuth, Morris and Pratt: of each beginning of a form, the longest shorter beginning that is also its end. */
const bordersOf = (form: Uint8Array): readonly number[] => {
  const known = BORDERS.get(form)
  if (known !== undefined) return known
  const borders = [0]
  for (let at = 1, border = 0; at < form.length; at += 1) {
    while (border > 0 && form[border] !== form[at]) border = borders[border - 1] ?? 0
    if (form[border] === form[at]) border += 1
    borders.push(border)
  }
  BORDERS.set(form, borders)
  return borders
}
const BORDERS = new WeakMap<Uint8Array, readonly number[]>()

/** What of a value is looked for. Of one with several lines each line is, too, since whoever prints it may indent or number them. */
const formsOf = (value: string): readonly string[] => {
  const whole = [value, value.trim()]
  const lines = value.split(/\r\n|\r|\n/).map((line) => line.trim())
  const encoded = whole.flatMap((text) => [
    ...jsonOf(text),
    ...urlOf(text.toWellFormed()),
    ...base64Of(text),
    Buffer.from(text).toString('hex'),
    Buffer.from(text).toString('hex').toUpperCase(),
  ])
  return [...whole, ...lines, ...encoded].filter((form) => form.length >= SECRET_CHARACTERS_LEAST)
}

const quoted = (text: string): string => JSON.stringify(text).slice(1, -1)

const unicode = (letter: string): string => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`

/** As JSON, and as JSON that is a text of JSON: as it is here, in ASCII (Python), safe in HTML (Go), and with `\/` (PHP). */
const jsonOf = (text: string): readonly string[] => {
  const once = quoted(text)
  const ascii = once.replace(/[\u007f-\uffff]/g, unicode)
  const slashed = (json: string): string => json.replaceAll('/', '\\/')
  const forms = [once, ascii, once.replace(/[<>&\u2028\u2029]/g, unicode), slashed(once), slashed(ascii)]
  return [...forms, ...forms.map(quoted)]
}

const percent = (letter: string): string => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`

/** As programs write it in URLs and forms: they differ in which signs they leave as they are, in blanks, and in the case of hex digits. */
const urlOf = (text: string): readonly string[] => {
  const component = encodeURIComponent(text)
  const strict = component.replace(/[!'()*]/g, percent)
  const written = [
    component,
    // curl, and `quote_plus` of Python; `quote` of Python; `URLSearchParams`; a whole URL.
    strict,
    strict.replaceAll('%2F', '/'),
    component.replace(/[!'()~]/g, percent),
    encodeURI(text),
  ]
  const blanks = written.flatMap((form) => [form, form.replaceAll('%20', '+')])
  return blanks.flatMap((form) => [form, form.replace(/%[0-9A-F]{2}/g, (hex) => hex.toLowerCase())])
}

/** As it stands in the base64 of a longer text, whatever stands before it: what of it does not depend on its neighbours. */
const base64Of = (text: string): readonly string[] =>
  [0, 1, 2].flatMap((before) => {
    const bytes = Buffer.concat([Buffer.alloc(before), Buffer.from(text)])
    const own = bytes
      .toString('base64')
      .slice(Math.ceil((before * 8) / 6), Math.floor((bytes.length * 8) / 6))
    return [own, own.replaceAll('+', '-').replaceAll('/', '_')]
  })
