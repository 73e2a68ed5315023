/**
 * How retention shares the time with the steps of plans. What it removes, and that nothing else goes, is in test/retention.long.test.ts
 * and in the suite of the journals.
 *
 * Mutations that were planted once, and each found: one portion to a turn, whatever it had to wait; no end to a turn; folders of what is
 * due looked at; no end to looking at what is kept; sizes forgotten between passes; any old folder taken for an orphan; a link measured
 * through; folders of the home not looked at; whatever lies among the secrets taken for one.
 */
import {
  existsSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { type KeptFolders, keptFolders } from '../../src/actors/kept-folders.ts'
import { type Pass, RETENTION, type RetentionLimits, retaining } from '../../src/actors/retaining.ts'
import type { Clock } from '../../src/clock.ts'
import { TenutoError } from '../../src/errors.ts'
import type { Journal, Pruning } from '../../src/journal/journal.ts'
import { memoryJournal } from '../../src/journal/memory.ts'
import { memoryDisk } from '../../src/journal/memory-disk.ts'
import { restartingJournal } from '../../src/journal/restarting.ts'
import { secretsFile, vault } from '../../src/secrets.ts'
import { BOOT, batch, moved, planAddress, planOf } from '../journal/batches.ts'
import { removeFolder } from '../support/folders.ts'

const NOW = 10_000_000
/** Steps of each plan: as many rows as one portion has. */
const STEPS = 197

const makeHome = (plans: readonly string[]): string => {
  const home = mkdtempSync(join(tmpdir(), 'tenuto-retaining-'))
  onTestFinished(() => removeFolder(home))
  for (const plan of plans) {
    const folder = join(home, 'attempts', plan, 'a', '1')
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'log'), 'x'.repeat(5_000))
  }
  return home
}

/** Time that moves when it is told to, and by `tickMs` with each look at it. */
const clockOf = (tickMs: number): Readonly<{ clock: Clock; pass: (ms: number) => void }> => {
  let elapsed = 0
  const clock: Clock = {
    now: () => NOW,
    monotonic: () => (elapsed += tickMs),
    setTimeout: () => () => {},
    soon: (run) => void setImmediate(run),
  }
  return { clock, pass: (ms) => void (elapsed += ms) }
}

type Busy = Readonly<{ waitMs: number; commitMs: number }>

/** Retention of a home of so many ended plans, beside a host that takes its time. */
const makeRetaining = async (count: number, { waitMs, commitMs }: Busy, tickMs = 0) => {
  const plans = Array.from({ length: count }, (_, at) => `p-plan${at}`)
  const home = makeHome(plans)
  const journal = await memoryJournal(memoryDisk('samehome22'), BOOT)
  let position = 0
  for (const plan of plans) {
    const life = moved(position, planAddress(plan), 0, STEPS, { state: 'succeeded' })
    await journal.commit(batch({ plans: [planOf(plan)], ...life }))
    position += STEPS
  }
  const { clock, pass } = clockOf(tickMs)
  /** How long each turn had to wait, and how many portions it took. */
  const turns: number[] = []
  const pruning: Pruning = {
    ...journal.pruning,
    remove: (...asked) => {
      pass(commitMs)
      turns.push((turns.pop() ?? 0) + 1)
      return journal.pruning.remove(...asked)
    },
  }
  const slow: Journal = { ...journal, pruning }
  const retain = retaining(
    {
      home,
      journal: slow,
      clock,
      log: { warn: () => {} },
      between: async (act) => {
        pass(waitMs)
        turns.push(0)
        return act()
      },
      isBusy: () => false,
    },
    [],
  )
  return { home, journal, clock, retain, turns }
}

const passOf = (limits: Partial<RetentionLimits>, isAsked: boolean): Pass => ({
  limits: { ...RETENTION, ...limits },
  spareMs: 0,
  dryRun: false,
  isAsked,
})

test('a host that lets retention wait gives it a share of the time, and waits for no more than that', async () => {
  const { retain, turns, journal } = await makeRetaining(24, { waitMs: 100, commitMs: 6 })

  await retain.pass(passOf({ plansMs: 0 }, false))

  // A quarter of 100 ms: four commits end within it, and the fifth begins within it.
  expect(turns.slice(0, -1).every((portions) => portions === 5)).toBe(true)
  expect(await journal.plans()).toEqual([])
  expect(await journal.pruning.leaving()).toEqual([])
})

test('a host that does something for a long time waits for retention no longer than any other', async () => {
  const { retain, turns } = await makeRetaining(24, { waitMs: 60_000, commitMs: 6 })

  await retain.pass(passOf({ plansMs: 0 }, false))

  expect(Math.max(...turns)).toBe(9)
})

