/**
 * The decision alone, in a world that does its worst: starts and stops settle in any order or never, timers fire late, what older
 * incarnations have to say comes at any time, and people ask for anything in between.
 *
 * Mutations that were planted once, and each found, here or by the tests beside this one: a sibling that still stops and is not waited
 * for; a round that starts only those after the child that failed; an answer given twice; a stop that is not answered; a pause that
 * nobody lets go of, or that nobody waits for; counts that forget one who leaves; a window not cut to its period, or cut too early; a
 * fence that is not compared; a timer of another state; stops from the first to the last; a temporary child that comes back.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decide } from '../../src/supervisor/decide.ts'
import { systemPorts } from '../../src/supervisor/ports.ts'
import { failure, NORMAL, SHUTDOWN } from '../../src/supervisor/reason.ts'
import {
  checkSupervisor,
  type Flags,
  policyOf,
  type Strategy,
  type Terms,
  termsOf,
} from '../../src/supervisor/spec.ts'
import { type Ask, type Child, type Event, isLive, newState, type State } from '../../src/supervisor/state.ts'

const SEED = Number(process.env['TENUTO_SEED'] ?? 20_261_121)
const RUNS = 300
const STRATEGIES: readonly Strategy[] = ['one-for-one', 'one-for-all', 'rest-for-one', 'dynamic']

const terms = fc.record({
  restart: fc.constantFrom(
    'permanent' as const,
    'permanent' as const,
    'transient' as const,
    'temporary' as const,
  ),
  shutdown: fc.constantFrom(100, 100, 'brutal' as const, 'infinity' as const),
  vital: fc.constantFrom(false, false, false, false, true),
})
const setups = fc.record({
  strategy: fc.constantFrom(...STRATEGIES),
  intensity: fc.nat({ max: 4 }),
  /** Whether it is up before the story begins. */
  isUp: fc.constantFrom(true, true, true, false),
  children: fc.array(terms, { minLength: 1, maxLength: 5 }),
})
const happenings = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constant('settle' as const), pick: fc.nat(), how: fc.nat({ max: 5 }) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('end' as const), pick: fc.nat(), how: fc.nat({ max: 3 }) }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('time' as const), pick: fc.nat() }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('echo' as const), pick: fc.nat({ max: 40 }) }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('ask' as const), pick: fc.nat(), how: fc.nat({ max: 4 }) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.nat({ max: 3_000 }) }) },
)
const stories = fc.array(happenings, { minLength: 10, maxLength: 60, size: 'max' })
type Happening = typeof happenings extends fc.Arbitrary<infer T> ? T : never
type Setup = typeof setups extends fc.Arbitrary<infer T> ? T : never

