/** A process that holds and serves the home named, with one plan that never ends; says the plan's id when it is served. */
import { writeSync } from 'node:fs'
import { serveHome } from '../../src/http/server.ts'
import { definePlan } from '../../src/plans/define-plan.ts'
import { createRuntime } from '../../src/runtime.ts'

const runtime = await createRuntime({
  home: process.argv[2] ?? '',
  handlers: { gate: () => new Promise(() => {}) },
})
const { id } = await runtime.submit(definePlan({ name: 'endless', jobs: { a: { call: 'gate' } } }))
await serveHome(runtime)
writeSync(1, `${id}\n`)
