import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { attemptDir } from '../../src/attempt.ts'
import { tellOfGoneLog } from '../../src/cli/gone-log.ts'
import { attempt } from './shapes.ts'

test('a log that is gone is not taken for one that is empty', async () => {
  const home = mkdtempSync(join(tmpdir(), 'tenuto-gone-log-'))
  onTestFinished(() => rmSync(home, { recursive: true, force: true }))
  const said = async (outcome: string | null): Promise<readonly string[]> => {
    const lines: string[] = []
    const attempts = async () => [attempt({ n: 1 }), attempt({ n: 2, outcome })]
    const ref = { plan: 'p-aaaaaa', job: 'a', attempt: 2 }
    await tellOfGoneLog(home, { attempts }, ref, { talk: (line) => lines.push(line) })
    return lines
  }

  expect((await said('exit'))[0]).toContain('the log of attempt 2 of p-aaaaaa/a is not there any more')
  expect((await said('never-started'))[0]).toContain('attempt 2 of p-aaaaaa/a never started')
  // One that has just begun may have no folder yet.
  expect(await said(null)).toEqual([])
  mkdirSync(attemptDir(home, 'p-aaaaaa', 'a', 2), { recursive: true })
  expect(await said('exit')).toEqual([])
})