/** A world in which asks wait until they are settled, and which checks everything that is decided. */
const worldOf = ({ strategy, intensity, children, isUp }: Setup) => {
  const flags: Flags = { strategy, intensity, periodMs: 5_000, backoff: { minMs: 100, maxMs: 1_000 } }
  const specs = children.map((each, at) => ({
    id: `c${at}`,
    terms: termsOf(strategy, { ...each, id: `c${at}` }),
  }))
  checkSupervisor(flags, [{ id: 'any', start: () => ({}) }], systemPorts)
  const policy = policyOf(flags)
  const held = newState(policy, strategy === 'dynamic' ? [] : specs, 0)
  let state: State = held
  let at = 0
  let calls = 0
  let order = 0
  const starts: Ask[] = []
  const stops: Ask[] = []
  const timers: (Readonly<{ due: number }> & Extract<Event, { type: 'time.over' }>)[] = []
  const past: Event[] = []
  const open = new Map<number, string>()
  /** What was started and of which the end is not known, by its fence. */
  const live = new Map<string, number>()
  const restarts = new Map<string, number[]>()
  const told: string[] = []
  const ends: string[] = []

  const happen = (event: Event): void => {
    if ('call' in event) open.set(event.call, event.type)
    const before = freeze(state)
    const { life, changed, asks } = decide(state, event, { at, chance: 0.5 })
    expect(freeze(state), 'what is given is not changed').toBe(before)
    for (const [id, child] of changed) {
      // Nothing is held against who comes later under the same name, or was cleared.
      if (child === null || child.tally.restarts.length === 0) restarts.delete(id)
      if (child === null) held.children.delete(id)
      else held.children.set(id, Object.freeze(child))
    }
    state = { policy, life: Object.freeze(life), children: held.children }
    for (const ask of asks) take(ask)
    check()
  }
  const gone = (id: string, fence: number): void => {
    if (live.get(id) === fence) live.delete(id)
  }

  const take = (ask: Ask): void => {
    switch (ask.do) {
      case 'startChild': {
        expect(live.has(ask.id), `${ask.id} is started only when nothing of it lives`).toBe(false)
        live.set(ask.id, ask.fence)
        starts.push(ask)
        timers.push({ ...overOf(ask, 'starting'), due: at + ask.withinMs })
        return
      }
      case 'stopChild': {
        expect(live.get(ask.id), `${ask.id} is asked to stop while it lives`).toBe(ask.fence)
        expect(told, `${ask.id} is asked once`).not.toContain(`${ask.id}/${ask.fence}`)
        told.push(`${ask.id}/${ask.fence}`)
        stops.push(ask)
        if (ask.withinMs !== null) timers.push({ ...overOf(ask, 'stopping'), due: at + ask.withinMs })
        return
      }
      case 'killChild':
        gone(ask.id, ask.fence)
        return
      case 'wakeChild': {
        const window = [...(restarts.get(ask.id) ?? []).filter((each) => at - each <= policy.periodMs), at]
        expect(window.length, `${ask.id} keeps within its budget`).toBeLessThanOrEqual(intensity)
        expect(ask.afterMs).toBeGreaterThanOrEqual(100)
        expect(ask.afterMs).toBeLessThanOrEqual(1_200)
        restarts.set(ask.id, window)
        timers.push({ ...overOf(ask, 'restarting'), due: at + ask.afterMs })
        return
      }
      case 'answer':
        expect(open.has(ask.call), 'a request is answered once').toBe(true)
        open.delete(ask.call)
        return
      case 'tellWatchers':
      case 'record':
      case 'show':
        return
      case 'end':
        ends.push(ask.reason.type)
    }
  }

  const check = (): void => {
    const rows = [...state.children.values()]
    const counted = { ...state.life.counts }
    for (const { state: where } of rows) counted[where] -= 1
    expect(
      Object.values(counted).every((left) => left === 0),
      'the counts are those of the rows',
    ).toBe(true)
    expect(
      rows.map((row) => row.order),
      'rows are in start order',
    ).toEqual(rows.map((row) => row.order).toSorted((a, b) => a - b))
    expect(new Map(rows.filter(isLive).map(({ id, fence }) => [id, fence])), 'what lives is known').toEqual(
      live,
    )
    const { state: where, work } = state.life
    expect(work !== null, 'there is work exactly while children are started or stopped in order').toBe(
      ['starting', 'cycling', 'stopping'].includes(where),
    )
    if (where === 'ended') expect(live.size, 'nothing lives after the end').toBe(0)
    if (strategy !== 'dynamic' && where === 'stopping') {
      const asked = rows.filter(({ state: each }) => each === 'stopping')
      const up = rows.filter(({ state: each }) => each === 'running' || each === 'starting')
      const first = Math.max(0, ...up.map((row) => row.order))
      const late = asked.filter((row) => row.order < first && !operated.has(`${row.id}/${row.fence}`))
      expect(
        late.map(({ id }) => id),
        'stops go from the last to the first',
      ).toEqual([])
    }
    if (where === 'running' && strategy !== 'dynamic')
      expect(
        rows.filter((row) => row.state === 'waiting').map(({ id }) => id),
        'nobody waits for ever',
      ).toEqual([])
  }

  /** What was told to stop before its turn came: by hand, or in a round. */
  const operated = new Set<string>()

  const say = (event: Event): void => {
    past.push(event)
    happen(event)
  }
  const request = (how: number, pick: number): void => {
    calls += 1
    const known = [...state.children.keys()]
    const id = known[pick % Math.max(1, known.length)] ?? 'c0'
    for (const child of state.children.values()) if (isLive(child)) operated.add(`${child.id}/${child.fence}`)
    const types = ['stop.asked', 'restart.asked', 'delete.asked', 'clear.asked'] as const
    const type = types[how]
    if (type) return happen({ type, call: calls, id })
    order += 1
    const spec = specs[pick % specs.length] as Readonly<{ id: string; terms: Terms }>
    happen({
      type: 'child.added',
      call: calls,
      id: pick % 7 === 0 ? spec.id : `n${order}`,
      terms: spec.terms,
    })
  }
  const settle = (pick: number, how: number): void => {
    const from = pick % 2 === 0 && starts.length > 0 ? starts : stops.length > 0 ? stops : starts
    const [ask] = from.splice(pick % Math.max(1, from.length), 1)
    if (ask === undefined || (ask.do !== 'startChild' && ask.do !== 'stopChild')) return
    const { id, fence } = ask
    if (live.get(id) !== fence) return
    if (ask.do === 'stopChild' || told.includes(`${id}/${fence}`)) {
      gone(id, fence)
      return say({ type: 'child.ended', id, fence, reason: how < 8 ? SHUTDOWN : failure('x') })
    }
    if (how === 0) {
      gone(id, fence)
      return say({ type: 'child.failed', id, fence, reason: failure('x') })
    }
    if (how === 1) {
      gone(id, fence)
      return say({ type: 'child.ignored', id, fence })
    }
    return say({ type: 'child.started', id, fence })
  }
  /** The timer with the earliest due time fires, at its time or now if that is past. One that is of no use any more may fire too. */
  const fire = (): boolean => {
    const next = timers.toSorted((a, b) => a.due - b.due)[0]
    if (next === undefined) return false
    timers.splice(timers.indexOf(next), 1)
    at = Math.max(at, next.due)
    const { due: _, ...event } = next
    const child = state.children.get(event.id)
    if (child?.fence === event.fence && child.state === event.state && event.state !== 'restarting')
      gone(event.id, event.fence)
    say(event)
    return true
  }

  /** Lets everything that was asked for come to its end. */
  const calm = (): void => {
    for (let turns = 0; turns < 10_000; turns += 1) {
      if (starts.length + stops.length > 0) settle(turns, 3)
      else if (state.life.state === 'ended' || !fire()) return
    }
    throw new Error('it never comes to rest')
  }

  return {
    begin: () => {
      calls += 1
      happen({ type: 'start.requested', call: calls })
      if (isUp) calm()
    },
    act: (happening: Happening): void => {
      switch (happening.do) {
        case 'settle':
          return settle(happening.pick, happening.how)
        case 'end': {
          const up = [...state.children.values()].filter((child) => child.state === 'running')
          const child = up[happening.pick % Math.max(1, up.length)]
          if (child === undefined) return
          gone(child.id, child.fence)
          const reason = happening.how === 0 ? NORMAL : failure('x')
          return say({ type: 'child.ended', id: child.id, fence: child.fence, reason })
        }
        case 'time':
          fire()
          return
        case 'echo': {
          const ends = past.filter(({ type }) => type === 'child.ended' || type === 'child.failed')
          const event = ends[happening.pick % Math.max(1, ends.length)]
          const known = event && 'id' in event ? state.children.get(event.id) : undefined
          if (event && 'fence' in event && known?.fence !== event.fence) happen(event)
          return
        }
        case 'ask':
          return request(happening.how, happening.pick)
        case 'wait':
          at += happening.ms
      }
    },
    calm,
    stop: () => {
      for (const child of state.children.values())
        if (child.state === 'stopping') operated.add(`${child.id}/${child.fence}`)
      calls += 1
      happen({ type: 'stop.requested', call: calls })
    },
    open: () => [...open.values()],
    hear: happen,
    ends: () => ends,
    state: () => state,
    live: () => [...live.keys()],
  }
}

