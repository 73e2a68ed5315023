import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { markedProcesses } from '../../src/process.ts'
import { pidsOf, processGone } from '../runner/home.ts'
import { openFolder } from './tenuto.ts'

test('everything of a running job is killed and its folder removed: it is lost, not run again, until somebody says so', async () => {
  const { file, start, run, read, home, unsound } = openFolder()
  file(
    'p.yaml',
    'plan: v1\nname: p\njobs:\n  a: { run: "echo $TENUTO_ATTEMPT >> ledger; test -e go || sleep 60" }\n',
  )
  const running = start('run', 'p.yaml', '--json')
  await running.heard('"type":"begun"')
  const { plan } = JSON.parse((await run('events', 'p', '--json')).out.split('\n')[0] ?? '') as {
    plan: string
  }
  const jobs = markedProcesses('').filter(({ key }) => key.endsWith(`/${plan}/a/1`))
  const runners = pidsOf((line) => line.includes('runner') && line.includes(home))
  await running.killed()
  for (const pid of [...runners, ...jobs.map((job) => job.pid)]) {
    process.kill(pid, 'SIGKILL')
    await processGone(pid)
  }
  rmSync(join(home, 'attempts', plan, 'a', '1'), { recursive: true })

  const before = await unsound()
  const { code } = await run('resume', '--no-input')
  const shown = await run('show', 'p/a')
  const after = await unsound()
  const ledger = read('ledger')
  file('go', '')
  await run('retry', 'p/a')
  const again = await run('resume', '--no-input')

  expect([jobs.length > 0, runners.length]).toEqual([true, 1])
  expect(before).toMatchObject([{ kind: 'folder-gone', place: { plan, job: 'a', attempt: 1 } }])
  expect(code).toBe(10)
  expect(shown.out).toContain('the folder of an attempt that had begun is gone')
  expect(after).toEqual([])
  expect(ledger).toBe('1\n')
  expect(again.code).toBe(0)
  expect(read('ledger')).toBe('1\n2\n')
})
