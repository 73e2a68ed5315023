/**
 * The tree as the house rules see it: every TypeScript file with its code (comments and text blanked) and its imports.
 * TypeScript 7 has no parser to call, so a small scanner tells code from comments, strings, templates and patterns.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'

/** One import, of values or types, static or dynamic, as `new URL('./x.ts', import.meta.url)` also is one. */
export type Import = Readonly<{
  specifier: string
  /** The file of the tree it names; null for a package, or where there is no such file. */
  target: string | null
  onlyTypes: boolean
}>

/** One file. `code` has blanks where comments and the text of strings were; lines and columns stay. */
export type SourceFile = Readonly<{ path: string; text: string; code: string; imports: readonly Import[] }>

/** Files by path relative to the root, with `/`. */
export type Tree = ReadonlyMap<string, SourceFile>

/** Reads the TypeScript files below these folders of `root`; a folder that does not exist holds none. */
export function readTree(root: string, folders: readonly string[]): Tree {
  const texts = folders.flatMap((folder) => pathsBelow(root, folder))
  return treeOf(Object.fromEntries(texts.map((path) => [path, readFileSync(join(root, path), 'utf8')])))
}

/** Makes a tree from texts by path. */
export function treeOf(texts: Readonly<Record<string, string>>): Tree {
  const isThere = (path: string): boolean => Object.hasOwn(texts, path)
  return new Map(Object.entries(texts).map(([path, text]) => [path, sourceFile(path, text, isThere)]))
}

function sourceFile(path: string, text: string, isThere: (path: string) => boolean): SourceFile {
  const code = codeOf(text)
  return { path, text, code, imports: importsOf(path, text, code, isThere) }
}

function pathsBelow(root: string, folder: string): string[] {
  let names: string[]
  try {
    names = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
  return names
    .filter((name) => name.endsWith('.ts'))
    .map((name) => posix.join(folder, name.replaceAll('\\', '/')))
}

/** As they stand in `code`, where the text of a string is blanks between its quotes. */
const importForms = [
  // import x from '…', import type { x } from '…', export * from '…'
  /\b(?:import|export)\b(?<clause>[^'"`;()=]*?)\bfrom\s*(?<string>(?<quote>['"]) *\k<quote>)/dg,
  // import '…'
  /\bimport(?<clause>\s*)(?<string>(?<quote>['"]) *\k<quote>)/dg,
  // import('…'), both the call and the type
  /\bimport(?<clause>\s*)\(\s*(?<string>(?<quote>['"`]) *\k<quote>)/dg,
  // a file started or read as a neighbour
  /\bnew URL(?<clause>\s*)\(\s*(?<string>(?<quote>['"]) *\k<quote>)\s*,\s*import\.meta\.url/dg,
]

function importsOf(path: string, text: string, code: string, isThere: (path: string) => boolean): Import[] {
  return importForms.flatMap((form) =>
    [...code.matchAll(form)].map((match) => {
      const [start, end] = match.indices?.groups?.['string'] ?? [0, 0]
      const specifier = text.slice(start + 1, end - 1)
      const near = posix.join(dirname(path), specifier)
      const target = specifier.startsWith('.') && isThere(near) ? near : null
      return { specifier, target, onlyTypes: isOnlyTypes(match.groups?.['clause'] ?? '') }
    }),
  )
}

function isOnlyTypes(clause: string): boolean {
  if (/^\s*type\b/.test(clause)) return true
  const names = clause
    .match(/^\s*\{(?<names>[^}]*)\}\s*$/)
    ?.groups?.['names']?.split(',')
    .map((name) => name.trim())
  const given = names?.filter((name) => name !== '') ?? []
  return given.length > 0 && given.every((name) => name.startsWith('type '))
}

/** Blanks comments and what is inside strings, templates and patterns; their quotes stay. */
export function codeOf(text: string): string {
  let code = ''
  // Depth of braces inside each `${ }` that is open, innermost last.
  const templates: number[] = []
  let at = 0
  const keep = (length: number): void => {
    code += text.slice(at, at + length)
    at += length
  }
  const blank = (length: number): void => {
    code += text.slice(at, at + length).replace(/[^\n]/g, ' ')
    at += length
  }
  const delimited = (pattern: RegExp): void => {
    pattern.lastIndex = at
    const length = (pattern.exec(text)?.[0] ?? text.slice(at)).length
    keep(1)
    blank(Math.max(0, length - 2))
    keep(Math.min(1, text.length - at))
  }
  const templateText = (): void => {
    const rest = /(?:\\[\s\S]|\$(?!\{)|[^`\\$])*/y
    rest.lastIndex = at
    blank((rest.exec(text)?.[0] ?? '').length)
    if (text.startsWith('${', at)) {
      keep(2)
      templates.push(0)
    } else keep(1)
  }
  while (at < text.length) {
    const char = text[at] ?? ''
    const two = text.slice(at, at + 2)
    const depth = templates.at(-1)
    if (two === '//') blank(lengthTo(text, at, '\n', 0))
    else if (two === '/*') blank(lengthTo(text, at + 2, '*/', 2) + 2)
    else if (char === "'") delimited(/'(?:\\[\s\S]|[^'\\\n])*'/y)
    else if (char === '"') delimited(/"(?:\\[\s\S]|[^"\\\n])*"/y)
    else if (char === '`') {
      keep(1)
      templateText()
    } else if (char === '/' && beginsPattern(code)) {
      delimited(/\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\//y)
    } else if (char === '}' && depth === 0) {
      templates.pop()
      keep(1)
      templateText()
    } else {
      if (depth !== undefined && char === '{') templates[templates.length - 1] = depth + 1
      if (depth !== undefined && char === '}') templates[templates.length - 1] = depth - 1
      keep(1)
    }
  }
  return code
}

function lengthTo(text: string, from: number, end: string, include: number): number {
  const found = text.indexOf(end, from)
  return (found === -1 ? text.length : found + include) - from
}

/** A slash after a value divides; anywhere else it begins a pattern. */
function beginsPattern(before: string): boolean {
  return /(?:^|[([{,;:=!&|?+\-*%<>~^]|\b(?:return|typeof|case|of|in|yield|await))$/.test(
    before.slice(-200).trimEnd(),
  )
}
