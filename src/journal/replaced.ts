/**
 * Journals that a restore has put aside: each may be all that is left of what was done since a backup, and none is needed for long.
 */
import { existsSync, readdirSync, statSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

/** A journal that was replaced, with what belongs to it. */
export type ReplacedJournal = Readonly<{
  path: string
  /** When it was replaced, in epoch milliseconds. */
  at: number
  bytes: number
}>

/** So many of the newest stay, however old they are. */
const REPLACED_KEPT = 3

const NAME = /^\.replaced-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})Z(?:-wal|-mark|-shm)?$/

/** The journals that restores have put aside beside the one at `file`, and that may go: older than that, but for the newest. Oldest first. */
export const replacedJournals = (
  file: string,
  olderThanMs: number,
  now: number,
): readonly ReplacedJournal[] => {
  const found = new Map<string, ReplacedJournal>()
  if (!existsSync(dirname(file))) return []
  for (const name of readdirSync(dirname(file))) {
    if (!name.startsWith(basename(file))) continue
    const [, year, month, day, hour, minute, second, ms] = NAME.exec(name.slice(basename(file).length)) ?? []
    if (ms === undefined) continue
    const at = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}.${ms}Z`)
    const path = join(dirname(file), name.replace(/-(?:wal|mark|shm)$/, ''))
    const bytes = statSync(join(dirname(file), name), { throwIfNoEntry: false })?.size ?? 0
    found.set(path, { path, at, bytes: bytes + (found.get(path)?.bytes ?? 0) })
  }
  const byAge = [...found.values()].toSorted((a, b) => a.at - b.at)
  return byAge.slice(0, -REPLACED_KEPT).filter(({ at }) => at <= now - olderThanMs)
}

/** Removes one with what belongs to it, itself last, so that what is left of it is found again. Idempotent. */
export const removeReplaced = async ({ path }: ReplacedJournal): Promise<void> => {
  for (const end of ['-wal', '-mark', '-shm', '']) await rm(path + end, { force: true })
}
