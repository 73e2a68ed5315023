/**
 * Keeps a log within its share of the disk while its process goes on writing: the middle is punched out, head and tail stay, and
 * no offset changes.
 */
import { spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { FILES, type Limits, type Range } from '../attempt.ts'
import { holeOf, writeHole } from './directory.ts'

/** File systems free whole blocks; holes begin and end on a multiple of this. */
const BLOCK_BYTES = 65_536

/** Which range may go when a log has `bytes`; undefined when there is nothing between head and tail. */
export const holeFor = (
  bytes: number,
  limits: Pick<Limits, 'logLimitBytes' | 'headBytes'>,
): Range | undefined => {
  // Half of what is left beside the head stays as the tail, so that the next punch is as far away again.
  const tail = Math.max(0, limits.logLimitBytes - limits.headBytes) / 2
  const from = Math.ceil(limits.headBytes / BLOCK_BYTES) * BLOCK_BYTES
  const to = Math.floor((bytes - tail) / BLOCK_BYTES) * BLOCK_BYTES
  return to > from ? { from, to } : undefined
}

/**
 * Punches the middle out of a log of `bytes` bytes; whether that freed anything. The hole is recorded before it is made, so that
 * no reader takes its zeros for the job's bytes.
 */
export const punchOut = async (
  dir: string,
  bytes: number,
  limits: Pick<Limits, 'logLimitBytes' | 'headBytes'>,
): Promise<boolean> => {
  const hole = holeFor(bytes, limits)
  if (hole === undefined) return false
  const before = holeOf(dir)
  writeHole(dir, hole)
  // All of it, what an earlier punch has freed too: a runner may have died between record and punch.
  if (await fallocate(join(dir, FILES.log), hole)) return true
  if (before === undefined) rmSync(join(dir, FILES.hole), { force: true })
  else writeHole(dir, before)
  return false
}

/** Node has no such call; util-linux has a program for it. It runs about once for each `logLimitBytes / 2` written. */
const fallocate = (path: string, { from, to }: Range): Promise<boolean> =>
  new Promise((resolve) => {
    const args = ['--punch-hole', '--offset', String(from), '--length', String(to - from), path]
    const child = spawn('fallocate', args, { stdio: 'ignore' })
    child.once('error', () => resolve(false))
    child.once('exit', (code) => resolve(code === 0))
  })
