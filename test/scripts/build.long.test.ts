/**
 * The build script on a tree of its own: the few files it needs, with the packages of this checkout.
 */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { artefactIn, compare, digestsFile, FRESH } from '../../src/artefact.ts'
import { inputDigests, packageRoot, readBuildFile, sourceHash } from '../../src/build.ts'

const folders: string[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

test('a build compiles, copies what is not TypeScript, and carries its identity', async () => {
  const root = checkout()
  mkdirSync(join(root, 'src', 'pages'))
  writeFileSync(join(root, 'src', 'pages', 'page.html'), '<p>')

  const { code } = await build(root)

  expect(code).toBe(0)
  expect(readBuildFile(join(root, 'dist'))).toMatchObject({
    kind: 'built',
    commit: null,
    dirty: null,
    sourceHash: sourceHash(root),
    builtAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
    node: process.versions.node,
  })
  expect(readdirSync(join(root, 'dist'))).toEqual(
    expect.arrayContaining(['build.js', 'build.d.ts', 'errors.js']),
  )
  expect(existsSync(join(root, 'dist', 'pages', 'page.html'))).toBe(true)
  expect(existsSync(join(root, 'dist', 'build.ts'))).toBe(false)
})

test('what a build has read and made is written down, and is so on disk', async () => {
  const root = checkout()
  mkdirSync(join(root, 'src', 'runner'))
  writeFileSync(
    join(root, 'src', 'runner', 'main.ts'),
    "import { digestOf } from '../build.ts'\n\ndigestOf('')\n",
  )

  await build(root)

  const artefact = artefactIn(root)
  expect(compare(artefact)).toEqual(FRESH)
  expect(artefact.made.inputs).toEqual(inputDigests(root))
  expect(Object.keys(artefact.made.modules)).toEqual([
    'artefact.js',
    'build.js',
    'errors.js',
    'runner/main.js',
    'thrown.js',
  ])
  expect(artefact.made.runner).toEqual(['runner/main.js', 'build.js', 'errors.js', 'thrown.js'])
  expect(readFileSync(join(root, 'dist', digestsFile), 'utf8')).not.toContain(root)
})

test('a build knows its commit, and is dirty when its source is and not when a document or a test is', async () => {
  const root = checkout()
  const git = (...args: string[]): string => {
    const who = ['-c', 'user.name=a', '-c', 'user.email=a@b', '-c', 'commit.gpgsign=false']
    return execFileSync('git', [...who, ...args], { cwd: root, encoding: 'utf8', stdio: 'pipe' }).trim()
  }
  git('init', '--quiet')
  git('add', 'src', 'scripts', 'package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json')
  git('commit', '--quiet', '--message', 'one')
  const built = async () => {
    await build(root)
    const { commit, dirty, sourceHash: hash } = readBuildFile(join(root, 'dist'))
    return { commit, dirty, hash }
  }

  const clean = await built()
  writeFileSync(join(root, 'README.md'), 'new')
  mkdirSync(join(root, 'test'))
  writeFileSync(join(root, 'test', 'a.test.ts'), 'new')
  const documented = await built()
  writeFileSync(join(root, 'src', 'more.ts'), 'export const more = 1\n')
  const changed = await built()

  expect(clean).toEqual({ commit: git('rev-parse', 'HEAD'), dirty: false, hash: clean.hash })
  expect(documented).toEqual(clean)
  expect(changed).toMatchObject({ commit: clean.commit, dirty: true })
  expect(changed.hash).not.toBe(clean.hash)
})

test('what the new source no longer has is gone from the new build', async () => {
  const root = checkout()
  mkdirSync(join(root, 'dist'))
  writeFileSync(join(root, 'dist', 'gone.js'), '')

  await build(root)

  expect(existsSync(join(root, 'dist', 'gone.js'))).toBe(false)
})

test('source that does not compile leaves the build that was there, and nothing beside it', async () => {
  const root = checkout()
  await build(root)
  const before = readBuildFile(join(root, 'dist'))
  writeFileSync(join(root, 'src', 'wrong.ts'), 'export const a: number = "a"\n')

  const { code, output } = await build(root)

  expect(code).toBe(1)
  expect(output).toContain('src/wrong.ts')
  expect(readBuildFile(join(root, 'dist'))).toEqual(before)
  expect(readdirSync(root).filter((name) => name.startsWith('dist'))).toEqual(['dist'])
})

test('builds at the same moment each end with one whole build', async () => {
  const root = checkout()
  await build(root)

  const ends = await Promise.all([build(root), build(root), build(root)])

  expect(ends.map(({ code }) => code)).toEqual([0, 0, 0])
  expect(readBuildFile(join(root, 'dist')).sourceHash).toBe(sourceHash(root))
  expect(readdirSync(root).filter((name) => name.startsWith('dist'))).toEqual(['dist'])
})

function checkout(): string {
  const root = mkdtempSync(join(tmpdir(), 'tenuto-dist-'))
  folders.push(root)
  const files = [
    'package.json',
    'package-lock.json',
    'tsconfig.json',
    'tsconfig.build.json',
    'scripts/build.ts',
  ]
  for (const path of [...files, 'src/artefact.ts', 'src/build.ts', 'src/errors.ts', 'src/thrown.ts']) {
    cpSync(join(packageRoot(), path), join(root, path))
  }
  symlinkSync(join(packageRoot(), 'node_modules'), join(root, 'node_modules'))
  return root
}

async function build(root: string): Promise<{ code: number; output: string }> {
  const child = spawn(process.execPath, [join(root, 'scripts', 'build.ts')], { cwd: root, stdio: 'pipe' })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const [code] = (await once(child, 'close')) as [number]
  return { code, output }
}
