/**
 * What a runtime is to whoever makes one: its options, and what it answers.
 */
import type { AnalyticsPorts } from '../actors/analytics.ts'
import type { AttemptNews, Attempts } from '../actors/attempts.ts'
import type { Handler } from '../actors/calls.ts'
import type { Host } from '../actors/contract.ts'
import type { Inspector } from '../actors/inspecting.ts'
import type { HostCounts } from '../actors/memory.ts'
import type { Faults } from '../actors/part.ts'
import type { LiveAttempt } from '../attempt.ts'
import type { Catalog } from '../catalog.ts'
import type { Clock } from '../clock.ts'
import type { Asker, Command, CommandOptions, CommandReceipt, LetterOrder } from '../command.ts'
import type { Definition } from '../definition.ts'
import type { FiguresQuery } from '../guest.ts'
import type { Random } from '../ids.ts'
import type { Journal } from '../journal/journal.ts'
import type { Hold } from '../journal/lock.ts'
import type { Durability } from '../journal/sqlite.ts'
import type { Mode, ModeReceipt, Order } from '../mode.ts'
import type { GcOptions, RetentionOptions } from '../retention.ts'
import type { ExplainShape } from '../views/explain.ts'
import type {
  AnalyticsShape,
  BuildShape,
  EventShape,
  GcShape,
  InspectionShape,
  JobShape,
  SecretShape,
  StorageShape,
  SweepShape,
  TreeShape,
} from '../views/shapes.ts'
import type { SectionData, StateShape } from '../views/state.ts'
import type { Metrics } from './metrics.ts'

/** How a runtime is made. */
export type RuntimeOptions = Readonly<{
  /** The folder that holds everything of this runtime; default `.tenuto`. Made when it is not there. */
  home?: string
  /** Attempts at once, across all plans; default unlimited (each plan has a limit of its own). At least 1. */
  maxParallel?: number
  /** `full` (default): every commit is on the medium before anybody hears of it. `normal`: a power cut may lose the last moments. */
  durability?: Durability
  /** Whether plans of the home that have not ended are taken up at once; default true. */
  resume?: boolean
  /** Whether attempts are started; default true. Without, plans can be changed and stopped, and nothing new begins. */
  starts?: boolean
  /** Whether this takes the place of a holder that died: a drain for its stop goes on then, and ends otherwise. Default false. */
  restarted?: boolean
  /**
   * How often it looks for what messages have missed, in milliseconds; default 5000, 0 never. What is younger than twice that is left
   * alone. Nothing depends on it: a repair is a defect that was caught.
   */
  sweepMs?: number
  /** What is kept of plans that have ended: for how long, how many, how much; and how often that is looked at. */
  retention?: RetentionOptions
  /** Whether a process of its own counts what happens; default false. Nothing depends on it. */
  analytics?: boolean
  /** The handlers of `call` jobs, by name. */
  handlers?: Readonly<Record<string, Handler>>
  /** Hears the inspection events of every live actor, from the first on; as `inspect` of the runtime. */
  inspect?: Inspector
  /** What this process calls itself in `daemon.json`; default `a program`. */
  command?: string
  /** Other ports, for tests: a clock that is moved, a journal in memory, attempts that follow a script. */
  ports?: Partial<Ports>
}>

/** The ports a runtime stands on. */
export type Ports = Readonly<{
  clock: Clock
  random: Random
  journal: () => Promise<Journal>
  attempts: (tell: (plan: string, job: string, news: AttemptNews) => void) => Attempts
  /** Makes an actor or a part fail. */
  faults: Faults
  /** Another program of analytics, and other limits for it. */
  analytics: Pick<AnalyticsPorts, 'program' | 'limits'>
}>

/** How a plan is submitted. */
export type SubmitOptions = Readonly<{
  /** Idempotency key, of 1 to 200 characters: the same plan submitted again under it is the same plan. */
  key?: string
  /** The folder its jobs run in; default the working folder of this process; null: `work/<plan>/` in the home, which goes with it. */
  base?: string | null
  /** The environment its jobs get, before what the plan says; default this process's, by the allow-list. */
  environment?: Readonly<Record<string, string>>
  /** The values of the secrets that the plan names; default this process's variables of these names. */
  secrets?: Readonly<Record<string, string>>
}> &
  Asker

/** How a plan ended. */
export type Settled = Readonly<{
  state: 'succeeded' | 'failed' | 'cancelled'
  reason: string | null
  jobs: Readonly<Record<string, JobShape>>
}>

/** A plan of this home. */
export type PlanHandle = Readonly<{
  id: string
  /** Whether `submit` found it under its key instead of making it. */
  replayed: boolean
  /** Resolves when the plan has ended. Rejects when the runtime stops first. */
  settled: () => Promise<Settled>
  cancel: (options?: CommandOptions) => Promise<void>
}>

/** Which events to follow. */
export type EventsQuery = Readonly<{
  /** Starts after this position; 0 starts at the beginning. */
  after?: number
  plan?: string
  /** Whether to go on with what is still to come; default true. */
  follow?: boolean
  signal?: AbortSignal
}>

