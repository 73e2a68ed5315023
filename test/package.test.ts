/**
 * What a user gets: the files of the packed package, and what installing it brings.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { packageRoot, readBuildFile, sourceHash } from '../src/build.ts'

type Targets = Readonly<Record<string, string>>
const root = packageRoot()
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  bin: Targets
  exports: Readonly<Record<string, string | Targets>>
  dependencies: Targets
  optionalDependencies?: Targets
}
const files = packedFiles()

test('the package holds the program, what it exports, and its papers', () => {
  const exported = Object.values(manifest.exports).flatMap((each) =>
    typeof each === 'string' ? each : Object.values(each),
  )
  const promised = [...exported, ...Object.values(manifest.bin)].map((path) => path.replace(/^\.\//, ''))

  const expected = [
    ...promised,
    'dist/cli/main.js',
    'dist/runner/main.js',
    'dist/build.json',
    'LICENSE',
    'README.md',
  ]
  expect(files).toEqual(expect.arrayContaining(expected))
})

test('the package holds no source, no test and no tool of this repository', () => {
  const strangers = files.filter((path) => !/^(?:bin|dist|schema)\/|^[A-Za-z]+(?:\.md|\.json)?$/.test(path))

  expect(strangers).toEqual([])
  expect(files.filter((path) => /\.test\.|(?<!\.d)\.ts$/.test(path))).toEqual([])
})

test('the package brings no Node of its own', () => {
  const brought = Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies })

  expect(brought.filter((name) => /^(?:node|@tenuto)(?:-|\/|$)/.test(name))).toEqual([])
  expect(files.filter((path) => path.startsWith('tools/'))).toEqual([])
})

test('the build that is packed was made from the source as it is', () => {
  expect(readBuildFile(join(root, 'dist')).sourceHash).toBe(sourceHash(root))
})

function packedFiles(): string[] {
  const args = ['pack', '--dry-run', '--json', '--ignore-scripts']
  const packed = JSON.parse(execFileSync('npm', args, { cwd: root, encoding: 'utf8', stdio: 'pipe' })) as [
    { files: { path: string }[] },
  ]
  return packed[0].files.map(({ path }) => path)
}
