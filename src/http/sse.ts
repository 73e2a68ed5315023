/**
 * Server-sent events as text: what a stream of the API is made of.
 */

/** One event of a stream. `data` is one line. */
export type Frame = Readonly<{ id?: string; event?: string; data: string }>

/** What a stream begins with: a comment, so that its headers leave at once. */
export const OPENING = ':\n\n'

/** An event longer than this ends its stream. */
export const FRAME_CHARACTERS_MAX = 1_000_000

/** An event as text. */
export const frameText = ({ id, event, data }: Frame): string =>
  `${id === undefined ? '' : `id: ${id}\n`}${event === undefined ? '' : `event: ${event}\n`}data: ${data}\n\n`

/**
 * The events of a text that comes in pieces. Half an event at the end is dropped.
 * @throws {RangeError} when an event is longer than `FRAME_CHARACTERS_MAX`.
 */
export async function* frames(pieces: AsyncIterable<string>): AsyncGenerator<Frame> {
  let rest = ''
  for await (const piece of pieces) {
    const blocks = (rest + piece).split('\n\n')
    rest = blocks.pop() ?? ''
    if (rest.length > FRAME_CHARACTERS_MAX) throw new RangeError('an event of a stream has no end')
    for (const block of blocks) {
      const frame = frameOf(block)
      if (frame) yield frame
    }
  }
}

/** Undefined for a block without data, as a comment is. */
const frameOf = (block: string): Frame | undefined => {
  const found = new Map<string, string>()
  for (const line of block.split('\n')) {
    const colon = line.indexOf(':')
    if (colon > 0) found.set(line.slice(0, colon), line.slice(colon + 1).replace(/^ /, ''))
  }
  const [id, event, data] = ['id', 'event', 'data'].map((name) => found.get(name))
  if (data === undefined) return undefined
  return { ...(id === undefined ? {} : { id }), ...(event === undefined ? {} : { event }), data }
}
