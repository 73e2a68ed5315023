/**
 * The mark beside a journal: how far it has come, written after each commit. A journal that stands before its mark has lost what
 * was acknowledged: its write-ahead log is gone or was cut short, or an older copy was put in its place. SQLite takes the one for
 * an orderly end of the log and cannot know of the other, so that both would go on as if nothing had happened, and run again what
 * has ended.
 */
import { closeSync, existsSync, openSync, writeSync } from 'node:fs'
import { crc32 } from 'node:zlib'
import { homeRoot } from '../attempt.ts'
import { TenutoError } from '../errors.ts'
import { goOnFrom } from '../home.ts'
import { readWhole } from '../whole-file.ts'
import type { Head } from './batch.ts'

/** How far a journal has come. */
export type Mark = Head &
  Readonly<{
    /** The home it belongs to. */
    home: string
    epoch: number
    /** The boot of the machine in which it was written. */
    boot: string
    /** Whether what it says was on the medium before; else a power cut may have taken that, and not the mark. */
    synced: boolean
  }>

/** What stays the same in every mark of one boot. */
export type Stamp = Omit<Mark, keyof Head>

/** Writes the mark of one journal. */
export type MarkWriter = Readonly<{ write: (head: Head) => void; close: () => void }>

/** Where the mark of a journal's file is. */
export const markPath = (file: string): string => `${file}-mark`

/** Longer than any mark, so that one is always written over the whole of the one before. */
const BYTES = 256
const CRC_DIGITS = 10

/**
 * Opens the mark for writing. What cannot be written is left: an older mark, or none, only finds less. It is not synced, since
 * the page cache outlives this process, and what it says is on the medium before it is said.
 */
export const openMark = (file: string, stamp: Stamp): MarkWriter => {
  let handle: number | undefined
  try {
    handle = openSync(markPath(file), 'a+', 0o600)
    closeSync(handle)
    handle = openSync(markPath(file), 'r+')
  } catch {
    handle = undefined
  }
  // After every commit: nothing is made anew that stays as it is.
  const line = Buffer.alloc(BYTES, ' ')
  const start = JSON.stringify(stamp).slice(0, -1)
  return {
    write: ({ position, mail, dead }) => {
      if (handle === undefined) return
      const text = `${start},"position":${position},"mail":${mail},"dead":${dead}}`
      line.write(`${String(crc32(text)).padStart(CRC_DIGITS, '0')} ${text}\n`, 'latin1')
      try {
        writeSync(handle, line, 0, BYTES, 0)
      } catch {
        // As above.
      }
    },
    close: () => {
      if (handle !== undefined) closeSync(handle)
      handle = undefined
    },
  }
}

/** The mark of a journal's file; undefined when there is none, or none that can be read. */
export const readMark = (file: string): Mark | undefined => {
  try {
    const text = readWhole(markPath(file)).trim()
    const at = text.indexOf(' ')
    if (Number(text.slice(0, at)) !== crc32(text.slice(at + 1))) return undefined
    return JSON.parse(text.slice(at + 1)) as Mark
  } catch {
    return undefined
  }
}

/** Whether there was ever a journal at this path, as far as the mark tells. */
export const hasMark = (file: string): boolean => existsSync(markPath(file))

/**
 * Compares a journal with the mark that was read before it.
 * @throws {TenutoError} `STORE_CORRUPT` when it stands before its mark, or is another home's.
 */
export const checkMark = (
  file: string,
  mark: Mark | undefined,
  journal: Head & Readonly<{ home: string; epoch: number }>,
  boot: string,
): void => {
  if (mark === undefined) return
  if (homeRoot(mark.home) !== homeRoot(journal.home))
    throw new TenutoError('STORE_CORRUPT', { path: file, why: 'it is the journal of another home' })
  // Without a sync at each commit a power cut may take the last of them; that was accepted.
  if (!mark.synced && mark.boot !== boot) return
  const isBehind = (['epoch', 'position', 'mail', 'dead'] as const).some((what) => journal[what] < mark[what])
  if (!isBehind) return
  const why = `it stands at step ${journal.position} of epoch ${journal.epoch}, and had come to step ${mark.position} of epoch ${mark.epoch}: its write-ahead log is gone or cut short, or an older copy was put in its place (${goOnFrom(file)})`
  throw new TenutoError('STORE_CORRUPT', { path: file, why })
}
