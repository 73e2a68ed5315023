/**
 * The program of the runner, kept in the home. A runner may have to be started when the files of this build have long been replaced or
 * removed, and must then be the one that this process speaks with; so a holder puts a copy aside before it touches a plan.
 */
import { lstatSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Artefact, readArtefact } from '../artefact.ts'
import { digestOf, hashOf, readIfThere } from '../build.ts'
import { TenutoError } from '../errors.ts'
import { PROGRAM_FOLDER } from '../home.ts'
import { makeFolders } from '../home-place.ts'

/** Node takes the copied modules for what they are. */
const MANIFEST = { path: 'package.json', content: Buffer.from('{"type":"module"}\n') }
const HASH_CHARACTERS = 16
const HASH = /^[0-9a-f]{16}$/

/** Answers the path of the program of a home, which is there then: it is asked each time that a runner is started. */
export type RunnerProgram = () => string

/**
 * The runner's program for a home that is held: a copy in it, made or mended if need be, now and whenever it is asked for, or the built
 * one where no copy can be made. Programs of other builds are removed, for what has been loaded needs no file. Where the source runs
 * directly it is the source.
 * @throws {TenutoError} `BUILD_INCOMPLETE` when a module of it is missing.
 */
export const runnerProgram = (home: string, artefact: Artefact | null = readArtefact()): RunnerProgram => {
  if (artefact === null) {
    const source = fileURLToPath(import.meta.url).replace('actors/runner-program', 'runner/main')
    return () => source
  }
  const files = artefact.made.runner.map((path) => ({ path, content: contentOf(artefact, path) }))
  const [entry] = files
  if (entry === undefined)
    throw new TenutoError('BUILD_INCOMPLETE', { path: artefact.dist, why: 'it has no runner' })
  const hash = hashOf(Object.fromEntries(files.map(({ path, content }) => [path, digestOf(content)])))
  const programs = join(home, PROGRAM_FOLDER)
  const folder = join(programs, hash.slice(0, HASH_CHARACTERS))
  const make = (): string => {
    try {
      for (const { path, content } of [MANIFEST, ...files]) put(home, join(folder, path), content)
      for (const name of readdirSync(programs)) {
        const other = join(programs, name)
        if (other !== folder && isProgram(other)) rmSync(other, { recursive: true, force: true })
      }
      return join(folder, entry.path)
    } catch {
      // On a full disk attempts are still read and stopped; what cannot be written is the journal's to judge.
      return join(artefact.dist, entry.path)
    }
  }
  make()
  return make
}

/** A copy that was made here, also one that was begun: the manifest comes first, written beside. What else lies there stays. */
const isProgram = (path: string): boolean => {
  if (!HASH.test(basename(path)) || !lstatSync(path).isDirectory()) return false
  const names = readdirSync(path)
  return (
    names.every((name) => name === `${MANIFEST.path}.new`) ||
    readIfThere(join(path, MANIFEST.path))?.equals(MANIFEST.content) === true
  )
}

const contentOf = ({ dist }: Artefact, path: string): Buffer => {
  try {
    return readFileSync(join(dist, path))
  } catch (cause) {
    throw new TenutoError(
      'BUILD_INCOMPLETE',
      { path: join(dist, path), why: (cause as Error).message },
      cause,
    )
  }
}

/** What is there already is not trusted: a power cut may have torn it. */
const put = (home: string, path: string, content: Buffer): void => {
  if (readIfThere(path)?.equals(content)) return
  makeFolders(home, dirname(path))
  writeFileSync(`${path}.new`, content, { mode: 0o600 })
  renameSync(`${path}.new`, path)
}
