/**
 * What was thrown, read without trust: it may be anything.
 */

/** What was thrown, in words. Never throws itself, whatever that was. */
export const wordsOf = (error: unknown): string => {
  try {
    return error instanceof Error ? String(error.message) : String(error)
  } catch {
    return `something that cannot be written: ${typeof error}`
  }
}

/** The code that the system gave an error, as `ENOENT`; undefined when it has none. */
export const codeOf = (error: unknown): string | undefined =>
  (error as NodeJS.ErrnoException | null | undefined)?.code

const NO_ROOM = ['ENOSPC', 'EDQUOT', 'EROFS']

/** Whether a disk took something no more: it is full, over its quota, or write-protected. */
export const hasNoRoom = (error: unknown): boolean => NO_ROOM.includes(codeOf(error) ?? '')
