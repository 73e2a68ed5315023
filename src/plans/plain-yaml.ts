/**
 * Reads the plain part of YAML that nearly all plan files are written in, some fifty times faster than a whole YAML parser: a plan of
 * 100 000 jobs has several megabytes. It knows no anchors, tags, folded or multi-line scalars, and no errors: at the first thing it
 * does not know for certain it gives up, and the whole parser (`yaml-source.ts`) decides. What it does return is what that one returns.
 */

/** A value of a plain file. */
export type PlainValue = null | boolean | number | string | PlainValue[] | PlainMap
/** A map of a plain file; the order of its keys is that of the file. */
export type PlainMap = { [key: string]: PlainValue }

/** Thrown to give up, and caught here. */
class NotPlain extends Error {}

const DEPTH_MAX = 50

/** The value of a plain YAML or JSON text; undefined when the text is not plain, which says nothing about whether it is good. */
export const readPlainYaml = (text: string): PlainValue | undefined => {
  // Characters with a meaning of their own anywhere in YAML, or with none.
  if (/[\t\r\0\u0085\u2028\u2029\uFEFF\x01-\x08\x0B\x0C\x0E-\x1F\x7F-\x9F]/.test(text)) return undefined
  try {
    return /^\s*\{/.test(text) ? readWholeFlow(text) : readWholeBlock(text)
  } catch (error) {
    if (error instanceof NotPlain) return undefined
    throw error
  }
}

const giveUp = (): never => {
  throw new NotPlain()
}

const setKey = (map: PlainMap, key: string, value: PlainValue): void => {
  // Duplicates are for the whole parser to report.
  if (key === '__proto__' || Object.hasOwn(map, key)) giveUp()
  map[key] = value
}

/** A key without quotes; those that YAML reads as something other than text are left to the whole parser. */
const readKey = (key: string): string => {
  if (!/^[A-Za-z_][A-Za-z0-9_.-]*$/.test(key) || /^(null|true|false)$/i.test(key)) giveUp()
  return key
}

const readScalar = (text: string): PlainValue => {
  if (/^(0|[1-9][0-9]{0,14})$/.test(text) || /^(0|[1-9][0-9]{0,8})\.[0-9]{1,6}$/.test(text))
    return Number(text)
  if (text === 'true') return true
  if (text === 'false') return false
  if (text === 'null' || /^(null|true|false)$/i.test(text)) return giveUp()
  const isText = /^[A-Za-z_/$(+=;^]/.test(text)
    ? !/^\+[\d.]/.test(text)
    : /^([0-9]+(ms|s|m|h)$|\.{1,2}\/)/.test(text)
  if (!isText || text.includes(': ') || text.endsWith(':') || text.includes(' #')) return giveUp()
  return text
}

const readDouble = (quoted: string): string => {
  if (!quoted.includes('\\')) return quoted.slice(1, -1)
  if (!/^"(?:[^"\\]|\\["\\/bfnrt])*"$/.test(quoted)) giveUp()
  return JSON.parse(quoted) as string
}

const DOUBLE = /"(?:[^"\\\n]|\\["\\/bfnrt])*"/y
const SINGLE = /'(?:[^'\n]|'')*'/y

const quotedAt = (text: string, at: number): string => {
  const pattern = text[at] === '"' ? DOUBLE : SINGLE
  pattern.lastIndex = at
  return pattern.exec(text)?.[0] ?? giveUp()
}

const unquote = (quoted: string): string =>
  quoted.startsWith('"') ? readDouble(quoted) : quoted.slice(1, -1).replaceAll("''", "'")

// Flow: `{ a: 1, b: [x, "y"] }`. Within a block it stays on its line; a whole file of it (JSON) may use as many as it likes.

type Flow = { readonly text: string; at: number; readonly space: RegExp }

const skip = (flow: Flow): string | undefined => {
  flow.space.lastIndex = flow.at
  flow.space.exec(flow.text)
  flow.at = Math.max(flow.at, flow.space.lastIndex)
  return flow.text[flow.at]
}

const PLAIN_IN_FLOW = /[^,[\]{}\n]+/y

const readFlow = (flow: Flow, depth: number): PlainValue => {
  const first = skip(flow)
  if (depth > DEPTH_MAX) giveUp()
  if (first === '{') return readFlowMap(flow, depth)
  if (first === '[') return readFlowList(flow, depth)
  if (first === '"' || first === "'") {
    const quoted = quotedAt(flow.text, flow.at)
    flow.at += quoted.length
    return unquote(quoted)
  }
  PLAIN_IN_FLOW.lastIndex = flow.at
  const plain = PLAIN_IN_FLOW.exec(flow.text)?.[0] ?? giveUp()
  flow.at += plain.length
  const next = skip(flow)
  if (next !== ',' && next !== ']' && next !== '}') giveUp()
  return readScalar(plain.trimEnd())
}

const readFlowList = (flow: Flow, depth: number): PlainValue[] => {
  const list: PlainValue[] = []
  flow.at += 1
  if (skip(flow) === ']') {
    flow.at += 1
    return list
  }
  for (;;) {
    list.push(readFlow(flow, depth + 1))
    const next = skip(flow)
    flow.at += 1
    if (next === ']') return list
    if (next !== ',') giveUp()
  }
}

const KEY_IN_FLOW = /([A-Za-z0-9_.-]+):(?= )/y

