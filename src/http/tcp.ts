/**
 * The listener on TCP: where it may listen, under which names it is asked, and how long it waits for a client.
 */
import { createServer, isIPv4 } from 'node:net'
import { hostname, networkInterfaces } from 'node:os'
import { TenutoError } from '../errors.ts'
import type { TcpLimits } from './limits.ts'
import { HTTP_OPTIONS } from './unread.ts'

/** Where to listen. */
export type TcpPlace = Readonly<{ host: string; port: number }>

/** Where a daemon listens unless it is told otherwise. */
export const TCP_PLACE: TcpPlace = { host: '127.0.0.1', port: 7717 }

/** Whether only this machine can reach it. A spelling that is not plainly of this machine is not. */
export const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'))

/**
 * Refuses a place that is taken, or that is no place of this machine, without keeping it.
 * @throws {TenutoError} `PORT_UNUSABLE`.
 */
export const checkPlace = (place: TcpPlace): Promise<void> =>
  new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', (error) => reject(unusable(place, error)))
    probe.listen({ ...bound(place), exclusive: true }, () => probe.close(() => resolve()))
  })

/** A place as it is bound: `localhost` never depends on what somebody wrote for it. */
export const bound = ({ host, port }: TcpPlace): TcpPlace => ({
  host: host === 'localhost' ? '127.0.0.1' : host,
  port,
})

/** Why nobody can listen there. */
export const unusable = ({ host, port }: TcpPlace, error: unknown): TenutoError => {
  const { code, message } = error as NodeJS.ErrnoException
  const why = code === 'EADDRINUSE' ? 'another process listens there' : message
  return new TenutoError('PORT_UNUSABLE', { place: authority(host, port), why }, error)
}

/** Whether that is every address of this machine. */
export const isAnyAddress = (host: string): boolean => host === '0.0.0.0' || host === '::'

/** Host and port as a URL has them. */
export const authority = (host: string, port: number): string =>
  `${host.includes(':') ? `[${host}]` : host}:${port}`

/**
 * The values of `Host` under which a server there is asked. One that listens on every address has all that this machine has now, and
 * its name.
 */
export const hostsOf = (host: string, port: number): ReadonlySet<string> => {
  const isAny = isAnyAddress(host)
  const addresses = Object.values(networkInterfaces()).flatMap((each) => each ?? [])
  const more = isAny ? [hostname(), ...addresses.map(({ address }) => address)] : [host]
  const local = isLoopback(host) || isAny ? ['127.0.0.1', 'localhost', '::1'] : []
  const names = [...local, ...more].map((name) => authority(name, port))
  // A browser leaves the port of the web out.
  return new Set(port === 80 ? names.flatMap((name) => [name, name.slice(0, -3)]) : names)
}

/** What Node is told of the limits of a connection. */
export const connectionOptions = ({ headersMs, requestMs, idleMs, keepAliveMs }: TcpLimits) => ({
  http: {
    ...HTTP_OPTIONS,
    headersTimeout: headersMs,
    requestTimeout: requestMs,
    connectionsCheckingInterval: Math.min(headersMs, LOOK_MS),
    // A client whose machine has gone is noticed.
    keepAlive: true,
    keepAliveInitialDelay: LOOK_MS,
  },
  requestTimeout: requestMs,
  connectionTimeout: idleMs,
  keepAliveTimeout: keepAliveMs,
})

const LOOK_MS = 5_000
