/**
 * Plan files: from a path or a text to a compiled plan, or to every error with its line and column.
 */
import { constants, type Stats } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { basename, dirname, resolve } from 'node:path'
import type { Definition } from '../definition.ts'
import { TenutoError } from '../errors.ts'
import { type Compiled, compile } from './compile.ts'
import { readPlainYaml } from './plain-yaml.ts'
import { isPlanModule, readPlanModule } from './plan-module.ts'
import { ERRORS_SHOWN_MAX, guesser, type PlanError, planInvalid, toPlanError } from './problem.ts'
import { readYaml, type YamlSource } from './yaml-source.ts'

/** The largest plan file. */
export const FILE_BYTES_MAX = 64 * 1024 * 1024

/** A plan that was read, and what its author may want to know. */
export type PlanText = Readonly<{ definition: Definition; warnings: readonly PlanError[] }>

/** A plan file that was read. */
export type PlanFile = PlanText &
  Readonly<{
    /** Its absolute path. */
    file: string
    /** The folder its jobs run in. */
    base: string
  }>

/** The name of a plan that has none of its own: that of its file, `plan` without a file. */
export const defaultName = (file?: string): string => {
  if (file === undefined) return 'plan'
  const bare = basename(file)
    .replace(/\.(ya?ml|json|[mc]?ts|[mc]?js)$/i, '')
    .replace(/\.plan$/i, '')
  // Letters lose their accents. A name that began with `-` could not be typed as a ref.
  const name = bare
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .replace(/[^a-z0-9-]/gu, '-')
    .replace(/^-+/, '')
    .slice(0, 64)
  return name === '' ? 'plan' : name
}

/**
 * Reads and compiles a plan file: YAML, JSON, or a TypeScript or JavaScript module whose default export is a plan, which is run in a
 * process of its own. Errors name the file as it is given here.
 * @throws {TenutoError} FILE_MISSING, FILE_IS_FOLDER, FILE_SPECIAL, FILE_UNREADABLE or FILE_TOO_BIG when there is nothing to read.
 * @throws {TenutoError} PLAN_INVALID with every error when its content is wrong.
 */
export const readPlanFile = async (path: string): Promise<PlanFile> => {
  const file = resolve(path)
  const bytes = await readBytes(path)
  const text = decode(bytes, path)
  const read = isPlanModule(path)
    ? { definition: await readPlanModule(path, { name: defaultName(path) }), warnings: [] }
    : parsePlan(text, { file: path })
  return { ...read, file, base: dirname(file) }
}

/**
 * Compiles the text of a plan file. `file` is named in errors and gives the plan its default name; without it errors have only line and
 * column.
 * @throws {TenutoError} PLAN_INVALID with every error, in the order of the text, when it is wrong.
 */
export const parsePlan = (text: string, options: Readonly<{ file?: string }> = {}): PlanText => {
  const { file } = options
  const how = { origin: 'file', name: defaultName(file) } as const
  checkText(text, file ?? null)
  const quick = readPlainYaml(text)
  if (quick !== undefined) {
    const compiled = compile(quick, how)
    if (compiled.ok && compiled.warnings.length === 0)
      return { definition: compiled.definition, warnings: [] }
  }
  // Something is to be told: now with positions.
  const yaml = readYaml(text)
  const compiled: Compiled = yaml.fatal ? { ok: false, problems: [], more: 0 } : compile(yaml.value, how)
  const placed = place(yaml, compiled.ok ? compiled.warnings : compiled.problems, file ?? null, compiled.ok)
  if (compiled.ok && yaml.faults.length === 0)
    return { definition: compiled.definition, warnings: placed.errors }
  throw planInvalid(placed.errors, placed.total + (compiled.ok ? 0 : compiled.more))
}

type Placed = Readonly<{ errors: readonly PlanError[]; total: number }>

