/**
 * The end of a runtime whose journal is no longer where it was opened: what it holds is brought to safety, and said to be there.
 */
import { dirname } from 'node:path'
import { backupPath } from '../backup-place.ts'
import { TenutoError } from '../errors.ts'
import { homePaths, shellWord } from '../home.ts'
import { makeFolder } from '../home-place.ts'
import type { Journal } from '../journal/journal.ts'
import { wordsOf } from '../thrown.ts'

const FOLDED =
  'its write-ahead log, or the index of it, was removed while it was held; what was in it is in the journal again, which can be opened anew'
const LOST =
  'it was removed or replaced, or its write-ahead log was, while it was held; and what it held cannot be copied'

/** Salvages the journal of a home to its backups, when nothing is committed any more; answers what the runtime ends with. */
export const salvaged = (journal: Journal, home: string, at: number): TenutoError => {
  const { journal: path } = homePaths(home)
  try {
    const to = backupPath(home, at)
    makeFolder(dirname(to))
    const copy = journal.salvage(to)
    return copy === null
      ? new TenutoError('STORE_BROKEN', { path, why: FOLDED })
      : new TenutoError('STORE_DISPLACED', { path, copy: shellWord(copy) })
  } catch (error) {
    return new TenutoError('STORE_BROKEN', { path, why: `${LOST}: ${wordsOf(error)}` }, error)
  }
}
