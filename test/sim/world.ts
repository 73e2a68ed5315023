/**
 * A world: the real host, the real attempts and the real watching of a runner, on a virtual clock, a journal in memory and a virtual
 * machine, with whatever goes wrong. What survives a crash is the disk, the files of attempts and their processes.
 */
import type { Attempts, TellAttempt } from '../../src/actors/attempts.ts'
import type { Host, HostPorts } from '../../src/actors/contract.ts'
import { host } from '../../src/actors/host.ts'
import type { Faults, Part } from '../../src/actors/part.ts'
import { processAttempts } from '../../src/actors/processes.ts'
import type { Missed } from '../../src/actors/sweeping.ts'
import { type Address, jobAddress, parseAddress } from '../../src/address.ts'
import { attemptDir } from '../../src/attempt.ts'
import { isTenutoError } from '../../src/errors.ts'
import type { StepRow } from '../../src/journal/journal.ts'
import { memoryJournal } from '../../src/journal/memory.ts'
import { memoryDisk } from '../../src/journal/memory-disk.ts'
import { memoryReader } from '../../src/journal/memory-reader.ts'
import { executorPart } from '../../src/runtime/executing.ts'
import { isPlanEnd } from '../../src/states.ts'
import type { Choices } from './choices.ts'
import { commandOf, decide } from './commands.ts'
import { attemptsWrong, journalWrong } from './invariants.ts'
import type { SimPlan } from './plans.ts'
import { premises as newPremises, type Scripts } from './premises.ts'
import { runners as newRunners } from './runners.ts'
import { faultyJournal, type Shelf } from './store.ts'
import { type Life, timeline } from './timeline.ts'

/** What a world begins with. */
export type Setting = Readonly<{
  plans: readonly SimPlan[]
  scripts: Scripts
  choices: Choices
  /** How often the second net looks; 0: never. */
  sweepMs: number
  /** How many steps a drain may take. */
  drainSteps: number
  /** How many things happen before the faults stop. */
  faultyTurns: number
  /** Shown the steps of every commit. */
  shown?: (steps: readonly StepRow[]) => void
}>

/** What became of a world: nothing wrong, or what. */
export type Verdict = Readonly<{
  wrong: readonly string[]
  story: readonly string[]
  steps: number
  crashes: number
  failedCommits: number
  repairs: number
  /** Requests that a store which was away made the host refuse. */
  refused: number
  executions: number
  /** How each job ended, by plan and name. */
  ends: Readonly<Record<string, string>>
}>

const TURNS_MAX = 60_000
const DECIDES_EVERY_MS = 700
const HOME = '/simulated'
const HOME_ID = 'simulated'
const MENDED = /damaged|could not be read|does not fit|took this plan up|planted/
const WORLD: Life = { alive: true }

