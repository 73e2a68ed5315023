/**
 * Unix sockets of a home, and lines of JSON on them.
 */
import { createHash } from 'node:crypto'
import { lstatSync, mkdirSync, realpathSync } from 'node:fs'
import type { Socket } from 'node:net'
import { join, resolve } from 'node:path'

/** The longest path a socket may have; Linux allows 107 bytes, macOS 103. */
export const SOCKET_PATH_BYTES_MAX = 100

/** A line longer than this ends its connection. */
export const LINE_CHARACTERS_MAX = 64_000_000

/**
 * Where the socket `name` of a home lies: in the home, or, where that path is too long for a socket, in a folder of this user
 * below `/tmp`, which it makes. The same for everybody, whatever their `TMPDIR` and by whatever link they reached the home.
 * @throws {Error} when that folder belongs to somebody else or is open to others.
 */
export const socketPath = (home: string, name: string): string => {
  const real = realPath(home)
  const direct = join(real, name)
  if (Buffer.byteLength(direct) <= SOCKET_PATH_BYTES_MAX) return direct
  const user = process.getuid?.() ?? 0
  const folder = `/tmp/tenuto-${user}`
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const { uid, mode } = lstatSync(folder)
  if (uid !== user || (mode & 0o170077) !== 0o040000) {
    throw new Error(
      `${folder} must be a folder of user ${user} that is closed to others; remove it or choose a shorter home`,
    )
  }
  return join(folder, `${createHash('sha256').update(real).digest('hex').slice(0, 24)}-${name}`)
}

const realPath = (home: string): string => {
  try {
    return realpathSync(home)
  } catch {
    return resolve(home)
  }
}

/**
 * Calls `take` with every whole line that comes, without its newline.
 * A line past `charactersMax` destroys the socket.
 */
export const onLines = (
  socket: Socket,
  take: (line: string) => void,
  charactersMax = LINE_CHARACTERS_MAX,
): void => {
  let rest = ''
  socket.setEncoding('utf8')
  socket.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) take(line)
    if (rest.length > charactersMax) socket.destroy(new Error('a line without an end'))
  })
}

/** Sends messages as lines of JSON, in order; what is sent within one turn of the event loop goes out in one write. */
export const lineSender = (socket: Socket): ((message: unknown) => void) => {
  let lines: string[] = []
  const flush = () => {
    const text = lines.join('')
    lines = []
    if (socket.writable) socket.write(text)
  }
  return (message) => {
    if (lines.length === 0) setImmediate(flush)
    lines.push(`${JSON.stringify(message)}\n`)
  }
}
