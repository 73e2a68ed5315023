/**
 * Reads YAML with its positions, by the whole parser: what a plan file says, what is wrong with its YAML, and where each value stands.
 */
import {
  Alias,
  Document,
  isAlias,
  isMap,
  isNode,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  type Scalar,
  YAMLMap,
} from 'yaml'
import { wordsOf } from '../thrown.ts'
import { describe, type Path } from './problem.ts'

/** Something wrong with the YAML itself. */
export type YamlFault = Readonly<{ offset: number; path: Path; message: string; hint?: string }>

/** A YAML text that was read. `value` means something only when no fault is `fatal`. */
export type YamlSource = Readonly<{
  value: unknown
  faults: readonly YamlFault[]
  /** Whether the faults leave nothing to check. */
  fatal: boolean
  /** Where the key or value at a path begins; where there is none, its nearest container. Offset in UTF-16 units. */
  locate: (path: Path, at: 'key' | 'value') => number
  /** Line and column, both from 1, of an offset. */
  place: (offset: number) => Readonly<{ line: number; column: number }>
}>

/** Aliases may repeat text up to this many characters, which is also the size of a file. */
const EXPANDED_MAX = 64 * 1024 * 1024

const TOO_DEEP = 'it is nested too deeply'

const HINTS: Readonly<Record<string, string>> = {
  TAB_AS_INDENT: 'indent with spaces',
  BAD_INDENT: 'check the indentation',
  BLOCK_AS_IMPLICIT_KEY: 'quote text that has `: ` in it, or check the indentation',
  MULTILINE_IMPLICIT_KEY: 'a `:` may be missing on this line',
  MISSING_CHAR: 'close the quote or bracket',
  BAD_ALIAS: 'quote it if `*` was meant as text',
  UNEXPECTED_TOKEN: 'check quotes, brackets and indentation',
  BAD_SCALAR_START: 'quote it',
  TAG_RESOLVE_FAILED: 'leave the tag out, or quote text that begins with `!`',
}

/** Reads a YAML text of one document. Never throws for what the text says. */
export const readYaml = (text: string): YamlSource => {
  const lines = new LineCounter()
  const place = (offset: number): Readonly<{ line: number; column: number }> => {
    const { line, col } = lines.linePos(Math.min(Math.max(0, offset), text.length))
    return { line: Math.max(1, line), column: Math.max(1, col) }
  }
  const broken = (fault: Omit<YamlFault, 'path'>): YamlSource => ({
    value: undefined,
    faults: [{ path: [], ...fault }],
    fatal: true,
    locate: () => 0,
    place,
  })
  try {
    // Duplicate keys are found below: the parser's own look is quadratic.
    const document = parseDocument(text, {
      lineCounter: lines,
      merge: true,
      prettyErrors: false,
      uniqueKeys: false,
      // At 'silent' a second document would be passed over.
      logLevel: 'error',
    })
    const found = [...document.errors, ...document.warnings]
    if (found.length > 0) {
      if (found.some(({ code, message }) => code === 'RESOURCE_EXHAUSTION' || /call stack/.test(message))) {
        return broken({ offset: 0, message: TOO_DEEP })
      }
      // Of several faults at one place the later ones follow from the first.
      const firsts = new Map([...found].reverse().map((fault) => [fault.pos[0], fault]))
      const faults = [...firsts.values()].reverse().map(({ code, message, pos }) => ({
        offset: afterSpaces(text, pos[0]),
        path: [],
        message:
          code === 'MULTIPLE_DOCS' ? 'a plan file holds one YAML document' : message.replace(/\.?\s*$/, ''),
        ...(HINTS[code] === undefined ? {} : { hint: HINTS[code] }),
      }))
      return { value: undefined, faults, fatal: true, locate: () => 0, place }
    }
    if (document.contents === null) {
      return broken({ offset: 0, message: 'the file is empty', hint: 'begin with `plan: v1`' })
    }
    const { faults, fatal, targets } = inspect(document)
    const value: unknown = fatal ? undefined : document.toJS({ maxAliasCount: -1 })
    const locate = locator(document, targets)
    return { value, faults, fatal, locate, place }
  } catch (error) {
    if (error instanceof RangeError) return broken({ offset: 0, message: TOO_DEEP })
    // The parser throws a few faults instead of listing them.
    return broken({ offset: 0, message: wordsOf(error) })
  }
}

const afterSpaces = (text: string, offset: number): number => {
  let at = offset
  while (text[at] === ' ') at += 1
  return at
}

type Targets = ReadonlyMap<Alias, unknown>

const offsetOf = (node: unknown): number => (isNode(node) ? (node.range?.[0] ?? 0) : 0)

const keyText = (key: unknown): string => {
  const value: unknown = isScalar(key) ? key.value : key
  if (typeof value === 'symbol') return value.description ?? ''
  return value === null || value === undefined ? '' : String(value)
}

/** A key that is not what stands there: `0x10` is the number 16. Undefined for all others. */
const otherThanWritten = ({
  source,
  type,
  value,
}: Scalar): Readonly<{ written: string; read: string }> | undefined => {
  if (type !== 'PLAIN' || source === undefined || source === '' || typeof value === 'symbol') return undefined
  const read = value === null ? 'nothing' : String(value)
  return typeof value === 'string' || read === source ? undefined : { written: source, read }
}

