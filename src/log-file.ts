/**
 * Reading the log of an attempt by offset. Offsets are those of the bytes as they were written and never change; where the middle
 * was punched out to bound the disk, a reader gets one line that says how much is missing.
 */
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { FILES, type Range, readHole } from './attempt.ts'
import { joined, type Masking, masked, masking, SECRET_CHARACTERS_LEAST } from './masking.ts'
import { readRecord } from './record-file.ts'
import { codeOf } from './thrown.ts'

/** A piece of a log. */
export type LogChunk = Readonly<{
  bytes: Uint8Array
  /** The offset to read on from. */
  next: number
  /** The size of the log when it was read. `next` reaches it when nothing is left. */
  size: number
}>

/** How a log is read whose job has secrets. */
export type Masked = Readonly<{
  masking: Masking
  /** Whether nobody writes to it any more. Of one that grows, the beginning of what may become a secret is held back. */
  isOver: boolean
}>

/**
 * Reads at most `limit` bytes of a log from `offset`. Inside the hole it gives the one line that stands for it, however small
 * the limit. A log that does not exist is empty. Masked, what is read piece by piece is what is read at once; a piece may then be empty
 * although `next` goes on.
 */
export const readLog = async (
  path: string,
  offset: number,
  limit: number,
  how: Masked = UNMASKED,
): Promise<LogChunk> => {
  const file = await openIfThere(path)
  if (file === undefined) return { bytes: new Uint8Array(), next: offset, size: 0 }
  try {
    const { size } = await file.stat()
    const { reach } = how.masking
    const first = Math.max(0, offset - reach)
    const buffer = Buffer.allocUnsafe(Math.max(0, Math.min(offset - first + limit + reach, size - first)))
    const { bytesRead } = await file.read(buffer, 0, buffer.length, first)
    // After the bytes: the hole is recorded before it is punched, so bytes it does not name are as they were written.
    const hole = readHoleOf(path)
    if (hole !== undefined && offset >= hole.from && offset < hole.to) {
      return { bytes: Buffer.from(holeLine(hole.to - offset)), next: hole.to, size }
    }
    const isBefore = hole !== undefined && offset < hole.from
    const from = hole === undefined || isBefore ? first : Math.max(first, hole.to)
    const to = isBefore ? Math.min(first + bytesRead, hole.from) : first + bytesRead
    const known = buffer.subarray(from - first, Math.max(from, to) - first)
    const edges = {
      from: from === hole?.to,
      to: to === hole?.from ? 'cut' : to < size ? 'none' : 'end',
    } as const
    const { runs, sure } = hidden(known, from, edges, how)
    const end = Math.max(offset, Math.min(offset + limit, sure))
    const bytes = buffer.subarray(offset - first, Math.max(offset, Math.min(end, to)) - first)
    return { bytes: reach === 0 ? bytes : masked(bytes, offset, runs), next: offset + bytes.length, size }
  } finally {
    await file.close()
  }
}

const UNMASKED: Masked = { masking: masking([]), isOver: true }

/** What lies before and behind some bytes: others that are not known (`cut`), the end of the file, or more of the same. */
type Edges = Readonly<{ from: boolean; to: 'cut' | 'end' | 'none' }>

/** What is to be masked of bytes that begin at an offset, and up to which offset that is sure. */
const hidden = (
  bytes: Uint8Array,
  at: number,
  edges: Edges,
  { masking, isOver }: Masked,
): Readonly<{ runs: ReturnType<Masking['runs']>; sure: number }> => {
  const end = at + bytes.length
  if (masking.reach === 0) return { runs: [], sure: end }
  const found = masking.runs(bytes).map(({ from, to }) => ({ from: at + from, to: at + to }))
  // Half of a secret is shown where the other half is gone, unless that is as much as a secret needs.
  const before = edges.from ? masking.ending(bytes) : 0
  if (before >= SECRET_CHARACTERS_LEAST) found.push({ from: at, to: at + before })
  const behind = edges.to === 'none' ? 0 : masking.begun(bytes)
  if (edges.to === 'end' && !isOver) return { runs: joined(found), sure: end - behind }
  if (behind >= SECRET_CHARACTERS_LEAST) found.push({ from: end - behind, to: end })
  return { runs: joined(found), sure: end }
}

/** The line that stands for bytes that were left out. */
export const holeLine = (bytes: number): string => `\n[tenuto: ${humanBytes(bytes)} left out here]\n`

/** Without waiting for a writer, should a job have put a pipe in the place of its log. */
const openIfThere = async (path: string) => {
  try {
    return await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

const readHoleOf = (path: string): Range | undefined =>
  readHole(readRecord(join(dirname(path), FILES.hole)) ?? '')

const humanBytes = (bytes: number): string => {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB']
  const step = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3))
  return step === 0 ? `${bytes} bytes` : `${(bytes / 1000 ** step).toFixed(1)} ${units[step]}`
}
