/**
 * Code of others that may look and never hurt: what it throws, and what a promise of its rejects with, ends with it.
 */

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'

/** Calls an observer. `dropped` hears, now or later, of what it threw or its promise rejected with; nobody waits for the promise. */
export const callObserver = (call: () => unknown, dropped: (error: unknown) => void): void => {
  try {
    const answer = call()
    if (isThenable(answer)) answer.then(() => {}, dropped)
  } catch (error) {
    dropped(error)
  }
}
