/**
 * Analytics: a process of its own, started by the holder of a home as `main FILE HOME` with its channel as descriptor 3. It keeps its
 * numbers in FILE and never opens the journal; it may end at any moment, and its next life goes on from there.
 */
import { strict as assert } from 'node:assert'
import { Socket } from 'node:net'
import { runGuest } from './life.ts'

const CHANNEL = 3
const FAILED = 70

const [file, home] = process.argv.slice(2)
assert(file !== undefined && home !== undefined, 'usage: main FILE HOME')

const channel = new Socket({ fd: CHANNEL, readable: true, writable: true })
// Followed by `close`, which ends the process.
channel.on('error', () => {})
process.on('uncaughtException', (error) => {
  process.stderr.write(`${error.stack ?? String(error)}\n`)
  // The house may read it or not; either way this is the end.
  channel.write(`${JSON.stringify({ type: 'failed', error: error.message })}\n`, () => process.exit(FAILED))
  channel.on('close', () => process.exit(FAILED))
})

runGuest({ file, home, channel, leave: () => process.exit(0) })