test('a host that is idle is never kept waiting for more than one portion', async () => {
  const { retain, turns } = await makeRetaining(6, { waitMs: 0, commitMs: 6 })

  await retain.pass(passOf({ plansMs: 0 }, false))

  expect(turns.every((portions) => portions === 1)).toBe(true)
  expect(turns.length).toBeGreaterThanOrEqual(6)
})

test('rows wait for no look at a folder, unless somebody asks how much goes', async () => {
  const { retain, home } = await makeRetaining(4, { waitMs: 0, commitMs: 0 })
  const said = await retain.pass({ ...passOf({ plansMs: 0 }, true), dryRun: true })
  expect(said.plans.map(({ attempts }) => attempts)).toEqual([1, 1, 1, 1])
  const { retain: alone } = await makeRetaining(4, { waitMs: 0, commitMs: 0 })

  const gone = await alone.pass(passOf({ plansMs: 0 }, false))
  const asked = await retain.pass(passOf({ plansMs: 0 }, true))

  expect(gone.plans.map(({ attempts, bytes }) => [attempts, bytes])).toEqual(Array(4).fill([0, 0]))
  expect(asked.plans).toEqual(said.plans)
  expect(readdirSync(join(home, 'attempts'))).toEqual(['.gone'])
  expect(readdirSync(join(home, 'attempts', '.gone'))).toEqual([])
})

test('what is kept is looked at for a while, and the rest by the passes that follow, nothing twice', async () => {
  const { retain, home } = await makeRetaining(30, { waitMs: 0, commitMs: 0 }, 100)
  const pass = passOf({ attemptBytes: 0 }, false)
  const cleared: number[] = []

  for (let isWhole = false; !isWhole; ) {
    const reclaimed = await retain.pass(pass)
    cleared.push(reclaimed.cleared.length)
    isWhole = reclaimed.isWhole
  }

  expect(cleared.length).toBeGreaterThan(2)
  expect(cleared.every((some) => some > 0)).toBe(true)
  expect(cleared.reduce((sum, some) => sum + some, 0)).toBe(30)
  expect(existsSync(join(home, 'attempts', 'p-plan0'))).toBe(false)
})

test('what was looked at and stays is looked at no more', async () => {
  const { retain } = await makeRetaining(30, { waitMs: 0, commitMs: 0 }, 100)
  const looks: boolean[] = []

  while (looks.at(-1) !== true && looks.length < 10)
    looks.push((await retain.pass(passOf({ attemptBytes: 1e9 }, false))).isWhole)

  expect(looks.at(-1)).toBe(true)
  expect(looks.length).toBeGreaterThan(2)
})

test('secrets without a plan go when no plan can come for them any more, and those of a plan with its attempts', async () => {
  const { retain, home, journal } = await makeRetaining(1, { waitMs: 0, commitMs: 0 })
  const secrets = vault(home)
  const names = ['p-plan0', 'p-new', 'p-orphan']
  for (const plan of names) secrets.keep(plan, { TOKEN: 'canary-7f3a' })
  const longAgo = new Date(NOW - 3_600_001)
  utimesSync(secretsFile(home, 'p-orphan'), longAgo, longAgo)
  utimesSync(secretsFile(home, 'p-new'), new Date(NOW), new Date(NOW))
  const left = () => names.filter((plan) => existsSync(secretsFile(home, plan)))

  await retain.pass({ ...passOf({ attemptsMs: 0 }, true), dryRun: true })
  const dry = left()
  await retain.pass(passOf({}, true))
  const young = left()
  await retain.pass(passOf({ attemptsMs: 0 }, true))

  expect(dry).toEqual(names)
  expect(young).toEqual(['p-plan0', 'p-new'])
  expect(left()).toEqual(['p-new'])
  expect(await journal.plan('p-plan0')).toBeDefined()
})

const OLD = { attemptsMs: 3_600_000 }

/** A folder among the attempts that is old, with these files in it; a name that ends with a slash is a folder. */
const putOld = (home: string, name: string, files: Readonly<Record<string, string>>): void => {
  const path = join(home, 'attempts', name)
  mkdirSync(path, { recursive: true })
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(file.endsWith('/') ? join(path, file) : dirname(join(path, file)), { recursive: true })
    if (!file.endsWith('/')) writeFileSync(join(path, file), text)
  }
  utimesSync(path, 1, 1)
}
const claimText = (home: string, plan: string): string =>
  JSON.stringify({ v: 1, key: `${home}/${plan}/a/1`, by: 'runner', epoch: 1, at: 1 })

