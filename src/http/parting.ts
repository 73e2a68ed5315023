/**
 * Hanging up on a client that still sends, as one whose body is refused unread. A socket that is closed while bytes wait on it resets its
 * connection, and a client that writes to the end before it reads finds that in the place of its answer. So the answer is followed by the
 * end of our side alone; what comes after it is read and dropped, up to a bound, and then all of it is closed (RFC 9112, 9.6).
 */
import type { Server } from 'node:http'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { systemClock } from '../clock.ts'
import { PARTING_BYTES_MAX, PARTING_LOOK_MS, PARTING_MS } from './limits.ts'

/** Parts in this way, from now on, from every client of a server of whom `isSending` says that it has not sent all that it began. */
export const partFrom = (server: Server, isSending: (socket: Duplex) => boolean): void => {
  server.prependListener('connection', (socket: Socket) => {
    const close = socket.destroySoon.bind(socket)
    // What Node calls behind an answer with which a connection ends.
    socket.destroySoon = (): void => {
      if (isSending(socket)) part(socket)
      else close()
    }
  })
}

/** Whether a connection has had its last answer: what comes on it is asked of nobody. */
export const isParting = (socket: Duplex): boolean => PARTING.has(socket)

/** Ends a connection that has had its last answer, once its client has taken that, or sends no more. */
export const part = (socket: Duplex, last?: string): void => {
  if (PARTING.has(socket)) return
  PARTING.add(socket)
  const read = (): number => (socket instanceof Socket ? socket.bytesRead : 0)
  const before = read()
  const until = systemClock.monotonic() + PARTING_MS
  let cancel = (): void => {}
  const look = (): void => {
    if (systemClock.monotonic() >= until || read() - before > PARTING_BYTES_MAX) socket.destroy()
    else cancel = systemClock.setTimeout(look, PARTING_LOOK_MS)
  }
  socket.once('close', () => cancel())
  socket.once('end', () => socket.destroy())
  socket.end(last)
  look()
}

const PARTING = new WeakSet<Duplex>()
