/**
 * Whether a folder among the attempts was made by this home. Whoever deletes must know: a folder that lies there and that no journal
 * knows may be anybody's.
 */
import { lstat, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { FILES, homeRoot, planKeyPrefix } from '../attempt.ts'
import { codeOf } from '../thrown.ts'
import { entriesOf } from './tree-size.ts'

/** Records that name the attempt they belong to. Each is written with its key, and the claim before any other. */
const MARKED = [FILES.claim, FILES.exit, FILES.process, FILES.stop] as const
/** A plan's folder, a job's, an attempt's, and that of its artifacts. */
const DEPTH_MAX = 3

/**
 * Whether a folder `attempts/PLAN` is provably this home's, so that it may go: a record in it names this home and this plan, also one
 * that a crash has cut off behind its key; or nothing at all is in it but the folders that come before a claim, and a claim without a
 * byte. A link is not, and none is followed.
 */
export const isOwnFolder = async (path: string, homeId: string): Promise<boolean> => {
  const stats = await lstat(path).catch(unlessGone)
  if (!stats?.isDirectory()) return false
  return (
    (await isMarked(path, planKeyPrefix('', basename(path)), homeRoot(homeId))) || (await isEmpty(path, 0))
  )
}

const isMarked = async (path: string, plan: string, root: string): Promise<boolean> => {
  // As it stands in a record: nothing in a key of ours needs escaping before the name of the job.
  const mark = new RegExp(`"key":"${root}(?:-[a-z2-7]+)?${plan.replaceAll('.', '[.]')}`)
  for (const job of await foldersIn(path))
    for (const attempt of await foldersIn(job)) {
      const files = (await entriesOf(attempt)).filter((entry) => entry.isFile()).map(({ name }) => name)
      for (const name of MARKED) {
        if (!files.includes(name)) continue
        const text = await readFile(join(attempt, name), 'utf8').catch(unlessGone)
        if (text !== undefined && mark.test(text)) return true
      }
    }
  return false
}

const foldersIn = async (path: string): Promise<readonly string[]> =>
  (await entriesOf(path)).filter((entry) => entry.isDirectory()).map(({ name }) => join(path, name))

const isEmpty = async (path: string, depth: number): Promise<boolean> => {
  // What may not be looked at is not known to be empty.
  const entries = await entriesOf(path, [])
  for (const entry of entries) {
    const at = join(path, entry.name)
    if (entry.isDirectory() && depth < DEPTH_MAX && (await isEmpty(at, depth + 1))) continue
    const isClaim = entry.isFile() && entry.name === FILES.claim && depth === DEPTH_MAX - 1
    if (!isClaim || (await lstat(at).catch(unlessGone))?.size !== 0) return false
  }
  return true
}

const unlessGone = (error: unknown): undefined => {
  if (codeOf(error) !== 'ENOENT' && codeOf(error) !== 'EACCES') throw error
  return undefined
}
