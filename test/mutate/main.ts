/**
 * Damages a journal in many ways: `npm run mutate -- --count N --from S`. A seed that goes wrong is printed, with the folder that
 * keeps the damaged files.
 */
import { parseArgs } from 'node:util'
import { mutations } from './mutations.ts'

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '2000' },
    from: { type: 'string', default: '1' },
    verbose: { type: 'boolean' },
  },
})
const tally: Record<string, Record<string, number>> = {}
const wrong: number[] = []

for await (const { seed, home, kind, what, verdict, kept } of mutations(
  Number(values.from),
  Number(values.count),
)) {
  const row = (tally[kind] ??= {})
  row[verdict.is] = (row[verdict.is] ?? 0) + 1
  if (verdict.is === 'wrong') {
    wrong.push(seed)
    console.log(`seed ${seed} is wrong (${home}, ${kind}: ${what}); damaged files in ${kept}`)
    console.log(`  ${verdict.why.slice(0, 2_000).replaceAll('\n', '\n  ')}`)
  } else if (values.verbose)
    console.log(`seed ${seed} ${home} ${kind}: ${what}: ${verdict.is} ${verdict.why}`)
}
console.table(tally)
console.log(`${values.count} mutations from seed ${values.from}: ${wrong.length} wrong`)
for (const seed of wrong.slice(0, 10)) console.log(`again: npm run mutate -- --count 1 --from ${seed}`)
process.exitCode = wrong.length === 0 ? 0 : 1
