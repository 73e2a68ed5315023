/**
 * A disk for journals in memory: it survives the journal that is opened on it, and fails when it is told to.
 */
import type { Address } from '../address.ts'
import { base32, systemRandom } from '../ids.ts'
import type {
  ActorRow,
  Batch,
  Boot,
  DeadLetterRow,
  JobRow,
  MailRow,
  PlanRow,
  Pruned,
  RevisionRow,
  StepRow,
} from './journal.ts'

/** What can go wrong with a memory disk. Set and cleared at will while it is in use. */
export type MemoryFaults = {
  /** Runs before a commit is looked at; a throw fails the commit with that error, and nothing is written. */
  beforeCommit?: ((batch: Batch) => void | Promise<void>) | undefined
  /** Runs when the commit is durable; a throw loses the acknowledgement only. */
  afterCommit?: ((batch: Batch) => void | Promise<void>) | undefined
  /** Addresses whose actor row and steps read as damaged. */
  damaged?: ReadonlySet<Address> | undefined
}

/** The medium a memory journal is opened on. Only journals look into `tables`. */
export type MemoryDisk = Readonly<{ faults: MemoryFaults; tables: Tables }>

/** What a disk holds, as the tables of the journal on a file hold it. */
export type Tables = {
  readonly home: string
  epoch: number
  position: number
  mailId: number
  deadId: number
  clean: boolean
  readonly boots: Boot[]
  readonly plans: Map<string, PlanRow>
  readonly keys: Map<string, string>
  readonly revisions: Map<string, RevisionRow>
  readonly jobs: Map<string, Map<string, JobRow>>
  readonly outputs: Map<string, Map<string, string>>
  readonly actors: Map<string, Map<Address, ActorRow>>
  readonly steps: StepRow[]
  readonly stepsOfPlan: Map<string, StepRow[]>
  readonly stepsOfActor: Map<Address, StepRow[]>
  readonly mail: Map<number, MailRow>
  readonly dead: DeadLetterRow[]
  readonly aside: Map<string, Readonly<{ why: string; at: number }>>
  readonly loading: Map<string, number>
  readonly leaving: Set<string>
  readonly cleared: Map<string, number>
  pruned: Pruned
}

/** An empty disk; `home` is the random id a journal draws when it is made. */
export const memoryDisk = (home: string = base32(10, systemRandom)): MemoryDisk => ({
  faults: {},
  tables: {
    home,
    epoch: 0,
    position: 0,
    mailId: 0,
    deadId: 0,
    clean: true,
    boots: [],
    plans: new Map(),
    keys: new Map(),
    revisions: new Map(),
    jobs: new Map(),
    outputs: new Map(),
    actors: new Map(),
    steps: [],
    stepsOfPlan: new Map(),
    stepsOfActor: new Map(),
    mail: new Map(),
    dead: [],
    aside: new Map(),
    loading: new Map(),
    leaving: new Set(),
    cleared: new Map(),
    pruned: { plans: 0, steps: 0, last: 0 },
  },
})
