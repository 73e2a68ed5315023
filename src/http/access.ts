/**
 * How others than the socket's clients reach a home: its address, its token and its sessions, together.
 */
import type { Clock } from '../clock.ts'
import { type Entrance, tcpEntrance } from './entrance.ts'
import { type Sessions, sessions } from './sessions.ts'
import { authority, hostsOf, isAnyAddress } from './tcp.ts'
import { tokenOf } from './token.ts'

/** The access to a home over TCP. */
export type Access = Readonly<{
  entrance: Entrance
  sessions: Sessions
  /** The name of the cookie. It has the port in it, since cookies know none. */
  cookie: () => string
  /** Null before it listens. */
  url: () => string | null
  /** Where it listens. Nobody is let in before. */
  listens: (host: string, port: number) => void
}>

/**
 * Access by the token in a file, which it makes where there is none.
 * @throws {TenutoError} `NOT_ALLOWED` when that is not kept well.
 */
export const access = (tokenFile: string, clock: Clock): Access => {
  let hosts: ReadonlySet<string> = new Set()
  let place: Readonly<{ url: string; port: number }> | null = null
  const open = sessions(clock)
  const cookie = (): string => `tenuto-${place?.port ?? 0}`
  return {
    entrance: tcpEntrance({ clock, isToken: tokenOf(tokenFile), sessions: open, hosts: () => hosts, cookie }),
    sessions: open,
    cookie,
    url: () => place?.url ?? null,
    listens: (host, port) => {
      hosts = hostsOf(host, port)
      // A server on every address is also on this one.
      place = { url: `http://${authority(isAnyAddress(host) ? '127.0.0.1' : host, port)}`, port }
    },
  }
}
