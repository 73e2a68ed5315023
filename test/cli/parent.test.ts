import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { deathsIn } from '../../src/cli/parent.ts'

test('how daemons in the background died is looked up where it is written', () => {
  const home = mkdtempSync(join(tmpdir(), 'tenuto-parent-'))
  onTestFinished(() => rmSync(home, { recursive: true, force: true }))
  const [out, elsewhere] = ['daemon.out', 'elsewhere'].map((name) => openSync(join(home, name), 'a')) as [
    number,
    number,
  ]
  onTestFinished(() => [out, elsewhere].forEach((fd) => closeSync(fd)))

  expect(deathsIn(home, '/log', out)).toBe(`${join(home, 'daemon.out')} and /log`)
  expect(deathsIn(home, '/log', elsewhere)).toBe('/log')
  rmSync(join(home, 'daemon.out'))
  expect(deathsIn(home, '/log', out)).toBe('/log')
})
