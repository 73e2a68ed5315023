/**
 * The artefact: the built program on disk, and whether it still is what this process runs and what the source beside it would build.
 *
 * The build writes down what it read and what it made (`digests.json`). Comparing means reading it all again, because no time and no
 * size proves that a file is the same; that costs a few milliseconds.
 */
import { dirname, extname, join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  type Build,
  type Digests,
  digestOf,
  filesBelow,
  hashOf,
  inputDigests,
  packageRoot,
  readBuildFile,
  readIfThere,
} from './build.ts'
import { TenutoError } from './errors.ts'

/** The file in `dist` that says what the build read and what it made, as JSON: `Made`. */
export const digestsFile = 'digests.json'

/** What a build read and what it made. */
export type Made = Readonly<{
  /** By path below the root of the package. */
  inputs: Digests
  /** What a process may load, by path below `dist`. */
  modules: Digests
  /** The modules of `modules` that a runner loads, its entry first. Empty where there is no runner. */
  runner: readonly string[]
}>

/** A build as a process found it at its start. */
export type Artefact = Readonly<{ root: string; dist: string; build: Build; made: Made }>

/** How an artefact compares with what is on disk. */
export type Comparison = Readonly<{
  /** Why this build is stale, without its own identity; null when it is not. */
  stale: string | null
  /** Whether the core is concerned: guests, which may look and never hurt, are never a reason to refuse. */
  core: boolean
  /** A module of the core that is missing; null when all are there. */
  missing: string | null
}>

/** Where this process runs the source directly there is no artefact to compare, and nothing is ever stale. */
export const FRESH: Comparison = { stale: null, core: false, missing: null }

/** Folders of guests, in `src` and in `dist`. */
const GUESTS = /^(?:src\/)?(?:analytics|inspector|web)\//
/** What of `dist` can be loaded or served; declarations are for compilers. */
const NO_MODULE = /\.d\.ts$|^(?:build|digests)\.json$/
const SHOWN_CHARACTERS = 12

/** A hash as people are shown it. */
export const shortHash = (hash: string): string => hash.slice(0, SHOWN_CHARACTERS)

/** The identity of a build in a few words: version, hash, and whether its source was committed. */
export const buildName = ({
  version,
  sourceHash,
  dirty,
}: Pick<Build, 'version' | 'sourceHash' | 'dirty'>): string =>
  `${version} ${shortHash(sourceHash)}${dirty ? '+changes' : ''}`

/** What a build that made `dist` from `root` writes down; `inputs` are from before it began. */
export const madeOf = (dist: string, inputs: Digests): Made => {
  const paths = filesBelow(dist)
    .filter((path) => !NO_MODULE.test(path))
    .sort()
  const modules = Object.fromEntries(
    paths.map((path) => [path, digestOf(readIfThere(join(dist, path)) ?? '')]),
  )
  return { inputs, modules, runner: reachedFrom('runner/main.js', dist) }
}

/**
 * The artefact this process runs; null where it runs the source directly.
 * @throws {TenutoError} `BUILD_INCOMPLETE` when it does not say what it is.
 */
export const readArtefact = (): Artefact | null =>
  extname(fileURLToPath(import.meta.url)) === '.ts' ? null : artefactIn(packageRoot())

/**
 * The artefact in the folder `dist` of a package.
 * @throws {TenutoError} `BUILD_INCOMPLETE` when it does not say what it is.
 */
export const artefactIn = (root: string): Artefact => {
  const dist = join(root, 'dist')
  const build = readBuildFile(dist)
  const path = join(dist, digestsFile)
  try {
    const content = readIfThere(path)
    if (content === null) throw new Error('it is missing')
    return { root, dist, build, made: JSON.parse(content.toString('utf8')) as Made }
  } catch (cause) {
    throw new TenutoError('BUILD_INCOMPLETE', { path, why: (cause as Error).message }, cause)
  }
}

/**
 * Compares an artefact with what is on disk now: with its own files, and with the source beside it if there is any. What cannot be
 * compared is not fresh.
 */
export const compare = (artefact: Artefact): Comparison => {
  try {
    return compared(artefact)
  } catch (error) {
    const stale = `it cannot be compared with what is on disk: ${(error as Error).message}`
    return { stale, core: true, missing: null }
  }
}

const compared = ({ root, dist, build, made }: Artefact): Comparison => {
  const modules = changes(made.modules, digestsNow(dist, made.modules), (path) => `dist/${path}`)
  const now = inputDigests(root)
  const inputs = now === null ? [] : changes(made.inputs, now, (path) => path)
  const core = [...modules, ...inputs].filter(({ path }) => !GUESTS.test(path))
  const reasons = [
    ...(modules.length > 0 ? [rebuilt(dist, build) ?? inWords(modules)] : []),
    ...(now !== null && inputs.length > 0
      ? [`the source beside it is ${shortHash(hashOf(now))}: ${inWords(inputs)}`]
      : []),
  ]
  if (reasons.length === 0) return FRESH
  const missing = modules.find(({ path, how }) => how === 'is missing' && !GUESTS.test(path))
  return { stale: reasons.join('; '), core: core.length > 0, missing: missing?.name ?? null }
}

type Change = Readonly<{ path: string; name: string; how: 'has changed' | 'is missing' | 'is new' }>

const changes = (before: Digests, now: Digests, named: (path: string) => string): readonly Change[] =>
  [...new Set([...Object.keys(before), ...Object.keys(now)])]
    .filter((path) => before[path] !== now[path])
    .sort()
    .map((path) => ({
      path,
      name: named(path),
      how: now[path] === undefined ? 'is missing' : before[path] === undefined ? 'is new' : 'has changed',
    }))

/** Only what the build made counts; what others put beside it is never loaded. */
const digestsNow = (dist: string, made: Digests): Digests => {
  const found: Record<string, string> = {}
  for (const path of Object.keys(made)) {
    const content = readIfThere(join(dist, path))
    if (content !== null) found[path] = digestOf(content)
  }
  return found
}

/** In the words for a `dist` that another build has replaced meanwhile. */
const rebuilt = (dist: string, running: Build): string | null => {
  try {
    const build = readBuildFile(dist)
    if (build.sourceHash === running.sourceHash && build.builtAt === running.builtAt) return null
    return `dist was built anew and is ${buildName(build)}`
  } catch {
    return null
  }
}

const inWords = (all: readonly Change[]): string => {
  const [first] = all
  if (first === undefined) return ''
  return all.length === 1
    ? `${first.name} ${first.how}`
    : `${first.name} ${first.how}, and ${all.length - 1} more`
}

/** The modules that a module loads, itself first, by the imports that the compiler has written. */
const reachedFrom = (entry: string, dist: string): readonly string[] => {
  const reached = new Set<string>()
  const reach = (path: string): void => {
    const content = readIfThere(join(dist, path))
    if (content === null || reached.has(path)) return
    reached.add(path)
    for (const [, specifier = ''] of content
      .toString('utf8')
      .matchAll(/^(?:import|export)\b[^'"]*['"](\.[^'"]+)['"]/gm))
      reach(posix.join(dirname(path), specifier))
  }
  reach(entry)
  return [...reached]
}
