/**
 * Reading the log of an attempt by offset. Offsets are those of the bytes as they were written and never change; where the middle
 * was punched out to bound the disk, a reader gets one line that says how much is missing.
 */
import { constants } from 'node:fs'
import { open, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { FILES, type Range, readHole } from './attempt.ts'
import { codeOf } from './thrown.ts'

/** A piece of a log. */
export type LogChunk = Readonly<{
  bytes: Uint8Array
  /** The offset to read on from. */
  next: number
  /** The size of the log when it was read. `next` reaches it when nothing is left. */
  size: number
}>

/**
 * Reads at most `limit` bytes of a log from `offset`. Inside the hole it gives the one line that stands for it, however small
 * the limit. A log that does not exist is empty.
 */
export const readLog = async (path: string, offset: number, limit: number): Promise<LogChunk> => {
  const file = await openIfThere(path)
  if (file === undefined) return { bytes: new Uint8Array(), next: offset, size: 0 }
  try {
    const { size } = await file.stat()
    const buffer = Buffer.allocUnsafe(Math.max(0, Math.min(limit, size - offset)))
    const { bytesRead } = await file.read(buffer, 0, buffer.length, offset)
    // After the bytes: the hole is recorded before it is punched, so bytes it does not name are as they were written.
    const hole = await readHoleOf(path)
    if (hole !== undefined && offset >= hole.from && offset < hole.to) {
      return { bytes: Buffer.from(holeLine(hole.to - offset)), next: hole.to, size }
    }
    const end =
      hole !== undefined && offset < hole.from ? Math.min(offset + bytesRead, hole.from) : offset + bytesRead
    return { bytes: buffer.subarray(0, end - offset), next: end, size }
  } finally {
    await file.close()
  }
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

const readHoleOf = async (path: string): Promise<Range | undefined> => {
  try {
    return readHole(await readFile(join(dirname(path), FILES.hole), 'utf8'))
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

const humanBytes = (bytes: number): string => {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB']
  const step = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3))
  return step === 0 ? `${bytes} bytes` : `${(bytes / 1000 ** step).toFixed(1)} ${units[step]}`
}
