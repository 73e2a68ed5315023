import {
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
import { dirname, join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { runnerProgram } from '../../src/actors/runner-program.ts'
import { artefactIn, digestsFile, madeOf } from '../../src/artefact.ts'
import { inputDigests } from '../../src/build.ts'
import { PROGRAM_FOLDER } from '../../src/home.ts'
import { built, write } from '../support/package.ts'

const MAIN = "import { a } from '../a.js'\nimport { b } from './b.js'\n"

/** A package with a runner, and a home. */
const given = () => {
  const root = built()
  write(root, {
    'dist/runner/main.js': MAIN,
    'dist/runner/b.js': 'export const b = 1\n',
    'dist/other.js': '',
  })
  const rebuild = () => {
    const made = madeOf(join(root, 'dist'), inputDigests(root) ?? {})
    write(root, { [`dist/${digestsFile}`]: JSON.stringify(made) })
    return artefactIn(root)
  }
  const home = mkdtempSync(join(tmpdir(), 'tenuto-program-'))
  onTestFinished(() => rmSync(home, { recursive: true, force: true }))
  return { root, home, rebuild, artefact: rebuild() }
}

test('a copy of the program is whole, holds nothing else, and stays when the build goes away', () => {
  const { root, home, artefact } = given()

  const main = runnerProgram(home, artefact)()
  rmSync(join(root, 'dist'), { recursive: true })

  const folder = dirname(dirname(main))
  expect(readFileSync(main, 'utf8')).toBe(MAIN)
  const files = ['a.js', 'package.json', 'runner', 'runner/b.js', 'runner/main.js']
  expect(new Set(readdirSync(folder, { recursive: true, encoding: 'utf8' }))).toEqual(new Set<string>(files))
})

test('a copy that is removed under its holder is made again when a runner is to be started, also without the build', () => {
  const { root, home, artefact } = given()
  const program = runnerProgram(home, artefact)
  const first = program()
  rmSync(join(root, 'dist'), { recursive: true })
  rmSync(join(home, PROGRAM_FOLDER), { recursive: true })

  const again = program()

  expect(again).toBe(first)
  expect(readFileSync(again, 'utf8')).toBe(MAIN)
})

test('a copy that is torn is mended; that of another build takes its place', () => {
  const { root, home, artefact, rebuild } = given()
  const first = runnerProgram(home, artefact)()
  writeFileSync(first, MAIN.slice(0, 10))

  const again = runnerProgram(home, artefact)()
  const mended = readFileSync(again, 'utf8')
  write(root, { 'dist/other.js': 'new' })
  const same = runnerProgram(home, rebuild())()
  write(root, { 'dist/runner/b.js': 'export const b = 2\n' })
  const next = runnerProgram(home, rebuild())()

  expect([again, same]).toEqual([first, first])
  expect(mended).toBe(MAIN)
  expect(next).not.toBe(first)
  expect(existsSync(first)).toBe(false)
  expect(readdirSync(join(home, PROGRAM_FOLDER))).toHaveLength(1)
})

test('what somebody else has put among the copies stays, and a copy that was only begun goes', () => {
  const { home, artefact } = given()
  const programs = join(home, PROGRAM_FOLDER)
  const begun = join(programs, 'b'.repeat(16))
  mkdirSync(begun, { recursive: true })
  writeFileSync(join(begun, 'package.json.new'), '{')
  const foreign = ['photos', 'a'.repeat(16)].map((name) => join(programs, name, 'a.jpg'))
  for (const path of foreign) {
    mkdirSync(dirname(path))
    writeFileSync(path, 'x')
  }
  symlinkSync(dirname(foreign[0] as string), join(programs, 'c'.repeat(16)))

  runnerProgram(home, artefact)

  expect(foreign.map((path) => existsSync(path))).toEqual([true, true])
  expect(existsSync(begun)).toBe(false)
})

test('where no copy can be made the built program is used', () => {
  const { root, home, artefact } = given()
  writeFileSync(join(home, PROGRAM_FOLDER), 'in the way')

  expect(runnerProgram(home, artefact)()).toBe(join(root, 'dist/runner/main.js'))
})

test('a build without a module of its runner is refused, and nothing is written', () => {
  const { root, home, artefact } = given()
  mkdirSync(join(home, PROGRAM_FOLDER))
  rmSync(join(root, 'dist/runner/b.js'))

  expect(() => runnerProgram(home, artefact)).toThrow(expect.objectContaining({ code: 'BUILD_INCOMPLETE' }))
  expect(readdirSync(join(home, PROGRAM_FOLDER))).toEqual([])
})

test('where the source runs directly the program is the source', () => {
  expect(existsSync(runnerProgram('', null)())).toBe(true)
  expect(runnerProgram('', null)()).toMatch(/src[\\/]runner[\\/]main\.ts$/)
})
