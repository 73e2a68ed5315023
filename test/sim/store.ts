/**
 * The journal of one life, with whatever can happen to a commit.
 */
import { TenutoError } from '../../src/errors.ts'
import type { Journal, StepRow } from '../../src/journal/journal.ts'
import type { Choices } from './choices.ts'
import type { Life, Timeline } from './timeline.ts'

const SLOW_MS_MOST = 2_000
const AWAY_MS_MOST = 30_000

/** A store that every life uses: until when it takes nothing. */
export type Shelf = { awayUntil: number }

/** What the store of a life needs. */
export type StorePorts = Readonly<{
  life: Life
  shelf: Shelf
  time: Timeline
  choices: Choices
  crash: (where: string) => void
  failed: () => void
  tell: (line: string) => void
  /** Shown the steps of each commit that happened, whether its end was seen or not. */
  committed: (steps: readonly StepRow[]) => void
}>

const forever = (): Promise<never> => new Promise(() => {})
const full = (): TenutoError => new TenutoError('STORE_FULL', { path: 'memory', why: 'simulated' })

/** A journal on which commits fail, take long, and are not seen to end; and around which the process dies. */
export const faultyJournal = (journal: Journal, ports: StorePorts): Journal => {
  const { life, shelf, time, choices, crash, failed, tell } = ports
  /** As `restartingJournal` tells what is no affair of the store. */
  const gone = (when: 'before' | 'after'): TenutoError => {
    failed()
    tell(`the writer fails ${when} a commit`)
    return new TenutoError('STORE_RESTARTED', { why: 'simulated' })
  }
  return {
    ...journal,
    commit: async (batch) => {
      const what = batch.steps.map(({ address, type }) => `${address} ${type}`).join(', ')
      const slow = choices.strike('slow a commit', what)
      if (slow !== undefined) await new Promise<void>((done) => time.at(slow * SLOW_MS_MOST, life, done))
      if (!life.alive) return forever()
      if (choices.strike('crash before a commit', what) !== undefined) {
        crash(`before the commit of ${what}`)
        return forever()
      }
      const away = choices.strike('take the store away', what)
      if (away !== undefined) {
        tell('the store goes away')
        shelf.awayUntil = time.monotonic() + away * AWAY_MS_MOST
      }
      if (time.monotonic() < shelf.awayUntil) {
        failed()
        throw full()
      }
      if (choices.strike('fail a commit', what) !== undefined) {
        failed()
        tell('a commit fails')
        throw full()
      }
      const restarted = choices.strike('restart the writer', what)
      if (restarted !== undefined && restarted < 0.5) throw gone('before')
      await journal.commit(batch)
      for (const step of batch.steps)
        tell(`${step.position} ${step.address} ${step.type} ${step.from} -> ${step.to}`)
      ports.committed(batch.steps)
      if (choices.strike('crash after a commit', what) !== undefined) {
        crash(`after the commit of ${what}`)
        return forever()
      }
      if (choices.strike('lose the end of a commit', what) !== undefined) {
        failed()
        tell('the end of a commit is not seen')
        throw full()
      }
      if (restarted !== undefined) throw gone('after')
    },
  }
}
