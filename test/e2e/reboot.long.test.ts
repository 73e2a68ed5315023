import { once } from 'node:events'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, test } from 'vitest'
import { attemptDir, FILES, readClaim } from '../../src/attempt.ts'
import { homePaths } from '../../src/home.ts'
import { fileThere, processGone } from '../runner/home.ts'
import { openFolder } from './tenuto.ts'

test('after a reboot a running job without a trace on disk is lost, and is not started again', async () => {
  const { folder, home, file, start, run, read } = openFolder()
  const job = 'echo x >> ledger; test -e up && exit 0; echo $$ > pid; mv pid up; exec sleep 100'
  file('p.yaml', `plan: v1\nname: p\njobs:\n  a: { run: "${job}" }\n`)
  const first = start('run', 'p.yaml')
  await fileThere(join(folder, 'up'))
  const main = Number(read('up'))
  const { journal, attempts } = homePaths(home)
  const { id } = JSON.parse((await run('show', 'p', '--json')).out) as { id: string }
  const claim = readFileSync(join(attemptDir(home, id, 'a', 1), FILES.claim), 'utf8')
  const runner = readClaim(claim)?.holder.pid as number
  first.child.kill('SIGKILL')
  process.kill(runner, 'SIGKILL')
  process.kill(-main, 'SIGKILL')
  await Promise.all([once(first.child, 'exit'), processGone(runner), processGone(main)])
  // The journal is forced to disk, the attempt directories are not; and the machine has another boot id afterwards.
  rmSync(attempts, { recursive: true })
  const store = new DatabaseSync(journal)
  store.exec("UPDATE boot SET boot_id = 'the boot before'")
  store.close()

  const { code } = await run('resume')

  expect(code).toBe(10)
  expect(JSON.parse((await run('show', 'p/a', '--json')).out)).toMatchObject({
    state: 'waiting',
    reason: 'lost',
    attempts: [{ n: 1, outcome: 'lost' }],
  })
  expect(read('ledger')).toBe('x\n')
})
