import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { crc32 } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { MARKER } from '../../src/attempt.ts'
import { FINDINGS, type Finding, type FindingKind, placeInWords } from '../../src/audit/finding.ts'
import { auditHome, lookBeside } from '../../src/audit/home.ts'
import { AUDITED_SCHEMA } from '../../src/audit/journal-file.ts'
import { definitionHash } from '../../src/definition.ts'
import { SCHEMA } from '../../src/journal/schema.ts'
import { markerOf } from '../../src/process.ts'
import { createRuntime } from '../../src/runtime.ts'
import { type Crafted, copyOf, crafted, holdHome, isKept, openFolder, shellPlan } from './home.ts'

const RETRY = { max: 1, delayMs: 1, factor: 1, maxDelayMs: 1, jitter: 0, on: ['exit'] }
const JOBS = {
  a: { run: 'echo hello' },
  b: { run: 'exit 3', needs: ['a'], retry: RETRY },
  c: { run: 'true', needs: ['b'] },
  d: { run: 'true', needs: ['a'] },
} as const
const PLAN = shellPlan(JOBS)

const folder = mkdtempSync(join(tmpdir(), 'tenuto-audit-'))
/** A plan that ran to its end, and one that was submitted and never begun. */
const homes = { ended: join(folder, 'ended'), begun: join(folder, 'begun') }

// Homes are dear to make: each test damages a copy.
beforeAll(async () => {
  const ended = await createRuntime({ home: homes.ended })
  await (await ended.submit(PLAN)).settled()
  await ended.stop()
  const begun = await createRuntime({ home: homes.begun, starts: false })
  await begun.submit(PLAN)
  await begun.stop()
})
afterAll(() => rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }))

const found = async (home: string): Promise<readonly Finding[]> => (await auditHome(home)).findings
const inWords = (findings: readonly Finding[]): readonly string[] =>
  findings.map(({ kind, place, what }) => `${kind} ${placeInWords(place)}: ${what}`)

test('a healthy home is clean, and a look at it changes no byte of it', async () => {
  for (const home of Object.values(homes)) {
    const before = readdirSync(home).filter(isKept)

    const { findings, counts } = await auditHome(home)

    expect(inWords(findings)).toEqual([])
    expect(counts.plans).toBe(1)
    expect(readdirSync(home).filter(isKept)).toEqual(before)
  }
  expect((await auditHome(homes.ended)).counts).toMatchObject({ folders: 4, processes: 0 })
})

test('a home is read whatever its path is called', async () => {
  const { home } = copyOf(homes.ended)
  const odd = join(openFolder(), 'a home%20 #1?immutable=0&x')
  renameSync(home, odd)

  expect(await auditHome(odd)).toMatchObject({ findings: [], counts: { plans: 1, folders: 4 } })
})

test('a home that does not exist is clean and is not made', async () => {
  const home = join(openFolder(), 'none')

  expect(await auditHome(home)).toEqual({
    findings: [],
    counts: { plans: 0, steps: 0, folders: 0, processes: 0 },
  })
  expect(existsSync(home)).toBe(false)
})

test('the auditor reads the schema that the journal writes', () => {
  expect(AUDITED_SCHEMA).toBe(SCHEMA.version)
})

/** The definition of the plan, other than it was when it ran. */
const redefine = ({ edit }: Crafted, jobs: Parameters<typeof shellPlan>[0], more: object = {}): void => {
  const definition = { ...shellPlan(jobs), ...more }
  const hash = definitionHash(definition)
  edit(`UPDATE plan_revision SET hash = '${hash}', definition = '${JSON.stringify(definition)}';
    UPDATE plan SET hash = '${hash}'`)
}
const stepOf = (job: string, type: string, attempt: number): string =>
  `address = 'job:PLAN/${job}' AND type = '${type}' AND attempt = ${attempt}`

