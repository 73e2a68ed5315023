/** Batches for tests of journals: builders that default all but what matters. */
import { type Address, jobAddress, parseAddress, planAddress } from '../../src/address.ts'
import {
  type ActorRow,
  type Batch,
  type Boot,
  type DeadLetterRow,
  EMPTY_BATCH,
  type JobRow,
  type JournalReader,
  type MailRow,
  type PlanRow,
  type RevisionRow,
  type StepRow,
} from '../../src/journal/journal.ts'

export const BOOT: Boot = { bootId: 'boot', pid: 1, build: 'build', at: 1_000 }

export const batch = (part: Partial<Batch>): Batch => ({ ...EMPTY_BATCH, ...part })

export const planOf = (
  id: string,
  more: Partial<PlanRow> = {},
): { plan: PlanRow; revision: RevisionRow } => ({
  plan: {
    id,
    name: id.split('-')[0] ?? id,
    key: null,
    hash: `hash of ${id}`,
    inputs: '{"i":1}',
    environment: '{"PATH":"/bin"}',
    base: '/somewhere',
    submittedAt: 1_000,
    ...more,
  },
  revision: { plan: id, revision: 1, hash: `hash of ${id}`, definition: `{"name":"${id}"}` },
})

export const stepOf = (
  position: number,
  address: Address,
  seq: number,
  more: Partial<StepRow> = {},
): StepRow => ({
  position,
  address,
  seq,
  type: 'attempt.ended',
  event: '{"type":"attempt.ended","said":"ü\\n✓"}',
  from: seq === 1 ? null : 'running',
  to: 'running',
  reason: null,
  attempt: null,
  at: 1_000 + position,
  version: 'v1',
  ...more,
})

export const actorOf = (address: Address, seq: number, more: Partial<ActorRow> = {}): ActorRow => {
  const { kind, plan } = parseAddress(address)
  return {
    address,
    kind: kind === 'plan' ? 'plan' : 'job',
    plan,
    state: 'running',
    reason: null,
    seq,
    snapshot: `{"value":"running","seq":${seq}}`,
    version: 'v1',
    ...more,
  }
}

/** The steps that bring an actor from seq `was` on by `count`, beginning after `position`. */
export const moved = (
  position: number,
  address: Address,
  was: number,
  count = 1,
  more: Partial<ActorRow> = {},
): Pick<Batch, 'steps' | 'actors'> => ({
  steps: Array.from({ length: count }, (_, i) =>
    stepOf(position + i + 1, address, was + i + 1, { to: more.state ?? 'running' }),
  ),
  actors: [{ row: actorOf(address, was + count, more), was }],
})

export const jobOf = (plan: string, name: string, index: number, more: Partial<JobRow> = {}): JobRow => ({
  plan,
  name,
  index,
  place: 'held',
  state: 'held',
  reason: 'needs',
  unmet: 1,
  generation: 1,
  attempt: 0,
  since: 1_000,
  embodied: false,
  ...more,
})

export const mailOf = (id: number, address: Address, more: Partial<MailRow> = {}): MailRow => ({
  id,
  address,
  event: `{"type":"cancel.requested","n":${id}}`,
  postedBy: null,
  deliveries: 0,
  at: 1_000,
  ...more,
})

export const deadOf = (id: number, address: Address): DeadLetterRow => ({
  id,
  address,
  event: '{"type":"x"}',
  error: 'Error: x',
  at: 1_000,
})

/** The mail part of a batch. */
export const mail = (part: Partial<Batch['mail']>): Pick<Batch, 'mail'> => ({
  mail: { ...EMPTY_BATCH.mail, ...part },
})

/** Everything a reader says of these plans. */
export const everything = async (reader: JournalReader, plans: readonly string[]): Promise<unknown> => ({
  plans: await reader.plans(),
  steps: await reader.steps({ after: 0, limit: 1_000_000 }),
  mail: await reader.mail(),
  dead: await reader.deadLetters(1_000),
  each: await Promise.all(
    plans.map(async (id) => ({
      plan: await reader.plan(id),
      revision: await reader.revision(id),
      jobs: await reader.jobs(id),
      outputs: [...(await reader.outputs(id))],
      actors: await reader.actors(id),
      actor: await reader.actor(planAddress(id)),
      steps: await reader.steps({ after: 0, limit: 1_000_000, plan: id }),
      mail: await reader.mail(id),
    })),
  ),
})

export { jobAddress, planAddress }
