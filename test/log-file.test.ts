import { execFileSync } from 'node:child_process'
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { FILES } from '../src/attempt.ts'
import { holeLine, readLog } from '../src/log-file.ts'
import { masking } from '../src/masking.ts'

const logOf = (text: string, hole?: { from: number; to: number }): string => {
  const dir = mkdtempSync(join(tmpdir(), 'tenuto-'))
  onTestFinished(() => rmSync(dir, { recursive: true }))
  writeFileSync(join(dir, FILES.log), text)
  if (hole !== undefined) writeFileSync(join(dir, FILES.hole), JSON.stringify(hole))
  return join(dir, FILES.log)
}

const readAll = async (path: string, limit: number): Promise<readonly [number, string][]> => {
  const chunks: [number, string][] = []
  for (let offset = 0; ; ) {
    const { bytes, next, size } = await readLog(path, offset, limit)
    if (next === offset) return chunks
    chunks.push([offset, Buffer.from(bytes).toString()])
    offset = next
    expect(next).toBeLessThanOrEqual(size)
  }
}

test('a log is read by offset, in pieces of any size', async () => {
  const path = logOf('0123456789')

  expect(await readAll(path, 4)).toEqual([
    [0, '0123'],
    [4, '4567'],
    [8, '89'],
  ])
  expect(await readLog(path, 10, 5)).toMatchObject({ next: 10, size: 10 })
  expect((await readLog(path, 50, 5)).next).toBe(50)
})

test('the hole reads as one line, and offsets go on behind it', async () => {
  const path = logOf(`head${'\0'.repeat(2_000)}tail`, { from: 4, to: 2_004 })

  expect(await readAll(path, 1_000)).toEqual([
    [0, 'head'],
    [4, '\n[tenuto: 2.0 kB left out here]\n'],
    [2_004, 'tail'],
  ])
  // A reader whom the hole overtook.
  expect(Buffer.from((await readLog(path, 1_004, 1)).bytes).toString()).toBe(holeLine(1_000))
})

test('the line of the hole says how much is missing', () => {
  expect([holeLine(1), holeLine(1_900_000_000), holeLine(999_000_000)]).toEqual([
    '\n[tenuto: 1 bytes left out here]\n',
    '\n[tenuto: 1.9 GB left out here]\n',
    '\n[tenuto: 999.0 MB left out here]\n',
  ])
})

test('a log that does not exist is empty; one that is a pipe is not waited for', async () => {
  const path = logOf('')
  rmSync(path)
  expect(await readLog(path, 0, 10)).toEqual({ bytes: new Uint8Array(), next: 0, size: 0 })

  execFileSync('mkfifo', [path])
  expect((await readLog(path, 0, 10)).bytes).toHaveLength(0)
})

test('a pipe in the place of what says which bytes were left out is not waited for', async () => {
  const path = logOf('abc')
  execFileSync('mkfifo', [join(dirname(path), FILES.hole)])

  expect(Buffer.from((await readLog(path, 0, 10)).bytes).toString()).toBe('abc')
})

const SECRET = 'hunter22-the-second'
const MASKING = masking([SECRET])
const maskedAll = async (path: string, limit: number, isOver = true): Promise<string> => {
  const parts: Uint8Array[] = []
  for (let offset = 0; ; ) {
    const { bytes, next } = await readLog(path, offset, limit, { masking: MASKING, isOver })
    if (next === offset) return Buffer.concat(parts).toString()
    parts.push(bytes)
    offset = next
  }
}

test('a masked log is the same read at once and in pieces, wherever they are cut', async () => {
  const path = logOf(`one ${SECRET}${SECRET} two\n${'x'.repeat(70)}${SECRET}\nthree\n`)

  const whole = `one *** two\n${'x'.repeat(70)}***\nthree\n`
  for (let limit = 1; limit < 60; limit += 1) expect(await maskedAll(path, limit)).toBe(whole)
  expect(await maskedAll(path, 1_000)).toBe(whole)
})

test('offsets of a masked log are those of the bytes that were written', async () => {
  const path = logOf(`a ${SECRET} b`)
  const how = { masking: MASKING, isOver: true }

  expect(await readLog(path, 0, 100, how)).toMatchObject({ next: SECRET.length + 4, size: SECRET.length + 4 })
  expect(Buffer.from((await readLog(path, 5, 100, how)).bytes).toString()).toBe(' b')
  expect(Buffer.from((await readLog(path, SECRET.length + 2, 100, how)).bytes).toString()).toBe(' b')
})

test('of a log that grows, what may become a secret is held back until it is one, or is none', async () => {
  const path = logOf(`waiting ${SECRET.slice(0, 9)}`)
  const how = { masking: MASKING, isOver: false }

  const first = await readLog(path, 0, 100, how)
  appendFileSync(path, SECRET.slice(9))
  const second = await readLog(path, first.next, 100, how)
  appendFileSync(path, ` ${SECRET.slice(0, 4)}`)
  const third = await readLog(path, second.next, 100, how)
  appendFileSync(path, 'er\n')
  const fourth = await readLog(path, third.next, 100, how)

  const texts = [first, second, third, fourth].map(({ bytes }) => Buffer.from(bytes).toString())
  expect(texts).toEqual(['waiting ', '***', ' ', 'hunter\n'])
  expect(fourth.next).toBe(fourth.size)
})

test('what is left of a secret that was cut off, by its end or by the hole, is masked too', async () => {
  const cut = logOf(`left ${SECRET.slice(0, 12)}`)
  const short = logOf(`left ${SECRET.slice(0, 3)}`)
  const head = `head ${SECRET.slice(0, 10)}`
  const hole = { from: head.length, to: head.length + 2_000 }
  const holed = logOf(`${head}${'\0'.repeat(2_000)}${SECRET.slice(10)} tail`, hole)

  expect(await maskedAll(cut, 100)).toBe('left ***')
  expect(await maskedAll(short, 100)).toBe('left hun')
  expect(await maskedAll(holed, 5)).toBe(`head ***${holeLine(2_000)}*** tail`)
})

test('a secret in base64 is masked the same in pieces, as it grows, and where the hole cut it', async () => {
  for (const before of ['', 'u', 'us']) {
    for (const behind of ['', '\n', 'xy']) {
      const base64 = Buffer.from(`${before}${SECRET}${behind}`).toString('base64')
      const written = `one ${base64}\n${'-'.repeat(40)} two\n`
      const whole = MASKING.text(written)
      const path = logOf(written)
      for (const limit of [1, 2, 3, 7, 31]) expect(await maskedAll(path, limit)).toBe(whole)

      const growing = logOf('')
      const how = { masking: MASKING, isOver: false }
      const parts: Uint8Array[] = []
      let offset = 0
      for (const letter of written) {
        appendFileSync(growing, letter)
        const { bytes, next } = await readLog(growing, offset, 100, how)
        parts.push(bytes)
        offset = next
      }
      expect(offset).toBe(written.length)
      expect(Buffer.concat(parts).toString()).toBe(whole)
    }
  }
  const basic = Buffer.from(`user:${SECRET}`).toString('base64')
  const [from, to] = [18, 18 + 2_000]
  const holed = logOf(`${basic.slice(0, from)}${'\0'.repeat(to - from)}${basic.slice(from)}`, { from, to })
  expect(await maskedAll(holed, 5)).toBe(`dXNlcj***${holeLine(2_000)}***`)
})
