/**
 * The commands that only read: `ls`, `show`, `logs`, `events`.
 */
import { systemClock } from '../clock.ts'
import { TenutoError } from '../errors.ts'
import type { AttemptShape, JobShape, PlanShape } from '../views/shapes.ts'
import { type Catalog, holderOf, homeFlag, homeOf, readingOf } from './home.ts'
import { type Globals, type Screen, screen } from './screen.ts'
import { columns, duration, mark, outcomeInWords, painted, reasonInWords } from './words.ts'

const LOG_CHUNK = 256 * 1024
const EVENTS_PAGE = 500
const PLANS_SHOWN = 50

const reading = async (
  flags: Globals,
  read: (catalog: Catalog, on: Screen) => Promise<number>,
): Promise<number> => {
  const catalog = await readingOf(homeOf(flags))
  try {
    return await read(catalog, screen(flags))
  } finally {
    await catalog.close()
  }
}
const document = (on: Screen, value: unknown): number => {
  on.answer(JSON.stringify(value, null, 2))
  return 0
}

/** `tenuto ls [plans|jobs]`. */
export const ls = (what: string, flags: Globals): Promise<number> =>
  reading(flags, async (catalog, on) => {
    const plans = await catalog.plans({ limit: PLANS_SHOWN })
    if (what === 'plans') {
      if (on.json) return document(on, plans)
      if (plans.length === 0) on.talk(`no plans in ${homeOf(flags)} yet; start one: tenuto run FILE`)
      for (const line of planLines(plans, on)) on.answer(line)
      return 0
    }
    if (what !== 'jobs') throw new TenutoError('USAGE', { what: `ls lists plans or jobs, not ${what}` })
    const jobs = (await Promise.all(plans.map(({ id }) => catalog.jobs(id)))).flat()
    if (on.json) return document(on, jobs)
    for (const line of jobLines(jobs, on, true)) on.answer(line)
    return 0
  })

const planLines = (plans: readonly PlanShape[], on: Screen): readonly string[] => {
  const now = systemClock.now()
  const rows = plans.map((plan) => {
    const total = Object.values(plan.counts).reduce((sum, count) => sum + count, 0)
    const done = ['succeeded', 'failed', 'cancelled', 'skipped'].reduce(
      (sum, state) => sum + (plan.counts[state] ?? 0),
      0,
    )
    const end = plan.ended_at === null ? now : Date.parse(plan.ended_at)
    const took = plan.started_at === null ? '' : duration(end - Date.parse(plan.started_at))
    const why = plan.reason === null || plan.reason === 'paused' ? '' : plan.reason
    return [
      `${mark(plan.state, on.marks)} ${plan.id}`,
      plan.state,
      `${done}/${total}`,
      took,
      `${plan.created_at.slice(0, 16)}Z`,
      why,
    ]
  })
  return columns(rows, 1000).map((line, at) => painted(line, plans[at]?.state ?? '', on))
}

const jobLines = (jobs: readonly JobShape[], on: Screen, withPlan: boolean): readonly string[] => {
  const now = systemClock.now()
  const states = new Map(jobs.map((job) => [`${job.plan}/${job.name}`, job.state]))
  const isOpen = (state: string | undefined): boolean =>
    !['succeeded', 'failed', 'cancelled', 'skipped'].includes(state ?? '')
  const rows = jobs.map((job) => {
    const open = Object.keys(job.needs).filter((name) => isOpen(states.get(`${job.plan}/${name}`)))
    const name = withPlan ? `${job.plan}/${job.name}` : job.name
    return [
      `${mark(job.state, on.marks)} ${name}`,
      job.state,
      job.attempt > 0 ? `#${job.attempt}` : '',
      isOpen(job.state) ? duration(now - Date.parse(job.since)) : '',
      reasonInWords(job, open, undefined, now),
    ]
  })
  return columns(rows, 1000).map((line, at) => painted(line, jobs[at]?.state ?? '', on))
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
    showJob(job, shown, on, flag)
    return 0
  })

