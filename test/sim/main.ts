/**
 * The simulator: `npm run sim -- --seeds N --from S`. A failing seed is printed with its story and replays exactly.
 */
import { parseArgs } from 'node:util'
import { live } from './world.ts'

const { values } = parseArgs({
  options: {
    seeds: { type: 'string' },
    from: { type: 'string', default: '1' },
    short: { type: 'boolean' },
    verbose: { type: 'boolean' },
  },
})
const seeds = Number(values.seeds ?? (values.short ? 500 : 2000))
const from = Number(values.from)
const totals = { steps: 0, crashes: 0, failedCommits: 0 }

for (let seed = from; seed < from + seeds; seed += 1) {
  const { wrong, story, steps, crashes, failedCommits } = await live(seed)
  totals.steps += steps
  totals.crashes += crashes
  totals.failedCommits += failedCommits
  if (values.verbose) console.log(`seed ${seed}: ${steps} steps, ${crashes} crashes`)
  if (wrong.length > 0) {
    console.log(story.slice(-(values.verbose ? 5000 : 60)).join('\n'))
    console.log(`\nseed ${seed} is wrong:\n  ${wrong.slice(0, 8).join('\n  ')}`)
    console.log(`again: npm run sim -- --seeds 1 --from ${seed}`)
    process.exit(1)
  }
}
console.log(
  `${seeds} seeds from ${from}: ${totals.steps} steps, ${totals.crashes} crashes, ${totals.failedCommits} failed commits, nothing wrong`,
)
