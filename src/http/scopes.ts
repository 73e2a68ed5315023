/**
 * What routes ask of whoever calls them.
 */
import { type Demand, operationOf, type Scope } from './operations.ts'

/** Everything. */
export const EVERY_SCOPE: ReadonlySet<Scope> = new Set(['read', 'operate', 'approve', 'admin'])

/** What a route asks; undefined when it says nothing. */
export const askedBy = (method: string, path: string): Demand | undefined => operationOf(method, path)?.asks
