/**
 * The commands that only read, but `ls`: `show`, `logs`, `events`.
 */
import { lookAtHolder } from '../audit/holder.ts'
import { pause, systemClock } from '../clock.ts'
import { isTenutoError, TenutoError } from '../errors.ts'
import type { AttemptShape, EventShape, JobShape, PlanShape } from '../views/shapes.ts'
import { colorful, cut, fill, lastWritten, plain, widthOf } from './cells.ts'
import { tellOfGoneLogs } from './gone-log.ts'
import { type Growth, growingLog, LOOK_MS, lifeOf } from './growing-log.ts'
import { type Catalog, homeFlag, homeOf, readIn } from './home.ts'
import { awaitLasting, hasGone } from './lasting.ts'
import { noteLines, notesShape, reasonOf } from './notes.ts'
import { readerGone, watchReader } from './output.ts'
import { jobLines, oneJobLines, planLines } from './rows.ts'
import { type Globals, type Screen, screen } from './screen.ts'
import { followingHolder, tellOfUnheld } from './unheld.ts'
import { MEND } from './words.ts'

const ENDS = new Set(['succeeded', 'failed', 'cancelled', 'skipped'])
const LOG_CHUNK = 256 * 1024
const EVENTS_PAGE = 500
/** Attempts are read for a picture of a plan with so many jobs; more lines are read by nobody. */
const DETAIL_JOBS_MAX = 200
/** Longer names stand out of their column. */
const NAME_MAX = 24

/** Reads a home through whoever holds it, or by itself; says in the end what nobody drives there. */
export const reading = async (
  flags: Globals,
  read: (catalog: Catalog, on: Screen) => Promise<number>,
): Promise<number> => {
  const home = homeOf(flags)
  const on = screen(flags)
  return readIn(home, async (catalog) => {
    const code = await read(catalog, on)
    await tellOfUnheld(home, catalog, on, homeFlag(flags))
    return code
  })
}
/** Answers with one JSON document. */
export const document = (on: Screen, value: unknown): number => {
  on.answer(JSON.stringify(value, null, 2))
  return 0
}

/** `tenuto show REF`. */
export const show = (ref: string, flags: Globals): Promise<number> =>
  reading(flags, async (catalog, on) => {
    const target = await catalog.resolve(ref)
    const flag = homeFlag(flags)
    if (target.job === null) return showPlan(catalog, target.plan, on, flag)
    const job = await catalog.job(target.plan, target.job)
    const attempts = await catalog.attempts(target.plan, target.job)
    const shown = target.attempt === null ? attempts : attempts.filter(({ n }) => n === target.attempt)
    if (on.json) return document(on, target.attempt === null ? { ...job, attempts } : shown[0])
    await showJob(catalog, job, shown, target.attempt, on, flag, homeOf(flags))
    return 0
  })

/** The states of plans, by their ids. */
export const statesOf = (plans: readonly PlanShape[]): ReadonlyMap<string, string> =>
  new Map(plans.map(({ id, state }) => [id, state]))

const showPlan = async (catalog: Catalog, id: string, on: Screen, flag: string): Promise<number> => {
  const plan = await catalog.plan(id)
  const notes = await catalog.notes(id)
  const jobs = await jobsOf(catalog, plan)
  if (on.json) return document(on, { ...plan, jobs, ...notesShape(notes) })
  const attempts = new Map<string, AttemptShape>()
  if (jobs.length <= DETAIL_JOBS_MAX) {
    for (const { name, attempt } of jobs) {
      const latest = attempt === 0 ? undefined : (await catalog.attempts(id, name)).at(-1)
      if (latest) attempts.set(name, latest)
    }
  }
  const unanswered = new Set<string>()
  for (const job of jobs.slice(0, DETAIL_JOBS_MAX))
    if (await wasUnanswered(catalog, job)) unanswered.add(job.name)
  const now = systemClock.now()
  for (const line of planLines([plan], on, now)) on.answer(line)
  for (const line of noteLines(plan, notes, now)) on.answer(cut(`  ${line}`, on.width, on.marks.cut))
  for (const line of jobLines(jobs, on, now, { attempts, unanswered, plans: statesOf([plan]) }))
    on.answer(line)
  const next: Readonly<Record<string, string>> = {
    failed: `try again what did not succeed: tenuto retry ${id} --failed${flag}`,
    paused: `go on: tenuto continue ${id}${flag}`,
    quarantined:
      plan.error === null
        ? `what it could not take: tenuto dead${flag}  go on: tenuto continue ${id}${flag}`
        : `${MEND}.  go on after that: tenuto continue ${id}${flag}`,
  }
  const hint = next[plan.state]
  if (hint) on.talk(hint)
  return 0
}

