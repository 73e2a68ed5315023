/** Names in paths: whatever somebody writes for a plan, a job, an attempt, no file is reached that the journal does not name. */
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { definePlan } from '../../src/plans/define-plan.ts'
import { holdOutside, statusOf } from './outside.ts'
import { folder } from './served.ts'

const API = '/api/v1'
const NAMES = [
  '..',
  '.',
  '',
  '%2e%2e',
  '%2E%2E%2F%2E%2E',
  '..%2f..%2f..%2fetc%2fpasswd',
  '%252e%252e%252f',
  'a/b',
  'a%2fb',
  'a\\b',
  'a%5cb',
  '%00',
  'p%00',
  '%0d%0aX:%20y',
  '%c0%ae%c0%ae',
  '%ff',
  '%',
  '%zz',
  '․․',
  encodeURIComponent('․․／'),
  encodeURIComponent('ｐ'),
  'x'.repeat(10_000),
  encodeURIComponent('𝟏'),
  '-1',
  '0',
  '1e0',
  '01',
  '1.0',
  '99999999999999999999',
  "' OR 1=1 --".replaceAll(' ', '%20'),
  '__proto__',
  'constructor',
  '*',
  '%25',
  '$(touch%20x)',
  '`touch%20x`',
  ';touch%20x',
]

/** What lies in a folder, except what a holder writes of itself. */
const contentOf = (at: string): readonly string[] =>
  readdirSync(at, { withFileTypes: true, recursive: true })
    .map((entry) => {
      const path = join(entry.parentPath, entry.name)
      const isOwn = /(?:daemon\.log|\.db(?:-wal|-shm)?|\.mark)$/.test(path)
      const content =
        entry.isFile() && !isOwn ? createHash('sha256').update(readFileSync(path)).digest('hex') : ''
      return `${path} ${content}`
    })
    .toSorted()

test('no name, however it is written, reads, writes or removes anything that is not an attempt of the journal', async () => {
  const around = folder()
  const home = join(around, 'home')
  mkdirSync(home, { mode: 0o700 })
  writeFileSync(join(around, 'secret'), 'canary-of-the-test')
  writeFileSync(join(home, 'log'), 'canary-of-the-test')
  const outside = await holdOutside({ home })
  const { raw, host, token, submit, runtime } = outside
  const id = await submit(
    definePlan({
      name: 'p',
      jobs: { a: { run: 'echo out' }, b: { approve: { prompt: '?' }, needs: ['a'] } },
    }),
  )
  for await (const { job, to } of runtime.events({ plan: id, after: 0 }))
    if (job === 'b' && to === 'waiting') break
  await runtime.idle()
  const before = contentOf(around)
  const steps = await runtime.catalog.events({ after: 0, limit: 1_000 })

  for (const name of NAMES) {
    const paths = [
      ['GET', `${API}/plans/${name}`],
      ['GET', `${API}/plans/${name}/jobs`],
      ['GET', `${API}/plans/${name}/definition`],
      ['GET', `${API}/plans/${id}/jobs/${name}`],
      ['GET', `${API}/plans/${id}/jobs/a/attempts/${name}/log`],
      ['GET', `${API}/plans/${name}/jobs/${name}/attempts/1/log`],
      ['GET', `${API}/plans/${id}/jobs/${name}/attempts/1/log/stream`],
      ['GET', `${API}/dead-letters/${name}`],
      ['POST', `${API}/plans/${name}/cancel`],
      ['POST', `${API}/plans/${id}/jobs/${name}/skip`],
      ['POST', `${API}/dead-letters/${name}/discard`],
    ] as const
    for (const [method, path] of paths) {
      const said = await raw(
        `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}`,
      )
      // A list has no name in its path.
      const isList = name === '' && method === 'GET' && path.endsWith('/')
      if (!isList || statusOf(said) !== 200)
        expect(`${method} ${path.slice(0, 90)} ${statusOf(said)}`).toMatch(/ (?:400|404|414|431)$/)
      expect(said).not.toContain('canary')
      expect(said).not.toContain('root:')
    }
  }

  expect(contentOf(around)).toEqual(before)
  expect(await runtime.catalog.events({ after: 0, limit: 1_000 })).toEqual(steps)
})
