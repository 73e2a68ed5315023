/**
 * Backup and restore of a home: what has ended since is taken in again from the attempt folders, and nothing runs twice.
 */
import { execFileSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { auditHome } from '../src/audit/home.ts'
import { backupHome, restoreHome } from '../src/backup.ts'
import { backupPath } from '../src/backup-place.ts'
import { systemClock } from '../src/clock.ts'
import { definePlan, type JobSource } from '../src/plans/define-plan.ts'
import { createRuntime, type Runtime } from '../src/runtime.ts'
import { smallDisk } from './support/small-disk.ts'

const openFolder = (): Readonly<{ folder: string; home: string }> => {
  const folder = mkdtempSync(join(tmpdir(), 'tenuto-backup-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }))
  return { folder, home: join(folder, 'home') }
}

const hold = async (home: string): Promise<Runtime> => {
  const runtime = await createRuntime({ home })
  onTestFinished(() => runtime.stop())
  return runtime
}

const restore = (home: string, from: string, force = false) => restoreHome(home, from, force, systemClock)

/** Every file of a home, with its bytes. */
const shapeOf = (home: string): unknown =>
  readdirSync(home, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted()
    .map((path) => [path, readFileSync(path, 'base64')])

/** Resolves when a job has got to a state. */
const until = async (runtime: Runtime, plan: string, job: string, state: string): Promise<void> => {
  const is = async () => (await runtime.catalog.job(plan, job)).state === state
  if (await is()) return
  for await (const _ of runtime.events({ plan, after: 0 })) if (await is()) return
}

/** What a plan came to, without the times. */
const endsOf = async (runtime: Runtime, plan: string): Promise<unknown> => {
  const { state, reason } = await runtime.catalog.plan(plan)
  const jobs = (await runtime.catalog.jobs(plan)).map((job) => ({ ...job, since: null }))
  const attempts = await Promise.all(jobs.map(({ name }) => runtime.catalog.attempts(plan, name)))
  return { state, reason, jobs, attempts }
}

const WAITS =
  'echo "$TENUTO_JOB $TENUTO_ATTEMPT" >> ledger; while ! test -e go; do sleep 0.02; done; echo "by=$TENUTO_JOB" >> $TENUTO_OUTPUT'
const notes = (more = '') =>
  `echo "$TENUTO_JOB $TENUTO_ATTEMPT" >> ledger; echo "by=$TENUTO_JOB" >> $TENUTO_OUTPUT${more}`

const chain: Record<string, JobSource> = {
  ...Object.fromEntries(
    Array.from({ length: 6 }, (_, i) => [
      `early-${i}`,
      { run: notes(), needs: i === 0 ? [] : [`early-${i - 1}`] },
    ]),
  ),
  inflight: { run: WAITS, needs: ['early-2'] },
  flaky: {
    run: `${notes()}; test $TENUTO_ATTEMPT -gt 2`,
    needs: ['inflight'],
    retry: { max: 3, delay: '10ms' },
  },
  bad: { run: notes('; exit 3'), needs: ['inflight'], optional: true },
  late: { run: notes(), needs: { flaky: 'success', bad: 'any' } },
  last: { run: notes(), needs: ['late', 'early-5'] },
}

test('what ended since a backup is taken in again from its folders: same ends, and each attempt ran once', async () => {
  const { folder, home } = openFolder()
  const first = await hold(home)
  const plan = await first.submit(definePlan({ name: 'p', jobs: chain }), { base: folder })
  await until(first, plan.id, 'inflight', 'running')
  await until(first, plan.id, 'early-5', 'succeeded')
  const { path } = backupHome(home, undefined, systemClock)
  writeFileSync(join(folder, 'go'), '')
  await plan.settled()
  const before = await endsOf(first, plan.id)
  const after = await first.submit(definePlan({ name: 'after', jobs: { a: { run: notes() } } }), {
    base: folder,
  })
  await after.settled()
  await first.stop()
  const ledger = readFileSync(join(folder, 'ledger'), 'utf8')

  const restored = await restore(home, path)
  const second = await hold(home)
  const { state } = await (await second.plan(plan.id)).settled()

  expect(restored).toMatchObject({ plans: 1, newer: 6, unknown: [after.id], strays: 0 })
  expect(state).toBe('succeeded')
  expect(await endsOf(second, plan.id)).toEqual(before)
  expect(readFileSync(join(folder, 'ledger'), 'utf8')).toBe(ledger)
  await second.stop()
  const { findings } = await auditHome(home)
  expect(findings.map(({ kind, place }) => [kind, place.path])).toEqual([
    ['orphan-folder', join(home, 'attempts', after.id)],
  ])
})

test('an attempt that a backup does not know of and that still runs is adopted', async () => {
  const { folder, home } = openFolder()
  const first = await hold(home)
  const plan = await first.submit(
    definePlan({
      name: 'p',
      onFailure: 'pause',
      jobs: { a: { run: 'false' }, b: { run: WAITS, needs: { a: 'any' } } },
    }),
    { base: folder },
  )
  for await (const { to, job } of first.events({ plan: plan.id }))
    if (job === undefined && to === 'paused') break
  const { path } = backupHome(home, undefined, systemClock)
  await first.command(plan.id, null, { do: 'continue' })
  await until(first, plan.id, 'b', 'running')
  const pidOf = async () => (await first.catalog.attempts(plan.id, 'b'))[0]?.pid ?? null
  await expect.poll(pidOf).not.toBeNull()
  const pid = await pidOf()
  await first.stop()

  const { newer } = await restore(home, path)
  const second = await hold(home)
  await second.command(plan.id, null, { do: 'continue' })
  await until(second, plan.id, 'b', 'running')
  writeFileSync(join(folder, 'go'), '')
  await (await second.plan(plan.id)).settled()

  expect(newer).toBe(1)
  expect(
    (await second.catalog.attempts(plan.id, 'b')).map(({ n, outcome, ...is }) => [n, is.pid, outcome]),
  ).toEqual([[1, pid, 'succeeded']])
  expect(readFileSync(join(folder, 'ledger'), 'utf8')).toBe('b 1\n')
})

test('what was under way at a backup is lost in a home without its folder, however young it was, and is not started again', async () => {
  const { folder, home } = openFolder()
  const first = await hold(home)
  const plan = await first.submit(
    definePlan({ name: 'p', jobs: { a: { run: `${WAITS}; exit 3` }, b: { run: notes(), needs: ['a'] } } }),
    { base: folder },
  )
  await until(first, plan.id, 'a', 'running')
  const { path } = backupHome(home, join(folder, 'backup.db'), systemClock)
  writeFileSync(join(folder, 'go'), '')
  await plan.settled()
  await first.stop()
  const elsewhere = join(folder, 'elsewhere')

  const restored = await restore(elsewhere, path)
  const second = await hold(elsewhere)
  await until(second, plan.id, 'a', 'waiting')
  const [attempt] = await second.catalog.attempts(plan.id, 'a')
  await second.stop()
  const { findings } = await auditHome(elsewhere)
  const again = await restore(elsewhere, path)
  const third = await hold(elsewhere)
  await until(third, plan.id, 'a', 'waiting')
  await third.command(plan.id, 'a', { do: 'retry' })
  await (await third.plan(plan.id)).settled()

  expect(restored).toMatchObject({ plans: 1, newer: 0, missing: 1, unknown: [], strays: 0 })
  expect(attempt).toMatchObject({ n: 1, outcome: 'lost', pid: null })
  expect(findings).toEqual([])
  // Its folder says now that it is never to be started.
  expect(again.missing).toBe(0)
  expect((await third.catalog.attempts(plan.id, 'a')).map(({ n, outcome }) => [n, outcome])).toEqual([
    [1, 'lost'],
    [2, 'exit'],
  ])
  expect(readFileSync(join(folder, 'ledger'), 'utf8')).toBe('a 1\na 2\n')
})

const one = definePlan({ name: 'one', jobs: { a: { run: 'true' } } })
const ended = async (home: string): Promise<string> => {
  const runtime = await hold(home)
  const plan = await runtime.submit(one)
  await plan.settled()
  await runtime.stop()
  return plan.id
}

test('a backup is closed to others, never written over a file, and the seven newest are kept', async () => {
  const { folder, home } = openFolder()
  expect(() => backupHome(home, undefined, systemClock)).toThrow(
    expect.objectContaining({ code: 'JOURNAL_MISSING' }),
  )
  await ended(home)
  const moment = systemClock.now()
  const made = Array.from(
    { length: 9 },
    (_, i) => backupHome(home, undefined, { ...systemClock, now: () => moment + i }).path,
  )

  expect(readdirSync(join(home, 'backups')).map((name) => join(home, 'backups', name))).toEqual(made.slice(2))
  expect(statSync(made[8] as string).mode & 0o777).toBe(0o600)
  const file = join(folder, 'mine.db')
  writeFileSync(file, 'mine')
  for (const there of [file, join(home, 'journal.db')])
    expect(() => backupHome(home, there, systemClock)).toThrow(
      expect.objectContaining({ code: 'FILE_EXISTS' }),
    )
  expect(readFileSync(file, 'utf8')).toBe('mine')
})

test('what a backup that was killed has left goes with a later one, and what may still be made stays', async () => {
  const { home } = openFolder()
  await ended(home)
  const draft = (ageMs: number) => `${backupPath(home, systemClock.now() - ageMs)}.new`
  const [old, young] = [draft(2 * 86_400_000), draft(1_000)]
  mkdirSync(join(home, 'backups'), { mode: 0o700 })
  for (const path of [old, `${old}-journal`, young]) writeFileSync(path, '')

  const { path } = backupHome(home, undefined, systemClock)

  const left = readdirSync(join(home, 'backups')).map((name) => join(home, 'backups', name))
  expect(left.toSorted()).toEqual([path, young].toSorted())
})

test('a restore refuses a held home, another home’s backup and a damaged one, and changes nothing', async () => {
  const { folder, home } = openFolder()
  const other = openFolder()
  const id = await ended(home)
  await ended(other.home)
  const own = backupHome(home, join(folder, 'own.db'), systemClock).path
  const foreign = backupHome(other.home, join(folder, 'foreign.db'), systemClock).path
  const damaged = backupHome(home, join(folder, 'damaged.db'), systemClock).path
  truncateSync(damaged, statSync(damaged).size - 8_192)
  const before = readFileSync(join(home, 'journal.db'), 'base64')

  const runtime = await hold(home)
  await expect(restore(home, own)).rejects.toMatchObject({ code: 'HOME_HELD' })
  await runtime.stop()
  const held = readFileSync(join(home, 'journal.db'), 'base64')
  await expect(restore(home, foreign)).rejects.toMatchObject({ code: 'BACKUP_FOREIGN' })
  await expect(restore(home, damaged)).rejects.toMatchObject({ code: 'BACKUP_UNUSABLE' })
  await expect(restore(home, join(folder, 'none.db'))).rejects.toMatchObject({ code: 'FILE_MISSING' })

  expect(held).not.toBe(before)
  expect(readFileSync(join(home, 'journal.db'), 'base64')).toBe(held)
  expect(readdirSync(home).filter((name) => name.includes('restored') || name.includes('replaced'))).toEqual(
    [],
  )
  const { kept } = await restore(home, foreign, true)
  await restore(home, kept as string, true)
  const again = await hold(home)
  expect((await again.catalog.plans()).map((plan) => plan.id)).toEqual([id])
})

test('a file that is no backup is refused by its own name, and nothing in the home is touched', async () => {
  const { folder, home } = openFolder()
  await ended(home)
  writeFileSync(join(home, 'daemon.json'), '{"pid":1}')
  const before = shapeOf(home)
  const files = {
    'text.yaml': 'plan: v1\n',
    'empty.db': '',
    'lock.db': readFileSync(join(home, 'journal.db')).subarray(0, 600),
  }

  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, name)
    writeFileSync(path, content)
    for (const into of [home, join(folder, 'none')]) {
      await expect(restore(into, path)).rejects.toMatchObject({
        code: 'BACKUP_UNUSABLE',
        fields: { path },
        exit: 2,
      })
    }
  }

  expect(shapeOf(home)).toEqual(before)
  expect(existsSync(join(folder, 'none'))).toBe(false)
})

test('a home on a full or write-protected disk is backed up elsewhere; where nothing can be written it says what', async ({
  skip,
}) => {
  const { folder, home } = openFolder()
  const disk = smallDisk(home, 4)
  if (disk === null) return skip('this user may not mount a file system')
  const id = await ended(home)
  const troubles = {
    full: { begin: disk.fill, end: disk.makeRoom },
    protected: { begin: () => disk.protect(true), end: () => disk.protect(false) },
  }

  for (const [name, { begin, end }] of Object.entries(troubles)) {
    begin()
    const made = backupHome(home, join(folder, `${name}.db`), systemClock)
    expect(() => backupHome(home, undefined, systemClock), name).toThrow(
      expect.objectContaining({
        code: 'STORE_FULL',
        message: expect.stringContaining(join(home, 'backups')) as string,
      }),
    )
    end()
    expect(readdirSync(home).filter((each) => each.endsWith('.new'))).toEqual([])
    const other = join(folder, `from-${name}`)
    await restore(other, made.path)
    expect((await (await hold(other)).catalog.plan(id)).state).toBe('succeeded')
  }
})

test('a journal that is damaged, or gone, makes way for its backup; in a new home it needs no force', async () => {
  const { folder, home } = openFolder()
  const id = await ended(home)
  const { path } = backupHome(home, join(folder, 'own.db'), systemClock)

  writeFileSync(join(home, 'journal.db'), 'no database')
  await expect(createRuntime({ home })).rejects.toMatchObject({ code: 'STORE_CORRUPT' })
  const { kept } = await restore(home, path)
  expect(readFileSync(kept as string, 'utf8')).toBe('no database')
  rmSync(join(home, 'journal.db'))
  expect((await restore(home, path)).kept).toBeNull()
  const runtime = await hold(home)
  expect((await runtime.catalog.plans()).map((plan) => plan.id)).toEqual([id])
  await runtime.stop()

  const fresh = join(folder, 'fresh')
  expect(await restore(fresh, path)).toMatchObject({ kept: null, plans: 1 })
  const there = await hold(fresh)
  expect((await there.catalog.plan(id)).state).toBe('succeeded')
})

test('a journal whose log is lost can be accepted as it is', async () => {
  const { folder, home } = openFolder()
  await ended(home)
  const older = backupHome(home, join(folder, 'older.db'), systemClock).path
  await ended(home)
  rmSync(join(home, 'journal.db'))
  writeFileSync(join(home, 'journal.db'), readFileSync(older))
  await expect(createRuntime({ home })).rejects.toMatchObject({ code: 'STORE_CORRUPT' })

  const { plans, unknown } = await restore(home, join(home, 'journal.db'))

  expect([plans, unknown.length]).toEqual([1, 1])
  const runtime = await hold(home)
  expect(await runtime.catalog.plans()).toHaveLength(1)
  expect(existsSync(join(home, 'journal.db'))).toBe(true)
})

test('what restores have put aside is named by a dry run of gc, and goes but for the three newest', async () => {
  const { folder, home } = openFolder()
  await ended(home)
  const { path } = backupHome(home, join(folder, 'own.db'), systemClock)
  const kept: string[] = []
  for (let n = 0; n < 5; n += 1) kept.push((await restore(home, path)).kept as string)
  const runtime = await hold(home)
  const named = async (dryRun: boolean): Promise<readonly string[]> =>
    (await runtime.gc({ dryRun, olderThanMs: 0, keep: 1_000 })).replaced.map((each) => each.path)

  expect(await named(true)).toEqual(kept.slice(0, 2))
  expect((await runtime.gc({ dryRun: true })).replaced).toEqual([])
  expect(kept.every((each) => existsSync(each))).toBe(true)
  expect(await named(false)).toEqual(kept.slice(0, 2))

  expect(kept.map((each) => existsSync(each))).toEqual([false, false, true, true, true])
})

test('a pipe is no backup, and is not waited for', async () => {
  const { folder, home } = openFolder()
  const pipe = join(folder, 'pipe')
  execFileSync('mkfifo', [pipe])

  await expect(restoreHome(home, pipe, false, systemClock)).rejects.toMatchObject({ code: 'FILE_SPECIAL' })
  expect(existsSync(home)).toBe(false)
})
