/**
 * Where a daemon is reached over TCP: the flags that say so, and how it is told.
 */
import { lookAtHolder } from '../audit/holder.ts'
import { TenutoError } from '../errors.ts'
import { readHolder } from '../holder.ts'
import { homePaths } from '../home.ts'
import { checkPlace, isLoopback, TCP_PLACE, type TcpPlace } from '../http/tcp.ts'
import { checkToken } from '../http/token.ts'
import { homeFlag } from './home.ts'
import type { Globals, Screen } from './screen.ts'

/** The flags of `up` that say where. */
export type TcpFlags = Readonly<{ port?: string; host?: string; allowRemote?: boolean }>

/**
 * Where the flags say that the API listens.
 * @throws {TenutoError} `USAGE` when that is no place; `NOT_ALLOWED` when other machines could reach it and nobody said so.
 */
export const tcpOf = ({
  port = String(TCP_PLACE.port),
  host = TCP_PLACE.host,
  ...more
}: TcpFlags): TcpPlace => {
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535)
    throw new TenutoError('USAGE', { what: `--port ${port}: a port is a whole number from 0 to 65535` })
  if (!/^[\w.:-]{1,253}$/.test(host))
    throw new TenutoError('USAGE', {
      what: `--host ${host} is no host: it takes an address, as ::1, or a name, without a port`,
    })
  if (!isLoopback(host) && !more.allowRemote)
    throw new TenutoError('NOT_ALLOWED', {
      what: `--host ${host} lets other machines reach the API, and nothing is encrypted on the way`,
      remedy:
        'leave it out and come in by ssh (`ssh -L 7717:127.0.0.1:7717`), or say `--allow-remote` where the network is trusted',
    })
  return { host, port: Number(port) }
}

/** The same flags once more. */
export const tcpArguments = ({ port, host, allowRemote }: TcpFlags): readonly string[] => [
  ...(port === undefined ? [] : ['--port', port]),
  ...(host === undefined ? [] : ['--host', host]),
  ...(allowRemote ? ['--allow-remote'] : []),
]

/**
 * Finds out what is in the way before a home is held and its plans are taken up. A home that is held says that itself.
 * @throws {TenutoError} `PORT_UNUSABLE`; `NOT_ALLOWED` when its token is not kept well.
 */
export const checkTcp = async (home: string, place: TcpPlace): Promise<void> => {
  if (lookAtHolder(home).held) return
  checkToken(homePaths(home).token)
  await checkPlace(place)
}

/** Where a holder is reached over TCP, as it says; null where it is not. */
export const urlOf = (home: string, pid: number): string | null => {
  const holder = readHolder(homePaths(home).daemon)
  return holder?.pid === pid ? (holder.url ?? null) : null
}

/** Says where the API is and how a browser gets in. */
export const tellOfUrl = (url: string | null, flags: Globals & TcpFlags, on: Pick<Screen, 'talk'>): void => {
  if (url === null) return
  on.talk(`API at ${url}; for a browser: tenuto open${homeFlag(flags)}`)
  if (flags.allowRemote) on.talk('warning: other machines may reach it, and nothing is encrypted on the way')
}
