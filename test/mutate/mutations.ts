/**
 * Many mutations of a journal, one after the other, each on a copy of its own.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { seededRandom } from '../../src/ids.ts'
import { copyJournal, makeHomes } from './home.ts'
import { mutate } from './mutation.ts'
import { endsOf, judge, type Verdict } from './verdict.ts'

/** What one mutation was, and what became of it. `kept` is the folder with the damaged files, where that was wrong. */
export type Case = Readonly<{
  seed: number
  home: 'clean' | 'crashed'
  kind: string
  what: string
  verdict: Verdict
  kept: string | null
}>

/** Makes the homes once, then damages a copy for each seed; even seeds the one of an orderly stop. */
export async function* mutations(from: number, count: number): AsyncGenerator<Case> {
  const folder = mkdtempSync(join(tmpdir(), 'tenuto-mutate-'))
  try {
    const homes = await makeHomes(folder)
    const ends = {
      clean: await undisturbed(folder, homes.clean),
      crashed: await undisturbed(folder, homes.crashed),
    }
    for (let seed = from; seed < from + count; seed += 1) {
      const random = seededRandom(seed)
      const which = seed % 2 === 0 ? 'clean' : 'crashed'
      const home = join(folder, `seed-${seed}`)
      copyJournal(homes[which], home)
      const [kind, what] = mutate(home, random)
      const kept = join(folder, `seed-${seed}-damaged`)
      copyJournal(home, kept)
      const verdict = await judge(home, ends[which])
      const isWrong = verdict.is === 'wrong' || isMadeAnew(kept, home)
      const judged: Verdict =
        isWrong && verdict.is !== 'wrong' ? { is: 'wrong', why: 'a new database was made' } : verdict
      rmSync(home, { recursive: true, force: true })
      let saved: string | null = null
      if (isWrong) copyJournal(kept, (saved = mkdtempSync(join(tmpdir(), `tenuto-mutate-${seed}-`))))
      rmSync(kept, { recursive: true, force: true })
      yield { seed, home: which, kind, what, verdict: judged, kept: saved }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const undisturbed = async (folder: string, home: string) => {
  const copy = join(folder, 'undisturbed')
  copyJournal(home, copy)
  try {
    return await endsOf(copy)
  } finally {
    rmSync(copy, { recursive: true, force: true })
  }
}

/** Whether a file is there now that was not. */
const isMadeAnew = (before: string, after: string): boolean => {
  const had = existsSync(join(before, 'journal.db')) && readFileSync(join(before, 'journal.db')).length > 0
  return !had && existsSync(join(after, 'journal.db')) && readFileSync(join(after, 'journal.db')).length > 0
}
