/** Copies of this build, to be changed and taken apart. */
import { cpSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { buildInputs, packageRoot } from '../../src/build.ts'
import { removeFolder } from '../support/folders.ts'

/** A built package in a folder of its own. */
export type Copy = Readonly<{
  root: string
  launcher: string
  /** Puts another text in the place of one that a file has. */
  edit: (path: string, from: string, to: string) => void
}>

/** As it is installed: without source; or, with it, as a checkout that was built. */
export const copyBuild = (what: 'installed' | 'checkout'): Copy => {
  const root = mkdtempSync(join(tmpdir(), 'tenuto-copy-'))
  onTestFinished(() => removeFolder(root))
  const inputs = what === 'checkout' ? buildInputs : ['package.json']
  for (const path of ['bin', 'dist', ...inputs]) {
    cpSync(join(packageRoot(), path), join(root, path), { recursive: true })
  }
  symlinkSync(join(packageRoot(), 'node_modules'), join(root, 'node_modules'))
  const edit: Copy['edit'] = (path, from, to) => {
    const text = readFileSync(join(root, path), 'utf8')
    if (!text.includes(from)) throw new Error(`${path} does not have "${from}"`)
    writeFileSync(join(root, path), text.replaceAll(from, to))
  }
  return { root, launcher: join(root, 'bin', 'tenuto.cjs'), edit }
}