const readFlowMap = (flow: Flow, depth: number): PlainMap => {
  const map: PlainMap = {}
  flow.at += 1
  if (skip(flow) === '}') {
    flow.at += 1
    return map
  }
  for (;;) {
    const first = skip(flow)
    let key: string
    if (first === '"' || first === "'") {
      const quoted = quotedAt(flow.text, flow.at)
      key = unquote(quoted)
      flow.at += quoted.length
      if (flow.text[flow.at] !== ':') giveUp()
      flow.at += 1
    } else {
      KEY_IN_FLOW.lastIndex = flow.at
      const [whole = '', name = ''] = KEY_IN_FLOW.exec(flow.text) ?? giveUp()
      key = readKey(name)
      flow.at += whole.length
    }
    setKey(map, key, readFlow(flow, depth + 1))
    const next = skip(flow)
    flow.at += 1
    if (next === '}') return map
    if (next !== ',') giveUp()
  }
}

const readWholeFlow = (text: string): PlainValue => {
  const flow: Flow = { text, at: 0, space: /[ \n]*/y }
  const value = readFlow(flow, 0)
  return skip(flow) === undefined ? value : giveUp()
}

/** A flow collection that is the rest of a line, but for a comment. */
const readLineFlow = (text: string): PlainValue => {
  const flow: Flow = { text, at: 0, space: / */y }
  const value = readFlow(flow, 0)
  return isRest(text, flow.at) ? value : giveUp()
}

const isRest = (text: string, at: number): boolean => /^( *$| +#)/.test(text.slice(at))

// Blocks: lines and their indentation.

type Lines = { readonly lines: readonly string[]; at: number }

const indentOf = (line: string): number => {
  let indent = 0
  while (line[indent] === ' ') indent += 1
  return indent
}

/** Moves to the next line that says something, and answers it. */
const peek = (block: Lines): string | undefined => {
  for (; block.at < block.lines.length; block.at++) {
    const line = block.lines[block.at] as string
    const first = line[indentOf(line)]
    if (first !== undefined && first !== '#') return line
  }
  return undefined
}

const KEY_IN_BLOCK = /^([A-Za-z0-9_.-]+|"[^"\\]*"|'[^']*') *:(?: +|$)/

const readWholeBlock = (text: string): PlainValue => {
  const block: Lines = { lines: text.split('\n'), at: 0 }
  const first = peek(block)
  if (first === undefined || indentOf(first) !== 0) return giveUp()
  const map = readBlockMap(block, 0, 0)
  return peek(block) === undefined ? map : giveUp()
}

const readBlockMap = (block: Lines, indent: number, depth: number): PlainMap => {
  const map: PlainMap = {}
  if (depth > DEPTH_MAX) giveUp()
  for (let line = peek(block); line !== undefined && indentOf(line) >= indent; line = peek(block)) {
    // A deeper line goes on with the scalar before it, or is wrong.
    if (indentOf(line) > indent) giveUp()
    const [whole = '', name = ''] = KEY_IN_BLOCK.exec(line.slice(indent)) ?? giveUp()
    const key = /^["']/.test(name) ? unquote(name) : readKey(name)
    block.at += 1
    setKey(map, key, readBlockValue(block, line.slice(indent + whole.length), indent, depth))
  }
  return map
}

/** The value that begins with `rest`, the remainder of a key's line, and may go on below it, deeper than `indent`. */
const readBlockValue = (block: Lines, rest: string, indent: number, depth: number): PlainValue => {
  if (rest === '' || rest.startsWith('#')) {
    const next = peek(block)
    if (next === undefined) return null
    const deeper = indentOf(next)
    if (/^-( |$)/.test(next.slice(deeper))) return deeper >= indent ? readBlockList(block, deeper) : null
    return deeper > indent ? readBlockMap(block, deeper, depth + 1) : null
  }
  if (rest === '|' || rest === '|-') return readLiteral(block, indent, rest === '|-')
  return readLine(rest)
}

/** A value that is the rest of one line. */
const readLine = (rest: string): PlainValue => {
  const first = rest[0]
  if (first === '{' || first === '[') return readLineFlow(rest)
  if (first === '"' || first === "'") {
    const quoted = quotedAt(rest, 0)
    return isRest(rest, quoted.length) ? unquote(quoted) : giveUp()
  }
  const comment = rest.indexOf(' #')
  return readScalar((comment === -1 ? rest : rest.slice(0, comment)).trimEnd())
}

const readBlockList = (block: Lines, indent: number): PlainValue[] => {
  const list: PlainValue[] = []
  for (let line = peek(block); line !== undefined && indentOf(line) === indent; line = peek(block)) {
    const [dash] = /^- +/.exec(line.slice(indent)) ?? []
    if (dash === undefined) {
      // At the indentation of its own key a list ends with the next key.
      if (line[indent] === '-') giveUp()
      return list
    }
    const rest = line.slice(indent + dash.length)
    if (rest === '' || /^[-#|>?]/.test(rest)) giveUp()
    block.at += 1
    list.push(readLine(rest))
  }
  return list
}

const readLiteral = (block: Lines, indent: number, strip: boolean): string => {
  const head = block.lines[block.at]
  const deep = head === undefined ? 0 : indentOf(head)
  if (head === undefined || deep <= indent || deep === head.length) return giveUp()
  const text: string[] = []
  for (; block.at < block.lines.length; block.at++) {
    const line = block.lines[block.at] as string
    const here = indentOf(line)
    if (here < deep && here < line.length) {
      // What follows must be the parser's next key or the end; a comment here is easily misread.
      if (here > indent || line[here] === '#') giveUp()
      break
    }
    text.push(line.slice(deep))
  }
  while (text.at(-1) === '') text.pop()
  return text.join('\n') + (strip ? '' : '\n')
}
