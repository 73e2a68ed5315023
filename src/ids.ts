/**
 * Randomness as a port: plan ids and jitter come from here, so that a simulation can bring a seeded source.
 */
import { randomBytes } from 'node:crypto'

/** A source of uniformly drawn numbers in [0, 1). */
export type Random = () => number

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567'

const POOL_BYTES = 6 * 512
let pool = Buffer.alloc(0)
let used = 0

/** Draws from the operating system's generator, some hundreds at a time. */
export const systemRandom: Random = () => {
  if (used >= pool.length) {
    pool = randomBytes(POOL_BYTES)
    used = 0
  }
  used += 6
  return pool.readUIntBE(used - 6, 6) / 2 ** 48
}

/** A deterministic source: the same seed gives the same numbers (mulberry32). */
export const seededRandom = (seed: number): Random => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/** `length` lower-case base32 characters. */
export const base32 = (length: number, random: Random): string =>
  Array.from({ length }, () => ALPHABET[Math.floor(random() * 32)]).join('')

/** A plan id, `<name>-<6 base32>`. The caller draws again on collision. */
export const planId = (name: string, random: Random): string => `${name}-${base32(6, random)}`
