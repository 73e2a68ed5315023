/**
 * Retention on real homes: what goes goes whole, what is not over stays, and the auditor, which reads only the files, finds nothing
 * afterwards, whenever the process was killed.
 *
 * Mutations that were planted once, and each found: a plan in memory taken; a removal forgotten with rows left, or its folders
 * left after a crash; removed steps not counted; cleared folders not on record.
 */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { auditHome } from '../src/audit/home.ts'
import { isTenutoError } from '../src/errors.ts'
import type { Journal, Pruning } from '../src/journal/journal.ts'
import { sqliteJournal } from '../src/journal/sqlite.ts'
import type { Runtime } from '../src/runtime.ts'
import { holdHome, openFolder, shellPlan } from './audit/home.ts'
import { planOf } from './support/definitions.ts'

const QUIET = { sweepMs: 0, retention: { everyMs: 0 } } as const
const plan = shellPlan({ a: { run: 'echo a' }, b: { run: 'echo b', needs: { a: 'success' } } })

const openHome = async (options: Parameters<typeof holdHome>[1] = {}) => {
  const home = join(openFolder(), 'home')
  return { home, runtime: await holdHome(home, { ...QUIET, ...options }) }
}
const submitted = async (runtime: Runtime, key?: string): Promise<string> => {
  const handle = await runtime.submit(plan, key === undefined ? {} : { key })
  await handle.settled()
  return handle.id
}
const positions = async (runtime: Runtime): Promise<readonly number[]> => {
  const found: number[] = []
  for await (const { position } of runtime.events({ follow: false })) found.push(position)
  return found
}
const idsIn = async (runtime: Runtime): Promise<readonly string[]> =>
  (await runtime.catalog.plans()).map(({ id }) => id)
const foldersIn = (home: string): readonly string[] =>
  existsSync(join(home, 'attempts'))
    ? readdirSync(join(home, 'attempts')).filter((name) => name !== '.gone')
    : []

test('gc says what it would remove, then removes just that; what is left is whole', async () => {
  const { home, runtime } = await openHome()
  const ids = [await submitted(runtime, 'one'), await submitted(runtime, 'two'), await submitted(runtime)]

  const said = await runtime.gc({ dryRun: true, keep: 1 })

  expect(said.plans.map(({ id }) => id)).toEqual(ids.slice(0, 2))
  expect(said).toMatchObject({ dry_run: true, attempts: 4, cleared: [], orphans: [], dead_letters: 0 })
  expect(said.bytes).toBeGreaterThan(0)
  expect((await idsIn(runtime)).length).toBe(3)
  const before = await positions(runtime)
  const done = await runtime.gc({ keep: 1 })
  expect(done).toMatchObject({ ...said, dry_run: false, journal: expect.anything() as object })
  expect(await idsIn(runtime)).toEqual([ids[2]])
  expect(foldersIn(home)).toEqual([ids[2]])
  expect(readdirSync(join(home, 'attempts', '.gone'))).toEqual([])
  const after = await positions(runtime)
  expect(after.length).toBeLessThan(before.length)
  expect(before).toEqual(expect.arrayContaining([...after]))
  expect(await runtime.gc({ keep: 1 })).toMatchObject({ plans: [], attempts: 0, bytes: 0 })
  expect((await auditHome(home)).findings).toEqual([])
  // Life goes on, and a removed key means that its plan runs again.
  const again = await runtime.submit(plan, { key: 'one' })
  expect(again.replayed).toBe(false)
  await again.settled()
  await runtime.stop()
  expect((await auditHome(home)).findings).toEqual([])
})

test('a keyed plan keeps its key for as long as it is kept', async () => {
  const { runtime } = await openHome()
  const id = await submitted(runtime, 'one')

  await runtime.gc({ keep: 1 })

  const again = await runtime.submit(plan, { key: 'one' })
  expect(again).toMatchObject({ id, replayed: true })
})

test('what has not ended, and what somebody waits for, stays', async () => {
  let release = (): void => {}
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  const { home, runtime } = await openHome({ handlers: { wait: () => held } })
  const waits = await runtime.submit(planOf({ a: { call: 'wait' } }))
  const paused = await runtime.submit(plan)
  await runtime.command(paused.id, null, { do: 'pause' })
  await runtime.idle()

  await runtime.gc({ keep: 0, olderThanMs: 0 })

  expect([...(await idsIn(runtime))].sort()).toEqual([waits.id, paused.id].sort())
  release()
  await waits.settled()
  await runtime.command(paused.id, null, { do: 'continue' })
  await paused.settled()
  expect((await runtime.gc({ keep: 0 })).plans).toHaveLength(2)
  expect(await idsIn(runtime)).toEqual([])
  expect((await auditHome(home)).findings).toEqual([])
})

