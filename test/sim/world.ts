/**
 * A world: the real host, the real attempts and the real watching of a runner, on a virtual clock, a journal in memory and a virtual
 * machine, with whatever goes wrong. What survives a crash is the disk, the files of attempts and their processes.
 */
import type { Attempts, TellAttempt } from '../../src/actors/attempts.ts'
import type { Host, HostPorts } from '../../src/actors/contract.ts'
import { host } from '../../src/actors/host.ts'
import type { Faults, Part } from '../../src/actors/part.ts'
import { processAttempts } from '../../src/actors/processes.ts'
import { type Retaining, retaining } from '../../src/actors/retaining.ts'
import type { Missed } from '../../src/actors/sweeping.ts'
import { type Address, jobAddress, parseAddress } from '../../src/address.ts'
import { attemptDir } from '../../src/attempt.ts'
import { isTenutoError } from '../../src/errors.ts'
import type { Batch, StepRow } from '../../src/journal/journal.ts'
import { memoryJournal } from '../../src/journal/memory.ts'
import { memoryDisk } from '../../src/journal/memory-disk.ts'
import { memoryReader } from '../../src/journal/memory-reader.ts'
import { executorPart } from '../../src/runtime/executing.ts'
import { isPlanEnd } from '../../src/states.ts'
import type { Choices } from './choices.ts'
import { commandOf, decide } from './commands.ts'
import { folders as newFolders } from './folders.ts'
import { attemptsWrong, journalWrong } from './invariants.ts'
import { ledger as newLedger } from './ledger.ts'
import { Gone } from './machine.ts'
import type { SimPlan } from './plans.ts'
import { premises as newPremises, type Scripts } from './premises.ts'
import { LAST_PASS, type Passes, passes, passOf } from './retention.ts'
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
  /** Plans that were kept no longer. */
  removed: number
  /** How each job ended, by plan and name. */
  ends: Readonly<Record<string, string>>
}>

const TURNS_MAX = 60_000
const DECIDES_EVERY_MS = 700
const HOME = '/simulated'
const HOME_ID = 'simulated'
const MENDED = /damaged|could not be read|does not fit|took this plan up|planted/
const WORLD: Life = { alive: true }
const DAY_MS = 86_400_000
const SLOW_MS_MOST = 10_000

