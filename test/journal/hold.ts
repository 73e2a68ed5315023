/** A process that holds the home named until it is killed or its stdin ends; says "held" when it does. It keeps no reference. */
import { writeSync } from 'node:fs'
import { holdHome } from '../../src/journal/lock.ts'

holdHome(process.argv[2] ?? '', {
  pid: process.pid,
  parent_pid: null,
  command: 'tenuto run',
  started_at: '2026-01-02T03:04:05.000Z',
  boot_id: 'b1',
  url: null,
  sock: null,
  build: 'build',
})
if (globalThis.gc) {
  for (let i = 0; i < 10; i += 1) {
    await new Promise((resolve) => setImmediate(resolve))
    globalThis.gc()
  }
}
writeSync(1, 'held\n')
process.stdin.resume()
