import assert from 'node:assert/strict'
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { isTenutoError } from '../src/errors.ts'
import { homePaths, makeHome } from '../src/home.ts'

const folder = (): string => {
  const path = mkdtempSync(join(tmpdir(), 'tenuto-home-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

const modeOf = (path: string): number => statSync(path).mode & 0o777

const refuses = (home: string, why: RegExp): void => {
  assert.throws(
    () => makeHome(home),
    (error) => isTenutoError(error, 'NOT_ALLOWED') && why.test(error.message),
  )
}

test('a home is made with all that leads to it, closed to others, and made again without harm', () => {
  const home = join(folder(), 'state', 'tenuto')

  const paths = makeHome(home)

  expect(modeOf(home)).toBe(0o700)
  writeFileSync(paths.journal, 'x')
  expect(makeHome(`${home}/`)).toEqual(paths)
})

test('everything of a home lies in it', () => {
  const { home, ...names } = homePaths('some/where')

  expect(home).toBe(join(process.cwd(), 'some/where'))
  const inside = Object.values(names).map((path) => relative(home, path))
  expect(inside.sort()).toEqual([
    'analytics.db',
    'attempts',
    'backups',
    'daemon.json',
    'daemon.log',
    'journal.db',
    'lock.db',
    'token',
    'work',
  ])
})

test('an open folder is closed if it is empty or a home, and left alone if it holds other things', () => {
  const empty = folder()
  chmodSync(empty, 0o755)
  makeHome(empty)
  expect(modeOf(empty)).toBe(0o700)

  writeFileSync(homePaths(empty).lock, '')
  chmodSync(empty, 0o755)
  makeHome(empty)
  expect(modeOf(empty)).toBe(0o700)

  const project = folder()
  writeFileSync(join(project, 'README.md'), '')
  chmodSync(project, 0o755)
  refuses(project, /holds other things/)
  expect(modeOf(project)).toBe(0o755)
})

test('a link, a file, and a path below a file are no homes', () => {
  const root = folder()
  const real = join(root, 'real')
  mkdirSync(real, { mode: 0o700 })
  symlinkSync(real, join(root, 'link'))
  writeFileSync(join(root, 'file'), '')

  refuses(join(root, 'link'), /is a link/)
  refuses(`${join(root, 'link')}/`, /is a link/)
  refuses(join(root, 'file'), /cannot be made|is no folder/)
  refuses(join(root, 'file', 'below'), /cannot be made/)
})

test.skipIf(process.getuid?.() !== 0)("somebody else's folder is no home", () => {
  const theirs = folder()
  chownSync(theirs, 12_345, 12_345)

  refuses(theirs, /belongs to another user/)
})
