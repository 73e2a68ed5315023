/**
 * A supervisor in the plainest words: everything is worked out from scratch, nothing waits for anything but time, starts and stops
 * happen at once. Written from the promises, not from the code.
 */

export type NaiveSpec = Readonly<{
  id: string
  restart: 'permanent' | 'transient' | 'temporary'
  vital: boolean
}>
type NaiveChild = NaiveSpec & {
  state: 'waiting' | 'running' | 'restarting' | 'stopped' | 'given-up'
  incarnation: number
  restarts: number[]
  tries: number
  since: number
  due: number
  /** Of two that are due at the same moment, who failed first is first. */
  turn: number
  /** Whether a start that fails is tried again. */
  isRetried: boolean
}

export type NaiveFlags = Readonly<{
  strategy: 'one-for-one' | 'one-for-all' | 'rest-for-one'
  intensity: number
  periodMs: number
  backoff: Readonly<{ minMs: number; maxMs: number; resetAfterMs: number }>
}>

export const naiveSupervisor = (
  { strategy, intensity, periodMs, backoff }: NaiveFlags,
  specs: readonly NaiveSpec[],
  /** Asked once for each start. */
  startFails: (id: string) => boolean,
) => {
  const log: string[] = []
  let now = 0
  let turns = 0
  let isEnded = false
  /** Whose pause a round waits for. */
  let pause: NaiveChild | undefined
  let children: NaiveChild[] = []
  const isGrouped = strategy !== 'one-for-one'
  const find = (id: string): NaiveChild | undefined => children.find((child) => child.id === id)
  const isUpNext = (child: NaiveChild): boolean => child.state === 'waiting' || child.state === 'restarting'

  const rest = (child: NaiveChild): void => {
    child.state = 'stopped'
    if (child.restart === 'temporary') children = children.filter((each) => each !== child)
  }
  const stop = (child: NaiveChild): void => {
    log.push(`stopped ${child.id}`)
    rest(child)
  }
  const end = (): void => {
    isEnded = true
    for (const child of children.filter(isUpNext)) rest(child)
    for (const child of children.toReversed()) if (child.state === 'running') stop(child)
  }
  /** Answers whether it runs now. */
  const start = (child: NaiveChild): boolean => {
    child.incarnation += 1
    if (startFails(child.id)) {
      if (child.isRetried) fail(child, 0)
      else rest(child)
      return false
    }
    log.push(`started ${child.id}`)
    child.state = 'running'
    child.since = now
    return true
  }
  const fail = (child: NaiveChild, ranMs: number): void => {
    child.isRetried = true
    child.restarts = child.restarts.filter((at) => at >= now - periodMs)
    if (child.restarts.length >= intensity) {
      child.state = 'given-up'
      if (child.vital) end()
      return
    }
    if (ranMs >= backoff.resetAfterMs) child.tries = 0
    child.due = now + Math.min(backoff.maxMs, backoff.minMs * 2 ** child.tries)
    child.tries += 1
    turns += 1
    child.turn = turns
    child.restarts.push(now)
    child.state = 'restarting'
    if (!isGrouped) return
    pause = child
    const from = strategy === 'one-for-all' ? 0 : children.indexOf(child)
    for (const sibling of children.slice(from).toReversed()) {
      if (sibling.state !== 'running') continue
      stop(sibling)
      if (sibling.restart === 'temporary') continue
      sibling.state = 'waiting'
      sibling.isRetried = true
    }
  }
  const round = (): void => {
    pause = undefined
    for (const child of [...children]) if (!isEnded && pause === undefined && isUpNext(child)) start(child)
  }

  for (const spec of specs) {
    const child = {
      ...spec,
      state: 'waiting',
      incarnation: 0,
      restarts: [],
      tries: 0,
      since: 0,
      due: 0,
      turn: 0,
      isRetried: false,
    } as NaiveChild
    children.push(child)
    start(child)
  }

  return {
    list: () => children.map(({ id, state, incarnation }) => [id, state, incarnation]),
    log,
    isEnded: () => isEnded,
    exit: (id: string, isAbnormal: boolean): void => {
      const child = find(id)
      if (child?.state !== 'running') return
      const isRestarted = child.restart === 'permanent' || (child.restart === 'transient' && isAbnormal)
      if (isRestarted) fail(child, now - child.since)
      else rest(child)
    },
    pass: (ms: number): void => {
      const until = now + ms
      for (;;) {
        const waiting = isGrouped ? [pause] : children.filter((child) => child.state === 'restarting')
        const next = waiting
          .filter((child) => child !== undefined)
          .toSorted((a, b) => a.due - b.due || a.turn - b.turn)[0]
        if (isEnded || next === undefined || next.due > until) break
        now = next.due
        if (isGrouped) round()
        else start(next)
      }
      now = until
    },
    ask: (what: 'stop' | 'restart' | 'delete' | 'clear', id: string): boolean => {
      const child = find(id)
      if (child === undefined) return false
      const isResting = child.state === 'stopped' || child.state === 'given-up'
      if (what === 'stop') {
        if (isResting) return true
        if (child.state === 'running') stop(child)
        else rest(child)
        if (pause === child) round()
        return true
      }
      if (what === 'delete') {
        if (isResting) children = children.filter((each) => each !== child)
        return isResting
      }
      if (isEnded || child.state !== (what === 'clear' ? 'given-up' : 'stopped')) return false
      if (what === 'clear') Object.assign(child, { restarts: [], tries: 0 })
      child.isRetried = what === 'clear'
      child.state = 'waiting'
      return pause !== undefined || start(child)
    },
  }
}