/** A home that is held, and its plans. It keeps the process alive while a plan is open or somebody waits, until `stop`. */
export type Runtime = Readonly<{
  home: string
  /**
   * Resolves when the plan is durable. Submits made together share a commit. One that is found under its key is taken up.
   * @throws {TenutoError} `KEY_CONFLICT`, `UNKNOWN_HANDLER`, `PLAN_INVALID`, `SECRET_MISSING`, `SECRET_UNUSABLE`, `TOKEN_IN_CLEAR`; `STORE_FULL`: there is no such plan, and will be none.
   */
  submit: (definition: Definition, options?: SubmitOptions) => Promise<PlanHandle>
  /**
   * A plan of this home, by id, name or prefix, or by the key it was submitted with.
   * @throws {TenutoError} `REF_NOT_FOUND`, `REF_AMBIGUOUS`.
   */
  plan: (ref: string | Readonly<{ key: string }>) => Promise<PlanHandle>
  /** Committed steps, in order, without a gap; ends when the runtime stops or the signal is aborted. */
  events: (query?: EventsQuery) => AsyncIterable<EventShape>
  /**
   * Asks something of a plan, or of one of its jobs. Resolves after the commit that took it. Idempotent.
   * @throws {TenutoError} `WRONG_STATE`, `REF_NOT_FOUND`; `STORE_FULL`: it was not done, and is not later.
   */
  command: (
    plan: string,
    job: string | null,
    command: Command,
    options?: CommandOptions,
  ) => Promise<CommandReceipt>
  /**
   * Lets a dead letter be delivered again, or go; what was decided is on record with its plan. Resolves after the commit.
   * @throws {TenutoError} `LETTER_NOT_FOUND`; `WRONG_STATE` when its plan must hear what it says, or is not there.
   */
  settleLetter: (id: number, order: LetterOrder, options?: CommandOptions) => Promise<CommandReceipt>
  /**
   * Keeps values of secrets that a plan names, instead of those that are there; attempts that start from now on get them.
   * @throws {TenutoError} `USAGE` when the plan names no such secret; `SECRET_UNUSABLE`, `REF_NOT_FOUND`.
   */
  giveSecrets: (
    plan: string,
    values: Readonly<Record<string, string>>,
    options?: CommandOptions,
  ) => Promise<readonly SecretShape[]>
  /** A text without the secrets of every plan of the home; of a plan whose values are gone nothing of it is left. */
  masked: (plan: string | null, text: string) => Promise<string>
  /**
   * Takes up a plan that has not ended; false when there is no such plan.
   * @throws {TenutoError} `UNKNOWN_HANDLER` when it calls handlers that this program does not have; it is left as it is.
   */
  takeUp: (plan: string) => Promise<boolean>
  /**
   * Looks now for what messages have missed, however young, and leads on from it; each repair is on record, and who asked. Idempotent.
   */
  sweep: (asked?: Asker) => Promise<SweepShape>
  /**
   * Removes what is kept no longer of plans that have ended, or says what that would be. A key goes with its plan: submitted again
   * under it, the plan runs again. What it removed, and who asked, is on record. Idempotent.
   */
  gc: (options?: GcOptions & Asker) => Promise<GcShape>
  /**
   * Hears what every live actor does, in order, after the commit it belongs to; those that live already come first. One that throws,
   * whose promise rejects, or that falls too far behind is dropped, and `dropped` hears why. The answer ends it.
   */
  inspect: Host['inspect']
  /** The highest position that retention has removed; 0 when it has removed none. Who stands before it has missed something. */
  prunedTo: () => Promise<number>
  catalog: Catalog
  /** What this process calls itself. */
  calledAs: string
  /** How analytics is, and its numbers if it gives them within two seconds. Never rejects. */
  analytics: (query?: FiguresQuery) => Promise<AnalyticsShape>
  /** Why a plan, or a job of it, is where it is. @throws {TenutoError} `REF_NOT_FOUND`. */
  explain: (plan: string, job: string | null) => Promise<ExplainShape>
  /** The actor of a plan, or of a job, looked into. @throws {TenutoError} `REF_NOT_FOUND`. */
  inspection: (plan: string, job: string | null) => Promise<InspectionShape>
  /**
   * What holds the home, and what it holds, from memory: at once, whatever is stuck.
   * @throws {TenutoError} when the runtime can do nothing more.
   */
  state: () => Promise<StateShape>
  /** Whether anything new starts in the home, and plans are taken in. */
  mode: () => Mode
  /**
   * Orders another mode of the home, which outlives this process; resolves when it is on the disk, and nothing more is started that it
   * forbids. Idempotent.
   */
  order: (order: Order) => Promise<ModeReceipt>
  /** The numbers of what has happened and of how it is. What has happened is counted from the journal, from the first time on. */
  metrics: () => Promise<Metrics>
  /** Whether commits can be made, and since when not. */
  storage: () => StorageShape
  /** Tells when commits can be made no more, and when they can be made again; returns how to be told no more. */
  onStorage: (told: (storage: StorageShape) => void) => () => void
  /** A server of this runtime says how it is, for the state; the answer ends that. */
  tellOfServer: (look: () => SectionData['http']) => () => void
  counts: () => HostCounts
  /** The supervision tree: every part, what has happened to it, and the actors that are in memory. */
  tree: () => TreeShape
  /** Resolves when every message has been taken that can be taken now, and what came of it is durable. */
  idle: () => Promise<void>
  /** Which build this process runs, and whether the code on disk still is that. */
  build: () => BuildShape
  /** Processes of this home that live now, of whatever plan. */
  live: () => Promise<readonly LiveAttempt[]>
  /** Says more about this holder in `daemon.json`. */
  describe: Hold['describe']
  /** Resolves with the error when the runtime can do nothing more: it was replaced, its store is broken, or its home is gone. */
  failed: Promise<unknown>
  /** Finishes the commit in flight and gives the home up; attempts in processes go on. Idempotent. */
  stop: () => Promise<void>
}>
