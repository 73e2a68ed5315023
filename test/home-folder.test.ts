import { cpSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { homePaths } from '../src/home.ts'
import { standingOf, writePlace } from '../src/home-folder.ts'

const OWN = { how: 'own', home: 'abc' }

/** A home that was held, and a folder for others. */
const heldHome = () => {
  const folder = mkdtempSync(join(tmpdir(), 'tenuto-place-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const home = join(folder, 'home')
  mkdirSync(home)
  writeFileSync(homePaths(home).journal, '')
  writePlace(home, 'abc')
  return { home, other: join(folder, 'other'), third: join(folder, 'third') }
}

test('a home that was moved, or is called by another name, is the one that it was', () => {
  const { home, other } = heldHome()
  expect(standingOf(`${home}/../home/`)).toEqual(OWN)

  renameSync(home, other)

  expect(standingOf(other)).toEqual(OWN)
  expect(standingOf(home)).toEqual({ how: 'own', home: null })
})

test('a copy is one while the first is where it was, and after that not the first either', () => {
  const { home, other, third } = heldHome()
  cpSync(home, other, { recursive: true })
  expect(standingOf(other)).toEqual({ how: 'copy', first: home })
  expect(standingOf(home)).toEqual(OWN)

  renameSync(home, third)

  expect(standingOf(other)).toEqual({ how: 'elsewhere' })
  expect(standingOf(third)).toEqual(OWN)
  // In the place of the first it is not the first.
  renameSync(other, home)
  expect(standingOf(home)).toEqual({ how: 'elsewhere' })
  writePlace(home, 'abc-def')
  expect(standingOf(home)).toEqual({ how: 'own', home: 'abc-def' })
  expect(standingOf(third)).toEqual(OWN)
})

test('a disk that is numbered anew when it comes back makes no other home of one that stays where it was', () => {
  const { home, other } = heldHome()
  const { place } = homePaths(home)
  const known = JSON.parse(readFileSync(place, 'utf8')) as Record<string, unknown>
  const say = (more: object) => writeFileSync(place, JSON.stringify({ ...known, ...more }))

  say({ dev: 1 })
  expect(standingOf(home)).toEqual(OWN)
  say({ ino: 1 })
  expect(standingOf(home)).toEqual({ how: 'elsewhere' })
  say({ dev: 1, path: other })
  expect(standingOf(home)).toEqual({ how: 'elsewhere' })
  writeFileSync(place, 'cut off')
  expect(standingOf(home)).toEqual({ how: 'own', home: null })
})
