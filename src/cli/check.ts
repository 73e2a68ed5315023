/**
 * One line of `tenuto doctor`: what was looked at, what it came to, and what to do.
 */
import type { Finding } from '../audit/finding.ts'
import { counted } from './words.ts'

/** What a check came to. `info`: neither good nor bad. */
export type Status = 'ok' | 'info' | 'warn' | 'fail'

/** One line of the list. */
export type Check = Readonly<{
  name: string
  status: Status
  what: string
  /** What to do; null where nothing is to be done, or each finding says it. */
  remedy: string | null
  /** The exit code of a failure; 1 unless it says otherwise. */
  exit?: number
  findings?: readonly Finding[]
}>

/** All is well. */
export const ok = (name: string, what: string): Check => ({ name, status: 'ok', what, remedy: null })
/** Worth knowing. */
export const info = (name: string, what: string, remedy: string | null = null): Check => ({
  name,
  status: 'info',
  what,
  remedy,
})
/** It works, and may not for long. */
export const warn = (name: string, what: string, remedy: string): Check => ({
  name,
  status: 'warn',
  what,
  remedy,
})
/** It is broken. */
export const fail = (name: string, what: string, remedy: string | null): Check => ({
  name,
  status: 'fail',
  what,
  remedy,
})

/** A size, in words. */
export const inBytes = (bytes: number): string => {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB']
  const step = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3))
  return step === 0 ? counted(bytes, 'byte') : `${(bytes / 1000 ** step).toFixed(1)} ${units[step]}`
}
