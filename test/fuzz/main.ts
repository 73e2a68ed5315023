/**
 * Asks the API of a daemon at random, by its document: `npm run fuzz -- --requests N --seed S`. What is wrong is printed with its request.
 */
import { parseArgs } from 'node:util'
import { systemClock } from '../../src/clock.ts'
import { fuzz } from './life.ts'

const { values } = parseArgs({
  options: { requests: { type: 'string', default: '10000' }, seed: { type: 'string' } },
})
const seed = Number(values.seed ?? systemClock.now() % 1_000_000)
const requests = Number(values.requests)
const began = systemClock.monotonic()
console.log(`seed ${seed}, ${requests} requests`)
const { answers, routes, plans, faults } = await fuzz(requests, seed)
console.table(routes)
console.table(answers)
for (const { at, what, request } of faults) console.log(`request ${at}: ${what}\n  ${request}`)
const seconds = ((systemClock.monotonic() - began) / 1_000).toFixed(0)
console.log(`seed ${seed}: ${requests} requests in ${seconds} s, ${plans} plans, ${faults.length} faults`)
if (faults.length > 0) console.log(`again: npm run fuzz -- --requests ${requests} --seed ${seed}`)
process.exitCode = faults.length === 0 ? 0 : 1