const showPlan = async (catalog: Catalog, id: string, on: Screen, flag: string): Promise<number> => {
  const plan = await catalog.plan(id)
  const jobs = await catalog.jobs(id)
  if (on.json) return document(on, { ...plan, jobs })
  for (const line of planLines([plan], on)) on.answer(line)
  for (const line of jobLines(jobs, on, false)) on.answer(`  ${line}`)
  const next: Readonly<Record<string, string>> = {
    failed: `try again what failed: tenuto retry ${id} --failed${flag}`,
    paused: `go on: tenuto continue ${id}${flag}`,
    quarantined: `go on: tenuto continue ${id}${flag}`,
  }
  const hint = next[plan.state]
  if (hint) on.talk(hint)
  return 0
}

const showJob = (job: JobShape, attempts: readonly AttemptShape[], on: Screen, flag: string): void => {
  const ref = `${job.plan}/${job.name}`
  const why = reasonInWords(job, Object.keys(job.needs), attempts.at(-1), systemClock.now())
  on.answer(
    painted(
      `${mark(job.state, on.marks)} ${ref}  ${job.kind}  ${job.state}${why ? `  ${why}` : ''}`,
      job.state,
      on,
    ),
  )
  const needs = Object.entries(job.needs).map(([name, need]) =>
    need === 'success' ? name : `${name} (${need})`,
  )
  if (needs.length > 0) on.answer(`  needs    ${needs.join(', ')}`)
  const rows = attempts.map((attempt) => {
    const began = attempt.started_at === null ? null : Date.parse(attempt.started_at)
    const ended = attempt.ended_at === null ? systemClock.now() : Date.parse(attempt.ended_at)
    return [
      `  #${attempt.n}`,
      outcomeInWords(attempt),
      began === null ? '' : duration(ended - began),
      attempt.started_at ?? '',
      attempt.pid === null ? '' : `pid ${attempt.pid}`,
      attempt.leftovers > 0 ? `${attempt.leftovers} process(es) left behind were ended` : '',
    ]
  })
  for (const line of columns(rows, 1000)) on.answer(line)
  for (const attempt of attempts) {
    if (attempt.error !== null) on.answer(`  #${attempt.n} error    ${attempt.error}`)
    for (const warning of attempt.warnings) on.answer(`  #${attempt.n} warning  ${warning}`)
  }
  if (job.outputs !== null) on.answer(`  outputs  ${JSON.stringify(job.outputs)}`)
  on.talk(`its log: tenuto logs ${ref}${flag}`)
}

/** The flags of `logs`. */
export type LogFlags = Globals & Readonly<{ follow?: boolean; attempt?: string }>

/** `tenuto logs REF [-f] [--attempt N]`. */
export const logs = async (ref: string, flags: LogFlags): Promise<number> => {
  const on = screen(flags)
  const home = homeOf(flags)
  const holder = flags.follow ? await holderOf(home) : undefined
  if (holder) {
    try {
      const { plan, job, attempt } = await wanted(holder.catalog, ref, flags)
      if (job === null) return await followPlanLogs(holder, plan, on)
      for await (const bytes of holder.followLog(plan, job, attempt)) on.bytes(bytes)
      return 0
    } finally {
      holder.close()
    }
  }
  return reading(flags, async (catalog) => {
    const { plan, job, attempt } = await wanted(catalog, ref, flags)
    if (job !== null) {
      for await (const bytes of wholeLog(catalog, plan, job, attempt)) on.bytes(bytes)
      return 0
    }
    for (const each of await catalog.jobs(plan)) {
      if (each.attempt === 0) continue
      const write = prefixed(each.name, on)
      for await (const bytes of wholeLog(catalog, plan, each.name, each.attempt)) write(bytes)
      write(null)
    }
    return 0
  })
}

