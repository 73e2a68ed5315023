import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
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

  const { log } = await openLog({ file, level: 'info' })
  log.debug('not told')
  log
    .child({ address: 'plan:a' })
    .info({ seq: 3, token: 't0p', plan: { env: { A: 's3cret' } } }, 'job settled')
  const { log: again } = await openLog({ file, level: 'debug' })
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

test('a log that has grown long is set aside, once, and all who write to it go on in the new one', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tenuto-log-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'daemon.log')
  const [{ log }, { log: other }] = [
    await openLog({ file, level: 'info' }),
    await openLog({ file, level: 'info' }),
  ]
  const long = 'x'.repeat(500_000)
  for (let n = 0; n < 41; n += 1) log.info({ n, long }, 'a long line')

  other.info('the other goes on')
  log.info('so does the first')

  expect(readdirSync(folder).sort()).toEqual(['daemon.log', 'daemon.log.1'])
  const [now, before] = [readFileSync(file, 'utf8'), readFileSync(`${file}.1`, 'utf8')]
  expect(now.length + before.length).toBeLessThan(21_000_000)
  expect(before.length).toBeGreaterThan(10_000_000)
  expect(now).toContain('the other goes on')
  expect(now.trimEnd().endsWith('"msg":"so does the first"}')).toBe(true)
  expect(statSync(file).mode & 0o777).toBe(0o600)
})

test('a log that is closed lets go of its file, and what comes late is dropped', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tenuto-log-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'daemon.log')
  const { log, close } = await openLog({ file, level: 'info' })
  log.info('in time')

  await close()
  await close()
  log.info('late')

  expect(readFileSync(file, 'utf8').trimEnd().split('\n')).toHaveLength(1)
})
