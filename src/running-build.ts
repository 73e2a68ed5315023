/**
 * The build this process runs, compared with what is on disk at its start and while it goes on. A process runs one build, so all of it
 * shares one answer.
 */
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type Artefact, type Comparison, compare, FRESH, readArtefact } from './artefact.ts'
import { type Build, buildFile, readBuild } from './build.ts'
import type { Clock } from './clock.ts'

/** How often a process that goes on looks whether its code has changed on disk. */
export const LOOK_MS = 10_000

/** The build of a process and how it compares, as it was last seen. */
export type RunningBuild = Readonly<{
  build: Build
  comparison: () => Comparison
  /**
   * Looks again every `LOOK_MS`, one look at a time, and tells when the answer has become another; answers how to stop. Where the
   * source runs directly it never looks.
   */
  watch: (clock: Clock, changed: (comparison: Comparison) => void) => () => void
}>

let known: RunningBuild | undefined

/**
 * The build of this process; the first call compares it.
 * @throws {TenutoError} `BUILD_INCOMPLETE` when the artefact does not say what it is.
 */
export const runningBuild = (): RunningBuild => {
  known ??= runningFrom(readArtefact())
  return known
}

/** As `runningBuild`, of an artefact that is named; null runs the source directly. */
export const runningFrom = (artefact: Artefact | null): RunningBuild => {
  let comparison = artefact === null ? FRESH : compare(artefact)
  const watch: RunningBuild['watch'] = (clock, changed) => {
    if (artefact === null) return () => {}
    let seen = ''
    let settled = false
    let stopped = false
    let cancel: () => void = () => {}
    const look = async (): Promise<void> => {
      const signs = await signsOf(artefact)
      if (stopped) return
      // A change within the same tick of the file system's clock leaves no sign, so after each change we compare once more.
      const isSame = signs === seen
      if (!isSame || !settled) {
        const before = comparison
        comparison = compare(artefact)
        if (comparison.stale !== before.stale) changed(comparison)
      }
      settled = isSame
      seen = signs
    }
    const later = (): void => {
      cancel = clock.setTimeout(() => {
        // A file that cannot even be looked at says nothing; the next look may.
        look()
          .catch(() => {})
          .finally(() => {
            if (!stopped) later()
          })
      }, LOOK_MS)
    }
    later()
    return () => {
      stopped = true
      cancel()
    }
  }
  return { build: artefact?.build ?? readBuild(), comparison: () => comparison, watch }
}

/**
 * What changes when a file changes. Asked without blocking: a file system that hangs must not take the process with it, which needs
 * none of these files any more.
 */
const signsOf = async ({ root, dist, made }: Artefact): Promise<string> => {
  const sources = await readdir(join(root, 'src'), { recursive: true }).catch(() => [])
  const paths = new Set([
    ...Object.keys(made.inputs).map((path) => join(root, path)),
    ...sources.map((path) => join(root, 'src', path)),
    ...Object.keys(made.modules).map((path) => join(dist, path)),
    join(dist, buildFile),
  ])
  const signs: string[] = []
  for (const path of paths) {
    const found = await stat(path, { bigint: true }).catch(() => undefined)
    signs.push(found ? `${path} ${found.ino} ${found.size} ${found.mtimeNs} ${found.ctimeNs}` : path)
  }
  return signs.join('\n')
}
