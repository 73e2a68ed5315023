/**
 * What jobs need of each other: read, checked against the jobs there are, and free of cycles.
 */
import type { Need } from '../definition.ts'
import type { Json, JsonObject } from '../json.ts'
import { findCycles } from './cycles.ts'
import { listed } from './issue.ts'
import { isMap } from './plain.ts'
import { describe, type Problem } from './problem.ts'
import { NEEDS } from './schema.ts'

/** Jobs of one cycle named in its error. */
const CYCLE_SHOWN_MAX = 20

/** What to write where what is asked stands before the jobs: `any: [a, b]`. */
const turnedRound = (need: string, asks: Json): string | undefined => {
  const of = Array.isArray(asks) ? (asks as readonly Json[]) : [asks]
  if (!(NEEDS as readonly string[]).includes(need) || of.length === 0) return undefined
  if (!of.every((each) => typeof each === 'string')) return undefined
  const shown = of.slice(0, 3).map((each) => `${describe(each).slice(1, -1)}: ${need}`)
  return `the job comes first: {${shown.join(', ')}${of.length > shown.length ? ', …' : ''}}`
}

/** What one job needs, by the name of the other; what is wrong with it is added to `problems`. */
export const readNeeds = (
  name: string,
  job: JsonObject,
  jobs: ReadonlyMap<string, JsonObject>,
  names: readonly string[],
  problems: Problem[],
): ReadonlyMap<string, Need> => {
  const found = new Map<string, Need>()
  const value = job['needs']
  const path = ['jobs', name, 'needs']
  const add = (need: string, asks: Need, place: Problem['path'], at: Problem['at']): void => {
    if (found.has(need)) {
      problems.push({ path: place, at, message: `\`${need}\` is named twice`, hint: 'name it once' })
    } else if (jobs.has(need)) {
      found.set(need, asks)
    } else {
      const message = `job \`${name}\` needs \`${need.length > 80 ? `${need.slice(0, 79)}…` : need}\`, which is not in the plan`
      problems.push({
        path: place,
        at,
        message,
        hint: 'name a job of this plan',
        guess: { word: need, among: names },
      })
    }
  }
  if (value === undefined) return found
  if (Array.isArray(value)) {
    for (const [index, need] of (value as readonly Json[]).entries()) {
      if (typeof need === 'string') add(need, 'success', [...path, index], 'value')
      else {
        const hint =
          typeof need === 'number' || typeof need === 'boolean' ? { hint: `quote it: "${need}"` } : {}
        problems.push({
          path: [...path, index],
          at: 'value',
          message: `expected the name of a job, found ${describe(need)}`,
          ...hint,
        })
      }
    }
  } else if (isMap(value)) {
    for (const [need, asks] of Object.entries(value)) {
      if ((NEEDS as readonly unknown[]).includes(asks)) add(need, asks as Need, [...path, need], 'key')
      else {
        const message = `expected success, any or skipped-ok, found ${describe(asks)}`
        const turned = jobs.has(need) ? undefined : turnedRound(need, asks)
        if (turned === undefined) add(need, 'success', [...path, need], 'key')
        problems.push({
          path: [...path, need],
          at: 'value',
          message,
          ...(turned === undefined ? { guess: { word: String(asks), among: NEEDS } } : { hint: turned }),
        })
      }
    }
  } else {
    const hint = typeof value === 'string' ? `write ${listed(value)}` : 'write [job, job]'
    problems.push({
      path,
      at: 'value',
      message: `expected a list or a map of jobs, found ${describe(value)}`,
      hint,
    })
  }
  return found
}

/** Adds each cycle to `problems`, and answers how many more there are. */
export const checkCycles = (
  needs: ReadonlyMap<string, ReadonlyMap<string, Need>>,
  jobs: ReadonlyMap<string, JsonObject>,
  problems: Problem[],
): number => {
  const { cycles, more } = findCycles(new Map([...needs].map(([name, of]) => [name, [...of.keys()]])))
  for (const { jobs: names, closing } of cycles) {
    const value = jobs.get(closing.job)?.['needs']
    const listed = Array.isArray(value)
    const [first = ''] = names
    const shown =
      names.length <= CYCLE_SHOWN_MAX
        ? names
        : [
            ...names.slice(0, CYCLE_SHOWN_MAX - 1),
            `… ${names.length - CYCLE_SHOWN_MAX} more …`,
            names.at(-1) ?? '',
          ]
    const circle = [...shown, first].join(' → ')
    problems.push({
      path: [
        'jobs',
        closing.job,
        'needs',
        listed ? (value as readonly Json[]).indexOf(closing.need) : closing.need,
      ],
      at: listed ? 'value' : 'key',
      message:
        names.length === 1
          ? `job \`${first}\` needs itself: ${circle}`
          : `the jobs need each other: ${circle}`,
      hint: 'remove one of these needs',
    })
  }
  return more
}
