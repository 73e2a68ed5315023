/**
 * A sketch of many durations, from which percentiles are read: a histogram whose bins grow by 2 %, so that what is read is within 1 % of
 * a value that was put in (DDSketch: Masson, Rim, Lee, VLDB 2019). Two sketches of parts add up to the sketch of the whole, in any order.
 */

/** Counts by bin; bin `i` holds values in (γ^(i-1), γ^i]. At most some 1300 bins, whatever is put in. */
export type Sketch = {
  zeros: number
  bins: Record<string, number>
  max: number
}

/** How far a percentile may be from a value that was put in, as a part of it. */
export const SKETCH_ERROR = 0.01
const GAMMA = (1 + SKETCH_ERROR) / (1 - SKETCH_ERROR)
const LOG_GAMMA = Math.log(GAMMA)
/** Some five thousand years; beyond it a value is this one. */
const VALUE_MAX = 2 ** 47

/** A sketch of nothing. */
export const emptySketch = (): Sketch => ({ zeros: 0, bins: {}, max: 0 })

/** Puts a value in: whole milliseconds, 0 or more. */
export const addTo = (sketch: Sketch, value: number): void => {
  const capped = Math.min(value, VALUE_MAX)
  if (capped > sketch.max) sketch.max = capped
  if (capped < 1) {
    sketch.zeros += 1
    return
  }
  const bin = String(Math.ceil(Math.log(capped) / LOG_GAMMA))
  sketch.bins[bin] = (sketch.bins[bin] ?? 0) + 1
}

/** How many values are in it. */
export const countOf = (sketch: Sketch): number =>
  Object.values(sketch.bins).reduce((sum, count) => sum + count, sketch.zeros)

/** The values at these ranks (0 to 1, nearest rank), in the order asked, which must not go down; null when nothing is in it. */
export const percentiles = (sketch: Sketch, at: readonly number[]): readonly (number | null)[] => {
  const count = countOf(sketch)
  if (count === 0) return at.map(() => null)
  const bins = Object.entries(sketch.bins)
    .map(([bin, n]) => [Number(bin), n] as const)
    .sort(([a], [b]) => a - b)
  let index = 0
  let below = sketch.zeros
  let value = 0
  return at.map((part) => {
    const rank = Math.max(1, Math.ceil(part * count))
    while (below < rank) {
      const [bin, n] = bins[index] as readonly [number, number]
      below += n
      index += 1
      value = Math.min((2 * GAMMA ** bin) / (GAMMA + 1), sketch.max)
    }
    return Math.round(value)
  })
}
