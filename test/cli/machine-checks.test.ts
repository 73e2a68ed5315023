import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import {
  machineChecks,
  nodeCheck,
  openFilesCheck,
  programChecks,
  sqliteCheck,
} from '../../src/cli/machine-checks.ts'

test('the machine that runs the tests is well', () => {
  expect(machineChecks().filter(({ status }) => status === 'fail')).toEqual([])
})

test.each([
  ['22.12.0', 'fail'],
  ['24.0.0', 'ok'],
  ['26.1.0', 'ok'],
])('Node %s is %s', (version, status) => {
  expect(nodeCheck(version).status).toBe(status)
})

test.each([
  ['3.50.9', 'fail'],
  ['3.51.2', 'fail'],
  ['3.51.3', 'ok'],
  ['3.52', 'ok'],
  ['4.0.0', 'ok'],
])('SQLite %s is %s', (version, status) => {
  expect(sqliteCheck(version).status).toBe(status)
})

test('agents are told as found or not found; without a shell nothing runs', () => {
  const [bin, other] = ['bin', 'other'].map((name) => {
    const folder = join(mkdtempSync(join(tmpdir(), 'tenuto-path-')), name)
    mkdirSync(folder)
    onTestFinished(() => rmSync(join(folder, '..'), { recursive: true }))
    return folder
  }) as [string, string]
  for (const name of ['sh', 'codex']) {
    writeFileSync(join(bin, name), '')
    chmodSync(join(bin, name), 0o755)
  }
  // One that may not be executed, and a folder, are no programs.
  writeFileSync(join(other, 'claude'), '', { mode: 0o644 })
  mkdirSync(join(other, 'gemini'))

  const [shell, agents] = programChecks([other, bin].join(delimiter))

  expect(shell).toMatchObject({ status: 'ok' })
  expect(agents).toMatchObject({
    status: 'info',
    what: expect.stringMatching(/^codex on the PATH; not found: claude, gemini/) as string,
  })
  expect(programChecks(other)[0]).toMatchObject({ name: 'shell', status: 'fail' })
})

/** Broken on purpose once, and seen: a limit that is never too low. */
test.each([
  ['1024', 'warn'],
  ['4095', 'warn'],
  ['4096', 'ok'],
  ['unlimited', 'ok'],
])('%s open files are %s', (soft, status) => {
  const limits = `Limit                     Soft Limit           Hard Limit           Units\nMax open files            ${soft.padEnd(20)} 524288               files\n`

  expect(openFilesCheck(limits)).toMatchObject([{ name: 'open files', status }])
})
