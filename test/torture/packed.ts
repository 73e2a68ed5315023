/** The project as a user gets it: packed, and unpacked beside the packages that it depends on. */
import { execFileSync } from 'node:child_process'
import { symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../../src/build.ts'
import freshBuild from '../support/fresh-build.ts'

/** Packs the project into a folder and unpacks it there; answers the path of its program. */
export const packInto = (folder: string): string => {
  const root = packageRoot()
  freshBuild()
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', folder]
  const packed = JSON.parse(execFileSync('npm', args, { cwd: root, encoding: 'utf8', stdio: 'pipe' })) as [
    { filename: string },
  ]
  execFileSync('tar', ['-xzf', join(folder, packed[0].filename), '-C', folder])
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  return join(folder, 'package', 'bin', 'tenuto.cjs')
}
