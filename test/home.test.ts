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
import { expect, onTestFinished, test, vi } from 'vitest'
import { isTenutoError } from '../src/errors.ts'
import { typeOf } from '../src/file-system.ts'
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
    'place.json',
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

test.each([
  ['nfs', 0x6969],
  ['cifs', 0xff534d42],
  ['ceph', 0x00c36400],
])(
  'a home on %s is refused before anything of it is made, unless somebody says that it may be',
  (name, type) => {
    const home = join(folder(), 'not', 'yet')
    const asked: string[] = []
    const typeOf = (of: string): number => {
      asked.push(of)
      return type
    }

    expect(() => makeHome(home, typeOf)).toThrow(
      expect.objectContaining({ code: 'HOME_UNUSABLE', message: expect.stringContaining(name) as string }),
    )
    expect(existsSync(join(home, '..'))).toBe(false)
    // What is not there yet will be where it is made.
    expect(asked).toEqual([join(home, '..', '..')])

    vi.stubEnv('TENUTO_NETWORK_HOME', '1')
    onTestFinished(() => void vi.unstubAllEnvs())
    expect(makeHome(home, typeOf).home).toBe(home)
  },
)

test('the type of a file system is what the kernel says, without a sign', () => {
  expect(typeOf('/proc')).toBe(0x9fa0)
  expect(typeOf('/')).toBeGreaterThan(0)
})

test.each(['attempts', 'attempts/.gone', 'work', 'secrets', 'backups', 'runner'])(
  'a home in which %s is a link or no folder is refused, and what it leads to is left alone',
  (name) => {
    const elsewhere = folder()
    const home = folder()
    mkdirSync(join(home, 'attempts'))
    rmSync(join(home, name), { recursive: true, force: true })
    symlinkSync(elsewhere, join(home, name))
    refuses(home, new RegExp(`${name} is a link`))

    rmSync(join(home, name))
    writeFileSync(join(home, name), '')
    refuses(home, new RegExp(`${name} is no folder`))

    rmSync(join(home, name))
    mkdirSync(join(home, name))
    makeHome(home)
  },
)
