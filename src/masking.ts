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
  /** The same of what was cut to a readable length: where `…` stands, what is before it may be the beginning of a value. */
  cut: (value: Json) => Json
  /** Where occurrences stand. Whether a byte is masked depends on no byte further away than `reach`. */
  runs: (bytes: Uint8Array) => readonly Run[]
  /** How many bytes at the end may be the beginning of an occurrence. */
  begun: (bytes: Uint8Array) => number
  /** How many bytes at the beginning may be the end of an occurrence. */
  ending: (bytes: Uint8Array) => number
}>

/** Deeper than this nothing is looked at, and nothing is shown. */
const DEPTH_MAX = 500

/**
 * What is looked for, and the letters of which one may stand beside it that belongs to it as well, since it has bits of the value and
 * bits of a neighbour. Behind one at the end there may be padding.
 */
type Form = Readonly<{ bytes: Buffer; before: Buffer; behind: Buffer; padding: number }>

/** The masking of these values. */
export const masking = (values: Iterable<string>): Masking => {
  const forms = [...new Set(values)].flatMap(formsOf)
  const reach = forms.reduce((longest, form) => Math.max(longest, reachOf(form)), 0)
  const searches = searchesOf(forms)
  // Padding stands behind: what begins has none.
  const forwards = forms.map((form) => ({ ...form, padding: 0 }))
  let backwards: readonly Form[] | undefined

  const runs: Masking['runs'] = (bytes) => {
    const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    return joined(searches.flatMap((search) => occurrences(view, search)))
  }
  const text: Masking['text'] = (given) => {
    const bytes = Buffer.from(given)
    const found = runs(bytes)
    // What is no proper text is not changed in passing.
    return found.length === 0 ? given : masked(bytes, 0, found).toString()
  }
  const begun: Masking['begun'] = (bytes) =>
    overlap(forwards, bytes.subarray(Math.max(0, bytes.length - reach + 1)))
  const withoutBeginning = (before: string): string => {
    const bytes = Buffer.from(before)
    const length = begun(bytes)
    if (length < SECRET_CHARACTERS_LEAST) return before
    return `${bytes.subarray(0, bytes.length - length).toString()}${MASK}`
  }
  const cutText = (given: string): string => {
    const parts = text(given).split(CUT)
    const last = parts.pop() ?? ''
    return [...parts.map(withoutBeginning), last].join(CUT)
  }
  return {
    reach,
    text,
    value: (given) => everyText(given, text),
    cut: (given) => everyText(given, cutText),
    runs,
    begun,
    ending: (bytes) => {
      backwards ??= forms.map(({ bytes: form, behind, padding }) => ({
        bytes: Buffer.from(form).reverse(),
        before: behind,
        behind: NO_LETTERS,
        padding,
      }))
      return overlap(backwards, Buffer.from(bytes.subarray(0, Math.max(0, reach - 1))).reverse())
    },
  }
}

/** What stands where a text was cut. */
const CUT = '…'

