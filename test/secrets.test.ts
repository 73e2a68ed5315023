import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { vault } from '../src/secrets.ts'

const newVault = () => {
  const home = mkdtempSync(join(tmpdir(), 'tenuto-vault-'))
  onTestFinished(() => rmSync(home, { recursive: true, force: true }))
  return vault(home)
}

test.each([
  ['a few short values, kept ready', 3, 40],
  // More than is kept ready for one look after the other, and than is looked for at once.
  ['many long values', 300, 1_000],
])('of every plan of a home the values are hidden, at once and again: %s', (_, plans, length) => {
  const secrets = newVault()
  const values = Array.from({ length: plans }, (__, at) => `value-${at}-`.padEnd(length, 'x'))
  values.forEach((value, at) => secrets.keep(`p-${at}`, { KEY: value }))
  const told = `since ${values[0]} and ${values.at(-1)}`

  expect(secrets.hide(told)).toBe('since *** and ***')
  expect(secrets.hide(told)).toBe('since *** and ***')
  secrets.keep('q-1', { KEY: 'came later' })
  expect(secrets.hide('what came later')).toBe('what ***')
  secrets.drop('q-1')
  expect(secrets.hide('what came later')).toBe('what came later')
})