test('a folder without a plan goes when a record in it names this home and plan, at whatever point a crash came', async () => {
  const { retain, home } = await makeRetaining(0, { waitMs: 0, commitMs: 0 })
  const own: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    'p-plan': {},
    'p-jobs': { 'a/': '' },
    'p-begun': { 'a/1/artifacts/': '' },
    'p-unwritten': { 'a/1/artifacts/': '', 'a/1/claim': '' },
    'p-cutoff': { 'a/1/claim': claimText('samehome22', 'p-cutoff').slice(0, 45), 'a/1/log': 'x' },
    'p-claimed': { 'a/1/claim': claimText('samehome22', 'p-claimed') },
    'p-whole': { 'a/1/claim': claimText('samehome22', 'p-whole'), 'a/1/log': 'x', 'a/1/artifacts/b': 'x' },
    'p-again': { 'a/1/exit.json': claimText('samehome22', 'p-again') },
  }
  for (const [name, files] of Object.entries(own)) putOld(home, name, files)

  const said = await retain.pass({ ...passOf(OLD, true), dryRun: true })
  const { orphans } = await retain.pass(passOf(OLD, true))

  expect(orphans.map(({ name }) => name).toSorted()).toEqual(Object.keys(own).toSorted())
  expect(said.orphans).toEqual(orphans)
  expect(readdirSync(join(home, 'attempts'))).toEqual(['.gone'])
})

test('a folder among the attempts that this home has not made stays, however old', async () => {
  const { retain, home } = await makeRetaining(0, { waitMs: 0, commitMs: 0 })
  const foreign: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    photos: { '2020/a.jpg': 'x' },
    'p-logonly': { 'a/1/log': 'x' },
    'p-other': { 'a/1/claim': claimText('otherhome2', 'p-other') },
    'p-renamed': { 'a/1/claim': claimText('samehome22', 'p-before') },
    'p-deeper': { 'b/a/1/claim': claimText('samehome22', 'p-deeper') },
    'p-empties': { 'a/1/a.txt': '' },
    'p-deep': { 'a/b/c/d/': '' },
  }
  for (const [name, files] of Object.entries(foreign)) putOld(home, name, files)
  const elsewhere = makeHome(['p-linked'])
  writeFileSync(join(elsewhere, 'attempts/p-linked/a/1/claim'), claimText('samehome22', 'p-linked'))
  symlinkSync(join(elsewhere, 'attempts/p-linked'), join(home, 'attempts/p-linked'))
  lutimesSync(join(home, 'attempts/p-linked'), 1, 1)

  const { orphans } = await retain.pass(passOf(OLD, true))

  expect(orphans).toEqual([])
  expect(readdirSync(join(home, 'attempts')).toSorted()).toEqual(
    [...Object.keys(foreign), 'p-linked'].toSorted(),
  )
})

test('what is kept no longer goes also when the writer of the journal was replaced', async () => {
  const { journal, home, clock } = await makeRetaining(1, { waitMs: 0, commitMs: 0 })
  let isClosed = false
  const refused: Pruning = {
    ...journal.pruning,
    remove: () => (isClosed ? Promise.reject(new TenutoError('STOPPED')) : journal.pruning.remove([], 0)),
  }
  const first: Journal = {
    ...journal,
    pruning: refused,
    commit: async () => Promise.reject(new Error('the writer broke')),
    close: async () => void (isClosed = true),
  }
  const writer = restartingJournal(first, async () => journal)
  const ports = {
    home,
    journal: writer.journal,
    clock,
    log: { warn: () => {} },
    between: <T>(act: () => Promise<T>) => act(),
    isBusy: () => false,
  }
  const retain = retaining(ports, [])
  await writer.start(() => {})

  await expect(writer.journal.commit(batch({}))).rejects.toMatchObject({ code: 'STORE_RESTARTED' })
  await writer.start(() => {})

  expect((await retain.pass(passOf({ plansMs: 0 }, true))).plans).toHaveLength(1)
  expect(await journal.plans()).toEqual([])
})

test.each(['before it has moved a folder', 'after its commit, unseen'])(
  'what a pass leaves half removed because it fails %s, the next one removes',
  async (when) => {
    const { home, journal, clock } = await makeRetaining(2, { waitMs: 0, commitMs: 0 })
    const folders = keptFolders(home, journal.opening.home, clock.now)
    let fails = true
    const once = (): void => {
      if (!fails) return
      fails = false
      throw new Error('planted')
    }
    const isUnseen = when.startsWith('after')
    const pruning: Pruning = {
      ...journal.pruning,
      // Both in one commit.
      remove: async (plans) => {
        const removed = await journal.pruning.remove(plans, 1_000)
        if (isUnseen && removed.begun.length > 0) once()
        return removed
      },
    }
    const ports = {
      home,
      journal: { ...journal, pruning },
      clock,
      log: { warn: () => {} },
      between: <T>(act: () => Promise<T>) => act(),
      isBusy: () => false,
      folders: {
        ...folders,
        moveAside: (...asked: Parameters<KeptFolders['moveAside']>) => {
          if (!isUnseen) once()
          folders.moveAside(...asked)
        },
      },
    }
    const retain = retaining(ports, [])
    await expect(retain.pass(passOf({ plansMs: 0 }, true))).rejects.toThrow('planted')
    expect(readdirSync(join(home, 'attempts'))).toContain('p-plan1')

    await retain.pass(passOf({}, true))

    expect(readdirSync(join(home, 'attempts'))).toEqual(['.gone'])
    expect(await journal.pruning.leaving()).toEqual([])
    expect(retain.isUsed('p-plan0')).toBe(false)
  },
)

