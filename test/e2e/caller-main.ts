/**
 * A program that embeds the runtime: holds the home named and runs one plan of many `call` jobs, whose handler writes its attempt to
 * the ledger named when it starts and when it ends. Started again it goes on with the same plan. Told a number it kills itself
 * when so many lines are written.
 */
import { appendFileSync, writeSync } from 'node:fs'
import { pause } from '../../src/clock.ts'
import { createRuntime, definePlan } from '../../src/index.ts'

const [home = '', ledger = '', most = 'Infinity'] = process.argv.slice(2)
let lines = 0
const write = (line: string): void => {
  appendFileSync(ledger, line)
  lines += 1
  if (lines >= Number(most)) process.kill(process.pid, 'SIGKILL')
}
const runtime = await createRuntime({
  home,
  handlers: {
    record: async ({ job, attempt }) => {
      write(`${job}#${attempt} start\n`)
      await pause(20)
      write(`${job}#${attempt} end\n`)
    },
  },
})
const jobs = Object.fromEntries(Array.from({ length: 400 }, (_, at) => [`j${at}`, { call: 'record' }]))
const plan = await runtime.submit(definePlan({ name: 'calls', maxParallel: 10, jobs }), { key: 'calls' })
const { state } = await plan.settled()
await runtime.stop()
writeSync(1, `${plan.replayed ? 'taken up' : 'new'} ${state}\n`)
