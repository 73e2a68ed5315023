/**
 * Soaks: a job that floods its log (`flood.ts`), and a healthy life of many jobs (`jobs.ts`). `--jobs N` is only the second, with so
 * many; `--short` both in their short form. Exits 1 when one is out of bounds.
 */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

const asked = process.argv.slice(2)
const programs = asked.includes('--jobs') ? ['jobs.ts'] : ['flood.ts', 'jobs.ts']
for (const program of programs) {
  const args = ['--expose-gc', join(import.meta.dirname, program), ...asked]
  const { status } = spawnSync(process.execPath, args, { stdio: 'inherit' })
  if (status !== 0) process.exitCode = 1
}
