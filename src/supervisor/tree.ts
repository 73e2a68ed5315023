/**
 * A supervisor and what is below it, as it is shown.
 */
import { isAbnormal, reasonText } from './reason.ts'
import type { Ref, Tree } from './ref.ts'
import type { Child, State } from './state.ts'

/** Children shown of one supervisor, unless told otherwise. */
export const CHILDREN_SHOWN = 1000

/** Shows a supervisor at a moment in monotonic ms, with at most so many of its children. */
export const treeOf = (
  name: string,
  { policy, life, children }: State,
  refOf: (id: string) => Ref | undefined,
  at: number,
  most: number,
): Tree => {
  const shown: Tree[] = []
  for (const child of children.values()) {
    if (shown.length === most) break
    shown.push(branchOf(child, policy, refOf(child.id), at))
  }
  return {
    id: name,
    kind: 'supervisor',
    strategy: policy.strategy,
    state: life.state,
    incarnation: 1,
    restarts: null,
    lastError: life.reason !== null && isAbnormal(life.reason) ? reasonText(life.reason) : null,
    sinceMs: at - life.since,
    history: [],
    children: shown,
    more: children.size - shown.length,
  }
}

const branchOf = (
  child: Child,
  { intensity, periodMs }: State['policy'],
  ref: Ref | undefined,
  at: number,
): Tree => {
  const { id, terms, state, since, incarnation, tally, history } = child
  const below = ref?.tree?.()
  const count = tally.restarts.filter((moment) => at - moment <= periodMs).length
  const lastError = history.findLast(({ reason }) => isAbnormal(reason))
  return {
    id,
    kind: terms.type,
    strategy: below?.strategy ?? null,
    state,
    incarnation,
    restarts: { count, intensity, periodMs },
    lastError: lastError === undefined ? null : reasonText(lastError.reason),
    sinceMs: at - since,
    history: history.map((end) => ({
      agoMs: at - end.at,
      incarnation: end.incarnation,
      reason: reasonText(end.reason),
    })),
    children: below?.children ?? [],
    more: below?.more ?? 0,
  }
}
