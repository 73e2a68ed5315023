/**
 * `tenuto explain`: why a plan or a job is where it is, the nearest reason first, with what would change each and the command for that.
 */
import { existsSync } from 'node:fs'
import { lookAtHolder } from '../audit/holder.ts'
import { systemClock } from '../clock.ts'
import { type FactShape, NOT_HELD } from '../views/evidence.ts'
import type { ExplainShape } from '../views/explain.ts'
import { plain } from './cells.ts'
import { awaitHolder, explainHome, homeOf, readingOf } from './home.ts'
import { type Globals, homeFlag, type Screen, screen } from './screen.ts'
import { duration } from './words.ts'

/** Explains what a ref names; answers the exit code. */
export const explain = async (ref: string, flags: Globals): Promise<number> => {
  const on = screen(flags)
  const told = await explanation(homeOf(flags), ref)
  if (on.json) on.answer(JSON.stringify(told, null, 2))
  else for (const line of explainLines(told, systemClock.now(), homeFlag(flags), on)) on.tell(line)
  return 0
}

const explanation = async (home: string, ref: string): Promise<ExplainShape> => {
  const holder = await awaitHolder(home)
  if (holder) {
    try {
      const { plan, job } = await holder.catalog.resolve(ref)
      return await holder.explain(plan, job)
    } finally {
      holder.close()
    }
  }
  // An empty home says that there is no such plan.
  if (!existsSync(home)) await (await readingOf(home)).resolve(ref)
  const { held, says } = lookAtHolder(home)
  return explainHome(home, ref, held ? { ...NOT_HELD, holder: 'silent', pid: says?.pid ?? null } : NOT_HELD)
}

/** An explanation as a person reads it. `now` in epoch ms. */
export const explainLines = (
  { ref, state, reason, since, chain, more }: ExplainShape,
  now: number,
  flag: string,
  { marks }: Pick<Screen, 'marks'>,
): readonly string[] => {
  const ago = (at: string): string => duration(Math.max(0, now - Date.parse(at)))
  const why = reason === null || reason === state ? '' : ` (${reason})`
  const head = `${plain(ref)} is ${state}${why}${since === null ? '' : `, for ${ago(since)}`}`
  const lines = chain.flatMap((fact, at) => [
    `  ${at + 1}. ${plain(fact.what)}${when(fact, now)}`,
    ...(fact.change === null ? [] : [`     changes when ${plain(fact.change)}`]),
    ...(fact.command === null ? [] : [`     ${fact.command}${flag}`]),
  ])
  return [head, ...lines, ...(more > 0 ? [`  ${marks.cut} and ${more} more`] : [])]
}

/** What nothing changes any more happened at its moment. */
const when = ({ since, until, change }: FactShape, now: number): string => {
  const began = since === null ? '' : `, ${change === null ? 'at' : 'since'} ${since.slice(0, 19)}Z`
  if (until === null) return began
  const left = Date.parse(until) - now
  return `${began}, until ${until.slice(0, 19)}Z${left > 0 ? ` (in ${duration(left)})` : ''}`
}