const overOf = ({ id, fence }: Readonly<{ id: string; fence: number }>, state: Child['state']) =>
  ({ type: 'time.over', id, fence, state }) as const

/** The state as text, so that a change of it would be seen. */
const freeze = (state: State): string => JSON.stringify([state.life, [...state.children]])

test('what an older incarnation says, or a timer of another state, changes nothing', () => {
  const world = worldOf({
    strategy: 'one-for-one',
    intensity: 3,
    isUp: true,
    children: [{ restart: 'permanent', shutdown: 100, vital: false }],
  })
  world.begin()
  world.act({ do: 'end', pick: 0, how: 1 })
  world.calm()
  const before = JSON.stringify(world.state().life)
  expect(world.state().children.get('c0')).toMatchObject({ state: 'running', incarnation: 2, fence: 2 })

  world.hear({ type: 'child.ended', id: 'c0', fence: 1, reason: NORMAL })
  world.hear({ type: 'child.failed', id: 'c0', fence: 1, reason: NORMAL })
  world.hear({ type: 'child.ended', id: 'x', fence: 1, reason: NORMAL })

  expect(JSON.stringify(world.state().life)).toBe(before)
  world.act({ do: 'end', pick: 0, how: 1 })
  world.hear({ type: 'time.over', id: 'c0', fence: 2, state: 'starting' })
  expect(world.state().children.get('c0')).toMatchObject({ state: 'restarting', fence: 2 })
})

test('whatever happens, in whatever order: what is decided holds together', () => {
  fc.assert(
    fc.property(setups, stories, (setup, story) => {
      const world = worldOf(setup)
      world.begin()
      for (const happening of story) world.act(happening)
    }),
    { seed: SEED, numRuns: RUNS },
  )
})

test('whatever has happened: told to stop, a supervisor ends once, nothing of it lives, and every request was answered', () => {
  fc.assert(
    fc.property(setups, stories, (setup, story) => {
      const world = worldOf(setup)
      world.begin()
      for (const happening of story) world.act(happening)
      world.stop()
      world.calm()

      expect([world.state().life.state, world.ends().length, world.live(), world.open()]).toEqual([
        'ended',
        1,
        [],
        [],
      ])
    }),
    { seed: SEED, numRuns: RUNS },
  )
})

test('left in peace, a supervisor comes to rest: nobody starts, stops or waits any more, and every request was answered', () => {
  fc.assert(
    fc.property(setups, stories, (setup, story) => {
      const world = worldOf(setup)
      world.begin()
      for (const happening of story) world.act(happening)
      world.calm()

      const { life, children } = world.state()
      expect(['running', 'ended']).toContain(life.state)
      const places = new Set([...children.values()].map(({ state }) => state))
      expect([...places].filter((place) => !['running', 'stopped', 'given-up'].includes(place))).toEqual([])
      expect(world.open()).toEqual([])
    }),
    { seed: SEED, numRuns: RUNS },
  )
})
