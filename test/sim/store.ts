/**
 * The journal of one life, with whatever can happen to a commit.
 */
import { TenutoError } from '../../src/errors.ts'
import type { Batch, Journal, Pruning } from '../../src/journal/journal.ts'
import { type Choices, pick } from './choices.ts'
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
  /** Shown each commit that happened, whether its end was seen or not. */
  committed: (batch: Batch) => void
  /** What takes rows away. */
  pruning: Pruning
}>

const forever = (): Promise<never> => new Promise(() => {})
const full = (): TenutoError => new TenutoError('STORE_FULL', { path: 'memory', why: 'simulated' })

/** A journal on which commits fail, take long, and are not seen to end; and around which the process dies. */
export const faultyJournal = (journal: Journal, ports: StorePorts): Journal => {
  const { life, shelf, time, choices, crash, failed, tell } = ports
  let writers = 1
  const rowsAtOnce = pick(choices.random('portions')(), [3, 10, Number.POSITIVE_INFINITY])
  /** As `restartingJournal` tells what is no affair of the store. */
  const gone = (when: 'before' | 'after'): TenutoError => {
    failed()
    writers += 1
    tell(`the writer fails ${when} a commit`)
    return new TenutoError('STORE_RESTARTED', { why: 'simulated' })
  }
  /** What happens to a removal of the writer of this number. */
  const removal = (of: number) => {
    return async <T>(what: string, act: () => Promise<T>): Promise<T> => {
      if (!life.alive) return forever()
      if (of !== writers) throw new TenutoError('STOPPED')
      const crashed = choices.strike('crash at a removal', what)
      if (crashed !== undefined && crashed < 0.5) {
        crash(`before ${what}`)
        return forever()
      }
      const fails = choices.strike('fail a removal', what)
      if (time.monotonic() < shelf.awayUntil || (fails !== undefined && fails < 0.5)) {
        failed()
        tell(`${what} fails`)
        throw full()
      }
      const done = await act()
      tell(`${what}: ${JSON.stringify(done)}`)
      if (crashed !== undefined) {
        crash(`after ${what}`)
        return forever()
      }
      if (fails === undefined) return done
      failed()
      tell(`the end of ${what} is not seen`)
      throw full()
    }
  }
  const pruningOf = (writer: number): Pruning => {
    const { pruning } = ports
    const around = removal(writer)
    return {
      ...pruning,
      remove: (plans, most) => {
        // Plans here are small, and go in portions all the same.
        const rows = Math.min(most, rowsAtOnce)
        return plans.length === 0
          ? pruning.remove(plans, rows)
          : around(`the removal of ${plans.join(', ')}`, () => pruning.remove(plans, rows))
      },
      forget: (plans) => around(`forgetting ${plans.join(', ')}`, () => pruning.forget(plans)),
      clear: (plan) => around(`clearing ${plan}`, () => pruning.clear(plan)),
      dropDeadLetters: (keep, before) =>
        around('the removal of dead letters', () => pruning.dropDeadLetters(keep, before)),
    }
  }
  return {
    ...journal,
    get pruning() {
      return pruningOf(writers)
    },
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
      ports.committed(batch)
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
