/**
 * What a journal that is gone leaves behind. Where there was one, none is made anew: what has run would be forgotten, and run again.
 */
import { existsSync, readdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { TenutoError } from '../errors.ts'
import { homePaths } from '../home.ts'
import { hasMark } from './mark.ts'

/**
 * Sees to it that there never was a journal at this path, as far as anything tells.
 * @throws {TenutoError} `STORE_CORRUPT` when its write-ahead log or its mark is there, `STORE_GONE` when attempts of it are.
 */
export const refuseGone = (file: string): void => {
  if (existsSync(`${file}-wal`)) throw corrupt(file, 'it is gone, but its write-ahead log is there')
  if (hasMark(file)) throw corrupt(file, 'it is gone')
  const { attempts } = homePaths(dirname(file))
  if (hasAttempts(file)) throw new TenutoError('STORE_GONE', { path: file, attempts })
}

/** Whether plans have left attempts in the home of a journal. */
export const hasAttempts = (file: string): boolean => {
  const { attempts } = homePaths(dirname(file))
  // A name with a dot before it is none of a plan.
  return existsSync(attempts) && readdirSync(attempts).some((name) => !name.startsWith('.'))
}

const corrupt = (path: string, why: string): TenutoError => new TenutoError('STORE_CORRUPT', { path, why })
