import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { commitOf, packageRoot, readBuild, readBuildFile, sourceHash } from '../src/build.ts'

const folders: string[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

test('the hash changes with every input of the build', () => {
  const before = sourceHash(checkout())
  const changed = [
    { 'src/a.ts': 'export const a = 2\n' },
    { 'src/rooms/b.ts': '' },
    { 'src/schema.sql': 'select 1' },
    { 'package-lock.json': '{ "lockfileVersion": 3, "packages": {} }' },
    { 'tsconfig.json': '{ "compilerOptions": {} }' },
    { 'package.json': '{ "name": "x", "version": "2.0.0" }' },
    { 'package.json': '{ "name": "x", "version": "1.0.0", "dependencies": { "yaml": "2.9.1" } }' },
  ].map((texts) => sourceHash(checkout(texts)))

  expect(before).toMatch(/^[0-9a-f]{64}$/)
  expect(new Set([before, ...changed]).size).toBe(changed.length + 1)
})

test('the hash stays with tests, documents, times, dot files and the folder', () => {
  const before = sourceHash(checkout())
  const root = checkout({
    'test/a.test.ts': 'x',
    'docs/a.md': 'x',
    'README.md': 'x',
    'src/.a.ts.swp': 'x',
    'package.json': '{ "name": "x", "version": "1.0.0", "description": "y", "scripts": {} }',
  })
  utimesSync(join(root, 'src', 'a.ts'), 1, 1)

  expect(sourceHash(root)).toBe(before)
})

test('the hash tells where one file ends and the next begins', () => {
  const one = checkout({ 'src/b.ts': 'xy', 'src/c.ts': 'z' })
  const other = checkout({ 'src/b.ts': 'x', 'src/c.ts': 'yz' })

  expect(sourceHash(one)).not.toBe(sourceHash(other))
})

test('the hash stays when a checkout ends lines in its own way, and not when bytes differ that git keeps', () => {
  const before = sourceHash(checkout({ 'src/b.ts': 'é\nb\n', 'src/c.bin': 'a\0\n' }))

  expect(sourceHash(checkout({ 'src/b.ts': 'é\r\nb\r\n', 'src/c.bin': 'a\0\n' }))).toBe(before)
  expect(sourceHash(checkout({ 'src/b.ts': 'é\rb\n', 'src/c.bin': 'a\0\n' }))).not.toBe(before)
  expect(sourceHash(checkout({ 'src/b.ts': 'é\nb\n', 'src/c.bin': 'a\0\r\n' }))).not.toBe(before)
})

test('a folder without source, like an installed package, has no hash', () => {
  const root = checkout()
  rmSync(join(root, 'src'), { recursive: true })

  expect(sourceHash(root)).toBeNull()
})

test('the commit is what git says: on a branch, packed, detached, in a linked working tree', () => {
  const root = checkout()
  const git = (...args: string[]): string => {
    const who = ['-c', 'user.name=a', '-c', 'user.email=a@b', '-c', 'commit.gpgsign=false']
    return execFileSync('git', [...who, ...args], { cwd: root, encoding: 'utf8', stdio: 'pipe' }).trim()
  }
  git('init', '--quiet', '--initial-branch', 'main')
  const unborn = commitOf(root)
  git('commit', '--quiet', '--allow-empty', '--message', 'one')
  const commit = git('rev-parse', 'HEAD')
  const linked = join(checkout(), 'linked')
  git('worktree', 'add', '--quiet', '-b', 'feature/x', linked)

  expect(unborn).toBeNull()
  expect(commitOf(root)).toBe(commit)
  expect(commitOf(linked)).toBe(commit)
  git('pack-refs', '--all')
  expect(commitOf(root)).toBe(commit)
  expect(commitOf(linked)).toBe(commit)
  git('checkout', '--quiet', '--detach')
  expect(commitOf(root)).toBe(commit)
  expect(commitOf(join(root, 'src'))).toBeNull()
})

test('a process that runs the source directly says so, and is identified by that source', () => {
  expect(readBuild()).toEqual({
    kind: 'development',
    version: expect.stringMatching(/^\d+\.\d+\.\d+/),
    commit: commitOf(packageRoot()),
    dirty: null,
    sourceHash: sourceHash(packageRoot()),
    builtAt: null,
    node: process.versions.node,
  })
})

test('a build without its identity is refused with the remedy', () => {
  expect(() => readBuildFile(checkout())).toThrow(
    expect.objectContaining({ code: 'BUILD_INCOMPLETE', hint: expect.stringContaining('npm run build') }),
  )
})

/** The smallest tree that has a build, with these files besides or instead. */
function checkout(texts: Readonly<Record<string, string>> = {}): string {
  const root = mkdtempSync(join(tmpdir(), 'tenuto-build-'))
  folders.push(root)
  const all = {
    'src/a.ts': 'export const a = 1\n',
    'package.json': '{ "version": "1.0.0", "name": "x" }',
    'package-lock.json': '{ "lockfileVersion": 3 }',
    'tsconfig.json': '{}',
    ...texts,
  }
  for (const [path, text] of Object.entries(all)) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
  return root
}
