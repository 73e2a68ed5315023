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
    { kind = 'run', jobs = ['a'] } = {},
  ): Promise<readonly string[]> => {
    const lines: string[] = []
    const catalog = {
      attempts: async () => [attempt({ n: 1 }), attempt({ n: 2, outcome })],
      job: async (_: string, name: string) => job(name, { kind }),
    }
    const asked = jobs.map((name) => ({ plan: 'p-aaaaaa', job: name, attempt: 2 }))
    await tellOfGoneLogs(home, catalog, asked, { talk: (line) => lines.push(line) })
    return lines
  }

  expect((await said('exit'))[0]).toContain('the log of attempt 2 of p-aaaaaa/a is not there any more')
  expect((await said('never-started'))[0]).toContain('attempt 2 of p-aaaaaa/a never started')
  expect((await said('exit', { jobs: ['a', 'b'] }))[0]).toContain('2 logs of p-aaaaaa are not there any more')
  // One that has just begun may have no folder yet, and a handler has none.
  expect(await said(null)).toEqual([])
  expect(await said('exit', { kind: 'call' })).toEqual([])
  mkdirSync(attemptDir(home, 'p-aaaaaa', 'a', 2), { recursive: true })
  expect(await said('exit')).toEqual([])
})
