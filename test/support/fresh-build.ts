/**
 * Makes sure, before the tests of the built program, that `dist` was built from the source as it is now.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { buildFile, packageRoot, readBuildFile, sourceHash } from '../../src/build.ts'

/** Builds once if `dist` is missing or made from other source. */
export default function freshBuild(): void {
  const root = packageRoot()
  const dist = join(root, 'dist')
  const isFresh = existsSync(join(dist, buildFile)) && readBuildFile(dist).sourceHash === sourceHash(root)
  if (isFresh) return
  const { status } = spawnSync(process.execPath, [join(root, 'scripts', 'build.ts')], {
    cwd: root,
    stdio: 'inherit',
  })
  if (status !== 0) throw new Error('dist could not be built; see above')
}
