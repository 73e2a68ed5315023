/**
 * A world for one seed: the real host on a virtual clock, a journal in memory and attempts that follow a script, with whatever goes
 * wrong. What survives a crash is the disk and the attempts, as files and processes would.
 */
import type { AttemptNews, Attempts } from '../../src/actors/attempts.ts'
import { type Host, host } from '../../src/actors/host.ts'
import type { Receipt } from '../../src/actors/mailbox.ts'
import { jobAddress, planAddress } from '../../src/address.ts'
import type { Outcome } from '../../src/attempt.ts'
import { auditPlan, auditPositions } from '../../src/audit/audit.ts'
import { auditStranded } from '../../src/audit/stranded.ts'
import type { Clock } from '../../src/clock.ts'
import type { Definition, JobDefinition, Need } from '../../src/definition.ts'
import { TenutoError } from '../../src/errors.ts'
import { type Random, seededRandom } from '../../src/ids.ts'
import type { Journal } from '../../src/journal/journal.ts'
import { memoryDisk, memoryJournal, memoryReader } from '../../src/journal/memory.ts'
import type { StopReason } from '../../src/states.ts'

/** What a seed came to: nothing wrong, or what. */
export type Verdict = Readonly<{
  wrong: readonly string[]
  story: readonly string[]
  steps: number
  crashes: number
  failedCommits: number
}>

type Faults = Readonly<
  Record<
    'crashAtCommit' | 'crashAtEffect' | 'failCommit' | 'loseAck' | 'duplicate' | 'delay' | 'jump' | 'command',
    number
  >
>
const NONE: Faults = {
  crashAtCommit: 0,
  crashAtEffect: 0,
  failCommit: 0,
  loseAck: 0,
  duplicate: 0,
  delay: 0,
  jump: 0,
  command: 0,
}

const START = 1_700_000_000_000
const FAULTY_TURNS = 400
const TURNS_MAX = 20_000

type Task = { readonly at: number; readonly order: number; readonly life: number; readonly run: () => void }
type Truth = {
  state: 'running' | 'ended'
  outcome: Outcome
  code: number | null
  endsAt: number
  readonly plan: string
  readonly job: string
  readonly attempt: number
  readonly generation: number
  executions: number
}

const pick = <T>(random: Random, of: readonly T[]): T => of[Math.floor(random() * of.length)] as T

const randomDefinition = (random: Random, name: string): Definition => {
  const count = 1 + Math.floor(random() * 12)
  const jobs: Record<string, JobDefinition> = {}
  const density = random() * 0.6
  for (let at = 0; at < count; at += 1) {
    const needs: Record<string, Need> = {}
    for (let before = 0; before < at; before += 1) {
      if (random() < density) needs[`j${before}`] = pick(random, ['success', 'success', 'any', 'skipped-ok'])
    }
    jobs[`j${at}`] = {
      kind: 'run',
      run: 'true',
      needs,
      graceMs: 100,
      onLost: pick(random, ['hold', 'retry', 'fail']),
      ...(random() < 0.3
        ? {
            retry: {
              max: 1 + Math.floor(random() * 2),
              delayMs: 50,
              factor: 2,
              maxDelayMs: 500,
              jitter: 0.2,
              on: ['exit', 'signal'],
            },
          }
        : {}),
      ...(random() < 0.2 ? { optional: true as const } : {}),
      ...(random() < 0.15 ? { deadlineMs: 200 + Math.floor(random() * 2000) } : {}),
    }
  }
  return {
    version: 1,
    name,
    maxParallel: 1 + Math.floor(random() * 4),
    onFailure: pick(random, ['continue', 'continue', 'stop', 'pause']),
    env: {},
    jobs,
  }
}

