/**
 * The life of a child and the life of its supervisor, as machines. They have no context and no guards: what is possible in which
 * state is theirs, what is chosen is `judge`'s and `decide`'s. A state's name is all a row stores of them.
 *
 *   a child
 *
 *   waiting ── begin ──▶ starting ── succeed ──▶ running
 *                           ▲  └────── retry ───────┤
 *                           └─ begin ─ restarting ◀─┘
 *
 *   starting, running ── rest ──▶ stopped                         it ended, and is not restarted
 *   starting, running ── giveUp ──▶ given-up                      it failed too often
 *   starting, running ── halt ──▶ stopping ── rest ──▶ stopped    it was told to stop
 *   waiting, restarting ── rest ──▶ stopped                       it was told to stop, and nothing of it ran
 *   running, stopping ── again ──▶ waiting                        it goes round with its siblings
 *   stopped, given-up ── again ──▶ waiting                        somebody asked for it
 *
 *   its supervisor
 *
 *   new ── begin ──▶ starting ── settle ──▶ running ◀── settle, cycle ──▶ cycling
 *    └───── halt ───────┴──────────────────────┴──────────────────────────────┴──▶ stopping ── end ──▶ ended
 */
import { type AnyStateMachine, createMachine, transition } from 'xstate'

/**
 * Where a child is. `waiting`: its turn to be started will come. `restarting`: the pause before its next start. `stopped`: it will
 * not start unless asked. `given-up`: it failed too often.
 */
export type ChildState =
  | 'waiting'
  | 'starting'
  | 'running'
  | 'restarting'
  | 'stopping'
  | 'stopped'
  | 'given-up'

/** Where a supervisor is. `cycling`: children are stopped, and then started again, because of one of them. */
export type SupervisorState = 'new' | 'starting' | 'running' | 'cycling' | 'stopping' | 'ended'

/** What can happen to a child. */
export type ChildMove = 'begin' | 'succeed' | 'retry' | 'giveUp' | 'halt' | 'rest' | 'again'

/** What can happen to a supervisor. */
export type SupervisorMove = 'begin' | 'settle' | 'cycle' | 'halt' | 'end'

/** The life of a child. */
export const childMachine = createMachine({
  id: 'child',
  initial: 'waiting',
  states: {
    waiting: { on: { begin: 'starting', rest: 'stopped' } },
    starting: {
      on: { succeed: 'running', retry: 'restarting', giveUp: 'given-up', halt: 'stopping', rest: 'stopped' },
    },
    running: {
      on: { retry: 'restarting', again: 'waiting', giveUp: 'given-up', halt: 'stopping', rest: 'stopped' },
    },
    restarting: { on: { begin: 'starting', rest: 'stopped' } },
    stopping: { on: { again: 'waiting', rest: 'stopped' } },
    stopped: { on: { again: 'waiting' } },
    'given-up': { on: { again: 'waiting' } },
  },
})

/** The life of a supervisor. */
export const supervisorMachine = createMachine({
  id: 'supervisor',
  initial: 'new',
  states: {
    new: { on: { begin: 'starting', halt: 'stopping' } },
    starting: { on: { settle: 'running', halt: 'stopping' } },
    running: { on: { cycle: 'cycling', halt: 'stopping' } },
    cycling: { on: { settle: 'running', halt: 'stopping' } },
    stopping: { on: { end: 'ended' } },
    ended: {},
  },
})

/** Asked once for each state and move, and remembered: without context and guards a machine can give one answer only. */
const stepping = <State extends string, Move extends string>(machine: AnyStateMachine) => {
  const known = new Map<State, Map<Move, State>>()
  return (state: State, move: Move): State => {
    const moves = known.get(state) ?? new Map<Move, State>()
    known.set(state, moves)
    const found = moves.get(move)
    if (found !== undefined) return found
    const snapshot = machine.resolveState({ value: state, context: {} })
    const [after] = transition(machine, snapshot, { type: move })
    if (after === snapshot) throw new Error(`a ${machine.id} that is ${state} cannot ${move}`)
    const next = after.value as State
    moves.set(move, next)
    return next
  }
}

/** Where a child is after a move. @throws {Error} where its machine has no such way. */
export const childAfter = stepping<ChildState, ChildMove>(childMachine)

/** Where a supervisor is after a move. @throws {Error} where its machine has no such way. */
export const supervisorAfter = stepping<SupervisorState, SupervisorMove>(supervisorMachine)
