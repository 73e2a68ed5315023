/**
 * What both ends of the socket know: where things are, and the names of headers.
 */

import { buildName } from '../artefact.ts'
import type { BuildShape } from '../views/shapes.ts'

/** The path all resources are below. */
export const BASE = '/api/v1'

/** The version of the shapes; a client that asks for another gets none. */
export const SCHEMA = '1'

/** A list has at most this many items. */
export const PAGE_MAX = 200

/** One answer has at most this much of a log. */
export const LOG_BYTES_MAX = 1_000_000

/** Names of headers, in lower case as Node gives them. */
export const HEADERS = {
  build: 'x-tenuto-build',
  /** `true` when the build is stale; `/version` says why. */
  stale: 'x-tenuto-build-stale',
  schema: 'x-tenuto-schema',
  acceptSchema: 'accept-schema',
  key: 'idempotency-key',
  replay: 'idempotent-replay',
  lastEvent: 'last-event-id',
  /** The offset to read a log on from. */
  next: 'x-tenuto-next',
  /** The size of the log when it was read. */
  size: 'x-tenuto-size',
  /** `true` when the attempt has ended and `next` is its log's end. */
  end: 'x-tenuto-end',
} as const

/** The header that says in how many seconds to ask again. */
export const RETRY_AFTER = 'retry-after'

/** The media type of streams. */
export const STREAM_TYPE = 'text/event-stream'

/** Who answers, in a few words. */
export const holderName = ({ version, source_hash, dirty }: BuildShape): string =>
  buildName({ version, sourceHash: source_hash, dirty })

/** Part of a list, and what to ask for the next part with; null at the end. */
export type Page<Item> = Readonly<{ items: readonly Item[]; next_cursor: string | null }>
