import { rmSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { artefactIn, buildName, compare, digestsFile, FRESH, readArtefact } from '../src/artefact.ts'
import { buildFile, hashOf, inputDigests } from '../src/build.ts'
import { built, write } from './support/package.ts'

test('an artefact is fresh beside the source it was built from, whatever happens to times, tests and documents', () => {
  const root = built()
  const artefact = artefactIn(root)

  write(root, {
    'README.md': 'new',
    'test/a.test.ts': 'new',
    'docs/a.md': 'new',
    'dist/a.d.ts': '',
    'dist/b.js': '',
  })
  utimesSync(join(root, 'src', 'a.ts'), 1, 1)
  utimesSync(join(root, 'dist', 'a.js'), 1, 1)

  expect(compare(artefact)).toEqual(FRESH)
})

test('source that has changed, is new or is gone makes it stale, and is named with the hash it has now', () => {
  const one = built()
  const artefact = artefactIn(one)
  write(one, { 'src/a.ts': 'export const a = 2\n' })
  const changed = compare(artefact)
  rmSync(join(one, 'src/a.ts'))
  write(one, { 'src/b.ts': '' })
  const replaced = compare(artefact)

  const now = hashOf(inputDigests(one) ?? {}).slice(0, 12)
  expect(changed).toMatchObject({
    stale: expect.stringMatching(/beside it is [0-9a-f]{12}: src\/a\.ts has changed$/),
    core: true,
  })
  expect(replaced.stale).toBe(`the source beside it is ${now}: src/a.ts is missing, and 1 more`)
  write(one, { 'src/a.ts': 'export const a = 1\n' })
  rmSync(join(one, 'src/b.ts'))
  expect(compare(artefact)).toEqual(FRESH)
})

test('a change of the same size at the same time is seen', () => {
  const root = built()
  const artefact = artefactIn(root)
  utimesSync(join(root, 'src', 'a.ts'), 1, 1)

  write(root, { 'src/a.ts': 'export const a = 9\n' })
  utimesSync(join(root, 'src', 'a.ts'), 1, 1)

  expect(compare(artefact).stale).toContain('src/a.ts')
})

test('without source beside it, as installed, only its own files count', () => {
  const root = built()
  rmSync(join(root, 'src'), { recursive: true })
  rmSync(join(root, 'package-lock.json'))
  const artefact = artefactIn(root)

  expect(compare(artefact)).toEqual(FRESH)
  write(root, { 'dist/a.js': 'export const a = 2\n' })
  expect(compare(artefact)).toEqual({ stale: 'dist/a.js has changed', core: true, missing: null })
  rmSync(join(root, 'dist/a.js'))
  expect(compare(artefact)).toEqual({ stale: 'dist/a.js is missing', core: true, missing: 'dist/a.js' })
})

test('a guest that is missing or has changed is told, and is no reason to refuse', () => {
  const root = built()
  const artefact = artefactIn(root)

  rmSync(join(root, 'dist/analytics'), { recursive: true })
  expect(compare(artefact)).toEqual({
    stale: 'dist/analytics/main.js is missing',
    core: false,
    missing: null,
  })
  write(root, { 'src/analytics/main.ts': 'new' })
  expect(compare(artefact).core).toBe(false)
  write(root, { 'src/a.ts': 'new' })
  expect(compare(artefact).core).toBe(true)
})

test('a dist that another build has replaced is told by the name of that build', () => {
  const root = built()
  const artefact = artefactIn(root)

  const next = { ...artefact.build, version: '2.0.0', sourceHash: 'f'.repeat(64), dirty: true }
  write(root, { 'dist/a.js': 'new', [`dist/${buildFile}`]: JSON.stringify(next) })

  expect(compare(artefact).stale).toBe(`dist was built anew and is ${buildName(next)}`)
  expect(buildName(next)).toBe('2.0.0 ffffffffffff+changes')
})

test('what cannot be compared is not fresh', () => {
  const root = built()
  const artefact = artefactIn(root)

  write(root, { 'package.json': '{' })

  expect(compare(artefact)).toMatchObject({
    stale: expect.stringContaining('cannot be compared'),
    core: true,
  })
})

test('an artefact that does not say what it was made of is refused', () => {
  const root = built()
  write(root, { [`dist/${digestsFile}`]: '{' })
  expect(() => artefactIn(root)).toThrow(expect.objectContaining({ code: 'BUILD_INCOMPLETE' }))
  rmSync(join(root, 'dist', digestsFile))

  expect(() => artefactIn(root)).toThrow(expect.objectContaining({ code: 'BUILD_INCOMPLETE' }))
})

test('a process that runs the source has no artefact', () => {
  expect(readArtefact()).toBeNull()
})
