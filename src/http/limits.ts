/**
 * What one server grants, and to whom no more: every bound of the API over TCP, and those it shares with the socket.
 */

/** A body has at most so many bytes; a longer one is refused unread. */
export const BODY_BYTES_MAX = 5_000_000

/** But a plan on the socket, where `tenuto run` brings what it has read of a file, and only the user of the home is heard. */
export const PLAN_BYTES_MAX = 100_000_000

/** All headers of one request together; longer ones are answered 431. */
export const HEADER_BYTES_MAX = 16_384

/** A name in a path, percent-encoded; a job's has at most 64 characters and what a compiler adds. */
export const PARAM_CHARACTERS_MAX = 3_000

/** Connections to the socket at once; the next one is turned away. */
export const SOCKET_CONNECTIONS_MAX = 256

/** Who is answered before all was sent is listened to for so long, and so many bytes, before the connection is closed. */
export const PARTING_MS = 2_000
export const PARTING_BYTES_MAX = 2 * PLAN_BYTES_MAX

/** How often it is looked how much that is. */
export const PARTING_LOOK_MS = 50

/** Failed authentications of one source within a minute that are answered at once. */
export const FAILURES_FREE = 20

/** How long each further answer to such a source is put off. */
export const FAILURE_DELAY_MS = 1_000

/** Answers that are put off at once; what fails beyond them is turned away with 429, so that they hold few connections. */
export const DELAYED_MAX = 32

/** Sources whose failures are remembered; the one heard of longest ago is forgotten first. */
export const SOURCES_MAX = 1_024

/** How long a link that `tenuto open` made can be used. */
export const LINK_MS = 60_000

/** Links that nobody has used yet; a further one takes the place of the oldest. */
export const LINKS_MAX = 16

/** Sessions of browsers; a further one ends the oldest. */
export const SESSIONS_MAX = 64

/** Streams open at once, on both listeners. */
export const STREAMS_MAX = 1_024

/** Streams open at once of one session of a browser. */
export const SESSION_STREAMS_MAX = 64

/** What a listener on TCP grants a connection. */
export type TcpLimits = Readonly<{
  /** Connections at once; the next one is turned away. Streams and ordinary requests fit in together. */
  connectionsMax: number
  /** The headers of a request are there within this after its connection or the request before, or it is closed. */
  headersMs: number
  /** A whole request is there within this. */
  requestMs: number
  /** A connection on which nothing moves for so long is closed; also that of a stream whose client does not read. */
  idleMs: number
  /** A connection without a request is kept for so long after an answer. */
  keepAliveMs: number
}>

/** The limits of a daemon. */
export const TCP_LIMITS: TcpLimits = {
  connectionsMax: 2_048,
  headersMs: 15_000,
  requestMs: 60_000,
  idleMs: 300_000,
  keepAliveMs: 72_000,
}

/** How often a stream says that it is there, so that one whose client reads is never idle. */
export const HEARTBEAT_MS = 60_000