/** A step of job `a` after its end. */
const oneStepMore = (step: Readonly<{ type: string; event: string; to: string; reason: string }>): string =>
  `INSERT INTO step SELECT (SELECT position + 1 FROM meta), address, seq + 1, plan, '${step.type}', '${step.event}', went_to,
    '${step.to}', ${step.reason}, attempt, at, version, 0 FROM step WHERE address = 'job:PLAN/a' ORDER BY seq DESC LIMIT 1;
  UPDATE meta SET position = position + 1;
  UPDATE actor SET seq = seq + 1, state = '${step.to}' WHERE address = 'job:PLAN/a'`

type Case = readonly [
  kind: FindingKind,
  what: string,
  home: keyof typeof homes,
  spoil: (home: Crafted) => void,
  place: Readonly<Record<string, unknown>>,
]

const cases: readonly Case[] = [
  [
    'early-start',
    'a start before its need',
    'ended',
    (home) => redefine(home, { ...JOBS, a: { run: 'echo hello', needs: ['d'] }, d: { run: 'true' } }),
    { job: 'a', attempt: 1, position: expect.any(Number) as number },
  ],
  [
    'attempt-order',
    'an attempt whose number follows nothing',
    'ended',
    ({ edit }) =>
      edit(`UPDATE step SET attempt = 7 WHERE ${stepOf('a', 'slot.granted', 1)};
        UPDATE step SET attempt = 7 WHERE ${stepOf('a', 'attempt.ended', 1)}`),
    { job: 'a', attempt: 7 },
  ],
  [
    'two-attempts',
    'an attempt that begins while another is open',
    'ended',
    ({ edit }) =>
      edit(`UPDATE step SET went_to = 'running' WHERE ${stepOf('b', 'attempt.ended', 1)};
        UPDATE step SET came_from = 'running', went_to = 'running' WHERE ${stepOf('b', 'timer.fired', 1)};
        UPDATE step SET came_from = 'running' WHERE ${stepOf('b', 'slot.granted', 2)}`),
    { job: 'b', attempt: 2 },
  ],
  [
    'too-many-attempts',
    'more attempts at once than the plan allows',
    'ended',
    (home) => redefine(home, JOBS, { maxParallel: 0 }),
    { job: 'a', attempt: 1 },
  ],
  [
    'end-left',
    'an end that was left without being opened again',
    'ended',
    ({ edit }) => edit(oneStepMore({ type: 'recovered', event: '{}', to: 'running', reason: 'NULL' })),
    { job: 'a', position: expect.any(Number) as number },
  ],
  [
    'generation-gap',
    'a generation that follows nothing',
    'ended',
    ({ edit }) =>
      edit(oneStepMore({ type: 'reopened', event: '{"generation":5}', to: 'held', reason: "'needs'" })),
    { job: 'a', position: expect.any(Number) as number },
  ],
  [
    'ended-over-actor',
    'a job that its plan ended while it ran',
    'ended',
    ({ edit }) =>
      edit(`UPDATE step SET went_to = 'running' WHERE ${stepOf('d', 'attempt.ended', 1)};
        UPDATE step SET event = json_set(event, '$.ended', json('[{"job":"d","state":"succeeded","reason":null}]'))
        WHERE type = 'job.settled' AND json_extract(event, '$.job') = 'd'`),
    { plan: true },
  ],
  [
    'needless-skip',
    'a skip although nothing has failed',
    'ended',
    (home) => redefine(home, { ...JOBS, c: { run: 'true', needs: ['a'] } }),
    { position: expect.any(Number) as number },
  ],
  [
    'end-told-wrong',
    'an end told as another',
    'ended',
    ({ edit }) =>
      edit(`UPDATE step SET event = json_set(event, '$.state', 'failed')
        WHERE type = 'job.settled' AND json_extract(event, '$.job') = 'd'`),
    { plan: true, position: expect.any(Number) as number },
  ],
  [
    'end-told-twice',
    'an end taken twice',
    'ended',
    ({ edit }) =>
      edit(`UPDATE step SET event = (SELECT event FROM step WHERE type = 'job.settled' ORDER BY position LIMIT 1)
        WHERE type = 'job.settled'`),
    { plan: true },
  ],
  [
    'plan-ended-early',
    'a plan that ended before its jobs',
    'ended',
    (home) => redefine(home, { ...JOBS, e: { run: 'true' } }),
    { plan: true },
  ],
  [
    'plan-end-wrong',
    'a plan that succeeded with a failed job',
    'ended',
    ({ edit }) =>
      edit(`UPDATE step SET went_to = 'succeeded' WHERE address = 'plan:PLAN' AND went_to = 'failed';
        UPDATE actor SET state = 'succeeded' WHERE address = 'plan:PLAN'`),
    { plan: true },
  ],
  [
    'seq-gap',
    'a step that is missing in the life of a job',
    'ended',
    ({ edit }) =>
      edit("UPDATE step SET seq = seq + 1 WHERE address = 'job:PLAN/d' AND type = 'attempt.ended'"),
    { job: 'd', position: expect.any(Number) as number },
  ],
  [
    'position-gap',
    'a step that is missing in the journal',
    'ended',
    ({ edit }) => edit('DELETE FROM step WHERE position = 3'),
    { position: 4 },
  ],
  [
    'unknown-plan',
    'steps of a plan that is gone',
    'ended',
    ({ edit }) => edit('DELETE FROM plan'),
    { plan: true },
  ],
  [
    'row-differs',
    'a row that the steps do not tell',
    'ended',
    ({ edit }) => edit("UPDATE job SET state = 'succeeded', reason = NULL WHERE name = 'b'"),
    { job: 'b' },
  ],
  [
    'row-differs',
    'a job without a row',
    'ended',
    ({ edit }) => edit("DELETE FROM job WHERE name = 'c'"),
    { job: 'c' },
  ],
  [
    'rows-left',
    'a row that is open in a plan that has ended',
    'ended',
    ({ edit }) => edit("UPDATE job SET place = 'released' WHERE name = 'c'"),
    { plan: true },
  ],
  [
    'mail-taken',
    'a message that was taken and is still there',
    'ended',
    ({ edit }) =>
      edit(`INSERT INTO mail SELECT 1, address, event, NULL, 0, at, 0 FROM step WHERE type = 'job.settled' LIMIT 1;
        UPDATE meta SET mail = 1`),
    { job: 'a' },
  ],
  [
    'definition-differs',
    'a definition that was changed',
    'ended',
    ({ edit }) => edit("UPDATE plan_revision SET definition = replace(definition, 'hello', 'HELLO')"),
    { plan: true },
  ],
  [
    'row-damaged',
    'a step that is not what was written',
    'ended',
    ({ edit }) => edit(`UPDATE step SET at = at + 1 WHERE ${stepOf('a', 'attempt.ended', 1)}`, 'damaged'),
    { job: 'a', position: expect.any(Number) as number },
  ],
  [
    'row-damaged',
    'an actor that is not what was written',
    'ended',
    ({ edit }) => edit("UPDATE actor SET snapshot = '{}' WHERE address = 'job:PLAN/b'", 'damaged'),
    { job: 'b' },
  ],
  [
    'rows-missing',
    'rows that are gone, of which nothing else tells',
    'ended',
    ({ edit }) => edit('DELETE FROM boot', 'damaged'),
    {},
  ],
  [
    'file-damaged',
    'an index that does not fit its table',
    'ended',
    ({ edit }) =>
      edit(
        `PRAGMA writable_schema = 1;
          UPDATE sqlite_schema SET sql = replace(sql, 'address, seq', 'address, at') WHERE name = 'step_fence'`,
        'damaged',
      ),
    {},
  ],
  [
    'end-untold',
    'an end that its plan was not told',
    'begun',
    ({ edit }) => edit("UPDATE job SET state = 'succeeded', reason = NULL WHERE name = 'a'"),
    { job: 'a' },
  ],
  [
    'never-released',
    'a job that nobody will release',
    'begun',
    ({ edit }) =>
      edit("UPDATE job SET state = 'succeeded', place = 'settled', reason = NULL WHERE name = 'a'"),
    { job: 'b' },
  ],
  [
    'never-settled',
    'a plan that nobody will end',
    'begun',
    ({ edit }) => edit("UPDATE job SET state = 'succeeded', place = 'settled', reason = NULL"),
    { plan: true },
  ],
  [
    'exit-missing',
    'an end without a record',
    'ended',
    ({ dir }) => rmSync(join(dir('a', 1), 'exit.json')),
    { job: 'a', attempt: 1, position: expect.any(Number) as number },
  ],
  [
    'exit-lost',
    'a record that a power cut may have taken',
    'ended',
    ({ edit, dir }) => {
      edit("UPDATE boot SET boot_id = 'of another day'")
      rmSync(join(dir('a', 1), 'exit.json'))
    },
    { job: 'a', attempt: 1 },
  ],
  [
    'begun-differs',
    'an attempt that is noted to have begun after its end',
    'ended',
    ({ edit }) =>
      edit(`INSERT INTO step SELECT (SELECT position + 1 FROM meta), 'note:PLAN/a', (SELECT position + 1 FROM meta), plan, 'begun',
          '{"pid":1}', NULL, 'running', NULL, 1, at, 'note/1', 0 FROM step WHERE address = 'job:PLAN/a' LIMIT 1;
        UPDATE meta SET position = position + 1`),
    { job: 'a', attempt: 1, position: expect.any(Number) as number },
  ],
  [
    'exit-differs',
    'a record that says something else',
    'ended',
    ({ change }) => change('b', 2, 'exit.json', { code: 4 }),
    { job: 'b', attempt: 2 },
  ],
  [
    'exit-unseen',
    'an end that the disk did not take before its runner died',
    'ended',
    ({ change }) => change('b', 2, 'exit.json', { outcome: 'lost', code: null }),
    { job: 'b', attempt: 2, position: expect.any(Number) as number },
  ],
  [
    'exit-unreadable',
    'a record that was cut off',
    'ended',
    ({ dir }) => truncateSync(join(dir('b', 1), 'exit.json'), 20),
    { job: 'b', attempt: 1 },
  ],
  [
    'wrong-key',
    'the folder of another home',
    'ended',
    ({ change, plan }) => change('a', 1, 'exit.json', { key: `other/${plan}/a/1` }),
    { job: 'a', attempt: 1 },
  ],
  [
    'started-against-claim',
    'a start that its claim forbade',
    'ended',
    ({ change }) => change('a', 1, 'claim', { by: 'cancel' }),
    { job: 'a', attempt: 1 },
  ],
  [
    'orphan-folder',
    'an attempt that never was',
    'ended',
    ({ dir }) => mkdirSync(dir('b', 3)),
    { job: 'b', attempt: 3 },
  ],
  [
    'attempt-beyond',
    'an attempt that began after a backup which was restored',
    'begun',
    ({ dir }) => mkdirSync(dir('a', 3), { recursive: true }),
    { job: 'a', attempt: 3 },
  ],
  [
    'orphan-folder',
    'the folder of a job that is in no plan',
    'ended',
    ({ dir }) => mkdirSync(dir('stranger', 1), { recursive: true }),
    { plan: true, path: expect.stringMatching(/stranger$/) as string },
  ],
  [
    'orphan-folder',
    'the folders of a plan that is gone',
    'ended',
    ({ home }) => mkdirSync(join(home, 'attempts', 'gone-aaaaaa', 'a', '1'), { recursive: true }),
    { path: expect.stringMatching(/gone-aaaaaa$/) as string },
  ],
  [
    'folders-removed',
    'an ended plan whose folders were removed',
    'ended',
    ({ home, plan }) => rmSync(join(home, 'attempts', plan), { recursive: true }),
    { plan: true },
  ],
]

