/**
 * The daemon's side of the door: one daemon at a time, the one with the highest epoch.
 */
import { createServer, type Server, type Socket } from 'node:net'
import { type FromRunner, PROTOCOL_VERSION, readToRunner, type ToRunner } from '../protocol.ts'
import { lineSender, onLines } from '../socket.ts'

/** A daemon that reads nothing is dropped when so much waits for it; it asks again for what it missed. */
const UNREAD_BYTES_MAX = 16_000_000

/** What the door needs. */
export type Ports = Readonly<{
  /** Who answers, for the welcome. */
  build: string
  /** What a daemon asks for; `answer` reaches the daemon in command then. */
  take: (request: Exclude<ToRunner, { type: 'hello' }>, answer: (message: FromRunner) => void) => void
  /** A daemon came or went. */
  changed: () => void
  log: (message: string) => void
}>

/** The door of a runner. */
export type Connections = Readonly<{
  server: Server
  /** To the daemon in command; dropped when there is none, for the files say it too. */
  tell: (message: FromRunner) => void
  /** The highest epoch that ever said hello; 0 before the first. */
  epoch: () => number
  isConnected: () => boolean
}>

type Daemon = Readonly<{ socket: Socket; send: (message: FromRunner) => void }>

/** Makes the door; the caller lets it listen. */
export const openDoor = (ports: Ports): Connections => {
  let epoch = 0
  let current: Daemon | undefined

  const refuse = (daemon: Daemon, why: 'epoch' | 'protocol', message: string): void => {
    daemon.send({ type: 'refused', why, message, v: PROTOCOL_VERSION, build: ports.build })
    // After the lines of this turn are out.
    setImmediate(() => daemon.socket.end())
  }

  const hello = (daemon: Daemon, said: Extract<ToRunner, { type: 'hello' }>): void => {
    if (said.v !== PROTOCOL_VERSION) {
      return refuse(daemon, 'protocol', `this runner speaks protocol ${PROTOCOL_VERSION}, not ${said.v}`)
    }
    if (said.epoch < epoch) {
      return refuse(
        daemon,
        'epoch',
        `a daemon with epoch ${epoch} is in command; epoch ${said.epoch} is older`,
      )
    }
    if (current !== undefined) refuse(current, 'epoch', `a daemon with epoch ${said.epoch} has taken over`)
    epoch = said.epoch
    current = daemon
    daemon.send({ type: 'welcome', v: PROTOCOL_VERSION, pid: process.pid, build: ports.build })
    ports.changed()
  }

  const take = (daemon: Daemon, line: string): void => {
    const request = readToRunner(line)
    if (request === undefined) return ports.log(`not understood: ${line.slice(0, 200)}`)
    if (request.type === 'hello') return hello(daemon, request)
    if (daemon === current) ports.take(request, tell)
  }

  const tell = (message: FromRunner): void => {
    if (current === undefined) return
    if (current.socket.writableLength > UNREAD_BYTES_MAX) current.socket.destroy()
    else current.send(message)
  }

  const server = createServer((socket) => {
    const daemon: Daemon = { socket, send: lineSender(socket) }
    onLines(socket, (line) => take(daemon, line))
    socket.on('error', (error) => ports.log(`connection: ${error.message}`))
    socket.on('close', () => {
      if (current === daemon) current = undefined
      ports.changed()
    })
  })
  return { server, tell, epoch: () => epoch, isConnected: () => current !== undefined }
}