type Wanted = Readonly<{ plan: string; job: string | null; attempt: number }>

const wanted = async (catalog: Catalog, ref: string, flags: LogFlags): Promise<Wanted> => {
  const target = await catalog.resolve(ref)
  if (target.job === null) {
    if (flags.attempt !== undefined)
      throw new TenutoError('USAGE', { what: '--attempt goes with a job, not with a plan' })
    return { plan: target.plan, job: null, attempt: 0 }
  }
  const { attempt: latest } = await catalog.job(target.plan, target.job)
  const asked = flags.attempt === undefined ? target.attempt : Number(flags.attempt)
  if (asked !== null && !(Number.isInteger(asked) && asked >= 1 && asked <= latest)) {
    throw new TenutoError('REF_NOT_FOUND', { ref: `${target.plan}/${target.job}#${flags.attempt}` })
  }
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
    if (next >= size || next === offset) return
    offset = next
  }
}

/** Writes whole lines, each behind the name of its job; null ends the last one. */
const prefixed = (job: string, on: Screen): ((bytes: Uint8Array | null) => void) => {
  let rest = ''
  const decoder = new TextDecoder()
  return (bytes) => {
    const parts = (
      rest + (bytes === null ? decoder.decode() : decoder.decode(bytes, { stream: true }))
    ).split('\n')
    rest = parts.pop() ?? ''
    if (bytes === null && rest !== '') {
      parts.push(rest)
      rest = ''
    }
    for (const line of parts) on.answer(`${on.paint.cyan(job)} | ${line}`)
  }
}

type Holder = NonNullable<Awaited<ReturnType<typeof holderOf>>>

/** Follows every attempt of a plan, those that begin later too, until the plan has ended. */
const followPlanLogs = async (holder: Holder, plan: string, on: Screen): Promise<number> => {
  const following: Promise<void>[] = []
  const seen = new Set<string>()
  const followAttempt = async (job: string, attempt: number): Promise<void> => {
    const write = prefixed(job, on)
    for await (const bytes of holder.followLog(plan, job, attempt)) write(bytes)
    write(null)
  }
  for await (const event of holder.events({ plan, after: 0 })) {
    const { job, attempt, type, to } = event
    if (
      type === 'slot.granted' &&
      job !== undefined &&
      attempt !== undefined &&
      !seen.has(`${job}#${attempt}`)
    ) {
      seen.add(`${job}#${attempt}`)
      following.push(followAttempt(job, attempt))
    }
    if (job === undefined && ['succeeded', 'failed', 'cancelled'].includes(to)) break
  }
  await Promise.all(following)
  return 0
}

/** `tenuto events [REF] [-f]`. */
export const events = async (
  ref: string | undefined,
  flags: Globals & Readonly<{ follow?: boolean }>,
): Promise<number> => {
  const on = screen(flags)
  const tell = (event: Awaited<ReturnType<Catalog['events']>>[number]): void => {
    const { position, at, address, type, from, to, attempt, reason } = event
    if (on.json) on.answer(JSON.stringify(event))
    else {
      const move = from === to || from === null ? to : `${from} → ${to}`
      on.answer(
        `${String(position).padStart(7)}  ${at}  ${address}${attempt === undefined ? '' : ` #${attempt}`}  ${type}  ${move}${reason ? `  ${reason}` : ''}`,
      )
    }
  }
  const holder = flags.follow ? await holderOf(homeOf(flags)) : undefined
  if (holder) {
    try {
      const target = ref === undefined ? undefined : await holder.catalog.resolve(ref)
      for await (const event of holder.events({ after: 0, ...(target ? { plan: target.plan } : {}) })) {
        if (target?.job != null && event.job !== target.job) continue
        tell(event)
        if (target && event.job === undefined && ['succeeded', 'failed', 'cancelled'].includes(event.to))
          break
      }
      return 0
    } finally {
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
      if (page.length < EVENTS_PAGE) return 0
    }
  })
}
