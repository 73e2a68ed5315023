/** Requests that wait for their turn. */

/** What is asked, and how to answer. */
export type Request<Of, Answer = void> = Readonly<{
  of: Of
  done: (answer: Answer) => void
  fail: (error: unknown) => void
}>

/** Those of one kind, oldest first. */
export type Queue<Of, Answer = void> = Readonly<{
  /** Resolves with the answer to it. */
  put: (of: Of) => Promise<Answer>
  /** Takes all that wait; whoever takes them answers. */
  take: () => readonly Request<Of, Answer>[]
  /** Puts what was taken before all that came since. */
  putBack: (requests: readonly Request<Of, Answer>[]) => void
  isEmpty: () => boolean
  /** Fails all that wait. */
  refuse: (error: unknown) => void
}>

/** Nobody waits yet. */
export const queue = <Of, Answer = void>(): Queue<Of, Answer> => {
  const waiting: Request<Of, Answer>[] = []
  const take = (): readonly Request<Of, Answer>[] => waiting.splice(0)
  return {
    put: (of) => new Promise((done, fail) => waiting.push({ of, done, fail })),
    take,
    putBack: (requests) => void waiting.unshift(...requests),
    isEmpty: () => waiting.length === 0,
    refuse: (error) => {
      for (const { fail } of take()) fail(error)
    },
  }
}
