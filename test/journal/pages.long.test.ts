/**
 * Rows that are lost by the page. A page that has come to be empty is a sound page, and what is left beside it fits its checksums: only
 * an index, or a count, knows that there was more.
 *
 * Mutations that were planted once, and each found: no tally of messages, of dead letters, of actors, of the board, of boots; no look
 * for the row of what was removed; no read at a table and an index that are empty.
 */
import { closeSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, test } from 'vitest'
import { auditJournal } from '../../src/audit/journal.ts'
import { readJournalFile } from '../../src/audit/journal-file.ts'
import { isTenutoError } from '../../src/errors.ts'
import { EMPTY_BATCH } from '../../src/journal/journal.ts'
import { sqliteJournal } from '../../src/journal/sqlite.ts'
import {
  BOOT,
  batch,
  deadOf,
  jobAddress,
  jobOf,
  mail,
  mailOf,
  moved,
  planAddress,
  planOf,
} from './batches.ts'
import { folder } from './folder.ts'

const PAGE = 4096
const open = (file: string) => sqliteJournal({ file, boot: BOOT, durability: 'normal' })
const PLANS = Array.from({ length: 9 }, (_, at) => `p-plan${at}`)

/**
 * A journal with rows in every table, closed in order: of nine plans with so many jobs each. `history` is how many characters one of its
 * steps says.
 */
const full = async (jobs: number, history: number): Promise<string> => {
  const names = Array.from({ length: jobs }, (_, at) => `job-${at}`)
  const file = join(folder(), 'journal.db')
  await (await open(file)).stop(true)
  const journal = await open(file)
  let position = 0
  for (const plan of PLANS) {
    const own = moved(position, planAddress(plan), 0, 1, { state: 'succeeded' })
    const lives = names.map((name, at) => moved(position + 1 + at, jobAddress(plan, name), 0))
    position += 1 + names.length
    const at = PLANS.indexOf(plan)
    const letters = names.map((_, n) => at * names.length + n + 1)
    const isOpen = at > 3
    await journal.commit(
      batch({
        plans: [planOf(plan, { key: `key of ${plan}` })],
        steps: [...own.steps, ...lives.flatMap(({ steps }) => steps)],
        actors: [...own.actors, ...lives.flatMap(({ actors }) => actors)],
        jobs: names.map((name, index) => jobOf(plan, name, index, { embodied: true })),
        outputs: names.map((name) => ({ plan, name, outputs: '{"a":"1"}' })),
        dead: letters.map((id) => deadOf(id, planAddress(plan))),
        aside: isOpen ? [{ plan, why: 'why'.repeat(50), at: 1 }] : [],
        loading: [{ plan, times: 1 }],
        ...mail({ added: isOpen ? letters.map((id) => mailOf(id, planAddress(plan))) : [] }),
      }),
    )
  }
  const told = moved(position, planAddress(PLANS[0] ?? ''), 1, 1, { state: 'succeeded' })
  const steps = told.steps.map((step) => ({ ...step, event: JSON.stringify({ said: 'x'.repeat(history) }) }))
  await journal.commit({ ...EMPTY_BATCH, ...told, steps })
  const [first = '', second = '', third = ''] = PLANS
  await journal.pruning.clear(first)
  await journal.pruning.remove([second, third], jobs)
  expect(await journal.pruning.leaving()).toContain(second)
  expect((await journal.pruned()).steps).toBeGreaterThan(0)
  await journal.stop(true)
  return file
}

type Page = Readonly<{ name: string; number: number; empty: Buffer }>

/** The pages of every table and index: as each would be without rows, and as one without rows would be of the other kind. */
const pagesOf = (file: string): readonly Page[] => {
  const database = new DatabaseSync(file, { readOnly: true })
  const found = database
    .prepare("SELECT name, pageno FROM dbstat WHERE pagetype <> 'overflow' ORDER BY pageno")
    .all() as unknown as readonly Readonly<{ name: string; pageno: number }>[]
  database.close()
  const bytes = readFileSync(file)
  return found.flatMap(({ name, pageno: number }) => {
    const before = bytes.subarray((number - 1) * PAGE, number * PAGE)
    const head = number === 1 ? 100 : 0
    // Leaves; 2 and 5 have pages below them (https://www.sqlite.org/fileformat2.html#b_tree_pages).
    const kind = [2, 10].includes(before[head] ?? 0) ? 10 : 13
    return [kind, kind === 10 ? 13 : 10]
      .map((as) => ({ name, number, empty: emptied(before, head, as) }))
      .filter(({ empty }) => !before.equals(empty))
  })
}
const emptied = (before: Buffer, head: number, kind: number): Buffer => {
  const empty = Buffer.from(before)
  empty.fill(0, head)
  empty[head] = kind
  empty.writeUInt16BE(PAGE, head + 5)
  return empty
}

