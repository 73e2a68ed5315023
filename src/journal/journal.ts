/**
 * The journal: what happened, and what recovery reads. It stores JSON and knows no machine.
 *
 * One transaction per drain. Every commit asserts the epoch, moves each actor by compare-and-set on its seq, and writes steps,
 * actors, board rows and mail together or not at all. There is one writer; it gives out positions and mail ids itself, gapless,
 * from where `open` says the file stands.
 */
import type { Address } from '../address.ts'

/** One submitted plan. Never changes after its insert. */
export type PlanRow = Readonly<{
  id: string
  name: string
  /** The submitter's idempotency key; unique where it is not null. */
  key: string | null
  /** The hash of the definition it was submitted with. */
  hash: string
  /** Canonical JSON of the inputs. */
  inputs: string
  /** JSON: the environment of the submitter, by the allow-list. */
  environment: string
  /** The folder in which its jobs run unless they say otherwise. */
  base: string
  submittedAt: number
}>

/** One revision of a plan's definition, from 1. A run reads this and never the plan file. */
export type RevisionRow = Readonly<{ plan: string; revision: number; hash: string; definition: string }>

/** A place on the board: not released; released or in an attempt; settled. */
export type BoardPlace = 'held' | 'released' | 'settled'

/** One job on the board of its plan. */
export type JobRow = Readonly<{
  plan: string
  name: string
  /** The order of the job in its definition, from 0. */
  index: number
  place: BoardPlace
  state: string
  reason: string | null
  unmet: number
  generation: number
  /** The number of the latest attempt; 0 before the first. */
  attempt: number
  /** Epoch milliseconds of the last change of state. */
  since: number
  /** Whether an actor row exists at its address. */
  embodied: boolean
}>

/** The outputs of a job's last succeeded attempt; null clears them. */
export type OutputsRow = Readonly<{ plan: string; name: string; outputs: string | null }>

/** The latest state of an actor. */
export type ActorRow = Readonly<{
  address: Address
  kind: 'plan' | 'job'
  plan: string
  state: string
  reason: string | null
  seq: number
  /** JSON of the machine's snapshot. */
  snapshot: string
  /** The machine's version. */
  version: string
}>

/** One step of one actor. `position` is its place across all actors, `seq` its place in the actor's life. */
export type StepRow = Readonly<{
  position: number
  address: Address
  seq: number
  type: string
  /** JSON of the event. */
  event: string
  from: string | null
  to: string
  reason: string | null
  attempt: number | null
  at: number
  version: string
}>

/** One undelivered message. */
export type MailRow = Readonly<{
  id: number
  address: Address
  /** JSON of the event. */
  event: string
  /** The position of the step that posted it; null for one from outside. */
  postedBy: number | null
  deliveries: number
  at: number
}>

/** A message its actor could not take. */
export type DeadLetterRow = Readonly<{
  id: number
  address: Address
  event: string
  error: string
  at: number
}>

/** A plan that could not be loaded, and why; `why` null: it is set aside no more. */
export type AsideRow = Readonly<{ plan: string; why: string | null; at: number }>

/** How often in a row this process ended uncleanly with a plan being taken up; 0 forgets it. */
export type LoadingRow = Readonly<{ plan: string; times: number }>

/** Everything one drain changes. Applied whole or not at all. */
export type Batch = Readonly<{
  plans: readonly Readonly<{ plan: PlanRow; revision: RevisionRow }>[]
  /** Positions continue where the last commit ended, without a gap. */
  steps: readonly StepRow[]
  /** The actor as it is after the drain; `was` is its seq before it, 0 for a new one. */
  actors: readonly Readonly<{ row: ActorRow; was: number }>[]
  jobs: readonly JobRow[]
  outputs: readonly OutputsRow[]
  mail: Readonly<{
    added: readonly MailRow[]
    /** Ids of taken messages. */
    taken: readonly number[]
    /** Ids whose delivery failed once more. */
    failed: readonly number[]
  }>
  dead: readonly DeadLetterRow[]
  /** Ids of dead letters that are dead no more: they are delivered again, or somebody has decided that they need not be. */
  raised: readonly number[]
  aside: readonly AsideRow[]
  loading: readonly LoadingRow[]
}>

