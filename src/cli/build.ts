/**
 * What the command line does about a stale build: a command that starts work refuses, every other says it in one line and goes on.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { buildName } from '../artefact.ts'
import { packageRoot, readBuildFile } from '../build.ts'
import { isTenutoError, TenutoError } from '../errors.ts'
import type { VersionShape } from '../http/operations.ts'
import { holderName } from '../http/wire.ts'
import { type RunningBuild, runningBuild } from '../running-build.ts'
import { type Globals, type Screen, screen } from './screen.ts'

/** The commands that start work. */
const STARTS: ReadonlySet<string> = new Set(['run', 'resume', 'up'])
/** It says so in its answer. */
const ANSWERS: ReadonlySet<string> = new Set(['version'])

/** A process has one command; this is where it talks, and what build it found itself to be. */
let talk: Screen['talk'] = () => {}
let running: RunningBuild | undefined

/**
 * Compares the build before a command, which is named with the command above it if there is one (`daemon resume`). Where only guests
 * differ, and with `--allow-stale-build`, a stale one passes with a line on stderr.
 * @throws {TenutoError} `BUILD_STALE`, `BUILD_INCOMPLETE`, of a command that starts work.
 */
export const checkBuild = (command: string, flags: Globals): void => {
  talk = screen(flags).talk
  if (ANSWERS.has(command)) return
  const starts = STARTS.has(command)
  try {
    running = runningBuild()
  } catch (error) {
    if (starts || !isTenutoError(error)) throw error
    return talk(`warning: ${error.message}; ${error.hint}`)
  }
  const { stale, core, missing } = running.comparison()
  if (stale === null) return
  if (starts && missing !== null)
    throw new TenutoError('BUILD_INCOMPLETE', { path: missing, why: 'it is not there' })
  const build = buildName(running.build)
  const remedy = mending()
  if (starts && core && !flags.allowStaleBuild)
    throw new TenutoError('BUILD_STALE', {
      build,
      why: stale,
      remedy: `${remedy}; to go on with it as it is: \`--allow-stale-build\``,
    })
  talk(`warning: this build is ${build}, and it is stale: ${stale}; ${remedy}`)
}

/**
 * Makes sure, when a command has loaded all it needs, that no other build took the place of this one meanwhile: half of each would be
 * neither.
 * @throws {TenutoError} `BUILD_STALE`, `BUILD_INCOMPLETE`.
 */
export const checkSameBuild = (): void => {
  const { build } = runningBuild()
  if (build.kind === 'development') return
  const now = readBuildFile(join(packageRoot(), 'dist'))
  if (now.sourceHash === build.sourceHash && now.builtAt === build.builtAt) return
  const why = `dist was built anew, and is ${buildName(now)}, while this command was starting`
  throw new TenutoError('BUILD_STALE', { build: buildName(build), why, remedy: 'try again' })
}

/** Says in one line that the holder of a home is of another build, or a stale one; it is spoken to all the same. */
export const tellOfHolder = (holder: VersionShape): void => {
  const build = running?.build
  if (!build) return
  const who = `the home is held by pid ${holder.pid}, which is ${holderName(holder)}`
  if (holder.source_hash !== build.sourceHash) talk(`warning: this is tenuto ${buildName(build)}; ${who}`)
  else if (holder.stale_reason !== null) talk(`warning: ${who}, and it is stale: ${holder.stale_reason}`)
}

const mending = (): string => {
  const root = packageRoot()
  return existsSync(join(root, 'src')) ? `run \`npm run build\` in ${root}` : 'install tenuto again'
}
