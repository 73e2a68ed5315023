import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { makeFolders } from '../src/home-place.ts'

const openHome = (): string => {
  const home = mkdtempSync(join(tmpdir(), 'tenuto-place-'))
  onTestFinished(() => rmSync(home, { recursive: true, force: true }))
  return home
}

test('a folder of a home is made with what leads to it, for its user alone, and made again without harm', () => {
  const home = openHome()
  const folder = join(home, 'a', 'b', 'c')

  makeFolders(home, folder)
  writeFileSync(join(folder, 'kept'), '')
  makeFolders(home, folder)

  expect(existsSync(join(folder, 'kept'))).toBe(true)
  for (const each of ['a', 'a/b', 'a/b/c']) expect(statSync(join(home, each)).mode & 0o777).toBe(0o700)
})

test.each(['a', 'a/b/c'])('a home that is gone is not made again for a folder %s in it', (name) => {
  const home = openHome()
  rmSync(home, { recursive: true })

  expect(() => makeFolders(home, join(home, name))).toThrow('ENOENT')

  expect(existsSync(home)).toBe(false)
})
