/**
 * A journal that is damaged is refused, costs the plan it belongs to, or does no harm: never a wrong end, never a job twice, never
 * a new database. `npm run mutate` looks at thousands.
 *
 * Mutations that were planted once, and each found within two hundred seeds: no look at the structure of a file; no mark. Found by
 * it and mended: an actor whose row is gone was taken for a new one.
 */
import { expect, test } from 'vitest'
import { mutations } from './mutations.ts'

const COUNT = 60

test('a damaged journal is refused, costs its own plan, or does no harm', async () => {
  const from = 1 + Math.floor(Math.random() * 1e6)
  const again = `npm run mutate -- --count ${COUNT} --from ${from}`
  const seen = new Set<string>()

  for await (const { seed, kind, what, verdict, kept } of mutations(from, COUNT)) {
    seen.add(verdict.is)
    expect(verdict.is, `seed ${seed}, ${kind}: ${what} (${kept})\n${verdict.why}`).not.toBe('wrong')
  }

  expect(seen, again).toContain('refused')
  expect(seen, again).toContain('harmless')
})
