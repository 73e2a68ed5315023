/**
 * Programs in the place of analytics: the real one with something put in, or others that share nothing with it but the channel. Each is
 * a file that a test writes, and may replace by another while a runtime starts it again and again.
 */
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { packageRoot } from '../../src/build.ts'

const source = (path: string): string => JSON.stringify(pathToFileURL(join(packageRoot(), 'src', path)).href)

const real = (before: string, counting: string): string => `
import { Socket } from 'node:net'
import { runGuest } from ${source('analytics/life.ts')}
import { count } from ${source('analytics/count.ts')}
const [file, home] = process.argv.slice(2)
const channel = new Socket({ fd: 3, readable: true, writable: true })
channel.on('error', () => {})
${before}
runGuest({ file, home, channel, leave: () => process.exit(0), count: (known, batch) => { ${counting} } })
`

const other = (then: string): string => `
import { Socket } from 'node:net'
import { writeSync } from 'node:fs'
const channel = new Socket({ fd: 3, readable: true, writable: true })
channel.on('close', () => process.exit(0))
const say = (message) => channel.write(JSON.stringify(message) + '\\n')
${then}
`

/** The programs, by what is wrong with them. */
export const PROGRAMS = {
  sound: `import ${source('analytics/main.ts')}\n`,
  'a function is missing': `import { countTerminalStates } from ${source('analytics/count.ts')}\ncountTerminalStates()\n`,
  'throws at import': `throw new Error('analytics was built without its function')\n`,
  'throws per event': real('', `throw new Error('this event cannot be counted: ' + batch.steps[0]?.type)`),
  'rejects, later': real(
    `setTimeout(() => void Promise.reject(new Error('rejected, and nobody heard it')), 20)`,
    'return count(known, batch)',
  ),
  'is killed while it counts': real(
    '',
    `const die = () => process.kill(process.pid, 'SIGKILL')
if (Math.random() < 0.5) die()
setImmediate(die)
const steps = batch.steps.slice(0, 10)
return count(known, { ...batch, steps, upTo: steps.length < 10 ? batch.upTo : steps[9].position })`,
  ),
  hangs: real('', 'for (;;) ;'),
  'never greets': other('setInterval(() => {}, 1000)'),
  'greets, and counts nothing': other(`say({ type: 'hello', v: 1, cursor: 0 })`),
  'eats memory': real(
    '',
    `const eaten = []; for (let n = 0; ; n += 1) eaten.push(new Array(10_000).fill(n))`,
  ),
  'eats memory outside of its heap': other(`
say({ type: 'hello', v: 1, cursor: 0 })
const eaten = []
setInterval(() => eaten.push(Buffer.alloc(20_000_000, eaten.length)), 1)
channel.on('data', (bytes) => { for (const line of String(bytes).split('\\n')) if (line.includes('ping')) say({ type: 'pong', id: JSON.parse(line).id }) })`),
  floods: `import { writeSync } from 'node:fs'\nfor (;;) try { writeSync(1, 'x'.repeat(65_536)) } catch {}\n`,
  'talks nonsense': other(`channel.write('nonsense\\n'); setInterval(() => {}, 1000)`),
  'talks without an end': other(
    `const much = 'x'.repeat(1_000_000); const on = () => { while (channel.write(much)) ; }; channel.on('drain', on); on()`,
  ),
  'asks without waiting': other(
    `say({ type: 'hello', v: 1, cursor: 0 }); for (let n = 0; n < 10; n += 1) say({ type: 'steps', after: 0, limit: 500 })`,
  ),
  'talks all the time': other(
    `say({ type: 'hello', v: 1, cursor: 0 }); const on = () => { while (say({ type: 'pong', id: 0 })) ; }; channel.on('drain', on); on()`,
  ),
  'speaks another protocol': other(`say({ type: 'hello', v: 99, cursor: 0 })`),
} as const

/** What is wrong with a program. */
export type Trouble = keyof typeof PROGRAMS