const place = (
  yaml: YamlSource,
  problems: Extract<Compiled, { ok: false }>['problems'],
  file: string | null,
  onlyFaults: boolean,
): Placed => {
  const faults = yaml.faults.map((fault) => ({
    offset: fault.offset,
    problem: { ...fault, at: 'key' as const },
  }))
  const skipped = onlyFaults && faults.length > 0 ? [] : problems
  const all = [
    ...faults,
    ...skipped.map((problem) => ({ offset: yaml.locate(problem.path, problem.at), problem })),
  ]
  all.sort((a, b) => a.offset - b.offset)
  const guess = guesser()
  const errors = all
    .slice(0, ERRORS_SHOWN_MAX)
    .map(({ offset, problem }) => toPlanError(problem, { file, ...yaml.place(offset) }, guess))
  return { errors, total: all.length }
}

/** Refuses texts that are no text, or none at all. */
const checkText = (text: string, file: string | null): void => {
  const nul = text.indexOf('\0')
  if (nul !== -1)
    throw broken(text, nul, file, 'it is binary: here is a NUL character', 'a plan file is text in UTF-8')
  if (/^[\s\uFEFF]*$/.test(text)) throw broken(text, 0, file, 'the file is empty', 'begin with `plan: v1`')
}

const broken = (
  text: string,
  offset: number,
  file: string | null,
  message: string,
  hint: string,
): TenutoError => {
  const before = text.slice(0, offset)
  const line = before.split('\n').length
  const column = offset - before.lastIndexOf('\n')
  return planInvalid([{ file, line, column, path: '', message, hint }])
}

const decode = (bytes: Buffer, file: string): string => {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    const text = new TextDecoder('utf-8').decode(bytes)
    const at = Math.max(0, text.indexOf('\uFFFD'))
    throw broken(text, at, file, 'it is binary or not in UTF-8', 'a plan file is text in UTF-8')
  }
}

const readBytes = async (path: string): Promise<Buffer> => {
  let handle: FileHandle | undefined
  try {
    // Without O_NONBLOCK a pipe that nobody writes to would be waited for.
    handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
    const found = await handle.stat()
    if (found.isDirectory()) throw new TenutoError('FILE_IS_FOLDER', { path })
    if (!found.isFile()) throw new TenutoError('FILE_SPECIAL', { path, what: kindOf(found) })
    if (found.size > FILE_BYTES_MAX) throw tooBig(path, found.size)
    return await readAll(handle, path)
  } catch (error) {
    throw asFileError(error, path)
  } finally {
    await handle?.close()
  }
}

const kindOf = (found: Stats): string =>
  found.isFIFO() ? 'a pipe' : found.isSocket() ? 'a socket' : 'a device'

/** Reads to the end, also where the size is not known before, and never much more than the bound. */
const readAll = async (handle: FileHandle, path: string): Promise<Buffer> => {
  const chunks: Buffer[] = []
  let bytes = 0
  for (;;) {
    const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(1024 * 1024), 0, 1024 * 1024, null)
    if (bytesRead === 0) return Buffer.concat(chunks)
    bytes += bytesRead
    if (bytes > FILE_BYTES_MAX) throw tooBig(path, bytes)
    chunks.push(buffer.subarray(0, bytesRead))
  }
}

const tooBig = (path: string, bytes: number): TenutoError =>
  new TenutoError('FILE_TOO_BIG', { path, bytes, limit: FILE_BYTES_MAX })

const WHY: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  ELOOP: 'its links go round in a circle',
  ENAMETOOLONG: 'its name is too long',
  EMFILE: 'too many files are open',
  EIO: 'the disk reports an error',
}

const asFileError = (error: unknown, path: string): unknown => {
  if (error instanceof TenutoError || !(error instanceof Error)) return error
  const code = 'code' in error ? String(error.code) : ''
  if (code === 'ENOENT' || code === 'ENOTDIR') return new TenutoError('FILE_MISSING', { path }, error)
  if (code === 'ENXIO') return new TenutoError('FILE_SPECIAL', { path, what: 'a socket' }, error)
  if (code === 'EISDIR') return new TenutoError('FILE_IS_FOLDER', { path }, error)
  return new TenutoError('FILE_UNREADABLE', { path, why: WHY[code] ?? error.message }, error)
}