/** Lives through everything that a setting holds. */
export const live = async ({ plans, scripts, choices, ...setting }: Setting): Promise<Verdict> => {
  const time = timeline()
  const wrong: string[] = []
  const story: string[] = []
  const tell = (line: string): void => {
    story.push(`${Math.floor(time.monotonic())} ms  ${line}`)
  }
  const counts = { crashes: 0, failedCommits: 0, repairs: 0, refused: 0 }
  const shelf: Shelf = { awayUntil: 0 }
  /** What was asked and refused; each says so in the step that takes it. */
  const refused = new Set<string>()
  let asks = 0
  const disk = memoryDisk(HOME_ID)
  const reader = memoryReader({ ...disk, faults: {} })
  const premises = newPremises(time, scripts, (what) => wrong.push(what))
  const dirOf = (plan: string, job: string, attempt: number) => attemptDir(HOME, plan, job, attempt)
  /** What only the sweep can repair has happened. */
  let losses = 0
  let daemon: Life = { alive: false }
  let current: Host | null = null

  const crash = (where: string): void => {
    if (!daemon.alive) return
    counts.crashes += 1
    tell(`crash ${where}`)
    daemon.alive = false
    current = null
    time.at(1 + choices.random('downtime')() * 500, WORLD, () => void boot())
  }
  const runners = newRunners({
    time,
    premises,
    scripts,
    choices,
    homeId: HOME_ID,
    crash,
    tell,
    swallowed: () => {
      losses += 1
    },
  })

  /** What a person has ordered of the home outlives every daemon; each hears of it when it can. */
  let home: 'goes on' | 'is to hold' | 'holds' = 'goes on'
  const order = (to: 'goes on' | 'is to hold'): void => {
    home = to
    tell(`the home ${to}`)
    current?.between(async () => {}).catch(() => {})
    // A start that was granted before is none that the order can meet; once all of that is done, no more may come.
    void current?.idle().then(() => {
      if (home === 'is to hold') home = 'holds'
    })
  }

  const committed = (steps: readonly StepRow[]): void => {
    setting.shown?.(steps)
    for (const { type, address, reason } of steps) {
      if (home === 'holds' && type === 'slot.granted') wrong.push(`${address} starts in a home that holds`)
      if (type !== 'sweep.repaired') continue
      counts.repairs += 1
      // A report on its way is a message that the sweep cannot see; with it delayed, an end that is on record may look unread.
      const isEarly = reason === 'end-unread' && choices.struck.some((each) => isOfTime.test(each))
      if (losses === 0 && !isEarly)
        wrong.push(`the sweep repaired ${reason} at ${address}, and nothing was lost`)
    }
  }

  // What goes wrong between lives, with what is on the disk.

  const damage = (): void => {
    const how = choices.strike('damage a row', 'at a start')
    const rows = [...disk.tables.actors.values()].flatMap((of) => [...of.values()])
    const row = rows[Math.floor((how ?? 0) * rows.length)]
    if (how === undefined || !row) return
    tell(`the row of ${row.address} is damaged`)
    disk.faults.damaged = new Set([row.address])
    time.at(how * 4_000, WORLD, () => {
      tell('what was damaged is mended')
      disk.faults.damaged = undefined
    })
  }
  /**
   * Of an attempt that is open and on record as begun: before that a folder that is missing proves that nothing was started. Nor of one
   * whose end is in the mail, which then says more than what is left.
   */
  const loseFolder = (): void => {
    const told = new Set(
      [...disk.tables.mail.values()]
        .filter(({ event }) => event.includes('"type":"attempt.ended"'))
        .map(({ address }) => address),
    )
    const begun = disk.tables.steps.flatMap(({ address, type, attempt }) => {
      const place = parseAddress(address)
      if (place.kind !== 'note' || place.job === null || type !== 'begun') return []
      const row = disk.tables.jobs.get(place.plan)?.get(place.job)
      const isOpen =
        (row?.state === 'running' || row?.state === 'stopping') &&
        !told.has(jobAddress(place.plan, place.job))
      return isOpen && row.attempt === attempt ? [dirOf(place.plan, place.job, attempt)] : []
    })
    if (begun.length === 0) return
    const how = choices.strike('remove a folder', 'at a start')
    const dir = begun[Math.floor((how ?? 0) * begun.length)]
    if (how === undefined || dir === undefined) return
    tell(`the folder ${dir} is removed`)
    premises.remove(dir)
  }
  const loseMail = (): void => {
    const how = choices.strike('delete a message', 'at a start')
    const mail = [...disk.tables.mail.values()]
    const message = mail[Math.floor((how ?? 0) * mail.length)]
    if (how === undefined || !message) return
    tell(`a message is deleted: ${message.event} to ${message.address}`)
    losses += 1
    disk.tables.mail.delete(message.id)
  }

  // Lives of the daemon.

  const log: HostPorts['log'] = {
    info: () => {},
    warn: () => {},
    // What is damaged is set aside, and so is what was interrupted three times in a row; somebody continues it in the end.
    error: (fields) => {
      const said = JSON.stringify(fields)
      if (!MENDED.test(said) && !disk.faults.damaged) wrong.push(`the host says: ${said.slice(0, 400)}`)
    },
  }
  /** Each message fails its actor once at most; what fails it again and again is set aside, and that is another story. */
  const struckOnce = new Set<string>()
  const faults: Faults = (at) => {
    const where = Object.values(at).join(' ')
    if ('actor' in at && struckOnce.has(where)) return
    if (choices.strike('part' in at ? 'fail a part' : 'fail an actor', where) === undefined) return
    struckOnce.add(where)
    tell(`${where} fails`)
    throw new Error(`planted: ${where}`)
  }
  const boot = async (): Promise<void> => {
    await auditNow()
    damage()
    loseFolder()
    loseMail()
    const life: Life = { alive: true }
    daemon = life
    const journal = await memoryJournal(disk, { bootId: 'b', pid: 1, build: 'x', at: time.wall() })
    const clock = time.clock(life)
    const failed = (): void => {
      counts.failedCommits += 1
    }
    const attemptsOf = (told: TellAttempt): Attempts => {
      const hear: TellAttempt = (plan, job, news) => {
        if (!life.alive) return
        told(plan, job, news)
        const again = choices.strike('double a report', `${plan}/${job}`)
        if (again !== undefined) time.at(again * 1_000, life, () => told(plan, job, news))
      }
      const real = processAttempts({
        home: HOME,
        homeId: HOME_ID,
        bootedSince: null,
        clock,
        executor: (news) => runners.executor(life, journal.opening.epoch, news),
        needs: async () => ({}),
        secrets: () => ({}),
        tell: hear,
        recordedAt: (dir) => premises.directory(dir).exitAt,
      })
      const around = (where: string, act: () => void): void => {
        if (!life.alive) return
        if (choices.strike('crash before an effect', where) !== undefined) return crash(`before ${where}`)
        act()
        if (choices.strike('crash after an effect', where) !== undefined) crash(`after ${where}`)
      }
      return {
        ...real,
        ensure: (ref, deadlineAt, recovered) =>
          around(`ensuring ${ref.job} #${ref.attempt}`, () => {
            const row = disk.tables.jobs.get(ref.resident.id)?.get(ref.job)
            if (!row || row.attempt < ref.attempt)
              wrong.push(
                `${ref.resident.id}/${ref.job} #${ref.attempt} is started before its step is committed`,
              )
            real.ensure(ref, deadlineAt, recovered)
          }),
        stop: (ref, why, now) =>
          around(`stopping ${ref.job} #${ref.attempt}`, () => real.stop(ref, why, now)),
        sweep: (plan) => around(`sweeping up after ${plan}`, () => real.sweep(plan)),
      }
    }
    let executor!: Part<Attempts>
    const attempts: HostPorts['attempts'] = (told) => {
      executor = executorPart({
        make: () => attemptsOf(told),
        tell: () => made.tellAgain('executor'),
        faults,
      })
      return executor.port
    }
    const made = host({
      journal: faultyJournal(journal, { life, shelf, time, choices, crash, failed, tell, committed }),
      clock,
      random: choices.random('host'),
      attempts,
      maxParallel: Number.POSITIVE_INFINITY,
      mayStart: () => home === 'goes on',
      drainSteps: setting.drainSteps,
      log,
      faults,
      show: () => {},
      // As the supervisor does it: at once, or after a while; or it gives up.
      failed: ({ address, again, giveUp }) => {
        const draw = choices.random('replacing')()
        if (draw < 0.5) again()
        else if (draw < 0.9) time.at((draw - 0.5) * 10_000, life, again)
        else {
          tell(`${address} is given up`)
          giveUp('planted')
        }
      },
      fail: (error) => wrong.push(`the host gave up: ${String(error)}`),
    })
    current = made
    for (const part of [made.parts.slots, made.parts.timers, executor]) keepUp(part, life)
    for (const plan of plans) {
      if (disk.tables.plans.has(plan.id)) made.takeUp(plan.id).catch(() => {})
      else submit(made, plan, life)
    }
    sweepLater(made, life)
  }
  /** As the supervisor does it. */
  const keepUp = ({ start }: Part<unknown>, life: Life): void => {
    const again = (): void => {
      time.at(choices.random('restarts')() * 200, life, begin)
    }
    const begin = (): void => void start(again).catch(again)
    begin()
  }
  const submit = (to: Host, plan: SimPlan, life: Life): void => {
    const { id, definition } = plan
    const row = {
      id,
      name: definition.name,
      key: null,
      hash: 'h',
      inputs: '{}',
      environment: '{}',
      base: '/',
      submittedAt: time.wall(),
    }
    to.submit({ row, definition }).then(
      () => {
        if (!disk.tables.plans.has(id)) wrong.push(`${id} was acknowledged and is not in the journal`)
      },
      (error: unknown) => {
        if (!isTenutoError(error, 'STORE_FULL')) return
        counts.refused += 1
        tell(`${id} is refused`)
        // Whoever was refused tries again in their own time; until then nothing of it may happen.
        time.at(choices.random('patience')() * 10_000, life, () => {
          if (disk.tables.plans.has(id)) wrong.push(`${id} was refused and is in the journal`)
          else submit(to, plan, life)
        })
      },
    )
  }
  /** As the runtime does it. */
  const sweepLater = (of: Host, life: Life): void => {
    const { sweepMs } = setting
    if (sweepMs === 0) return
    const look = async (): Promise<void> => {
      const missed: Missed[] = []
      for (const { id } of plans) {
        const head = await reader.plan(id)
        if (!head || isPlanEnd(head.state) || head.aside !== null || of.residents.has(id)) continue
        const since = head.since ?? head.submittedAt
        if (time.wall() - since >= 2 * sweepMs)
          missed.push({ kind: 'not-taken-up', plan: id, job: null, since })
      }
      await of.sweep(2 * sweepMs, missed)
    }
    time.at(sweepMs, life, () => {
      look().then(
        () => sweepLater(of, life),
        () => sweepLater(of, life),
      )
    })
  }
  const auditNow = async (last = false): Promise<void> => {
    wrong.push(...(await journalWrong(reader, plans, { complete: last || losses === 0, last })))
  }

  // A phase in which everything goes wrong, and one in which everything must settle.

  const command = (how: number): void => {
    const [address, event] = commandOf(how, plans)
    asks += 1
    const why = `ask ${asks}`
    // As a signal, which nobody gives again.
    const waits = asks % 4 === 0
    tell(`${event.type} to ${address}, ${why}`)
    current?.offer(address as Address, { ...event, at: time.wall(), why }, waits).then(
      ({ taken, position }) => {
        if (taken && position > disk.tables.position) wrong.push(`${why} was acknowledged before its commit`)
      },
      (error: unknown) => {
        if (!isTenutoError(error, 'STORE_FULL')) return
        counts.refused += 1
        if (waits) wrong.push(`${why} was to wait, and is refused`)
        refused.add(why)
        tell(`${why} is refused`)
      },
    )
  }
  const deciding = async (): Promise<void> => {
    settled = !(await decide(current, reader, plans, time.wall()))
    if (!settled) time.at(DECIDES_EVERY_MS, WORLD, () => void deciding())
  }
  let settled = false

  await boot()
  for (let turns = 0; turns < setting.faultyTurns && wrong.length === 0; turns += 1) {
    const asked = choices.strike('give a command', 'now')
    if (asked !== undefined) command(asked)
    const held = choices.strike('hold the home', 'now')
    if (held !== undefined) {
      order('is to hold')
      time.at(held * 8_000, WORLD, () => order('goes on'))
    }
    const jumped = choices.strike('jump the clock', 'now')
    if (jumped !== undefined) {
      const ms = (jumped - 0.5) * (jumped * 10 ** 6 - Math.floor(jumped * 10 ** 6) < 0.1 ? 1_200_000 : 4_000)
      tell(`the clock jumps by ${Math.round(ms)} ms`)
      time.jump(ms)
    }
    if (!(await time.next())) break
  }
  choices.calm()
  tell('the faults stop')
  order('goes on')
  shelf.awayUntil = 0
  disk.faults.damaged = undefined
  time.at(DECIDES_EVERY_MS, WORLD, () => void deciding())
  for (let turns = 0; turns < TURNS_MAX && !settled && wrong.length === 0; turns += 1) await time.next()
  if (!settled && wrong.length === 0) {
    for (const { id } of plans) {
      const head = await reader.plan(id)
      if (!head || !isPlanEnd(head.state))
        wrong.push(`${id} does not settle: ${JSON.stringify(await reader.counts(id))} ${head?.state}`)
    }
  }
  // What was told twice comes late, and changes nothing.
  const until = time.monotonic() + 10_000
  while (settled && wrong.length === 0 && time.monotonic() < until && (await time.next()));
  await auditNow(true)
  for (const { position, event } of await reader.steps({ after: 0, limit: Number.MAX_SAFE_INTEGER })) {
    const { why } = JSON.parse(event) as { why?: string }
    if (why !== undefined && refused.has(why)) wrong.push(`${why} was refused and is step ${position}`)
  }
  wrong.push(...(await attemptsWrong(reader, plans, premises, dirOf)))
  // Whatever happens, every message finds somebody; only what a crash or a fault met again and again may be set aside.
  for (const { address, event, error } of await reader.deadLetters(10))
    if (!/^the process ended|planted/.test(error))
      wrong.push(`a dead letter to ${address}: ${event}: ${error}`)
  const ends: Record<string, string> = {}
  for (const { id } of plans) {
    ends[id] = (await reader.plan(id))?.state ?? 'none'
    for (const { name, state } of await reader.jobs(id)) ends[`${id}/${name}`] = state
  }
  const executions = [...premises.executions.values()].reduce((sum, times) => sum + times, 0)
  return { wrong, story, steps: disk.tables.position, ...counts, executions, ends }
}

const isOfTime = /^(?:delay a report|jump the clock|cut the line|slow a commit)/
