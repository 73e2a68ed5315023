/**
 * A home with plans in every condition, to be damaged: ended well and badly, running, waiting for a retry, paused, with outputs,
 * with a message that nobody has taken, with dead letters. It is made twice: as an orderly stop leaves it, and as a crash does, with
 * half of what happened in the write-ahead log.
 */
import { cpSync, existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import type { Call, Handler } from '../../src/actors/calls.ts'
import { planAddress } from '../../src/address.ts'
import { type Clock, systemClock } from '../../src/clock.ts'
import type { Definition } from '../../src/definition.ts'
import { seededRandom } from '../../src/ids.ts'
import { EMPTY_BATCH } from '../../src/journal/journal.ts'
import { sqliteJournal } from '../../src/journal/sqlite.ts'
import { definePlan, type JobSource } from '../../src/plans/define-plan.ts'
import { createRuntime, type Runtime, type RuntimeOptions } from '../../src/runtime.ts'

/** The files that make a journal. */
export const PARTS = ['', '-wal', '-shm', '-mark'] as const

/** Which handler was called for what, in order: `plan/job`. */
export type Ledger = string[]

/** Life after the damage: two hours later, when whatever waited for a time is due. */
const LATER_MS = 2 * 3_600_000
const NOON = 1_700_000_000_000
const clockAt = (at: number): Clock => ({ ...systemClock, now: () => at })

/** What a job gives depends on what all jobs before it gave, so that one wrong output shows at the end. */
const give = async ({ plan, job, input, needs }: Call): Promise<unknown> => {
  const before = Object.entries(await needs()).map(
    ([name, { outputs }]) => `${name}=${Number(outputs['sum'])}`,
  )
  return { sum: crc32(`${plan}/${job}(${before.toSorted().join(' ')})`), input }
}

const untilStopped = ({ signal }: Call): Promise<never> =>
  new Promise((_, reject) =>
    signal.addEventListener('abort', () => reject(new Error('stopped')), { once: true }),
  )

const handlersOf = (ledger: Ledger, isLater: boolean): Readonly<Record<string, Handler>> => {
  const told =
    (handler: Handler): Handler =>
    (call) => {
      ledger.push(`${call.plan}/${call.job}`)
      return handler(call)
    }
  return {
    give: told(give),
    hold: told((call) => (isLater ? give(call) : untilStopped(call))),
    flaky: told((call) => {
      if (call.attempt === 1) throw new Error('the first attempt fails')
      return give(call)
    }),
    fail: told(() => {
      throw new Error('it fails')
    }),
  }
}

/** A runtime on a home, before the damage or after it. */
export const open = (
  home: string,
  ledger: Ledger,
  when: 'before' | 'after',
  more: RuntimeOptions = {},
): Promise<Runtime> =>
  createRuntime({
    home,
    handlers: handlersOf(ledger, when === 'after'),
    durability: 'normal',
    ports: { clock: clockAt(when === 'after' ? NOON + LATER_MS : NOON), random: seededRandom(when.length) },
    ...more,
  })

const chain = (length: number, text: number): Record<string, JobSource> =>
  Object.fromEntries(
    Array.from({ length }, (_, i) => [
      `job-${i}`,
      {
        call: 'give',
        with: { text: `${i}`.repeat(text) },
        needs: i === 0 ? [] : i % 3 === 0 ? [`job-${i - 1}`, `job-${i - 3}`] : [`job-${i - 1}`],
      },
    ]),
  )

type Sketch = Readonly<{
  name: string
  jobs: Record<string, JobSource>
  maxParallel?: number
  onFailure?: 'pause'
}>
const planOf = (sketch: Sketch): Definition => definePlan(sketch)

const ENDED = 10
const never = { call: 'hold' } as const

const makeEnded = async (runtime: Runtime): Promise<void> => {
  const plans = await Promise.all(
    Array.from({ length: ENDED }, (_, i) =>
      runtime.submit(planOf({ name: `ended-${i}`, jobs: chain(9 + i, 20 * i) }), {
        key: `key-${i}`,
      }),
    ),
  )
  const bad = await runtime.submit(
    planOf({
      name: 'bad',
      jobs: { ...chain(4, 10), breaks: { call: 'fail', needs: ['job-1'] } },
    }),
  )
  await Promise.all([...plans, bad].map((plan) => plan.settled()))
}

/** Resolves when the jobs named have got to these states. */
const until = async (
  runtime: Runtime,
  plan: string,
  states: Readonly<Record<string, string>>,
): Promise<void> => {
  const reached = async (): Promise<boolean> =>
    (await runtime.catalog.jobs(plan)).every(
      ({ name, state }) => states[name] === undefined || states[name] === state,
    )
  for await (const _ of runtime.events({ plan, after: 0 })) if (await reached()) return
}

const makeOpen = async (runtime: Runtime, name: string): Promise<void> => {
  const going = await runtime.submit(
    planOf({
      name: `going-${name}`,
      maxParallel: 2,
      jobs: {
        ...chain(6, 30),
        first: never,
        second: never,
        third: never,
        last: { call: 'give', needs: ['third', 'job-5'] },
      },
    }),
    { key: `going-${name}` },
  )
  const waits = await runtime.submit(
    planOf({
      name: `waits-${name}`,
      jobs: {
        ...chain(3, 10),
        flaky: { call: 'flaky', needs: ['job-1'], retry: { max: 1, delay: '1h' } },
        after: { call: 'give', needs: ['flaky', 'job-2'] },
      },
    }),
  )
  const paused = await runtime.submit(
    planOf({
      name: `paused-${name}`,
      onFailure: 'pause',
      jobs: {
        breaks: { call: 'fail' },
        gives: { call: 'give' },
        held: { call: 'give', needs: ['gives', 'holds'] },
        holds: { call: 'flaky', retry: { max: 1, delay: '1h' } },
      },
    }),
  )
  await until(runtime, going.id, { first: 'running' })
  await until(runtime, waits.id, { flaky: 'backoff', 'job-2': 'succeeded' })
  await until(runtime, paused.id, { breaks: 'failed', gives: 'succeeded', holds: 'backoff' })
}

/** Messages that wait, written as a host writes them whose actor could not take them. */
const addMail = async (home: string): Promise<void> => {
  const boot = { bootId: 'boot', pid: 1, build: 'test', at: NOON }
  const journal = await sqliteJournal({ file: join(home, 'journal.db'), boot, durability: 'normal' })
  const [paused] = await journal.plans({ states: ['paused'] })
  const address = planAddress(paused?.id ?? '')
  const event = JSON.stringify({ type: 'continue.requested', at: NOON })
  const { mail, dead } = journal.opening
  await journal.commit({
    ...EMPTY_BATCH,
    mail: {
      ...EMPTY_BATCH.mail,
      added: [{ id: mail + 1, address, event, postedBy: null, deliveries: 0, at: NOON }],
    },
    dead: [1, 2].map((n) => ({
      id: dead + n,
      address,
      event: JSON.stringify({ type: 'nobody.knows', n }),
      error: `Error ${n}`,
      at: NOON,
    })),
  })
  await journal.stop(true)
}

/** Copies the files of a journal to a new home; what lies there already is no home. */
export const copyJournal = (from: string, to: string): void => {
  mkdirSync(to, { recursive: true, mode: 0o700 })
  for (const part of PARTS) {
    const name = `journal.db${part}`
    if (existsSync(join(from, name))) cpSync(join(from, name), join(to, name))
  }
}

/** Two homes under a folder: as left by an orderly stop, and by a crash. */
export const makeHomes = async (folder: string): Promise<Readonly<Record<'clean' | 'crashed', string>>> => {
  const [clean, crashed, living] = ['clean', 'crashed', 'living'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ]
  const first = await open(clean, [], 'before')
  await makeEnded(first)
  await makeOpen(first, 'one')
  await first.stop()
  await addMail(clean)
  copyJournal(clean, living)
  const second = await open(living, [], 'before', { resume: false })
  await makeOpen(second, 'two')
  copyJournal(living, crashed)
  await second.stop()
  return { clean, crashed }
}
