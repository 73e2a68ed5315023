import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { removeReplaced, replacedJournals } from '../../src/journal/replaced.ts'
import { folder } from './folder.ts'

const DAY_MS = 86_400_000
const NOW = Date.parse('2026-03-10T00:00:00.000Z')

test('of the journals that restores have put aside, those that are old go with all that is theirs, and the three newest stay', async () => {
  const home = folder()
  const file = join(home, 'journal.db')
  const write = (...names: string[]): void => {
    for (const name of names) writeFileSync(join(home, name), 'ten bytes.')
  }
  write(
    'journal.db',
    'journal.db-mark',
    'journal.db.replaced-mine',
    'journal.db.replaced-20260101T000000000Z.old',
  )
  write('journal.db.replaced-20260101T000000000Z', 'journal.db.replaced-20260101T000000000Z-wal')
  // Where the journal was gone only what belonged to it could be put aside.
  write('journal.db.replaced-20260102T030405678Z-mark')
  for (const day of ['03', '04', '05']) write(`journal.db.replaced-202603${day}T000000000Z`)

  expect(replacedJournals(file, 30 * DAY_MS, NOW)).toEqual([
    { path: `${file}.replaced-20260101T000000000Z`, at: Date.parse('2026-01-01T00:00:00.000Z'), bytes: 20 },
    { path: `${file}.replaced-20260102T030405678Z`, at: Date.parse('2026-01-02T03:04:05.678Z'), bytes: 10 },
  ])
  expect(replacedJournals(file, 68 * DAY_MS, NOW)).toHaveLength(1)
  expect(replacedJournals(file, Number.POSITIVE_INFINITY, NOW)).toEqual([])
  expect(replacedJournals(join(home, 'none', 'journal.db'), 0, NOW)).toEqual([])

  for (const each of replacedJournals(file, 0, NOW)) await removeReplaced(each)

  expect(replacedJournals(file, 0, NOW)).toEqual([])
  expect(readdirSync(home).toSorted()).toEqual([
    'journal.db',
    'journal.db-mark',
    'journal.db.replaced-20260101T000000000Z.old',
    ...['03', '04', '05'].map((day) => `journal.db.replaced-202603${day}T000000000Z`),
    'journal.db.replaced-mine',
  ])
  expect(existsSync(file)).toBe(true)
})
