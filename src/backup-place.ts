/**
 * Where the backups of a home go by themselves: `backups/`, each by the moment it was begun.
 */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { homePaths } from './home.ts'

/** One that is there; `at` in epoch ms. */
export type PlacedBackup = Readonly<{ path: string; at: number }>

const NAME = /^journal-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})Z\.db(\.new)?$/

/** A moment as names have it. */
export const stamp = (at: number): string => new Date(at).toISOString().replace(/[-:.]/g, '')

/** The path of one that is begun now. */
export const backupPath = (home: string, at: number): string =>
  join(homePaths(home).backups, `journal-${stamp(at)}.db`)

/** Those that are whole, and those that somebody makes or was killed while making; the oldest first. */
export const backupsIn = (
  home: string,
): Readonly<{ whole: readonly PlacedBackup[]; drafts: readonly PlacedBackup[] }> => {
  const { backups } = homePaths(home)
  const names = existsSync(backups) ? readdirSync(backups) : []
  const placed = (isDraft: boolean): readonly PlacedBackup[] =>
    names
      .flatMap((name) => {
        const at = name.endsWith('.new') === isDraft ? momentOf(name) : undefined
        return at === undefined ? [] : [{ path: join(backups, name), at }]
      })
      .toSorted((a, b) => a.at - b.at)
  return { whole: placed(false), drafts: placed(true) }
}

/** Undefined of a name that is none of these. */
const momentOf = (name: string): number | undefined => {
  const [, year, month, day, hour, minute, second, ms] = NAME.exec(name) ?? []
  if (year === undefined) return undefined
  const at = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}.${ms}Z`)
  return Number.isNaN(at) ? undefined : at
}
