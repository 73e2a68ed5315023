/**
 * Whether the files of an open journal are where they were opened. One that is removed, or replaced by another, stays open for whoever
 * writes it: all seems to go on, and with the process goes everything that was written since.
 */
import { type Stats, statSync } from 'node:fs'
import { isStill } from '../home-place.ts'
import type { Displaced } from './journal.ts'

/** Keeps the files of a journal in sight, which its connections have open, so that their numbers are given to no others. */
export const journalPlace = (file: string): (() => Displaced | null) => {
  const place = placeOf(file)
  const beside = [placeOf(`${file}-wal`), placeOf(`${file}-shm`)]
  return () => {
    if (!place()) return 'file'
    return beside.every((isThere) => isThere()) ? null : 'log'
  }
}

/** Whether what is at a path now still is; what cannot be looked at is there. */
const placeOf = (path: string): (() => boolean) => {
  const was = look(path)
  return () => was === undefined || isStill(path, was)
}

const look = (path: string): Stats | undefined => {
  try {
    return statSync(path)
  } catch {
    return undefined
  }
}
