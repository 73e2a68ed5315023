/**
 * The life of one plan on the real host: memory journal, virtual clock, attempts played by hand. A life can be interrupted at any
 * moment; the disk, the clock and the attempts go on.
 */

import type { Host, HostPorts } from '../../src/actors/contract.ts'
import { host } from '../../src/actors/host.ts'
import type { Receipt } from '../../src/actors/mailbox.ts'
import type { Faults } from '../../src/actors/part.ts'
import { type Address, jobAddress, planAddress } from '../../src/address.ts'
import type { Definition } from '../../src/definition.ts'
import { TenutoError } from '../../src/errors.ts'
import { seededRandom } from '../../src/ids.ts'
import type { JobRow, Journal, StepRow } from '../../src/journal/journal.ts'
import { memoryJournal } from '../../src/journal/memory.ts'
import { type MemoryDisk, memoryDisk } from '../../src/journal/memory-disk.ts'
import type { Migration } from '../../src/machines/migrations.ts'
import { type VirtualClock, virtualClock } from '../../src/testing/virtual-clock.ts'
import { type PlayedAttempts, playedAttempts } from './attempts.ts'
import { rowOf } from './definitions.ts'

/** The plan that a life is about. */
export const PLAN = 'p-aaaaaa'

const BOOT = { bootId: 'boot', pid: 1, build: 'test', at: 0 }

/** A life. */
export type Life = Readonly<{
  disk: MemoryDisk
  clock: VirtualClock
  attempts: PlayedAttempts
  /** The present host and journal. */
  host: () => Host
  journal: () => Journal
  /** Every step shown, in order. */
  shown: StepRow[]
  /** Errors and warnings the host logged. */
  logged: string[]
  failures: unknown[]
  submit: (definition: Definition) => Promise<void>
  /** Offers a message to the plan, or to a job of it. */
  tell: (job: string | null, type: string, more?: Readonly<Record<string, unknown>>) => Promise<Receipt>
  /** Resolves when nothing is left to do at this moment. */
  quiet: () => Promise<void>
  /** Drops everything in memory and loads it again. */
  reload: () => Promise<void>
  /** Goes on with a new host after one that is stuck for ever, as after a kill. */
  restart: (options?: Readonly<{ takesUp?: boolean }>) => Promise<void>
  job: (name: string) => Promise<JobRow>
  jobs: () => Promise<readonly JobRow[]>
  plan: () => Promise<Readonly<{ state: string; reason: string | null }>>
  /** The types of the steps of the plan, or of a job, with the state each led to. */
  story: (job: string | null) => Promise<readonly string[]>
  /** The next commits fail before they are written. */
  failCommits: (count: number) => void
  /** The next commits are written, and their acknowledgement is lost. */
  loseAcknowledgements: (count: number) => void
}>

/** A host on an empty disk. */
export const openLife = async (
  options: Readonly<{
    maxParallel?: number
    seed?: number
    drainSteps?: number
    migrations?: readonly Migration[]
    faults?: Faults
    failed?: HostPorts['failed']
  }> = {},
): Promise<Life> => {
  const disk = memoryDisk('home')
  const clock = virtualClock()
  const attempts = playedAttempts(PLAN)
  const shown: StepRow[] = []
  const logged: string[] = []
  const failures: unknown[] = []
  const random = seededRandom(options.seed ?? 1)
  const note = (_fields: object, message: string): void => {
    logged.push(message)
  }
  let journal = await memoryJournal(disk, BOOT)
  const make = (): Host =>
    host({
      journal,
      clock,
      random,
      attempts: attempts.port,
      maxParallel: options.maxParallel ?? 1000,
      ...(options.migrations === undefined ? {} : { migrations: options.migrations }),
      ...(options.drainSteps === undefined ? {} : { drainSteps: options.drainSteps }),
      faults: options.faults,
      ...(options.failed === undefined ? {} : { failed: options.failed }),
      log: { info: () => {}, warn: note, error: note },
      show: (steps) => shown.push(...steps),
      fail: (error) => failures.push(error),
    })
  let present = make()
  const full = (): never => {
    throw new TenutoError('STORE_FULL', { path: 'memory', why: 'the test says so' })
  }
  const life: Life = {
    disk,
    clock,
    attempts,
    host: () => present,
    journal: () => journal,
    shown,
    logged,
    failures,
    submit: async (definition) => {
      await present.submit({ row: rowOf(PLAN, clock.now()), definition })
      await life.quiet()
    },
    tell: (job, type, more = {}) => {
      const address: Address = job === null ? planAddress(PLAN) : jobAddress(PLAN, job)
      return present.offer(address, { type, at: clock.now(), ...more })
    },
    quiet: () => present.idle(),
    reload: async () => {
      await present.stop()
      await journal.close()
      journal = await memoryJournal(disk, BOOT)
      present = make()
      await present.takeUp(PLAN)
      await life.quiet()
    },
    restart: async ({ takesUp = true } = {}) => {
      journal = await memoryJournal(disk, BOOT)
      present = make()
      if (takesUp) await present.takeUp(PLAN)
      await life.quiet()
    },
    job: async (name) => {
      const row = await journal.job(PLAN, name)
      if (!row) throw new Error(`no row of ${name}`)
      return row
    },
    jobs: () => journal.jobs(PLAN),
    plan: async () => {
      const head = await journal.plan(PLAN)
      if (!head) throw new Error('no plan')
      return { state: head.state, reason: head.reason }
    },
    story: async (job) => {
      const address: Address = job === null ? planAddress(PLAN) : jobAddress(PLAN, job)
      const steps = await journal.steps({ after: 0, limit: 10_000, address })
      return steps.map(({ type, to }) => `${type} ${to}`)
    },
    failCommits: (count) => {
      let left = count
      disk.faults.beforeCommit = () => {
        if (left === 0) return
        left -= 1
        full()
      }
    },
    loseAcknowledgements: (count) => {
      let left = count
      disk.faults.afterCommit = () => {
        if (left === 0) return
        left -= 1
        full()
      }
    },
  }
  return life
}
