import assert from 'node:assert/strict'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, onTestFinished, test } from 'vitest'
import { isTenutoError } from '../src/errors.ts'
import { homePaths, makeHome } from '../src/home.ts'

const folder = (): string => {
  const path = mkdtempSync(join(tmpdir(), 'tenuto-home-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

const modeOf = (path: string): number => statSync(path).mode & 0o777

const refuses = (home: string, why: RegExp, code: 'NOT_ALLOWED' | 'HOME_UNUSABLE' = 'NOT_ALLOWED'): void => {
  assert.throws(
    () => makeHome(home),
    (error) => isTenutoError(error, code) && why.test(error.message),
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
    'mode.json',
    'secrets',
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
  refuses(join(root, 'file'), /is no folder/, 'HOME_UNUSABLE')
  refuses(join(root, 'file', 'below'), /file is no folder/, 'HOME_UNUSABLE')
})

test('a path that the store could not open, or on which nothing can be made, is refused at once', () => {
  const root = folder()
  const long = join(root, ...Array.from({ length: 5 }, () => 'x'.repeat(100)))

  refuses(long, /has a path of \d+ bytes; it may have 480/, 'HOME_UNUSABLE')
  refuses(join(root, 'x'.repeat(300)), /cannot be/, 'HOME_UNUSABLE')
  if (existsSync('/proc/self')) refuses('/proc/x/y', /cannot be made/, 'HOME_UNUSABLE')
})

test('a home at the longest path holds all of its databases', () => {
  let home = folder()
  for (let left = 480 - home.length; left > 0; left = 480 - home.length)
    home += `/${'x'.repeat(left > 202 ? 100 : left > 101 ? Math.floor(left / 2) - 1 : left - 1)}`

  const { home: made, ...names } = makeHome(home)

  expect(Buffer.byteLength(made)).toBe(480)
  for (const path of [names.journal, names.lock, names.analytics]) {
    const database = new DatabaseSync(path)
    database.exec('PRAGMA journal_mode = WAL; CREATE TABLE t (a)')
    database.close()
  }
})

test.skipIf(process.getuid?.() !== 0)("somebody else's folder is no home", () => {
  const theirs = folder()
  chownSync(theirs, 12_345, 12_345)

  refuses(theirs, /belongs to another user/)
})
