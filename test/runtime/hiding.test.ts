import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { resident } from '../../src/actors/directory.ts'
import type { Definition } from '../../src/definition.ts'
import { definePlan } from '../../src/index.ts'
import { graphOf } from '../../src/machines/board.ts'
import { hiding } from '../../src/runtime/hiding.ts'
import { type Vault, vault } from '../../src/secrets.ts'
import { removeFolder } from '../support/folders.ts'

const SECRET = 'canary-7f3a'

const ENDED = {
  type: 'attempt.ended',
  attempt: 1,
  generation: 1,
  outcome: 'exit',
  code: 1,
  signal: null,
  startedAt: 1,
  endedAt: 2,
  pid: 3,
  error: `refused ${SECRET}`,
} as const

const row = (id: string) => ({
  id,
  name: 'plan',
  key: null,
  hash: 'hash',
  inputs: '{}',
  environment: '{}',
  base: '/',
  submittedAt: 1,
})

/** What is told of an end, and the plans whose values were looked for. */
const told = (definition: Definition) => {
  const home = mkdtempSync(join(tmpdir(), 'tenuto-hiding-'))
  onTestFinished(() => removeFolder(home))
  const kept = vault(home)
  kept.keep('plan-aaaaaa', { TOKEN: SECRET })
  const looked: string[] = []
  const watched: Vault = {
    ...kept,
    isWithheld: (plan, job, attempt) => {
      looked.push(plan)
      return kept.isWithheld(plan, job, attempt)
    },
    masking: (plan, of) => {
      looked.push(plan)
      return kept.masking(plan, of)
    },
  }
  const of = resident(row('plan-aaaaaa'), definition, graphOf(definition), [])
  const reading = { definition: async () => definition, secrets: async () => [], jobs: async () => [] }
  const news: unknown[] = []
  hiding({ vault: watched, reading, residents: () => new Map([[of.id, of]]) }).telling((_, __, said) => {
    news.push(said)
  })(of.id, 'work', ENDED)
  return { news, looked: looked.length }
}

test('an end is told without the secrets that its plan names', () => {
  const plan = definePlan({ name: 'plan', secrets: ['TOKEN'], jobs: { work: { run: 'true' } } })
  const { news, looked } = told(plan)
  expect(news).toEqual([{ ...ENDED, error: 'refused ***' }])
  expect(looked).toBeGreaterThan(0)
})

test('an end of a plan that names no secret is told as it is, and no file is looked for', () => {
  const plan = definePlan({ name: 'plan', jobs: { work: { run: 'true' } } })
  expect(told(plan)).toEqual({ news: [ENDED], looked: 0 })
})
