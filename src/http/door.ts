/**
 * The door of a home: its socket, made in the place of one that a dead holder left, and made again where somebody removes it.
 */
import { chmodSync, lstatSync, rmSync } from 'node:fs'
import type { Server } from 'node:net'
import { systemClock } from '../clock.ts'
import { TenutoError } from '../errors.ts'
import { hasNoRoom } from '../thrown.ts'

/** How often it is looked whether the socket is there. */
const LOOK_MS = 1_000

/**
 * Makes room for the socket. Nobody else can be listening there: the home is ours.
 * @throws {TenutoError} `SOCKET_UNMADE` when what is in its place is no file; `STORE_FULL`.
 */
export const clearPlace = (path: string): void => {
  try {
    const isFolder = lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true
    if (isFolder) throw new TenutoError('SOCKET_UNMADE', { path, why: 'a folder is in its place' })
    rmSync(path, { force: true })
  } catch (error) {
    throw unmade(path, error)
  }
}

/** Why a socket could not be made, as an error of the table. */
export const unmade = (path: string, error: unknown): TenutoError => {
  if (error instanceof TenutoError) return error
  const why = (error as Error).message
  return new TenutoError(hasNoRoom(error) ? 'STORE_FULL' : 'SOCKET_UNMADE', { path, why }, error)
}

/** What is told of a door. */
export type DoorNews = Readonly<{
  /** Whether the home is still ours, and its socket where it belongs. */
  isOurs: () => boolean
  /** Told when the socket has been made again, and once when it cannot be. */
  tell: (error: TenutoError | null) => void
}>

/** Keeps the socket of a server that listens there, closed to others; answers how to look no more. */
export const keepDoor = (server: Server, path: string, { isOurs, tell }: DoorNews): (() => void) => {
  chmodSync(path, 0o600)
  let inode = inodeOf(path)
  let why = ''
  const failed = (error: unknown): void => {
    const known = unmade(path, error)
    if (known.message !== why) tell(known)
    why = known.message
  }
  const made = (): void => {
    try {
      chmodSync(path, 0o600)
      inode = inodeOf(path)
      why = ''
      tell(null)
    } catch (error) {
      failed(error)
    }
  }
  const look = (): void => {
    cancel = systemClock.setTimeout(look, LOOK_MS)
    if (inodeOf(path) === inode || !isOurs()) return
    try {
      clearPlace(path)
      // Who is connected stays; only the door is another.
      server.close()
      server.listen(path)
    } catch (error) {
      failed(error)
    }
  }
  server.on('listening', made)
  server.on('error', failed)
  let cancel = systemClock.setTimeout(look, LOOK_MS)
  return () => {
    cancel()
    server.off('listening', made)
  }
}

/** Undefined where there is nothing, or nothing that can be seen. */
const inodeOf = (path: string): number | undefined => {
  try {
    return lstatSync(path, { throwIfNoEntry: false })?.ino
  } catch {
    return undefined
  }
}
