/**
 * Torture: `npm run torture -- --cycles N --seed S --long SECONDS --keep`. The packed program with real processes; daemon and runner are
 * killed, stopped, continued and told to stop at random moments while plans of many kinds run; in the end nothing may be lost, nothing
 * have happened twice, and no process be left. A seed gives the same plans and actions, not the same moments.
 */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { pause, systemClock } from '../../src/clock.ts'
import { seededRandom } from '../../src/ids.ts'
import { removeFolder } from '../support/folders.ts'
import { drawAction } from './actions.ts'
import { packedHome } from './home.ts'
import { outliveDaemons } from './long-job.ts'
import { packInto } from './packed.ts'
import { account, descriptors, settle } from './peace.ts'
import { between } from './shapes.ts'
import { hasEnded, siegeOf } from './siege.ts'

if (process.platform !== 'linux') {
  console.log('torture finds processes in /proc: nothing was done')
  process.exit(0)
}
const { values } = parseArgs({
  options: {
    cycles: { type: 'string' },
    seed: { type: 'string' },
    long: { type: 'string' },
    short: { type: 'boolean' },
    keep: { type: 'boolean' },
  },
})
const cycles = Number(values.cycles ?? (values.short ? 8 : 200))
const seed = Number(values.seed ?? (values.short ? 1 : systemClock.now() % 1_000_000))
const longSeconds = Number(values.long ?? (values.short ? 8 : 60))
/** So many plans go on at once, as long as there are cycles. */
const OPEN_PLANS = 8
const MOMENT_MS_MAX = 900
const STORY_SHOWN = 40

const began = systemClock.monotonic()
const folder = mkdtempSync(join(tmpdir(), 'tenuto-torture-'))
const home = packedHome(folder, packInto(folder))
const random = seededRandom(seed)
const siege = siegeOf(home, random)
const tally: Record<string, number> = {}
console.log(`seed ${seed}, ${cycles} cycles`)

const counted = (all: readonly string[]): Readonly<Record<string, number>> => {
  const counts: Record<string, number> = {}
  for (const each of all) counts[each] = (counts[each] ?? 0) + 1
  return counts
}
const line = (what: string, of: Readonly<Record<string, number>>): void => {
  const parts = Object.entries(of).map(([name, count]) => `${name} ${count}`)
  console.log(`${what.padEnd(12)}${parts.join(', ') || 'none'}`)
}

const cycle = async (): Promise<void> => {
  await siege.serve()
  while (siege.submissions.filter((each) => !hasEnded(each)).length < OPEN_PLANS) siege.draw()
  siege.beside(siege.submit())
  siege.beside(random() < 0.5 ? siege.attend() : siege.look())
  await pause(between(random, 0, MOMENT_MS_MAX))
  const action = drawAction(random)
  tally[action.name] = (tally[action.name] ?? 0) + 1
  siege.tell(`- ${action.name}`)
  await action.act(siege)
}

try {
  await siege.serve()
  if (longSeconds > 0) await outliveDaemons(siege, longSeconds)
  siege.draw()
  await settle(siege)
  const young = descriptors(siege)
  if (young.runner === 0) siege.fault('no runner of the home was found')
  const from = systemClock.monotonic()
  for (let done = 0; done < cycles && siege.faults.length === 0; done += 1) await cycle()
  const took = (systemClock.monotonic() - from) / 1_000
  await siege.together()
  if (siege.faults.length === 0) await settle(siege)
  if (siege.faults.length === 0) {
    const { attempts, ledgerLines, repairs, recovered, descriptors: old } = await account(siege, young)
    console.log(`${cycles} cycles in ${took.toFixed(0)} s, ${(cycles / took).toFixed(2)} a second`)
    line('actions', tally)
    line('plans', counted(siege.submissions.map(({ state = '' }) => state)))
    line('attempts', counted(attempts.map(({ outcome }) => outcome ?? 'open')))
    line('recovered', recovered)
    line('repairs', repairs)
    line('descriptors', { 'daemon before': young.daemon, after: old.daemon })
    line('', { 'runner before': young.runner, after: old.runner })
    console.log(
      `${ledgerLines} lines in the ledger; all in ${((systemClock.monotonic() - began) / 1_000).toFixed(0)} s`,
    )
  }
} catch (error) {
  siege.fault(error instanceof Error ? (error.stack ?? error.message) : String(error))
} finally {
  await siege.end('SIGKILL')
  await home.close()
}
if (siege.faults.length > 0) {
  console.log(siege.story.slice(-STORY_SHOWN).join('\n'))
  console.log(`\nseed ${seed} went wrong; ${folder} is kept:\n  ${siege.faults.slice(0, 20).join('\n  ')}`)
  console.log(`again: npm run torture -- --cycles ${cycles} --seed ${seed}`)
  process.exitCode = 1
} else {
  if (values.keep) console.log(`kept: ${folder}`)
  else removeFolder(folder)
  console.log('nothing lost, nothing twice, no process left')
}