/** The parser marks `<<` by a symbol. */
const isMergeKey = (key: unknown): boolean => isScalar(key) && typeof key.value === 'symbol'

/** Looks over all nodes once: keys that are no text, keys that stand twice, and aliases that would repeat too much. */
const inspect = (document: Document.Parsed): { faults: YamlFault[]; fatal: boolean; targets: Targets } => {
  const faults: YamlFault[] = []
  const anchors = new Map<string, unknown>()
  const targets = new Map<Alias, unknown>()
  const sizes = new Map<unknown, number>()
  const path: (string | number)[] = []
  let fatal = false
  const sizeOf = (node: unknown): number => {
    if (isAlias(node)) {
      const target = anchors.get(node.source)
      targets.set(node, target)
      // The library's own way looks over all nodes before it, for each alias anew.
      node.resolve = () => target as ReturnType<Alias['resolve']>
      const size = sizes.get(target)
      if (size !== undefined) return size
      fatal = true
      const message = anchors.has(node.source)
        ? `the anchor \`${node.source}\` contains itself`
        : `there is no anchor \`${node.source}\` before this`
      faults.push({
        offset: offsetOf(node),
        path: [...path],
        message,
        hint: 'quote it if `*` was meant as text',
      })
      return 0
    }
    if (isNode(node) && 'anchor' in node && node.anchor !== undefined) {
      anchors.set(node.anchor, node)
      sizes.delete(node)
    }
    let size = 1
    if (isScalar(node)) {
      const [start = 0, end = 0] = node.range ?? []
      size += end - start
    } else if (isSeq(node)) {
      for (const [index, item] of node.items.entries()) {
        path.push(index)
        size += isPair(item) ? sizeOf(item.value) : sizeOf(item)
        path.pop()
      }
    } else if (isMap(node)) {
      const seen = new Set<string>()
      for (const { key, value } of node.items) {
        const meant = isScalar(key) ? otherThanWritten(key) : undefined
        if (isScalar(key) && meant !== undefined) key.value = meant.written
        const text = keyText(key)
        path.push(text)
        if (meant !== undefined) {
          faults.push({
            offset: offsetOf(key),
            path: [...path],
            message: `without quotes YAML reads ${describe(text)} as ${meant.read}`,
            hint: `quote it: "${text}"`,
          })
        }
        if (key !== null && !isScalar(key)) {
          fatal = true
          faults.push({
            offset: offsetOf(key),
            path: [...path.slice(0, -1)],
            message: 'a key must be text',
            hint: 'quote it',
          })
        } else if (seen.has(text)) {
          const what =
            path.length === 2 && path[0] === 'jobs' ? `job ${describe(text)}` : `key ${describe(text)}`
          faults.push({
            offset: offsetOf(key),
            path: [...path],
            message: `${what} stands here twice`,
            hint: 'remove or rename one',
          })
        }
        seen.add(text)
        size += text.length + sizeOf(value)
        path.pop()
      }
    }
    sizes.set(node, size)
    return size
  }
  if (sizeOf(document.contents) > EXPANDED_MAX) {
    fatal = true
    faults.push({
      offset: 0,
      path: [],
      message: `its aliases repeat more than ${EXPANDED_MAX} characters`,
      hint: 'use fewer aliases',
    })
  }
  return { faults, fatal, targets }
}

const locator = (document: Document.Parsed, targets: Targets): YamlSource['locate'] => {
  const indexes = new WeakMap<YAMLMap, Map<string, { key: unknown; value: unknown }>>()
  const indexOf = (map: YAMLMap): Map<string, { key: unknown; value: unknown }> => {
    const known = indexes.get(map)
    if (known !== undefined) return known
    const index = new Map<string, { key: unknown; value: unknown }>()
    // Merged keys first: the map's own replace them, and an earlier merged map replaces a later one.
    for (const { key, value } of map.items) {
      if (!isMergeKey(key)) continue
      const target = follow(value)
      for (const source of isSeq(target) ? [...target.items].reverse() : [target]) {
        const merged = follow(source)
        if (isMap(merged)) for (const [name, pair] of indexOf(merged)) index.set(name, pair)
      }
    }
    for (const pair of map.items) if (!isMergeKey(pair.key)) index.set(keyText(pair.key), pair)
    indexes.set(map, index)
    return index
  }
  const follow = (node: unknown): unknown => (isAlias(node) ? targets.get(node) : node)
  return (path, at) => {
    let node: unknown = document.contents
    let offset = offsetOf(node)
    for (const [index, part] of path.entries()) {
      const target = follow(node)
      if (isSeq(target)) {
        const item = typeof part === 'number' ? target.items[part] : undefined
        if (item === undefined) return offset
        node = isPair(item) ? item.key : item
        offset = offsetOf(node)
      } else {
        const pair = isMap(target) ? indexOf(target).get(String(part)) : undefined
        if (pair === undefined) return offset
        const last = index === path.length - 1
        node = pair.value
        offset = (last && at === 'key') || isEmpty(node) ? offsetOf(pair.key) : offsetOf(node)
        // What is missing below a key is told at the key.
        if (!last && node === null) return offsetOf(pair.key)
      }
    }
    return offset
  }
}

/** Whether a value stands nowhere: `key:` and nothing after it. */
const isEmpty = (node: unknown): boolean =>
  node === null || (isScalar(node) && node.value === null && node.range?.[0] === node.range?.[1])