test('attempt folders beyond their size go, the oldest first; their plans stay and can be retried', async () => {
  const { home, runtime } = await openHome({ retention: { everyMs: 0, attemptBytes: 1 } })
  const first = await submitted(runtime, 'one')

  const done = await runtime.gc()

  expect(done.plans).toEqual([])
  expect(done.cleared.map(({ id }) => id)).toEqual([first])
  expect(foldersIn(home)).toEqual([])
  expect((await runtime.catalog.attempts(first, 'a')).map(({ outcome }) => outcome)).toEqual(['succeeded'])
  expect((await runtime.catalog.log(first, 'a', 1, 0, 100)).size).toBe(0)
  expect((await auditHome(home)).findings).toEqual([])
  const handle = await runtime.plan(first)
  await runtime.command(first, 'a', { do: 'retry', downstream: true })
  await handle.settled()
  expect((await runtime.catalog.attempts(first, 'a')).map(({ n }) => n)).toEqual([1, 2])
  expect((await auditHome(home)).findings).toEqual([])
  expect((await runtime.gc()).cleared).toHaveLength(1)
})

test('a folder without a plan goes when it is old and of this home, and not before', async () => {
  const { home, runtime } = await openHome()
  const id = await submitted(runtime)
  const names = ['young-aaaaaa', 'old-aaaaaa', 'photos-aaaaaa']
  const claim = readFileSync(join(home, 'attempts', id, 'a', '1', 'claim'), 'utf8')
  for (const name of names) {
    mkdirSync(join(home, 'attempts', name, 'a', '1'), { recursive: true })
    writeFileSync(join(home, 'attempts', name, 'a', '1', 'log'), 'a')
    if (name === 'photos-aaaaaa') continue
    writeFileSync(join(home, 'attempts', name, 'a', '1', 'claim'), claim.replaceAll(id, name))
  }
  for (const name of names.slice(1)) utimesSync(join(home, 'attempts', name), 1, 1)

  const done = await runtime.gc()

  expect(done.orphans.map(({ name, attempts }) => [name, attempts])).toEqual([['old-aaaaaa', 1]])
  expect(foldersIn(home).toSorted()).toEqual([id, 'photos-aaaaaa', 'young-aaaaaa'].toSorted())
})

test('attempts that have been put elsewhere by a link are refused, and nothing there is removed', async () => {
  const { home, runtime } = await openHome()
  const id = await submitted(runtime)
  const elsewhere = openFolder()
  mkdirSync(join(elsewhere, 'photos', '2020'), { recursive: true })
  writeFileSync(join(elsewhere, 'photos', '2020', 'a.jpg'), 'x')
  utimesSync(join(elsewhere, 'photos'), 1, 1)
  renameSync(join(home, 'attempts'), join(home, 'attempts.before'))
  symlinkSync(elsewhere, join(home, 'attempts'))

  await expect(runtime.gc({ olderThanMs: 0 })).rejects.toMatchObject({ code: 'NOT_ALLOWED' })
  expect(await idsIn(runtime)).toEqual([id])
  await runtime.stop()
  await expect(holdHome(home, QUIET)).rejects.toMatchObject({ code: 'NOT_ALLOWED' })

  expect(existsSync(join(elsewhere, 'photos', '2020', 'a.jpg'))).toBe(true)
})

test('a job’s folders that nobody may write to go as well', async () => {
  const { home, runtime } = await openHome()
  const handle = await runtime.submit(
    shellPlan({
      a: {
        run: 'mkdir -p "$TENUTO_ARTIFACTS/deep" && touch "$TENUTO_ARTIFACTS/deep/file" && chmod 500 "$TENUTO_ARTIFACTS/deep"',
      },
    }),
  )
  await handle.settled()

  await runtime.gc({ keep: 0 })

  expect(readdirSync(join(home, 'attempts', '.gone'))).toEqual([])
})

test('a runtime removes by itself what is older than it keeps', async () => {
  const { home, runtime } = await openHome({ retention: { everyMs: 10, plansMs: 0 } })
  const id = await submitted(runtime)

  await expect.poll(() => idsIn(runtime)).toEqual([])
  await expect.poll(() => foldersIn(home)).not.toContain(id)

  await runtime.stop()
  expect((await auditHome(home)).findings).toEqual([])
})

test('a limit that is none is refused before a home is touched', async () => {
  const home = join(openFolder(), 'home')
  await expect(holdHome(home, { retention: { plans: -1 } })).rejects.toSatisfy((error) =>
    isTenutoError(error, 'USAGE'),
  )
  expect(existsSync(home)).toBe(false)
})

