/**
 * A history to be counted: random plans on the real runtime, with a journal in memory, a clock that is moved, and attempts that end as
 * chance will have it; people pause, cancel, retry and skip, and the runtime is interrupted.
 */
import type { AttemptRef, Attempts, TellAttempt } from '../../src/actors/attempts.ts'
import type { Outcome } from '../../src/attempt.ts'
import type { Random } from '../../src/ids.ts'
import type { StepRow } from '../../src/journal/journal.ts'
import { memoryJournal } from '../../src/journal/memory.ts'
import { memoryDisk } from '../../src/journal/memory-disk.ts'
import { type Command, createRuntime, type Runtime } from '../../src/runtime.ts'
import { isJobEnd, UNSETTLED } from '../../src/states.ts'
import { type VirtualClock, virtualClock } from '../../src/testing/virtual-clock.ts'
import { planOf, randomGraph } from '../support/graphs.ts'

const OUTCOMES: readonly Outcome[] = [
  'succeeded',
  'succeeded',
  'succeeded',
  'exit',
  'signal',
  'timeout',
  'lost',
  'never-started',
]
const NAMES = ['release', 'nightly-build', 'p']

/** The steps of a history, in order. */
export const history = async (random: Random, turns = 60): Promise<readonly StepRow[]> => {
  const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] as T
  const disk = memoryDisk('home-of-a-test')
  const clock = virtualClock()
  const chance = chanceAttempts(clock, random, pick)
  let boots = 0
  const boot = async (): Promise<Runtime> => {
    boots += 1
    const record = { bootId: 'boot', pid: boots, build: 'test', at: clock.now() }
    const journal = async () => memoryJournal(disk, record)
    return createRuntime({
      home: '/nowhere',
      maxParallel: 3,
      retention: { everyMs: 0 },
      ports: { clock, random, journal, attempts: chance },
    })
  }
  let runtime = await boot()
  const submit = async (): Promise<void> => {
    const graph = randomGraph(1 + Math.floor(random() * 6), random)
    const retry = { max: 2, delayMs: 200, factor: 2, maxDelayMs: 5_000, jitter: 0.2, on: ['exit', 'signal'] }
    const definition = planOf(
      graph,
      () => ({
        kind: 'run',
        run: 'true',
        onLost: pick(['hold', 'retry', 'fail'] as const),
        ...(random() < 0.5 ? { retry } : {}),
      }),
      2,
    )
    const onFailure = pick(['continue', 'stop', 'pause'] as const)
    await runtime.submit({ ...definition, name: pick(NAMES), onFailure })
  }
  const act = async (): Promise<void> => {
    const plans = await runtime.catalog.plans({ limit: 20 })
    const plan = plans.length > 0 ? pick(plans).id : undefined
    if (plan === undefined) return
    const job = pick(await runtime.catalog.jobs(plan)).name
    const [to, asked] = pick<readonly [string | null, Command]>([
      [null, { do: 'pause' }],
      [null, { do: 'continue' }],
      [null, { do: 'cancel' }],
      [null, { do: 'retry' }],
      [job, { do: 'retry' }],
      [job, { do: 'skip' }],
      [job, { do: 'cancel' }],
    ])
    // What does not fit the state is refused.
    await runtime.command(plan, to, asked).catch(() => {})
  }

  for (let turn = 0; turn < turns; turn += 1) {
    const what = random()
    if (what < 0.2) await submit()
    else if (what < 0.4) await act()
    else if (what < 0.45) {
      await runtime.stop()
      runtime = await boot()
    } else await clock.advance(Math.floor(random() ** 3 * 100_000))
    await runtime.idle()
  }
  // In the end most of what waits for somebody gets its answer.
  for (const { id, state } of await runtime.catalog.plans({ states: UNSETTLED })) {
    if (state === 'paused') await runtime.command(id, null, { do: 'continue' }).catch(() => {})
    for (const job of await runtime.catalog.jobs(id))
      if (!isJobEnd(job.state) && random() < 0.5)
        await runtime.command(id, job.name, { do: 'retry' }).catch(() => {})
  }
  await clock.advance(200_000)
  await runtime.idle()
  await runtime.stop()
  return disk.tables.steps
}

/** Attempts that last as long, and end, as chance will have it; what was begun is remembered across runtimes. */
const chanceAttempts = (clock: VirtualClock, random: Random, pick: <T>(of: readonly T[]) => T) => {
  const begun = new Map<string, Readonly<{ startedAt: number; endsAt: number; outcome: Outcome }>>()
  return (tell: TellAttempt): Attempts => {
    const watched = new Set<string>()
    let closed = false
    const keyOf = ({ resident, job, attempt }: AttemptRef): string => `${resident.id}/${job}#${attempt}`
    const end = (ref: AttemptRef, outcome: Outcome): void => {
      const { startedAt } = begun.get(keyOf(ref)) as { startedAt: number }
      if (closed || !watched.delete(keyOf(ref))) return
      const { attempt, generation } = ref
      const unseen = outcome === 'never-started' || outcome === 'lost'
      tell(ref.resident.id, ref.job, {
        type: 'attempt.ended',
        attempt,
        generation,
        outcome,
        code: outcome === 'exit' ? 1 : null,
        signal: null,
        startedAt: unseen ? null : startedAt,
        endedAt: unseen ? null : clock.now(),
        pid: null,
      })
    }
    return {
      ensure: (ref, _, recovered) => {
        const key = keyOf(ref)
        const startedAt = clock.now()
        const made = begun.get(key) ?? {
          startedAt,
          endsAt: startedAt + Math.floor(random() ** 4 * 60_000),
          outcome: pick(OUTCOMES),
        }
        begun.set(key, made)
        if (watched.has(key)) return
        watched.add(key)
        const { attempt, generation, resident, job } = ref
        if (recovered && random() < 0.5)
          tell(resident.id, job, {
            type: 'attempt.found',
            attempt,
            generation,
            how: pick(['adopted', 'requeued']),
            pid: 1,
          })
        clock.setTimeout(() => end(ref, made.outcome), made.endsAt - clock.now())
      },
      stop: (ref) => {
        const key = keyOf(ref)
        if (!begun.has(key)) begun.set(key, { startedAt: clock.now(), endsAt: 0, outcome: 'cancelled' })
        watched.add(key)
        clock.setTimeout(() => end(ref, 'cancelled'), 10)
      },
      look: (ref) => (watched.has(keyOf(ref)) ? 'awaited' : 'unasked'),
      inquire: async () => {},
      sweep: () => {},
      close: async () => {
        closed = true
      },
    }
  }
}
