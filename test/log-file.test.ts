import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { FILES } from '../src/attempt.ts'
import { holeLine, readLog } from '../src/log-file.ts'

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
