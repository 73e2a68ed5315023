/** Plans as a program writes them, and what is wrong with them. */
import { isTenutoError } from '../../src/errors.ts'
import { definePlan, type PlanSource } from '../../src/plans/define-plan.ts'
import { formatPlanError, type PlanError } from '../../src/plans/problem.ts'

/** Defines a plan of whatever is given, right or wrong. */
export const define = (source: unknown) => definePlan(source as PlanSource)

/** What is wrong with a plan, each mistake in words; nothing when it is taken. */
export const errorsOf = (act: () => unknown): string[] => {
  try {
    act()
  } catch (error) {
    if (!isTenutoError(error, 'PLAN_INVALID')) throw error
    return (error.fields['errors'] as PlanError[]).map(formatPlanError)
  }
  return []
}
