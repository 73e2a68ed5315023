/**
 * Folders of attempts as a whole: how much they hold, and deleting them, in small pieces that keep nobody waiting. Each piece takes a turn
 * of a loop that may be busy, so that several are always under way.
 */
import type { Dirent } from 'node:fs'
import { chmod, lstat, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { codeOf } from '../thrown.ts'

/** How much a plan's folder holds: attempts, and bytes on disk. */
export type TreeSize = Readonly<{ attempts: number; bytes: number }>

const BLOCK_BYTES = 512
const ENTRIES_AT_ONCE = 16

/** Does something with each, in their order, so many at once. */
export const eachOf = async <T>(
  list: Iterable<T>,
  atOnce: number,
  act: (one: T) => Promise<void>,
): Promise<void> => {
  const left = list[Symbol.iterator]()
  const lane = async (): Promise<void> => {
    for (let next = left.next(); next.done !== true; next = left.next()) await act(next.value)
  }
  await Promise.all(Array.from({ length: atOnce }, lane))
}

/** Somebody may be deleting it, or have closed it to others and to us. */
const UNREAD = ['ENOENT', 'ENOTDIR', 'EACCES'] as const

/** What is in a folder; nothing where it cannot be looked at for one of these reasons. */
export const entriesOf = async (
  path: string,
  unread: readonly string[] = UNREAD,
): Promise<readonly Dirent[]> => {
  try {
    return await readdir(path, { withFileTypes: true })
  } catch (error) {
    if (unread.includes(codeOf(error) ?? '')) return []
    throw error
  }
}

/** The names in a folder but those that begin with a dot; none when it is not there. */
export const namesIn = async (path: string): Promise<readonly string[]> =>
  (await entriesOf(path)).map(({ name }) => name).filter((name) => !name.startsWith('.'))

/** How much is below a plan's folder. What goes meanwhile is not counted, and no link is followed, nor is the folder where it is one. */
export const sizeOf = async (path: string): Promise<TreeSize> => {
  let attempts = 0
  let bytes = 0
  const walk = async (folder: string, depth: number): Promise<void> => {
    await eachOf(await entriesOf(folder), ENTRIES_AT_ONCE, async (entry) => {
      const at = join(folder, entry.name)
      if (depth === 1 && entry.isDirectory()) attempts += 1
      const found = await lstat(at).catch(() => undefined)
      bytes += (found?.blocks ?? 0) * BLOCK_BYTES
      if (entry.isDirectory()) await walk(at, depth + 1)
    })
  }
  if (await isFolder(path)) await walk(path, 0)
  return { attempts, bytes }
}

const isFolder = async (path: string): Promise<boolean> =>
  (await lstat(path).catch(() => undefined))?.isDirectory() === true

/**
 * Deletes a tree, also where a job has left folders that nobody may write to. Links are removed as links. Nothing there: nothing to
 * do.
 */
export const deleteTree = async (path: string): Promise<void> => {
  try {
    await rm(path, { recursive: true, force: true })
  } catch (error) {
    if (!['EACCES', 'EPERM'].includes(codeOf(error) ?? '')) throw error
    if (await isFolder(path)) await openFolders(path)
    await rm(path, { recursive: true, force: true })
  }
}

const openFolders = async (path: string): Promise<void> => {
  await chmod(path, 0o700)
  for (const entry of await entriesOf(path))
    if (entry.isDirectory()) await openFolders(join(path, entry.name))
}