const putPage = (file: string, { number }: Page, page: Buffer): void => {
  const handle = openSync(file, 'r+')
  writeSync(handle, page, 0, PAGE, (number - 1) * PAGE)
  closeSync(handle)
}

/** Empties each page by itself; answers those that nobody misses. */
const unseen = async (file: string, pages: readonly Page[]): Promise<readonly string[]> => {
  rmSync(`${file}-mark`)
  const bytes = readFileSync(file)
  const missed: string[] = []
  for (const page of pages) {
    putPage(file, page, page.empty)
    const opened = await open(file).then(
      (journal) => journal.close().then(() => 'opened'),
      (error: unknown) => (isTenutoError(error, 'STORE_CORRUPT') ? 'refused' : String(error)),
    )
    if (opened === 'opened') writeFileSync(file, bytes)
    if (opened !== 'refused') missed.push(`page ${page.number} of ${page.name}: ${opened}`)
    else if (!isFound(file)) missed.push(`page ${page.number} of ${page.name}: not found by the auditor`)
    for (const part of ['-wal', '-shm', '-mark']) rmSync(file + part, { force: true })
    putPage(file, page, bytes.subarray((page.number - 1) * PAGE, page.number * PAGE))
  }
  return missed
}

const isFound = (file: string): boolean => {
  try {
    const found = readJournalFile(file, (journal) => auditJournal(journal).findings) ?? []
    return found.some(({ kind }) => kind === 'file-damaged' || kind === 'rows-missing')
  } catch (error) {
    return isTenutoError(error, 'STORE_CORRUPT')
  }
}

const TABLES =
  'meta boot plan plan_revision step actor job output mail dead_letter aside loading pruned leaving cleared'

test.each([
  [2, 'one page to a table'],
  [60, 'many pages to a table'],
])('no page of any table is lost unseen: %i jobs to a plan, %s', async (jobs) => {
  const file = await full(jobs, 10)
  const pages = pagesOf(file)
  const names = new Set(pages.map(({ name }) => name))
  expect(TABLES.split(' ').filter((table) => !names.has(table))).toEqual([])

  expect(await unseen(file, pages)).toEqual([])

  await (await open(file)).stop(true)
})

test.each([2, 60])(
  'nor is one of what recovery reads of a file too large to be looked over whole: %i jobs',
  async (jobs) => {
    const file = await full(jobs, 33 * 2 ** 20)
    const pages = pagesOf(file).filter(({ name }) => name !== 'step' && name !== 'step_fence')

    expect(await unseen(file, pages)).toEqual([])

    await (await open(file)).stop(true)
  },
)

test('nor does a table without a row lie on a page of another kind, and nobody knows before it has one', async () => {
  const file = join(folder(), 'journal.db')
  await (await open(file)).stop(true)

  expect(await unseen(file, pagesOf(file))).toEqual([])

  await (await open(file)).stop(true)
})

test('rows that go by a commit, or by retention, are none that are missed', async () => {
  const file = await full(2, 10)
  const journal = await open(file)
  const [letter] = await journal.deadLetters(1)
  const [message] = await journal.mail()
  const { position } = await journal.head()
  await journal.commit(
    batch({
      ...moved(position, planAddress('p-new'), 0),
      plans: [planOf('p-new')],
      jobs: ['a', 'a', 'b'].map((name, index) => jobOf('p-new', name, index)),
      raised: [letter?.id ?? 0],
      ...mail({ taken: [message?.id ?? 0] }),
    }),
  )
  expect(await journal.pruning.dropDeadLetters(3, 0)).toBeGreaterThan(0)
  for (let left = ['', '']; left.length > 0; ) {
    left = [...(await journal.pruning.leaving())]
    const { done } = await journal.pruning.remove(left, 10)
    await journal.pruning.forget(done)
  }
  await journal.stop(true)

  const again = await open(file)

  expect(await again.deadLetters(10)).toHaveLength(3)
  expect(await again.pruning.leaving()).toEqual([])
  await again.stop(true)
})
