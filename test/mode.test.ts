/**
 * The mode of a home. Mutations that were planted once, and each found: a mode that is put in force before it is written; an order for
 * ever that ends with a stop; a file that cannot be read taken for none.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { type Modes, modeInWords, modes, readMode } from '../src/mode.ts'

const AT = Date.parse('2026-01-01T00:00:00Z')
const place = () => {
  const folder = mkdtempSync(join(tmpdir(), 'tenuto-mode-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'mode.json')
  return { file, open: (): Modes => modes(file, { now: () => AT }) }
}

test('an order is on the disk with its reason, who gave it and when, before it is acknowledged', () => {
  const { file, open } = place()
  const told = { mode: 'paused', reason: 'new disk', since: '2026-01-01T00:00:00.000Z', by: 'ada' }

  expect(open().order({ do: 'pause', why: 'new disk', by: 'ada' })).toEqual({ ...told, changed: true })
  expect(readMode(file)).toEqual(told)
  expect(open().now()).toEqual(told)
})

test('the same order again changes nothing, and one with another reason does', () => {
  const { open } = place()
  const of = open()
  of.order({ do: 'pause', why: 'one' })

  expect(of.order({ do: 'pause' })).toMatchObject({ changed: false, reason: 'one' })
  expect(of.order({ do: 'pause', why: 'one' })).toMatchObject({ changed: false })
  expect(of.order({ do: 'pause', why: 'two' })).toMatchObject({ changed: true, reason: 'two' })
})

test('to resume leaves no trace', () => {
  const { file, open } = place()
  const of = open()
  of.order({ do: 'drain' })

  expect(of.order({ do: 'resume', by: 'ada' })).toMatchObject({ mode: 'running', changed: true, by: null })
  expect(existsSync(file)).toBe(false)
  expect(of.order({ do: 'resume' })).toMatchObject({ changed: false })
})

test('a drain for a stop ends with the stop, and not with a kill', () => {
  const { file, open } = place()
  open().order({ do: 'drain', untilStop: true })

  expect(open().now().mode).toBe('draining')
  // Whoever finds the home unserved finds it as it will be at the next start.
  expect(readMode(file).mode).toBe('running')
  open().stopped()
  expect(open().now().mode).toBe('running')
})

test('what was ordered before a drain for a stop holds after it', () => {
  const { open } = place()
  const of = open()
  of.order({ do: 'pause', why: 'kept' })
  of.order({ do: 'drain', untilStop: true })
  of.order({ do: 'drain', untilStop: true, why: 'said twice' })
  of.stopped()

  expect(open().now()).toMatchObject({ mode: 'paused', reason: 'kept' })
})

test('a drain that was ordered for ever outlives every stop, whichever came first', () => {
  const [first, second] = [place(), place()]
  const [one, other] = [first.open(), second.open()]
  one.order({ do: 'drain' })
  one.order({ do: 'drain', untilStop: true })
  other.order({ do: 'drain', untilStop: true })
  other.order({ do: 'drain' })
  one.stopped()
  other.stopped()

  expect([first.open().now().mode, second.open().now().mode]).toEqual(['draining', 'draining'])
})

test.each(['no JSON', '{}', '{"mode":"asleep","reason":null,"since":null,"by":null}'])(
  'a file that cannot be read holds everything back: %s',
  (text) => {
    const { file, open } = place()
    writeFileSync(file, text)

    expect(open().now()).toMatchObject({ mode: 'paused', reason: expect.stringContaining(file) })
    expect(open().order({ do: 'resume' })).toMatchObject({ mode: 'running', changed: true })
    expect(readMode(file).mode).toBe('running')
  },
)

test('an order that cannot be written is refused and not in force', () => {
  const { file, open } = place()
  const of = open()
  mkdirSync(`${file}.new`)

  expect(() => of.order({ do: 'pause' })).toThrow(expect.objectContaining({ code: 'FILE_UNWRITABLE' }))
  expect(of.now().mode).toBe('running')
})

test('a reason of several lines, and who gave it, are one line among other words', () => {
  const told = { mode: 'paused', reason: 'disk\r\nroot# ok', since: null, by: 'a\nb' } as const
  expect(modeInWords(told)).toBe('paused (by a b): disk root# ok')
})
