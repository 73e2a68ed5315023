/**
 * A machine that changes under its version reads rows of before as if they were its own. So each version is pinned to what it was.
 *
 * Mutations that were planted once, and each found: an action less, another guard, a key of the context more (by the compiler first); a
 * version raised without a pin, and without a migration.
 */
import { hash } from 'node:crypto'
import { expect, test } from 'vitest'
import { diagrams } from '../../src/machines/diagram.ts'
import { type JobContext, jobMachine } from '../../src/machines/job.ts'
import { MIGRATIONS } from '../../src/machines/migrations.ts'
import { type PlanContext, planMachine } from '../../src/machines/plan.ts'

/** What was pinned for each version there ever was; those of before stay, for what they wrote is still on disks. */
const PINS: Readonly<Record<string, string>> = {
  'plan/1': '5aa5cc4dea4052c5',
  'job/1': 'a67aaf9f3828f81e',
}

/** What each machine remembers, also what it does only at times; the compiler keeps these lists whole. */
const JOB: Readonly<Record<keyof JobContext, 1>> = {
  job: 1,
  generation: 1,
  attempt: 1,
  failures: 1,
  unstarted: 1,
  losses: 1,
  reason: 1,
  wakeAt: 1,
  deadlineAt: 1,
  pausedAt: 1,
  paused: 1,
  approvalAt: 1,
  faulted: 1,
  policy: 1,
}
const PLAN: Readonly<Record<keyof PlanContext, 1>> = {
  generation: 1,
  open: 1,
  failed: 1,
  cancelled: 1,
  stopped: 1,
  reason: 1,
  work: 1,
  onFailure: 1,
  deadlines: 1,
}
const KEYS: Readonly<Record<string, readonly string[]>> = {
  [jobMachine.id]: Object.keys(JOB).toSorted(),
  [planMachine.id]: Object.keys(PLAN).toSorted(),
}

/** The states in the order of their names; the order of the ways out of one decides, and stays. */
const digestOf = (name: string): string => {
  const drawn = diagrams.find((each) => each.name === name)?.json()
  const states = drawn?.states.toSorted((a, b) => (a.name < b.name ? -1 : 1))
  return hash('sha256', JSON.stringify({ initial: drawn?.initial, states, keys: KEYS[name] })).slice(0, 16)
}

test.each(diagrams.map((diagram) => [diagram.json().version, diagram.name]))(
  '%s is what it was',
  (version, name) => {
    expect(
      PINS[version],
      `the machine ${name} has changed and is still called ${version}. Rows that the one before wrote would be read as its own: raise the version ` +
        `beside the machine, register a migration from ${version} in src/machines/migrations.ts, and add a pin to this file. Only before the first ` +
        'release, or when no row can tell the difference, renew the pin instead',
    ).toBe(digestOf(name))
  },
)

test('from every version that was pinned a migration leads on, but from those of now', () => {
  const now = diagrams.map((diagram) => diagram.json().version)

  const stranded = Object.keys(PINS).filter(
    (version) => !now.includes(version) && !MIGRATIONS.some(({ from }) => from === version),
  )

  expect(stranded, 'rows of these versions are on disks: register what leads on from them').toEqual([])
  expect(now.filter((version) => PINS[version] === undefined)).toEqual([])
})