/** Where a freshly opened journal stands. */
export type Opening = Readonly<{
  /** This boot's epoch; one more than that of the boot before. */
  epoch: number
  /** The last position given; 0 in an empty journal. */
  position: number
  /** The highest mail id ever given. */
  mail: number
  dead: number
  /** Whether the boot before stopped cleanly; true in a new journal. */
  clean: boolean
  /**
   * What was so before this moment (epoch ms) was so before the machine was last booted, or a backup restored. Infinite in the first run
   * after that, whatever the clocks say; null when no run on another boot of the machine is known.
   */
  bootedSince: number | null
  /** A random id drawn when the journal was made; marks the processes of this home. */
  home: string
}>

/** What is known about this boot, for the record. `bootId` is the machine's, and the same for many epochs. */
export type Boot = Readonly<{ bootId: string; pid: number; build: string; at: number }>

/** A plan with the present state of its actor. `state` is `running` until its first step. */
export type PlanHead = PlanRow &
  Readonly<{
    state: string
    reason: string | null
    seq: number
    /** When its first step was taken, and its latest; null before the first. */
    startedAt: number | null
    since: number | null
    /** Why it was set aside, or cannot be read; then `state` is `quarantined`. Null otherwise. */
    aside: string | null
    /** Whether its own row, or that of its actor, is damaged. */
    damaged: boolean
  }>

/** What a home holds, counted. States nobody is in are left out. */
export type Totals = Readonly<{
  plans: Readonly<Record<string, number>>
  jobs: Readonly<Record<string, number>>
  deadLetters: number
  /** Every dead letter there has ever been, with those that were redelivered, discarded, or are kept no longer. */
  deadLettersEver: number
}>

/** What retention has removed of a journal since it was made. */
export type Pruned = Readonly<{
  plans: number
  steps: number
  /** The highest position that was removed; 0 when none was. Who stands before it has missed something. */
  last: number
}>

/** What anybody may read; a reader takes no lock. All lists are in the order named. */
export type JournalReader = Readonly<{
  /** Newest first. */
  plans: (
    query?: Readonly<{ name?: string; states?: readonly string[]; limit?: number; before?: string }>,
  ) => Promise<readonly PlanHead[]>
  plan: (id: string) => Promise<PlanHead | undefined>
  planByKey: (key: string) => Promise<PlanHead | undefined>
  /** Plans whose id starts so; newest first; at most `limit`. */
  plansByPrefix: (prefix: string, limit: number) => Promise<readonly PlanHead[]>
  /** The latest revision. */
  revision: (plan: string) => Promise<RevisionRow | undefined>
  /** In the order of the definition. */
  jobs: (plan: string) => Promise<readonly JobRow[]>
  job: (plan: string, name: string) => Promise<JobRow | undefined>
  /**
   * Jobs of all plans that are in one of these states, those of the newest plans first, in the order of the definition; at most `limit`.
   * A row that is damaged is left out: it is told of with its plan.
   */
  jobsIn: (
    query: Readonly<{ states: readonly string[]; name?: string; limit?: number }>,
  ) => Promise<readonly JobRow[]>
  /** How many jobs of a plan are in each state; states nobody is in are left out. */
  counts: (plan: string) => Promise<Readonly<Record<string, number>>>
  /** How many plans and jobs of the whole home are in each state, and how many dead letters there are and ever were. */
  totals: () => Promise<Totals>
  /** By name; names without outputs are left out. All jobs of the plan when `names` is not given. */
  outputs: (plan: string, names?: readonly string[]) => Promise<ReadonlyMap<string, string>>
  actor: (address: Address) => Promise<ActorRow | undefined>
  /** The actors of a plan. */
  actors: (plan: string) => Promise<readonly ActorRow[]>
  /**
   * Steps after a position, in order of position; of one actor, of all, or of one plan: its own and its jobs', which lie between its
   * own first and, once it has ended, its own last.
   */
  steps: (
    query: Readonly<{ after: number; limit: number; plan?: string; address?: Address }>,
  ) => Promise<readonly StepRow[]>
  /** What the runtime has noted about a plan and its jobs, newest first, at most `limit`; but not that attempts have begun. */
  notes: (plan: string, limit: number) => Promise<readonly StepRow[]>
  /** The latest note of a type about a job. */
  lastNote: (plan: string, job: string | null, type: string) => Promise<StepRow | undefined>
  /** The latest steps of one actor, newest first, at most `limit`. */
  latest: (address: Address, limit: number) => Promise<readonly StepRow[]>
  /** Undelivered mail of one actor, by id, at most `limit`. */
  mailOf: (address: Address, limit: number) => Promise<readonly MailRow[]>
  /** Undelivered mail of one plan (its own and its jobs'), or of all, by id. */
  mail: (plan?: string) => Promise<readonly MailRow[]>
  /** The addresses with undelivered mail. A damaged message is counted with the plan it names. */
  addressed: () => Promise<readonly Address[]>
  /** Why a plan was set aside; undefined when it was not. */
  aside: (plan: string) => Promise<Readonly<{ why: string; at: number }> | undefined>
  /** How often in a row a process ended uncleanly while it took this plan up. */
  loading: (plan: string) => Promise<number>
  /** Newest first; with `before` only those whose id is smaller. */
  deadLetters: (limit: number, before?: number) => Promise<readonly DeadLetterRow[]>
  pruned: () => Promise<Pruned>
  close: () => Promise<void>
}>

