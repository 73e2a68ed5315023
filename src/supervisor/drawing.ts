/**
 * Supervisors in an inspector: a live actor for each life, which goes where that life goes. It decides nothing, and there is none
 * unless somebody looks. The machines have neither context nor guards, so that the same moves lead to the same states.
 */
import { type Actor, createActor, type InspectionEvent } from 'xstate'
import { type ChildMove, childMachine, type SupervisorMove, supervisorMachine } from './machines.ts'

/** Who looks. */
export type Inspector = (event: InspectionEvent) => void

/** A supervisor and its children as live actors. */
export type Drawing = Readonly<{
  /** Lets a child, or with null the supervisor, make a move. */
  show: (child: string | null, by: ChildMove | SupervisorMove) => void
  /** A child is no more. */
  forget: (child: string) => void
  end: () => void
}>

type Life = Actor<typeof childMachine> | Actor<typeof supervisorMachine>

/** Draws the supervisor of this name, and each child as `NAME/ID`. */
export const drawing = (name: string, inspector: Inspector): Drawing => {
  let isOn = true
  /** An inspector that throws would wedge the actor it looks at. It is asked no more. */
  const inspect = (event: InspectionEvent): void => {
    if (!isOn) return
    try {
      inspector(event)
    } catch {
      isOn = false
    }
  }
  const lives = new Map<string | null, Life>()
  const lifeOf = (child: string | null): Life => {
    const life =
      lives.get(child) ??
      (child === null
        ? createActor(supervisorMachine, { id: name, inspect })
        : createActor(childMachine, { id: `${name}/${child}`, inspect })
      ).start()
    lives.set(child, life)
    return life
  }
  lifeOf(null)

  return {
    show: (child, by) => lifeOf(child).send({ type: by }),
    forget: (child) => {
      lives.get(child)?.stop()
      lives.delete(child)
    },
    end: () => {
      for (const life of lives.values()) life.stop()
      lives.clear()
    },
  }
}
