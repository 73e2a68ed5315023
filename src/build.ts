/**
 * The identity of this build: which source it was made from, and when.
 *
 * `scripts/build.ts` writes it to `dist/build.json`. A process that runs `dist` reads that one small file; a process
 * that runs `src` directly has no build, so its identity is computed from the tree it runs from.
 */
import { strict as assert } from 'node:assert'
import { hash } from 'node:crypto'
import { type Dirent, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { TenutoError } from './errors.ts'
import { codeOf } from './thrown.ts'

/** What a build says about itself. */
export type Build = Readonly<{
  /** `built`: read from `dist/build.json`. `development`: computed, the source runs directly. */
  kind: 'built' | 'development'
  version: string
  /** Full commit id, or null where the source is no git checkout. */
  commit: string | null
  /** Whether an input of the build differed from the commit; null where nobody could tell. */
  dirty: boolean | null
  /** `sourceHash` of the tree it was made from. */
  sourceHash: string
  /** ISO 8601 UTC; null in development. */
  builtAt: string | null
  /** Version of the Node that made it (in development: that runs it), without the `v`. */
  node: string
}>

/** The file in `dist` that carries the identity, as JSON: a `Build` without `kind`. */
export const buildFile = 'build.json'

/** Files outside `src` that change what is built. `package.json` counts only with the fields in `packageFields`. */
const inputFiles = ['package-lock.json', 'scripts/build.ts', 'tsconfig.build.json', 'tsconfig.json']
const packageFields = ['name', 'version', 'type', 'engines', 'bin', 'exports', 'dependencies']

/** The paths, relative to the root of the package, that decide what is built; for `git status`. */
export const buildInputs: readonly string[] = ['src', 'package.json', ...inputFiles]

/** The root of the package this process runs from: the folder that holds `package.json`, and `dist` or `src`. */
export function packageRoot(): string {
  return dirname(dirname(fileURLToPath(import.meta.url)))
}

/** Returns the identity of the running build. Reads one file from `dist`; in development it hashes the source. */
export function readBuild(): Build {
  const root = packageRoot()
  return import.meta.url.endsWith('.ts') ? developmentBuild(root) : readBuildFile(join(root, 'dist'))
}

/**
 * Reads the identity of the build in the folder `dist`.
 * @throws {TenutoError} BUILD_INCOMPLETE when the folder has none, or one that cannot be read.
 */
export function readBuildFile(dist: string): Build {
  const path = join(dist, buildFile)
  try {
    const build = JSON.parse(readFileSync(path, 'utf8')) as Omit<Build, 'kind'>
    return { kind: 'built', ...build }
  } catch (cause) {
    throw new TenutoError('BUILD_INCOMPLETE', { path, why: (cause as Error).message }, cause)
  }
}

/** Digests by path, sorted by path; paths are relative and have `/`. */
export type Digests = Readonly<Record<string, string>>

/**
 * The digests of the inputs of a build below `root`. Times, tests, documents and how a checkout ends its lines do not count.
 * Null where there is no source, as in an installed package.
 */
export function inputDigests(root: string): Digests | null {
  const sources = filesBelow(root, 'src')
  if (sources.length === 0) return null
  const digests: Record<string, string> = {}
  for (const path of [...sources, ...inputFiles, 'package.json'].sort()) {
    const content = readIfThere(join(root, path))
    if (content !== null)
      digests[path] = digestOf(path === 'package.json' ? relevant(content) : asInGit(content))
  }
  return digests
}

/** The digest of a file's content: SHA-256, as hex. */
export function digestOf(content: Uint8Array | string): string {
  return hash('sha256', content)
}

/** Hashes digests with their paths: SHA-256, as hex. The source hash of a build is that of its inputs. */
export function hashOf(digests: Digests): string {
  return digestOf(
    Object.entries(digests)
      .map(([path, digest]) => `${path}\0${digest}\n`)
      .join(''),
  )
}

/** The hash over all inputs of a build below `root`; null where there is no source. */
export function sourceHash(root: string): string | null {
  const digests = inputDigests(root)
  return digests === null ? null : hashOf(digests)
}

/** Returns the commit checked out in the git working tree `root`, without starting git; null where there is none. */
export function commitOf(root: string): string | null {
  const gitDir = gitDirOf(join(root, '.git'))
  if (gitDir === null) return null
  const head = readText(join(gitDir, 'HEAD'))
  const ref = head?.match(/^ref: (.+)$/)?.[1]
  if (head === null || ref === undefined) return head
  // A linked working tree keeps its HEAD to itself and its branches in the common directory.
  const commonDir = readText(join(gitDir, 'commondir'))
  const refs = commonDir === null ? gitDir : join(gitDir, commonDir)
  return readText(join(refs, ref)) ?? packedCommit(readText(join(refs, 'packed-refs')), ref)
}

function developmentBuild(root: string): Build {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
  const hash = sourceHash(root)
  assert(hash !== null, 'a process that runs from src finds its source there')
  return {
    kind: 'development',
    version: manifest.version,
    commit: commitOf(root),
    dirty: null,
    sourceHash: hash,
    builtAt: null,
    node: process.versions.node,
  }
}

/** Of `package.json` only what changes what is built. */
function relevant(content: Buffer): string {
  const manifest = JSON.parse(content.toString('utf8')) as Record<string, unknown>
  return JSON.stringify(packageFields.map((field) => manifest[field] ?? null))
}

/** A checkout may have put CRLF where git has LF. As git does, a file with a NUL byte is left as it is. */
function asInGit(content: Buffer): Buffer {
  if (!content.includes('\r\n') || content.includes(0)) return content
  return Buffer.from(content.toString('latin1').replaceAll('\r\n', '\n'), 'latin1')
}

/** Relative paths with `/` of the files below `root/folder`; names that begin with a dot are an editor's or the system's. */
export function filesBelow(root: string, folder = ''): string[] {
  return entriesOf(join(root, folder))
    .filter((entry) => !entry.name.startsWith('.'))
    .flatMap((entry) => {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`
      if (entry.isDirectory()) return filesBelow(root, path)
      return entry.isFile() ? [path] : []
    })
}

function entriesOf(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}

/** In a linked working tree or a submodule `.git` is a file that names the directory. */
function gitDirOf(path: string): string | null {
  if (readText(join(path, 'HEAD')) !== null) return path
  const pointer = readText(path)?.match(/^gitdir: (.+)$/)?.[1]
  return pointer === undefined ? null : resolve(dirname(path), pointer)
}

function packedCommit(packed: string | null, ref: string): string | null {
  const line = packed?.split('\n').find((each) => each.endsWith(` ${ref}`))
  return line?.split(' ')[0] ?? null
}

function readText(path: string): string | null {
  return readIfThere(path)?.toString('utf8').trim() ?? null
}

/** The content of a file; null where there is none. */
export function readIfThere(path: string): Buffer | null {
  try {
    return readFileSync(path)
  } catch (error) {
    if (isMissing(error)) return null
    throw error
  }
}

function isMissing(error: unknown): boolean {
  const code = codeOf(error)
  return code === 'ENOENT' || code === 'ENOTDIR' || code === 'EISDIR'
}
