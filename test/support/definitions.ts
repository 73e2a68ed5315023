/**
 * Definitions for tests: everything that is not said has its default.
 */
import type { Definition, JobDefinition, Need } from '../../src/definition.ts'
import type { PlanRow } from '../../src/journal/journal.ts'

/** A job as a test says it. */
export type JobSketch = Partial<Omit<JobDefinition, 'needs'>> &
  Readonly<{ needs?: readonly string[] | Readonly<Record<string, Need>> }>

/** A job; needs in a list ask for success. */
export const jobOf = ({ needs = [], ...more }: JobSketch = {}): JobDefinition => ({
  kind: 'call',
  call: 'work',
  graceMs: 10_000,
  onLost: 'hold',
  ...more,
  needs: Array.isArray(needs)
    ? Object.fromEntries(needs.map((name: string) => [name, 'success' as const]))
    : (needs as Readonly<Record<string, Need>>),
})

/** A plan of these jobs. */
export const planOf = (
  jobs: Readonly<Record<string, JobSketch>>,
  more: Partial<Omit<Definition, 'jobs'>> = {},
): Definition => ({
  version: 1,
  name: 'p',
  maxParallel: 1000,
  onFailure: 'continue',
  env: {},
  jobs: Object.fromEntries(Object.entries(jobs).map(([name, sketch]) => [name, jobOf(sketch)])),
  ...more,
})

/** The row of a plan as it is submitted. */
export const rowOf = (id: string, at: number): PlanRow => ({
  id,
  name: id.replace(/-[^-]*$/, ''),
  key: null,
  hash: 'hash',
  inputs: '{}',
  environment: '{}',
  base: '/',
  submittedAt: at,
})
