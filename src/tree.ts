/**
 * The tree of a runtime: every part that lives as long as it does, in the order in which they stand on each other, and what becomes of
 * each when it fails. What is started later is stopped earlier.
 *
 *   root ─┬─ journal     the writer: a new connection under the same epoch
 *         ├─ plans       ┐ each actor that has failed: replaced from its committed state; given up, it is quarantined,
 *         ├─ jobs        ┘ or fails with reason `fault`
 *         ├─ slots       ┐
 *         ├─ timers      │ hold no truth: made anew, and told what is so
 *         ├─ executor    ┘
 *         ├─ sweeper     the second net; without it, the first one goes on
 *         ├─ retention   what is kept no longer
 *         ├─ projector   who follows reads from the journal what was not shown
 *         └─ analytics   a guest in a process of its own; the child here is who looks after it
 */
import type { FailedActor, Host } from './actors/contract.ts'
import type { Address } from './address.ts'
import type { Clock } from './clock.ts'
import type { Random } from './ids.ts'
import {
  type ChildSpec,
  type Flags,
  type LifeRecord,
  type Reason,
  reasonText,
  type Supervisor,
  supervisor,
  supervisorChild,
  type Tree,
} from './supervisor/index.ts'
import type { AnalyticsData, SectionShape, TreeShape } from './views/shapes.ts'

/** A part that can be started again and again; `exit` says that it has failed. */
export type Supervised = Readonly<{
  start: (exit: (error: unknown) => void) => void | Promise<void>
  stop?: () => void | Promise<void>
}>

/** The parts that the tree starts and stops. */
export type TreeParts = Readonly<Record<Exclude<BranchId, ActorsId>, Supervised>>

/** The tree of a runtime that runs. */
export type RuntimeTree = Readonly<{
  /** Rejects when a part cannot be started; those before it have been stopped. */
  start: () => Promise<void>
  /** Stops all parts, the last first. Idempotent. */
  stop: () => Promise<void>
  /** Resolves when the tree has ended: it was stopped, or a part without which nothing goes on was given up. */
  ended: Promise<Reason>
  /** An actor has failed. It is replaced after a pause, or given up. */
  failed: (actor: FailedActor) => void
  /** Nobody needs this actor any more. */
  forget: (address: Address) => void
  show: () => Tree
  /** How often a part or an actor was started again since the tree began. */
  restarts: () => number
}>

/** What a tree needs. */
export type TreePorts = Readonly<{
  clock: Clock
  random: Random
  log: Readonly<Record<'info' | 'warn' | 'error', (fields: object, message: string) => void>>
}>

type ActorsId = 'plans' | 'jobs'

/** Vital: without it nothing goes on, so that its being given up ends the runtime, and whoever started the process starts it again. */
const BRANCHES = [
  { id: 'journal', vital: true, shutdown: 'infinity' },
  { id: 'plans', vital: true, shutdown: 'infinity' },
  { id: 'jobs', vital: true, shutdown: 'infinity' },
  { id: 'slots', vital: true },
  { id: 'timers', vital: true },
  { id: 'executor', vital: true, shutdown: 30_000 },
  { id: 'sweeper', vital: false },
  { id: 'retention', vital: false },
  { id: 'projector', vital: true },
  { id: 'analytics', vital: false, shutdown: 10_000 },
] as const satisfies readonly Omit<ChildSpec, 'start'>[]
type BranchId = (typeof BRANCHES)[number]['id']

const ROOT: Flags = {
  strategy: 'one-for-one',
  intensity: 5,
  periodMs: 10_000,
  backoff: { minMs: 20, maxMs: 5_000 },
}
/** A part that can be missed and was given up is tried again after so long, in ms. */
const COOL_DOWN_MS = 60_000
/**
 * Only actors that have failed are its children, so that one that never fails costs nothing: the share of those that are given up says
 * nothing about all of them, and only their number counts.
 */
const ACTORS: Flags = {
  strategy: 'dynamic',
  intensity: 5,
  periodMs: 60_000,
  backoff: { minMs: 10, maxMs: 5_000 },
  ceiling: { children: 100, share: 0 },
}

const SAID: Partial<Record<LifeRecord['type'], readonly ['info' | 'warn' | 'error', string]>> = {
  failed: ['warn', 'a part could not be started'],
  exited: ['warn', 'a part failed'],
  restarting: ['info', 'the part is started again'],
  'given-up': ['error', 'the part failed too often and is given up'],
  escalated: ['error', 'without that part nothing goes on'],
}