/** Lives through everything that a setting holds. */
export const live = async ({ plans: given, scripts, choices, ...setting }: Setting): Promise<Verdict> => {
  const plans = [...given]
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
  /** Plans that were refused, and not submitted again so far. */
  const turnedAway = new Set<string>()
  let asks = 0
  const disk = memoryDisk(HOME_ID)
  const reader = memoryReader({ ...disk, faults: {} })
  const premises = newPremises(time, scripts, (what) => wrong.push(what))
  const book = newLedger(disk, time.wall, (what) => wrong.push(what))
  /** The plans that were not removed. */
  const kept = (): readonly SimPlan[] => plans.filter(({ id }) => !book.removed.has(id))
  const dirOf = (plan: string, job: string, attempt: number) => attemptDir(HOME, plan, job, attempt)
  /** What only the sweep can repair has happened. */
  let losses = 0
  let daemon: Life = { alive: false }
  let current: Host | null = null
  let keeping: Readonly<{ retain: Retaining; passes: Passes }> | null = null
  let jumps = 0

  const crash = (where: string): void => {
    if (!daemon.alive) return
    counts.crashes += 1
    tell(`crash ${where}`)
    daemon.alive = false
    current = null
    keeping = null
    time.at(1 + choices.random('downtime')() * 500, WORLD, () => void boot())
  }
  const folders = newFolders({
    home: HOME,
    time,
    premises,
    choices,
    crash,
    tell,
    wrong: (what) => wrong.push(what),
  })
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

  const committed = (batch: Batch): void => {
    const { steps } = batch
    book.took(batch)
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
    let awaits = (_plan: string): boolean => false
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
        executor: (news) => {
          const line = runners.executor(life, journal.opening.epoch, news)
          awaits = line.awaitsPlan
          return line
        },
        needs: async () => ({}),
        secrets: ({ resident: { id } }) => {
          const { work, secrets } = folders.of(id)
          // That one that was refused is there all the same is said where it is asked for again.
          if (turnedAway.has(id)) return {}
          if (!work) wrong.push(`the folder that ${id} runs in is gone`)
          if (!secrets && !book.cleared.has(id)) wrong.push(`the secrets of ${id} are gone`)
          return {}
        },
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
    const making = passes((error) => {
      const isAway = isTenutoError(error, 'STORE_FULL') || isTenutoError(error, 'STORE_RESTARTED')
      if (error instanceof Gone || isAway || /planted/.test(String(error))) return
      wrong.push(`a pass of retention failed: ${String(error)}`)
    })
    const pruning = book.watch(journal, making.now, (plan) => made.residents.has(plan))
    const faulty = faultyJournal(journal, {
      life,
      shelf,
      time,
      choices,
      crash,
      failed,
      tell,
      committed,
      pruning,
    })
    const made = host({
      journal: faulty,
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
    const ports = {
      home: HOME,
      journal: faulty,
      clock,
      log: { warn: () => {} },
      // Somebody else has much to do.
      between: async <T>(act: () => Promise<T>): Promise<T> => {
        const slow = choices.strike('slow a removal', 'between two drains')
        if (slow !== undefined) await new Promise<void>((done) => time.at(slow * SLOW_MS_MOST, life, done))
        return made.between(act)
      },
      isBusy: (plan: string) => made.residents.has(plan) || made.isAside(plan) || awaits(plan),
      folders: folders.kept(life),
    }
    keeping = { retain: retaining(ports, [...disk.tables.leaving]), passes: making }
    for (const plan of kept()) {
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
      key: definition.name,
      hash: 'h',
      inputs: '{}',
      environment: '{}',
      base: '/',
      submittedAt: time.wall(),
    }
    folders.make(id)
    turnedAway.delete(id)
    to.submit({ row, definition }).then(
      () => {
        if (!disk.tables.plans.has(id) && !book.removed.has(id))
          wrong.push(`${id} was acknowledged and is not in the journal`)
      },
      (error: unknown) => {
        if (!isTenutoError(error, 'STORE_FULL')) return
        counts.refused += 1
        folders.drop(id)
        turnedAway.add(id)
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
    const complete = last || losses === 0
    wrong.push(...(await journalWrong(reader, kept(), { complete, last, ever: book.steps })))
    wrong.push(...(await book.wrong(reader)))
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
  const pass = (how: number): void => {
    if (!keeping) return
    const asked = passOf(how)
    tell(`a pass of retention: ${JSON.stringify(asked)}`)
    const before = jumps
    void keeping.passes.make(keeping.retain, { ...asked, jumped: () => jumps > before })
  }
  /** Whoever has a key submits its plan again, under an id of its own where the one before was removed. */
  const submitAgain = async (how: number): Promise<void> => {
    const [to, life] = [current, daemon]
    const first = given[Math.floor(how * given.length)] as SimPlan
    const key = first.definition.name
    const known = await reader.planByKey(key)
    const last = plans.findLast(({ definition }) => definition.name === key) as SimPlan
    const isGone = book.removed.has(last.id)
    if (known && (isGone || known.id !== last.id)) wrong.push(`the key ${key} is that of ${known.id}`)
    if (!to || !isGone) return
    const times = plans.filter(({ definition }) => definition.name === key).length
    const again = { ...last, id: `${key}-aaaaa${String.fromCharCode(97 + times)}` }
    tell(`${again.id} is submitted by the key of ${last.id}`)
    plans.push(again)
    submit(to, again, life)
  }
  const deciding = async (): Promise<void> => {
    settled = !(await decide(current, reader, kept(), time.wall()))
    if (!settled) time.at(DECIDES_EVERY_MS, WORLD, () => void deciding())
  }
  let settled = false
  /** What a report says twice of a plan that is removed meanwhile reaches nobody. */
  const isLate = (address: Address, error: string): boolean =>
    error === 'there is no such plan' && book.removed.has(parseAddress(address).plan)
  /** Of what was removed nothing is left when what was begun has come to its end. */
  const keepNothingMore = async (): Promise<void> => {
    time.jump(DAY_MS)
    let isOver = false
    const last = keeping?.passes.make(keeping.retain, { ...LAST_PASS, jumped: () => false })
    void last?.then(() => {
      isOver = true
    })
    // Nothing else may be about to happen: what the pass waits for comes with its own first words.
    time.at(0, WORLD, () => {})
    for (let turns = 0; turns < TURNS_MAX && !isOver && (await time.next()); turns += 1);
    if (!isOver) wrong.push('the last pass of retention does not come to its end')
    wrong.push(...book.left(folders), ...(await book.wrong(reader)))
  }

  await boot()
  for (let turns = 0; turns < setting.faultyTurns && wrong.length === 0; turns += 1) {
    const asked = choices.strike('give a command', 'now')
    if (asked !== undefined) command(asked)
    const held = choices.strike('hold the home', 'now')
    if (held !== undefined) {
      order('is to hold')
      time.at(held * 8_000, WORLD, () => order('goes on'))
    }
    const looked = choices.strike('make a pass', 'now')
    if (looked !== undefined) pass(looked)
    const resubmitted = choices.strike('submit again', 'now')
    if (resubmitted !== undefined) await submitAgain(resubmitted)
    const jumped = choices.strike('jump the clock', 'now')
    if (jumped !== undefined) {
      const ms = (jumped - 0.5) * (jumped * 10 ** 6 - Math.floor(jumped * 10 ** 6) < 0.1 ? 1_200_000 : 4_000)
      tell(`the clock jumps by ${Math.round(ms)} ms`)
      time.jump(ms)
      jumps += 1
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
    for (const { id } of kept()) {
      const head = await reader.plan(id)
      if (!head || !isPlanEnd(head.state))
        wrong.push(`${id} does not settle: ${JSON.stringify(await reader.counts(id))} ${head?.state}`)
    }
  }
  // What was told twice comes late, and changes nothing.
  const until = time.monotonic() + 10_000
  while (settled && wrong.length === 0 && time.monotonic() < until && (await time.next()));
  await auditNow(true)
  for (const { position, event } of book.steps) {
    const { why } = JSON.parse(event) as { why?: string }
    if (why !== undefined && refused.has(why)) wrong.push(`${why} was refused and is step ${position}`)
  }
  wrong.push(...attemptsWrong(plans, premises, book, dirOf))
  if (wrong.length === 0) await keepNothingMore()
  // Whatever happens, every message finds somebody; only what a crash or a fault met again and again may be set aside.
  for (const { address, event, error } of await reader.deadLetters(10))
    if (!/^the process ended|planted/.test(error) && !isLate(address, error))
      wrong.push(`a dead letter to ${address}: ${event}: ${error}`)
  const ends: Record<string, string> = {}
  for (const { id } of plans) {
    ends[id] = book.state(id) ?? 'none'
    for (const { name, state } of await reader.jobs(id)) ends[`${id}/${name}`] = state
  }
  const executions = [...premises.executions.values()].reduce((sum, times) => sum + times, 0)
  return {
    wrong,
    story,
    steps: disk.tables.position,
    ...counts,
    executions,
    removed: book.removed.size,
    ends,
  }
}

const isOfTime = /^(?:delay a report|jump the clock|cut the line|slow a commit)/
