import { rmSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { artefactIn, type Comparison, FRESH } from '../src/artefact.ts'
import { LOOK_MS, runningFrom } from '../src/running-build.ts'
import { virtualClock } from '../src/testing/virtual-clock.ts'
import { built, write } from './support/package.ts'

/** Watches a build; `look` moves to the next look and resolves when it is done, with all that was told so far. */
const watching = (root: string) => {
  const clock = virtualClock()
  const running = runningFrom(artefactIn(root))
  const told: (string | null)[] = []
  const stop = running.watch(clock, ({ stale }: Comparison) => told.push(stale))
  onTestFinished(stop)
  const look = async (): Promise<readonly (string | null)[]> => {
    await clock.advance(LOOK_MS)
    // The next timer is set when the look, which asks the disk, is done.
    while (clock.pending() === 0) await new Promise((resolve) => setImmediate(resolve))
    return told
  }
  return { clock, running, look, stop, told }
}

test('code that changes on disk makes a running build stale, is told once, and told again when it is mended', async () => {
  const root = built()
  const { running, look } = watching(root)
  const quiet = [...(await look()), ...(await look())]

  write(root, { 'src/a.ts': 'new' })
  const first = [...(await look())]
  const stale = running.comparison().stale
  await look()
  write(root, { 'src/a.ts': 'export const a = 1\n' })
  const last = await look()

  expect(quiet).toEqual([])
  expect(stale).toContain('src/a.ts has changed')
  expect(first).toEqual([stale])
  expect(last).toEqual([stale, null])
  expect(running.comparison()).toEqual(FRESH)
})

test('a dist that goes away, a new file of source and a touched file: each is seen for what it is', async () => {
  const root = built()
  const { running, look } = watching(root)
  await look()

  utimesSync(join(root, 'src/a.ts'), 1, 1)
  const touched = [...(await look())]
  write(root, { 'src/rooms/new.ts': '' })
  await look()
  const added = running.comparison().stale
  rmSync(join(root, 'dist'), { recursive: true })
  await look()

  expect(touched).toEqual([])
  expect(added).toContain('src/rooms/new.ts is new')
  expect(running.comparison()).toMatchObject({
    stale: expect.stringContaining('dist/a.js is missing, and 1 more'),
    missing: 'dist/a.js',
  })
})

test('what changed between the start and the first look is seen', async () => {
  const root = built()
  const { running, look } = watching(root)
  write(root, { 'dist/a.js': 'between the start and the first look' })

  await look()

  expect(running.comparison().stale).toBe('dist/a.js has changed')
})

test('nothing is looked at after the stop, nor where the source runs directly', async () => {
  const root = built()
  const { clock, stop, told } = watching(root)
  write(root, { 'src/a.ts': 'new' })

  stop()
  await clock.advance(LOOK_MS)

  expect(clock.pending()).toBe(0)
  expect(told).toEqual([])
  const development = runningFrom(null)
  development.watch(clock, () => expect.unreachable())
  expect(clock.pending()).toBe(0)
  expect(development.build.kind).toBe('development')
})
