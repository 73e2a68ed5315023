/** A home that is served over TCP as well, and ways to reach it there as anybody of the machine would. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { onTestFinished } from 'vitest'
import { homePaths } from '../../src/home.ts'
import type { TcpOptions } from '../../src/http/server.ts'
import type { RuntimeOptions } from '../../src/runtime.ts'
import { ask, hold } from './served.ts'

type Asked = Parameters<typeof ask>[2]

/** Holds a home and serves it on its socket and on a port of 127.0.0.1 that was picked. */
export const holdOutside = async (options: RuntimeOptions = {}, more: Partial<TcpOptions> = {}) => {
  const held = await hold(options, undefined, { host: '127.0.0.1', port: 0, ...more })
  const { url } = held.served
  if (url === null) throw new Error('nothing listens')
  const port = Number(new URL(url).port)
  const token = readFileSync(homePaths(held.home).token, 'utf8').trim()
  const bearer = { authorization: `Bearer ${token}` }
  const host = `127.0.0.1:${port}`
  return {
    ...held,
    url,
    port,
    host,
    token,
    bearer,
    /** Asks with the token. */
    ask: (what: string, asked: Asked = {}) =>
      ask(port, what, { ...asked, headers: { ...bearer, ...asked.headers } }),
    /** Asks with what is given alone. */
    askBare: (what: string, asked: Asked = {}) => ask(port, what, asked),
    /** Sends bytes as they are; answers all that comes until the server hangs up. */
    raw: (text: string) => raw(port, text),
    /** A connection on which the test writes itself. */
    dial: () => dial(port),
    /** The same on the socket. */
    dialSocket: () => dial(held.served.path),
    /** A session of a browser: its cookie, as a browser sends it. */
    letIn: async (): Promise<string> => {
      const { url: link } = await held.client.link()
      const { headers } = await ask(port, `GET ${new URL(link).pathname}`)
      return headers['set-cookie']?.[0]?.split(';')[0] ?? ''
    },
  }
}

export type Outside = Awaited<ReturnType<typeof holdOutside>>

const dial = async (at: number | string) => {
  const socket = typeof at === 'string' ? connect(at) : connect(at, '127.0.0.1')
  onTestFinished(() => void socket.destroy())
  let said = ''
  socket.on('error', () => {})
  socket.on('data', (bytes: Buffer) => {
    said += bytes.toString('latin1')
  })
  const closed = new Promise<string>((resolve) => socket.once('close', () => resolve(said)))
  await once(socket, 'connect')
  return { socket, closed, said: () => said }
}

/** Sends bytes as they are to a port of this machine or a socket; answers all that comes until the server hangs up. */
export const raw = async (at: number | string, text: string): Promise<string> => {
  const { socket, closed } = await dial(at)
  socket.write(text, 'latin1')
  return closed
}

/** The status of an answer that came as bytes; 0 when there was none. */
export const statusOf = (said: string): number => Number(/^HTTP\/1\.1 (\d{3}) /.exec(said)?.[1] ?? 0)
