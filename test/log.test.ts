import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { openLog } from '../src/log.ts'

test('the log is appended to as JSON lines, written at once, closed to others, and tells no secret', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tenuto-log-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'daemon.log')
  const lines = () =>
    readFileSync(file, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))

  const log = await openLog({ file, level: 'info' })
  log.debug('not told')
  log
    .child({ address: 'plan:a' })
    .info({ seq: 3, token: 't0p', plan: { env: { A: 's3cret' } } }, 'job settled')
  const again = await openLog({ file, level: 'debug' })
  again.debug('told')

  expect(lines()).toMatchObject([
    {
      level: 'info',
      address: 'plan:a',
      seq: 3,
      token: '[secret]',
      plan: { env: '[secret]' },
      msg: 'job settled',
    },
    { level: 'debug', msg: 'told' },
  ])
  expect(lines()[0].time).toMatch(/^\d{4}-\d\d-\d\dT.*Z$/)
  expect(statSync(file).mode & 0o777).toBe(0o600)
})
