import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { auditHome } from '../../src/audit/home.ts'
import { isTenutoError } from '../../src/errors.ts'
import { seededRandom } from '../../src/ids.ts'
import { crafted, holdHome, openFolder, shellPlan } from './home.ts'

const SEED = 20_261_121
const MUTATIONS = 300

test(`${MUTATIONS} random bytes of a journal (seed ${SEED}): each is refused, found, or changes nothing that is read`, async () => {
  const home = join(openFolder(), 'home')
  const runtime = await holdHome(home)
  const jobs = { a: { run: 'true' }, b: { run: 'exit 1', needs: ['a'] }, c: { run: 'true', needs: ['b'] } }
  const plan = await runtime.submit(shellPlan(jobs))
  await plan.settled()
  await runtime.stop()
  const path = join(home, 'journal.db')
  const whole = readFileSync(path)
  // Most of a small file is empty space, in which nothing can be wrong.
  const written = [...whole.keys()].filter((offset) => whole[offset] !== 0)
  const truth = historyOf(home)
  const random = seededRandom(SEED)
  const counts = { refused: 0, found: 0, harmless: 0 }

  for (let at = 0; at < MUTATIONS; at += 1) {
    const bytes = Buffer.from(whole)
    const offset = written[Math.floor(random() * written.length)] as number
    bytes[offset] = (bytes[offset] ?? 0) ^ (1 << Math.floor(random() * 8))
    writeFileSync(path, bytes)
    try {
      const { findings } = await auditHome(home)
      if (findings.length > 0) counts.found += 1
      else {
        // Nobody noticed: then nothing that happened may read otherwise.
        expect({ offset, history: historyOf(home) }).toEqual({ offset, history: truth })
        counts.harmless += 1
      }
    } catch (error) {
      if (!isTenutoError(error)) throw new Error(`offset ${offset}: ${String(error)}`, { cause: error })
      counts.refused += 1
    }
  }

  // A file in which nothing is ever found proves nothing.
  expect(counts.found).toBeGreaterThan(MUTATIONS / 4)
  expect(counts.refused).toBeGreaterThan(0)
})

/** What happened, as rows with a crc say it. */
const historyOf = (home: string): unknown =>
  crafted(home).ask('SELECT group_concat(position || address || seq || type || event || went_to) FROM step')
