/**
 * Asking something of a plan or a job, and saying what came of it.
 */

import type { Host } from '../actors/contract.ts'
import { factsFor } from '../actors/dead-letters.ts'
import type { Alive } from '../alive.ts'
import type { Catalog } from '../catalog.ts'
import type { Clock } from '../clock.ts'
import {
  type Asker,
  type CommandOptions,
  commandMessage,
  isSoAlready,
  type Standing,
  wrongState,
} from '../command.ts'
import type { Need } from '../definition.ts'
import { isTenutoError, TenutoError } from '../errors.ts'
import type { Journal } from '../journal/journal.ts'
import { meets } from '../machines/board.ts'
import { isJobEnd } from '../states.ts'
import type { JobShape } from '../views/shapes.ts'
import type { Runtime } from './contract.ts'
import { checkCommand } from './options.ts'

/** What commands stand on. */
export type CommandingPorts = Readonly<{
  journal: Journal
  host: Pick<Host, 'offer' | 'settleLetter'>
  reading: Catalog
  staying: Alive
  clock: Clock
  /** A text of a person, without the secrets of a plan. */
  masked: Runtime['masked']
  /** Who asks, and why, without the secrets of any plan. */
  asker: (asked: Asker) => Asker
  /** @throws {TenutoError} `SECRETS_GONE` when a plan names secrets whose values are not kept. */
  checkSecrets: (plan: string) => Promise<void>
}>

/** What no job takes that waits for others. */
const NEVER_OF_HELD: ReadonlySet<string> = new Set(['now', 'approve', 'reject'])

/** Takes commands. */
export const commanding = ({
  journal,
  host,
  reading,
  staying,
  clock,
  masked,
  asker,
  checkSecrets,
}: CommandingPorts): Runtime['command'] => {
  const command: Runtime['command'] = async (plan, job, asked, { waits = false, ...given } = {}) => {
    checkCommand(asked)
    const why = given.why === undefined ? {} : { why: await masked(plan, given.why) }
    const by = asker({ ...given, ...why })
    const before = job === null ? await reading.plan(plan) : await reading.job(plan, job)
    const shown = 'kind' in before && before.kind === 'approve' ? await questionOf(before) : undefined
    if (asked.do === 'retry') await checkSecrets(plan)
    const { address, event } = commandMessage(plan, job, asked, { ...before, shown })
    if (job === null && before.state === 'quarantined') await redeliverFacts(plan, by)
    // A job that is held has no actor yet, and none is made to be told that it cannot.
    const isRefused = before.state === 'held' && NEVER_OF_HELD.has(asked.do)
    const receipt = isRefused
      ? { taken: false, position: 0 }
      : await staying.until(host.offer(address, { ...event, at: clock.now(), ...by }, waits))
    if (receipt.taken) return { position: receipt.position, changed: true }
    const aside = (await journal.plan(plan))?.aside
    if (typeof aside === 'string') throw new TenutoError('PLAN_DAMAGED', { plan, why: aside })
    const now = job === null ? await reading.plan(plan) : await reading.job(plan, job)
    const unmet = asked.do === 'retry' && 'needs' in now ? await unmetNeed(now) : undefined
    // An ended job of a live plan was opened again before, and has not heard of it yet.
    const reopened =
      asked.do === 'retry' &&
      isJobEnd(now.state) &&
      unmet === undefined &&
      ['running', 'paused'].includes((await reading.plan(plan)).state)
    if (reopened || isSoAlready(asked, now)) return { position: receipt.position, changed: false }
    const { state: of, counts } = await reading.plan(plan)
    const failures = (counts['failed'] ?? 0) + (counts['cancelled'] ?? 0)
    const ref = job === null ? plan : `${plan}/${job}`
    throw wrongState(ref, asked, { state: now.state, plan: of, failures, unmet, overdue: overdueOf(now) })
  }

  /** What a quarantined plan could not take is asked of it once more when it is to go on, and not left to the second net. */
  const redeliverFacts = async (plan: string, by: CommandOptions): Promise<void> => {
    for (const id of await factsFor(journal, plan)) {
      await staying.until(host.settleLetter(id, 'redeliver', by)).catch((error: unknown) => {
        // Somebody else has redelivered it meanwhile.
        if (!isTenutoError(error, 'LETTER_NOT_FOUND')) throw error
      })
    }
  }

  /** When the time of a question was up that still waits: nobody was there at that moment. */
  const overdueOf = (now: object): string | undefined => {
    const { reason, wake_at } = now as Partial<JobShape>
    if (reason !== 'approval' || typeof wake_at !== 'string') return undefined
    return Date.parse(wake_at) <= clock.now() ? wake_at : undefined
  }

  const questionOf = async ({ plan, name }: JobShape): Promise<string | undefined> =>
    (await reading.definition(plan)).jobs[name]?.approve?.prompt

  /** Why an ended job would only be skipped again, and the first job before it that would not. */
  const unmetNeed = async ({ plan, state, needs }: JobShape): Promise<Standing['unmet']> => {
    if (!isJobEnd(state)) return undefined
    for (const [name, need] of Object.entries(needs)) {
      const other = await reading.job(plan, name)
      if (!isJobEnd(other.state) || meets(need as Need, other.state)) continue
      return { why: `${name} is ${other.state}`, job: (await unmetNeed(other))?.job ?? name }
    }
    return undefined
  }

  return command
}
