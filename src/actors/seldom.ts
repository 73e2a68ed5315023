/**
 * Trouble that comes again and again, told when it begins and when it is another, and then rarely, with how often it came.
 */
import type { Clock } from '../clock.ts'

type Level = 'warn' | 'error'
type Fields = Readonly<Record<string, unknown>>

/** Tells of trouble. */
export type Seldom = Readonly<{
  /** It has come, perhaps again. */
  tell: (level: Level, fields: Fields, message: string) => void
  /** It is over, and the next is told at once; whether there was any. */
  over: () => boolean
}>

/** Between two lines about the same trouble. */
const AGAIN_MS = 600_000

/** Tells through `log`. Two are the same when their message and their fields are. */
export const seldom = (
  clock: Pick<Clock, 'monotonic'>,
  log: (level: Level, fields: Fields, message: string) => void,
): Seldom => {
  const known = new Map<string, { last: string; at: number; times: number }>()
  return {
    tell: (level, fields, message) => {
      const now = clock.monotonic()
      const what = JSON.stringify(Object.values(fields).map(String))
      const before = known.get(message)
      const isSame = before?.last === what
      if (isSame && now - before.at < AGAIN_MS) {
        before.times += 1
        return
      }
      const times = isSame ? before.times + 1 : 1
      known.set(message, { last: what, at: now, times: 0 })
      log(level, times > 1 ? { ...fields, times } : fields, message)
    },
    over: () => {
      const some = known.size > 0
      known.clear()
      return some
    },
  }
}
