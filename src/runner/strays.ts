/**
 * Processes that left the group of their attempt and outlived its main process. They are known by their marker alone, and to look at
 * every process of a machine after every attempt would cost more than many attempts do. So a young attempt is asked about the few
 * pids that were given since its own; any other waits for a look at all, which serves everybody who waits and rests after it.
 */
import { isGiven, lastPid, markedProcesses, markerOf } from '../process.ts'
import { later, machineMs } from './clock.ts'

/** For so long after its start the pids given since are few, and have not begun again at the lowest and passed its own. */
const YOUNG_MS = 1_000
/** More pids than these are not looked at one by one. */
const PIDS_MAX = 128
/** A look at all is followed by a rest so many times as long. */
const REST_FACTOR = 9

/** The main process of an attempt that has ended. */
export type EndedMain = Readonly<{ key: string; pid: number; startedMono: number }>

/** Finds who was left behind. */
export type Strays = Readonly<{
  /** A main process was started: its pid is no stray's while those who are asked about are young. */
  started: (main: EndedMain) => void
  /**
   * Whether an attempt has left processes behind; answered at once where few can be meant. False where the system does not say which
   * pids it gave: there they are found when their plan ends.
   */
  areLeft: (main: EndedMain) => boolean | Promise<boolean>
}>

/** The strays of one runner's attempts. */
export const strays = (): Strays => {
  /** When the main processes of late were started, by their pids, in the order of their start. */
  const mains = new Map<number, number>()
  let looking: Promise<ReadonlySet<string>> | undefined
  let restUntil = 0

  const started = ({ pid, startedMono }: EndedMain): void => {
    mains.delete(pid)
    mains.set(pid, startedMono)
    for (const [old, at] of mains) {
      if (startedMono - at < YOUNG_MS) return
      mains.delete(old)
    }
  }

  const areLeft = (main: EndedMain): boolean | Promise<boolean> => {
    let seen = main.pid
    for (;;) {
      const last = lastPid()
      if (last === undefined) return false
      const isYoung = machineMs() - main.startedMono < YOUNG_MS
      // Lower: they have begun again, and who knows how far.
      if (!isYoung || last < seen || last - main.pid > PIDS_MAX)
        return lookAtAll().then((keys) => keys.has(main.key))
      // Whoever was given a pid while the others were looked at can be the child of one that is gone by now.
      if (last === seen) return false
      for (let pid = seen + 1; pid <= last; pid += 1)
        if (!mains.has(pid) && isGiven(pid) && markerOf(pid) === main.key) return true
      seen = last
    }
  }

  const lookAtAll = (): Promise<ReadonlySet<string>> => {
    looking ??= new Promise((resolve, reject) => {
      const look = (): void => {
        looking = undefined
        const began = machineMs()
        try {
          resolve(new Set(markedProcesses('').map(({ key }) => key)))
        } catch (error) {
          reject(error as Error)
        }
        const ended = machineMs()
        restUntil = ended + REST_FACTOR * (ended - began)
      }
      later(look, Math.max(0, restUntil - machineMs()))
    })
    return looking
  }

  return { started, areLeft }
}