describe('a home that is not what it should be', () => {
  test.each(cases)('%s: %s is found, with its place', async (kind, _, home, spoil, place) => {
    const copy = copyOf(homes[home])
    spoil(copy)

    const findings = await found(copy.home)

    const { plan: ofPlan, ...more } = place
    const at = 'job' in place || ofPlan === true ? { plan: copy.plan, ...more } : more
    const { grade, remedy } = FINDINGS[kind]
    const expected = { kind, grade, remedy, place: at }
    expect(findings, inWords(findings).join('\n')).toContainEqual(
      expect.objectContaining({ ...expected, place: expect.objectContaining(at) as object }),
    )
  })

  test('what is planted here is every kind that a file can show', () => {
    const planted = new Set(cases.map(([kind]) => kind))
    const elsewhere: readonly FindingKind[] = [
      // Below: these need a process, or a moment.
      'stray-process',
      'left-behind',
      'waits-to-be-taken-in',
      'runs-on',
      'end-unseen',
      'folder-gone',
    ]

    expect(new Set([...planted, ...elsewhere])).toEqual(new Set(Object.keys(FINDINGS)))
  })

  test('a file that is no journal, one that was cut off, and one that is gone are refused by name', async () => {
    const texts = copyOf(homes.ended)
    writeFileSync(join(texts.home, 'journal.db'), 'not a database'.repeat(1000))
    const short = copyOf(homes.ended)
    truncateSync(join(short.home, 'journal.db'), 20_000)
    const empty = copyOf(homes.ended)
    truncateSync(join(empty.home, 'journal.db'), 0)
    const gone = copyOf(homes.ended)
    writeFileSync(join(gone.home, 'journal.db-wal'), 'x')
    rmSync(join(gone.home, 'journal.db'))
    const newer = copyOf(homes.ended)
    newer.edit('PRAGMA user_version = 99', 'damaged')
    const older = copyOf(homes.ended)
    const mark = join(older.home, 'journal.db-mark')
    const later = readFileSync(mark, 'utf8')
      .trim()
      .replace(/^\d+ /, '')
      .replace(/"position":\d+/, '"position":9999')
    writeFileSync(mark, `${crc32(later)} ${later}`)
    const removed = copyOf(homes.ended)
    rmSync(join(removed.home, 'journal.db'))

    await expect(auditHome(texts.home)).rejects.toMatchObject({ code: 'STORE_CORRUPT' })
    await expect(auditHome(short.home)).rejects.toMatchObject({ code: 'STORE_CORRUPT' })
    await expect(auditHome(empty.home)).rejects.toMatchObject({ code: 'STORE_CORRUPT' })
    await expect(auditHome(gone.home)).rejects.toMatchObject({ code: 'STORE_CORRUPT' })
    await expect(auditHome(newer.home)).rejects.toMatchObject({ code: 'SCHEMA_NEWER' })
    await expect(auditHome(older.home)).rejects.toThrow(/its mark at step 9999/)
    await expect(auditHome(removed.home)).rejects.toThrow(/it is gone/)
  })
})

