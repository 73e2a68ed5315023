/**
 * What became of a damaged home: refused, or run to its end and compared, plan by plan, with what an undisturbed one came to.
 */

import { join } from 'node:path'
import { pause } from '../../src/clock.ts'
import { isTenutoError } from '../../src/errors.ts'
import { sqliteReader } from '../../src/journal/reader.ts'
import type { Runtime } from '../../src/runtime.ts'
import { type Ledger, open } from './home.ts'

/** What one life came to: each plan as text, and who was called. */
export type Ends = Readonly<{ plans: ReadonlyMap<string, string>; called: readonly string[]; dead: number }>

/** What became of a mutation. `wrong` is what must never be. */
export type Verdict = Readonly<{
  is: 'refused' | 'quarantined' | 'told' | 'harmless' | 'wrong'
  why: string
}>

const HANG_MS = 15_000
const PLANS_MAX = 1_000

/** A refusal that says what to do; anything else is a crash. */
const refusal = (error: unknown): string | undefined =>
  isTenutoError(error, 'STORE_CORRUPT') || isTenutoError(error, 'PLAN_DAMAGED') ? error.message : undefined

const atRest = async (runtime: Runtime): Promise<boolean> => {
  const plans = await runtime.catalog.plans({ limit: PLANS_MAX })
  for (const { id, state } of plans) {
    if (state === 'running' || state === 'cancelling') return false
    // One that is paused may still be told to go on, and its retries are due.
    if (
      state === 'paused' &&
      (await runtime.catalog.jobs(id)).some((job) => job.state === 'backoff' || job.state === 'running')
    )
      return false
  }
  return true
}

/** Runs a home until nothing in it moves any more. */
const runOut = async (runtime: Runtime): Promise<void> => {
  let failure: unknown
  void runtime.failed.then((error) => {
    failure = error
  })
  for (let waited = 0; waited < HANG_MS; waited += 2) {
    if (failure !== undefined) throw failure
    if (await atRest(runtime)) return
    await pause(2)
  }
  throw new Error('it hangs')
}

const textOf = async (runtime: Runtime, id: string, key: string | null): Promise<string> => {
  const { state, reason } = await runtime.catalog.plan(id)
  if (state === 'quarantined') return 'quarantined'
  const jobs = (await runtime.catalog.jobs(id)).map(
    (job) =>
      `${job.name} ${job.state} ${job.reason} ${job.generation} ${job.attempt} ${JSON.stringify(job.outputs)}`,
  )
  const found = key === null ? id : (await runtime.plan({ key })).id
  return [`${state} ${reason} ${found}`, ...jobs].join('\n')
}

/** What an undisturbed home comes to. */
export const endsOf = async (home: string): Promise<Ends> => {
  const called: Ledger = []
  const runtime = await open(home, called, 'after')
  await runOut(runtime)
  const plans = new Map<string, string>()
  for (const { id, key } of await runtime.catalog.plans({ limit: PLANS_MAX }))
    plans.set(id, await textOf(runtime, id, key))
  await runtime.stop()
  const reader = await sqliteReader(join(home, 'journal.db'))
  const dead = (await reader.deadLetters(PLANS_MAX)).length
  await reader.close()
  return { plans, called, dead }
}

/** Runs a damaged home to its end, and judges. */
export const judge = async (home: string, undisturbed: Ends): Promise<Verdict> => {
  const called: Ledger = []
  let runtime: Runtime
  try {
    runtime = await open(home, called, 'after')
  } catch (error) {
    const why = refusal(error)
    if (why === undefined) return { is: 'wrong', why: `refused with ${String(error)}` }
    return called.length === 0 ? { is: 'refused', why } : { is: 'wrong', why: 'refused, after calls' }
  }
  const told: string[] = []
  const quarantined: string[] = []
  const wrong: string[] = []
  const seen = new Set<string>()
  try {
    await runOut(runtime)
    for (const { id, key, state } of await runtime.catalog.plans({ limit: PLANS_MAX })) {
      const expected = undisturbed.plans.get(id)
      seen.add(id)
      if (state === 'quarantined') quarantined.push(id)
      else if (expected === undefined) wrong.push(`nobody submitted ${id}`)
      else
        try {
          const text = await textOf(runtime, id, key)
          if (text !== expected) wrong.push(`${id} came to\n${text}\nand not to\n${expected}`)
        } catch (error) {
          if (refusal(error) === undefined) wrong.push(`${id}: ${String(error)}`)
          else told.push(id)
        }
    }
  } catch (error) {
    if (refusal(error) === undefined) wrong.push(String(error))
    else told.push(String(error))
  }
  // A plan whose own name is damaged is quarantined under what is left of it.
  const strangers = quarantined.filter((id) => !undisturbed.plans.has(id)).length
  const lost = [...undisturbed.plans.keys()].filter((id) => !seen.has(id))
  if (seen.size > 0 && lost.length > strangers) wrong.push(`lost without a word: ${lost.join(', ')}`)
  const left = [...undisturbed.called]
  for (const call of called) {
    const at = left.indexOf(call)
    if (at < 0) wrong.push(`${call} ran again`)
    else left.splice(at, 1)
  }
  try {
    await runtime.stop()
    const reader = await sqliteReader(join(home, 'journal.db'))
    const dead = await reader.deadLetters(PLANS_MAX)
    await reader.close()
    if (dead.length < undisturbed.dead) wrong.push(`${undisturbed.dead - dead.length} dead letters are gone`)
    if (dead.length > undisturbed.dead) wrong.push('messages that could be taken are dead letters')
  } catch (error) {
    const why = refusal(error)
    if (why === undefined) wrong.push(`at its stop: ${String(error)}`)
    else told.push(why)
  }
  if (wrong.length > 0) return { is: 'wrong', why: wrong.join('\n') }
  if (quarantined.length > 0) return { is: 'quarantined', why: quarantined.join(', ') }
  if (told.length > 0) return { is: 'told', why: told.join('\n') }
  return { is: 'harmless', why: '' }
}
