/**
 * What lies in a home of its plans beside the journal, as retention uses it: the folders of their attempts, those they were given to run
 * in, and their secrets. It is a port, so that all of it can be virtual.
 */
import { lstatSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { checkFolders, GONE_FOLDER, homePaths } from '../home.ts'
import { makeFolders } from '../home-place.ts'
import { dropSecrets, keptSecrets } from '../secrets.ts'
import { codeOf } from '../thrown.ts'
import { isOwnFolder } from './own-folder.ts'
import { deleteTree, namesIn, sizeOf, type TreeSize } from './tree-size.ts'

/** Secrets that are kept, or a file of some that was never finished. */
export type KeptSecrets = Readonly<{
  plan: string
  /** Since when, in epoch ms. */
  since: number
  drop: () => void
}>

/** The folders of a home that retention looks at and removes; a name is that of a plan, or of what looks like one. */
export type KeptFolders = Readonly<{
  /** @throws {TenutoError} `NOT_ALLOWED` when something else is in the place of one of the home's folders. */
  check: () => void
  /** Of which plans there are attempt folders. */
  names: () => Promise<readonly string[]>
  /** How much the attempt folders of a plan hold. */
  sizeOf: (name: string) => Promise<TreeSize>
  /** When these were last changed, in epoch ms; undefined when there are none. */
  changedAt: (name: string) => number | undefined
  /** Whether this home has made them. */
  isOwn: (name: string) => Promise<boolean>
  /** Whether anything of a plan is there. */
  isThere: (name: string) => boolean
  /** Moves a folder of a plan aside, in one moment, so that whoever comes next finds the name free or the folder whole; nothing there: nothing to do. */
  moveAside: (name: string, which: 'attempts' | 'work') => void
  /** The names of folders that were moved aside. */
  moved: () => Promise<readonly string[]>
  /** Deletes one of these. */
  deleteMoved: (name: string) => Promise<void>
  secrets: () => readonly KeptSecrets[]
  dropSecrets: (plan: string) => void
}>

/** The folders of the home `homeId` on the disk. */
export const keptFolders = (home: string, homeId: string, now: () => number): KeptFolders => {
  const { attempts, work } = homePaths(home)
  const gone = join(attempts, GONE_FOLDER)
  const statsOf = (path: string) => lstatSync(path, { throwIfNoEntry: false })
  let moves = 0
  return {
    check: () => checkFolders(home),
    names: () => namesIn(attempts),
    sizeOf: (name) => sizeOf(join(attempts, name)),
    changedAt: (name) => statsOf(join(attempts, name))?.mtimeMs,
    isOwn: (name) => isOwnFolder(join(attempts, name), homeId),
    isThere: (name) => [attempts, work].some((of) => statsOf(join(of, name)) !== undefined),
    moveAside: (name, which) => {
      try {
        makeFolders(home, gone)
        moves += 1
        renameSync(join(which === 'work' ? work : attempts, name), join(gone, `${name}.${now()}.${moves}`))
      } catch (error) {
        if (codeOf(error) !== 'ENOENT') throw error
      }
    },
    moved: () => namesIn(gone),
    deleteMoved: (name) => deleteTree(join(gone, name)),
    secrets: () =>
      keptSecrets(home).map(({ plan, path, since }) => ({ plan, since, drop: () => rmSync(path) })),
    dropSecrets: (plan) => dropSecrets(home, plan),
  }
}