const marked = async (key: string): Promise<number> => {
  const child = spawn('sleep', ['60'], { stdio: 'ignore', env: { ...process.env, [MARKER]: key } })
  onTestFinished(async () => {
    if (child.exitCode === null && child.signalCode === null && child.kill('SIGKILL'))
      await once(child, 'exit')
  })
  await once(child, 'spawn')
  // It may not have come as far as to have its environment.
  await expect.poll(() => markerOf(child.pid as number)).toBe(key)
  return child.pid as number
}

describe('processes with the marker of a home', () => {
  test('one that belongs to no attempt, or to a plan that has ended, is a stray, and is left alone', async () => {
    const { home, homeId, plan } = copyOf(homes.ended)
    const [ended, unknown] = [
      await marked(`${homeId}/${plan}/a/1`),
      await marked(`${homeId}/gone-aaaaaa/x/1`),
    ]
    await marked(`another/${plan}/a/1`)

    const { findings } = await lookBeside(home)

    expect(findings.map(({ kind, place }) => [kind, place.pid])).toEqual(
      expect.arrayContaining([
        ['stray-process', ended],
        ['stray-process', unknown],
      ]),
    )
    expect(findings).toHaveLength(2)
    for (const pid of [ended, unknown]) expect(process.kill(pid, 0)).toBe(true)
  })

  test('one that an ended attempt of a plan that goes on has left is noted, not a fault', async () => {
    const { home, homeId, plan } = copyOf(homes.begun)
    const pid = await marked(`${homeId}/${plan}/a/1`)

    expect(await found(home)).toMatchObject([
      { kind: 'left-behind', grade: 'note', place: { job: 'a', pid } },
    ])
  })
})

