/**
 * The runner's time. It is a process of its own and takes no port: this is the one file of it that asks the machine.
 */

/** Milliseconds on the machine's monotonic clock: one clock for all processes of one boot. */
export const machineMs = (): number => Number(process.hrtime.bigint() / 1000n) / 1000

/** Wall time in epoch milliseconds. May jump. */
export const wallMs = (): number => Date.now()

/** Wall time in ISO 8601 UTC. */
export const wallText = (): string => new Date().toISOString()

/** A timer that can be cancelled. */
export type Later = NodeJS.Timeout

/** Calls `run` once after `ms` milliseconds. */
export const later = (run: () => void, ms: number): Later => setTimeout(run, ms)

/** Cancels a timer; harmless when it has fired or there is none. */
export const cancelLater = (timer: Later | undefined): void => clearTimeout(timer)

/** Resolves after `ms` milliseconds. */
export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Calls `run` every `ms` milliseconds. */
export const every = (run: () => void, ms: number): void => {
  setInterval(run, ms)
}
