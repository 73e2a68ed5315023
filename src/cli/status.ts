/**
 * `tenuto status`: who serves a home, and what is in it.
 */
import { systemClock } from '../clock.ts'
import { type HolderHint, parentOf, readHolder } from '../holder.ts'
import { homePaths } from '../home.ts'
import { type Mode, modeInWords, readMode } from '../mode.ts'
import { UNSETTLED } from '../states.ts'
import type { Sections } from '../views/state.ts'
import { plain } from './cells.ts'
import { awaitHolder, homeFlag, homeOf, readIn, refuseUnserved } from './home.ts'
import { type Globals, screen } from './screen.ts'
import { urlOf } from './tcp.ts'
import { counted, duration } from './words.ts'

/** Says who serves a home and what is in it; answers the exit code. */
export const status = async (flags: Globals): Promise<number> => {
  const on = screen(flags)
  const home = homeOf(flags)
  const holder = await awaitHolder(home, 0)
  if (!holder) refuseUnserved(home)
  if (holder) {
    const state = await holder.state()
    const url = urlOf(home, state.daemon.pid)
    holder.close()
    if (on.json) {
      on.answer(JSON.stringify({ home, url, ...state }))
      return 0
    }
    const { daemon, build, counts } = state
    // A holder of an earlier build does not say.
    const { sections } = state as Partial<typeof state>
    const since = duration(systemClock.now() - Date.parse(daemon.started_at))
    on.tell(`${home}: pid ${daemon.pid} (${daemon.command}), up ${since}`)
    if (url !== null) on.tell(`url       ${url}`)
    // A holder of an earlier build does not say.
    if (daemon.mode !== undefined && daemon.mode !== 'running') on.tell(modeLine(daemon, flags))
    on.tell(`build     ${build.version} ${build.source_hash.slice(0, 12)}${build.stale ? ' (stale)' : ''}`)
    on.tell(`plans     ${inWords(counts.plans)}`)
    on.tell(`jobs      ${inWords(counts.jobs)}`)
    on.tell(`attempts  ${counts.attempts_live} live`)
    for (const line of storageLines(state.sections.journal)) on.tell(line)
    if (counts.dead_letters > 0) on.tell(`dead      ${counted(counts.dead_letters, 'letter')}`)
    if (counts.sweep_repairs > 0)
      on.tell(`repaired  ${counted(counts.sweep_repairs, 'time')}: tenuto events${homeFlag(flags)}`)
    if (sections?.analytics.status === 'unavailable')
      on.tell(plain(sections.analytics.error?.message ?? 'analytics is not there'))
    return 0
  }
  const open = await readIn(home, (catalog) => catalog.plans({ states: UNSETTLED, limit: 1_000 }))
  const flag = homeFlag(flags)
  const remedy =
    open.length === 0
      ? `start a daemon: tenuto up${flag}`
      : `go on: tenuto resume${flag}  or start a daemon: tenuto up${flag}`
  // An order is for whoever serves the home next.
  const mode = readMode(homePaths(home).mode)
  // Who lets go of a home takes this away.
  const last = readHolder(homePaths(home).daemon)
  if (on.json)
    on.answer(
      JSON.stringify({
        home,
        daemon: null,
        mode,
        unsettled: open.length,
        killed: last ? killed(last) : null,
      }),
    )
  else {
    on.tell(`nobody serves ${home}`)
    if (last) on.tell(killedInWords(last))
    if (mode.mode !== 'running') on.tell(modeLine(mode, flags))
    if (open.length > 0)
      on.tell(`${counted(open.length, 'plan')} ${open.length === 1 ? 'has' : 'have'} not ended`)
    const parent = parentOf(home)
    on.talk(parent === undefined ? remedy : `pid ${parent.pid} is to start its daemon again`)
  }
  return 5
}

const modeLine = (mode: Mode, flags: Globals): string =>
  `mode      ${plain(modeInWords(mode))}; go on: tenuto daemon resume${homeFlag(flags)}`

/** Who held a home last, and was gone before it could let go of it. */
const killed = ({ pid, command, started_at, build }: HolderHint) => ({
  pid,
  command: command ?? null,
  started_at: started_at ?? null,
  build: build ?? null,
})

const killedInWords = ({ pid, command, started_at: since }: HolderHint): string => {
  const who = command === undefined ? '' : ` (${plain(command)})`
  const ago = Date.parse(since ?? '')
  const when = Number.isNaN(ago) ? '' : `, started ${duration(Math.max(0, systemClock.now() - ago))} ago`
  return `its last holder was killed: pid ${pid}${who}${when}`
}

/** What a journal that cannot be written keeps waiting; nothing where it can. */
const storageLines = ({ status, error, data }: Sections['journal']): readonly string[] => {
  if (status === 'ok' || error === null || !data?.since) return []
  const ago = (at: string): string => duration(Math.max(0, systemClock.now() - Date.parse(at)))
  const next = data.next_try_at === null ? 0 : Math.max(0, Date.parse(data.next_try_at) - systemClock.now())
  return [
    `journal   unavailable for ${ago(data.since)}: ${error.message}`,
    `          tried ${counted(data.tries, 'time')}, again in ${duration(next)}; requests are refused, attempts run on`,
  ]
}

const inWords = (counts: Readonly<Record<string, number>>): string => {
  const parts = Object.entries(counts).map(([state, count]) => `${count} ${state}`)
  return parts.length === 0 ? 'none' : parts.join(', ')
}
