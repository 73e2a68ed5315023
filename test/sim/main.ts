/**
 * The simulator: `npm run sim -- --seeds N --from S --sweep on|off|both`. A failing seed is made as short as can be, told as a story, and
 * replays exactly.
 */
import { parseArgs } from 'node:util'
import { corpus } from './corpus.ts'
import { liveMany } from './many.ts'
import { crashMatrix, type MatrixPlan, matrixStory } from './matrix.ts'
import { liveCase } from './seed.ts'
import { shrink, storyOf } from './shrink.ts'

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '2000' },
    from: { type: 'string', default: '1' },
    sweep: { type: 'string', default: 'both' },
    /** The crash matrix in place of seeds: `small` or `twenty`; `--again N`: killed again at every Nth point of each recovery. */
    matrix: { type: 'string' },
    again: { type: 'string', default: '1' },
    workers: { type: 'string', default: '2' },
    /** Only the seeds asked for, and none that went wrong before. */
    new: { type: 'boolean' },
    /** A failing seed is told as it was. */
    whole: { type: 'boolean' },
  },
})
const sweeps = values.sweep === 'both' ? [false, true] : [values.sweep === 'on']
const [from, seeds] = [Number(values.from), Number(values.seeds)]

const matrix = async (plan: MatrixPlan): Promise<void> => {
  const began = process.hrtime.bigint()
  const { points, singles, pairs, wrong } = await crashMatrix(
    plan,
    Number(values.again),
    Number(values.workers),
  )
  for (const [what, count] of Object.entries(points))
    console.log(`${String(count).padStart(6)} points: ${what}`)
  for (const { kills, where, what } of wrong) {
    console.log([...(await matrixStory(plan, kills)), `killed ${where.join(', then ')}`].join('\n'))
    console.log(`WRONG: ${what.join('; ')}`)
  }
  const seconds = Number(process.hrtime.bigint() - began) / 1e9
  console.log(
    `${singles} lives killed once, ${pairs} killed again while they recovered: ${wrong.length} wrong`,
  )
  console.log(`${seconds.toFixed(1)} s, ${((singles + pairs) / seconds).toFixed(1)} lives a second`)
  process.exit(wrong.length === 0 ? 0 : 1)
}
if (values.matrix !== undefined) await matrix(values.matrix === 'small' ? 'small' : 'twenty')

const tell = async (seed: number, sweep: boolean): Promise<never> => {
  const again = `--seeds 1 --from ${seed} --sweep ${sweep ? 'on' : 'off'}`
  if (values.whole) {
    const lived = await liveCase({ seed, sweep })
    console.log(storyOf({ of: { seed, sweep }, lived, tries: 1 }))
  } else console.log(storyOf(await shrink({ seed, sweep })))
  console.log(
    `again: npm run sim -- ${again}; as it was: --whole; kept for ever: a line in test/sim/corpus.ts`,
  )
  process.exit(1)
}

for (const { seed, sweep } of values.new ? [] : corpus)
  if ((await liveCase({ seed, sweep })).wrong.length > 0) await tell(seed, sweep)
const began = process.hrtime.bigint()
const { wrong, totals } = await liveMany({ from, seeds, sweeps, workers: Number(values.workers) })
if (wrong) await tell(wrong.seed, wrong.sweep)
const seconds = Number(process.hrtime.bigint() - began) / 1e9
const counted = Object.entries(totals)
  .map(([what, count]) => `${count} ${what}`)
  .join(', ')
console.log(`${seeds} seeds from ${from}, sweep ${values.sweep}: ${counted}; nothing wrong`)
console.log(`${seconds.toFixed(1)} s, ${((seeds * sweeps.length) / seconds).toFixed(1)} lives a second`)
