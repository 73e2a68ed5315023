/** The token of a home: made once, closed to others, and of no use where it is not kept well. */

import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { checkToken, tokenOf } from '../../src/http/token.ts'
import { holdOutside } from './outside.ts'
import { folder } from './served.ts'

test('the token is made once, for its user alone, whatever the umask; the next daemon takes the same', () => {
  const path = join(folder(), 'token')
  const umask = process.umask(0)
  try {
    tokenOf(path)
  } finally {
    process.umask(umask)
  }
  const token = readFileSync(path, 'utf8').trim()

  const isToken = tokenOf(path)

  expect(token).toMatch(/^tenuto_[\w-]{43}$/)
  expect(statSync(path).mode & 0o777).toBe(0o600)
  expect(readFileSync(path, 'utf8').trim()).toBe(token)
  expect(isToken(token)).toBe(true)
  for (const other of ['', token.slice(0, -1), `${token}x`, token.toUpperCase(), 'x'.repeat(100_000)])
    expect(isToken(other)).toBe(false)
  tokenOf(join(folder(), 'token'))
})

test.each<readonly [string, (path: string) => void]>([
  ['is open to other users', (path) => chmodSync(path, 0o640)],
  ['is a link', (path) => (execFileSync('mv', [path, `${path}.1`]), symlinkSync(`${path}.1`, path))],
  ['is a link', (path) => (execFileSync('rm', [path]), symlinkSync('/nowhere', path))],
  ['is no file', (path) => (execFileSync('rm', [path]), mkdirSync(path, { mode: 0o700 }))],
  ['is no file', (path) => (execFileSync('rm', [path]), execFileSync('mkfifo', ['-m', '600', path]))],
  ['holds no token', (path) => writeFileSync(path, '')],
  ['holds no token', (path) => writeFileSync(path, 'tenuto_short\n')],
])('a token that %s is refused, with what to do (%#)', (why, spoil) => {
  const path = join(folder(), 'token')
  tokenOf(path)
  spoil(path)

  for (const look of [tokenOf, checkToken])
    expect(() => look(path)).toThrowError(
      expect.objectContaining({
        code: 'NOT_ALLOWED',
        message: expect.stringContaining(`${path} ${why}`) as string,
      }),
    )
})

test('only the whole token lets in, only as a bearer, and only once', async () => {
  const { askBare, ask, token, raw, host } = await holdOutside()
  const wrong = [
    '',
    token,
    `Basic ${token}`,
    `Bearer`,
    `Bearer  ${token}`,
    `Bearer ${token}x`,
    `Bearer ${token},`,
    'Bearer x',
  ]

  for (const authorization of wrong)
    expect([authorization, (await askBare('GET /version', { headers: { authorization } })).status]).toEqual([
      authorization,
      401,
    ])
  const twice = `Authorization: Bearer ${token}\r\n`
  const said = await raw(
    `GET /version HTTP/1.1\r\nHost: ${host}\r\n${twice}${twice}Connection: close\r\n\r\n`,
  )

  expect(said).toContain(' 401 ')
  expect((await askBare('GET /version', { headers: { authorization: `bearer ${token}` } })).status).toBe(200)
  expect((await ask('GET /version')).text).not.toContain(token)
})
