/**
 * Faults on demand: makes a chosen actor, message or part of a runtime throw, to see that nothing else is hurt.
 */
import type { FaultPoint, Faults } from '../actors/part.ts'

/** Where to throw: a call of a part, or a message to an actor. What is left out may be any; `*` in `actor` stands for any text. */
export type FaultPlace =
  | Readonly<{ part: Extract<FaultPoint, { part: string }>['part']; call?: string }>
  | Readonly<{ actor: string; message?: string }>

/** Faults that can be asked for while a runtime runs. */
export type FaultInjection = Readonly<{
  /** Goes into `ports.faults` of a runtime. */
  port: Faults
  /** Throws at that place from now on, `times` times, 1 by default. Resolves when it has thrown that often. */
  throwAt: (place: FaultPlace, times?: number) => Promise<void>
  /** Where it has thrown, in order. */
  thrown: () => readonly FaultPoint[]
}>

type Planned = { readonly fits: (at: FaultPoint) => boolean; left: number; readonly done: () => void }

/** Faults of which none is asked for. */
export const faultInjection = (): FaultInjection => {
  const planned = new Set<Planned>()
  const thrown: FaultPoint[] = []
  return {
    port: (at) => {
      for (const one of planned) {
        if (!one.fits(at)) continue
        one.left -= 1
        if (one.left <= 0) {
          planned.delete(one)
          one.done()
        }
        thrown.push(at)
        throw new Error(`injected: ${Object.values(at).join(' ')}`)
      }
    },
    throwAt: (place, times = 1) =>
      new Promise((done) => {
        planned.add({ fits: fitting(place), left: times, done })
      }),
    thrown: () => thrown,
  }
}

const fitting = (place: FaultPlace): ((at: FaultPoint) => boolean) => {
  if ('part' in place)
    return (at) => 'part' in at && at.part === place.part && (place.call ?? at.call) === at.call
  const parts = place.actor.split('*').map((text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  const actor = new RegExp(`^${parts.join('.*')}$`)
  return (at) => 'actor' in at && actor.test(at.actor) && (place.message ?? at.message) === at.message
}
