import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openFolder } from './tenuto.ts'

/** Starts `tenuto` where no file may grow beyond 300 KB: a write beyond it fails as a broken medium does. */
const LAUNCHER = `
const { spawnSync } = require('node:child_process')
const bin = ${JSON.stringify(join(import.meta.dirname, '../../bin/tenuto.cjs'))}
const limited = ['-c', 'ulimit -f 600; exec "$0" "$@"', process.execPath, bin, ...process.argv.slice(2)]
process.exitCode = spawnSync('sh', limited, { stdio: 'inherit' }).status
`

test('12: an I/O error stops tenuto, which says so; the next start goes on, and each job ran exactly once', async () => {
  const { file, run, read, as } = openFolder()
  const launcher = file('limited.cjs', LAUNCHER)
  const jobs = Array.from(
    { length: 60 },
    (_, at) => `  j${at}: { run: "echo $TENUTO_JOB >> ledger"${at === 0 ? '' : `, needs: [j${at - 1}]`} }`,
  )
  file('p.yaml', `plan: v1\nname: p\njobs:\n${jobs.join('\n')}\n`)

  const broken = await as(launcher).run('run', 'p.yaml')
  const resumed = await run('resume')

  expect(broken).toMatchObject({ code: 12, err: expect.stringContaining('disk I/O error') as string })
  expect(resumed).toMatchObject({ code: 0, out: expect.stringMatching(/ succeeded\n$/) as string })
  expect(read('ledger').trim().split('\n')).toEqual(Array.from({ length: 60 }, (_, at) => `j${at}`))
})
