/**
 * The outputs file of an attempt: what a job says to those that need it.
 */
import { type Json, type JsonObject, readObject } from './json.ts'
import { MASK } from './masking.ts'

/** How much of an outputs file is read. */
export const OUTPUTS_LIMIT_BYTES = 1_000_000
const WARNINGS_MAX = 20

/** The outputs of a job and what was left out of them. `outputs` is undefined when there are none. */
export type ParsedOutputs = Readonly<{ outputs: JsonObject | undefined; warnings: readonly string[] }>

/**
 * Reads an outputs file: lines of `key=value` (a text) or of a JSON object; a later line wins. Lines that are neither, and
 * everything past the limit, are left out and named. No key is special, `__proto__` included. What must not be shown is masked before
 * anything is cut, since neither half of a secret with a `=` in it could be found.
 */
export const parseOutputs = (
  file: Uint8Array,
  masked: (text: string) => string = (text) => text,
): ParsedOutputs => {
  const outputs = new Map<string, Json>()
  const warnings: string[] = []
  const within = file.byteLength > OUTPUTS_LIMIT_BYTES ? wholeLines(file) : file
  const lines = masked(new TextDecoder().decode(within)).split('\n')
  let bad = 0
  for (const [index, line] of lines.entries()) {
    const text = line.endsWith('\r') ? line.slice(0, -1) : line
    if (text.trim() === '' || addOutputs(outputs, text)) continue
    bad += 1
    if (bad <= WARNINGS_MAX)
      warnings.push(`outputs: line ${index + 1} is neither key=value nor a JSON object`)
  }
  if (bad > WARNINGS_MAX) warnings.push(`outputs: ${bad - WARNINGS_MAX} more such lines`)
  if (within !== file) warnings.push(`outputs: everything past ${OUTPUTS_LIMIT_BYTES} bytes was left out`)
  return { outputs: outputs.size === 0 ? undefined : inert(outputs), warnings }
}

/** The last line before the limit may be half a line; it is left out with the rest. */
const wholeLines = (file: Uint8Array): Uint8Array => {
  const within = file.subarray(0, OUTPUTS_LIMIT_BYTES)
  return within.subarray(0, within.lastIndexOf(0x0a) + 1)
}

const BARE_MASK = /(?<=[[:,]\s*)\*{3}(?=\s*[\],}])/g
const asItIs = <Value>(value: Value): Value => value

const addOutputs = (outputs: Map<string, Json>, line: string): boolean => {
  if (line.trimStart().startsWith('{')) {
    // A secret that is a number, or a whole object, leaves a mask without quotes.
    const object =
      readObject(line, asItIs) ?? readObject(line.replace(BARE_MASK, JSON.stringify(MASK)), asItIs)
    if (object === undefined) return false
    for (const key of Object.keys(object)) outputs.set(key, object[key] as Json)
    return true
  }
  const equals = line.indexOf('=')
  const key = line.slice(0, Math.max(0, equals))
  // Neither side is trimmed: a key with a blank beside it was meant as something else.
  if (key === '' || key !== key.trim()) return false
  outputs.set(key, line.slice(equals + 1))
  return true
}

/** `fromEntries` defines properties and never calls a setter, so `__proto__` is a key like any other. */
const inert = (outputs: Map<string, Json>): JsonObject => Object.fromEntries(outputs)