/** Lives through one seed. */
export const live = async (seed: number): Promise<Verdict> => {
  const random = seededRandom(seed)
  const chance = (): Random => seededRandom(Math.floor(random() * 2 ** 32))
  const [world, hostRandom] = [chance(), chance()]
  const some = (most: number): number => (world() < 0.5 ? 0 : world() * most)
  let faults: Faults = {
    crashAtCommit: some(0.05),
    crashAtEffect: some(0.05),
    failCommit: some(0.1),
    loseAck: some(0.05),
    duplicate: some(0.3),
    delay: some(0.3),
    jump: some(0.05),
    command: some(0.1),
  }
  const drainSteps = pick(world, [1, 2, 3, 5, 4096])
  const wrong: string[] = []
  const story: string[] = []
  const tell = (line: string): void => {
    story.push(line)
  }
  const counts = { crashes: 0, failedCommits: 0 }

  // Time and what is to happen in it.
  const tasks = new Set<Task>()
  let [now, jumped, order, life] = [0, 0, 0, 0]
  const at = (ms: number, of: number, run: () => void): Task => {
    order += 1
    const task = { at: now + Math.max(0, ms), order, life: of, run }
    tasks.add(task)
    return task
  }
  /** Life 0 is the world's own: it goes on through crashes. */
  const clockOf = (of: number): Clock => ({
    now: () => START + jumped + now,
    monotonic: () => now,
    setTimeout: (wake, ms) => {
      const task = at(ms, of, wake)
      return () => {
        tasks.delete(task)
      }
    },
    soon: (run) => {
      at(0, of, run)
    },
  })

  // The disk, and what can happen to a commit.
  const disk = memoryDisk('simulated')
  const reader = memoryReader(disk)
  const forever = (): Promise<never> => new Promise(() => {})
  const crash = (where: string): void => {
    counts.crashes += 1
    tell(`crash ${where}`)
    life += 1
    for (const task of tasks) if (task.life !== 0) tasks.delete(task)
    at(1 + world() * 500, 0, () => void boot())
  }
  const full = (): TenutoError => new TenutoError('STORE_FULL', { path: 'memory', why: 'simulated' })
  const faulty = (journal: Journal, of: number): Journal => ({
    ...journal,
    commit: async (batch) => {
      if (life !== of) return forever()
      if (world() < faults.crashAtCommit) {
        crash('before a commit')
        return forever()
      }
      if (world() < faults.failCommit) {
        counts.failedCommits += 1
        tell('a commit fails')
        throw full()
      }
      await journal.commit(batch)
      for (const step of batch.steps)
        tell(`${step.position} ${step.address} ${step.type} ${step.from} -> ${step.to}`)
      if (world() < faults.crashAtCommit) {
        crash('after a commit')
        return forever()
      }
      if (world() < faults.loseAck) {
        counts.failedCommits += 1
        tell('the end of a commit is not seen')
        throw full()
      }
    },
  })

  // Attempts: what is true of them survives every crash.
  const truths = new Map<string, Truth>()
  const scriptOf = (key: string): Readonly<{ outcome: Outcome; code: number | null; ms: number }> => {
    const own = seededRandom(
      Array.from(key).reduce(
        (sum, character) => Math.imul(sum, 31) + character.charCodeAt(0),
        Math.floor(seed * 7919),
      ),
    )
    const outcome = pick<Outcome>(own, [
      'succeeded',
      'succeeded',
      'succeeded',
      'succeeded',
      'exit',
      'exit',
      'signal',
      'lost',
      'never-started',
      'timeout',
    ])
    return { outcome, code: outcome === 'exit' ? 1 : null, ms: own() < 0.4 ? 0 : own() * 800 }
  }
  let heard: ((plan: string, job: string, news: AttemptNews) => void) | null = null
  const report = (truth: Truth): void => {
    const { plan, job, attempt, generation, outcome, code } = truth
    heard?.(plan, job, {
      type: 'attempt.ended',
      attempt,
      generation,
      outcome,
      code,
      signal: null,
      startedAt: START,
      endedAt: START,
      pid: 1,
    })
  }
  const deliver = (truth: Truth): void => {
    if (world() < faults.delay) at(world() * 3000, 0, () => report(truth))
    else report(truth)
    if (world() < faults.duplicate) at(world() * 1000, 0, () => report(truth))
  }
  const end = (truth: Truth, outcome: Outcome): void => {
    if (truth.state === 'ended') return
    truth.state = 'ended'
    truth.outcome = outcome
    deliver(truth)
  }
  const keyOf = (plan: string, job: string, attempt: number): string => `${plan}/${job}/${attempt}`
  const attemptsOf = (of: number): Attempts => {
    const guarded = (where: string, act: () => void): void => {
      if (life !== of) return
      if (world() < faults.crashAtEffect) return crash(`before ${where}`)
      act()
      if (life === of && world() < faults.crashAtEffect) crash(`after ${where}`)
    }
    return {
      ensure: ({ resident, job, attempt, generation }) =>
        guarded(`ensuring ${job} #${attempt}`, () => {
          const row = disk.tables.jobs.get(resident.id)?.get(job)
          if (!row || row.attempt < attempt)
            wrong.push(`${resident.id}/${job} #${attempt} is started before its step is committed`)
          const key = keyOf(resident.id, job, attempt)
          const known = truths.get(key)
          if (known) {
            if (known.state === 'ended') deliver(known)
            return
          }
          const { outcome, code, ms } = scriptOf(key)
          const truth: Truth = {
            state: 'running',
            outcome,
            code,
            endsAt: now + ms,
            plan: resident.id,
            job,
            attempt,
            generation,
            executions: outcome === 'never-started' ? 0 : 1,
          }
          truths.set(key, truth)
          at(ms, 0, () => end(truth, outcome))
        }),
      stop: ({ resident, job, attempt, generation }, _why: StopReason, nowFlag) =>
        guarded(`stopping ${job} #${attempt}`, () => {
          const key = keyOf(resident.id, job, attempt)
          const known = truths.get(key)
          if (known?.state === 'ended') return deliver(known)
          if (known) {
            at(nowFlag ? 0 : world() * 100, 0, () => end(known, 'cancelled'))
            return
          }
          const truth: Truth = {
            state: 'running',
            outcome: 'cancelled',
            code: null,
            endsAt: now,
            plan: resident.id,
            job,
            attempt,
            generation,
            executions: 0,
          }
          truths.set(key, truth)
          end(truth, 'cancelled')
        }),
      look: ({ resident, job, attempt }) => {
        const truth = truths.get(keyOf(resident.id, job, attempt))
        return truth === undefined ? 'unasked' : 'awaited'
      },
      sweep: () => {},
      close: async () => {},
    }
  }

  // Lives of the host.
  let current: Host | null = null
  const plans = Array.from({ length: 1 + Math.floor(world() * 3) }, (_, index) => ({
    id: `p${index}-aaaaaa`,
    definition: randomDefinition(world, `p${index}`),
  }))
  const submit = (id: string, definition: Definition): void => {
    const row = {
      id,
      name: definition.name,
      key: null,
      hash: 'h',
      inputs: '{}',
      environment: '{}',
      base: '/',
      submittedAt: START + now,
    }
    current?.submit({ row, definition }).then(
      () => {},
      () => {},
    )
  }
  const boot = async (): Promise<void> => {
    life += 1
    const of = life
    const journal = await memoryJournal(disk, { bootId: 'b', pid: of, build: 'x', at: now })
    if (life !== of) return
    heard = null
    current = host({
      journal: faulty(journal, of),
      clock: clockOf(of),
      random: hostRandom,
      attempts: (told) => {
        heard = (plan, job, news) => {
          if (life === of) told(plan, job, news)
        }
        return attemptsOf(of)
      },
      maxParallel: Number.POSITIVE_INFINITY,
      drainSteps,
      log: {
        info: () => {},
        warn: () => {},
        // A plan whose taking up was interrupted three times in a row is set aside, and continued by somebody in the end.
        error: (fields) => {
          if (!JSON.stringify(fields).includes('while it took this plan up'))
            wrong.push(`the host says: ${JSON.stringify(fields).slice(0, 400)}`)
        },
      },
      show: () => {},
      fail: (error) => wrong.push(`the host gave up: ${String(error)}`),
    })
    for (const { id, definition } of plans) {
      if (disk.tables.plans.has(id)) current.takeUp(id).catch(() => {})
      else submit(id, definition)
    }
    await auditNow()
  }
  const audited = async (): Promise<readonly string[]> => {
    const all = await reader.steps({ after: 0, limit: Number.MAX_SAFE_INTEGER })
    const found = [...auditPositions(all)]
    for (const { id, definition } of plans) {
      const [jobs, actors, mail] = [await reader.jobs(id), await reader.actors(id), await reader.mail(id)]
      const steps = all.filter(({ address }) => address === `plan:${id}` || address.startsWith(`job:${id}/`))
      found.push(...auditPlan({ id, definition, jobs, actors, steps, mail }).map((each) => `${id}: ${each}`))
      const state = actors.find(({ address }) => address === `plan:${id}`)?.state ?? 'none'
      found.push(
        ...auditStranded({ id, state, definition, jobs, mail }).map(
          ({ what, place }) => `${JSON.stringify(place)}: ${what}`,
        ),
      )
    }
    return found
  }
  const auditNow = async (): Promise<void> => {
    wrong.push(...(await audited()))
  }
  const command = (): void => {
    const { id, definition } = pick(world, plans)
    const job = pick(world, Object.keys(definition.jobs))
    const retry = { job: world() < 0.5 ? job : null, downstream: world() < 0.3 }
    const [address, event] = pick(world, [
      [planAddress(id), { type: 'cancel.requested', now: world() < 0.3 }],
      [planAddress(id), { type: 'pause.requested' }],
      [planAddress(id), { type: 'continue.requested' }],
      [planAddress(id), { type: 'retry.requested', retry }],
      [jobAddress(id, job), { type: 'cancel.requested' }],
      [jobAddress(id, job), { type: 'skip.requested' }],
      [jobAddress(id, job), { type: 'retry.requested' }],
    ] as const)
    tell(`${event.type} to ${address}`)
    current?.offer(address, { ...event, at: START + jumped + now }).then(
      (_: Receipt) => {},
      () => {},
    )
  }

  /** In the quiet phase somebody decides what waits for a person. */
  const decide = async (): Promise<boolean> => {
    let open = false
    for (const { id } of plans) {
      const head = await reader.plan(id)
      if (!head || ['succeeded', 'failed', 'cancelled'].includes(head.state)) {
        open ||= head === undefined
        continue
      }
      open = true
      if (head.state === 'paused' || head.state === 'quarantined')
        current?.offer(planAddress(id), { type: 'continue.requested', at: START + now }).catch(() => {})
      for (const row of await reader.jobs(id)) {
        if (row.state === 'waiting')
          current
            ?.offer(jobAddress(id, row.name), { type: 'skip.requested', at: START + now })
            .catch(() => {})
      }
    }
    return open
  }

  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
  const next = async (): Promise<boolean> => {
    let first: Task | undefined
    for (const task of tasks)
      if (!first || task.at < first.at || (task.at === first.at && task.order < first.order)) first = task
    if (!first) return false
    tasks.delete(first)
    now = Math.max(now, first.at)
    first.run()
    await turn()
    return true
  }

  await boot()
  for (let turns = 0; turns < FAULTY_TURNS && wrong.length === 0; turns += 1) {
    if (world() < faults.command) command()
    if (world() < faults.jump) jumped += (world() - 0.5) * 4000
    if (!(await next())) {
      now += 100
      await turn()
    }
  }
  faults = NONE
  tell('the faults stop')
  let open = true
  for (let turns = 0; turns < TURNS_MAX && open && wrong.length === 0; turns += 1) {
    if (!(await next())) {
      open = await decide()
      await turn()
      if (tasks.size === 0) now += 100
    }
  }
  await turn()
  if (open && wrong.length === 0) {
    for (const { id } of plans)
      wrong.push(
        `${id} does not settle: ${JSON.stringify(await reader.counts(id))} ${(await reader.plan(id))?.state}`,
      )
  }
  await auditNow()
  for (const [key, { executions }] of truths)
    if (executions > 1) wrong.push(`attempt ${key} was executed ${executions} times`)
  return { wrong, story, steps: disk.tables.position, ...counts }
}