test('an attempt that runs on, has ended, or is gone while nobody holds the home is noted as such', async () => {
  const home = join(openFolder(), 'home')
  const first = await holdHome(home)
  await first.submit(shellPlan({ a: { run: 'while ! test -e "$TENUTO_ARTIFACTS/go"; do sleep 0.02; done' } }))
  await expect.poll(async () => (await first.live()).length).toBe(1)
  await first.stop()
  const { dir, plan } = crafted(home)

  const running = await found(home)
  writeFileSync(join(dir('a', 1), 'artifacts', 'go'), '')
  await expect.poll(() => existsSync(join(dir('a', 1), 'exit.json'))).toBe(true)
  const ended = await found(home)
  rmSync(join(dir('a', 1), 'exit.json'))
  const gone = await found(home)

  const place = { plan, job: 'a', attempt: 1 }
  expect(running).toMatchObject([{ kind: 'runs-on', grade: 'note', place }])
  expect(ended).toMatchObject([{ kind: 'waits-to-be-taken-in', grade: 'note', place }])
  expect(gone).toMatchObject([{ kind: 'end-unseen', grade: 'note', place }])
})

test('the folder of an attempt that had begun is missed, whether its process lives or not; that it never started is a lie', async () => {
  const home = join(openFolder(), 'home')
  const first = await holdHome(home)
  const { id } = await first.submit(
    shellPlan({ a: { run: 'while ! test -e go; do sleep 0.02; done', onLost: 'fail' } }),
    {
      base: home,
    },
  )
  for await (const { type } of first.events({ plan: id })) if (type === 'begun') break
  await first.stop()
  const { dir, plan } = crafted(home)
  const kept = `${dir('a', 1)}.kept`
  renameSync(dir('a', 1), kept)

  const living = await found(home)
  writeFileSync(join(home, 'go'), '')
  await expect.poll(() => existsSync(join(dir('a', 1), 'exit.json'))).toBe(true)
  rmSync(dir('a', 1), { recursive: true })
  const dead = await found(home)
  renameSync(kept, dir('a', 1))
  const there = await found(home)
  const second = await holdHome(home)
  await (await second.plan(id)).settled()
  await second.stop()
  const { home: lying, edit } = copyOf(home)
  edit(
    `UPDATE step SET event = json_set(event, '$.outcome', 'never-started') WHERE address = 'job:PLAN/a' AND type = 'attempt.ended'`,
  )

  const place = { plan, job: 'a', attempt: 1 }
  const at = (findings: readonly Finding[]) => findings.filter(({ kind }) => kind !== 'orphan-folder')
  expect(at(living)).toMatchObject([
    { kind: 'folder-gone', grade: 'fault', place: { ...place, pid: expect.any(Number) as number } },
  ])
  expect(at(dead)).toMatchObject([{ kind: 'folder-gone', grade: 'fault', place }])
  expect(there).toMatchObject([{ kind: 'end-unseen' }])
  expect((await found(lying)).map(({ kind }) => kind)).toContain('begun-differs')
})

test('a log that a killed holder has left is read as it stands', async () => {
  const copy = copyOf(homes.ended)
  const writer = new DatabaseSync(join(copy.home, 'journal.db'))
  writer.exec("UPDATE job SET state = 'succeeded', reason = NULL WHERE name = 'b'")
  onTestFinished(() => writer.close())

  expect((await found(copy.home)).map(({ kind }) => kind).toSorted()).toEqual(['row-damaged', 'row-differs'])
})
