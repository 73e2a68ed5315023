/**
 * Supervisors on a virtual clock, with children that do as they are told and a log of everything in order.
 */
import { onTestFinished } from 'vitest'
import { seededRandom } from '../../src/ids.ts'
import {
  type ChildSpec,
  type Context,
  type Flags,
  type LifeRecord,
  reasonText,
  type Supervisor,
  type SupervisorPorts,
  supervisor,
} from '../../src/supervisor/index.ts'
import { type VirtualClock, virtualClock } from '../../src/testing/virtual-clock.ts'

/** What a child is to do. */
export type Script = {
  /** This many starts fail, once armed; also while it runs. */
  failStarts?: number
  startDelayMs?: number
  /** `ignore`: it never stops. A number: it takes so long. */
  onStop?: 'exit' | 'ignore' | 'crash' | number
  info?: unknown
}

/** A child that does as it is told. */
export type Scripted = Readonly<{
  spec: ChildSpec
  /** May be changed at any time. */
  script: Script
  /** Starts there were, successful or not. */
  starts: () => number
  /** Incarnations that run, and that were neither stopped nor killed. */
  alive: () => readonly number[]
  /** Ends what runs now. */
  exit: (reason?: unknown) => Promise<void>
  crash: (message?: string) => Promise<void>
  /** What an older incarnation says, or one that is over. */
  exitOf: (incarnation: number, reason?: unknown) => Promise<void>
  /** What it was told: `stop` and `kill`, with the incarnation. */
  told: readonly string[]
  args: readonly unknown[]
}>

/** A workbench. */
export type Rig = Readonly<{
  clock: VirtualClock
  ports: SupervisorPorts
  /** All records, and those of children as `type child` texts. */
  records: readonly LifeRecord[]
  log: (...types: readonly LifeRecord['type'][]) => readonly string[]
  /** Forgets the log. */
  clear: () => void
  child: (id: string, spec?: Partial<ChildSpec>, script?: Script) => Scripted
  supervisor: (flags: Flags, children: readonly Scripted[]) => Supervisor
  /** The same, started. */
  up: (flags: Flags, children: readonly Scripted[]) => Promise<Supervisor>
  /** Lets everything that can happen now happen. */
  quiet: () => Promise<void>
}>

/** A workbench of its own for each test; nothing may be left running in the end, nor any timer. */
export const rig = (seed = 1): Rig => {
  const clock = virtualClock()
  const records: LifeRecord[] = []
  const made: Supervisor[] = []
  const ports: SupervisorPorts = {
    clock,
    random: seededRandom(seed),
    report: (record) => records.push(record),
  }

  const child = (id: string, spec: Partial<ChildSpec> = {}, script: Script = {}): Scripted => {
    const contexts = new Map<number, Context>()
    const alive = new Set<number>()
    const told: string[] = []
    const args: unknown[] = []
    let starts = 0
    let newest = 0
    const start = (context: Context): ReturnType<ChildSpec['start']> => {
      starts += 1
      const { incarnation } = context
      newest = incarnation
      contexts.set(incarnation, context)
      args.push(context.args)
      const begin = (): Awaited<ReturnType<ChildSpec['start']>> => {
        if ((script.failStarts ?? 0) > 0) {
          script.failStarts = (script.failStarts ?? 0) - 1
          throw new Error(`${id} does not start`)
        }
        alive.add(incarnation)
        const ref = {
          stop: () => {
            told.push(`stop ${incarnation}`)
            const { onStop = 'exit' } = script
            if (onStop === 'ignore') return new Promise<void>(() => {})
            if (typeof onStop !== 'number') {
              alive.delete(incarnation)
              if (onStop === 'crash') throw new Error(`${id} does not stop well`)
              return undefined
            }
            return new Promise<void>((resolve) => {
              clock.setTimeout(() => {
                alive.delete(incarnation)
                resolve()
              }, onStop)
            })
          },
          kill: () => {
            told.push(`kill ${incarnation}`)
            alive.delete(incarnation)
          },
        }
        return script.info === undefined ? ref : { ref, info: script.info }
      }
      const { startDelayMs } = script
      if (startDelayMs === undefined) return begin()
      return new Promise((resolve, reject) => {
        clock.setTimeout(() => {
          try {
            resolve(begin())
          } catch (error) {
            reject(error as Error)
          }
        }, startDelayMs)
      })
    }
    const exitOf = async (incarnation: number, reason?: unknown): Promise<void> => {
      alive.delete(incarnation)
      contexts.get(incarnation)?.exit(reason)
      await quiet()
    }
    return {
      spec: { id, start, ...spec },
      script,
      starts: () => starts,
      alive: () => [...alive],
      exit: (reason) => exitOf(newest, reason),
      crash: (message = `${id} crashed`) => exitOf(newest, new Error(message)),
      exitOf,
      told,
      args,
    }
  }

  const make = (flags: Flags, children: readonly Scripted[]): Supervisor => {
    const sup = supervisor(
      flags,
      children.map(({ spec }) => spec),
      ports,
    )
    made.push(sup)
    return sup
  }
  const quiet = (): Promise<void> => clock.advance(0)

  onTestFinished(async () => {
    for (const sup of made) sup.kill()
    await quiet()
  })

  return {
    clock,
    ports,
    records,
    log: (...types) =>
      records
        .filter(({ type }) => types.length === 0 || types.includes(type))
        .map(({ type, child: id, reason }) =>
          [
            type,
            id,
            reason && ['stopped', 'exited', 'ended'].includes(type) ? `(${reasonText(reason)})` : null,
          ]
            .filter((word) => word !== null)
            .join(' '),
        ),
    clear: () => {
      records.length = 0
    },
    child,
    supervisor: make,
    up: async (flags, children) => {
      const sup = make(flags, children)
      const up = sup.start()
      await quiet()
      await up
      return sup
    },
    quiet,
  }
}