/** A JSON value with every text and number of it masked, keys included. */
const everyText = (given: Json, mask: (text: string) => string, depth = 0): Json => {
  if (typeof given === 'string') return mask(given)
  if (typeof given === 'number') return mask(String(given)) === String(given) ? given : MASK
  if (typeof given !== 'object' || given === null) return given
  if (depth === DEPTH_MAX) return MASK
  if (Array.isArray(given)) return given.map((item) => everyText(item as Json, mask, depth + 1))
  return Object.fromEntries(
    Object.entries(given).map(([key, item]) => [mask(key), everyText(item as Json, mask, depth + 1)]),
  )
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

const NO_LETTERS = Buffer.alloc(0)
const PADDING = 0x3d

const reachOf = ({ bytes, before, behind, padding }: Form): number =>
  bytes.length + Math.min(1, before.length) + Math.min(1, behind.length) + padding

/** Forms that begin alike are looked for together: each search is a look at every byte. */
type Search = Readonly<{ head: Buffer; forms: readonly Form[] }>

/** The first line of what is wrapped into lines is that of what is not. */
const HEAD_BYTES = 64

const searchesOf = (forms: readonly Form[]): readonly Search[] => {
  const byHead = new Map<string, Form[]>()
  for (const form of forms) {
    const head = form.bytes.toString('latin1', 0, HEAD_BYTES)
    const alike = byHead.get(head)
    if (alike) alike.push(form)
    else byHead.set(head, [form])
  }
  return [...byHead].map(([head, alike]) => ({ head: Buffer.from(head, 'latin1'), forms: alike }))
}

const occurrences = (bytes: Buffer, { head, forms }: Search): Run[] => {
  const found: Run[] = []
  let last: { from: number; to: number } | undefined
  for (let at = bytes.indexOf(head); at !== -1; at = bytes.indexOf(head, at + 1))
    for (const form of forms) {
      let to = at + form.bytes.length
      if (forms.length > 1 || to > at + head.length) {
        if (to > bytes.length || form.bytes.compare(bytes, at, to) !== 0) continue
      }
      const from = at > 0 && form.before.includes(bytes[at - 1] as number) ? at - 1 : at
      if (to < bytes.length && form.behind.includes(bytes[to] as number)) {
        to += 1
        for (const end = to + form.padding; to < end && bytes[to] === PADDING; ) to += 1
      }
      if (last !== undefined && from <= last.to) {
        last.from = Math.min(last.from, from)
        last.to = Math.max(last.to, to)
      } else {
        last = { from, to }
        found.push(last)
      }
    }
  return found
}

/** The longest end of some bytes that is the beginning of a form, and not all of it; with the letter before it, and padding before that. */
const overlap = (forms: readonly Form[], bytes: Uint8Array): number => {
  let longest = 0
  for (const { bytes: form, before, padding } of forms) {
    const borders = bordersOf(form)
    let matched = 0
    for (const byte of bytes.subarray(Math.max(0, bytes.length - form.length + 1))) {
      while (matched > 0 && form[matched] !== byte) matched = borders[matched - 1] ?? 0
      if (form[matched] === byte) matched += 1
    }
    longest = Math.max(longest, matched)
    // A shorter one may be the longer one with what stands before it.
    for (let own = matched; before.length > 0; own = borders[own - 1] ?? 0) {
      longest = Math.max(longest, own + edgeOf(bytes, bytes.length - own, before, padding))
      if (own === 0) break
    }
  }
  return longest
}

/** How many of the bytes before a place are one of these letters and, before it, padding. */
const edgeOf = (bytes: Uint8Array, at: number, letters: Buffer, padding: number): number => {
  const letter = bytes[at - 1]
  if (letter === undefined || !letters.includes(letter)) return 0
  let length = 1
  while (length <= padding && bytes[at - 1 - length] === PADDING) length += 1
  return length
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
const formsOf = (value: string): readonly Form[] => {
  const whole = [...new Set([value, value.trim()])]
  const lines = value.split(/\r\n|\r|\n/).map((line) => line.trim())
  const encoded = whole.flatMap((text) => [
    ...jsonOf(text),
    ...urlOf(text.toWellFormed()),
    Buffer.from(text).toString('hex'),
    Buffer.from(text).toString('hex').toUpperCase(),
  ])
  const plain = [...new Set([...whole, ...lines, ...encoded])].map((form) => ({
    bytes: Buffer.from(form),
    before: NO_LETTERS,
    behind: NO_LETTERS,
    padding: 0,
  }))
  return [...plain, ...whole.flatMap((text) => base64Of(Buffer.from(text)))].filter(
    ({ bytes }) => bytes.length >= SECRET_CHARACTERS_LEAST,
  )
}

const quoted = (text: string): string => JSON.stringify(text).slice(1, -1)

const unicode = (letter: string): string => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`

/** The same JSON with the hex digits of its escapes as C# and Java write them; a backslash that is escaped itself begins none. */
const inUpperCase = (json: string): string =>
  json.replace(/\\(?:u[0-9a-f]{4}|[^u])/g, (escape) =>
    escape.startsWith('\\u') ? `\\u${escape.slice(2).toUpperCase()}` : escape,
  )

/**
 * As JSON, and as JSON that is a text of JSON: as it is here, in ASCII (Python), safe in HTML (Go; and C#, which escapes more), and with
 * `\/` (PHP).
 */
const jsonOf = (text: string): readonly string[] => {
  const once = quoted(text)
  const ascii = once.replace(/[\u007f-\uffff]/g, unicode)
  const slashed = (json: string): string => json.replaceAll('/', '\\/')
  const safest = ascii.replaceAll('\\"', unicode('"')).replace(/[<>&'+`]/g, unicode)
  const written = [
    once,
    ascii,
    once.replace(/[<>&\u2028\u2029]/g, unicode),
    slashed(once),
    slashed(ascii),
    safest,
  ]
  const forms = written.flatMap((json) => [json, inUpperCase(json)])
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

const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
/** By how many bits of a letter are of what ends in it: how many signs fill up the four. */
const PADDING_OF: Readonly<Record<number, number>> = { 2: 2, 4: 1 }
const forUrls = (base64: string): string => base64.replaceAll('+', '-').replaceAll('/', '_')

/** After so many letters a line ends: of `base64`, MIME and Python; of `openssl` and PEM. */
const WRAPS = [76, 64] as const

/** As it stands in lines. A full last line holds whole bytes, so that no letter of it comes behind. */
const wrappedAt = (base64: string, letters: number): readonly string[] => {
  if (base64.length < letters) return []
  const lines = base64.match(new RegExp(`.{1,${letters}}`, 'g')) ?? []
  return ['\n', '\r\n'].map((end) => lines.join(end))
}

/**
 * As it stands in the base64 of a longer text, whatever stands before and behind it: the letters that are of it alone, and beside them
 * those that it may share with its neighbours.
 */
const base64Of = (own: Buffer): readonly Form[] =>
  [0, 1, 2].flatMap((others) => {
    const bits = (others + own.length) * 8
    const first = Math.ceil((others * 8) / 6)
    const inner = Buffer.concat([Buffer.alloc(others), own])
      .toString('base64')
      .slice(first, Math.floor(bits / 6))
    // Of the six bits of a shared letter: how many at the beginning are of what stands before, how many of what ends there.
    const foreign = (others * 8) % 6
    const owned = bits % 6
    const form = {
      before: lettersWhere(
        (letter) => foreign > 0 && (own[0] ?? 0) >> (2 + foreign) === letter % 2 ** (6 - foreign),
      ),
      behind: lettersWhere((letter) => owned > 0 && (own.at(-1) ?? 0) % 2 ** owned === letter >> (6 - owned)),
      padding: PADDING_OF[owned] ?? 0,
    }
    // Where lines end in it is known of what stands at the beginning alone: anywhere else it could be wrapped in hundreds of ways.
    const wrapped = others === 0 ? WRAPS.flatMap((wrap) => wrappedAt(inner, wrap)) : []
    const texts = new Set([inner, forUrls(inner), ...wrapped])
    return [...texts].map((text) => ({ bytes: Buffer.from(text), ...form }))
  })

/** The letters of base64, in both of its alphabets, of these values. */
const lettersWhere = (isOne: (value: number) => boolean): Buffer => {
  const letters = BASE64.split('')
    .filter((_, value) => isOne(value))
    .join('')
  return Buffer.from(letters + forUrls(letters))
}