/** The tree of these parts. Nothing runs before `start`. */
export const runtimeTree = (parts: TreeParts, { clock, random, log }: TreePorts): RuntimeTree => {
  let restarts = 0
  const report =
    (of: string) =>
    ({ type, child, incarnation, reason, afterMs }: LifeRecord): void => {
      if (type === 'restarting') restarts += 1
      const said = SAID[type]
      if (!said) return
      const [level, message] = said
      const why = reason && reasonText(reason)
      log[level]({ of, child, incarnation, why, ...(afterMs === null ? {} : { afterMs }) }, message)
    }
  const actors = new Map<ActorsId, Supervisor<Begin>>()
  const exits = new Map<Address, (error: unknown) => void>()
  const actorsBelow = (id: ActorsId): ChildSpec['start'] =>
    supervisorChild<Begin>({
      id,
      make: () => {
        const below = supervisor<Begin>(ACTORS, [ACTOR], { clock, random, name: id, report: report(id) })
        actors.set(id, below)
        return below
      },
    }).start
  const ACTOR: ChildSpec<Begin> = {
    id: 'actor',
    start: ({ id, incarnation, args, exit }) => {
      exits.set(id as Address, exit)
      // It lives already when its supervisor first hears of it.
      if (incarnation > 1) args.again()
      return { stop: () => {} }
    },
  }
  const root = supervisor(
    ROOT,
    BRANCHES.map((branch): ChildSpec => {
      const { id } = branch
      if (id === 'plans' || id === 'jobs') return { ...branch, type: 'supervisor', start: actorsBelow(id) }
      const part = parts[id]
      return {
        ...branch,
        start: async ({ exit }) => {
          await part.start(exit)
          return { stop: () => part.stop?.() }
        },
      }
    }),
    { clock, random, report: report('root') },
  )
  const actorsOf = (address: Address): Supervisor<Begin> | undefined =>
    actors.get(address.startsWith('plan:') ? 'plans' : 'jobs')
  const isGivenUp = (below: Supervisor<Begin>, address: Address): boolean =>
    below.list().some(({ id, state }) => id === address && state === 'given-up')

  const coolDowns = new Map<string, () => void>()
  /** What can be missed is not missed for ever. */
  const tryAgainLater = (id: string): void => {
    root.watch(id, () => {
      if (root.list().find((child) => child.id === id)?.state !== 'given-up') return
      const again = async (): Promise<void> => {
        await root.clearChild(id)
        tryAgainLater(id)
      }
      coolDowns.set(
        id,
        clock.setTimeout(() => void again(), COOL_DOWN_MS),
      )
    })
  }

  return {
    start: async () => {
      await root.start()
      for (const { id, vital } of BRANCHES) if (!vital) tryAgainLater(id)
    },
    stop: async () => {
      for (const cancel of coolDowns.values()) cancel()
      coolDowns.clear()
      await root.stop()
    },
    ended: root.ended,
    failed: ({ address, error, again, giveUp }) => {
      const below = actorsOf(address)
      if (!below) return again()
      if (isGivenUp(below, address)) {
        // Somebody has let it go on since: nothing is held against it.
        void below.clearChild(address)
        return
      }
      if (!exits.has(address)) {
        void below.startChild({ id: address, args: { again } })
        below.watch(address, ({ reason }) => {
          if (isGivenUp(below, address)) giveUp(reason ? reasonText(reason) : String(error))
        })
      }
      exits.get(address)?.(error)
    },
    forget: (address) => {
      if (!exits.delete(address)) return
      const below = actorsOf(address)
      void below?.stopChild(address).then(() => below.deleteChild(address))
    },
    show: () => root.tree(),
    restarts: () => restarts,
  }
}

type Begin = Readonly<{ again: () => void }>

/** Actors shown of a kind. */
const ACTORS_SHOWN = 1000

/** The tree with the actors that are in memory, as clients see it. `now` in epoch ms. */
export const treeShape = (
  tree: Tree,
  host: Pick<Host, 'live'>,
  guest: SectionShape<AnalyticsData | null>,
  now: number,
): TreeShape => {
  const shape = ({ kind, children, ...node }: Tree): TreeShape => ({
    ...shapeOf(node),
    kind,
    strategy: node.strategy,
    children: children.map(shape),
    more: node.more,
  })
  const actorsUnder = (node: Tree, kind: 'plan' | 'job'): TreeShape => {
    const failed = new Map(node.children.map((child) => [child.id, child]))
    const { actors, all } = host.live(kind, ACTORS_SHOWN)
    const children = actors.map(({ address, state, since, depth, oldestAt }): TreeShape => {
      const known = failed.get(address)
      const isWell = known === undefined || known.state === 'running'
      return {
        ...(known ? shapeOf(known) : NEVER_FAILED),
        id: address,
        kind: 'actor',
        state: isWell ? state : `${state}, ${known.state}`,
        since_ms: since === null ? null : Math.max(0, now - since),
        mailbox: { depth, oldest_ms: oldestAt === null ? null : Math.max(0, now - oldestAt) },
      }
    })
    return { ...shape({ ...node, children: [] }), children, more: all - children.length }
  }
  const root = shape({ ...tree, children: [] })
  const children = tree.children.map((node) =>
    node.id === 'plans' || node.id === 'jobs'
      ? actorsUnder(node, node.id === 'plans' ? 'plan' : 'job')
      : node.id === 'analytics'
        ? guestNode(shape(node), guest, now)
        : shape(node),
  )
  return { ...root, children }
}

/** The guest is shown as it is: that somebody looks after it says nothing of that. */
const guestNode = (
  node: TreeShape,
  { status, error, data }: SectionShape<AnalyticsData | null>,
  now: number,
) =>
  data === null
    ? { ...node, state: status }
    : {
        ...node,
        state: data.state === 'up' ? node.state : `${status}, ${data.state}`,
        ...(data.silent_since === null ? {} : { since_ms: Math.max(0, now - Date.parse(data.silent_since)) }),
        last_error: error?.message ?? null,
        history:
          error === null || data.failed_at === null
            ? []
            : [{ ago_ms: Math.max(0, now - Date.parse(data.failed_at)), reason: error.message }],
      }

const NEVER_FAILED = {
  strategy: null,
  restarts: null,
  last_error: null,
  history: [],
  children: [],
  more: 0,
} as const satisfies Partial<TreeShape>

const shapeOf = ({
  id,
  state,
  restarts,
  lastError,
  sinceMs,
  history,
}: Omit<Tree, 'kind' | 'children'>): TreeShape => ({
  ...NEVER_FAILED,
  id,
  kind: 'worker',
  state,
  restarts: restarts && {
    count: restarts.count,
    intensity: restarts.intensity,
    period_ms: restarts.periodMs,
  },
  last_error: lastError,
  since_ms: Math.round(sinceMs),
  mailbox: null,
  history: history.map(({ agoMs, reason }) => ({ ago_ms: Math.round(agoMs), reason })),
})
