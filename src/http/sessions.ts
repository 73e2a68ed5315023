/**
 * Sessions of browsers: a link that works once lets one in, and a cookie keeps it in until the daemon ends. Nothing of them is on disk,
 * and of each secret only a hash is kept.
 */
import type { Clock } from '../clock.ts'
import { LINK_MS, LINKS_MAX, SESSIONS_MAX } from './limits.ts'
import { digest, drawSecret } from './token.ts'

/** A browser that was let in. */
export type Session = Readonly<{
  /** Names it in what is recorded; it lets nobody in. */
  id: string
  /** Aborted when it has made room for a later one: what goes on for it ends, too. */
  ended: AbortSignal
}>

/** The sessions of a daemon, and the links that lead to one. */
export type Sessions = Readonly<{
  /** A link that works once, within `LINK_MS`. */
  draw: () => Readonly<{ link: string; expiresAt: number }>
  /** What a link is exchanged for: a session, and the value of its cookie. Undefined when it is none, was used, or is too old. */
  exchange: (link: string) => Readonly<{ cookie: string; session: Session }> | undefined
  /** The session a cookie belongs to; undefined for one that was made up, or that has ended. */
  of: (cookie: string) => Session | undefined
}>

/** No session yet. */
export const sessions = (clock: Clock): Sessions => {
  const links = new Map<string, number>()
  const open = new Map<string, Session & Readonly<{ end: () => void }>>()
  return {
    draw: () => {
      const link = drawSecret()
      dropFirst(links, LINKS_MAX)
      links.set(keyOf(link), clock.monotonic() + LINK_MS)
      return { link, expiresAt: clock.now() + LINK_MS }
    },
    exchange: (link) => {
      const key = keyOf(link)
      const until = links.get(key)
      links.delete(key)
      if (until === undefined || clock.monotonic() > until) return undefined
      const cookie = drawSecret()
      for (const { end } of dropFirst(open, SESSIONS_MAX)) end()
      const kept = keyOf(cookie)
      const ending = new AbortController()
      const session = { id: kept.slice(0, ID_CHARACTERS), ended: ending.signal, end: () => ending.abort() }
      open.set(kept, session)
      return { cookie, session }
    },
    of: (cookie) => open.get(keyOf(cookie)),
  }
}

const ID_CHARACTERS = 8
const keyOf = (secret: string): string => digest(secret).toString('hex')

/** Makes room for one more; answers what had to go. */
const dropFirst = <Kept>(map: Map<string, Kept>, most: number): readonly Kept[] => {
  const gone: Kept[] = []
  for (const [key, kept] of map) {
    if (map.size < most) break
    map.delete(key)
    gone.push(kept)
  }
  return gone
}
