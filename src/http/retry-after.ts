/**
 * When to ask again, where that is known: what stands in `Retry-After`.
 */
import type { TenutoError } from '../errors.ts'
import type { StorageShape } from '../views/shapes.ts'

/** Seconds until the next try of a store that is away; undefined where it is not, or none is set. */
export const nextTry = ({ as_of, data }: StorageShape): number | undefined =>
  data.next_try_at === null || as_of === null
    ? undefined
    : secondsIn(Date.parse(data.next_try_at) - Date.parse(as_of))

/** Seconds after which it is worth it to ask again; undefined where nobody knows. */
export const retryAfter = (
  { code, fields }: TenutoError,
  storage: () => StorageShape,
): number | undefined => {
  if (code === 'STORE_FULL') return nextTry(storage())
  const known = fields['retry_after_s']
  return code === 'TOO_MANY' && typeof known === 'number' ? known : undefined
}

/** As the header has them: whole ones, and never none. */
export const secondsIn = (ms: number): number => Math.max(1, Math.ceil(ms / 1_000))