/** A plan that is quarantined because it cannot be loaded may have jobs that cannot be read; why is said with the plan. */
const jobsOf = async (catalog: Catalog, plan: PlanShape): Promise<readonly JobShape[]> => {
  try {
    return await catalog.jobs(plan.id)
  } catch (error) {
    if (plan.error === null || !isTenutoError(error, 'STORE_CORRUPT')) throw error
    return []
  }
}

/** Whether the time of a question was up without an answer. */
const wasUnanswered = async (catalog: Catalog, { plan, name, reason }: JobShape): Promise<boolean> => {
  if (reason !== 'approval-denied') return false
  const told = await catalog.events({ plan, job: name, after: 0, limit: EVENTS_PAGE })
  return told.findLast(({ from, to }) => to === 'failed' && from !== to)?.type === 'timer.fired'
}

const showJob = async (
  catalog: Catalog,
  job: JobShape,
  attempts: readonly AttemptShape[],
  attempt: number | null,
  on: Screen,
  flag: string,
  home: string,
): Promise<void> => {
  const waits = job.reason === 'needs' || job.reason === 'need-failed'
  const others = waits ? await catalog.jobs(job.plan) : []
  const around = {
    unwatched: !lookAtHolder(home).held,
    unanswered: await wasUnanswered(catalog, job),
    plan: (await catalog.plan(job.plan)).state,
  }
  for (const line of oneJobLines(job, attempts, others, on, systemClock.now(), around)) on.answer(line)
  if (job.state === 'waiting' && job.reason === 'approval')
    on.talk(`answer: tenuto approve ${job.plan}/${plain(job.name)}${flag}, or the same with reject`)
  // What could not be started has written nothing.
  if (job.attempt > 0 && attempts.at(-1)?.outcome !== 'spawn-error')
    on.talk(`its log: tenuto logs ${job.plan}/${job.name}${attempt === null ? '' : `#${attempt}`}${flag}`)
}

/** The flags of `logs`. */
export type LogFlags = Globals & Readonly<{ follow?: boolean; attempt?: string }>

/** `tenuto logs REF [-f] [--attempt N]`. */
export const logs = async (ref: string, flags: LogFlags): Promise<number> => {
  const on = screen(flags)
  const home = homeOf(flags)
  if (flags.follow) {
    const unwatch = watchReader()
    const followed = await followingHolder(home, () => followLogs(home, ref, flags, on)).finally(unwatch)
    if (followed) return 0
  }
  return reading(flags, async (catalog) => {
    const { plan, job, attempt } = await wanted(catalog, ref, flags)
    if (job !== null) {
      for await (const bytes of wholeLog(catalog, plan, job, attempt)) on.bytes(bytes)
      await tellOfGoneLogs(home, catalog, [{ plan, job, attempt }], on)
      return 0
    }
    const begun = (await catalog.jobs(plan)).filter((each) => each.attempt > 0)
    const nameWidth = longestName(begun)
    for (const each of begun) {
      const write = prefixed(each.name, nameWidth, on)
      for await (const bytes of wholeLog(catalog, plan, each.name, each.attempt)) write(bytes)
      write(null)
    }
    const begunLast = begun.map(({ name, attempt: last }) => ({ plan, job: name, attempt: last }))
    await tellOfGoneLogs(home, catalog, begunLast, on)
    return 0
  })
}

/** Follows logs where they may grow: by whoever holds the home, or of a job whose process lives. Answers whether there was such. */
const followLogs = async (home: string, ref: string, flags: LogFlags, on: Screen): Promise<boolean> => {
  const holder = await awaitLasting(home)
  try {
    if (holder) await untilBegun(holder, ref, on)
    const read = (catalog: Catalog): Promise<Wanted> => wanted(catalog, ref, flags)
    const asked = await (holder ? read(holder.catalog) : readIn(home, read))
    if (!isOfJob(asked)) {
      if (holder) await followPlanLogs(home, holder, asked.plan, on, flags)
      return holder !== undefined
    }
    if (!holder && lifeOf(home, asked) !== 'runs') return false
    for await (const bytes of growingLog(home, holder, asked, growth(asked, on, flags))) on.bytes(bytes)
    if (holder) await tellOfGoneLogs(home, holder.catalog, [asked], on)
    return true
  } finally {
    holder?.close()
  }
}

const isOfJob = (asked: Wanted): asked is Wanted & Readonly<{ job: string }> => asked.job !== null

/** Following a log until its reader goes away; that nobody holds the home is said once, with what goes on with the plan. */
const growth = ({ plan }: Pick<Wanted, 'plan'>, on: Screen, flags: Globals): Growth => {
  let isTold = false
  return {
    signal: readerGone,
    unheld: () => {
      if (isTold) return
      isTold = true
      on.talk(
        `nobody holds this home; what runs of ${plan} writes on, and nothing new starts.  go on: tenuto resume ${plan}${homeFlag(flags)}`,
      )
    },
  }
}

/** Waits for the first attempt of a job that has had none; its end without one is not waited past. */
const untilBegun = async (holder: Holder, ref: string, on: Screen): Promise<void> => {
  const { plan, job: name } = await holder.catalog.resolve(ref)
  if (name === null) return
  const waits = ({ attempt, state }: Pick<JobShape, 'attempt' | 'state'>): boolean =>
    attempt === 0 && !ENDS.has(state)
  if (!waits(await holder.catalog.job(plan, name))) return
  on.talk(`${plan}/${plain(name)} has not begun; this waits for its log`)
  for await (const { job } of holder.events({ plan, after: 0, signal: readerGone })) {
    // A plan ends some of its jobs itself, in steps of its own.
    if ((job === undefined || job === name) && !waits(await holder.catalog.job(plan, name))) return
  }
}

type Wanted = Readonly<{ plan: string; job: string | null; attempt: number }>

const wanted = async (catalog: Catalog, ref: string, flags: LogFlags): Promise<Wanted> => {
  const target = await catalog.resolve(ref)
  if (target.job === null) {
    if (flags.attempt !== undefined)
      throw new TenutoError('USAGE', { what: '--attempt goes with a job, not with a plan' })
    return { plan: target.plan, job: null, attempt: 0 }
  }
  if (flags.attempt !== undefined && !/^[1-9]\d{0,8}$/.test(flags.attempt))
    throw new TenutoError('USAGE', {
      what: `--attempt ${flags.attempt}: it must be a whole number of 1 or more`,
    })
  const { attempt: latest } = await catalog.job(target.plan, target.job)
  const asked = flags.attempt === undefined ? target.attempt : Number(flags.attempt)
  if (asked !== null && asked > latest)
    throw new TenutoError('REF_NOT_FOUND', { ref: `${target.plan}/${target.job}#${asked}` })
  if (latest === 0) {
    throw new TenutoError('WRONG_STATE', {
      ref,
      state: 'without an attempt',
      what: 'it has written nothing yet',
      remedy: `\`tenuto show ${ref}\` says why`,
    })
  }
  return { plan: target.plan, job: target.job, attempt: asked ?? latest }
}

async function* wholeLog(
  catalog: Catalog,
  plan: string,
  job: string,
  attempt: number,
): AsyncGenerator<Uint8Array> {
  for (let offset = 0; ; ) {
    const { bytes, next, size } = await catalog.log(plan, job, attempt, offset, LOG_CHUNK)
    if (bytes.length > 0) yield bytes
    if (next >= size || next === offset || readerGone.aborted) return
    offset = next
  }
}

/**
 * Writes whole lines, each behind the name of its job; null ends the last one. On a terminal a line keeps its colours and nothing
 * else that steers: it stands among those of others.
 */
const prefixed = (job: string, nameWidth: number, on: Screen): ((bytes: Uint8Array | null) => void) => {
  let rest = ''
  const decoder = new TextDecoder()
  const name = on.paint.cyan(fill(plain(job), nameWidth))
  const shown = (line: string): string => {
    if (on.width === Number.POSITIVE_INFINITY) return line
    return on.paint.isColorSupported ? colorful(lastWritten(line)) : plain(lastWritten(line))
  }
  return (bytes) => {
    const parts = (
      rest + (bytes === null ? decoder.decode() : decoder.decode(bytes, { stream: true }))
    ).split('\n')
    rest = parts.pop() ?? ''
    if (bytes === null && rest !== '') {
      parts.push(rest)
      rest = ''
    }
    for (const line of parts) on.answer(`${name} | ${shown(line)}`)
  }
}

const longestName = (jobs: readonly Pick<JobShape, 'name'>[]): number =>
  Math.min(
    NAME_MAX,
    jobs.reduce((longest, { name }) => Math.max(longest, widthOf(plain(name))), 0),
  )

type Holder = NonNullable<Awaited<ReturnType<typeof awaitLasting>>>

/**
 * Follows every attempt of a plan, those that begin later too, until the plan has ended. What runs when its holder is gone is followed on,
 * and whoever takes the plan up meanwhile tells of the rest.
 */
const followPlanLogs = async (
  home: string,
  first: Holder,
  plan: string,
  on: Screen,
  flags: Globals,
): Promise<void> => {
  const following: Promise<void>[] = []
  const nameWidth = longestName(await first.catalog.jobs(plan))
  const seen = new Set<string>()
  const grows = growth({ plan }, on, flags)
  let holder = first
  const followAttempt = async (job: string, attempt: number): Promise<void> => {
    const write = prefixed(job, nameWidth, on)
    for await (const bytes of growingLog(home, holder, { plan, job, attempt }, grows)) write(bytes)
    write(null)
  }
  const heed = ({ job, attempt, type }: EventShape): void => {
    if (type !== 'slot.granted' || job === undefined || attempt === undefined) return
    if (seen.has(`${job}#${attempt}`)) return
    seen.add(`${job}#${attempt}`)
    const followed = followAttempt(job, attempt)
    // Told when all are awaited.
    followed.catch(() => {})
    following.push(followed)
  }
  let isAlone = false
  for (let [after, isOver] = [0, false]; !isOver; ) {
    try {
      for await (const event of holder.events({ plan, after, signal: readerGone })) {
        after = event.position
        heed(event)
        if (event.job === undefined && ENDS.has(event.to)) break
      }
      isOver = true
    } catch (error) {
      if (!hasGone(error) || isAlone) throw error
      const over = new AbortController()
      const all = Promise.all(following).finally(() => over.abort())
      const found = await Promise.race([all.then(() => undefined), another(home, over.signal)])
      over.abort()
      // Whoever it was that told of the last end is there, or has gone again and left the rest in the home.
      const next = found ?? (await awaitLasting(home))
      all.catch(() => {})
      isAlone = next === undefined
      if (next === undefined) continue
      if (holder !== first) holder.close()
      holder = next
    }
  }
  await Promise.all(following)
  if (holder !== first) holder.close()
}

/** Whoever takes a home next; undefined when it is not waited for any more. */
const another = async (home: string, signal: AbortSignal): Promise<Holder | undefined> => {
  while (!signal.aborted) {
    const holder = await awaitLasting(home)
    if (holder && signal.aborted) holder.close()
    else if (holder) return holder
    await pause(LOOK_MS, signal)
  }
  return undefined
}

/** `tenuto events [REF] [-f]`. */
export const events = async (
  ref: string | undefined,
  flags: Globals & Readonly<{ follow?: boolean }>,
): Promise<number> => {
  const on = screen(flags)
  const tell = (event: Awaited<ReturnType<Catalog['events']>>[number]): void => {
    const { position, at, address, type, from, to, attempt, by, why } = event
    if (on.json) on.answer(JSON.stringify(event))
    else {
      const asked = `${by === undefined ? '' : `  by ${plain(by)}`}${why === undefined ? '' : `: ${plain(why)}`}`
      const reason = reasonOf(event)
      const move = from === to || from === null ? to : `${from} ${on.marks.arrow} ${to}`
      on.tell(
        `${String(position).padStart(7)}  ${at}  ${plain(address)}${attempt === undefined ? '' : ` #${attempt}`}  ${type}  ${move}${reason ? `  ${plain(reason)}` : ''}${asked}`,
      )
    }
  }
  const home = homeOf(flags)
  const holder = flags.follow ? await awaitLasting(home) : undefined
  if (holder) {
    const unwatch = watchReader()
    try {
      return await followingHolder(home, async () => {
        const target = ref === undefined ? undefined : await holder.catalog.resolve(ref)
        const of = target ? { plan: target.plan } : {}
        for await (const event of holder.events({ after: 0, ...of, signal: readerGone })) {
          if (target?.job != null && event.job !== target.job) continue
          tell(event)
          if (target && event.job === undefined && ENDS.has(event.to)) break
        }
        return 0
      })
    } finally {
      unwatch()
      holder.close()
    }
  }
  return reading(flags, async (catalog) => {
    const target = ref === undefined ? undefined : await catalog.resolve(ref)
    const of = target ? { plan: target.plan, ...(target.job === null ? {} : { job: target.job }) } : {}
    for (let after = 0; ; ) {
      const page = await catalog.events({ after, limit: EVENTS_PAGE, ...of })
      for (const event of page) tell(event)
      after = page.at(-1)?.position ?? after
      if (page.length < EVENTS_PAGE || readerGone.aborted) return 0
    }
  })
}