test.each<[string, Partial<RetentionLimits>]>([
  ['it stays', { plansMs: 0 }],
  ['its attempt folders stay', { attemptsMs: 0 }],
])(
  'a plan that was opened again while a pass went on does not go by its former end: %s',
  async (_, limits) => {
    const { home, journal, clock } = await makeRetaining(1, { waitMs: 0, commitMs: 0 })
    const opened = moved(STEPS, planAddress('p-plan0'), STEPS, 2, { state: 'succeeded' })
    const retain = retaining(
      {
        home,
        journal,
        clock,
        log: { warn: () => {} },
        // Somebody comes before it.
        between: async (act) => {
          if ((await journal.head()).position === STEPS) await journal.commit(batch(opened))
          return act()
        },
        isBusy: () => false,
      },
      [],
    )

    expect(await retain.pass(passOf(limits, true))).toMatchObject({ plans: [], cleared: [] })
    expect(readdirSync(join(home, 'attempts'))).toEqual(['p-plan0'])

    await retain.pass(passOf(limits, true))
    expect(readdirSync(join(home, 'attempts'))).toEqual(['.gone'])
  },
)

test('a link in what goes is removed as a link: in a folder, and in the place of one', async () => {
  const { retain, home } = await makeRetaining(2, { waitMs: 0, commitMs: 0 })
  const elsewhere = makeHome(['photos'])
  const kept = join(elsewhere, 'attempts/photos/a/1/log')
  symlinkSync(elsewhere, join(home, 'attempts/p-plan0/a/1/artifacts'))
  rmSync(join(home, 'attempts/p-plan1'), { recursive: true })
  symlinkSync(elsewhere, join(home, 'attempts/p-plan1'))
  mkdirSync(join(home, 'work'))
  symlinkSync(elsewhere, join(home, 'work/p-plan0'))

  const { plans } = await retain.pass(passOf({ plansMs: 0 }, true))

  expect(plans.map(({ attempts }) => attempts).toSorted((a, b) => a - b)).toEqual([0, 1])
  expect(existsSync(kept)).toBe(true)
  expect(readdirSync(join(home, 'attempts', '.gone'))).toEqual([])
  expect(readdirSync(join(home, 'work'))).toEqual([])
})

test.each(['attempts', 'attempts/.gone', 'work', 'secrets'])(
  'a pass removes nothing while %s leads elsewhere',
  async (name) => {
    const { retain, home } = await makeRetaining(1, { waitMs: 0, commitMs: 0 })
    const elsewhere = makeHome([])
    for (const inside of ['photos', 'p-plan0']) mkdirSync(join(elsewhere, inside))
    rmSync(join(home, name), { recursive: true, force: true })
    symlinkSync(elsewhere, join(home, name))

    const pass = retain.pass(passOf({ plansMs: 0 }, true))

    await expect(pass).rejects.toMatchObject({ code: 'NOT_ALLOWED' })
    expect(readdirSync(elsewhere).toSorted()).toEqual(['p-plan0', 'photos'])
  },
)

test('what lies among the secrets and holds none stays', async () => {
  const { retain, home } = await makeRetaining(0, { waitMs: 0, commitMs: 0 })
  vault(home).keep('p-orphan', { TOKEN: 'canary-7f3a' })
  const secrets = join(home, 'secrets')
  for (const [name, text] of [
    ['p-cutoff.json.new', '{"v":1,"values":{"TOK'],
    ['notes.txt', 'x'],
    ['people.json', '["x"]'],
    ['people.json.new', '["x"]'],
  ] as const)
    writeFileSync(join(secrets, name), text)
  mkdirSync(join(secrets, 'photos.json'))
  symlinkSync(secretsFile(home, 'p-orphan'), join(secrets, 'linked.json'))
  for (const name of readdirSync(secrets)) lutimesSync(join(secrets, name), 1, 1)

  await retain.pass(passOf(OLD, true))

  expect(readdirSync(secrets).toSorted()).toEqual([
    'linked.json',
    'notes.txt',
    'people.json',
    'people.json.new',
    'photos.json',
  ])
})
