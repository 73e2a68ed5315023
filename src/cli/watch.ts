/**
 * `watch`: the plans of a home, or the jobs of one plan, drawn as they change. It only looks: what it draws goes on when it is left.
 */
import { pause, systemClock } from '../clock.ts'
import { TenutoError } from '../errors.ts'
import type { HomeClient } from '../http/client.ts'
import { isPlanEnd, UNSETTLED } from '../states.ts'
import { progressOf, progressStore } from '../views/progress.ts'
import type { PlanShape } from '../views/shapes.ts'
import { cut } from './cells.ts'
import { homeFlag, homeOf } from './home.ts'
import { awaitLasting } from './lasting.ts'
import { planLines } from './rows.ts'
import { type Globals, type Page, screen } from './screen.ts'
import { followingHolder } from './unheld.ts'
import { drawn, picture } from './views.ts'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
/** Of what happens in between, only the latest is read. */
const READ_MS = 250

/** `tenuto watch [REF]`. Leaves on q, Ctrl-C or a signal, and with the end of the plan that is watched. */
export const watch = async (ref: string | undefined, flags: Globals): Promise<number> => {
  const on = screen(flags)
  const flag = homeFlag(flags)
  if (!on.live) {
    const instead = `tenuto events${ref === undefined ? '' : ` ${ref}`} -f${flag}`
    throw new TenutoError('USAGE', { what: `watch draws on a terminal, and here is none: use ${instead}` })
  }
  const home = homeOf(flags)
  return followingHolder(home, () => watching(home, ref, on))
}

const watching = async (
  home: string,
  ref: string | undefined,
  on: ReturnType<typeof screen>,
): Promise<number> => {
  const holder = await awaitLasting(home)
  if (!holder) throw new TenutoError('NO_DAEMON', { home })
  const over = new AbortController()
  const unhear = hearKeys(() => over.abort())
  try {
    if (ref === undefined) await watchHome(holder, on, over.signal)
    else await watchPlan(holder, (await holder.catalog.resolve(ref)).plan, on, over.signal)
    return 0
  } finally {
    unhear()
    holder.close()
  }
}

/** In raw mode Ctrl-C is a key like any other. */
const hearKeys = (leave: () => void): (() => void) => {
  const { stdin } = process
  const heard = (keys: Buffer): void => {
    if (/[qQ\u0003\u0004]/.test(keys.toString())) leave()
  }
  for (const signal of SIGNALS) process.on(signal, leave)
  if (stdin.isTTY) {
    stdin.setRawMode(true)
    stdin.on('data', heard)
  }
  return () => {
    for (const signal of SIGNALS) process.off(signal, leave)
    if (!stdin.isTTY) return
    stdin.off('data', heard)
    stdin.setRawMode(false)
    stdin.pause()
  }
}

const watchPlan = async (
  holder: HomeClient,
  plan: string,
  on: ReturnType<typeof screen>,
  signal: AbortSignal,
): Promise<void> => {
  // Before the rows: what comes between is told again, and changes nothing twice.
  const { position } = await holder.state()
  const { catalog } = holder
  const progress = progressOf(await catalog.plan(plan), await catalog.jobs(plan))
  const store = progressStore(progress)
  const close = await drawn(on, () => picture(progress, on.table, systemClock.now()))
  try {
    if (isPlanEnd(progress.state)) return
    for await (const event of holder.events({ plan, after: position, signal })) {
      store.trigger.took({ event })
      if (isPlanEnd(progress.state)) return
    }
  } finally {
    close()
  }
}

const watchHome = async (
  holder: HomeClient,
  on: ReturnType<typeof screen>,
  signal: AbortSignal,
): Promise<void> => {
  const { position } = await holder.state()
  let plans = await foremost(holder, on.table.height)
  let changed = Promise.withResolvers<void>()
  let isOver = false
  const heard = (async () => {
    for await (const _ of holder.events({ after: position, signal })) changed.resolve()
  })().finally(() => {
    isOver = true
    changed.resolve()
  })
  // Told below.
  heard.catch(() => {})
  const close = await drawn(on, () => plansPicture(plans, on.table, systemClock.now()))
  try {
    for (;;) {
      await changed.promise
      if (signal.aborted) break
      changed = Promise.withResolvers()
      plans = await foremost(holder, on.table.height)
      if (isOver) break
      await pause(READ_MS, signal)
    }
    await heard
  } finally {
    close()
  }
}

/** What fits: plans that have not ended first, then those that were submitted last. */
const foremost = async ({ catalog }: HomeClient, height: number): Promise<readonly PlanShape[]> => {
  const limit = Math.max(1, height)
  const open = await catalog.plans({ states: UNSETTLED, limit })
  const newest = await catalog.plans({ limit })
  return [...open, ...newest.filter(({ state }) => isPlanEnd(state))]
}

/** The picture of the plans of a home, lower than the page and no wider. */
export const plansPicture = (plans: readonly PlanShape[], page: Omit<Page, 'write'>, now: number): string => {
  const { width, height, marks, paint } = page
  const open = plans.filter(({ state }) => !isPlanEnd(state)).length
  // One row is the head's, one the cursor's, and one stays free so that nothing scrolls away.
  const room = Math.max(0, height - 3)
  const head = `${open === 0 ? 'nothing runs' : `${open} not ended`} ${marks.dot} q leaves`
  return [paint.bold(cut(head, width, marks.cut)), ...planLines(plans.slice(0, room), page, now)].join('\n')
}
