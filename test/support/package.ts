/** Packages that were built, without a compiler. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { onTestFinished } from 'vitest'
import { digestsFile, madeOf } from '../../src/artefact.ts'
import { buildFile, hashOf, inputDigests, readBuild } from '../../src/build.ts'

/** Writes files below a folder. */
export const write = (root: string, texts: Readonly<Record<string, string>>): void => {
  for (const [path, text] of Object.entries(texts)) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
}

/** A small package that was built just now, with a guest; removed when the test has finished. */
export const built = (): string => {
  const root = mkdtempSync(join(tmpdir(), 'tenuto-artefact-'))
  onTestFinished(() => rmSync(root, { recursive: true, force: true }))
  write(root, {
    'package.json': '{ "name": "x", "version": "1.0.0" }',
    'package-lock.json': '{}',
    'src/a.ts': 'export const a = 1\n',
    'src/analytics/main.ts': 'export {}\n',
    'test/a.test.ts': '',
    'README.md': '',
    'dist/a.js': 'export const a = 1\n',
    'dist/a.d.ts': 'export declare const a = 1\n',
    'dist/analytics/main.js': 'export {}\n',
  })
  const inputs = inputDigests(root) ?? {}
  const { kind: _, ...build } = { ...readBuild(), sourceHash: hashOf(inputs), dirty: false }
  write(root, {
    [`dist/${digestsFile}`]: JSON.stringify(madeOf(join(root, 'dist'), inputs)),
    [`dist/${buildFile}`]: JSON.stringify(build),
  })
  return root
}
