/**
 * A lost attempt in an explanation: what was found of it, what its plan says of such, and the orders that decide.
 */
import { ending } from './ending.ts'
import { type Evidence, type FactShape, fact, refOf } from './evidence.ts'
import type { AttemptShape, JobShape } from './shapes.ts'

/** The attempt of a job that ended last, if nobody saw how it did; nothing of an earlier generation. */
const lostOf = (of: Evidence, { name, generation }: JobShape): AttemptShape | undefined => {
  const last = of.attempts(name).findLast(({ outcome }) => outcome !== null)
  return last?.outcome === 'lost' && last.generation === generation ? last : undefined
}

/** What was found of the attempt of a job that was lost last; nothing where none was. */
export const foundLost = (of: Evidence, job: JobShape): readonly FactShape[] => {
  const last = lostOf(of, job)
  if (last === undefined) return []
  const [ref, at] = [refOf(of, job.name), of.foundLost(job.name, last.n)]
  const who =
    job.kind === 'call'
      ? 'whoever called its handler'
      : `its process${last.pid === null ? '' : `, pid ${last.pid},`}`
  const when = at === undefined ? 'it was looked for' : 'the home was taken up'
  return [
    fact(ending(last), { ref, since: last.ended_at }),
    // An error says what was found, in the place of this.
    ...(last.error === null
      ? [
          fact(`when ${when}, ${who} was not there any more, and nothing says how it ended`, {
            ref,
            since: at ?? last.ended_at,
          }),
        ]
      : []),
  ]
}

/** What the plan says of attempts that are lost. */
export const lostPolicy = (of: Evidence, { name, generation }: JobShape): string => {
  const lost = of.attempts(name).filter((each) => each.outcome === 'lost' && each.generation === generation)
  switch (of.onLost(name)) {
    case 'retry':
      return `what is lost is tried again (onLost: retry), but not for ever: ${lost.length} of its attempts were lost`
    case 'fail':
      return 'what is lost is not tried again (onLost: fail)'
    default:
      return 'what is lost waits for a person (onLost: hold): tried again, it may do twice what it did'
  }
}

/** A job that waits because its attempt was lost: what was found, and each order that decides. */
export const ofLost = (of: Evidence, job: JobShape): readonly FactShape[] => {
  const ref = refOf(of, job.name)
  const [ended, ...found] = foundLost(of, job)
  return [
    fact(ended?.what ?? 'an attempt may have had effects, and nobody saw its end', {
      ref,
      since: job.since,
      change: 'somebody decides: try again, skip or cancel it',
      command: `tenuto retry ${ref}`,
    }),
    ...found,
    fact(lostPolicy(of, job), { ref }),
    fact(`a skip leaves ${job.name} out, and what needs it to succeed`, {
      ref,
      change: 'somebody skips it',
      command: `tenuto skip ${ref}`,
    }),
    fact(`a cancel ends ${job.name} as cancelled${job.optional ? '' : ', and its plan fails with it'}`, {
      ref,
      change: 'somebody cancels it',
      command: `tenuto cancel ${ref}`,
    }),
  ]
}

/** Of a job that is tried again: that the attempt before was lost, and what tried it again. */
export const afterLoss = (of: Evidence, job: JobShape): readonly FactShape[] => {
  const last = lostOf(of, job)
  if (last === undefined) return []
  const how = of.onLost(job.name) === 'retry' ? 'as its plan says (onLost: retry)' : 'by order'
  return [
    fact(`${ending(last)}; it is tried again ${how}`, { ref: refOf(of, job.name), since: last.ended_at }),
  ]
}
