/** Folders of tests, removed for certain. */
import { existsSync, rmSync } from 'node:fs'

/**
 * Removes a folder in which something may still be removing, too. Node ends without a word when an entry, as the runner's socket,
 * goes by itself meanwhile: it is done again until nothing is there.
 */
export const removeFolder = (path: string): void => {
  while (existsSync(path)) rmSync(path, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
}
