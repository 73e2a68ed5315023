/**
 * `tenuto explain`: why a plan or a job is where it is, the nearest reason first, with what would change each and the command for that.
 */
import { lookAtHolder } from '../audit/holder.ts'
import { systemClock } from '../clock.ts'
import { type FactShape, NOT_HELD } from '../views/evidence.ts'
import type { ExplainShape } from '../views/explain.ts'
import { plain } from './cells.ts'
import { byHolder, explainHome, homeOf, readIn } from './home.ts'
import { targetOf } from './refs.ts'
import { type Globals, homeFlag, type Screen, screen } from './screen.ts'
import { counted, duration } from './words.ts'

/** Explains what a ref names; answers the exit code. */
export const explain = async (ref: string, flags: Globals): Promise<number> => {
  const on = screen(flags)
  const told = await explanation(homeOf(flags), ref)
  if (on.json) on.answer(JSON.stringify(told, null, 2))
  else
    for (const line of explainLines(told, systemClock.now(), homeFlag(flags), on, flags.verbose === true))
      on.tell(line)
  return 0
}

const explanation = (home: string, ref: string): Promise<ExplainShape> =>
  byHolder(
    home,
    async (holder) => {
      const { plan, job } = await targetOf(holder.catalog, ref)
      return holder.explain(plan, job)
    },
    async () => {
      const { plan, job } = await readIn(home, (catalog) => targetOf(catalog, ref))
      const { held, says } = lookAtHolder(home)
      const whole = job === null ? plan : `${plan}/${job}`
      return explainHome(
        home,
        whole,
        held ? { ...NOT_HELD, holder: 'silent', pid: says?.pid ?? null } : NOT_HELD,
      )
    },
  )

/** A person is told so many facts; `-v` and `--json` have them all. */
const FACTS_SHOWN = 12

/** An explanation as a person reads it, `whole` or its beginning. `now` in epoch ms. */
export const explainLines = (
  { ref, state, reason, since, chain, more }: ExplainShape,
  now: number,
  flag: string,
  { marks }: Pick<Screen, 'marks'>,
  whole: boolean,
): readonly string[] => {
  const ago = (at: string): string => duration(Math.max(0, now - Date.parse(at)))
  const why = reason === null || reason === state ? '' : ` (${reason})`
  const head = `${plain(ref)} is ${state}${why}${since === null ? '' : `, for ${ago(since)}`}`
  const told = whole ? chain : chain.slice(0, FACTS_SHOWN)
  const lines = told.flatMap((fact, at) => [
    `  ${at + 1}. ${plain(fact.what)}${when(fact, now)}`,
    ...(fact.change === null ? [] : [`     changes when ${plain(fact.change)}`]),
    ...(fact.command === null ? [] : [`     ${fact.command}${flag}`]),
  ])
  const plan = plain(ref).split('/')[0]
  const hidden = chain.length - told.length
  const rest = [
    ...(hidden > 0 ? [`  ${marks.cut} and ${hidden} more: tenuto explain ${plain(ref)} -v${flag}`] : []),
    ...(more > 0 ? [`  ${marks.cut} and ${counted(more, 'more job')}: tenuto show ${plan}${flag}`] : []),
  ]
  return [head, ...lines, ...rest]
}

/** What nothing changes any more happened at its moment. */
const when = ({ since, until, change }: FactShape, now: number): string => {
  const began = since === null ? '' : `, ${change === null ? 'at' : 'since'} ${since.slice(0, 19)}Z`
  if (until === null) return began
  const left = Date.parse(until) - now
  return `${began}, until ${until.slice(0, 19)}Z${left > 0 ? ` (in ${duration(left)})` : ''}`
}
