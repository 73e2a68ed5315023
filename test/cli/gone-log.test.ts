import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { attemptDir } from '../../src/attempt.ts'
import { tellOfGoneLogs } from '../../src/cli/gone-log.ts'
import { attempt, job } from './shapes.ts'

test('a log that is gone is not taken for one that is empty', async () => {
  const home = mkdtempSync(join(tmpdir(), 'tenuto-gone-log-'))
  onTestFinished(() => rmSync(home, { recursive: true, force: true }))
  const said = async (
    outcome: string | null,
    { kind = 'run', jobs = ['a'], error = null as string | null } = {},
  ): Promise<readonly string[]> => {
    const lines: string[] = []
    const catalog = {
      attempts: async () => [attempt({ n: 1 }), attempt({ n: 2, outcome, error })],
      job: async (_: string, name: string) => job(name, { kind }),
    }
    const asked = jobs.map((name) => ({ plan: 'p-aaaaaa', job: name, attempt: 2 }))
    await tellOfGoneLogs(home, catalog, asked, { talk: (line) => lines.push(line) })
    return lines
  }

  expect((await said('exit'))[0]).toContain('the log of attempt 2 of p-aaaaaa/a is not there any more')
  expect((await said('never-started'))[0]).toContain('attempt 2 of p-aaaaaa/a never started')
  expect((await said('exit', { jobs: ['a', 'b'] }))[0]).toContain('2 logs of p-aaaaaa are not there any more')
  const error = 'no such program: \u001b[2Jx'
  expect(await said('spawn-error', { jobs: ['a', 'b'] })).toEqual([
    '2 attempts of p-aaaaaa never started, and have no logs; explain says why',
  ])
  // One that has just begun may have no folder yet, and a handler has none.
  expect(await said(null)).toEqual([])
  expect(await said('exit', { kind: 'call' })).toEqual([])
  mkdirSync(attemptDir(home, 'p-aaaaaa', 'a', 2), { recursive: true })
  expect(await said('exit')).toEqual([])
  // What never started may have a folder all the same.
  const [words, ...more] = await said('spawn-error', { error })
  expect(words).toMatch(/^attempt 2 of p-aaaaaa\/a never started, and has no log: no such program: /)
  expect(words).not.toContain('\u001b')
  expect(more).toEqual([])
})
