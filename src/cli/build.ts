/**
 * What the command line does about a stale build: a command that starts work refuses, every other says it in one line and goes on.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { buildName } from '../artefact.ts'
import { packageRoot } from '../build.ts'
import { isTenutoError, TenutoError } from '../errors.ts'
import { type RunningBuild, runningBuild } from '../running-build.ts'
import { type Globals, screen } from './screen.ts'

/** The commands that start work. */
const STARTS: ReadonlySet<string> = new Set(['run', 'resume', 'up'])
/** It says so in its answer. */
const ANSWERS: ReadonlySet<string> = new Set(['version'])

/**
 * Compares the build before a command. Guests, and `--allow-stale-build`, let a stale one pass with a line on stderr.
 * @throws {TenutoError} `BUILD_STALE`, `BUILD_INCOMPLETE`, of a command that starts work.
 */
export const checkBuild = (command: string, flags: Globals): void => {
  if (ANSWERS.has(command)) return
  const starts = STARTS.has(command)
  let running: RunningBuild
  try {
    running = runningBuild()
  } catch (error) {
    if (starts || !isTenutoError(error)) throw error
    return screen(flags).talk(`warning: ${error.message}; ${error.hint}`)
  }
  const { stale, core, missing } = running.comparison()
  if (stale === null) return
  if (starts && missing !== null)
    throw new TenutoError('BUILD_INCOMPLETE', { path: missing, why: 'it is not there' })
  const build = buildName(running.build)
  const remedy = mending()
  if (starts && core && !flags.allowStaleBuild)
    throw new TenutoError('BUILD_STALE', { build, why: stale, remedy })
  screen(flags).talk(`warning: this build is ${build}, and it is stale: ${stale}; ${remedy}`)
}

const mending = (): string => {
  const root = packageRoot()
  return existsSync(join(root, 'src')) ? `run \`npm run build\` in ${root}` : 'install tenuto again'
}
