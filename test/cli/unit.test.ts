/**
 * The unit for systemd. Mutations that were planted once, and each found: what runs stopped with the daemon; a percent sign that is not
 * written twice.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { unitName, unitText } from '../../src/cli/unit.ts'

const PATHS = { node: process.execPath, launcher: '/opt/tenuto/bin/tenuto.cjs', home: '/var/lib/ada/tenuto' }

test('the unit starts the program by whole paths, leaves what runs alone, and starts it again when it failed', () => {
  const lines = unitText(PATHS).split('\n')

  expect(lines).toContain(
    `ExecStart=${process.execPath} /opt/tenuto/bin/tenuto.cjs up --home /var/lib/ada/tenuto --no-color`,
  )
  expect(lines).toContain('KillMode=process')
  expect(lines).toContain('Restart=on-failure')
})

test('a path with spaces, quotes, dollars, percents and backslashes is one word', () => {
  expect(unitText({ ...PATHS, home: '/a b/50%/$HOME/"q"\\n' })).toContain(
    ' up --home "/a b/50%%/$$HOME/\\"q\\"\\\\n" --no-color\n',
  )
})

test('each home has a unit of its own, on the port it is given', () => {
  expect(unitText({ ...PATHS, port: '7718' })).toContain(
    ' up --home /var/lib/ada/tenuto --port 7718 --no-color\n',
  )
  const names = ['/home/ada/t', '/a/my home', '/b/my home'].map((home) => unitName(home, '/home/ada/t'))
  expect(names).toEqual(['tenuto', expect.stringMatching(/^tenuto-my-home-[0-9a-f]{6}$/), expect.anything()])
  expect(new Set(names).size).toBe(3)
})

test('a path with a line end is refused: no unit can name it', () => {
  expect(() => unitText({ ...PATHS, home: '/a\nExecStart=/bin/false' })).toThrow(
    expect.objectContaining({ code: 'USAGE' }),
  )
})

test('systemd has nothing against the unit', ({ skip }) => {
  if (spawnSync('systemd-analyze', ['--version']).error) skip('systemd is not here')
  const folder = mkdtempSync(join(tmpdir(), 'tenuto-unit-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 'tenuto.service')
  writeFileSync(path, unitText({ ...PATHS, home: join(folder, 'a b %') }))

  const { status, stderr } = spawnSync('systemd-analyze', ['verify', '--user', path], {
    encoding: 'utf8',
    // Without a session of a user there is no folder of it.
    env: { PATH: '/usr/bin:/bin', XDG_RUNTIME_DIR: folder },
  })
  expect([status, stderr]).toEqual([0, ''])
})