test('a retry and a removal at once: the plan lives on whole, or is gone', async () => {
  const { home, runtime } = await openHome()
  let lived = 0
  for (let round = 0; round < 12; round += 1) {
    const id = await submitted(runtime)
    const handle = await runtime.plan(id)
    const retry = (): Promise<unknown> =>
      runtime.command(id, 'a', { do: 'retry', downstream: true }).catch((error: unknown) => error)
    const remove = (): Promise<unknown> => runtime.gc({ keep: 0 })
    const order = round % 2 === 0 ? [retry, remove] : [remove, retry]
    await Promise.all(order.map((act) => act()))
    const found = (await idsIn(runtime)).includes(id)
    if (!found) continue
    lived += 1
    await handle.settled()
    expect((await runtime.catalog.attempts(id, 'a')).map(({ outcome }) => outcome)).toContain('succeeded')
  }
  await runtime.gc({ keep: 0 })
  await runtime.stop()
  expect((await auditHome(home)).findings).toEqual([])
  expect(lived).toBeGreaterThan(0)
})

test('a plan that was opened again a moment ago stays, although the journal does not know it yet', async () => {
  const home = join(openFolder(), 'home')
  const boot = { bootId: 'boot', pid: 1, build: 'test', at: 1 }
  let found = (): void => {}
  const journal = async (): Promise<Journal> => {
    const real = await sqliteJournal({ file: join(home, 'journal.db'), boot, durability: 'normal' })
    const plans: Journal['plans'] = async (query) => {
      const page = await real.plans(query)
      found()
      return page
    }
    return { ...real, plans }
  }
  mkdirSync(home, { mode: 0o700 })
  const runtime = await holdHome(home, { ...QUIET, ports: { journal } })
  const id = await submitted(runtime)
  const handle = await runtime.plan(id)
  await runtime.gc({ dryRun: true, keep: 0 })
  let retried: Promise<unknown> = Promise.resolve()
  found = () => {
    found = () => {}
    retried = runtime.command(id, 'a', { do: 'retry', downstream: true })
  }

  const { plans } = await runtime.gc({ keep: 0 })

  expect(plans).toEqual([])
  expect(await retried).toMatchObject({ changed: true })
  expect((await handle.settled()).state).toBe('succeeded')
  expect((await runtime.catalog.attempts(id, 'a')).map(({ n }) => n)).toEqual([1, 2])
  await runtime.stop()
  expect((await auditHome(home)).findings).toEqual([])
})

/** The moments of a removal, each before and after it has reached the journal. */
const MOMENTS = (['remove', 'forget', 'clear'] as const).flatMap((call) =>
  ([0, 1, 2] as const).flatMap((nth) =>
    (['before', 'after'] as const).map((when) => [call, nth, when] as const),
  ),
)
const killedAt = (
  pruning: Pruning,
  [call, nth, when]: (typeof MOMENTS)[number],
): Readonly<{ pruning: Pruning; wasKilled: () => boolean }> => {
  let calls = 0
  let dead = false
  const cut = async (name: string, act: () => Promise<unknown>): Promise<unknown> => {
    if (dead) throw new Error('killed')
    const isMoment = name === call && calls++ === nth
    if (isMoment && when === 'before') dead = true
    if (dead) throw new Error('killed')
    const result = await act()
    if (isMoment) dead = true
    if (dead) throw new Error('killed')
    return result
  }
  return {
    wasKilled: () => dead,
    pruning: {
      ...pruning,
      remove: (plans, rows) => cut('remove', () => pruning.remove(plans, Math.min(rows, 7))) as never,
      forget: (plans) => cut('forget', () => pruning.forget(plans)) as never,
      clear: (id) => cut('clear', () => pruning.clear(id)) as never,
    },
  }
}

test.each(MOMENTS)(
  'killed at %s %i %s it has reached the journal, a removal is ended by the next one',
  async (...moment) => {
    const { home, runtime: maker } = await openHome()
    const ids = [await submitted(maker), await submitted(maker), await submitted(maker)]
    await maker.stop()
    const boot = { bootId: 'boot', pid: 1, build: 'test', at: 1 }
    const file = join(home, 'journal.db')
    let wasKilled = (): boolean => false
    const journal = async (): Promise<Journal> => {
      const real = await sqliteJournal({ file, boot, durability: 'normal' })
      const cut = killedAt(real.pruning, moment)
      wasKilled = cut.wasKilled
      return { ...real, pruning: cut.pruning, stop: () => real.close() }
    }
    const doomed = await holdHome(home, {
      ...QUIET,
      ports: { journal },
      retention: { everyMs: 0, attemptBytes: 1 },
    })

    await doomed.gc({ keep: 1 }).catch(() => {})
    await doomed.stop()

    // Everything that a killed removal leaves behind is accounted for.
    expect((await auditHome(home)).findings.filter(({ kind }) => kind !== 'orphan-folder')).toEqual([])
    const next = await holdHome(home, { ...QUIET, retention: { everyMs: 0, attemptBytes: 1 } })
    await next.gc({ keep: 1 })
    expect(await idsIn(next)).toEqual([ids[2]])
    expect(foldersIn(home)).toEqual([])
    expect(readdirSync(join(home, 'attempts', '.gone'))).toEqual([])
    await next.stop()
    expect((await auditHome(home)).findings).toEqual([])
    if (moment[0] === 'remove' || moment[1] === 0) expect(wasKilled()).toBe(true)
  },
)
