/**
 * What people ask while everything goes wrong, and what they decide in the end.
 */
import type { Host } from '../../src/actors/contract.ts'
import { type Address, jobAddress, planAddress } from '../../src/address.ts'
import { type Random, seededRandom } from '../../src/ids.ts'
import type { JournalReader } from '../../src/journal/journal.ts'
import { isPlanEnd } from '../../src/states.ts'
import { pick } from './choices.ts'
import type { SimPlan } from './plans.ts'

type Asked = readonly [Address, Readonly<{ type: string }> & Readonly<Record<string, unknown>>]

/** A command that a number in [0, 1) says. */
export const commandOf = (how: number, plans: readonly SimPlan[]): Asked => {
  const random: Random = seededRandom(Math.floor(how * 2 ** 32))
  const { id, definition } = pick(random(), plans)
  const job = pick(random(), Object.keys(definition.jobs))
  const retry = { job: random() < 0.5 ? job : null, downstream: random() < 0.4 }
  const [own, of] = [planAddress(id), jobAddress(id, job)]
  return pick<Asked>(random(), [
    [own, { type: 'cancel.requested', now: random() < 0.3 }],
    [own, { type: 'pause.requested' }],
    [own, { type: 'continue.requested' }],
    [own, { type: 'continue.requested' }],
    [own, { type: 'retry.requested', retry }],
    [own, { type: 'retry.requested', retry }],
    [of, { type: 'cancel.requested', now: random() < 0.3 }],
    [of, { type: 'skip.requested' }],
    [of, { type: 'retry.requested' }],
    [of, { type: 'now.requested' }],
    [of, { type: 'approve.requested', generation: 1, shown: 'Ship it?', by: 'sim' }],
    [of, { type: 'reject.requested', generation: 1, shown: 'Ship it?', by: 'sim' }],
  ])
}

/** Decides whatever waits for a person, so that all can settle. Whether anything is still open. */
export const decide = async (
  host: Host | null,
  reader: JournalReader,
  plans: readonly SimPlan[],
  now: number,
): Promise<boolean> => {
  let open = false
  const offer = (address: Address, type: string): void => {
    host?.offer(address, { type, at: now }).then(
      () => {},
      () => {},
    )
  }
  for (const { id } of plans) {
    const head = await reader.plan(id)
    if (head && isPlanEnd(head.state)) continue
    open = true
    if (head?.state === 'paused' || head?.state === 'quarantined')
      offer(planAddress(id), 'continue.requested')
    for (const { name, state } of await reader.jobs(id))
      if (state === 'waiting') offer(jobAddress(id, name), 'skip.requested')
  }
  return open
}