/** What became of plans that were to be removed. */
export type Removed = Readonly<{
  /** Plans that are gone from now on, for everybody, though rows of theirs may be left. */
  begun: readonly string[]
  /** Plans of which no row is left but that they are leaving. */
  done: readonly string[]
  /** Plans that were looked at and stay. */
  kept: readonly string[]
}>

/**
 * What retention does to a journal, between the commits. Each call is one transaction, all or nothing, and asserts the epoch; what was
 * begun before a crash is gone on with after it.
 * @throws {TenutoError} as `commit`.
 */
export type Pruning = Readonly<{
  /**
   * Removes plans in this order, about `rows` rows at most: steps, board, actors, outputs, notes, dead letters, and the key with the plan.
   * One that has not ended, has mail, is set aside or damaged is left as it is.
   */
  remove: (plans: readonly string[], rows: number) => Promise<Removed>
  /** Plans whose removal was begun and not forgotten, in the order it was begun. */
  leaving: () => Promise<readonly string[]>
  /** Nothing is left of these plans anywhere. A plan of which rows are left goes on leaving. */
  forget: (plans: readonly string[]) => Promise<void>
  /** Notes that the attempt folders of a plan as it is now go away; false when it is none that `remove` would take. */
  clear: (plan: string) => Promise<boolean>
  /** How many dead letters there are beyond the newest, or from before a moment (epoch milliseconds). */
  oldDeadLetters: (keep: number, before: number) => Promise<number>
  /** Removes these; answers how many went. */
  dropDeadLetters: (keep: number, before: number) => Promise<number>
  /** Removes what was asked of the home beyond the newest, a few hundred at a time; answers how many. */
  dropHomeNotes: (keep: number) => Promise<number>
  /** The bytes of the file, and how many of them wait to be used again. */
  room: () => Promise<Readonly<{ bytes: number; free: number }>>
  /** Gives what is free back to the file system. Writes the file anew: nothing else happens meanwhile. */
  shrink: () => Promise<void>
}>

/** What of a journal is not in its place: the file itself, or what is kept beside it, its log and the index of that. */
export type Displaced = 'file' | 'log'

/** The journal as its one holder sees it. */
export type Journal = JournalReader &
  Readonly<{
    opening: Opening
    /** Where the journal stands now: what the next commit continues. After a commit whose end was not seen, this tells. */
    head: () => Promise<Readonly<{ position: number; mail: number; dead: number }>>
    /**
     * Applies a batch in one durable transaction.
     * @throws {TenutoError} `FENCED` when epoch or a seq is not what the batch says: this process has been replaced;
     * `STORE_FULL` when nothing was written and it may be tried again; `STORE_BROKEN` when this process must not try again.
     */
    commit: (batch: Batch) => Promise<void>
    pruning: Pruning
    /** What of its files is no longer where it was opened, so that nobody would find what is written now; null while all are there. */
    displaced: () => Displaced | null
    /**
     * Brings all that was committed to where it is found, whatever became of the files: back into the file where the log alone is gone, else
     * to a copy at `to`. Answers the path of the copy, null when there is none.
     * @throws {TenutoError} as `commit`.
     */
    salvage: (to: string) => string | null
    /** Closes; `clean` records an orderly stop. Idempotent. */
    stop: (clean: boolean) => Promise<void>
  }>

/** A batch that changes nothing; the base of every other. */
export const EMPTY_BATCH: Batch = {
  plans: [],
  steps: [],
  actors: [],
  jobs: [],
  outputs: [],
  mail: { added: [], taken: [], failed: [] },
  dead: [],
  raised: [],
  aside: [],
  loading: [],
}

/**
 * A batch that writes and changes nothing: whether it can be committed says whether anything can. (SQLite writes no page that nothing
 * touches.)
 */
export const PROBE_BATCH: Batch = {
  ...EMPTY_BATCH,
  loading: [
    { plan: '', times: 1 },
    { plan: '', times: 0 },
  ],
}
