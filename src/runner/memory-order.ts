/**
 * Who goes first when the machine has no memory left: a job, and what it starts, before the runner that would tell how it ended, and
 * before the holder.
 */
import { readFileSync, writeFileSync } from 'node:fs'

/** Of a thousand; what GitHub's runner gives its jobs, too. */
const SCORE = 500
const scoreOf = (pid: number | 'self'): string => `/proc/${pid}/oom_score_adj`

let isBelow: boolean | undefined

/** Lets the kernel prefer a process to this one, unless it does so already. Only Linux has such an order. */
export const yieldMemory = (pid: number): void => {
  try {
    // Whoever has a higher one has handed it on.
    isBelow ??= Number(readFileSync(scoreOf('self'), 'utf8')) < SCORE
    if (isBelow) writeFileSync(scoreOf(pid), `${SCORE}`)
  } catch {
    // It has ended, or the system has no such order: the job runs all the same.
  }
}
