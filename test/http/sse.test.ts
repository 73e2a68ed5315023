import { expect, test } from 'vitest'
import { FRAME_CHARACTERS_MAX, type Frame, frames, frameText, OPENING } from '../../src/http/sse.ts'
import { seededRandom } from '../../src/ids.ts'

async function* inPieces(text: string, lengthOf: () => number): AsyncGenerator<string> {
  for (let at = 0; at < text.length; ) {
    const length = lengthOf()
    yield text.slice(at, at + length)
    at += length
  }
}

const read = async (pieces: AsyncIterable<string>): Promise<Frame[]> => {
  const found: Frame[] = []
  for await (const frame of frames(pieces)) found.push(frame)
  return found
}

test('events come out as they went in, however their text is cut', async () => {
  const seed = Math.floor(Math.random() * 2 ** 31)
  const random = seededRandom(seed)
  const sent: Frame[] = [
    { data: '{"a": "b: c"}' },
    { id: '7', data: '' },
    { id: '8', event: 'chunk', data: 'aGk=' },
    { event: 'end', data: ' a space before, and an ü' },
  ]
  const text = OPENING + sent.map(frameText).join(OPENING)

  for (let round = 0; round < 200; round += 1) {
    expect(await read(inPieces(text, () => 1 + Math.floor(random() * 9))), `seed ${seed}`).toEqual(sent)
  }
})

test('half an event is none; one without an end is refused', async () => {
  const whole = frameText({ data: 'whole' })

  expect(await read(inPieces(`${whole}data: ha`, () => 3))).toEqual([{ data: 'whole' }])
  await expect(read(inPieces('x'.repeat(FRAME_CHARACTERS_MAX + 10), () => 100_000))).rejects.toThrow(
    RangeError,
  )
})
