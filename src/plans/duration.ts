/**
 * Durations as people write them: a number and its unit, `500ms 2s 10m 1h`.
 */

/** A duration with its unit. */
export type Duration = `${number}${'ms' | 's' | 'm' | 'h'}`

/** What a duration looks like. */
export const DURATION_PATTERN = /^(\d{1,15}(?:\.\d{1,6})?)(ms|s|m|h)$/

/** The longest duration: a year. */
export const DURATION_MAX_MS = 365 * 24 * 3_600_000

const UNIT_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const

/** The milliseconds of a duration, rounded; undefined when the text is none. */
export const parseDuration = (text: string): number | undefined => {
  const [, number, unit] = DURATION_PATTERN.exec(text) ?? []
  if (number === undefined || unit === undefined) return undefined
  return Math.round(Number(number) * UNIT_MS[unit as keyof typeof UNIT_MS])
}

/** The shortest text of a number of milliseconds in one unit; `parseDuration` reads it back unchanged. */
export const formatDuration = (ms: number): Duration => {
  if (ms > 0 && ms % UNIT_MS.h === 0) return `${ms / UNIT_MS.h}h`
  if (ms > 0 && ms % UNIT_MS.m === 0) return `${ms / UNIT_MS.m}m`
  if (ms % UNIT_MS.s === 0) return `${ms / UNIT_MS.s}s`
  return `${ms}ms`
}

/** What to write instead of a text that is no duration, if that can be guessed. */
export const durationHint = (value: unknown): string => {
  const text = String(value).trim()
  if (/^\d+(\.\d+)?$/.test(text)) return `give it a unit: ${text}s`
  const loose =
    /^(\d+(?:\.\d+)?)\s*(ms|milli\w*|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?)$/i.exec(text)
  const [, number, word] = loose ?? []
  if (number !== undefined && word !== undefined) {
    const unit = word.toLowerCase()
    if (unit.startsWith('d')) return `write it in hours: ${Number(number) * 24}h`
    return `write ${number}${/^(ms|milli)/.test(unit) ? 'ms' : unit.charAt(0)}`
  }
  const [, hours, minutes] = /^(\d+)h(\d+)m$/.exec(text) ?? []
  if (hours !== undefined) return `use one unit: ${Number(hours) * 60 + Number(minutes)}m`
  return 'write a number and a unit: 500ms, 2s, 10m or 1h'
}
