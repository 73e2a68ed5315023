import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { command } from '../../src/cli/home.ts'
import { createRuntime, definePlan } from '../../src/index.ts'

const newHome = (): string => {
  const folder = mkdtempSync(join(tmpdir(), 'tenuto-cli-home-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }))
  return join(folder, 'home')
}

test('an attempt is no job: what acts on a plan or a job refuses it, held or not, and changes nothing', async () => {
  const home = newHome()
  const runtime = await createRuntime({ home, handlers: { work: () => ({ n: 1 }) } })
  const plan = await runtime.submit(definePlan({ name: 'p', jobs: { a: { call: 'work' } } }))
  await plan.settled()
  await runtime.stop()

  for (const what of ['retry', 'cancel', 'skip', 'pause', 'continue'] as const) {
    const asked = command(home, 'p/a#1', { do: what }, undefined, () => {})
    await expect(asked).rejects.toMatchObject({
      code: 'USAGE',
      message: `${what} takes a plan or a job; ${plan.id}/a#1 is an attempt of ${plan.id}/a`,
    })
  }
  const { receipt, job } = await command(home, 'p/a', { do: 'retry' }, undefined, () => {})
  expect([job, receipt.changed]).toEqual(['a', true])
})
